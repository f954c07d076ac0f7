/* What the engine of a container does to it for an action: pause, stop, start, restart.
 *
 * Ownership: a record is JSON of its caller; it holds all that undoing needs, the container's id above
 * all: one of the same name that was made since is never touched. Every call opens the engine afresh,
 * as one that was started again in between must do no harm.
 */
#pragma once

#include "injectors/injector.h"
#include "sim/attach/container.h"

/* Is this host a container? Its id and engine (borrowed from the host). */
bool contained_is(const struct lab_node *n, struct container_id *ret);
/* {host, engine, id, container, pid, start}, the last two of its first process; a new reference. */
json_t *contained_record(const struct lab_node *n);
/* Several of them, as a row of hosts by their records. */
const char *contained_host(const json_t *record);

/* What the engine says of it. -ENOENT: it was removed. */
int contained_look(const json_t *record, struct cengine_container *ret, struct err *err);
/* Does it run, and is it not paused? -ESRCH: it does not run; -EALREADY: it is paused. For prepare. */
int contained_ready(const json_t *record, struct cengine_container *ret, struct err *err);
/* For plan: what the engine is asked for, of each candidate; undoing: below what is done. */
void contained_plan(const struct target *t, const struct cengine_command *c, const char *only,
                    json_t *texts);
void contained_plan_verb(const struct target *t, enum cengine_verb verb, const char *only,
                         json_t *texts);
/* It was asked for and done. env: NULL, or whom to tell as a change. */
void contained_tell(const struct inject_env *env, const json_t *record,
                    const struct cengine_command *c);
/* Pauses or unpauses; *at is widened, `changes` told. Unpausing what is not paused is 0 and no change;
 * what was removed: INJECT_GONE, with the reason. */
int contained_pause(const struct inject_env *env, const json_t *record, json_t *changes,
                    struct span *at, struct err *err);
int contained_unpause(const struct inject_env *env, const json_t *record, json_t *changes,
                      struct span *at, struct err *err);
/* Starts what does not run; the rest as contained_unpause(). */
int contained_start(const struct inject_env *env, const json_t *record, json_t *changes,
                    struct span *at, struct err *err);

/* Undoes an undo record {containers: [record…]} one by one with `fn` (two of the above). As struct
 * injector's revert: INJECT_GONE when all of them have gone. */
typedef int contained_undo_fn(const struct inject_env *env, const json_t *record, json_t *changes,
                              struct span *at, struct err *err);
int contained_revert(const struct inject_env *env, const json_t *undo, contained_undo_fn *fn,
                     struct inject_result *ret, struct err *err);
/* As struct injector's touches, of the same records. */
void contained_touches(const json_t *undo, json_t *ret);
