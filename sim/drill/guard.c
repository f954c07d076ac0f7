/* What no step may do. See guard.h. Pure. */
#include "sim/drill/guard.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define EVERYBODY 1 /* prefixes so short are no scope: two of them are the whole world */

/* --- Parts ------------------------------------------------------------------------------------ */

static bool is_everybody(const struct inet_prefix *p)
{
    return p->len <= EVERYBODY;
}

/* True when it is done to named peers alone. */
static bool is_scoped(const struct guard_touch *t)
{
    for (size_t i = 0; i < t->n_peers; i++)
        if (is_everybody(&t->peers[i]))
            return false;
    return t->n_peers > 0;
}

static bool is_default_device(const struct guard_facts *f, const char *device)
{
    return device &&
           (strcmp(device, f->default_device[0]) == 0 || strcmp(device, f->default_device[1]) == 0);
}

static const char *default_device(const struct guard_facts *f)
{
    return f->default_device[0][0] ? f->default_device[0] : f->default_device[1];
}

static bool is_single(const struct inet_prefix *p)
{
    return p->len == (p->family == AF_INET ? 32 : 128);
}

static bool same_address(const struct inet_prefix *a, const struct inet_prefix *b)
{
    return a->family == b->family && memcmp(a->addr, b->addr, a->family == AF_INET ? 4 : 16) == 0;
}

/* --- Rails ------------------------------------------------------------------------------------ */

static int judge_mark(const struct guard_touch *t, const struct guard_facts *f, struct err *err)
{
    if (!f->mark)
        return 0;
    return err_set(err, EPERM,
                   "step %s: host %s is marked as production (%s): nothing there is touched; "
                   "rehearse on a host that serves nobody, or take the mark away if it is wrong",
                   t->step, f->host, f->mark);
}

static int judge_connected(const struct guard_touch *t, const struct guard_facts *f,
                           struct err *err)
{
    char text[INET_TEXT_MAX];
    for (size_t i = 0; t->deed == GUARD_DOWN && t->device && i < f->exempt->n; i++) {
        const struct exempt *e = &f->exempt->items[i];
        if (e->operator_ && strcmp(f->ways[i], t->device) == 0)
            return err_set(err, EPERM,
                           "step %s: %s of host %s is how you are connected (%s is %s): it is not "
                           "taken down; name another device, or run from a console",
                           t->step, t->device, f->host, inet_text(&e->address, text), e->why);
    }
    return 0;
}

static int judge_device(const struct guard_touch *t, const struct guard_facts *f, struct err *err)
{
    if (!is_default_device(f, t->device))
        return 0;
    if (t->deed == GUARD_DOWN)
        return err_set(err, EPERM,
                       "step %s: the default route of host %s leads over %s: it is not taken down; "
                       "cut it from the peers that matter ('partition: {host: %s, peers: [...]}'), "
                       "or name another device",
                       t->step, f->host, t->device, f->host);
    if (t->deed == GUARD_IMPAIRED && !is_scoped(t))
        return err_set(err, EPERM,
                       "step %s: the default route of host %s leads over %s: there only traffic "
                       "with named peers is impaired; add 'to: [ADDRESSES]'",
                       t->step, f->host, t->device);
    return 0;
}

static int judge_everybody(const struct guard_touch *t, const struct guard_facts *f,
                           struct err *err)
{
    if ((t->deed != GUARD_CUT && t->deed != GUARD_RESET) || is_scoped(t))
        return 0;
    if (t->deed == GUARD_RESET && !f->machine)
        return 0;
    if (!default_device(f)[0] && !f->machine)
        return 0;
    return err_set(err, EPERM,
                   "step %s: host %s has a default route (%s), and this would concern everybody "
                   "beyond it: name the addresses or prefixes that matter",
                   t->step, f->host, default_device(f));
}

/* What else is exempt loses nothing by a device that is taken down. */
static int judge_kept(const struct guard_touch *t, const struct guard_facts *f, struct err *err)
{
    char text[INET_TEXT_MAX];
    if (t->deed != GUARD_DOWN || !t->device)
        return 0;
    for (size_t i = 0; i < f->exempt->n; i++) {
        const struct exempt *e = &f->exempt->items[i];
        if (strcmp(f->ways[i], t->device) == 0)
            return err_set(
                err, EPERM,
                "step %s: %s of host %s is the way to %s, %s, which is always exempt: it "
                "is not taken down; cut it from the peers that matter ('partition: "
                "{host: %s, peers: [...]}'), or name another device",
                t->step, t->device, f->host, inet_text(&e->address, text), e->why, f->host);
    }
    for (size_t i = 0; i < f->exempt->n_ports; i++)
        if (strcmp(f->listener_devices[i], t->device) == 0)
            return err_set(err, EPERM,
                           "step %s: on %s of host %s we listen ourselves (port %u), which is "
                           "always exempt: it is not taken down; name another device, or let the "
                           "alarm listen elsewhere",
                           t->step, t->device, f->host, f->exempt->ports[i]);
    return 0;
}

