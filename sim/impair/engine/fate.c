/* The fate of packets; see fate.h. */
#include "sim/impair/engine/fate.h"

#include "sim/impair/engine/chance.h"
#include "sim/impair/engine/spread.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define DELAY_MAX (3600 * NSEC_SEC)

struct fate {
    struct impairment what; /* tables are not looked at any more */
    uint64_t source;
    struct chance_loss loss;
    struct chance_odds duplicate, corrupt, reorder;
    struct spread *delay, *slot; /* NULL: none */
    uint32_t counter;            /* since the last one that was reordered */
    nsec last;                   /* the latest due time given; NSEC_UNSET: none yet */
    nsec slot_next;
    int64_t slot_packets, slot_bytes; /* left in this slot */
};

static struct chance_odds odds(double p, double correlation, uint64_t *source)
{
    struct chance_odds o = {.below = spread_threshold(p, correlation),
                            .rho = (uint32_t)(correlation * (double)UINT32_MAX)};
    if (!o.below)
        return (struct chance_odds){0};
    o.last = chance_next((__u64 *)source);
    if (o.rho) /* until it forgot where it began */
        for (int i = 0; i < 3000; i++)
            chance_draw(o.rho, &o.last, (__u64 *)source);
    return o;
}

void fate_chances(const struct impairment *what, uint64_t *source, struct chance_loss *ret_loss,
                  struct chance_odds *ret_duplicate)
{
    const struct impair_loss *l = &what->loss;
    struct chance_loss r = {.kind = CHANCE_LOSS_NONE, .state = CHANCE_GAP};
    switch (l->kind) {
    case IMPAIR_LOSS_NONE:
        break;
    case IMPAIR_LOSS_RANDOM:
        r.kind = CHANCE_LOSS_RANDOM;
        r.random = odds(l->ratio, l->correlation, source);
        break;
    case IMPAIR_LOSS_GILBERT_ELLIOTT:
        r.kind = CHANCE_LOSS_GILBERT_ELLIOTT;
        r.p = spread_threshold(l->p, 0);
        r.r = spread_threshold(l->r, 0);
        r.bad_loses = spread_threshold(l->one_minus_h, 0);
        r.good_loses = spread_threshold(l->one_minus_k, 0);
        break;
    case IMPAIR_LOSS_STATE:
        r.kind = CHANCE_LOSS_STATE;
        r.p13 = spread_threshold(l->p13, 0);
        r.p31 = spread_threshold(l->p31, 0);
        r.p32 = spread_threshold(l->p32, 0);
        r.p23 = spread_threshold(l->p23, 0);
        r.p14 = spread_threshold(l->p14, 0);
        break;
    }
    *ret_loss = r;
    *ret_duplicate = odds(what->duplicate, what->duplicate_correlation, source);
}

/* --- What cannot be meant ------------------------------------------------------ */

/* A chain that remembers everything would never come to its mean. */
#define CORRELATION_MAX 0.99

static int check_ratios(const struct impairment *w, struct err *err)
{
    struct impairment_ratio all[IMPAIRMENT_RATIOS];
    impairment_ratios(w, all);
    for (size_t i = 0; i < IMPAIRMENT_RATIOS; i++) {
        double most = all[i].is_correlation ? CORRELATION_MAX : 1;
        if (!(all[i].value >= 0 && all[i].value <= most))
            return err_set(err, EINVAL, "%s must be between 0 %% and %g %%, not %g %%", all[i].name,
                           most * 100, all[i].value * 100);
    }
    return 0;
}

int fate_check(const struct impairment *w, struct err *err)
{
    int r = check_ratios(w, err);
    if (r < 0)
        return r;
    const struct impair_slot *s = &w->slot;
    nsec times[] = {w->delay, w->jitter, s->min, s->max, s->delay, s->jitter};
    for (size_t i = 0; i < ARRAY_SIZE(times); i++)
        if (times[i] < 0 || times[i] > DELAY_MAX)
            return err_set(err, EINVAL, "a delay must be between 0 and one hour");
    if ((w->reorder > 0 || w->gap > 0) && w->delay == 0)
        return err_set(err, EINVAL,
                       "reordering needs a delay: what goes at once overtakes the rest");
    if (w->keep_order && (w->reorder > 0 || w->gap > 0))
        return err_set(err, EINVAL, "packets cannot both keep their order and be reordered");
    if (w->has_slot && !s->distributed && s->max && s->max < s->min)
        return err_set(err, EINVAL,
                       "the longest waiting between slots is shorter than the shortest");
    if (s->packets < 0 || s->bytes < 0)
        return err_set(err, EINVAL, "a slot cannot have fewer than no packets or bytes");
    if (w->cell_size && w->cell_overhead < 0 && (uint32_t)-w->cell_overhead >= w->cell_size)
        return err_set(err, EINVAL, "a cell's overhead of %d bytes leaves nothing of its %u bytes",
                       w->cell_overhead, w->cell_size);
    if ((w->distribution == IMPAIR_TABLE && !spread_is_table(&w->table)) ||
        (w->has_slot && s->distribution == IMPAIR_TABLE && !spread_is_table(&s->table)))
        return err_set(err, EINVAL, "a distribution's table has 1 to %d values", IMPAIR_TABLE_MAX);
    return 0;
}

/* ------------------------------------------------------------------------------ */

