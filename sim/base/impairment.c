/* Sizes and tables of impairments; see impairment.h. */
#include "sim/base/impairment.h"

#include "sim/base/cleanup.h"
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <string.h>

/* --- Ratios ------------------------------------------------------------------ */

void impairment_ratios(const struct impairment *m, struct impairment_ratio ret[IMPAIRMENT_RATIOS])
{
    const struct impair_loss *l = &m->loss;
    const struct impairment_ratio all[] = {
        {"loss", l->ratio, false},
        {"p", l->p, false},
        {"r", l->r, false},
        {"1-h", l->one_minus_h, false},
        {"1-k", l->one_minus_k, false},
        {"p13", l->p13, false},
        {"p31", l->p31, false},
        {"p32", l->p32, false},
        {"p23", l->p23, false},
        {"p14", l->p14, false},
        {"duplicate", m->duplicate, false},
        {"corrupt", m->corrupt, false},
        {"reorder", m->reorder, false},
        {"delay correlation", m->delay_correlation, true},
        {"loss correlation", l->correlation, true},
        {"duplicate correlation", m->duplicate_correlation, true},
        {"corrupt correlation", m->corrupt_correlation, true},
        {"reorder correlation", m->reorder_correlation, true},
    };
    static_assert(ARRAY_SIZE(all) == IMPAIRMENT_RATIOS, "none is forgotten");
    memcpy(ret, all, sizeof all);
}

/* --- Limit ------------------------------------------------------------------- */

#define LINE_PACKETS 1.5e6 /* packets per second */
#define SMALL_FRAME 64.0   /* bytes */
#define LARGE_FRAME 1500.0
#define BUFFER_SECONDS 0.2
#define LIMIT_MIN 1000 /* netem's own default */
#define LIMIT_MIN_RATE 64
#define LIMIT_MAX 4000000

static double seconds(nsec t)
{
    return (double)t / (double)NSEC_SEC;
}

uint32_t impairment_limit(const struct impairment *m)
{
    if (m->limit)
        return m->limit;
    double horizon = seconds(m->delay) + 4 * seconds(m->jitter);
    if (m->has_slot)
        horizon += m->slot.distributed ? seconds(m->slot.delay) + 4 * seconds(m->slot.jitter)
                                       : seconds(m->slot.max);
    double rate = (double)m->rate;
    double packets = horizon * (m->rate ? rate / SMALL_FRAME : LINE_PACKETS);
    if (m->rate)
        packets += rate * BUFFER_SECONDS / LARGE_FRAME;
    double least = m->rate ? LIMIT_MIN_RATE : LIMIT_MIN;
    return packets < least ? (uint32_t)least : packets > LIMIT_MAX ? LIMIT_MAX : (uint32_t)packets;
}

/* --- Tables ------------------------------------------------------------------ */

/* The shipped tables hold every fourth of 16384 steps of probability; the value of a step is the
 * greatest point of a grid whose probability still rounds to that step. */
#define STEPS 16384
#define EVERY 4
#define GRID 0.00005

static int16_t clamp(int v)
{
    return (int16_t)(v < INT16_MIN ? INT16_MIN : v > INT16_MAX ? INT16_MAX : v);
}

static double cumulative(double x)
{
    return 0.5 + 0.5 * erf(x / sqrt(2.0));
}

/* Where the standard normal distribution reaches p, by Newton's method from a point not above it. */
static double quantile(double p, double from)
{
    double x = from;
    for (int i = 0; i < 100; i++) {
        double density = exp(-x * x / 2) / sqrt(2 * M_PI);
        double step = (cumulative(x) - p) / density;
        if (step < -0.5) /* the tail is flat: not too far at once */
            step = -0.5;
        x -= step;
        if (fabs(step) < 1e-9)
            break;
    }
    return x;
}

