/* The switch's ports of hosts. See ports.h. */
#include "injectors/net/ports.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void ports_done(struct ports *p)
{
    free(p->items);
    *p = (struct ports){0};
}

static struct port *add(struct ports *p)
{
    struct port *items = realloc(p->items, (p->n + 1) * sizeof *items);
    if (!items)
        abort(); /* as the buffers of sim/base do */
    p->items = items;
    items[p->n] = (struct port){0};
    return &items[p->n++];
}

static void add_cable(struct ports *p, const struct topo *t, size_t cable)
{
    const struct topo_cable *c = &t->cables[cable];
    struct port *port = add(p);
    port->host = t->hosts[c->host].host->name;
    port->network = t->nets[c->net].name;
    port->mac = c->mac;
    snprintf(port->name, sizeof port->name, "%s", c->port);
    snprintf(port->device, sizeof port->device, "%s", c->dev);
    for (size_t i = 0; i < t->addresses_n && port->n_addresses < PORT_ADDRESSES; i++)
        if (t->addresses[i].cable == cable)
            port->addresses[port->n_addresses++] = t->addresses[i].prefix;
}

void ports_of_host(const struct topo *t, const char *host, const char *network, struct ports *p)
{
    for (size_t i = 0; i < t->cables_n; i++) {
        const struct topo_cable *c = &t->cables[i];
        if (strcmp(t->hosts[c->host].host->name, host) != 0)
            continue;
        if (!network || strcmp(t->nets[c->net].name, network) == 0)
            add_cable(p, t, i);
    }
}

void ports_of_device(const char *host, const char *device, struct ports *p)
{
    struct port *port = add(p);
    port->host = host;
    snprintf(port->device, sizeof port->device, "%s", device);
}

void ports_of_target(const struct topo *topo, const struct target *t, const char *network,
                     struct ports *p)
{
    if (t->host)
        ports_of_host(topo, t->host, network, p);
    for (size_t i = 0; !t->host && i < t->of.n; i++)
        ports_of_host(topo, t->of.items[i], network, p);
}

static int has_port(const struct scenario *s, const struct topo *topo, const char *host,
                    const char *network, struct err *err)
{
    AUTO_PORTS p = {0};
    ports_of_host(topo, host, network, &p);
    if (p.n > 0 || !scenario_host(s, host)) /* an unknown host is reported where it is named */
        return 0;
    if (network)
        return err_set(err, EINVAL, "host '%s' has no address on network '%s'", host, network);
    return err_set(err, EINVAL, "host '%s' is on no network", host);
}

int ports_check(const struct scenario *s, const struct target *t, const char *network,
                struct err *err)
{
    CLEANUP(topo_free_p) struct topo *topo = NULL;
    if (topo_new(s, &topo, NULL) < 0)
        return 0; /* reported where the address stands */
    if (t->host)
        return has_port(s, topo, t->host, network, err);
    int r = 0;
    for (size_t i = 0; r == 0 && i < t->of.n; i++)
        r = has_port(s, topo, t->of.items[i], network, err);
    return r;
}

void ports_plan_messages(const struct nl *recording, size_t from, const char *prefix, json_t *texts)
{
    ports_plan_part(recording, from, nl_recorded(recording), prefix, texts);
}

void ports_plan_part(const struct nl *recording, size_t from, size_t to, const char *prefix,
                     json_t *texts)
{
    for (size_t i = from; i < to && i < nl_recorded(recording); i++) {
        struct nl_seen seen = nl_recorded_at(recording, i);
        json_array_append_new(texts, json_sprintf("  %s: %s%s", seen.where, prefix, seen.text));
    }
}
