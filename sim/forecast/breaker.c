/* Closed, open, half open: states of a window of answers that begins anew with each of them. */
#include "sim/forecast/breaker.h"

#include <math.h>
#include <string.h>

const struct breaker_config breaker_defaults = {
    .window = 100, .min_calls = 100, .threshold = 0.5, .open_for = 60 * NSEC_SEC, .half_open = 10};

struct breaker breaker_new(const struct breaker_config *config)
{
    return (struct breaker){.config = *config};
}

static void breaker_becomes(struct breaker *b, enum breaker_state state, nsec at)
{
    b->state = state;
    b->opened = at;
    b->tried = b->calls = b->bad = b->at = 0;
    memset(b->bits, 0, sizeof b->bits);
}

bool breaker_lets(struct breaker *b, nsec at)
{
    if (b->state == BREAKER_OPEN && at >= nsec_add(b->opened, b->config.open_for))
        breaker_becomes(b, BREAKER_HALF_OPEN, at);
    if (b->state == BREAKER_OPEN)
        return false;
    return b->state == BREAKER_CLOSED || b->tried++ < b->config.half_open;
}

/* Into the window of so many answers. */
static void breaker_count(struct breaker *b, int64_t window, bool bad)
{
    uint64_t *word = &b->bits[b->at / 64], mask = UINT64_C(1) << (b->at % 64);
    if (b->calls == window)
        b->bad -= (*word & mask) != 0;
    else
        b->calls++;
    *word = bad ? *word | mask : *word & ~mask;
    b->bad += bad;
    b->at = (b->at + 1) % window;
}

void breaker_answer(struct breaker *b, nsec at, bool bad)
{
    if (b->state == BREAKER_OPEN)
        return; /* of a call from before */
    bool trying = b->state == BREAKER_HALF_OPEN;
    breaker_count(b, trying ? b->config.half_open : b->config.window, bad);
    if (b->calls < (trying ? b->config.half_open : b->config.min_calls))
        return;
    if ((double)b->bad >= b->config.threshold * (double)b->calls)
        breaker_becomes(b, BREAKER_OPEN, at);
    else if (trying)
        breaker_becomes(b, BREAKER_CLOSED, at);
}

nsec breaker_opens_after(const struct breaker_config *c, double bad, double per_second)
{
    double failures = ceil(c->threshold * (double)c->window);
    if (bad < c->threshold || per_second <= 0)
        return NSEC_INF;
    return (nsec)(failures / (bad * per_second) * (double)NSEC_SEC + 0.5);
}

nsec breaker_refuses(const struct breaker_config *c, nsec opened, nsec back, double per_second)
{
    nsec trying = (nsec)((double)c->half_open / per_second * (double)NSEC_SEC + 0.5);
    nsec since = (back - opened) % nsec_add(c->open_for, trying);
    return since < c->open_for ? c->open_for - since : 0;
}

/* ---- the flow ---- */

#define NEARLY 1e-6 /* of an answer: what rounding leaves */

struct breaker_flow breaker_flow_new(const struct breaker_config *config, double per_second,
                                     nsec at)
{
    return (struct breaker_flow){
        .config = config, .per_second = per_second, .at = at, .calls = (double)config->window};
}

nsec breaker_flow_next(const struct breaker_flow *f)
{
    const struct breaker_config *c = f->config;
    if (f->state != BREAKER_CLOSED)
        return f->until;
    double size = (double)c->window, failures = ceil(c->threshold * size);
    if (f->share <= 0 || f->share * size + NEARLY < failures)
        return NSEC_INF;
    double full = (size - f->calls) / f->per_second,
           reached = (failures - f->bad) / (f->share * f->per_second),
           wait = full > reached ? full : reached;
    return wait > 0 ? nsec_add(f->at, (nsec)(wait * (double)NSEC_SEC + 0.5)) : f->at;
}

/* To `at`, within a state. */
static void flow_on(struct breaker_flow *f, nsec at)
{
    double n = (double)(at - f->at) / (double)NSEC_SEC * f->per_second;
    double size = (double)f->config->window, steady = f->share * size;
    f->at = at;
    if (f->state == BREAKER_HALF_OPEN)
        f->bad += f->share * n;
    if (f->state != BREAKER_CLOSED)
        return;
    f->calls = fmin(size, f->calls + n);
    f->bad = steady >= f->bad ? fmin(steady, f->bad + f->share * n)
                              : fmax(steady, f->bad - (1 - f->share) * n);
}

enum breaker_state breaker_flow_meets(struct breaker_flow *f, nsec at, double bad)
{
    const struct breaker_config *c = f->config;
    for (nsec next = breaker_flow_next(f); next <= at; next = breaker_flow_next(f)) {
        flow_on(f, next);
        if (f->state == BREAKER_OPEN) {
            f->state = BREAKER_HALF_OPEN;
            f->until = nsec_add(
                next, (nsec)((double)c->half_open / f->per_second * (double)NSEC_SEC + 0.5));
        } else if (f->state == BREAKER_HALF_OPEN &&
                   f->bad + NEARLY < c->threshold * (double)c->half_open) {
            f->state = BREAKER_CLOSED;
            f->calls = 0;
        } else {
            f->state = BREAKER_OPEN;
            f->until = nsec_add(next, c->open_for);
        }
        f->bad = 0;
    }
    flow_on(f, at);
    f->share = bad;
    return f->state;
}
