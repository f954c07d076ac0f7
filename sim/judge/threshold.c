/* So many bad answers in a row, or too many in windows. */
#include "sim/judge/threshold.h"

#include <string.h>

struct threshold threshold_of_windows(const struct threshold_window *windows, size_t n, nsec every)
{
    struct threshold t = {0};
    for (size_t i = 0; i < n; i++) {
        t.windows[i] = window_new(windows[i].length, every);
        t.above[i] = windows[i].above;
    }
    return t;
}

struct threshold threshold_of_alarm(const struct alarm *a, nsec every)
{
    if (!strcmp(a->kind->name, "ratio")) {
        const struct ratio_params *p = a->params;
        struct threshold_window w = {p->window, p->above};
        return threshold_of_windows(&w, 1, every);
    }
    if (!strcmp(a->kind->name, "burn_rate")) {
        const struct burn_rate_params *p = a->params;
        double above = threshold_of_burn(p->slo, p->factor);
        struct threshold_window w[] = {{p->longer, above}, {p->shorter, above}};
        return threshold_of_windows(w, 2, every);
    }
    const struct threshold_params *p = a->params;
    return (struct threshold){.consecutive = p->consecutive};
}

void threshold_done(struct threshold *t)
{
    for (size_t i = 0; i < THRESHOLD_WINDOWS; i++)
        t->windows[i] = window_free(t->windows[i]);
}

static bool windows_exceeded(struct threshold *t, nsec at, bool bad)
{
    bool all = true;
    for (size_t i = 0; i < THRESHOLD_WINDOWS && t->windows[i]; i++) {
        window_add(t->windows[i], at, bad);
        all = window_ratio(t->windows[i]) > t->above[i] && all;
    }
    return all;
}

enum threshold_change threshold_feed(struct threshold *t, const struct judge_event *e,
                                     struct span *ret_at)
{
    bool was = t->firing, bad = e->obs.verdict == JUDGE_BAD;
    if (e->obs.verdict == JUDGE_UNKNOWN)
        return THRESHOLD_SAME;
    nsec known = e->at > e->obs.end ? e->at : e->obs.end;
    if (t->consecutive) {
        t->count = bad ? t->count + 1 : 0;
        t->firing = bad && (was || t->count >= t->consecutive);
    } else {
        t->firing = windows_exceeded(t, known, bad);
    }
    if (t->firing == was)
        return THRESHOLD_SAME;
    *ret_at = (struct span){e->obs.end, known};
    return t->firing ? THRESHOLD_ONSET : THRESHOLD_CLEAR;
}

void threshold_reset(struct threshold *t)
{
    t->count = 0;
    for (size_t i = 0; i < THRESHOLD_WINDOWS && t->windows[i]; i++)
        window_reset(t->windows[i]);
}

double threshold_of_burn(double slo, double factor)
{
    return factor * (1 - slo);
}

nsec threshold_fires_after(const struct threshold_window *w, double bad)
{
    if (bad <= w->above)
        return NSEC_INF;
    return (nsec)((double)w->length * w->above / bad + 0.5);
}

nsec threshold_clears_after(const struct threshold_window *w, double bad)
{
    if (bad <= w->above)
        return 0;
    return (nsec)((double)w->length * (1 - w->above / bad) + 0.5);
}
