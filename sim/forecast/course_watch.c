/* Probes and alarms of a service on the virtual clock, judged by sim/judge as in a drill.
 *
 * While nobody waits for an alarm, runs of like answers are passed over (judge_feed_run()); the outcomes
 * are the same. A request asks at its start; an error comes at once, silence lasts until the time-out.
 */
#include "sim/forecast/course.h"

#include "sim/forecast/draw.h"

#include <stdlib.h>
#include <string.h>

void periods_add(struct periods *p, const struct period *one)
{
    if (p->n == p->room) {
        p->room = p->room ? 2 * p->room : 4;
        p->items = reallocarray(p->items, p->room, sizeof *p->items);
        if (!p->items)
            abort();
    }
    p->items[p->n++] = *one;
}

/* ---- alarms ---- */

static void tell_alarm(struct course *c, size_t k, const char *event, struct span at,
                       const char *flag, const char *detail)
{
    struct trial *t = c->t;
    if (!t->telling)
        return;
    json_t *e = json_pack("{s:s,s:s,s:o,s:s*}", "alarm", c->sv->alarms[k].alarm->name, "event",
                          event, "at", tell_span(t, at.lo, at.hi), "detail", detail);
    if (flag)
        json_object_set_new(e, flag, json_true());
    tell(t, at.hi, "alarm", e);
}

static const struct maintenance *window_of(const struct course *c, size_t k, nsec at)
{
    const struct scenario *s = c->t->sys->scenario;
    return s->maintenance.n ? scenario_maintenance(s, c->sv->alarms[k].alarm, at) : NULL;
}

static void onset(struct course *c, size_t k, struct span at, const char *flag, const char *detail)
{
    const struct system_alarm *a = &c->sv->alarms[k];
    struct siren *s = &c->r->sirens[k];
    nsec fault = c->t->sys->fault_start;
    s->firing = !a->momentary;
    s->quiet = false;
    if (window_of(c, k, at.hi)) {
        s->quiet = s->firing;
        tell_alarm(c, k, "onset", at, "suppressed", detail);
        return;
    }
    tell_alarm(c, k, "onset", at, flag, detail);
    if (!nsec_is_set(fault) || at.hi < fault)
        s->early++;
    else if (!nsec_is_set(s->onset))
        s->onset = at.hi;
    if (a->pages && at.hi < c->heard)
        c->heard = at.hi;
}

static void clear(struct course *c, size_t k, struct span at)
{
    struct siren *s = &c->r->sirens[k];
    tell_alarm(c, k, "clear", at, s->quiet ? "suppressed" : NULL, NULL);
    s->firing = s->quiet = false;
}

/* Whether a window that suppressed it ends just now, and no other has begun. */
static bool is_released(const struct course *c, size_t k)
{
    const struct objects *m = &c->t->sys->scenario->maintenance;
    for (size_t i = 0; c->r->sirens[k].quiet && i < m->n; i++) {
        const struct maintenance *w = m->items[i];
        if (nsec_add(w->from, w->lasting) == c->now &&
            maintenance_concerns(w, c->sv->alarms[k].alarm))
            return !window_of(c, k, c->now);
    }
    return false;
}

static nsec next_false(struct siren *s, const struct alarm_model *m, nsec after)
{
    double mean = 86400e9 / m->false_per_day, wait = draw_exponential(&s->false_rng) * mean;
    return wait < 4e18 ? nsec_add(after, (nsec)wait) : NSEC_INF;
}

/* When the next alarm comes by the clock. */
static nsec next_alarm(const struct course *c)
{
    nsec next = NSEC_INF;
    for (size_t k = 0; k < c->sv->alarms_n; k++) {
        const struct siren *s = &c->r->sirens[k];
        next = s->onset_at < next ? s->onset_at : next;
        next = s->false_at < next ? s->false_at : next;
    }
    /* Whatever is suppressed by then may be released. */
    const struct objects *m = &c->t->sys->scenario->maintenance;
    for (size_t i = 0; i < m->n; i++) {
        const struct maintenance *w = m->items[i];
        nsec over = nsec_add(w->from, w->lasting);
        next = over > c->now && over < next ? over : next;
    }
    return next;
}

