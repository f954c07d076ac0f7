/* Loading a scenario: from a file to the model, checked.
 *
 * Ownership: *ret is the caller's, freed by scenario_free(). What was found wrong stands in `diags`
 * (also warnings, when loading succeeds).
 */
#pragma once

#include "scenarios/diag.h"
#include "sim/model/model.h"

/* Reads, decodes and checks. `sets`: NAME=VALUE texts of --set (NULL: none). Returns 0, or -EINVAL
 * when diags has an error (the file cannot be read included). */
int scenario_load(const char *path, const struct strv *sets, struct diags *diags,
                  struct scenario **ret);

/* The same from memory; `name` stands for the file in messages. Files that the scenario names are
 * not looked for, and nothing can be included. */
int scenario_load_text(const char *text, size_t n, const char *name, const struct strv *sets,
                       struct diags *diags, struct scenario **ret);

/* What scenario_emit() wrote into a run's folder. It was checked when it was run, and the files it
 * names stand elsewhere there, so only what is needed to understand it is looked at. */
int scenario_load_as_run(const char *text, size_t n, const char *name, struct diags *diags,
                         struct scenario **ret);

/* Another number of trials than the file says (--trials): 0, or -EINVAL when what is to be
 * demonstrated needs more. */
int scenario_set_trials(struct scenario *s, int64_t trials, struct diags *diags);
