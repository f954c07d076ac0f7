/* From packets that arrived to what an impairment did. See bite.h. */
#include "injectors/net/network/bite.h"

#include <math.h>
#include <string.h>

/* Two-sided: once in 10,000 times beyond. */
#define Z_SURE 3.89
#define Z_95 1.96

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
    *ret = s;
}

/* --- What is asked for ------------------------------------------------------------------------ */

static double states_loss(const struct impair_loss *l)
{
    /* The chain's stationary distribution, by running it. 1 good, 2 arrived in a burst, 3 lost in a
     * burst, 4 a single loss. */
    double x[4] = {1, 0, 0, 0};
    double p23 = l->p23;
    for (int i = 0; i < 20000; i++) {
        double y[4] = {x[0] * (1 - l->p13 - l->p14) + x[2] * l->p31 + x[3],
                       x[1] * (1 - p23) + x[2] * l->p32, /* 2 */
                       x[0] * l->p13 + x[1] * p23 + x[2] * (1 - l->p31 - l->p32), x[0] * l->p14};
        memcpy(x, y, sizeof x);
    }
    return x[2] + x[3];
}

double bite_loss(const struct impair_loss *l)
{
    switch (l->kind) {
    case IMPAIR_LOSS_NONE:
        return 0;
    case IMPAIR_LOSS_RANDOM:
        return l->ratio;
    case IMPAIR_LOSS_GILBERT_ELLIOTT: {
        double both = l->p + l->r;
        double bad = both > 0 ? l->p / both : 0;
        return bad * l->one_minus_h + (1 - bad) * l->one_minus_k;
    }
    case IMPAIR_LOSS_STATE:
        return states_loss(l);
    }
    return 0;
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

static bool comes_in_bursts(const struct impairment *m)
{
    return m->loss.kind == IMPAIR_LOSS_GILBERT_ELLIOTT || m->loss.kind == IMPAIR_LOSS_STATE ||
           m->loss.correlation > 0;
}

/* Of chains that remember, only that nothing at all was lost where much was to be is sure. */
static bool too_little_lost(const struct impairment *m, const struct bite_seen *s)
{
    double asked = bite_loss(&m->loss);
    if (comes_in_bursts(m))
        return s->lost == 0 && asked * (double)s->sent >= 50;
    return too_few(asked, s->lost, s->sent);
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
    if (too_early(what, s) || too_little_lost(what, s) || too_fast)
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
    share(out, begin, "loss", bite_loss(&what->loss), s->lost, s->sent, !comes_in_bursts(what));
    share(out, begin, "doubled", what->duplicate, s->doubled, s->arrived, true);
    share(out, begin, "damaged", what->corrupt, s->damaged, s->arrived, true);
    if (what->rate && s->rate) {
        part(out, begin);
        rate_text(s->rate, out);
    }
    if (out->len == begin)
        buf_printf(out, "%zu of %zu arrived", s->arrived, s->sent);
}