void course_watch_due(struct course *c)
{
    for (size_t k = 0; k < c->sv->alarms_n; k++) {
        struct siren *s = &c->r->sirens[k];
        struct span now = {c->now, c->now};
        if (s->false_at <= c->now) {
            onset(c, k, now, NULL, "a false alarm");
            if (s->firing)
                clear(c, k, now);
            s->false_at = next_false(s, c->sv->alarms[k].model, c->now);
        }
        if (s->onset_at <= c->now) {
            s->onset_at = NSEC_INF;
            if (!s->firing)
                onset(c, k, now, NULL, NULL);
        }
        if (is_released(c, k))
            onset(c, k, now, "released", "still firing when its maintenance ended");
    }
    c->alarm = next_alarm(c);
}

void course_watch_pain(struct course *c, bool hurts)
{
    struct span now = {c->now, c->now};
    c->aware = NSEC_INF;
    for (size_t k = 0; k < c->sv->alarms_n; k++) {
        const struct system_alarm *a = &c->sv->alarms[k];
        struct siren *s = &c->r->sirens[k];
        if (hurts && a->pages && s->firing && !s->quiet)
            c->aware = c->now; /* it never ceased */
        if (!a->model)
            continue;
        if (!hurts && !a->momentary) {
            s->onset_at = NSEC_INF;
            if (s->firing)
                clear(c, k, now);
        } else if (hurts) {
            struct rng r = trial_stream(c->t, a->quantity, c->pains);
            enum whatif_kind what = trial_whatif(c->t, a->quantity);
            bool fires = rng_unit(&r) < a->model->fires || what == WHATIF_SURE;
            nsec delay = what == WHATIF_NO_TIME || !a->model->delay ? 0 : draw(a->model->delay, &r);
            if (fires && s->onset_at == NSEC_INF)
                s->onset_at = nsec_add(c->now, delay);
        }
    }
    c->pains += hurts;
    c->alarm = next_alarm(c);
}

/* ---- probes ---- */

/* Truly: when the present run of bad answers began; where nothing is broken, with its first. */
static nsec bad_since(const struct sight *s, const struct judge_obs *o)
{
    return s->bad ? s->bad_from : o->start;
}

/* Truly: when the present run of good answers began. */
static nsec good_since(const struct sight *s, const struct judge_obs *o)
{
    bool broken = nsec_is_set(s->bad_to) && s->bad_to >= s->run_first; /* while answers were bad */
    return s->bad || !broken ? o->start : s->bad_to;
}

static void hear_thresholds(struct sight *s, const struct judge_event *e)
{
    struct course *c = s->course;
    for (size_t i = 0; i < s->of->thresholds.n; i++) {
        size_t k = s->of->thresholds.items[i];
        struct siren *one = &c->r->sirens[k];
        struct span at;
        switch (quorum_feed(&one->quorum,
                            threshold_feed(&one->thresholds[s->of->parts.items[i]], e, &at))) {
        case THRESHOLD_SAME:
            break;
        case THRESHOLD_ONSET:
            onset(c, k, at, NULL, NULL);
            break;
        case THRESHOLD_CLEAR:
            clear(c, k, at);
            break;
        }
    }
}

void sight_judged(const struct judge_event *e, void *data)
{
    struct sight *s = data;
    switch (e->kind) {
    case JUDGE_BLIP:
        s->blips++;
        break;
    case JUDGE_DOWN: {
        struct period one = {.impact = e->impact,
                             .restored = {e->obs.start, NSEC_INF},
                             .began = s->in_run ? s->run_from : bad_since(s, &e->obs),
                             .first_bad = s->in_run ? s->run_first : e->obs.start,
                             .ended = NSEC_INF};
        periods_add(&s->periods, &one);
        s->up_sum = 0;
        break;
    }
    case JUDGE_RECOVERING:
        s->good_from = s->in_run ? good_since(s, &e->obs) : s->good_from;
        s->recovered_from = s->good_from;
        break;
    case JUDGE_FLAP: /* its first bad answer */
        if (bad_since(s, &e->obs) > s->recovered_from)
            s->up_sum += bad_since(s, &e->obs) - s->recovered_from;
        break;
    case JUDGE_RESTORED: {
        struct period *last = &s->periods.items[s->periods.n - 1];
        last->impact = e->impact;
        last->restored = e->restored;
        last->ended = s->recovered_from;
        last->down = last->ended - last->began - s->up_sum;
        break;
    }
    case JUDGE_DECIDED:
        if (e->obs.verdict == JUDGE_BAD && !s->in_run) {
            s->run_from = bad_since(s, &e->obs);
            s->run_first = e->obs.start;
        } else if (e->obs.verdict == JUDGE_GOOD && s->in_run)
            s->good_from = good_since(s, &e->obs);
        s->in_run = e->obs.verdict == JUDGE_BAD;
        s->in_row = s->in_run ? s->in_row + 1 : 0;
        if (s->of->thresholds.n)
            hear_thresholds(s, e);
        break;
    }
}

