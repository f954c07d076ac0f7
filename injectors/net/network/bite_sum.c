/* From packets that arrived to what an impairment did. See bite.h. */
#include "injectors/net/network/bite.h"

#include <math.h>
#include <string.h>

#include "injectors/net/network/chain.h"

/* Two-sided: once in 10,000 times beyond. */
#define Z_SURE 3.89
#define Z_95 1.96
/* Fewer say nothing of a mean. */
#define BURSTS_LEAST 10
#define SLOTS_LEAST 5
/* So many packets of ours for one of others: then runs of ours are runs of the chain. */
#define OURS_TO_OTHERS 20

static int by_size(const void *a, const void *b)
{
    nsec x = *(const nsec *)a, y = *(const nsec *)b;
    return x < y ? -1 : x > y;
}

static void sum_delays(nsec *delays, size_t n, struct bite_seen *s)
{
    double mean = 0, square = 0;
    s->mean = s->median = NSEC_UNSET;
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++)
        mean += (double)delays[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        square += ((double)delays[i] - mean) * ((double)delays[i] - mean);
    qsort(delays, n, sizeof *delays, by_size);
    s->mean = (nsec)mean;
    s->median = delays[n / 2];
    s->spread = n > 1 ? sqrt(square / (double)(n - 1)) : 0;
}

/* Those whose beginning and end were both seen. */
static void sum_bursts(const bool *had, size_t sent, struct bite_seen *s)
{
    size_t run = 0;
    bool whole = false; /* the packet before the run arrived */
    for (size_t i = 0; i < sent; i++) {
        if (!had[i]) {
            whole = run ? whole : i > 0;
            run++;
            continue;
        }
        if (run && whole) {
            s->bursts++;
            s->in_bursts += (double)run;
            s->in_bursts_squared += (double)run * (double)run;
        }
        run = 0;
    }
}

void bite_sum(const struct tracer_seen *seen, size_t n, size_t sent, nsec early,
              struct bite_seen *ret)
{
    struct bite_seen s = {.ways = 1, .sent = sent};
    AUTO_FREE bool *had = calloc(sent + 1, sizeof *had);
    AUTO_FREE nsec *delays = calloc(n + 1, sizeof *delays);
    size_t n_delays = 0;
    if (!had || !delays)
        abort(); /* as the buffers of sim/base do */
    for (size_t i = 0; i < n; i++) {
        if (seen[i].seq >= sent)
            continue; /* of the burst */
        if (had[seen[i].seq]) {
            s.doubled++;
            continue;
        }
        had[seen[i].seq] = true;
        s.arrived++;
        if (!seen[i].intact) { /* what broke may be its stamp */
            s.damaged++;
            continue;
        }
        s.at_once += seen[i].arrived - seen[i].sent < early;
        delays[n_delays++] = seen[i].arrived - seen[i].sent;
    }
    s.lost = sent - s.arrived;
    sum_delays(delays, n_delays, &s);
    sum_bursts(had, sent, &s);
    *ret = s;
}

nsec bite_slot(const struct impairment *m)
{
    const struct impair_slot *s = &m->slot;
    if (!m->has_slot)
        return 0;
    return s->distributed ? s->delay : (s->min + (s->max > s->min ? s->max : s->min)) / 2;
}

bool bite_shows_slots(const struct impairment *m, nsec every)
{
    return m->has_slot && m->slot.packets == 0 && m->slot.bytes == 0 && bite_slot(m) >= 3 * every;
}

/* What waited for one slot arrives together; unimpaired, each packet would be a group. */
void bite_groups(const struct tracer_seen *seen, size_t n, size_t sent, nsec every,
                 struct bite_seen *ret)
{
    nsec last = NSEC_UNSET, group = NSEC_UNSET;
    for (size_t i = 0; i < n; i++) {
        nsec at = seen[i].arrived;
        if (seen[i].seq >= sent)
            continue;
        bool new_group = !nsec_is_set(last) || at - last > every / 2;
        if (new_group && nsec_is_set(group)) {
            double apart = (double)(at - group);
            ret->slots++;
            ret->apart += apart;
            ret->apart_squared += apart * apart;
        }
        group = new_group ? at : group;
        last = at;
    }
}

/* --- What is asked for ------------------------------------------------------------------------ */

double bite_loss(const struct impair_loss *l)
{
    struct chain chain;
    if (chain_of(l, &chain))
        return chain.loss;
    return l->kind == IMPAIR_LOSS_RANDOM ? l->ratio : 0;
}

/* --- Judging ---------------------------------------------------------------------------------- */

/* Wilson, 1927: never outside of [0, 1], and sound when nothing or everything was hit. */
static void interval(size_t hits, size_t n, double z, double *ret_lo, double *ret_hi)
{
    double p = (double)hits / (double)n, zz = z * z / (double)n;
    double middle = (p + zz / 2) / (1 + zz);
    double half = z / (1 + zz) * sqrt(p * (1 - p) / (double)n + zz / (4 * (double)n));
    *ret_lo = middle - half < 0 ? 0 : middle - half;
    *ret_hi = middle + half > 1 ? 1 : middle + half;
}

