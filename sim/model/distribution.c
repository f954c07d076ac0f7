/* The words of distributions, what they must be to be one, and how much a cut leaves of them. */
#include "sim/model/distribution.h"

#include "sim/base/real.h"

#include <errno.h>
#include <float.h>
#include <math.h>

#define NOWHERE SIZE_MAX
#define Z95 1.6448536269514722 /* the 95 % quantile of the standard normal */
#define KEPT_LEAST 0.01        /* below this a cut leaves too little to be drawn from */
#define SHAPE_LEAST 0.1
#define SHAPE_MOST 1000.0

#define PARAMETER(word, type_, member, text, sample)                                               \
    {                                                                                              \
        .key = word, .type = FIELD_DURATION, .flags = FIELD_REQUIRED | FIELD_UNCERTAIN, .min = 1,  \
        .max = DISTRIBUTION_MAX, .offset = offsetof(struct type_, member), .help = text,           \
        .example = sample                                                                          \
    }
#define PART(type_, what, fields_, text)                                                           \
    {                                                                                              \
        .name = what, .summary = text, .size = sizeof(struct type_), .fields = fields_,            \
        .name_offset = NOWHERE, .place_offset = NOWHERE, .variant_place_offset = NOWHERE           \
    }

static const struct field normal_fields[] = {
    PARAMETER("mean", distribution_normal, mean, "The mean of all of them.", "20s"),
    PARAMETER("sd", distribution_normal, sd, "Its standard deviation; at most the mean.", "4s"),
    {0},
};
const struct record distribution_normal_record =
    PART(distribution_normal, "'normal'", normal_fields, "A normal distribution, cut at 0.");

static const struct field lognormal_fields[] = {
    PARAMETER("median", distribution_lognormal, median, "Half of them are shorter.", "3m"),
    PARAMETER("p95", distribution_lognormal, p95, "95 % of them are shorter.", "12m"),
    {0},
};
const struct record distribution_lognormal_record =
    PART(distribution_lognormal, "'lognormal'", lognormal_fields, "A lognormal distribution.");

#define SHAPE(type_, text)                                                                         \
    {                                                                                              \
        .key = "shape", .type = FIELD_NUMBER, .flags = FIELD_REQUIRED | FIELD_UNCERTAIN,           \
        .max = 1000, .offset = offsetof(struct type_, shape), .help = text, .example = "2"         \
    }

static const struct field gamma_fields[] = {
    PARAMETER("mean", distribution_gamma, mean, "The mean of all of them.", "10m"),
    SHAPE(distribution_gamma, "How many waiting times add up to it; at least 0.1."),
    {0},
};
const struct record distribution_gamma_record =
    PART(distribution_gamma, "'gamma'", gamma_fields, "A gamma distribution.");

static const struct field weibull_fields[] = {
    PARAMETER("scale", distribution_weibull, scale, "63 % of them are shorter.", "90d"),
    SHAPE(distribution_weibull, "Above 1: wears out; 1: memoryless; at least 0.1."),
    {0},
};
const struct record distribution_weibull_record =
    PART(distribution_weibull, "'weibull'", weibull_fields, "A Weibull distribution.");

static const struct field share_fields[] = {
    {.key = "share",
     .type = FIELD_PERCENT,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct distribution_share, share),
     .help = "How often it is this one; all of them make 100 %.",
     .example = "90%"},
    {.key = "of",
     .type = FIELD_OBJECT,
     .record = &distribution_record,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct distribution_share, of),
     .help = "How long it takes then.",
     .example = "2s"},
    {0},
};
const struct record distribution_share_record =
    PART(distribution_share, "part of a mixture", share_fields,
         "One of several that a duration may come from.");

static const struct field distribution_fields[] = {
    DISTRIBUTION_FIELDS(struct distribution, given),
    {0},
};
const struct record distribution_record = {
    .name = "duration",
    .summary = "How long something takes: always the same, or a distribution.",
    .size = sizeof(struct distribution),
    .fields = distribution_fields,
    .shorthand = "constant",
    .name_offset = NOWHERE,
    .place_offset = offsetof(struct distribution, place),
    .variant_place_offset = NOWHERE,
};

/* --- Made ready --- */

