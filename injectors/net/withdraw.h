/* Withdrawing part of a host's network configuration (an address, routes) and putting back the very
 * same: what the faults `address` and `route` share.
 *
 * Undo record: {hosts: [{host, taken, init | netns}]}; `taken` is rtnl_take.h's, `init` the pid of the
 * lab host's init (another one: it was powered on again, with what it had), `netns` the identity of a
 * namespace that others made.
 *
 * Ownership: withdraw_prepare() … withdraw_done(). Parameters are the scenario's.
 */
#pragma once

#include "injectors/injector.h"
#include "sim/kernel/rtnl_take.h"

struct withdraw;

/* Reads what is to be taken away on this host. ret_probe: an address whose way shows the effect. */
typedef int withdraw_find_fn(struct inject_env *env, struct lab_node *n, const void *params,
                             json_t **ret_taken, struct inet_prefix *ret_probe, struct err *err);

/* For plan: what the first words of the message are ("address", "route"), and what of it is known before it is
 * read there. */
void withdraw_plan(const struct target *host, const char *what, const struct inet_prefix *known,
                   json_t *texts);
int withdraw_prepare(struct inject_env *env, const struct target *host, const void *params,
                     withdraw_find_fn *find, struct withdraw **ret, json_t **ret_undo,
                     struct err *err);
int withdraw_apply(struct inject_env *env, struct withdraw *w, struct inject_result *ret,
                   struct err *err);
/* It is not there any more, and what is sent to the probe goes another way than before. */
int withdraw_verify(struct inject_env *env, struct withdraw *w, struct inject_proof *ret,
                    struct err *err);
/* As struct injector's. */
int withdraw_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                    struct err *err);
void withdraw_touches(const json_t *undo, json_t *ret);
void withdraw_done(struct withdraw *w);