/* Surely less than two thirds of what was asked? */
static bool too_few(double asked, size_t hits, size_t n)
{
    double lo, hi;
    if (asked <= 0 || n == 0)
        return false;
    interval(hits, n, Z_SURE, &lo, &hi);
    return hi < asked * 2 / 3;
}

/* By this factor a count of losses varies more than one of independent losses; 0: not known. */
static double inflation(const struct impairment *m)
{
    struct chain chain;
    if (chain_of(&m->loss, &chain))
        return chain.inflation;
    return m->loss.correlation > 0 ? 0 : 1;
}

/* So many independent packets would say as much as these. */
static void worth(const struct impairment *m, const struct bite_seen *s, size_t *ret_lost,
                  size_t *ret_n)
{
    double factor = inflation(m);
    *ret_n = factor > 0 ? (size_t)((double)s->sent / factor) : 0;
    *ret_lost = s->sent ? (size_t)rint((double)s->lost * (double)*ret_n / (double)s->sent) : 0;
}

static bool too_little_lost(const struct impairment *m, const struct bite_seen *s)
{
    double asked = bite_loss(&m->loss);
    size_t lost, n;
    worth(m, s, &lost, &n);
    struct chain chain;
    /* Bursts come at random: none of ten, once in 20,000 times. */
    if (s->lost == 0 && chain_of(&m->loss, &chain) &&
        asked * (double)s->sent >= BURSTS_LEAST * chain.burst)
        return true;
    if (n == 0) /* only that nothing at all was lost where much was to be is sure */
        return s->lost == 0 && asked * (double)s->sent >= 50;
    return too_few(asked, lost, n);
}

static bool sees_bursts(const struct bite_seen *s)
{
    return s->others_known && s->others * OURS_TO_OTHERS <= s->sent;
}

static double mean_burst(const struct bite_seen *s)
{
    return s->bursts ? s->in_bursts / (double)s->bursts : 0;
}

/* Surely shorter than two thirds, or longer than three halves, of what was asked? */
static bool other_bursts(const struct impairment *m, const struct bite_seen *s)
{
    struct chain chain;
    if (!chain_of(&m->loss, &chain) || !sees_bursts(s) || s->bursts < BURSTS_LEAST)
        return false;
    double off = Z_SURE * chain.burst_spread / sqrt((double)s->bursts), mean = mean_burst(s);
    return (mean < chain.burst * 2 / 3 && mean < chain.burst - off) ||
           (mean > chain.burst * 3 / 2 && mean > chain.burst + off);
}

static double spread_of(size_t n, double sum, double squares)
{
    double mean = sum / (double)n, v = squares / (double)n - mean * mean;
    return n > 1 && v > 0 ? sqrt(v * (double)n / (double)(n - 1)) : 0;
}

/* Who comes alone waits a whole slot, who comes with many half of one, at least on average. */
static bool no_slots(const struct impairment *m, const struct bite_seen *s)
{
    double slot = (double)bite_slot(m);
    if (!m->has_slot || slot <= 0)
        return false;
    if (nsec_is_set(s->mean) && s->arrived >= SLOTS_LEAST) {
        double wait = (double)(s->mean - m->delay);
        if (wait + Z_SURE * s->spread / sqrt((double)s->arrived) < slot / 3)
            return true;
    }
    if (s->slots < SLOTS_LEAST)
        return false;
    double n = (double)s->slots, apart = s->apart / n;
    return apart + Z_SURE * spread_of(s->slots, s->apart, s->apart_squared) / sqrt(n) < slot / 2;
}

static bool too_early(const struct impairment *m, const struct bite_seen *s)
{
    nsec least = m->jitter > 0 ? m->delay - m->jitter : m->delay - m->delay / 10;
    return nsec_is_set(s->median) && s->arrived >= 5 && m->reorder < 0.4 && s->median < least;
}

bool bite_bites(const struct impairment *what, const struct bite_seen *s)
{
    bool too_fast = what->rate > 0 && s->rate > what->rate + what->rate / 4;
    bool correlated = what->duplicate_correlation > 0 || what->corrupt_correlation > 0;
    if (s->sent == 0)
        return true;
    if (too_early(what, s) || too_little_lost(what, s) || other_bursts(what, s) ||
        no_slots(what, s) || too_fast)
        return false;
    if (correlated)
        return true;
    /* of what is flipped in a packet some is its headers, and a part of those is then lost */
    return !too_few(what->duplicate, s->doubled, s->arrived) &&
           !too_few(what->corrupt * 0.9, s->damaged + s->lost, s->sent);
}

/* --- In words --------------------------------------------------------------------------------- */

static void part(struct buf *out, size_t begin)
{
    if (out->len > begin)
        buf_adds(out, ", ");
}

static void share(struct buf *out, size_t begin, const char *what, double asked, size_t hits,
                  size_t n, bool with_interval)
{
    double lo, hi;
    if (asked <= 0 || n == 0)
        return;
    part(out, begin);
    buf_printf(out, "%s %.3g %%", what, 100 * (double)hits / (double)n);
    if (!with_interval)
        return;
    interval(hits, n, Z_95, &lo, &hi);
    buf_printf(out, " [%.2g, %.2g]", 100 * lo, 100 * hi);
}