#define WORDS                                                                                      \
    "constant, uniform, exponential, normal, lognormal, gamma, weibull, triangular, "              \
    "pert, empirical, mixture"

struct words {
    const char *first, *second; /* NULL: not so many */
};

static void word(struct words *w, bool given, const char *name)
{
    if (given && !w->first)
        w->first = name;
    else if (given && !w->second)
        w->second = name;
}

static struct words words_given(const struct distribution *d)
{
    const struct distribution_given *g = &d->given;
    struct words w = {NULL, NULL};
    word(&w, nsec_is_set(g->constant), "constant");
    word(&w, g->uniform.n, "uniform");
    word(&w, nsec_is_set(g->exponential), "exponential");
    word(&w, g->normal, "normal");
    word(&w, g->lognormal, "lognormal");
    word(&w, g->gamma, "gamma");
    word(&w, g->weibull, "weibull");
    word(&w, g->triangular.n, "triangular");
    word(&w, g->pert.n, "pert");
    word(&w, g->empirical.n, "empirical");
    word(&w, g->mixture.n, "mixture");
    return w;
}

bool distribution_is_given(const struct distribution *d)
{
    return words_given(d).first != NULL;
}

static int make_uniform(struct distribution *d, struct err *err)
{
    char a[NSEC_TEXT_MAX], b[NSEC_TEXT_MAX];
    d->kind = DISTRIBUTION_UNIFORM;
    d->a = d->given.uniform.items[0];
    d->b = d->given.uniform.items[1];
    if (d->a > d->b)
        return err_set(err, EINVAL,
                       "'uniform' ends (%s) before it begins (%s): write the lesser first",
                       nsec_text(d->b, b), nsec_text(d->a, a));
    return 0;
}

static int make_exponential(struct distribution *d, struct err *err)
{
    d->kind = DISTRIBUTION_EXPONENTIAL;
    d->a = d->given.exponential;
    if (d->a <= 0)
        return err_set(err, EINVAL, "'exponential' needs a mean above 0");
    return 0;
}

static int make_three(struct distribution *d, enum distribution_kind kind, const char *name,
                      const struct durations *v, struct err *err)
{
    d->kind = kind;
    d->a = v->items[0];
    d->b = v->items[1];
    d->c = v->items[2];
    if (d->a > d->b || d->b > d->c || d->a == d->c)
        return err_set(err, EINVAL,
                       "'%s' takes the least, the most likely and the greatest, in this order",
                       name);
    return 0;
}

static int make_normal(struct distribution *d, struct err *err)
{
    char a[NSEC_TEXT_MAX], b[NSEC_TEXT_MAX];
    d->kind = DISTRIBUTION_NORMAL;
    d->a = d->given.normal->mean;
    d->b = d->given.normal->sd;
    if (d->b > d->a)
        return err_set(err, EINVAL,
                       "'normal' with an sd (%s) above its mean (%s) is below 0 too often to be a "
                       "duration: a lognormal is never",
                       nsec_text(d->b, b), nsec_text(d->a, a));
    return 0;
}

double distribution_sigma(const struct distribution *d)
{
    return d->sigma > 0 ? d->sigma : real_log((double)d->b / (double)d->a) / Z95;
}

static int make_lognormal(struct distribution *d, struct err *err)
{
    char a[NSEC_TEXT_MAX], b[NSEC_TEXT_MAX];
    d->kind = DISTRIBUTION_LOGNORMAL;
    d->a = d->given.lognormal->median;
    d->b = d->given.lognormal->p95;
    if (d->b <= d->a)
        return err_set(
            err, EINVAL,
            "'lognormal' needs a p95 above its median: 95 %% of them are shorter than it "
            "(%s), and half of them shorter than the median (%s)",
            nsec_text(d->b, b), nsec_text(d->a, a));
    d->sigma = distribution_sigma(d);
    return 0;
}

static int make_shaped(struct distribution *d, enum distribution_kind kind, const char *name,
                       nsec a, double shape, struct err *err)
{
    d->kind = kind;
    d->a = a;
    d->shape = shape;
    if (shape < SHAPE_LEAST || shape > SHAPE_MOST)
        return err_set(err, EINVAL, "'%s' needs a shape from %g to %g, not %g", name, SHAPE_LEAST,
                       SHAPE_MOST, shape);
    return 0;
}

