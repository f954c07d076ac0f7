/* restart, of a container as a whole: its engine stops and starts it.
 *
 * Ownership: restart_container_prepare() … restart_container_done().
 */
#pragma once

#include "injectors/injector.h"
#include "injectors/params.h"

struct restart_container;

/* The host is named, others made it, and it can be ended and started as a whole. */
bool restart_container_is_meant(const struct scenario *s, const struct process_params *whom);
/* As the functions of struct injector. */
int restart_container_check(const struct process_params *whom, struct err *err);
int restart_container_plan(const struct restart_params *p, json_t *texts);
int restart_container_prepare(struct inject_env *env, const struct restart_params *p,
                              struct restart_container **ret, struct err *err);
int restart_container_start(struct inject_env *env, struct restart_container *r,
                            inject_event_fn *fn, void *data, struct err *err);
int restart_container_verify(struct restart_container *r, struct inject_proof *ret,
                             struct err *err);
void restart_container_done(struct restart_container *r);
