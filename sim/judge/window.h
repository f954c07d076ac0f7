/* A sliding window over the answers of one probe: how large the share of bad ones is.
 *
 * A probe that has only just begun stands for a service that has long been watched: before its first
 * answer the window counts as full of good ones, one each `every`. Else the first bad answer of a drill
 * would fill a window of an hour.
 *
 * Memory does not grow with the answers: a window of so many intervals `every` as WINDOW_PARTS is so many
 * parts, and forgets a part at a time; shorter ones forget one answer by one, each when it is too old.
 *
 * Ownership: window_new() … window_free(). Times are of one clock and do not decrease.
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/base/nsec.h"

enum { WINDOW_PARTS = 8192 };

struct window;

/* length, every: above 0. */
struct window *window_new(nsec length, nsec every);
struct window *window_free(struct window *w);
DEFINE_CLEANUP(struct window, window_free);

/* An answer that was known at `at`; answers that say nothing are not added. */
void window_add(struct window *w, nsec at, bool bad);
/* The share of bad ones in (at - length, at] at the latest `at`; 0 before the first. */
double window_ratio(const struct window *w);
nsec window_length(const struct window *w);
/* Forgets all answers. */
void window_reset(struct window *w);
