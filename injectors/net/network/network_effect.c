/* What an impaired line does to requests, for a forecast: packets that are lost or damaged, and round trips
 * that take longer. Rates, duplicates and changes of order are not felt by a single small request.
 */
#include <errno.h>
#include <string.h>

#include "injectors/effects.h"
#include "injectors/net/network/network.h"
#include "injectors/process/targets.h"

/* The share of packets that a chain of bursts loses in the long run. */
static double lost_in_bursts(const struct impaired_bursts *b)
{
    double turns = b->to_bad + b->to_good;
    double bad = turns > 0 ? b->to_bad / turns : 0;
    return bad * b->loss_in_bad + (1 - bad) * b->loss_in_good;
}

/* From good (1) to a burst (3) and back, within it to (2) and back, and to single losses (4): in the long
 * run as many go each way as come back. */
static double lost_in_states(const struct impaired_states *s)
{
    double three = s->p31 > 0 ? s->p13 / s->p31 : 0;
    double two = s->p23 > 0 ? three * s->p32 / s->p23 : 0;
    double four = s->p14;
    if (s->p31 <= 0 && s->p13 > 0)
        return 1;
    return (three + four) / (1 + two + three + four);
}

static double lost(const struct impaired *m)
{
    const struct impaired_loss *l = m->loss;
    double share = m->corrupt ? m->corrupt->share : 0;
    double loss = !l          ? 0
                  : l->bursts ? lost_in_bursts(l->bursts)
                  : l->states ? lost_in_states(l->states)
                              : l->random;
    if (m->ecn)
        loss = 0;
    return 1 - (1 - share) * (1 - loss);
}

/* Whom the host's packets go to and come from. */
static int network_whom(struct inject_env *env, const struct network_params *p, const char *host,
                        const struct effect *one, struct effects *ret, struct err *err)
{
    if (p->to.n == 0)
        return effects_on_network(env, host, p->network, one, ret, err);
    for (size_t i = 0; i < p->to.n; i++) {
        const char *to = p->to.items[i];
        struct effect e = *one;
        e.component = host;
        e.peer = to;
        if (!field_peer_is_address(to))
            effects_add(ret, &e);
        else if (!effects_towards(env, host, to, one, ret))
            return err_set(
                err, ENOTSUP,
                "no host has an address within %s: a forecast does not know whom packets "
                "between %s and it concern",
                to, host);
    }
    return 0;
}

int network_effect(struct inject_env *env, const struct step *step, struct effects *ret,
                   struct err *err)
{
    const struct network_params *p = step->params;
    const struct impaired *m = &p->impaired;
    if (p->to.n == 0 && (p->port.n || p->peer_port.n || p->own_port.n))
        return effects_too_narrow(step, "the ports", err);
    int ways = p->direction == NETWORK_BOTH ? 2 : 1;
    double kept = 1 - lost(m);
    struct effect loss = {.kind = EFFECT_LOSS, .share = 1 - (ways == 2 ? kept * kept : kept)};
    struct effect slow = {.kind = EFFECT_SLOW,
                          .share = 1,
                          .delay = nsec_is_set(m->delay) ? ways * m->delay : 0,
                          .each_trip = true};
    struct effect none = {.kind = EFFECT_NOTHING};
    AUTO_TARGETS got = {0};
    int r = targets_choose(env, p->host, &got, err);
    for (size_t i = 0; r == 0 && i < got.n; i++) {
        if (loss.share > 0)
            r = network_whom(env, p, got.hosts[i], &loss, ret, err);
        if (r == 0 && slow.delay > 0)
            r = network_whom(env, p, got.hosts[i], &slow, ret, err);
        if (r == 0 && loss.share <= 0 && slow.delay <= 0)
            r = network_whom(env, p, got.hosts[i], &none, ret, err);
    }
    return r;
}
