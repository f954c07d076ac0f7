/* The background load of a trial (`load:`): commands that run from SETTLE to the end of observation.
 *
 * Ownership: loads_new() … loads_free(), before the lab goes. `spoilt` comes from the loop when a command
 * could not be started after all (the shell says so); not after loads_free(), which it may not call.
 * Each start and each end is a line `load` of the record.
 */
#pragma once

#include "sim/drill/core.h"
#include "sim/lab/lab.h"

struct loads;

typedef void loads_spoilt_fn(const char *reason, void *data);

struct loads *loads_new(struct core *core, struct lab *lab, int64_t trial, loads_spoilt_fn *spoilt,
                        void *data);
/* All of them; the first that cannot be started is the error. */
int loads_start(struct loads *l, struct err *err);
/* Each gets its signal, and SIGKILL when it has not ended `within` (at most `most`). */
void loads_stop(struct loads *l, nsec most);
/* None runs any more, or what was killed did not end and is written down as that; takes NULL. */
bool loads_over(struct loads *l);
struct loads *loads_free(struct loads *l);
