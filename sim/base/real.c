/* Logarithm and exponential by Taylor's series about the nearest of 64 points whose values are in a table, the
 * gamma function by Stirling's series, erfc by a series of positive terms near 0 and its continued
 * fraction far from it. */
#include "sim/base/real.h"

#include "sim/base/real_table.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* ln 2, and a 64th of it, in two parts each: the first ends in so many zero bits that its multiples by
 * exponents are exact. */
#define LN2_HI 0x1.62e42fefa38p-1
#define LN2_LO 0x1.ef35793c7673p-45
#define LN2_PIECE_HI 0x1.62e42fef8p-7
#define LN2_PIECE_LO 0x1.1cf79abc9e3b4p-42
#define PIECES_OF_LN2 0x1.71547652b82fep+6     /* 64 / ln 2 */
#define LOG_FIRST UINT64_C(0x3fe6000000000000) /* 0.6875: the first piece begins */
#define LOG_WIDTH 46                           /* bits of a mantissa within a piece */

static uint64_t bits_of(double x)
{
    uint64_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

static double from_bits(uint64_t b)
{
    double x;
    memcpy(&x, &b, sizeof x);
    return x;
}

/* 2 to the k, -1022 <= k <= 1023. */
static double power_of_two(int k)
{
    return from_bits((uint64_t)(k + 1023) << 52);
}

/* Near 1, where the logarithm is small itself: ln x = 2 artanh(s) with s = f / (2 + f), |s| < 1/31; written
 * as f - s (f - R) so that the large part f is exact. */
static double log_near_one(double x)
{
    double f = x - 1, s = f / (2 + f), z = s * s, half = 0.5 * f * f;
    double r = z * (2.0 / 3 + z * (2.0 / 5 + z * (2.0 / 7 + z * (2.0 / 9 + z * (2.0 / 11)))));
    return f - (half - s * (half + r));
}

double real_log(double x)
{
    const double below = 1 - 0x1p-4, above = 1 + 0x1p-4;
    double k = 0;
    if (x > below && x < above)
        return log_near_one(x);
    if (x < 0x1p-1022) { /* subnormal */
        x *= 0x1p54;
        k = -54;
    }
    /* x = 2^k z, 0.6875 <= z < 1.375, and c is the middle of the piece of the table that z is in. */
    uint64_t b = bits_of(x), t = b - LOG_FIRST;
    k += (double)((int64_t)t >> 52);
    b -= t & UINT64_C(0xfff) << 52;
    const struct real_log_piece *p = &real_log_pieces[t >> LOG_WIDTH & (REAL_PIECES - 1)];
    double z = from_bits(b);
    double c = from_bits((b >> LOG_WIDTH << LOG_WIDTH) + (UINT64_C(1) << (LOG_WIDTH - 1)));
    /* z - c and the larger parts of the other two are exact. */
    double r = (z - c) * p->inverse, w = k * LN2_HI + p->hi, hi = w + r;
    double lo = w - hi + r + (k * LN2_LO + p->lo), r2 = r * r;
    double q = (-1.0 / 2 + r * (1.0 / 3)) + r2 * (-1.0 / 4 + r * (1.0 / 5)) +
               r2 * r2 * ((-1.0 / 6 + r * (1.0 / 7)) - r2 * (1.0 / 8));
    return hi + (lo + r2 * q);
}

double real_exp(double x)
{
    if (x > 709.78)
        return HUGE_VAL;
    if (x < -745)
        return 0;
    /* Added to this, and taken away from it again, a number is rounded to a whole one. */
    const double whole = 0x1.8p52;
    double k = x * PIECES_OF_LN2 + whole - whole;
    double r = x - k * LN2_PIECE_HI - k * LN2_PIECE_LO, r2 = r * r;
    int n = (int)k;
    const struct real_exp_piece *p = &real_exp_pieces[n & (REAL_PIECES - 1)];
    /* e^r = 1 + r + r^2/2 + …, |r| <= 0.0055 */
    double q = p->tail + r + r2 * (1.0 / 2 + r * (1.0 / 6)) +
               r2 * r2 * ((1.0 / 24 + r * (1.0 / 120)) + r2 * (1.0 / 720));
    n >>= 6;
    if (n >= -1021 && n <= 1023) {
        double s = from_bits(bits_of(p->power) + ((uint64_t)(int64_t)n << 52));
        return s + s * q;
    }
    double y = p->power + p->power * q;
    return n > 0 ? y * power_of_two(n - 1) * 2 : y * power_of_two(n + 1000) * power_of_two(-1000);
}

double real_pow(double x, double y)
{
    return real_exp(y * real_log(x));
}

double real_log1p(double x)
{
    /* The logarithm of what 1 + x was rounded to, and the share by which it was. */
    double u = 1 + x;
    return u == 1 ? x : real_log(u) * (x / (u - 1));
}

double real_log_gamma(double x)
{
    double product = 1;
    if (x <= 20 && x == floor(x)) {
        for (double k = 2; k < x; k++)
            product *= k; /* exact */
        return real_log(product);
    }
    for (; x < 10; x++)
        product *= x;
    /* Abramowitz and Stegun, 6.1.41. */
    static const double c[] = {1.0 / 12,   -1.0 / 360,      1.0 / 1260, -1.0 / 1680,
                               1.0 / 1188, -691.0 / 360360, 1.0 / 156,  -3617.0 / 122400};
    double sum = 0, z = 1 / (x * x);
    for (int i = (int)(sizeof c / sizeof *c) - 1; i >= 0; i--)
        sum = sum * z + c[i];
    double half_log_two_pi = 0.91893853320467274178;
    return (x - 0.5) * real_log(x) - x + (half_log_two_pi + sum / x) - real_log(product);
}

double real_erfc(double x)
{
    if (x < 0)
        return 2 - real_erfc(-x);
    if (x > 27.3)
        return 0;
    /* e to the -x^2 with an exact square: the upper half of x, and the rest. */
    double upper = from_bits(bits_of(x) & 0xffffffff00000000ULL);
    double bell = real_exp(-upper * upper) * real_exp((upper - x) * (upper + x));
    if (x < 1.5) { /* Abramowitz and Stegun, 7.1.6 */
        double term = x, sum = x;
        for (double n = 3; term > sum * 1e-17; n += 2)
            sum += term *= 2 * x * x / n;
        return 1 - 1.1283791670955125739 * bell * sum;
    }
    /* 7.1.14, from its 80th fraction back; numerator and denominator kept apart, one division. */
    double num = x, den = 1;
    for (int k = 80; k > 0; k--) {
        double next = x * num + 0.5 * k * den;
        den = num;
        num = next;
    }
    return bell * den / (num * 1.7724538509055160273);
}

/* Of degree 7; halves and quarters of it do not wait for each other. */
static double polynomial(const double *c, double r)
{
    double r2 = r * r;
    return ((c[0] + c[1] * r) + (c[2] + c[3] * r) * r2) +
           ((c[4] + c[5] * r) + (c[6] + c[7] * r) * r2) * (r2 * r2);
}

static double ratio(const double *num, const double *den, double r)
{
    return polynomial(num, r) / polynomial(den, r);
}

double real_normal_quantile(double p)
{
    static const double a[] = {3.3871328727963666080e0,  1.3314166789178437745e+2,
                               1.9715909503065514427e+3, 1.3731693765509461125e+4,
                               4.5921953931549871457e+4, 6.7265770927008700853e+4,
                               3.3430575583588128105e+4, 2.5090809287301226727e+3};
    static const double b[] = {1,
                               4.2313330701600911252e+1,
                               6.8718700749205790830e+2,
                               5.3941960214247511077e+3,
                               2.1213794301586595867e+4,
                               3.9307895800092710610e+4,
                               2.8729085735721942674e+4,
                               5.2264952788528545610e+3};
    static const double c[] = {1.42343711074968357734e0,  4.63033784615654529590e0,
                               5.76949722146069140550e0,  3.64784832476320460504e0,
                               1.27045825245236838258e0,  2.41780725177450611770e-1,
                               2.27238449892691845833e-2, 7.74545014278341407640e-4};
    static const double d[] = {1,
                               2.05319162663775882187e0,
                               1.67638483018380384940e0,
                               6.89767334985100004550e-1,
                               1.48103976427480074590e-1,
                               1.51986665636164571966e-2,
                               5.47593808499534494600e-4,
                               1.05075007164441684324e-9};
    static const double e[] = {6.65790464350110377720e0,  5.46378491116411436990e0,
                               1.78482653991729133580e0,  2.96560571828504891230e-1,
                               2.65321895265761230930e-2, 1.24266094738807843860e-3,
                               2.71155556874348757815e-5, 2.01033439929228813265e-7};
    static const double f[] = {1,
                               5.99832206555887937690e-1,
                               1.36929880922735805310e-1,
                               1.48753612908506148525e-2,
                               7.86869131145613259100e-4,
                               1.84631831751005468180e-5,
                               1.42151175831644588870e-7,
                               2.04426310338993978564e-15};
    double q = p - 0.5;
    if (fabs(q) <= 0.425)
        return q * ratio(a, b, 0.180625 - q * q);
    double r = sqrt(-real_log(q < 0 ? p : 1 - p));
    double z = r <= 5 ? ratio(c, d, r - 1.6) : ratio(e, f, r - 5);
    return q < 0 ? -z : z;
}
