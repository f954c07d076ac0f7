/* What benchmarks share: rounds, medians, running a program. No assertions: figures only.
 *
 * Ownership: values; nothing to free but what is said so.
 */
#pragma once

#include "sim/base/err.h"
#include "sim/base/nsec.h"
#include <stddef.h>

#define BENCH_MAX_ROUNDS 50

/* How often each side is measured: BENCH_ROUNDS, else 5. */
size_t bench_rounds(void);
double bench_median(const double *values, size_t n);
double bench_now_ms(void);

/* One measured side over all rounds, in milliseconds. */
struct bench_series {
    const char *name;
    double ms[BENCH_MAX_ROUNDS];
    size_t n;
};
void bench_add(struct bench_series *s, double ms);
/* "name   median 12.3 ms (11.9 to 14.0)   ratio 13.5 (12.9 to 14.1) to base"; the ratio is the
 * median over rounds of s / base. base NULL: no ratio. */
void bench_print(const struct bench_series *s, const struct bench_series *base);

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
