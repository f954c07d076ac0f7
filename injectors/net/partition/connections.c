/* Connections between cut hosts, ended. See connections.h. */
#include "injectors/net/partition/connections.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/kernel/conntrack.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/sockdiag.h"

/* --- Who has which address, and is cut from whom ---------------------------------------------- */

struct holder {
    struct inet_prefix address;
    size_t host; /* in hosts */
};

struct map {
    const char **hosts;
    size_t n;
    bool *cut; /* n × n */
    struct holder *holders;
    size_t n_holders;
};

static void map_done(struct map *m)
{
    free(m->hosts);
    free(m->cut);
    free(m->holders);
}

static size_t number_of(struct map *m, const char *host)
{
    size_t i = 0;
    while (i < m->n && strcmp(m->hosts[i], host) != 0)
        i++;
    if (i == m->n)
        m->hosts[m->n++] = host;
    return i;
}

static void join(struct map *m, const struct cut *c, const struct cut_pair *p)
{
    size_t a = number_of(m, c->ports.items[p->from].host);
    size_t b = number_of(m, c->ports.items[p->to].host);
    m->cut[a * c->ports.n + b] = m->cut[b * c->ports.n + a] = true;
}

static bool is_own(const struct rtnl_address *a)
{
    static const struct inet_prefix loopback = {.family = AF_INET, .len = 8, .addr = {127}};
    static const struct inet_prefix loopback6 = {
        .family = AF_INET6, .len = 128, .addr = {[15] = 1}};
    return a->prefix.family == AF_INET ? inet_contains(&loopback, &a->prefix)
                                       : inet_contains(&loopback6, &a->prefix);
}

static int add_holders(struct map *m, size_t host, struct lab_node *n, struct err *err)
{
    AUTO_FREE struct rtnl_address *all = NULL;
    size_t count = 0;
    int r = rtnl_addresses(lab_node_nl(n), &all, &count, err);
    if (r < 0)
        return r;
    struct holder *more = realloc(m->holders, (m->n_holders + count + 1) * sizeof *more);
    if (!more)
        abort(); /* as the buffers of sim/base do */
    m->holders = more;
    for (size_t i = 0; i < count; i++)
        if (!is_own(&all[i]))
            more[m->n_holders++] =
                (struct holder){inet_address(all[i].prefix.family, all[i].prefix.addr), host};
    return 0;
}

static struct lab_node *up(struct lab *lab, const char *host)
{
    struct lab_node *n = lab_node(lab, host);
    return n && lab_node_is_up(n) ? n : NULL;
}

static int by_address(const void *a, const void *b)
{
    const struct holder *x = a, *y = b;
    return memcmp(&x->address, &y->address, sizeof x->address);
}

static int make_map(struct lab *lab, const struct cut *c, struct map *ret, struct err *err)
{
    int r = 0;
    ret->hosts = calloc(c->ports.n + 1, sizeof *ret->hosts);
    ret->cut = calloc(c->ports.n * c->ports.n + 1, sizeof *ret->cut);
    if (!ret->hosts || !ret->cut)
        return err_errno(err, ENOMEM, "looking for connections");
    for (size_t i = 0; i < c->n_pairs; i++)
        join(ret, c, &c->pairs[i]);
    for (size_t i = 0; i < c->n_routes; i++)
        join(ret, c, &c->routes[i]);
    for (size_t i = 0; r == 0 && i < ret->n; i++) {
        struct lab_node *n = up(lab, ret->hosts[i]);
        if (n)
            r = add_holders(ret, i, n, err);
    }
    if (ret->n_holders > 0)
        qsort(ret->holders, ret->n_holders, sizeof *ret->holders, by_address);
    return r;
}