static int make_mixture(struct distribution *d, struct arena *arena, struct err *err)
{
    const struct objects *v = &d->given.mixture;
    struct distribution_part *parts = arena_alloc(arena, v->n * sizeof *parts);
    double sum = 0;
    for (size_t i = 0; i < v->n; i++) {
        const struct distribution_share *share = v->items[i];
        if (!share->of)
            return err_set(err, EINVAL, "'mixture' has a part without 'of'");
        if (share->share <= 0)
            return err_set(err, EINVAL, "'mixture' has a part that never comes (a share of 0 %%)");
        parts[i] = (struct distribution_part){share->share, *share->of};
        sum += share->share;
    }
    d->kind = DISTRIBUTION_MIXTURE;
    d->parts = parts;
    d->parts_n = v->n;
    if (fabs(sum - 1) > 1e-9)
        return err_set(err, EINVAL, "'mixture' has shares that make %.6g %%, not 100 %%",
                       sum * 100);
    return 0;
}

static int make_kind(struct distribution *d, struct arena *arena, struct err *err)
{
    const struct distribution_given *g = &d->given;
    if (nsec_is_set(g->constant))
        return d->kind = DISTRIBUTION_CONSTANT, d->a = g->constant, 0;
    if (nsec_is_set(g->exponential))
        return make_exponential(d, err);
    if (g->uniform.n)
        return make_uniform(d, err);
    if (g->normal)
        return make_normal(d, err);
    if (g->lognormal)
        return make_lognormal(d, err);
    if (g->gamma)
        return make_shaped(d, DISTRIBUTION_GAMMA, "gamma", g->gamma->mean, g->gamma->shape, err);
    if (g->weibull)
        return make_shaped(d, DISTRIBUTION_WEIBULL, "weibull", g->weibull->scale, g->weibull->shape,
                           err);
    if (g->triangular.n)
        return make_three(d, DISTRIBUTION_TRIANGULAR, "triangular", &g->triangular, err);
    if (g->pert.n)
        return make_three(d, DISTRIBUTION_PERT, "pert", &g->pert, err);
    if (g->mixture.n)
        return make_mixture(d, arena, err);
    d->kind = DISTRIBUTION_EMPIRICAL;
    d->values = g->empirical.items;
    d->values_n = g->empirical.n;
    return 0;
}

int distribution_resolve(struct distribution *d, struct arena *arena, struct err *err)
{
    char a[NSEC_TEXT_MAX], b[NSEC_TEXT_MAX];
    struct words w = words_given(d);
    if (!w.first)
        return err_set(err, EINVAL, "how long it takes is missing: a duration, or one of " WORDS);
    if (w.second)
        return err_set(err, EINVAL, "'%s' and '%s' stand here together: one says how long it takes",
                       w.second, w.first);
    d->least = d->given.least;
    d->most = d->given.most;
    int r = make_kind(d, arena, err);
    if (r < 0)
        return r;
    if (nsec_is_set(d->least) && nsec_is_set(d->most) && d->least > d->most)
        return err_set(err, EINVAL, "'least' (%s) is more than 'most' (%s)", nsec_text(d->least, a),
                       nsec_text(d->most, b));
    double kept = distribution_kept(d);
    if (kept < KEPT_LEAST)
        return err_set(
            err, EINVAL, "'%s' leaves %s of this distribution: that cannot be what takes so long",
            nsec_is_set(d->least) ? "least" : "most", kept > 1e-6 ? "less than 1 %" : "nothing");
    return 0;
}

/* --- How much a cut leaves --- */

static double phi(double z)
{
    return 0.5 * erfc(-z * M_SQRT1_2);
}

/* Of a density f over [a, b] by Simpson's rule. */
typedef double density_fn(double x, const double *p);
static double area(density_fn *f, const double *p, double a, double b)
{
    enum { PANELS = 2000 };
    double h = (b - a) / PANELS, sum = f(a, p) + f(b, p);
    if (b <= a)
        return 0;
    for (int i = 1; i < PANELS; i++)
        sum += (i % 2 ? 4 : 2) * f(a + i * h, p);
    return sum * h / 3;
}

