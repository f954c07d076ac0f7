/* Which alarm noticed, when, and which should have. Needs the service's episodes. */
#pragma once

#include "reports/result.h"

/* Fills in alarms, detection, the ttd spans and the episodes' onsets of `s`. */
void detection_find(struct result *r, const struct trial *t, struct service_seen *s);

/* True when this alarm may meet the service's detect_within; without such a promise: when its role
 * is page or monitor. */
bool detection_counts(const struct service *s, const struct alarm *a);
/* The first judged outage that somebody had to notice, because it was not back before the service's
 * detect_within for sure; NULL: none. */
const struct episode *detection_due(const struct trial *t, const struct service_seen *s);
