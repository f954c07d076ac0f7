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

/* A line that says whether a limit is kept; one that is not is counted. */
void bench_gate(int *missed, const char *what, double got, bool most, double limit);
/* The exit code: 1 after a missed limit, 77 with the reason where something to measure against is not here
 * (NULL: everything is), else 0. */
int bench_end(int missed, const char *lacks);
#define BENCH_NO_SIMPY "skipped: SimPy 3 is not installed (python3-simpy3): nothing to compare with"

/* Runs argv to its end, without a shell. Ends the benchmark when it fails. input NULL: /dev/null.
 */
void bench_run(const char *const *argv, const char *input);
/* Ends the benchmark with the sentence when r is negative. */
void bench_ok(int r, const struct err *err);
/* Ends with 77 and the reason: this machine cannot do it. */
_Noreturn void bench_skip(const char *why);

/* Enters namespaces of its own (a user namespace when not root), with an empty /run: whatever a
 * benchmark leaves there is gone with it. */
void bench_hide(void);