enum fare { FARE_GOOD, FARE_QUICK, FARE_LOST, FARE_SLOW, FARE_LATE };

static enum fare fare_of(const struct sight *s)
{
    const struct look *l = &s->look;
    if (l->quick <= 0 && l->lost <= 0 && l->slow <= 0 && l->late <= 0)
        return FARE_GOOD;
    if (l->quick >= 1 || l->lost >= 1)
        return l->quick >= 1 ? FARE_QUICK : FARE_LOST;
    struct rng r = s->answers;
    r.n = s->n;
    double u = rng_unit(&r);
    if (u < l->quick)
        return FARE_QUICK;
    if (u < l->quick + l->lost)
        return FARE_LOST;
    if (u < l->quick + l->lost + l->slow)
        return FARE_SLOW;
    return u < l->quick + l->lost + l->slow + l->late ? FARE_LATE : FARE_GOOD;
}

/* Every request meets the same. */
static bool is_certain(const struct look *l)
{
    return look_bad(l) + l->late <= 0 || l->quick >= 1 || l->lost >= 1 || l->slow >= 1 ||
           l->late >= 1;
}

static struct judge_obs ask(const struct sight *s, enum fare *ret)
{
    const struct probe *p = s->of->probe;
    enum fare fare = fare_of(s);
    struct judge_obs o = {.n = s->n,
                          .scheduled = s->next,
                          .start = s->next,
                          .end = s->next,
                          .verdict =
                              fare == FARE_GOOD || fare == FARE_LATE ? JUDGE_GOOD : JUDGE_BAD};
    if (fare == FARE_LOST)
        o.end += p->timeout;
    else if (fare == FARE_SLOW || fare == FARE_LATE)
        o.end += s->look.delay;
    *ret = fare;
    return o;
}

static void tell_probe(struct course *c, const struct sight *s, const struct judge_obs *o,
                       enum fare fare)
{
    static const char *const why[] = {
        [FARE_QUICK] = "refused", [FARE_LOST] = "timeout", [FARE_SLOW] = "slow"};
    struct trial *t = c->t;
    bool ok = o->verdict == JUDGE_GOOD;
    tell(t, o->end, "probe",
         json_pack("{s:s,s:I,s:o,s:o,s:o,s:b,s:s*}", "probe", s->of->probe->name, "n",
                   (json_int_t)o->n, "sched", tell_instant(t, o->scheduled), "start",
                   tell_instant(t, o->start), "end", tell_instant(t, o->end), "ok", ok, "why",
                   ok ? NULL : why[fare]));
}

static void ask_one(struct course *c, struct sight *s)
{
    enum fare fare;
    struct judge_obs o = ask(s, &fare);
    if (c->t->telling)
        tell_probe(c, s, &o, fare);
    s->n++;
    s->next += s->of->probe->every;
    judge_feed(s->judge, &o);
}

static void ask_many(struct sight *s, nsec until)
{
    nsec every = s->of->probe->every;
    if (s->next >= until)
        return;
    enum fare fare;
    uint64_t count = judge_count(s->next, until, every);
    struct judge_obs o = ask(s, &fare);
    s->n += count;
    s->next += (nsec)count * every;
    uint64_t window = s->of->window, begin = window;
    if (o.verdict == JUDGE_BAD && s->of->counted > begin && s->in_row < s->of->counted)
        begin = s->of->counted;
    judge_feed_run(s->judge, &o, count, every, begin, window);
}

