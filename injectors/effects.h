/* For the `effect` of injectors: whom a step hits, as components of a forecast.
 *
 * Nothing is owned but what the caller's `struct effects` holds.
 */
#pragma once

#include "injectors/injector.h"
#include "sim/model/effect.h"

/* `one` for each host that the target means (drawn, or who leads, by env). */
int effects_at(struct inject_env *env, const struct target *t, const struct effect *one,
               struct effects *ret, struct err *err);
/* `one` between the host and every other host with an address on that network; network NULL: and
 * everybody. */
int effects_on_network(struct inject_env *env, const char *host, const char *network,
                       const struct effect *one, struct effects *ret, struct err *err);
/* `one` between the host and every host with an address within a prefix; of a router, which others' packets
 * pass, between those hosts and everybody. True when there was one. */
bool effects_towards(struct inject_env *env, const char *host, const char *prefix,
                     const struct effect *one, struct effects *ret);
/* -ENOTSUP with a sentence: it hits only some ports or protocols, and whose those are nobody knows. */
int effects_too_narrow(const struct step *step, const char *what, struct err *err);
