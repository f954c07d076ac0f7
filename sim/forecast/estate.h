/* The catalogue of a scenario: what fails by itself, and what runs on it (catalogue.h).
 *
 * Every host is a component, so is every entry of `components`; a service runs on the units of its
 * `redundancy` and needs what it needs hard; soft needs take nobody down. A takeover of active-passive takes as
 * long as the service's stages (response.h), from an alarm that comes as soon as the service's own alarms
 * would about an outage that answers nothing (or as the model says of others), and the standby's warm-up. The
 * script, freezes and maintenance windows of the drill have no part in it.
 *
 * Ownership: estate_free() frees everything; the scenario is borrowed and must live longer. Immutable.
 */
#pragma once

#include "sim/base/arena.h"
#include "sim/forecast/catalogue.h"
#include "sim/model/model.h"

struct estate;
/* Errors, with the place in the scenario: unknown names, nothing that fails by itself, what catalogue_new()
 * and response_new() refuse. */
int estate_new(const struct scenario *s, struct estate **ret, struct err *err);
struct estate *estate_free(struct estate *e);
DEFINE_CLEANUP(struct estate, estate_free);
/* Components: those of the scenario in its order, then hosts that are not among them. Services, crews: in the
 * scenario's order. */
const struct catalogue *estate_catalogue(const struct estate *e);

/* What this scenario assumes that has no part in years, as phrases ("takeout of shop"), told to whoever asks for
 * years; in the arena, NULL-terminated. */
const char **estate_left_out(const struct scenario *s, struct arena *arena);