int fate_new(const struct impairment *what, uint64_t seed, struct fate **ret, struct err *err)
{
    int r = fate_check(what, err);
    if (r < 0)
        return r;
    CLEANUP(fate_free_p) struct fate *f = calloc(1, sizeof *f);
    if (!f)
        return err_set(err, ENOMEM, "no memory for a line");
    f->what = *what;
    f->source = what->has_seed ? what->seed : seed;
    f->last = NSEC_UNSET;
    f->slot_next = NSEC_UNSET;
    if (f->what.reorder > 0 && f->what.gap == 0)
        f->what.gap = 1; /* as tc does */
    else if (f->what.gap > 0 && f->what.reorder <= 0)
        f->what.reorder = 1; /* every gap-th packet for certain, as the kernel does */
    fate_chances(what, &f->source, &f->loss, &f->duplicate);
    f->corrupt = odds(what->corrupt, what->corrupt_correlation, &f->source);
    f->reorder = odds(f->what.reorder, what->reorder_correlation, &f->source);
    r = spread_new(what->distribution, &what->table, what->delay_correlation, &f->source, &f->delay,
                   err);
    if (r < 0)
        return r;
    if (what->has_slot) {
        r = spread_new(what->slot.distribution, &what->slot.table, 0, &f->source, &f->slot, err);
        if (r < 0)
            return r;
    }
    *ret = steal_ptr(f);
    return 0;
}

struct fate *fate_free(struct fate *f)
{
    if (!f)
        return NULL;
    spread_free(f->delay);
    spread_free(f->slot);
    free(f);
    return NULL;
}

bool fate_is_per_packet(const struct impairment *w)
{
    return w->jitter || w->loss.kind != IMPAIR_LOSS_NONE || w->duplicate > 0 || w->corrupt > 0 ||
           w->reorder > 0 || w->gap || w->rate || w->has_slot;
}

nsec fate_least(const struct impairment *w)
{
    /* A limit counts what is held when a packet comes. */
    return w->jitter || w->reorder > 0 || w->gap || w->limit ? 0 : w->delay;
}

bool fate_is_momentary(const struct impairment *w)
{
    return !w->delay && !w->jitter && w->corrupt <= 0 && w->reorder <= 0 && !w->gap && !w->rate &&
           !w->has_slot && !w->ecn;
}

/* The time on the line, as netem's packet_time_ns(). */
static nsec time_on_line(const struct impairment *w, size_t len)
{
    int64_t bytes = (int64_t)len + w->packet_overhead;
    if (bytes < 0)
        bytes = 0;
    if (w->cell_size) {
        int64_t cells = (bytes + w->cell_size - 1) / w->cell_size;
        bytes = cells * ((int64_t)w->cell_size + w->cell_overhead);
    }
    return (nsec)((double)bytes * (double)NSEC_SEC / (double)w->rate);
}

static nsec fate_delay(struct fate *f, nsec arrival, size_t len)
{
    const struct impairment *w = &f->what;
    nsec delay = spread_draw(f->delay, w->delay, w->jitter, &f->source);
    nsec from = arrival;
    if (delay < 0 && !w->rate)
        delay = 0; /* nothing leaves before it came */
    if (w->rate) {
        if (nsec_is_set(f->last) && f->last > arrival) {
            /* What waits before it is part of its delay. */
            delay -= f->last - arrival;
            from = f->last;
        }
        delay = (delay < 0 ? 0 : delay) + time_on_line(w, len);
    }
    nsec due = nsec_add(from, delay);
    if (w->keep_order && nsec_is_set(f->last) && due < f->last)
        due = f->last;
    if (!nsec_is_set(f->last) || due > f->last)
        f->last = due;
    return due;
}

struct fate_of fate_draw(struct fate *f, nsec arrival, size_t len, bool markable, bool copy)
{
    __u64 *source = (__u64 *)&f->source;
    struct fate_of r = {.due = arrival};
    r.duplicated = !copy && chance_happens(&f->duplicate, source);
    if (chance_lost(&f->loss, source)) {
        r.mark = f->what.ecn && markable;
        r.lost = !r.mark;
        if (r.lost)
            return r;
    }
    if (chance_happens(&f->corrupt, source)) {
        r.corrupted = true;
        r.where = chance_next(source);
    }
    if (f->what.gap && f->counter >= f->what.gap - 1 && chance_happens(&f->reorder, source)) {
        f->counter = 0;
        r.at_once = true;
        return r;
    }
    f->counter++;
    r.due = fate_delay(f, arrival, len);
    return r;
}

/* --- Slots ------------------------------------------------------------------------ */

static void next_slot(struct fate *f, nsec now)
{
    const struct impair_slot *s = &f->what.slot;
    nsec wait;
    if (s->distributed)
        wait = spread_draw(f->slot, s->delay, s->jitter, &f->source);
    else {
        nsec more = s->max > s->min ? s->max - s->min : 0;
        double u = chance_next((__u64 *)&f->source) / (double)CHANCE_CERTAIN;
        wait = s->min + (nsec)(u * (double)more);
    }
    f->slot_next = nsec_add(now, wait < 0 ? 0 : wait);
    f->slot_packets = s->packets ? s->packets : INT64_MAX;
    f->slot_bytes = s->bytes ? s->bytes : INT64_MAX;
}

nsec fate_slot(struct fate *f, nsec due, nsec now, size_t len)
{
    if (!f->what.has_slot)
        return 0;
    /* As netem: also the first packet after a pause waits for a slot. */
    if (!nsec_is_set(f->slot_next) || f->slot_next < due)
        next_slot(f, now);
    if (f->slot_next > now)
        return f->slot_next;
    f->slot_packets--;
    f->slot_bytes -= (int64_t)len;
    if (f->slot_packets <= 0 || f->slot_bytes <= 0)
        next_slot(f, now);
    return 0;
}
