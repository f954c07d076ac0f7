/* The switch's ports of hosts. See ports.h. */
#include "injectors/net/ports.h"

#include <errno.h>
#include <string.h>

void ports_done(struct ports *p)
{
    free(p->items);
    *p = (struct ports){0};
}

static void add(struct ports *p, const struct host *h, const struct lab_cable *c)
{
    struct port *items = realloc(p->items, (p->n + 1) * sizeof *items);
    if (!items)
        abort(); /* as the buffers of sim/base do */
    p->items = items;
    struct port *port = &items[p->n++];
    *port = (struct port){
        .host = h->name, .network = c->network, .mac = c->mac, .n_addresses = c->n_addresses};
    memcpy(port->name, c->port, sizeof port->name);
    memcpy(port->device, c->device, sizeof port->device);
    memcpy(port->addresses, c->addresses, sizeof port->addresses);
}

void ports_of_host(const struct scenario *s, const struct host *h, const char *network,
                   struct ports *p)
{
    size_t n = h ? lab_cables(s, h, NULL, 0) : 0;
    AUTO_FREE struct lab_cable *cables = calloc(n + 1, sizeof *cables);
    if (!cables)
        abort();
    if (n > 0)
        lab_cables(s, h, cables, n);
    for (size_t i = 0; i < n; i++)
        if (!network || strcmp(cables[i].network, network) == 0)
            add(p, h, &cables[i]);
}

void ports_of_target(const struct scenario *s, const struct target *t, const char *network,
                     struct ports *p)
{
    if (t->host)
        ports_of_host(s, scenario_host(s, t->host), network, p);
    for (size_t i = 0; !t->host && i < t->of.n; i++)
        ports_of_host(s, scenario_host(s, t->of.items[i]), network, p);
}

static int has_port(const struct scenario *s, const char *host, const char *network,
                    struct err *err)
{
    AUTO_PORTS p = {0};
    ports_of_host(s, scenario_host(s, host), network, &p);
    if (p.n > 0)
        return 0;
    if (network)
        return err_set(err, EINVAL, "host '%s' has no address on network '%s'", host, network);
    return err_set(err, EINVAL, "host '%s' is on no network", host);
}

int ports_check(const struct scenario *s, const struct target *t, const char *network,
                struct err *err)
{
    if (t->host)
        return has_port(s, t->host, network, err);
    for (size_t i = 0; i < t->of.n; i++) {
        int r = has_port(s, t->of.items[i], network, err);
        if (r < 0)
            return r;
    }
    return 0;
}

void ports_plan_messages(const struct nl *recording, const char *prefix, json_t *texts)
{
    for (size_t i = 0; i < nl_recorded(recording); i++) {
        struct nl_seen seen = nl_recorded_at(recording, i);
        json_array_append_new(texts, json_sprintf("  %s: %s%s", seen.where, prefix, seen.text));
    }
}