/* The beta distribution of PERT, up to a factor; both powers are >= 0. */
static double pert_density(double x, const double *p)
{
    return pow(x, p[0]) * pow(1 - x, p[1]);
}

static double pert_in(const struct distribution *d, double lo, double hi)
{
    double a = (double)d->a, b = (double)d->b, c = (double)d->c, width = c - a;
    const double powers[2] = {4 * (b - a) / width, 4 * (c - b) / width};
    lo = fmin(fmax((lo - a) / width, 0), 1);
    hi = fmin(fmax((hi - a) / width, 0), 1);
    return area(pert_density, powers, lo, hi) / area(pert_density, powers, 0, 1);
}

/* Of the logarithm of a gamma variable, up to a factor: no pole at 0 for small shapes. */
static double gamma_density(double x, const double *p)
{
    return exp(p[0] * x - exp(x) - p[1]);
}

static double gamma_in(const struct distribution *d, double lo, double hi)
{
    double k = d->shape, scale = (double)d->a / k, from = log(k) - 20 / sqrt(k) - 40 / k,
           to = log(k + 20 * sqrt(k) + 40);
    const double p[2] = {k, k * log(k) - k}; /* the greatest density is 1 */
    lo = lo > 0 ? fmin(fmax(log(lo / scale), from), to) : from;
    hi = hi > 0 ? fmin(fmax(log(hi / scale), from), to) : from;
    return area(gamma_density, p, lo, hi) / area(gamma_density, p, from, to);
}

static double triangular_below(const struct distribution *d, double x)
{
    double a = (double)d->a, b = (double)d->b, c = (double)d->c;
    if (x <= a)
        return 0;
    if (x >= c)
        return 1;
    return x < b ? (x - a) * (x - a) / ((c - a) * (b - a))
                 : 1 - (c - x) * (c - x) / ((c - a) * (c - b));
}

/* P(lo <= X <= hi) of the distribution as it is before its own cut; lo >= 0. */
static double share_in(const struct distribution *d, double lo, double hi)
{
    double a = (double)d->a, b = (double)d->b, n = 0;
    switch (d->kind) {
    case DISTRIBUTION_CONSTANT:
        return a >= lo && a <= hi;
    case DISTRIBUTION_UNIFORM:
        return b <= a ? a >= lo && a <= hi : fmax(0, fmin(hi, b) - fmax(lo, a)) / (b - a);
    case DISTRIBUTION_EXPONENTIAL:
        return exp(-lo / a) - exp(-hi / a);
    case DISTRIBUTION_NORMAL:
        return phi((hi - a) / b) - phi((lo - a) / b);
    case DISTRIBUTION_LOGNORMAL:
        b = distribution_sigma(d);
        return phi(log(hi / a) / b) - (lo > 0 ? phi(log(lo / a) / b) : 0);
    case DISTRIBUTION_GAMMA:
        return gamma_in(d, lo, hi);
    case DISTRIBUTION_WEIBULL:
        return exp(-pow(lo / a, d->shape)) - exp(-pow(hi / a, d->shape));
    case DISTRIBUTION_TRIANGULAR:
        return triangular_below(d, hi) - triangular_below(d, lo);
    case DISTRIBUTION_PERT:
        return pert_in(d, lo, hi);
    case DISTRIBUTION_EMPIRICAL:
        for (size_t i = 0; i < d->values_n; i++)
            n += (double)d->values[i] >= lo && (double)d->values[i] <= hi;
        return n / (double)d->values_n;
    case DISTRIBUTION_MIXTURE:
        for (size_t i = 0; i < d->parts_n; i++) {
            const struct distribution *of = &d->parts[i].of;
            double from = nsec_is_set(of->least) ? fmax(lo, (double)of->least) : lo;
            double to = nsec_is_set(of->most) ? fmin(hi, (double)of->most) : hi;
            if (to >= from)
                n += d->parts[i].share * share_in(of, from, to) / distribution_kept(of);
        }
        return n;
    }
    return 1;
}

double distribution_kept(const struct distribution *d)
{
    bool cut = nsec_is_set(d->least) || nsec_is_set(d->most);
    if (!cut)
        return 1;
    return share_in(d, nsec_is_set(d->least) ? (double)d->least : 0,
                    nsec_is_set(d->most) ? (double)d->most : DBL_MAX);
}
