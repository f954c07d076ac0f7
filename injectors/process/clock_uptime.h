/* clock, of the monotonic kind: a host is restarted, and from then on its programs find that the machine
 * has been up for so long.
 *
 * Ownership: clock_uptime_prepare() … clock_uptime_done().
 */
#pragma once

#include "injectors/injector.h"
#include "injectors/params.h"

struct clock_uptime;

/* As the functions of struct injector. */
int clock_uptime_supported(const struct inject_env *env, struct err *err);
int clock_uptime_plan(const struct inject_env *env, const struct clock_params *p, json_t *texts,
                      struct err *err);
int clock_uptime_prepare(struct inject_env *env, const struct clock_params *p,
                         struct clock_uptime **ret, json_t **ret_undo, struct err *err);
int clock_uptime_apply(struct inject_env *env, struct clock_uptime *u, struct inject_result *ret,
                       struct err *err);
int clock_uptime_verify(struct inject_env *env, struct clock_uptime *u, struct inject_proof *ret,
                        struct err *err);
int clock_uptime_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                        struct err *err);
void clock_uptime_done(struct clock_uptime *u);