/* The hosts that have an address: holders [*ret, end). Several may, where a virtual one has moved. */
static size_t holders_of(const struct map *m, const struct inet_prefix *a, size_t *ret_end)
{
    size_t lo = 0, hi = m->n_holders;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (memcmp(&m->holders[mid].address, a, sizeof *a) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    size_t end = lo;
    while (end < m->n_holders && memcmp(&m->holders[end].address, a, sizeof *a) == 0)
        end++;
    *ret_end = end;
    return lo;
}

static bool leads_across(const struct map *m, size_t stride, const struct inet_flow *f)
{
    size_t a_end, b_end;
    size_t a = holders_of(m, &f->source, &a_end), b_first = holders_of(m, &f->target, &b_end);
    for (; a < a_end; a++)
        for (size_t b = b_first; b < b_end; b++)
            if (m->cut[m->holders[a].host * stride + m->holders[b].host])
                return true;
    return false;
}

static bool has_port(const struct cut_scope *s, uint16_t port)
{
    for (size_t i = 0; i < s->ports.n; i++)
        if (port >= s->ports.items[i].lo && port <= s->ports.items[i].hi)
            return true;
    return false;
}

static bool concerns(const struct map *m, const struct cut *c, const struct cut_scope *s,
                     const struct inet_flow *f)
{
    if (s->protocol && f->protocol != s->protocol)
        return false;
    if (s->ports.n > 0 && !has_port(s, f->sport) && !has_port(s, f->dport))
        return false;
    return leads_across(m, c->ports.n, f);
}

/* --- Ending them ------------------------------------------------------------------------------ */

void connections_done(struct connections *c)
{
    free(c->items);
    *c = (struct connections){0};
}

static void remember(struct connections *c, const char *host, uint64_t cookie)
{
    if ((c->n & (c->n - 1)) == 0) {
        struct connection_socket *more = realloc(c->items, (c->n ? 2 * c->n : 1) * sizeof *more);
        if (!more)
            abort();
        c->items = more;
    }
    c->items[c->n++] = (struct connection_socket){host, cookie};
}

/* What is to be ended in one host. */
struct ending {
    struct nl *nl; /* NULL: it is down */
    struct sockdiag_tcp *sockets;
    size_t n;
};

/* What concerns the cut moves to the front; the rest is none of it. */
static int find_sockets(const struct map *m, const struct cut *cut, const struct cut_scope *s,
                        struct ending *e, struct err *err)
{
    size_t n = 0;
    int r = sockdiag_tcp(e->nl, &e->sockets, &e->n, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < e->n; i++)
        if (concerns(m, cut, s, &e->sockets[i].flow))
            e->sockets[n++] = e->sockets[i];
    e->n = n;
    return 0;
}

static int destroy(const struct ending *e, const char *host, struct connections *c, json_t *changes,
                   struct err *err)
{
    for (size_t i = 0; i < e->n; i++) {
        sockdiag_destroy(e->nl, &e->sockets[i]);
        remember(c, host, e->sockets[i].cookie);
    }
    int r = nl_flush(e->nl, err);
    if (r == -EOPNOTSUPP)
        err_prefix(err, "this kernel cannot end connections (CONFIG_INET_DIAG_DESTROY)");
    if (r == 0 && e->n > 0)
        json_array_append_new(changes,
                              json_sprintf("host %s: %zu TCP socket%s destroyed (not undone)", host,
                                           e->n, e->n == 1 ? "" : "s"));
    return r;
}

/* All are found before the first is ended: its end resets the other side, where that is not cut. */
int connections_end(struct lab *lab, const struct cut *cut, const struct cut_scope *s,
                    struct connections *ret, json_t *changes, struct err *err)
{
    __attribute__((cleanup(map_done))) struct map m = {0};
    int r = make_map(lab, cut, &m, err);
    if (r < 0)
        return r;
    struct ending *endings = calloc(m.n + 1, sizeof *endings);
    if (!endings)
        return err_errno(err, ENOMEM, "ending connections");
    for (size_t i = 0; r == 0 && i < m.n; i++) {
        struct lab_node *n = up(lab, m.hosts[i]);
        endings[i].nl = n ? lab_node_nl(n) : NULL;
        if (n)
            r = find_sockets(&m, cut, s, &endings[i], err);
    }
    for (size_t i = 0; r == 0 && i < m.n; i++)
        if (endings[i].nl)
            r = destroy(&endings[i], m.hosts[i], ret, changes, err);
    for (size_t i = 0; i < m.n; i++)
        free(endings[i].sockets);
    free(endings);
    return r;
}

static int forget(const struct map *m, const struct cut *cut, const struct cut_scope *s,
                  const char *host, struct nl *nl, struct connections *c, json_t *changes,
                  struct err *err)
{
    AUTO_FREE struct conntrack *entries = NULL;
    size_t n = 0, forgotten = 0;
    int r = conntrack_list(nl, &entries, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        if (concerns(m, cut, s, &entries[i].original) || concerns(m, cut, s, &entries[i].reply)) {
            conntrack_delete(nl, &entries[i]);
            forgotten++;
        }
    if (r == 0)
        r = nl_flush(nl, err);
    if (r < 0)
        return r;
    c->tracked += forgotten;
    if (forgotten > 0)
        json_array_append_new(changes, json_sprintf("host %s: %zu tracked flow%s forgotten (not "
                                                    "undone)",
                                                    host, forgotten, forgotten == 1 ? "" : "s"));
    return 0;
}

int connections_forget(struct lab *lab, const struct cut *cut, const struct cut_scope *s,
                       struct connections *ret, json_t *changes, struct err *err)
{
    __attribute__((cleanup(map_done))) struct map m = {0};
    int r = make_map(lab, cut, &m, err);
    for (size_t i = 0; r == 0 && i < m.n; i++) {
        struct lab_node *n = up(lab, m.hosts[i]);
        if (n)
            r = forget(&m, cut, s, m.hosts[i], lab_node_nl(n), ret, changes, err);
    }
    return r;
}

int connections_left(struct lab *lab, const struct connections *c, size_t *ret, struct err *err)
{
    AUTO_FREE struct sockdiag_tcp *sockets = NULL;
    const char *asked = NULL;
    size_t n = 0, left = 0;
    for (size_t i = 0; i < c->n; i++) { /* those of one host stand next to each other */
        struct lab_node *node = up(lab, c->items[i].host);
        if (!node)
            continue;
        if (!asked || strcmp(asked, c->items[i].host) != 0) {
            free(sockets);
            sockets = NULL;
            int r = sockdiag_tcp(lab_node_nl(node), &sockets, &n, err);
            if (r < 0)
                return r;
            asked = c->items[i].host;
        }
        for (size_t k = 0; k < n; k++)
            left += sockets[k].cookie == c->items[i].cookie;
    }
    *ret = left;
    return 0;
}
