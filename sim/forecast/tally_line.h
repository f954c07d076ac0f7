/* A tally as one line of the record: kind `years`.
 *
 *   {"missions":[FIRST,LAST], "years":N, "observed":TEXT, "events":N, "broken":N, "year_lost":HISTOGRAM,
 *    "services":{NAME:{…}}, "blames":{NAME:{COMPONENT:[INCIDENTS,TEXT]}}}
 *
 * Members of a service are those of struct tally_service; what is zero is left out, and so is a service
 * that was never down. Totals are decimal texts. HISTOGRAM: {"least":N,"most":N,"bins":"BIN:COUNT …"}; of
 * `year_down` the years without any time down are left out.
 *
 * Ownership: values only.
 */
#pragma once

#include "sim/forecast/catalogue.h"
#include "sim/forecast/tally.h"
#include <jansson.h>

/* The members of the line: a new reference. */
json_t *tally_line_json(const struct tally *t, const struct catalogue *c, uint64_t first);
/* Adds it to the tally. -EBADMSG with a sentence for what is no such line; then the tally is of no use. */
int tally_line_read(const json_t *line, const struct catalogue *c, struct tally *t,
                    uint64_t *ret_first, uint64_t *ret_last, struct err *err);
