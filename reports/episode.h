/* Down periods of a service in one trial, from the observations of its probes.
 *
 * Everything returned belongs to the result's arena. Needs of the trial: events, armed, watched,
 * fault_start and faults.
 */
#pragma once

#include "reports/result.h"

/* Fills in episodes, flaps, blips, unknown, resolution and probes_n of `s`. */
void episode_find(struct result *r, const struct trial *t, struct service_seen *s);

/* This trial's line of that kind at or after index *i (which moves behind it); NULL: no more. */
const json_t *trial_next(const struct trial *t, const char *kind, size_t *i);
/* How many lines of that kind this trial has. */
size_t trial_count(const struct trial *t, const char *kind);