static struct sight *first_to_ask(const struct course *c)
{
    struct sight *first = NULL;
    for (size_t i = 0; i < c->sv->probes_n; i++) {
        struct sight *s = &c->r->sights[i];
        if (!first || s->next < first->next)
            first = s;
    }
    return first;
}

bool course_watch_recovers(const struct course *c)
{
    for (size_t i = 0; i < c->sv->probes_n; i++)
        if (judge_is_recovering(c->r->sights[i].judge))
            return true;
    return false;
}

nsec course_watch_until(struct course *c, nsec until)
{
    bool one_by_one = c->t->telling || c->sv->in_order || (c->troubled && c->waits) || c->extended;
    if (!one_by_one) {
        for (size_t i = 0; i < c->sv->probes_n; i++) {
            struct sight *s = &c->r->sights[i];
            if (is_certain(&s->look))
                ask_many(s, until);
            else
                while (s->next < until)
                    ask_one(c, s);
        }
        return until;
    }
    for (;;) {
        nsec end = c->heard > c->now && c->heard < until ? c->heard : until;
        struct sight *s = first_to_ask(c);
        if (!s || s->next >= end)
            return end;
        nsec at = s->next;
        ask_one(c, s);
        if (c->extended && !course_watch_recovers(c)) {
            c->over = true;
            return at;
        }
    }
}

void course_watch_begin(struct course *c)
{
    struct trial *t = c->t;
    nsec fault = t->sys->fault_start;
    for (size_t i = 0; i < c->sv->probes_n; i++) {
        struct sight *s = &c->r->sights[i];
        struct rng phase = trial_stream(t, s->of->phase, 0);
        s->course = c;
        s->answers = trial_stream(t, s->of->answers, 0);
        s->next = -t->sys->lead;
        if (!t->sys->scenario->phase && trial_whatif(t, s->of->phase) != WHATIF_NO_TIME)
            s->next += (nsec)rng_below(&phase, (uint64_t)s->of->probe->every);
        s->phase = s->next + t->sys->lead;
        s->n = 0;
        s->look = (struct look){0};
        s->bad = s->in_run = false;
        s->in_row = 0;
        s->bad_from = s->bad_to = s->run_from = s->good_from = s->recovered_from = NSEC_UNSET;
        s->periods.n = 0;
        s->blips = 0;
        s->up_sum = 0;
        judge_restart(s->judge, fault);
    }
    for (size_t k = 0; k < c->sv->alarms_n; k++) {
        const struct system_alarm *a = &c->sv->alarms[k];
        struct siren *s = &c->r->sirens[k];
        for (size_t i = 0; i < a->parts; i++) {
            threshold_reset(&s->thresholds[i]);
            s->thresholds[i].firing = false;
        }
        *s = (struct siren){.thresholds = s->thresholds,
                            .quorum = {.at_least = s->quorum.at_least},
                            .onset_at = NSEC_INF,
                            .false_at = NSEC_INF,
                            .onset = NSEC_UNSET};
        if (a->model && a->model->false_per_day > 0) {
            s->false_rng = trial_stream(t, a->quantity, UINT64_C(1) << 32);
            s->false_at = next_false(s, a->model, c->now);
        }
    }
    c->alarm = next_alarm(c);
    size_t cursors = 0, widest = 0;
    for (size_t i = 0; i < c->sv->needs_n; i++) {
        size_t n = c->sv->needs[i].of.n;
        cursors += n;
        widest = n > widest ? n : widest;
    }
    if (cursors > c->cursors_room) {
        c->cursors_room = 2 * cursors;
        c->cursors = reallocarray(c->cursors, c->cursors_room, sizeof *c->cursors);
        c->needs = reallocarray(c->needs, c->cursors_room, sizeof *c->needs);
        c->breakers = reallocarray(c->breakers, c->cursors_room, sizeof *c->breakers);
        if (!c->cursors || !c->needs || !c->breakers)
            abort();
    }
    for (size_t i = 0; i < c->sv->needs_n; i++) {
        const struct system_need *n = &c->sv->needs[i];
        if (n->breaker)
            c->breakers[i] = breaker_flow_new(&n->breaks, n->breaker->per_second, c->now);
    }
    if (cursors)
        memset(c->cursors, 0, cursors * sizeof *c->cursors);
}