static void delay(const struct impairment *m, const struct bite_seen *s, struct buf *out)
{
    char mean[NSEC_TEXT_MAX], spread[NSEC_TEXT_MAX];
    if (m->delay == 0 || !nsec_is_set(s->mean))
        return;
    nsec to = s->mean > 10 * NSEC_MSEC ? 100 * NSEC_USEC : NSEC_USEC;
    buf_printf(out, "delay %s", nsec_text((s->mean + to / 2) / to * to, mean));
    if (m->jitter == 0)
        return;
    /* as it was asked for: half the width of a uniform distribution, else a standard deviation */
    double wide = m->distribution == IMPAIR_UNIFORM ? s->spread * sqrt(3) : s->spread;
    to = wide > 4e6 ? 100 * NSEC_USEC : wide > 1e6 ? 10 * NSEC_USEC : NSEC_USEC;
    buf_printf(out, " ± %s", nsec_text(((nsec)wide + to / 2) / to * to, spread));
}

/* Its interval is that of as many packets as would say as much if each were lost for itself. */
static void loss(const struct impairment *m, const struct bite_seen *s, struct buf *out,
                 size_t begin)
{
    double asked = bite_loss(&m->loss), lo, hi;
    size_t lost, n;
    worth(m, s, &lost, &n);
    share(out, begin, "loss", asked, s->lost, s->sent, false);
    if (asked <= 0 || s->sent == 0 || n == 0)
        return;
    interval(lost, n, Z_95, &lo, &hi);
    buf_printf(out, " [%.2g, %.2g]", 100 * lo, 100 * hi);
}

static void bursts(const struct impairment *m, const struct bite_seen *s, struct buf *out,
                   size_t begin)
{
    struct chain chain;
    if (!chain_of(&m->loss, &chain) || s->sent == 0)
        return;
    part(out, begin);
    if (!sees_bursts(s)) {
        buf_adds(out, s->others_known ? "bursts not judged: others' packets came between ours"
                                      : "bursts not judged: nobody counted others' packets");
        return;
    }
    if (s->bursts < BURSTS_LEAST) {
        buf_printf(out, "bursts not judged: %zu are too few", s->bursts);
        return;
    }
    double mean = mean_burst(s);
    double off =
        Z_95 * spread_of(s->bursts, s->in_bursts, s->in_bursts_squared) / sqrt((double)s->bursts);
    buf_printf(out, "bursts of %.3g [%.2g, %.2g]", mean, mean - off < 1 ? 1 : mean - off,
               mean + off);
}

static void slots(const struct impairment *m, const struct bite_seen *s, struct buf *out,
                  size_t begin)
{
    char text[NSEC_TEXT_MAX];
    if (!m->has_slot || s->sent == 0 || (s->slots < SLOTS_LEAST && !nsec_is_set(s->mean)))
        return;
    part(out, begin);
    if (s->slots >= SLOTS_LEAST)
        buf_printf(out, "slots %s apart",
                   nsec_text((nsec)(s->apart / (double)s->slots) / NSEC_USEC * NSEC_USEC, text));
    else
        buf_printf(out, "waited %s for a slot",
                   nsec_text((s->mean - m->delay) / NSEC_USEC * NSEC_USEC, text));
}

void bite_chain_text(const struct impairment *what, struct buf *out)
{
    struct chain chain;
    if (chain_of(&what->loss, &chain))
        buf_printf(out, "loss %.3g %%, in bursts of %.3g", 100 * chain.loss, chain.burst);
}

static void rate_text(uint64_t bytes, struct buf *out)
{
    static const char *const units[] = {"bit", "kbit", "mbit", "gbit", "tbit"};
    double v = (double)bytes * 8;
    size_t i = 0;
    for (; v >= 1000 && i + 1 < sizeof units / sizeof units[0]; i++)
        v /= 1000;
    buf_printf(out, "rate %.3g%s/s", v, units[i]);
}

void bite_text(const struct impairment *what, const struct bite_seen *s, struct buf *out)
{
    size_t begin = out->len;
    delay(what, s, out);
    share(out, begin, "at once", what->reorder, s->at_once, s->arrived, !what->reorder_correlation);
    loss(what, s, out, begin);
    bursts(what, s, out, begin);
    share(out, begin, "doubled", what->duplicate, s->doubled, s->arrived, true);
    share(out, begin, "damaged", what->corrupt, s->damaged, s->arrived, true);
    slots(what, s, out, begin);
    if (what->rate && s->rate) {
        part(out, begin);
        rate_text(s->rate, out);
    } else if (what->rate && s->sent) {
        part(out, begin);
        buf_adds(out, what->rate > BITE_RATE_MAX
                          ? "rate read back alone: above 1gbit/s single packets are no measure"
                          : "rate not judged: too few of a burst arrived");
    }
    if (out->len == begin)
        buf_printf(out, "%zu of %zu arrived", s->arrived, s->sent);
}
