/* What could be made better: the durations and probabilities that a scenario assumes or chooses, each with
 * a handle to change it.
 *
 * A scenario that is loaded anew has the same levers in the same order. Changes are made to the scenario
 * that the levers were listed from, before a system is made of it; everything lives in its arena.
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/model/model.h"

enum lever_kind { LEVER_DURATION, LEVER_CHANCE };
struct lever {
    char *name; /* its path in the file */
    enum lever_kind kind;
    double most;                       /* the greatest change that makes sense: 1, or less */
    const struct distribution **takes; /* one of these three */
    nsec *time;
    double *chance;
};

/* ret: in the arena. */
size_t lever_list(struct scenario *s, const struct lever **ret);
/* A duration becomes 1 - change of what it was, a probability of failure too; change < 0: worse. */
void lever_move(struct scenario *s, const struct lever *l, double change);
/* "lognormal, median 3 min, p95 12 min", "98 %": appends. */
void lever_text(const struct lever *l, struct buf *out);
