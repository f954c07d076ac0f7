/* A stand-in for the model behind trial.h, for tests of what stands above it.
 *
 * Nothing is owned: the scenario borrows what is given.
 */
#pragma once

#include "sim/base/jsonx.h"
#include "sim/forecast/trial.h"
#include <errno.h>

#define FIXTURE_FAILS 666 /* with this seed a trial fails */
#define FIXTURE_FAILS_AT 5000

/* Two services, checkout (back within 3 s) and search (never hit). */
void fixture_scenario(struct scenario *s, struct service services[2], void *pointers[3]);
