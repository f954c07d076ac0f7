/* freeze, of a container as a whole: its engine pauses it.
 *
 * Ownership: pause_prepare() … pause_done().
 */
#pragma once

#include "injectors/injector.h"
#include "injectors/params.h"

struct pause;

/* The host is a container, and no processes of it are named: then freeze is a pause. */
bool pause_is_meant(const struct scenario *s, const struct process_params *whom);
/* As the functions of struct injector. */
int pause_check(const struct process_params *whom, struct err *err);
int pause_plan(const struct process_params *whom, json_t *texts);
int pause_prepare(struct inject_env *env, const struct process_params *whom, struct pause **ret,
                  json_t **ret_undo, struct err *err);
int pause_apply(const struct inject_env *env, struct pause *p, struct inject_result *ret,
                struct err *err);
int pause_verify(struct inject_env *env, struct pause *p, struct inject_proof *ret,
                 struct err *err);
int pause_revert(const struct inject_env *env, const json_t *undo, struct inject_result *ret,
                 struct err *err);
void pause_done(struct pause *p);
