/* A barrier in a host that others made: packets between it and given peers are lost or refused, by a
 * table of ours inside of it. The other ends are not ours, so they are known by their addresses.
 *
 * The table belongs to the lab's socket in that namespace (`flags owner`), so the kernel takes it away
 * when we die; it stands in the journal as well, for kernels that know no owners.
 *
 * Ownership: barrier_prepare() … barrier_done().
 */
#pragma once

#include "injectors/injector.h"
#include "injectors/params.h"

struct barrier;

int barrier_check(const struct scenario *s, const struct partition_params *p, struct err *err);
int barrier_supported(const struct inject_env *env, const struct partition_params *p,
                      struct err *err);
int barrier_plan(const struct scenario *s, const struct partition_params *p, const char *step_id,
                 json_t *texts, struct err *err);
/* ret_undo: a new reference. */
int barrier_prepare(struct inject_env *env, const struct partition_params *p, const char *step_id,
                    struct barrier **ret, json_t **ret_undo, struct err *err);
int barrier_apply(struct barrier *b, struct inject_result *ret, struct err *err);
int barrier_verify(struct barrier *b, struct inject_proof *ret, struct err *err);
/* As struct injector's revert; adds to `changes`. */
int barrier_revert(struct inject_env *env, const json_t *undo, json_t *changes, struct err *err);
/* As struct injector's touches; record NULL: nothing. */
void barrier_touches(const json_t *record, json_t *ret);
struct barrier *barrier_done(struct barrier *b);
DEFINE_CLEANUP(struct barrier, barrier_done);
