/* A block of trials as one line of the record: kind `outcomes`.
 *
 *   {"trials":[FIRST,LAST], "services":{NAME:{COLUMN:TEXT,…},…}, "path":{NAME:{QUANTITY:TEXT}}}
 *
 * A column has a value for each trial, apart by blanks; VALUE*N stands for N equal ones in a row. Columns:
 *   kind          u unaffected, r restored, c censored, v void; left out: all u
 *   by            n nobody, r recovery, h heal; left out: r where restored, else n
 *   ttd, tta, ttr, down, drained, loss
 *                 ns; - does not apply, inf not within the horizon; left out: all -; "ttr" for `down`: as
 *                 in that column
 *   episodes      left out: 1 where hit, else 0
 *   blips, false_alarms   left out: all 0
 *   weight        left out: all 1
 * A service that is left out was unaffected in every trial of the block, and nothing rang. `path`: for
 * services that promise to be restored, how much of the time of all its trials that were restored
 * passed in each quantity (trial.h), ns in all.
 *
 * Ownership: a block owns its memory: block_free().
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/forecast/outcome.h"
#include <jansson.h>

struct block {
    uint64_t first; /* trial, from 1 */
    size_t trials, services;
    struct outcome *outcomes; /* of trial first + i and service k: [i * services + k] */
    size_t quantities;
    outcome_total **path; /* [service][quantity]; NULL: not told of that service */
};

/* `told`: the services of which it is told what their restoring is made of. */
struct block *block_new(size_t trials, size_t services, size_t quantities, const bool *told);
struct block *block_free(struct block *b);
DEFINE_CLEANUP(struct block, block_free);

/* The members of the line: a new reference. */
json_t *block_json(const struct block *b, const struct scenario *s, const char *const *quantities);

/* What a service came to that a line leaves out. */
struct outcome block_unhit(void);
/* Reading: `fn` is called for each service that stands in the line, with its outcomes of all its
 * trials. -EBADMSG with a sentence for what is no such line. */
typedef int block_service_fn(size_t service, const struct outcome *outcomes, size_t n, void *data,
                             struct err *err);
int block_read(const json_t *line, const struct scenario *s, block_service_fn *fn, void *data,
               uint64_t *ret_first, uint64_t *ret_last, struct err *err);
/* Text of a total, and back: -EBADMSG. */
void block_total_text(outcome_total t, char text[48]);
int block_total(const char *text, outcome_total *ret);

/* How many trials a block has: a power of two, fewer where there are many services. */
#define BLOCK_MOST 1024
size_t block_size(size_t services);