/* Not yet cut to 16 bits: the first value is beyond. */
static void normal(int ret[IMPAIR_TABLE_N])
{
    double x = -4.1;
    for (int i = 0; i < IMPAIR_TABLE_N; i++) {
        x = quantile((EVERY * i + 0.5) / STEPS, x);
        ret[i] = (int)rint(floor(x / GRID) * GRID * IMPAIR_TABLE_SCALE);
    }
}

/* 1 / (1 - p)^(1/3), less its mean of 3/2, over its standard deviation of about 3/4. */
static void pareto(int ret[IMPAIR_TABLE_N])
{
    for (int i = 0; i < IMPAIR_TABLE_N; i++) {
        double left = (double)(IMPAIR_TABLE_N - i) / IMPAIR_TABLE_N;
        double v = (1.0 / pow(left, 1.0 / 3.0) - 1.5) * (4.0 / 3.0) * IMPAIR_TABLE_SCALE;
        ret[i] = (int)rint(v > INT16_MAX ? INT16_MAX : v);
    }
}

size_t impairment_table(enum impair_distribution d, int16_t ret[IMPAIR_TABLE_N])
{
    int gauss[IMPAIR_TABLE_N], heavy[IMPAIR_TABLE_N];
    if (d != IMPAIR_NORMAL && d != IMPAIR_PARETO && d != IMPAIR_PARETONORMAL)
        return 0;
    normal(gauss);
    pareto(heavy);
    for (int i = 0; i < IMPAIR_TABLE_N; i++)
        ret[i] = clamp(d == IMPAIR_NORMAL   ? gauss[i]
                       : d == IMPAIR_PARETO ? heavy[i]
                                            : (gauss[i] + 3 * heavy[i]) / 4);
    return IMPAIR_TABLE_N;
}

/* --- Reading ----------------------------------------------------------------- */

static int read_number(const char *name, size_t line, const char *word, size_t n, int16_t *ret,
                       struct err *err)
{
    char text[16];
    char *end = NULL;
    if (n < sizeof text) {
        memcpy(text, word, n);
        text[n] = '\0';
        errno = 0;
        long v = strtol(text, &end, 10);
        if (end == text + n && v >= INT16_MIN && v <= INT16_MAX) {
            *ret = (int16_t)v;
            return 0;
        }
    }
    return err_set(err, EINVAL, "%s: line %zu: \"%.*s\" is not a whole number from -32768 to 32767",
                   name, line, (int)(n > 40 ? 40 : n), word);
}

/* The numbers of one line, appended. */
static int read_line(const char *name, size_t line, const char *at, const char *end,
                     int16_t *values, size_t *n, struct err *err)
{
    if (at < end && *at == '#')
        return 0;
    while (at < end) {
        const char *word = at;
        while (at < end && !isspace((unsigned char)*at))
            at++;
        if (at > word) {
            if (*n == IMPAIR_TABLE_MAX)
                return err_set(err, E2BIG, "%s: line %zu: more than %d values", name, line,
                               IMPAIR_TABLE_MAX);
            int r = read_number(name, line, word, (size_t)(at - word), &values[*n], err);
            if (r < 0)
                return r;
            ++*n;
        }
        while (at < end && isspace((unsigned char)*at))
            at++;
    }
    return 0;
}

int impairment_table_read(const char *name, const char *text, size_t n, int16_t **ret,
                          size_t *ret_n, struct err *err)
{
    AUTO_FREE int16_t *values = malloc(IMPAIR_TABLE_MAX * sizeof *values);
    const char *at = text, *end = text + n;
    size_t count = 0;
    if (!values)
        abort();
    for (size_t line = 1; at < end; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop)
            stop = end;
        int r = read_line(name, line, at, stop, values, &count, err);
        if (r < 0)
            return r;
        at = stop < end ? stop + 1 : end;
    }
    if (count == 0)
        return err_set(err, EINVAL, "%s: there is no value in this table", name);
    *ret = steal_ptr(values);
    *ret_n = count;
    return 0;
}
