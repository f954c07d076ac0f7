/* Nanoseconds and intervals of them. */
#include "sim/base/nsec.h"

#include <inttypes.h>
#include <stdio.h>

nsec nsec_now(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return nsec_from_timespec(ts);
}

struct timespec nsec_to_timespec(nsec t)
{
    struct timespec ts = {.tv_sec = t / NSEC_SEC, .tv_nsec = t % NSEC_SEC};
    if (ts.tv_nsec < 0) {
        ts.tv_nsec += NSEC_SEC;
        ts.tv_sec--;
    }
    return ts;
}

nsec nsec_from_timespec(struct timespec ts)
{
    return (nsec)ts.tv_sec * NSEC_SEC + ts.tv_nsec;
}

nsec nsec_add(nsec a, nsec b)
{
    nsec r;
    if (a == NSEC_INF || b == NSEC_INF)
        return NSEC_INF;
    if (__builtin_add_overflow(a, b, &r) || r == NSEC_UNSET)
        return a > 0 ? NSEC_INF : -NSEC_INF;
    return r;
}

nsec nsec_sub(nsec a, nsec b)
{
    nsec r;
    if (a == NSEC_INF)
        return NSEC_INF;
    if (b == NSEC_INF)
        return -NSEC_INF;
    if (__builtin_sub_overflow(a, b, &r) || r == NSEC_UNSET)
        return a > 0 ? NSEC_INF : -NSEC_INF;
    return r;
}

struct span span_between(struct span from, struct span to)
{
    return (struct span){nsec_sub(to.lo, from.hi), nsec_sub(to.hi, from.lo)};
}

const char *nsec_text(nsec t, char buf[NSEC_TEXT_MAX])
{
    if (t == NSEC_INF) {
        snprintf(buf, NSEC_TEXT_MAX, "for ever");
        return buf;
    }
    if (t == NSEC_UNSET) {
        snprintf(buf, NSEC_TEXT_MAX, "unknown");
        return buf;
    }
    const char *sign = t < 0 ? "-" : "";
    uint64_t u = t < 0 ? (uint64_t)-t : (uint64_t)t;
    if (u == 0)
        snprintf(buf, NSEC_TEXT_MAX, "0 s");
    else if (u < 1000000)
        snprintf(buf, NSEC_TEXT_MAX, "%s%.3g us", sign, (double)u / 1e3);
    else if (u < 995000000)
        snprintf(buf, NSEC_TEXT_MAX, "%s%.3g ms", sign, (double)u / 1e6);
    else if (u < 99950000000ULL)
        snprintf(buf, NSEC_TEXT_MAX, "%s%.3g s", sign, (double)u / 1e9);
    else {
        uint64_t s = (u + 500000000) / 1000000000, h = s / 3600, m = s / 60 % 60;
        s %= 60;
        if (h && (m || s))
            snprintf(buf, NSEC_TEXT_MAX, "%s%" PRIu64 " h %" PRIu64 " min", sign, h, m);
        else if (h)
            snprintf(buf, NSEC_TEXT_MAX, "%s%" PRIu64 " h", sign, h);
        else if (s)
            snprintf(buf, NSEC_TEXT_MAX, "%s%" PRIu64 " min %" PRIu64 " s", sign, m, s);
        else
            snprintf(buf, NSEC_TEXT_MAX, "%s%" PRIu64 " min", sign, m);
    }
    return buf;
}

const char *nsec_yaml(nsec t, char buf[NSEC_TEXT_MAX])
{
    static const struct {
        nsec unit;
        const char *name;
    } units[] = {{86400 * NSEC_SEC, "d"},
                 {3600 * NSEC_SEC, "h"},
                 {60 * NSEC_SEC, "m"},
                 {NSEC_SEC, "s"},
                 {NSEC_MSEC, "ms"},
                 {NSEC_USEC, "us"},
                 {1, "ns"}};
    if (t == 0) {
        snprintf(buf, NSEC_TEXT_MAX, "0s");
        return buf;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (t % units[i].unit == 0) {
            snprintf(buf, NSEC_TEXT_MAX, "%" PRId64 "%s", t / units[i].unit, units[i].name);
            break;
        }
    return buf;
}

const char *nsec_iso(nsec wall, char buf[NSEC_TEXT_MAX])
{
    struct timespec ts = nsec_to_timespec(wall);
    struct tm tm;
    gmtime_r(&ts.tv_sec, &tm);
    char head[24];
    strftime(head, sizeof head, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buf, NSEC_TEXT_MAX, "%s.%03ldZ", head, ts.tv_nsec / 1000000);
    return buf;
}
