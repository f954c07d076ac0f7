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
