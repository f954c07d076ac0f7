/* The beginning of a trial, where something is not built afresh: the commands of `between:`, one after
 * the other, then every host that others made leads to what is there now.
 *
 * Ownership: meeting_new() … meeting_free(), before the lab goes. The callback comes once, from inside
 * meeting_begin() or from the loop; not after meeting_free(), which it may not call.
 */
#pragma once

#include "sim/drill/core.h"
#include "sim/lab/lab.h"

struct meeting;

/* reason NULL: it may begin; else why not. */
typedef void meeting_fn(const char *reason, void *data);

struct meeting *meeting_new(struct core *core, struct lab *lab, int64_t trial, meeting_fn *fn,
                            void *data);
/* again: there was a trial before; else no command is run. A host that is not there yet has the time
 * of `settle: {within}` to come. */
void meeting_begin(struct meeting *m, bool again);
struct meeting *meeting_free(struct meeting *m);
