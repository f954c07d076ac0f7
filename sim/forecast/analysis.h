/* What was found out about a forecast, as lines of its record: kind `analysis`. Reports are made from these.
 *
 *   {"what":WHAT, "trials":N, …}; an estimate is [value, low, high] at 95 %, or null.
 *   luck         services:{NAME:{missed:E, affected, interaction:{ttr:E, missed:E}, parts:[{name,
 *                first:{ttr:E, missed:E}, total:{ttr:E, missed:E}, no_time?:{missed:E, change:E},
 *                sure?:{missed:E, change:E}, on_path:E, on_missed_path:E, time_share}]}}
 *   assumptions  draws, groups:[{name, parameters:[{path, low, high}]}], services:{NAME:{within:E, ttr_s:E,
 *                middle:{within, ttr_s}, interaction:{within:E, ttr:E}, groups:[{first:{within:E, ttr:E},
 *                total:{…}, low:{within, ttr_s}, high:{…}}]}}  (in the order of `groups`)
 *   lever        the same without indices, for assumptions given as single values: each a quarter less and
 *                a quarter more. change:0.25, middle as above, services:{NAME:{middle, levers:[{name, now,
 *                less:{within, ttr_s}, more:{…}}]}}
 *   variants     variants:[{name, title?, set:{PATH:VALUE}, services:{NAME:S}}], the first as it is
 *   sweep        path, values:[{value, number?, services:{NAME:S}}]
 *                S: {within:E, hit, ttr_median_s, ttr_p90_s, noticed:[n, of], ttd_mean_s, ttd_median_s,
 *                ttd_p90_s, false_alarms, false_alarm:E, change?:E, ttr_ratio?:E}; a time is null where
 *                there is none, "never" where it is longer than was looked at
 *   cheapest     services:{NAME:{required, found, name?, change?, now?, then?, within:E?}}
 *   against      drills:[DRILL], drawn_from:[DRILL], services:{NAME:{ttr:HELD, ttd:HELD, fit_outage, fit_ttd}};
 *                DRILL: {dir, scenario, digest, trials}; the digest is the hash of the record's last line
 *   drawn        drills:[DRILL]: what the model draws from
 *   rare         services:{NAME:{missed:E, hits, effective}}: of the rto, by importance sampling (rare.h);
 *                missed: null where it is worth fewer than RARE_EFFECTIVE unweighted ones
 *
 * All functions give new references.
 */
#pragma once

#include "sim/forecast/assumed.h"
#include "sim/forecast/cheapest.h"
#include "sim/forecast/held.h"
#include "sim/forecast/rare.h"
#include "sim/forecast/versus.h"
#include "sim/forecast/why.h"

#include <jansson.h>

json_t *analysis_new_estimate(struct estimate e); /* null for none */
json_t *analysis_new_number(double v);            /* null for NAN */
json_t *analysis_new_time(nsec t);                /* seconds, null or "never" */
json_t *analysis_new_point(struct assumed_point p);

json_t *analysis_luck(const struct scenario *s, const struct why *w);
/* `group_json`: the groups' names and parameters. */
json_t *analysis_assumptions(const struct assumed *a, const struct service *const *services,
                             size_t trials, json_t *group_json);
/* v: NULL for the first one. */
json_t *analysis_numbers(const struct versus_numbers *n, const struct versus *v);
json_t *analysis_held(const struct held *h);
/* found: of each service. */
json_t *analysis_rare(const struct scenario *s, const struct rare *found, uint64_t trials);
