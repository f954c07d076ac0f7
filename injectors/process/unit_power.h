/* What systemd does to a unit for an action: it ends it (undone by starting it again, unless somebody has
 * started it already), or ends and starts it.
 *
 * Ownership: unit_power_prepare() … unit_power_done(). Undo records are JSON of their caller; a unit is
 * known by its name, so that it is started again after another start of the machine, too.
 */
#pragma once

#include "injectors/injector.h"
#include "sim/attach/manager.h"

struct unit_power;

/* Is the host of this target, which is named, a unit? */
bool unit_power_is_meant(const struct scenario *s, const struct target *host);
/* As the functions of struct injector; job: MANAGER_STOP or MANAGER_RESTART. */
int unit_power_plan(const struct inject_env *env, enum manager_job job, const struct target *host,
                    json_t *texts);
/* What systemd is asked for, below the sentence of a plan. */
void unit_power_plan_job(enum manager_job job, const struct target *host, const char *unit,
                         const char *only, json_t *texts);
/* ret_undo: {persistent, unit, host} of a stop, else null. */
int unit_power_prepare(struct inject_env *env, enum manager_job job, const struct target *host,
                       struct unit_power **ret, json_t **ret_undo, struct err *err);
int unit_power_start(struct inject_env *env, struct unit_power *u, inject_event_fn *fn, void *data,
                     struct err *err);
int unit_power_verify(struct unit_power *u, struct inject_proof *ret, struct err *err);
void unit_power_done(struct unit_power *u);
/* Is this the undo record of one? */
bool unit_power_has(const json_t *undo);
int unit_power_revert(const struct inject_env *env, const json_t *undo, struct inject_result *ret,
                      struct err *err);
/* Starts the unit of {unit, host}, unless it runs; `changes` is told. 0, INJECT_GONE (there is no such unit
 * any more) or -errno. */
int unit_power_start_again(const struct inject_env *env, const json_t *record, json_t *changes,
                           struct err *err);
