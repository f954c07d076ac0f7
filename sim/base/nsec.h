/* Time: one type, signed 64-bit nanoseconds, and intervals of it.
 *
 * A value alone does not say which clock it is of; names and headers do. Durations come from
 * CLOCK_MONOTONIC, deadlines that must survive a suspend from CLOCK_BOOTTIME (clock_gettime(2)).
 * Only this module and sim/loop call clock_gettime().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

typedef int64_t nsec;

#define NSEC_USEC ((nsec)1000)
#define NSEC_MSEC ((nsec)1000000)
#define NSEC_SEC ((nsec)1000000000)
#define NSEC_INF INT64_MAX   /* for ever; also the high end of a censored duration */
#define NSEC_UNSET INT64_MIN /* not given: never 0 */

static inline bool nsec_is_set(nsec t)
{
    return t != NSEC_UNSET;
}

static inline nsec nsec_between(nsec t, nsec lo, nsec hi) /* the nearest of [lo, hi] */
{
    return t < lo ? lo : t > hi ? hi : t;
}

/* What is known about an instant or a duration: it lies in [lo, hi]. hi may be NSEC_INF. */
struct span {
    nsec lo, hi;
};

#define SPAN_UNSET ((struct span){NSEC_UNSET, NSEC_UNSET})

static inline bool span_is_set(struct span s)
{
    return s.lo != NSEC_UNSET;
}

nsec nsec_now(clockid_t clock);
struct timespec nsec_to_timespec(nsec t);
nsec nsec_from_timespec(struct timespec ts);

/* a + b, a - b without wrapping: saturates at NSEC_INF and at -NSEC_INF. */
nsec nsec_add(nsec a, nsec b);
nsec nsec_sub(nsec a, nsec b);

/* The duration between two instants: [to.lo - from.hi, to.hi - from.lo]; may be negative. */
struct span span_between(struct span from, struct span to);

#define NSEC_TEXT_MAX 40

/* For people: "3.2 s", "250 ms", "4 h", "1 min 30 s"; "for ever" for NSEC_INF. Returns buf. */
const char *nsec_text(nsec t, char buf[NSEC_TEXT_MAX]);

/* As the scenario language writes it: "250ms", "3s", "1500us", "4h". Exact; parses back to t. */
const char *nsec_yaml(nsec t, char buf[NSEC_TEXT_MAX]);

/* UTC with milliseconds, ISO 8601: "2026-01-31T23:59:59.123Z". `wall` is of CLOCK_REALTIME. */
const char *nsec_iso(nsec wall, char buf[NSEC_TEXT_MAX]);
