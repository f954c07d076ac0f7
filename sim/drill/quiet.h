/* Maintenance windows of a trial: which alarm is suppressed now, and what comes out when one ends.
 *
 * Ownership: quiet_new() … quiet_free(). Timers run on the trial's loop from quiet_begin() on.
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/loop/loop.h"
#include "sim/model/model.h"

struct quiet;

/* An alarm that fires still while its last window ends at `at`. */
typedef void quiet_released_fn(const struct alarm *a, nsec at, void *data);

struct quiet *quiet_new(const struct scenario *s, struct loop *loop, quiet_released_fn *released,
                        void *data);
struct quiet *quiet_free(struct quiet *q); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct quiet, quiet_free);
/* The script's zero: windows count from it. */
void quiet_begin(struct quiet *q, nsec zero);
/* An onset or a clear, known at `at` (CLOCK_MONOTONIC). True: it is suppressed. The clear of an onset
 * that was suppressed is too. */
bool quiet_hears(struct quiet *q, const struct alarm *a, bool onset, nsec at);
