/* The shape of a partition: from what stands in the scenario to who loses what whom sends.
 *
 * Ownership: `struct shape` is its user's, freed by shape_done(); names are the scenario's.
 */
#pragma once

#include "injectors/injector.h"
#include "injectors/net/partition/cut.h"
#include "injectors/net/partition/grudge.h"
#include "injectors/params.h"

struct shape {
    const char **hosts;
    size_t n;
    bool around; /* from every other host of the scenario too (isolate); `ways` is empty then */
    struct grudge ways;
    bool forward, backward;
    struct buf how;  /* how hosts were chosen; empty: all plainly named */
    struct buf text; /* "lb2 | client, db" */
};
void shape_done(struct shape *s);
#define SHAPE_INIT                                                                                 \
    {                                                                                              \
        .how = BUF_INIT, .text = BUF_INIT                                                          \
    }
#define AUTO_SHAPE __attribute__((cleanup(shape_done))) struct shape

/* Exactly one shape, and one that makes sense. */
int shape_check(const struct partition_params *p, struct err *err);
/* False: hosts are drawn, or asked for, when the step happens. */
bool shape_is_fixed(const struct partition_params *p);
/* As written, with the rules for those that are chosen when the step happens. */
void shape_written(const struct partition_params *p, struct buf *out);
/* What `direction` means here, in words; "" where it means nothing. */
const char *shape_direction(const struct partition_params *p);

/* Chooses the hosts. `ret` must be SHAPE_INIT; it may be half filled after a failure. */
int shape_find(struct inject_env *env, const struct partition_params *p, struct shape *ret,
               struct err *err);
void shape_cut(const struct topo *topo, const struct shape *s, struct cut *ret);