/* The loopback, and whoever is exempt, named for itself: of that nothing would be left. */
static int judge_peers(const struct guard_touch *t, const struct guard_facts *f, struct err *err)
{
    bool concerns = t->deed == GUARD_IMPAIRED || t->deed == GUARD_CUT || t->deed == GUARD_RESET;
    for (size_t i = 0; concerns && i < t->n_peers; i++) {
        const struct inet_prefix *p = &t->peers[i];
        const struct exempt *e = is_single(p) ? exempt_in(f->exempt, p) : NULL;
        char text[INET_TEXT_MAX];
        if (exempt_is_loopback(p))
            return err_set(err, EPERM,
                           "step %s: %s is the loopback, which is always exempt: name the "
                           "addresses by which others reach host %s",
                           t->step, inet_text(p, text), f->host);
        if (e)
            return err_set(err, EPERM, "step %s: %s is %s, and always exempt: name others%s",
                           t->step, inet_text(p, text), e->why,
                           e->operator_ ? ", or run from a console" : "");
    }
    return 0;
}

static int judge_address(const struct guard_touch *t, const struct guard_facts *f, struct err *err)
{
    char text[INET_TEXT_MAX];
    if (t->deed != GUARD_ADDRESS || !t->n_peers)
        return 0;
    struct inet_prefix address = t->peers[0];
    address.len = address.family == AF_INET ? 32 : 128;
    if (exempt_is_loopback(&address))
        return err_set(
            err, EPERM,
            "step %s: %s is the loopback's, which is always exempt: name another address", t->step,
            inet_text(&address, text));
    for (size_t i = 0; i < f->exempt->n; i++)
        if (same_address(&f->exempt->items[i].own, &address))
            return err_set(
                err, EPERM,
                "step %s: %s of host %s is the address at which you are connected: it is "
                "not withdrawn; name another, or run from a console",
                t->step, inet_text(&address, text), f->host);
    if (t->default_goes && f->machine)
        return err_set(err, EPERM,
                       "step %s: with %s the default route of this machine would go: it is not "
                       "withdrawn; name another address, or a route to the peers that matter",
                       t->step, inet_text(&address, text));
    for (size_t i = 0; i < f->exempt->n_ports; i++)
        if (same_address(&f->exempt->listens_at[i], &address))
            return err_set(
                err, EPERM,
                "step %s: at %s of host %s we listen ourselves (port %u), which is always "
                "exempt: it is not withdrawn; name another, or let the alarm listen "
                "elsewhere",
                t->step, inet_text(&address, text), f->host, f->exempt->ports[i]);
    return 0;
}

/* True when the i-th of those who are exempt is reached by the route that is withdrawn. */
static bool is_route_to(const struct guard_touch *t, const struct guard_facts *f, size_t i)
{
    return f->routes && f->routes[i].family == t->peers[0].family &&
           f->routes[i].len == t->peers[0].len && inet_contains(&t->peers[0], &f->routes[i]);
}

static int judge_route(const struct guard_touch *t, const struct guard_facts *f, struct err *err)
{
    char text[INET_TEXT_MAX], other[INET_TEXT_MAX];
    if (t->deed != GUARD_ROUTE || !t->n_peers)
        return 0;
    if (f->machine && is_everybody(&t->peers[0]))
        return err_set(err, EPERM,
                       "step %s: the default route of this machine is not withdrawn: name a route "
                       "to the peers that matter",
                       t->step);
    for (size_t i = 0; i < f->exempt->n; i++) {
        const struct exempt *e = &f->exempt->items[i];
        if (e->address.family != t->peers[0].family || !f->ways[i][0] ||
            !inet_contains(&t->peers[0], &e->address))
            continue;
        inet_text(&t->peers[0], text);
        if (e->operator_ && (!is_everybody(&t->peers[0]) || is_route_to(t, f, i)))
            return err_set(err, EPERM,
                           "step %s: the route to %s is how you are connected (it holds %s): it is "
                           "not withdrawn; name another, or run from a console",
                           t->step, text, e->why);
        if (!e->operator_ && !is_everybody(&t->peers[0]))
            return err_set(err, EPERM,
                           "step %s: the route to %s is the way to %s, %s, which is always exempt: "
                           "it is not withdrawn; name a route to the peers that matter",
                           t->step, text, inet_text(&e->address, other), e->why);
    }
    return 0;
}

/* Our own ports, named for themselves: of that nothing would be left. */
static int judge_ports(const struct guard_touch *t, const struct guard_facts *f, struct err *err)
{
    for (size_t i = 0; t->n_ports == 1 && i < f->exempt->n_ports; i++) {
        uint16_t own = f->exempt->ports[i];
        const struct port_range *p = &t->ports[0];
        if (p->lo == own && p->hi == own)
            return err_set(
                err, EPERM,
                "step %s: at TCP port %u of host %s we listen ourselves, which is always "
                "exempt: name another port, or let the alarm listen at another",
                t->step, own, f->host);
    }
    return 0;
}

int guard_judge(const struct guard_touch *t, const struct guard_facts *f, struct err *err)
{
    static int (*const rails[])(const struct guard_touch *, const struct guard_facts *,
                                struct err *) = {judge_mark,      judge_connected, judge_device,
                                                 judge_kept,      judge_peers,     judge_ports,
                                                 judge_everybody, judge_address,   judge_route};
    for (size_t i = 0; i < ARRAY_SIZE(rails); i++) {
        int r = rails[i](t, f, err);
        if (r < 0)
            return r;
    }
    return 0;
}
