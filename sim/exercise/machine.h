/* The machine of a functional exercise: who really does to hosts what the script says, measures what comes
 * of it, and undoes it. Conduct knows nothing more of it than this: it says when, and is told what came of
 * it by lines of the record, which the machine hands to conduct_machine_line().
 *
 *   asked                 answered by lines
 *   go                    `state` inject (its zero is that instant)
 *   begin(step)           `inject` {step, ok} when it was done or has failed, then `verify`
 *   end(step, cause)      `undo` {step, cause, ok}
 *   close                 the play is over: `state` restore, undo, compare, then `trial-end`
 *   stop(why)             the same at once, and `stop` first; then the last `clean` and `run-end`
 *   finish                nobody needs the record any more: the last `clean` and `run-end`
 *
 * Each returns at once, may be called from inside of a listener, and may write lines before it returns.
 * After `trial-end` nothing more may be begun.
 */
#pragma once

#include "sim/base/err.h"
#include "sim/base/nsec.h"
#include <stddef.h>

struct machine {
    /* Whether the play may begin; -EAGAIN: why not (what is to be broken is broken already). */
    int (*may_go)(void *data, struct err *err);
    void (*go)(nsec zero, void *data); /* of the loop's clock */
    void (*begin)(size_t step, void *data);
    void (*end)(size_t step, const char *cause, void *data);
    void (*close)(void *data);
    void (*stop)(const char *reason, const char *detail,
                 void *data); /* words of record.h's `stop` */
    void (*finish)(void *data);
    void *data;
};
