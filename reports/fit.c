/* A distribution for what was measured. */
#include "reports/fit.h"

#include "reports/stats.h"
#include "sim/base/real.h"

#include <math.h>
#include <string.h>

#define Z95 1.6448536269514722
#define WIDE 60 /* how far from the data a parameter is looked for: e^WIDE is nowhere */

const char *const fit_words[] = {"none", "lognormal", "weibull", "exponential", NULL};

struct problem {
    enum fit_kind kind;
    const struct fit_value *v;
    size_t n;
    double centre, spread; /* of the logarithms */
};

/* Logarithm of the normal distribution's upper tail, also where it underflows. */
static double log_tail(double z)
{
    if (z < 8)
        return real_log(real_erfc(z / sqrt(2)) / 2);
    return -z * z / 2 - real_log(z * sqrt(2 * M_PI)) - 1 / (z * z);
}

/* a, b: logarithms of the parameters (lognormal: of median and p95; exponential: b unused). */
static double log_likelihood(const struct problem *p, double a, double b)
{
    double sum = 0, sigma = (b - a) / Z95, shape = real_exp(b), z, hazard;
    if (p->kind == FIT_LOGNORMAL && !(sigma > 0))
        return -(double)INFINITY;
    double peak = (p->kind == FIT_LOGNORMAL ? real_log(sigma) : 0) +
                  real_log(2 * M_PI) / 2; /* of the normal density */
    for (size_t i = 0; i < p->n; i++) {
        double t = real_log((double)p->v[i].t);
        switch (p->kind) {
        case FIT_LOGNORMAL:
            z = (t - a) / sigma;
            sum += p->v[i].censored ? log_tail(z) : -t - z * z / 2 - peak;
            break;
        case FIT_WEIBULL:
            hazard = real_exp(shape * (t - a));
            sum += p->v[i].censored ? -hazard : b + shape * (t - a) - t - hazard;
            break;
        case FIT_EXPONENTIAL:
            hazard = real_exp(t - a);
            sum += p->v[i].censored ? -hazard : -a - hazard;
            break;
        case FIT_NONE:
            break;
        }
    }
    return sum;
}

/* The maximum of a function with one peak, by golden section. */
struct along {
    const struct problem *p;
    bool second; /* a is fixed, b is looked for */
    double fixed;
};

static double at(const struct along *l, double x)
{
    return l->second ? log_likelihood(l->p, l->fixed, x) : log_likelihood(l->p, x, l->fixed);
}

static double peak_between(const struct along *l, double lo, double hi, double *ret_at)
{
    const double golden = 0.6180339887498949;
    double x1 = hi - golden * (hi - lo), x2 = lo + golden * (hi - lo), y1 = at(l, x1),
           y2 = at(l, x2);
    for (int i = 0; i < 90 && hi - lo > 1e-10; i++) {
        if (y1 > y2 || (isinf(y1) && isinf(y2) && !l->second)) {
            hi = x2;
            x2 = x1;
            y2 = y1;
            x1 = hi - golden * (hi - lo);
            y1 = at(l, x1);
        } else {
            lo = x1;
            x1 = x2;
            y1 = y2;
            x2 = lo + golden * (hi - lo);
            y2 = at(l, x2);
        }
    }
    *ret_at = (lo + hi) / 2;
    return at(l, *ret_at);
}

/* Where the other parameter can lie. */
static void bounds_of(const struct problem *p, bool second, double fixed, double *lo, double *hi)
{
    double reach = 20 * p->spread + 1;
    if (p->kind == FIT_LOGNORMAL) {
        *lo = second ? fixed + 1e-9 : fixed - reach * 3;
        *hi = second ? fixed + reach * 3 : fixed - 1e-9;
    } else if (second) {
        *lo = -5; /* shapes from 0.007 to 400 */
        *hi = 6;
    } else {
        *lo = p->centre - reach;
        *hi = p->centre + reach;
    }
}

/* The likelihood with one parameter fixed and the other at its best. */
static double profile(const struct problem *p, bool second_is_fixed, double fixed,
                      double *ret_other)
{
    double lo, hi;
    if (p->kind == FIT_EXPONENTIAL) {
        *ret_other = 0;
        return log_likelihood(p, fixed, 0);
    }
    bounds_of(p, !second_is_fixed, fixed, &lo, &hi);
    struct along l = {p, !second_is_fixed, fixed};
    return peak_between(&l, lo, hi, ret_other);
}

/* Both at their best: the profile of the first, golden section once more. */
static double maximum(const struct problem *p, double *ret_a, double *ret_b)
{
    const double golden = 0.6180339887498949;
    double reach = 4 * p->spread + 1, lo = p->centre - reach, hi = p->centre + reach, b;
    double x1 = hi - golden * (hi - lo), x2 = lo + golden * (hi - lo);
    double y1 = profile(p, false, x1, &b), y2 = profile(p, false, x2, &b);
    for (int i = 0; i < 60 && hi - lo > 1e-9; i++) {
        if (y1 > y2) {
            hi = x2;
            x2 = x1;
            y2 = y1;
            x1 = hi - golden * (hi - lo);
            y1 = profile(p, false, x1, &b);
        } else {
            lo = x1;
            x1 = x2;
            y1 = y2;
            x2 = lo + golden * (hi - lo);
            y2 = profile(p, false, x2, &b);
        }
    }
    *ret_a = (lo + hi) / 2;
    return profile(p, false, *ret_a, ret_b);
}

