/* Background load: what the record tells of it, and what its output says.
 *
 * Everything belongs to the result's arena.
 */
#pragma once

#include "reports/result.h"
#include "sim/base/buf.h"

/* The numbers of a generator's output. */
struct load_numbers {
    bool known;                  /* it is wrk's summary */
    double requests_per_s;       /* as wrk says */
    int64_t requests;            /* answered */
    int64_t errors;              /* socket errors, and answers that were not 2xx or 3xx */
    double latency_s, longest_s; /* mean and longest, seconds; 0: not said */
};
struct load_numbers load_numbers(const char *output);

/* Reads the trial's loads; after its faults and states. */
void load_read(struct result *r, struct trial *t);
void load_find(struct result *r, const struct trial *t); /* its findings */
json_t *load_json(const struct load_seen *l);
/* What came of it, in words: "1234.5 requests per second, 2 errors, …" or its last line. */
void load_words(const struct load_seen *l, struct buf *out);
/* True when any trial had one. */
bool load_any(const struct result *r);
