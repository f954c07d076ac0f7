/* Maintenance windows.
 *
 * Invariant: firing[i] says that the last suppressed event of alarm i was an onset, and nothing told of
 * it since; only then has the end of its window anything to release.
 */
#include "sim/drill/quiet.h"

#include <stdlib.h>
#include <string.h>

struct quiet_end {
    struct quiet *quiet;
    const struct maintenance *window;
    struct loop_timer timer;
};

struct quiet {
    const struct scenario *scenario;
    struct loop *loop;
    quiet_released_fn *released;
    void *data;
    nsec zero; /* NSEC_UNSET: not begun */
    bool *firing;
    struct quiet_end *ends;
};

static void quiet_ended(struct loop_timer *t, void *data)
{
    (void)t;
    struct quiet_end *e = data;
    struct quiet *q = e->quiet;
    nsec end = nsec_add(e->window->from, e->window->lasting);
    for (size_t i = 0; i < q->scenario->alarms.n; i++) {
        const struct alarm *a = q->scenario->alarms.items[i];
        if (!q->firing[i] || !maintenance_concerns(e->window, a) ||
            scenario_maintenance(q->scenario, a, end))
            continue;
        q->firing[i] = false;
        q->released(a, nsec_add(q->zero, end), q->data);
    }
}

struct quiet *quiet_new(const struct scenario *s, struct loop *loop, quiet_released_fn *released,
                        void *data)
{
    struct quiet *q = calloc(1, sizeof *q);
    if (!q)
        abort();
    *q = (struct quiet){
        .scenario = s, .loop = loop, .released = released, .data = data, .zero = NSEC_UNSET};
    q->firing = calloc(s->alarms.n + 1, sizeof *q->firing);
    q->ends = calloc(s->maintenance.n + 1, sizeof *q->ends);
    if (!q->firing || !q->ends)
        abort();
    for (size_t i = 0; i < s->maintenance.n; i++) {
        struct quiet_end *e = &q->ends[i];
        e->quiet = q;
        e->window = s->maintenance.items[i];
        e->timer = (struct loop_timer){.fn = quiet_ended, .data = e};
    }
    return q;
}

struct quiet *quiet_free(struct quiet *q)
{
    if (!q)
        return NULL;
    for (size_t i = 0; i < q->scenario->maintenance.n; i++)
        loop_timer_cancel(q->loop, &q->ends[i].timer);
    free(q->firing);
    free(q->ends);
    free(q);
    return NULL;
}

void quiet_begin(struct quiet *q, nsec zero)
{
    q->zero = zero;
    for (size_t i = 0; i < q->scenario->maintenance.n; i++) {
        const struct maintenance *m = q->ends[i].window;
        loop_timer_set(q->loop, &q->ends[i].timer, nsec_add(zero, nsec_add(m->from, m->lasting)));
    }
}

bool quiet_hears(struct quiet *q, const struct alarm *a, bool onset, nsec at)
{
    size_t i = 0;
    while (i < q->scenario->alarms.n && q->scenario->alarms.items[i] != a)
        i++;
    if (i == q->scenario->alarms.n)
        return false;
    bool was = q->firing[i];
    q->firing[i] = false;
    if (!onset)
        return was;
    if (!nsec_is_set(q->zero) || !scenario_maintenance(q->scenario, a, at - q->zero))
        return false;
    q->firing[i] = !alarm_is_momentary(a);
    return true;
}
