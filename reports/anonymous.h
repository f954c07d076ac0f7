/* People and hosts under other names, before anything is measured.
 *
 * Names of hosts of the scenario become host-1, host-2, … in its order, the machine's own name
 * machine, people person-1, … in the order in which the record names them. Whole words only, in
 * texts as well (details, commands, outputs); names of services, probes, alarms and steps stay.
 */
#pragma once

#include "sim/model/model.h"
#include <jansson.h>

/* Changes both in place. */
void anonymous_apply(struct scenario *scenario, json_t *events);
