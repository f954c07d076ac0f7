/* What a `network` fault must be beyond its table: an impairment that means something, packets that
 * exist, and no second fault for the same packets at the same time.
 */
#include "injectors/net/network/network.h"

#include <errno.h>
#include <string.h>

#include "injectors/net/link_device.h"
#include "sim/base/cleanup.h"

#define NOTHING_ASKED                                                                              \
    "nothing is impaired: give one of delay, loss, duplicate, corrupt, rate and slot"

static int check_scope(const struct network_params *p, struct err *err)
{
    bool ports = p->port.n || p->peer_port.n || p->own_port.n;
    const char *key = p->port.n ? "port" : p->peer_port.n ? "peer_port" : "own_port";
    if (ports && p->protocol == NETWORK_ICMP)
        return err_set(err, EINVAL, "'%s': ICMP has no ports", key);
    if (p->host->host)
        for (size_t i = 0; i < p->to.n; i++)
            if (strcmp(p->to.items[i], p->host->host) == 0)
                return err_set(err, EINVAL,
                               "'to' names %s itself: what a host sends to itself "
                               "never leaves it",
                               p->host->host);
    return 0;
}

/* Every host that may be chosen has packets to impair. */
static int check_reach(const struct topo *topo, const struct network_params *p, struct err *err)
{
    const struct target *t = p->host;
    for (size_t i = 0; i < (t->host ? 1 : t->of.n); i++) {
        AUTO_REACH reach = {0};
        int r = reach_find(topo, p, t->host ? t->host : t->of.items[i], &reach, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The latest it may end; NSEC_INF: with the trial. */
static nsec end_of(const struct step *s)
{
    return nsec_is_set(s->lasting) ? nsec_add(s->at, s->lasting) : NSEC_INF;
}

/* May both be in force at one time? */
static bool may_meet(const struct step *a, const struct step *b)
{
    if (!nsec_is_set(a->at) || !nsec_is_set(b->at))
        return true;
    return a->at < end_of(b) && b->at < end_of(a);
}

/* With plainly named hosts it can be told before; chosen ones are looked at when they are chosen. */
static int check_meeting(const struct topo *topo, const struct step *step, const struct step *other,
                         struct err *err)
{
    const struct network_params *p = step->params, *q = other->params;
    AUTO_REACH a = {0}, b = {0};
    if (!p->host->host || !q->host->host || strcmp(p->host->host, q->host->host) != 0 ||
        !may_meet(step, other))
        return 0;
    if (reach_find(topo, p, p->host->host, &a, NULL) < 0 ||
        reach_find(topo, q, q->host->host, &b, NULL) < 0 || !reach_overlaps(&a, &b))
        return 0;
    return err_set(err, EINVAL,
                   "this step and '%s' (line %d) would impair the same packets of %s at the same "
                   "time: write one step with both impairments, or scopes that share no packet",
                   other->id, other->action_place.line, p->host->host);
}

static int check_others(const struct scenario *s, const struct topo *topo, const struct step *step,
                        struct err *err)
{
    for (size_t i = 0; i < s->script.n; i++) {
        const struct step *other = s->script.items[i];
        if (other == step)
            return 0; /* told at the later one of two */
        if (!other->action || other->action != step->action || !other->params)
            continue;
        int r = check_meeting(topo, step, other, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int network_check(const struct scenario *s, const struct step *step, struct err *err)
{
    const struct network_params *p = step->params;
    CLEANUP(impaired_tables_done) struct impaired_tables tables = {0};
    CLEANUP(topo_free_p) struct topo *topo = NULL;
    struct err warning = ERR_INIT;
    int r = inject_target_check(p->host, "host", err);
    const struct host *h = p->host->host ? scenario_host(s, p->host->host) : NULL;
    bool attached = h && host_is_attached(h);
    if (r == 0)
        r = link_device_check(attached ? h : NULL, p->device, p->network, err);
    if (r == 0 && !attached)
        r = ports_check(s, p->host, p->network, err);
    if (r < 0)
        return r;
    int warned = impaired_check(&p->impaired, &warning);
    if (warned < 0) {
        *err = warning;
        return warned;
    }
    if (impaired_is_nothing(&p->impaired))
        return err_set(err, EINVAL, NOTHING_ASKED);
    r = impaired_tables_read(&p->impaired, s->file, &tables, err);
    if (r == -ENOENT) /* told where files are looked for; a scenario as it was run stands without */
        r = 0;
    if (r == 0)
        r = check_scope(p, err);
    if (r < 0 || topo_new(s, &topo, NULL) < 0)
        return r; /* what is wrong with addresses is said where they stand */
    r = check_reach(topo, p, err);
    if (r == 0)
        r = check_others(s, topo, step, err);
    if (r == 0 && warned)
        *err = warning;
    return r < 0 ? r : warned;
}
