/* The language itself: what may stand in a scenario, as one table of tables.
 *
 * Constants; nothing is owned. Decoder, JSON Schema and manual are made from scenario_record.
 */
#pragma once

#include "sim/model/field.h"

extern const struct record scenario_record;
extern const struct record tables_service, tables_network, tables_host,
    tables_group; /* parts of it */
extern const struct record tables_breaker, tables_component, tables_crew, tables_responder,
    tables_model, tables_stage, tables_freeze, tables_variant;
extern const struct record tables_condition, tables_step; /* the script */
extern const struct record tables_overview, tables_objective, tables_phase, tables_clock,
    tables_runbook, tables_debrief; /* exercises */
/* Steps of people, alphabetical, NULL-terminated; each has a struct injector that only an exercise plays. */
extern const struct variant *const tables_people[];
