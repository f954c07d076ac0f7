/* Corrective actions: what is to be done about an area for improvement, by whom and by when. They are said at
 * the debrief (`note` with what: corrective) or written later, when the after-action meeting has decided, in a
 * file that the report is made with.
 *
 * In the file, YAML:
 *   actions:
 *     - area: 2                    # its number in the report's improvement plan; or a text: a new one
 *       objective: declare         # of a new one; optional
 *       action: Say in the bridge's topic who commands
 *       element: training          # corrective_elements
 *       owner: Platform            # the responsible organisation
 *       contact: bob               # its point of contact
 *       start: 2027-01-04
 *       due: 2027-01-31
 * Only `action` is required. Source: HSEEP's improvement plan.
 */
#pragma once

#include "scenarios/diag.h"
#include "sim/base/arena.h"
#include "sim/model/model.h"
#include <jansson.h>

extern const char *const corrective_elements[]; /* NULL-terminated: planning, organisation … */

enum { CORRECTIVE_TEXT_MAX = 8000, CORRECTIVE_MOST = 1000 /* in one file */ };

struct corrective { /* texts: NULL where not given */
    int64_t area_n; /* 0: by its text */
    const char *area;
    const struct exercise_objective *objective; /* NULL: of none in particular */
    const char *action, *element, *owner, *contact, *start, *due;
    const char *by; /* who said it at the debrief; NULL: it stands in the file */
};

/* A day of the calendar, as 2027-01-31. */
bool corrective_is_date(const char *text);
/* Whether a line of the record, one that tells of such an action, has a known element and days that can be;
 * -EINVAL, with the sentence. */
int corrective_check(const json_t *line, struct err *err);

/* Reads a file's text; `areas`: how many the report has. Errors go to `diags`, each with its place; -EINVAL then.
 * Everything is allocated in `arena`. */
int corrective_load(struct arena *arena, const char *text, size_t n, const char *name,
                    const struct scenario *s, size_t areas, struct diags *diags,
                    struct corrective **ret, size_t *ret_n);
