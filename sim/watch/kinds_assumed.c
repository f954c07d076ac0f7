/* The kind of alarm that is only described: for forecasts. */
#include "sim/watch/kinds.h"

#define NOWHERE SIZE_MAX

static const struct field assumed_fields[] = {
    ALARM_MODEL_FIELDS("{lognormal: {median: 90s, p95: 5m}}"),
    {0},
};
static const struct record assumed_record = {
    .name = "assumed",
    .summary = "Somebody or something that will notice, as it is assumed.",
    .size = sizeof(struct alarm_model),
    .fields = assumed_fields,
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const char *no_host(const void *params)
{
    (void)params;
    return NULL;
}

/* A forecast sees to it; nothing of it can be run (scenario_can_run()). */
static const struct alarm_kind assumed_kind = {.host = no_host};
const struct variant kinds_assumed = {
    .name = "assumed",
    .summary = "for forecasts: an alarm of which only the delay is known",
    .detail =
        "Customers who call, a monitoring system of others. A scenario with such an alarm can be "
        "forecast, not run.",
    .params = &assumed_record,
    .impl = &assumed_kind,
};
