/* An impairment in words. See impaired.h. */
#include "sim/model/impaired.h"

#include "sim/base/units.h"

static void part(struct buf *out, size_t begin)
{
    if (out->len > begin)
        buf_adds(out, ", ");
}

static void percent(struct buf *out, double share)
{
    buf_printf(out, "%.6g %%", share * 100);
}

static void correlated(struct buf *out, double correlation)
{
    if (correlation > 0)
        buf_printf(out, " (correlation %.6g %%)", correlation * 100);
}

static void share_text(struct buf *out, size_t begin, const char *what, double share,
                       double correlation)
{
    if (share <= 0)
        return;
    part(out, begin);
    buf_printf(out, "%s ", what);
    percent(out, share);
    correlated(out, correlation);
}

static const char *shape_text(enum impair_distribution d)
{
    static const char *const words[] = {[IMPAIR_UNIFORM] = "uniform",
                                        [IMPAIR_NORMAL] = "normal",
                                        [IMPAIR_PARETO] = "pareto",
                                        [IMPAIR_PARETONORMAL] = "paretonormal",
                                        [IMPAIR_TABLE] = "its own distribution"};
    return words[d];
}

static void delay_text(const struct impairment *m, struct buf *out)
{
    char delay[NSEC_TEXT_MAX], jitter[NSEC_TEXT_MAX];
    if (m->delay == 0)
        return;
    buf_printf(out, "delay %s", nsec_text(m->delay, delay));
    if (m->jitter > 0)
        buf_printf(out, " ± %s (%s)", nsec_text(m->jitter, jitter), shape_text(m->distribution));
    correlated(out, m->delay_correlation);
    if (m->keep_order)
        buf_adds(out, " in order");
}

static void loss_text(const struct impairment *m, struct buf *out, size_t begin)
{
    const struct impair_loss *l = &m->loss;
    if (l->kind == IMPAIR_LOSS_NONE)
        return;
    if (l->kind == IMPAIR_LOSS_RANDOM) {
        share_text(out, begin, "loss", l->ratio, l->correlation);
    } else if (l->kind == IMPAIR_LOSS_GILBERT_ELLIOTT) {
        part(out, begin);
        buf_printf(out,
                   "loss in bursts (to bad %.6g %%, to good %.6g %%, lost %.6g %% and %.6g %%)",
                   l->p * 100, l->r * 100, l->one_minus_h * 100, l->one_minus_k * 100);
    } else {
        part(out, begin);
        buf_printf(out,
                   "loss by states (p13 %.6g %%, p31 %.6g %%, p32 %.6g %%, p23 %.6g %%, p14 "
                   "%.6g %%)",
                   l->p13 * 100, l->p31 * 100, l->p32 * 100, l->p23 * 100, l->p14 * 100);
    }
    if (m->ecn)
        buf_adds(out, ", marked where possible");
}

static void rate_text(const struct impairment *m, struct buf *out, size_t begin)
{
    char rate[UNITS_TEXT_MAX];
    if (m->rate == 0)
        return;
    part(out, begin);
    buf_printf(out, "rate %s/s", units_rate_text((int64_t)m->rate * 8, rate));
    if (m->packet_overhead)
        buf_printf(out, ", %+d B a packet", m->packet_overhead);
    if (m->cell_size)
        buf_printf(out, ", cells of %u B", m->cell_size);
    if (m->cell_overhead)
        buf_printf(out, " (%+d B)", m->cell_overhead);
}

static void slot_text(const struct impairment *m, struct buf *out, size_t begin)
{
    const struct impair_slot *s = &m->slot;
    char a[NSEC_TEXT_MAX], b[NSEC_TEXT_MAX];
    if (!m->has_slot)
        return;
    part(out, begin);
    if (s->distributed)
        buf_printf(out, "slots every %s ± %s (%s)", nsec_text(s->delay, a), nsec_text(s->jitter, b),
                   shape_text(s->distribution));
    else
        buf_printf(out, "slots every %s to %s", nsec_text(s->min, a), nsec_text(s->max, b));
    if (s->packets)
        buf_printf(out, " of %d packets", s->packets);
    if (s->bytes)
        buf_printf(out, " of %d B", s->bytes);
}

void impairment_text(const struct impairment *m, struct buf *out)
{
    size_t begin = out->len;
    delay_text(m, out);
    share_text(out, begin, "reordering", m->reorder, m->reorder_correlation);
    if (m->gap)
        buf_printf(out, " (gap %u)", m->gap);
    loss_text(m, out, begin);
    share_text(out, begin, "duplication", m->duplicate, m->duplicate_correlation);
    share_text(out, begin, "corruption", m->corrupt, m->corrupt_correlation);
    rate_text(m, out, begin);
    slot_text(m, out, begin);
    if (m->limit) {
        part(out, begin);
        buf_printf(out, "at most %u packets held", m->limit);
    }
    if (out->len == begin)
        buf_adds(out, "nothing");
}
