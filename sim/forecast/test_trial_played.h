/* For tests that know reports: trials played by the engine, whose names are others. */
#pragma once

#include "sim/forecast/outcome.h"
#include "sim/model/model.h"

#include <jansson.h>

bool same(const struct outcome *a, const struct outcome *b);
/* Plays trials 1 … trials of this seed, each as quickly as possible and told event by event, and fails the
 * test when an outcome differs. quick, told: those of trial 1, for each service; returned: its record, a
 * new reference; NULL: the engine refuses the scenario. */
json_t *played(const struct scenario *s, uint64_t seed, uint64_t trials, struct outcome *quick,
               struct outcome *told);
