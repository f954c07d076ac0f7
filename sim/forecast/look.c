/* How requests fare at an instant: from the effects in force on what answers them, on the way, and on whoever
 * asks, to what a probe meets.
 *
 * Shares are of requests, and independent of each other: what is passed one after another must all go well.
 */
#include "sim/forecast/trial_parts.h"

#include <string.h>

struct answer answer_of_two(struct answer a, struct answer b)
{
    double passed = 1 - a.quick - a.lost, good = passed * (1 - b.quick - b.lost);
    double lost = a.lost + passed * b.lost;
    bool none = a.slow <= 0 || a.slow_share <= 0;
    struct answer both = {.lost = lost,
                          .quick = 1 - good - lost,
                          .slow = none ? b.slow : a.slow,
                          .slow_share = none ? b.slow_share : a.slow_share};
    if (a.quick <= 0 && b.quick <= 0)
        both.quick = 0; /* not what rounding left */
    if (!none && b.slow > 0 && b.slow_share > 0) {
        both.slow = nsec_add(a.slow, b.slow);
        both.slow_share = a.slow_share > b.slow_share ? a.slow_share : b.slow_share;
    }
    return both;
}

/* P(at least k of the given go well), each by itself. */
static double at_least_good(const struct answer *of, size_t n, size_t k)
{
    double p[SYSTEM_UNITS_MAX + 1] = {1};
    for (size_t i = 0; i < n && i < SYSTEM_UNITS_MAX; i++) {
        double good = 1 - of[i].quick - of[i].lost;
        for (size_t m = i + 1; m > 0; m--)
            p[m] = p[m] * (1 - good) + p[m - 1] * good;
        p[0] *= 1 - good;
    }
    double sum = 0;
    for (size_t m = k; m <= n && m <= SYSTEM_UNITS_MAX; m++)
        sum += p[m];
    return sum;
}

struct answer answer_some(const struct answer *of, size_t n, size_t at_least)
{
    if (n == 1)
        return of[0];
    double quick = 0, lost = 0;
    size_t slow = 0;
    struct answer a = {.slow = NSEC_INF};
    for (size_t i = 0; i < n; i++) {
        quick += of[i].quick;
        lost += of[i].lost;
        slow += of[i].slow > 0 && of[i].slow_share > 0;
        if (of[i].slow > 0 && of[i].slow < a.slow) {
            a.slow = of[i].slow;
            a.slow_share = of[i].slow_share;
        }
    }
    if (n - slow >= at_least) /* those that are not slow will do */
        a.slow = 0;
    double bad = 1 - at_least_good(of, n, at_least);
    if (bad < 1e-12)
        bad = 0;
    if (quick + lost > 0) {
        a.quick = bad * quick / (quick + lost);
        a.lost = bad * lost / (quick + lost);
    }
    return a;
}

static double power(double x, int n)
{
    double p = 1;
    for (int i = 0; i < n; i++)
        p *= x;
    return p;
}

/* Each packet of each round trip is sent as often as the time allows. */
static double lost_requests(double loss, const struct system_vantage *from)
{
    double good = 1 - power(loss, from->first_tries);
    for (int i = 1; i < from->trips; i++)
        good *= 1 - power(loss, from->tries);
    return 1 - good;
}

/* Whether an act between two ends concerns these two. */
static bool concerns(const struct system *sys, const struct act *a, size_t x, size_t y)
{
    if (a->component == SYSTEM_NONE)
        return false;
    bool anybody = !a->effect.peer;
    return (system_covers(sys, a->component, x) && (anybody || system_covers(sys, a->peer, y))) ||
           (system_covers(sys, a->component, y) && (anybody || system_covers(sys, a->peer, x)));
}

static struct answer of_effect(const struct effect *e, const struct system_vantage *from)
{
    struct answer a = {0};
    switch (e->kind) {
    case EFFECT_NOTHING:
        break;
    case EFFECT_DOWN:
    case EFFECT_CUT:
        *(e->refused ? &a.quick : &a.lost) = 1;
        break;
    case EFFECT_BAD:
        *(e->refused ? &a.quick : &a.lost) = e->share;
        break;
    case EFFECT_LOSS:
        a.lost = lost_requests(e->share, from);
        break;
    case EFFECT_SLOW:
        a.slow = e->each_trip ? from->trips * e->delay : e->delay;
        a.slow_share = e->share;
        break;
    }
    return a;
}

static bool is_of_the_way(const struct act *a)
{
    return a->effect.kind == EFFECT_CUT || a->effect.kind == EFFECT_LOSS ||
           (a->effect.kind == EFFECT_SLOW && (a->effect.each_trip || a->effect.peer));
}

struct answer answer_of_unit(const struct trial *t, const struct system_list *acts,
                             size_t component, const struct system_vantage *from, nsec at)
{
    struct answer all = {0};
    for (size_t i = 0; i < acts->n; i++) {
        const struct act *a = &t->acts[acts->items[i]];
        if (!act_holds(a, at) || a->component == SYSTEM_NONE)
            continue;
        bool hit = is_of_the_way(a)
                       ? component != from->host && concerns(t->sys, a, component, from->host)
                       : system_covers(t->sys, a->component, component);
        if (hit)
            all = answer_both(all, of_effect(&a->effect, from));
    }
    return all;
}

struct answer answer_of_self(const struct trial *t, const struct system_list *acts, size_t service,
                             const struct system_vantage *from, nsec at)
{
    struct answer all = {0};
    for (size_t i = 0; i < acts->n; i++) {
        const struct act *a = &t->acts[acts->items[i]];
        if (a->service == service && act_holds(a, at))
            all = answer_both(all, of_effect(&a->effect, from));
    }
    return all;
}

struct answer answer_of_host(const struct trial *t, const struct system_list *acts,
                             const struct system_vantage *from, nsec at)
{
    struct answer all = {0};
    for (size_t i = 0; from->host != SYSTEM_NONE && i < acts->n; i++) {
        const struct act *a = &t->acts[acts->items[i]];
        if (!is_of_the_way(a) && a->component != SYSTEM_NONE && act_holds(a, at) &&
            system_covers(t->sys, a->component, from->host))
            all = answer_both(all, of_effect(&a->effect, from));
    }
    return all;
}

bool look_unit_is_down(const struct trial *t, const struct system_list *acts, size_t component,
                       nsec at)
{
    for (size_t i = 0; i < acts->n; i++) {
        const struct act *a = &t->acts[acts->items[i]];
        if (a->effect.kind == EFFECT_DOWN && a->component != SYSTEM_NONE && act_holds(a, at) &&
            system_covers(t->sys, a->component, component))
            return true;
    }
    return false;
}

bool look_units_are_cut(const struct trial *t, const struct system_list *acts, size_t x, size_t y,
                        nsec at)
{
    for (size_t i = 0; i < acts->n; i++) {
        const struct act *a = &t->acts[acts->items[i]];
        if (a->effect.kind == EFFECT_CUT && act_holds(a, at) && concerns(t->sys, a, x, y))
            return true;
    }
    return false;
}

struct look look_at(const struct answer *a, const struct system_vantage *from)
{
    struct look l = {.quick = a->quick, .lost = a->lost};
    double good = 1 - a->quick - a->lost;
    if (a->slow <= 0 || a->slow_share <= 0 || good <= 0)
        return l;
    l.delay = a->slow;
    if (a->slow >= from->timeout)
        l.lost += good * a->slow_share;
    else if (nsec_is_set(from->slow_after) && a->slow > from->slow_after)
        l.slow = good * a->slow_share;
    else
        l.late = good * a->slow_share;
    return l;
}
