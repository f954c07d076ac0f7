/* Numbers with units. Decimal arithmetic in integers: "0.1s" is exactly 100 ms. */
#include "sim/base/units.h"

#include "sim/base/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef __int128 int128;

/* Reads digits[.digits] as value = whole + frac/scale; at most 18 digits each. */
static const char *units_number(const char *p, int64_t *whole, int64_t *frac, int64_t *scale)
{
    int64_t w = 0, f = 0, s = 1;
    int digits = 0;
    for (; isdigit((unsigned char)*p); p++, digits++) {
        if (digits >= 18)
            return NULL;
        w = w * 10 + (*p - '0');
    }
    if (!digits)
        return NULL;
    if (*p == '.') {
        p++;
        if (!isdigit((unsigned char)*p))
            return NULL;
        for (digits = 0; isdigit((unsigned char)*p); p++, digits++) {
            if (digits >= 9)
                return NULL;
            f = f * 10 + (*p - '0');
            s *= 10;
        }
    }
    *whole = w;
    *frac = f;
    *scale = s;
    return p;
}

int units_duration(const char *text, nsec *ret, struct err *err)
{
    static const struct {
        const char *name;
        nsec unit;
    } units[] = {{"ns", 1},
                 {"us", NSEC_USEC},
                 {"ms", NSEC_MSEC},
                 {"s", NSEC_SEC},
                 {"m", 60 * NSEC_SEC},
                 {"h", 3600 * NSEC_SEC},
                 {"d", 86400 * NSEC_SEC}};
    const nsec most = 3650 * 86400 * NSEC_SEC;
    const char *p = text;
    nsec sum = 0, last = NSEC_INF;

    if (!*p)
        return err_set(err, EINVAL, "an empty text is not a duration");
    while (*p) {
        int64_t whole, frac, scale;
        const char *q = units_number(p, &whole, &frac, &scale);
        if (!q)
            return err_set(err, EINVAL,
                           "'%s' is not a duration (write it like 250ms, 3s, 1m30s or 4h)", text);
        size_t n = 0;
        while (isalpha((unsigned char)q[n]))
            n++;
        if (!n)
            return err_set(err, EINVAL, "'%s' has no unit (ns, us, ms, s, m, h or d)", text);
        nsec unit = 0;
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
            if (strlen(units[i].name) == n && !strncmp(units[i].name, q, n))
                unit = units[i].unit;
        if (!unit)
            return err_set(err, EINVAL,
                           "'%.*s' in '%s' is not a unit of time (ns, us, ms, s, m, h or d)",
                           (int)n, q, text);
        if (unit >= last)
            return err_set(err, EINVAL, "'%s' names its units in the wrong order", text);
        last = unit;
        if (whole > most / unit)
            return err_set(err, ERANGE, "'%s' is longer than ten years", text);
        nsec part = whole * unit;
        int128 f = (int128)frac * unit;
        if (f % scale)
            return err_set(err, EINVAL, "'%s' is finer than a nanosecond", text);
        part += (nsec)(f / scale);
        sum += part;
        if (sum > most)
            return err_set(err, ERANGE, "'%s' is longer than ten years", text);
        p = q + n;
    }
    *ret = sum;
    return 0;
}

int units_percent(const char *text, double *ret, struct err *err)
{
    int64_t whole, frac, scale;
    const char *q = units_number(text, &whole, &frac, &scale);
    if (!q || strcmp(q, "%"))
        return err_set(err, EINVAL, "'%s' is not a percentage (write it like 5%% or 0.1%%)", text);
    double v = ((double)whole + (double)frac / (double)scale) / 100.0;
    if (v > 1.0)
        return err_set(err, ERANGE, "'%s' is more than 100%%", text);
    *ret = v;
    return 0;
}

int units_decimal(const char *text, double *ret, struct err *err)
{
    int64_t whole, frac, scale;
    const char *q = units_number(text, &whole, &frac, &scale);
    if (!q || *q)
        return err_set(err, EINVAL, "'%s' is not a number like 12 or 2.5", text);
    *ret = (double)whole + (double)frac / (double)scale;
    return 0;
}

struct units_word {
    const char *name;
    int64_t unit;
};

static const struct units_word units_sizes[] = {
    {"B", 1},           {"kB", 1000},       {"MB", 1000000},    {"GB", 1000000000},
    {"KiB", 1LL << 10}, {"MiB", 1LL << 20}, {"GiB", 1LL << 30},
};
static const struct units_word units_rates[] = {
    {"bit", 1}, {"kbit", 1000}, {"mbit", 1000000}, {"gbit", 1000000000}, {"tbit", 1000000000000},
};

/* A number and one of these words; 1: it is not that. */
static int units_amount(const char *text, const struct units_word *words, size_t n, int64_t *ret,
                        struct err *err)
{
    int64_t whole, frac, scale;
    const char *q = units_number(text, &whole, &frac, &scale);
    for (size_t i = 0; q && i < n; i++)
        if (!strcmp(words[i].name, q)) {
            int128 v = (int128)whole * words[i].unit + (int128)frac * words[i].unit / scale;
            if (v > INT64_MAX)
                return err_set(err, ERANGE, "'%s' is too large", text);
            *ret = (int64_t)v;
            return 0;
        }
    return 1;
}

int units_size(const char *text, int64_t *ret, struct err *err)
{
    bool minus = *text == '-';
    int64_t v;
    int r = units_amount(text + minus, units_sizes, ARRAY_SIZE(units_sizes), &v, err);
    if (r > 0)
        return err_set(err, EINVAL, "'%s' is not a size (write it like 64kB, 10MB or 1GiB)", text);
    if (r == 0)
        *ret = minus ? -v : v;
    return r;
}

int units_rate(const char *text, int64_t *ret, struct err *err)
{
    int r = units_amount(text, units_rates, ARRAY_SIZE(units_rates), ret, err);
    if (r > 0)
        return err_set(err, EINVAL, "'%s' is not a rate (write it like 512kbit, 10mbit or 1gbit)",
                       text);
    return r;
}

/* The largest of the first `n` words that divides it. */
static const char *units_text(int64_t v, const struct units_word *words, size_t n,
                              char buf[UNITS_TEXT_MAX])
{
    size_t best = 0;
    for (size_t i = 1; i < n && v; i++)
        if (v % words[i].unit == 0)
            best = i;
    snprintf(buf, UNITS_TEXT_MAX, "%" PRId64 "%s", v / words[best].unit, words[best].name);
    return buf;
}

const char *units_size_text(int64_t bytes, char buf[UNITS_TEXT_MAX])
{
    return units_text(bytes, units_sizes, 4, buf);
}

const char *units_rate_text(int64_t bits_per_second, char buf[UNITS_TEXT_MAX])
{
    return units_text(bits_per_second, units_rates, ARRAY_SIZE(units_rates), buf);
}

int units_integer(const char *text, int64_t *ret, struct err *err)
{
    const char *p = text + (*text == '-');
    if (!isdigit((unsigned char)*p))
        return err_set(err, EINVAL, "'%s' is not a whole number", text);
    errno = 0;
    char *end;
    long long v = strtoll(text, &end, 10);
    if (*end)
        return err_set(err, EINVAL, "'%s' is not a whole number", text);
    if (errno)
        return err_set(err, ERANGE, "'%s' is too large", text);
    *ret = v;
    return 0;
}
