/* When our own probe is beyond a threshold: so many bad answers in a row, or too large a share of them in
 * each of one or two windows. The alarm that needs nothing but a probe; the drill's and the forecast's.
 *
 * A burn rate is two windows, each with a share of bad answers above factor × (1 - SLO): the long one shows
 * that it matters, the short one that it goes on (Google, The Site Reliability Workbook, chapter 5).
 *
 * A value of its owner's; it owns its windows: threshold_done(), where it has any. Fed with what sim/judge
 * decided, in that order. Times of one clock.
 */
#pragma once

#include "sim/judge/judge.h"
#include "sim/judge/window.h"
#include "sim/model/model.h"

enum { THRESHOLD_WINDOWS = 2 };

struct threshold_window {
    nsec length;
    double above; /* share of bad answers: exceeded above it */
};

struct threshold {
    int64_t consecutive, count; /* count: bad ones in a row so far; consecutive 0: by the windows */
    bool firing;
    struct window *windows[THRESHOLD_WINDOWS]; /* all of them must be exceeded; NULL: no more */
    double above[THRESHOLD_WINDOWS];
};

enum threshold_change { THRESHOLD_SAME, THRESHOLD_ONSET, THRESHOLD_CLEAR };

/* By windows over a probe that asks each `every`; n <= THRESHOLD_WINDOWS. (One by count needs no making.) */
struct threshold threshold_of_windows(const struct threshold_window *windows, size_t n, nsec every);
/* Of an alarm on our own probes (alarm_is_own()), for a probe that asks each `every`. */
struct threshold threshold_of_alarm(const struct alarm *a, nsec every);
void threshold_done(struct threshold *t);
/* `e`: JUDGE_DECIDED. ret_at, unless nothing changed: from the end of that observation to when it could
 * be decided. */
enum threshold_change threshold_feed(struct threshold *t, const struct judge_event *e,
                                     struct span *ret_at);
/* Counting begins anew, windows are empty; what fires, fires on. */
void threshold_reset(struct threshold *t);

/* The share of bad answers that a burn rate allows. */
double threshold_of_burn(double slo, double factor);
/* How long after a share `bad` of all answers began to be bad (0 before) a window is exceeded, of ever so many
 * answers: length × above / bad; NSEC_INF: never. */
nsec threshold_fires_after(const struct threshold_window *w, double bad);
/* How long after they all became good again it is not exceeded any more, when a share `bad` was for longer
 * than the window. */
nsec threshold_clears_after(const struct threshold_window *w, double bad);
