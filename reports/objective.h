/* From measures to verdicts: what each trial says about each promise, and what all trials together
 * do. The rules, with their reasons: docs/measures.md.
 */
#pragma once

#include "reports/result.h"

/* Outcome, TTR, downtime and the shares of one service in one trial; needs episodes and detection.
 */
void objective_judge_trial(const struct result *r, const struct trial *t, struct service_seen *s);

/* All objectives of the scenario, each with its verdict, and the verdict of the run. */
void objective_judge_run(struct result *r);