/* Where the profile has fallen by `drop` on one side. */
static double edge(const struct problem *p, bool second, double best, double most, double drop,
                   double direction)
{
    double inside = best, step = 0.05 + p->spread / 4, other, outside = best + direction * step;
    while (most - profile(p, second, outside, &other) < drop && fabs(outside - best) < WIDE) {
        inside = outside;
        step *= 2;
        outside += direction * step;
    }
    for (int i = 0; i < 45; i++) {
        double mid = (inside + outside) / 2;
        if (most - profile(p, second, mid, &other) < drop)
            inside = mid;
        else
            outside = mid;
    }
    return inside;
}

static double square(double x)
{
    return x * x;
}

static void moments(struct problem *p)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < p->n; i++)
        sum += real_log((double)p->v[i].t);
    p->centre = sum / (double)p->n;
    for (size_t i = 0; i < p->n; i++)
        squares += square(real_log((double)p->v[i].t) - p->centre);
    p->spread = sqrt(squares / (double)p->n);
}

void fit_one(enum fit_kind kind, const struct fit_value *v, size_t n, struct fit *ret)
{
    static const char *const names[][2] = {
        {"", ""}, {"median", "p95"}, {"scale", "shape"}, {"mean", ""}};
    struct problem p = {.kind = kind, .v = v, .n = n};
    struct fit f = {.n = n};
    for (size_t i = 0; i < n; i++)
        f.censored += v[i].censored;
    *ret = f;
    if (n < f.censored + FIT_LEAST)
        return;
    moments(&p);
    if (p.spread < 1e-9) /* all the same: a constant, which nobody needs to fit */
        return;
    double best[2], most = maximum(&p, &best[0], &best[1]);
    f.parameters_n = kind == FIT_EXPONENTIAL ? 1 : 2;
    double k = (double)f.parameters_n, size = (double)n;
    f.aicc = 2 * k - 2 * most + 2 * k * (k + 1) / (size - k - 1);
    double t = stats_t_quantile(0.975, size - 1);
    double drop = size / 2 * real_log1p(t * t / (size - 1));
    for (size_t i = 0; i < f.parameters_n; i++)
        f.parameters[i] =
            (struct fit_parameter){.name = names[kind][i],
                                   .value = real_exp(best[i]),
                                   .lo = real_exp(edge(&p, i == 1, best[i], most, drop, -1)),
                                   .hi = real_exp(edge(&p, i == 1, best[i], most, drop, 1))};
    f.kind = kind;
    *ret = f;
}

void fit_best(const struct fit_value *v, size_t n, struct fit *ret)
{
    struct fit best = {.n = n};
    for (int kind = FIT_LOGNORMAL; kind <= FIT_EXPONENTIAL; kind++) {
        struct fit f;
        fit_one((enum fit_kind)kind, v, n, &f);
        if (best.kind == FIT_NONE || (f.kind != FIT_NONE && f.aicc < best.aicc))
            best = f;
    }
    *ret = best;
}

/* To three digits, as the language writes durations. */
static void time_yaml(double ns, double direction, struct buf *out)
{
    char text[NSEC_TEXT_MAX];
    double step = 1;
    while (ns / step >= 1000)
        step *= 10;
    double rounded = direction < 0 ? floor(ns / step) * step : ceil(ns / step) * step;
    if (rounded < 1)
        rounded = 1;
    buf_adds(out, nsec_yaml((nsec)llround(rounded), text));
}

static void range_yaml(const struct fit_parameter *p, struct buf *out)
{
    buf_printf(out, "%s: {between: [", p->name);
    if (!strcmp(p->name, "shape")) {
        buf_printf(out, "%.3g, %.3g", p->lo, p->hi);
    } else {
        time_yaml(p->lo, -1, out);
        buf_adds(out, ", ");
        time_yaml(p->hi, 1, out);
    }
    buf_adds(out, "]}");
}

void fit_yaml(const struct fit *f, struct buf *out)
{
    if (f->kind == FIT_NONE)
        return;
    buf_printf(out, "{%s: ", fit_words[f->kind]);
    if (f->kind == FIT_EXPONENTIAL) {
        buf_adds(out, "{between: [");
        time_yaml(f->parameters[0].lo, -1, out);
        buf_adds(out, ", ");
        time_yaml(f->parameters[0].hi, 1, out);
        buf_adds(out, "]}}");
        return;
    }
    buf_addc(out, '{');
    for (size_t i = 0; i < f->parameters_n; i++) {
        buf_adds(out, i ? ", " : "");
        range_yaml(&f->parameters[i], out);
    }
    buf_adds(out, "}}");
}
