/* What must hold of a decoded scenario beyond its types, and the members that follow from others.
 *
 * Nothing is owned. Reads sim/model, adds to diags; every function here can be called on a scenario
 * that was decoded with errors (absent members are NULL or unset).
 */
#pragma once

#include "scenarios/decode.h"
#include "scenarios/scenario.h"

/* Sets the members that model.h calls resolved, from defaults and other members. */
void check_resolve(struct scenario *s, struct diags *diags);
/* Everything else; only of a scenario without errors so far. */
void check_scenario(const struct scenario *s, struct diags *diags);
/* The files that were named can be read and lie in the scenario's folder. */
void check_files(const struct scenario *s, const struct decode *d, struct diags *diags);
/* `trials` are enough for what is to be demonstrated. */
void check_trials(const struct scenario *s, int64_t trials, struct diags *diags);
