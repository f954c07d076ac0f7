/* By inversion where the quantile has a closed form, so that equal random numbers give comparable
 * draws from neighbouring distributions (what-if questions compare with common random numbers);
 * gamma, and beta from it, by rejection (Marsaglia and Tsang, ACM TOMS 26 (2000)). */
#include "sim/forecast/draw.h"

#include "sim/base/real.h"

#include <math.h>

#define TRIES 10000

double draw_exponential(struct rng *r)
{
    return -real_log(rng_open_unit(r));
}

double draw_normal(struct rng *r)
{
    return real_normal_quantile(rng_open_unit(r));
}

double draw_gamma(double shape, struct rng *r)
{
    if (shape < 1) /* one shape more, and a power of a uniform one (ibid., section 6) */
        return draw_gamma(shape + 1, r) * real_pow(rng_open_unit(r), 1 / shape);
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double z = draw_normal(r), u = rng_open_unit(r), v = 1 + c * z;
        if (v <= 0)
            continue;
        v = v * v * v;
        if (real_log(u) < 0.5 * z * z + d - d * v + d * real_log(v))
            return d * v;
    }
}

static double draw_triangular(double a, double b, double c, struct rng *r)
{
    double u = rng_open_unit(r), width = c - a;
    if (width <= 0)
        return a;
    double at = (b - a) / width;
    return u < at ? a + sqrt(u * width * (b - a)) : c - sqrt((1 - u) * width * (c - b));
}

static double draw_pert(double a, double b, double c, struct rng *r)
{
    double width = c - a;
    if (width <= 0)
        return a;
    double x = draw_gamma(1 + 4 * (b - a) / width, r), y = draw_gamma(1 + 4 * (c - b) / width, r);
    return a + width * (x / (x + y));
}

static double draw_once(const struct distribution *d, struct rng *r);

static double draw_mixture(const struct distribution *d, struct rng *r)
{
    double u = rng_unit(r);
    for (size_t i = 0; i + 1 < d->parts_n; i++) {
        if (u < d->parts[i].share)
            return (double)draw(&d->parts[i].of, r);
        u -= d->parts[i].share;
    }
    return (double)draw(&d->parts[d->parts_n - 1].of, r);
}

/* In nanoseconds, not yet cut. */
static double draw_once(const struct distribution *d, struct rng *r)
{
    double a = (double)d->a, b = (double)d->b, c = (double)d->c;
    switch (d->kind) {
    case DISTRIBUTION_CONSTANT:
        return a;
    case DISTRIBUTION_UNIFORM:
        return a + (b - a) * rng_unit(r);
    case DISTRIBUTION_EXPONENTIAL:
        return a * draw_exponential(r);
    case DISTRIBUTION_NORMAL:
        return a + b * draw_normal(r);
    case DISTRIBUTION_LOGNORMAL:
        return a * real_exp(distribution_sigma(d) * draw_normal(r));
    case DISTRIBUTION_GAMMA:
        return a / d->shape * draw_gamma(d->shape, r);
    case DISTRIBUTION_WEIBULL:
        return a * real_pow(draw_exponential(r), 1 / d->shape);
    case DISTRIBUTION_TRIANGULAR:
        return draw_triangular(a, b, c, r);
    case DISTRIBUTION_PERT:
        return draw_pert(a, b, c, r);
    case DISTRIBUTION_EMPIRICAL:
        return (double)d->values[rng_below(r, d->values_n)];
    case DISTRIBUTION_MIXTURE:
        return draw_mixture(d, r);
    }
    return 0;
}

nsec draw(const struct distribution *d, struct rng *r)
{
    double least = nsec_is_set(d->least) ? (double)d->least : 0,
           most = nsec_is_set(d->most) ? (double)d->most : (double)(NSEC_INF / 2), x = 0;
    for (int i = 0; i < TRIES; i++) {
        x = draw_once(d, r);
        if (x >= least && x <= most)
            return (nsec)(x + 0.5);
        /* Without a cut of the user's only the ends of time are one, and there it stays. */
        if (!nsec_is_set(d->least) && !nsec_is_set(d->most) && d->kind != DISTRIBUTION_NORMAL)
            break;
    }
    return (nsec)(x < least ? least : most);
}
