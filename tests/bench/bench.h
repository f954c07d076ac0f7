/* What benchmarks share: rounds, medians, limits, running a program.
 *
 * Ownership: values; nothing to free but what is said so.
 */
#pragma once

#include "sim/base/err.h"
#include "sim/base/nsec.h"
#include <stdbool.h>
#include <stddef.h>

#define BENCH_MAX_ROUNDS 50

/* How often each side is measured: BENCH_ROUNDS, else 5. */
size_t bench_rounds(void);
/* What something took: on the clock, and of processors (this process and its children, in user and
 * kernel mode; 0: not measured). On a busy machine the second is the steadier one. */
struct bench_time {
    double wall_ms, cpu_ms;
};
struct bench_time bench_clock(void);
struct bench_time bench_since(struct bench_time start);

/* One measured side over all rounds. */
struct bench_series {
    const char *name;
    struct bench_time rounds[BENCH_MAX_ROUNDS];
    size_t n;
};
void bench_add(struct bench_series *s, struct bench_time t);
/* A line: medians (and extremes) over rounds; with `base` the medians of each round's ratio to it. */
void bench_print(const struct bench_series *s, const struct bench_series *base);

/* The median of each round's ratio to `base`, of processors: steady on a busy machine, too. */
double bench_ratio(const struct bench_series *s, const struct bench_series *base);

/* Sorts v; NAN of none. */
double bench_median(double *v, size_t n);

/* The rule of all benchmarks. A gate is a line "gate NAME: MEASURED, at most LIMIT: kept" (or MISSED), and
 * one that is missed ends the benchmark with 1. A goal is told alike ("goal NAME: …: reached", or not) and
 * ends nothing. Medians of rounds have their extremes beside them. */
void bench_gate(int *missed, const char *name, double got, bool most, double limit);
/* Of the median; sorts v. */
void bench_gate_of(int *missed, const char *name, double *v, size_t n, bool most, double limit);
void bench_goal(const char *name, double got, bool most, double limit);
/* "  NAME  MEDIAN UNIT (LOW to HIGH)": what is told without a limit; sorts v. */
void bench_tell(const char *name, double *v, size_t n, const char *unit);
/* "gate NAME: …" of each round's ratio to `base`, on the clock. */
void bench_gate_times(int *missed, const char *name, const struct bench_series *s,
                      const struct bench_series *base, double least);
/* In each round a over b, as values that bench_gate_of() takes. */
void bench_over(const double *a, const double *b, size_t n, double *ret);

/* The exit code: 1 after a missed gate, 77 with the reason where something to measure against is not here
 * (NULL: everything is), else 0. With BLACKSTART_TESTS_MUST_RUN set 77 is 1. */
int bench_end(int missed, const char *lacks);
#define BENCH_NO_SIMPY "skipped: SimPy 3 is not installed (python3-simpy3): nothing to compare with"

/* A part is named as an argument; none: all of them. */
bool bench_wants(int argc, char **argv, const char *part);

/* Runs argv to its end, without a shell. Ends the benchmark when it fails. input NULL: /dev/null.
 */
void bench_run(const char *const *argv, const char *input);
/* Whether a program is there. */
bool bench_has(const char *program);
/* Ends the benchmark with the sentence when r is negative. */
void bench_ok(int r, const struct err *err);
/* Ends with 77 (see bench_end()) and the reason: this machine cannot do it. */
_Noreturn void bench_skip(const char *why);
/* Ends with 1. */
_Noreturn void bench_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Enters namespaces of its own (a user namespace when not root), with an empty /run: whatever a
 * benchmark leaves there is gone with it. */
void bench_hide(void);
