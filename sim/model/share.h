/* At most the declared share of a group of hosts is hit at a time (`groups:` of a scenario). Pure.
 *
 * What counts: the hosts that faults name, and of those that are chosen when a step is due as many as may
 * be chosen, whoever they will be. A fault counts from its beginning to its undoing; one that is not undone
 * (a killed process) to the end of the trial.
 */
#pragma once

#include "sim/model/model.h"
#include <jansson.h>

/* So many of its hosts may be hit: a share, rounded down. */
size_t share_limit(const struct host_group *g);

/* All steps that have a time of their own, as if each choice fell as badly as it can. *ret_step: where;
 * -EPERM with the sentence. */
int share_check(const struct scenario *s, const struct step **ret_step, struct err *err);

/* Whom a fault in force has hit. */
struct share_hit {
    const struct step *step;
    const json_t *targets; /* [host…] */
};
/* May this step begin now? -EPERM. */
int share_may_begin(const struct scenario *s, const struct step *step, const struct share_hit *hits,
                    size_t n, struct err *err);
