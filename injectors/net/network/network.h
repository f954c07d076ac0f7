/* The parts of the `network` fault. Private to injectors/net/network*.c.
 */
#pragma once

#include "injectors/injector.h"
#include "injectors/net/network/reach.h"

/* network_check.c: what tables cannot say. As injector.check. */
int network_check(const struct scenario *s, const struct step *step, struct err *err);

/* network_effect.c: what it means for requests. As injector.effect. */
int network_effect(struct inject_env *env, const struct step *step, struct effects *ret,
                   struct err *err);

/* network_table.c: its keys. */
extern const struct record network_record;
