/* From a record to a result.
 *
 * The lines are cut into attempts at each trial-start; every attempt is measured alone, service by
 * service (episode.c, detection.c, objective.c); then the last attempt of each trial number counts
 * (objective.c, summary.c), and findings are told (finding.c).
 */
#include "reports/measure.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "reports/detection.h"
#include "reports/episode.h"
#include "reports/finding.h"
#include "reports/load.h"
#include "reports/objective.h"
#include "reports/summary.h"
#include "sim/base/buf.h"
#include "sim/base/jsonx.h"

#define RECORD_VERSION 1

static bool is(const json_t *e, const char *kind)
{
    return strcmp(jsonx_str(e, "kind", ""), kind) == 0;
}

/* True for the line that begins an attempt: its lab is being built, or, where a record tells
 * nothing of that, its trial-start. */
static bool begins(const json_t *e, const struct trial *now, bool started)
{
    if (is(e, "state") && strcmp(jsonx_str(e, "state", ""), "build") == 0)
        return true;
    bool same = now && now->n == jsonx_int(e, "trial", 0) && !nsec_is_set(now->ended);
    return is(e, "trial-start") && !(same && !started);
}

/* The lines of each attempt. */
static void cut_into_trials(struct result *r)
{
    size_t n = json_array_size(r->events), starts = 0;
    for (size_t i = 0; i < n; i++)
        starts += is(json_array_get(r->events, i), "trial-start") ||
                  is(json_array_get(r->events, i), "state");
    r->trials = arena_alloc(r->arena, (starts + (size_t)r->planned + 1) * sizeof *r->trials);
    struct trial *now = NULL;
    json_t **lines = NULL;
    bool started = false;
    for (size_t i = 0; i < n; i++) {
        json_t *e = json_array_get(r->events, i);
        int64_t of = jsonx_int(e, "trial", 0);
        if (begins(e, now, started)) {
            bool again = now && now->n == of;
            int64_t attempt = again ? now->attempt + 1 : 1;
            now = &r->trials[r->trials_n++];
            size_t end = i + 1; /* up to where the next one begins */
            while (end < n && !(is(json_array_get(r->events, end), "state") &&
                                begins(json_array_get(r->events, end), now, true)))
                end++;
            lines = arena_alloc(r->arena, (end - i) * sizeof *lines);
            *now = (struct trial){.n = of,
                                  .attempt = attempt,
                                  .run = true,
                                  .begun = jsonx_int(e, "t", 0),
                                  .armed = NSEC_UNSET,
                                  .zero = NSEC_UNSET,
                                  .ended = NSEC_UNSET,
                                  .watched = NSEC_UNSET,
                                  .fault_start = SPAN_UNSET,
                                  .events = lines};
            started = false;
        }
        if (now && of == now->n && is(e, "trial-start")) {
            started = true;
            now->attempt = jsonx_int(e, "attempt", now->attempt);
            now->phases = json_object_get(e, "phases");
        }
        bool loose = of == 0 && (is(e, "mark") || is(e, "stop") || is(e, "trouble"));
        if (now && (of == now->n || loose) && !(loose && nsec_is_set(now->ended)))
            lines[now->events_n++] = e;
        if (now && is(e, "trial-end") && of == now->n)
            now->ended = jsonx_int(e, "t", now->begun);
    }
}

/* Trials that were planned and never begun stand in the list too, in order of their numbers. */
static void add_those_not_run(struct result *r)
{
    for (int64_t want = 1; want <= r->planned; want++) {
        bool found = false;
        for (size_t i = 0; i < r->trials_n; i++)
            found |= r->trials[i].n == want;
        if (!found)
            r->trials[r->trials_n++] = (struct trial){.n = want,
                                                      .counted = true,
                                                      .why_void = "it was not run",
                                                      .begun = NSEC_UNSET,
                                                      .armed = NSEC_UNSET,
                                                      .zero = NSEC_UNSET,
                                                      .ended = NSEC_UNSET,
                                                      .watched = NSEC_UNSET,
                                                      .fault_start = SPAN_UNSET};
    }
    for (size_t i = 0; i < r->trials_n; i++) {
        bool last = true;
        for (size_t k = i + 1; k < r->trials_n; k++)
            last &= r->trials[k].n != r->trials[i].n;
        r->trials[i].counted = last && r->trials[i].n <= r->planned;
    }
}

static struct fault *fault_of(struct trial *t, const json_t *e)
{
    const char *step = jsonx_str(e, "step", "");
    for (size_t i = 0; i < t->faults_n; i++)
        if (strcmp(t->faults[i].step, step) == 0)
            return &t->faults[i];
    return NULL;
}

static struct span hull(struct span a, struct span b)
{
    if (!span_is_set(a))
        return b;
    if (!span_is_set(b))
        return a;
    return (struct span){a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi};
}

/* Actions that break nothing (`run`) are injected too, but have nothing to verify or to undo. */
static bool is_fault(const struct result *r, const json_t *inject)
{
    for (size_t i = 0; i < r->scenario->script.n; i++) {
        const struct step *step = r->scenario->script.items[i];
        if (strcmp(step->id, jsonx_str(inject, "step", "")) == 0)
            return step->fault;
    }
    return true;
}

static void read_faults(struct result *r, struct trial *t)
{
    t->faults = arena_alloc(r->arena, (trial_count(t, "inject") + 1) * sizeof *t->faults);
    size_t i = 0;
    for (const json_t *e; (e = trial_next(t, "inject", &i));) {
        if (!is_fault(r, e))
            continue;
        struct span at = jsonx_span(json_object_get(e, "at"));
        bool ok = jsonx_bool(e, "ok", false);
        struct fault *f = fault_of(t, e);
        if (!f) {
            f = &t->faults[t->faults_n++];
            *f = (struct fault){.step = jsonx_str(e, "step", "?"),
                                .action = jsonx_str(e, "action", "?"),
                                .chosen = jsonx_str(e, "chosen", NULL),
                                .targets = json_object_get(e, "targets"),
                                .changes = json_object_get(e, "changes"),
                                .start = SPAN_UNSET,
                                .end = SPAN_UNSET,
                                .gone_at = SPAN_UNSET,
                                .injected = true,
                                .seq = jsonx_int(e, "seq", -1)};
        }
        f->start = hull(f->start, at);
        f->injected &= ok;
        if (!ok)
            f->error = jsonx_str(e, "error", "not injected");
    }
    i = 0;
    for (const json_t *e; (e = trial_next(t, "verify", &i));) {
        struct fault *f = fault_of(t, e);
        if (!f)
            continue;
        bool ok = jsonx_bool(e, "ok", false);
        f->verified = f->asked ? f->verified && ok : ok;
        f->asked = jsonx_str(e, "asked", "");
        f->seen = jsonx_str(e, "seen", "");
        f->how = jsonx_str(e, "how", "");
    }
    i = 0;
    for (const json_t *e; (e = trial_next(t, "undo", &i));) {
        struct fault *f = fault_of(t, e);
        if (!f)
            continue;
        f->end = hull(f->end, jsonx_span(json_object_get(e, "at")));
        if (!f->cause)
            f->cause = jsonx_str(e, "cause", "end");
        f->undo_failed = !jsonx_bool(e, "ok", false);
        f->undo_changes = json_object_get(e, "changes");
    }
    i = 0;
    for (const json_t *e; (e = trial_next(t, "fault-gone", &i));) {
        struct fault *f = fault_of(t, e);
        if (!f)
            continue;
        f->gone = jsonx_str(e, "why", "it was there no more when it was to be undone");
        f->gone_at = jsonx_span(json_object_get(e, "at"));
        if (!span_is_set(f->gone_at))
            f->gone_at = (struct span){jsonx_int(e, "t", 0), jsonx_int(e, "t", 0)};
    }
    for (size_t k = 0; k < t->faults_n; k++) {
        struct fault *f = &t->faults[k];
        if (f->injected && span_is_set(f->start) &&
            (!span_is_set(t->fault_start) || f->start.lo < t->fault_start.lo))
            t->fault_start = f->start;
    }
}

/* The command whose end this is. */
static struct action *open_action(struct trial *t, const json_t *e)
{
    for (size_t i = t->actions_n; i-- > 0;) {
        struct action *a = &t->actions[i];
        if (strcmp(a->step, jsonx_str(e, "step", "")) == 0 &&
            strcmp(a->host, jsonx_str(e, "host", "")) == 0 && !span_is_set(a->end))
            return a;
    }
    return NULL;
}

static void read_actions(struct result *r, struct trial *t)
{
    t->actions = arena_alloc(r->arena, (trial_count(t, "action") + 1) * sizeof *t->actions);
    size_t i = 0;
    for (const json_t *e; (e = trial_next(t, "action", &i));) {
        bool end = strcmp(jsonx_str(e, "event", ""), "end") == 0;
        struct span at = jsonx_span(json_object_get(e, "at"));
        struct action *a = end ? open_action(t, e) : NULL;
        bool started = a || !end;
        if (!a) {
            a = &t->actions[t->actions_n++];
            *a = (struct action){.step = jsonx_str(e, "step", "?"),
                                 .host = jsonx_str(e, "host", "?"),
                                 .command = jsonx_str(e, "command", "?"),
                                 .role = jsonx_str(e, "role", NULL),
                                 .start = end ? SPAN_UNSET : at,
                                 .end = SPAN_UNSET};
        }
        a->seq = jsonx_int(e, "seq", -1);
        if (!end)
            continue;
        a->end = at;
        a->code = jsonx_int(e, "code", 0);
        a->signal = jsonx_int(e, "signal", 0);
        a->timed_out = jsonx_bool(e, "timed_out", false);
        a->why = started ? NULL : jsonx_str(e, "output", "");
    }
}

/* The instants of the trial's states; what was watched ends where the undoing begins. */
static void read_states(struct trial *t)
{
    size_t i = 0;
    nsec last = t->begun;
    for (const json_t *e; (e = trial_next(t, "state", &i));) {
        const char *state = jsonx_str(e, "state", "");
        nsec at = jsonx_int(e, "t", 0);
        if (strcmp(state, "arm") == 0 && !nsec_is_set(t->armed))
            t->armed = at;
        if (strcmp(state, "inject") == 0 && !nsec_is_set(t->zero))
            t->zero = jsonx_int(e, "zero", at);
        if (strcmp(state, "undo") == 0 && !nsec_is_set(t->watched))
            t->watched = at;
    }
    i = 0;
    const json_t *stop = trial_next(t, "stop", &i);
    if (stop && !nsec_is_set(t->watched))
        t->watched = jsonx_int(stop, "t", 0);
    if (!nsec_is_set(t->watched)) {
        /* Cut off: the end of the last observation, and no more than the record tells. */
        i = 0;
        for (const json_t *e; (e = trial_next(t, "probe", &i));)
            if (jsonx_int(e, "end", 0) > last)
                last = jsonx_int(e, "end", 0);
        t->watched = nsec_is_set(t->ended) && t->ended < last ? t->ended : last;
    }
    if (!nsec_is_set(t->zero))
        t->zero = t->armed;
}

static bool same_host(const struct fault *a, const struct fault *b)
{
    for (size_t i = 0; i < json_array_size(a->targets); i++)
        for (size_t k = 0; k < json_array_size(b->targets); k++)
            if (json_equal(json_array_get(a->targets, i), json_array_get(b->targets, k)))
                return true;
    return false;
}

/* A fault that was there no more when it was to be undone: others ended it, unless another fault of
 * the same scenario came, or was undone, on the same host meanwhile. That one is named; that it was
 * the cause is likely and not known, so the words do not say it. */
static const char *gone_text(struct result *r, const struct trial *t, const struct fault *f)
{
    const struct fault *by = NULL;
    nsec last = NSEC_UNSET;
    bool undone = false;
    for (size_t i = 0; i < t->faults_n; i++) {
        const struct fault *g = &t->faults[i];
        if (g == f || !g->injected || !same_host(f, g))
            continue;
        const struct span acts[] = {g->start, g->end};
        for (size_t k = 0; k < ARRAY_SIZE(acts); k++)
            if (span_is_set(acts[k]) && acts[k].hi > f->start.lo && acts[k].lo <= f->gone_at.hi &&
                (!by || acts[k].lo > last)) {
                by = g;
                last = acts[k].lo;
                undone = k == 1;
            }
    }
    if (!by)
        return arena_printf(r->arena, "the fault %s ended early by others: %s", f->step, f->gone);
    AUTO_BUF hosts = BUF_INIT;
    for (size_t i = 0; i < json_array_size(by->targets); i++)
        buf_printf(&hosts, "%s%s", i ? ", " : " ",
                   json_string_value(json_array_get(by->targets, i)));
    return arena_printf(r->arena,
                        "the fault %s ended early: %s; while it was in force, %s of this scenario "
                        "(%s%s) %s on the same host: let one end before the other begins",
                        f->step, f->gone, by->step, by->action, buf_text(&hosts),
                        undone ? "was undone" : "was done");
}

/* What the runner called void for this alone; with the record whole more can be said about it. */
static const struct fault *only_gone(const struct trial *t)
{
    const struct fault *gone = NULL;
    for (size_t i = 0; i < t->faults_n; i++) {
        const struct fault *f = &t->faults[i];
        if (!f->injected || !f->verified)
            return NULL;
        gone = gone || !f->gone ? gone : f;
    }
    return gone;
}

/* Why this trial says nothing, or NULL. */
static const char *why_void(struct result *r, const struct trial *t)
{
    bool fault = scenario_has_fault(r->scenario);
    size_t i = 0;
    const json_t *end = trial_next(t, "trial-end", &i);
    const struct fault *gone = only_gone(t);
    if (end && strcmp(jsonx_str(end, "outcome", ""), "void") == 0)
        return gone ? gone_text(r, t, gone) : jsonx_str(end, "reason", "the trial was called void");
    if (!nsec_is_set(t->armed))
        return t->aborted ? "aborted before it was armed" : "it was never armed";
    for (size_t k = 0; k < t->faults_n; k++) {
        const struct fault *f = &t->faults[k];
        if (f->gone)
            return gone_text(r, t, f);
        if (!f->injected)
            return arena_printf(r->arena, "the fault %s could not be injected: %s", f->step,
                                f->error);
        if (!f->verified && !t->aborted)
            return f->asked ? arena_printf(r->arena,
                                           "the fault %s did not bite: asked was %s, seen was %s",
                                           f->step, f->asked, f->seen)
                            : arena_printf(r->arena, "the fault %s was not verified", f->step);
    }
    if (fault && !span_is_set(t->fault_start))
        return t->aborted ? "aborted before the fault" : "no fault was injected";
    for (size_t k = 0; k < r->scenario->script.n && !t->aborted; k++) {
        const struct step *step = r->scenario->script.items[k];
        bool injected = false;
        for (size_t m = 0; m < t->faults_n; m++)
            injected |= strcmp(t->faults[m].step, step->id) == 0;
        if (step->fault && !step->when && !injected)
            return arena_printf(r->arena, "the fault %s was not injected", step->id);
    }
    return NULL;
}

/* A service that failed before the fault was not steady, whatever came later. */
static const char *not_steady(struct result *r, const struct trial *t)
{
    if (!span_is_set(t->fault_start))
        return NULL;
    for (size_t i = 0; i < t->services_n; i++)
        for (size_t k = 0; k < t->services[i].episodes_n; k++)
            if (t->services[i].episodes[k].impact.hi < t->fault_start.lo)
                return arena_printf(r->arena, "%s was not steady before the fault",
                                    t->services[i].service->name);
    return NULL;
}

/* The outage that a mark is about: the last one that had begun. */
static struct episode *marked(const struct service_seen *s, nsec at)
{
    struct episode *e = NULL;
    for (size_t i = 0; i < s->episodes_n; i++)
        if (!s->episodes[i].undo && at >= s->episodes[i].impact.lo)
            e = &s->episodes[i];
    return e;
}

/* TTR by the clock of declaration and the time to acknowledge, from people's marks. A mark is late
 * by nature: it is known to lie after the one before it, or after the impact. Each outage takes the
 * first that declares it. */
static void read_marks(const struct trial *t, struct service_seen *s)
{
    nsec before = NSEC_UNSET;
    size_t i = 0;
    for (const json_t *m; (m = trial_next(t, "mark", &i));) {
        const char *of = jsonx_str(m, "service", NULL), *what = jsonx_str(m, "mark", "");
        struct span at = jsonx_span(json_object_get(m, "at"));
        struct episode *e = span_is_set(at) ? marked(s, at.hi) : NULL;
        if ((of && strcmp(of, s->service->name) != 0) || !e)
            continue;
        nsec after = !nsec_is_set(before) || before < e->impact.lo ? e->impact.lo : before;
        struct span known = {after < at.hi ? after : at.hi, at.hi};
        if (strcmp(what, "declared") == 0 && !span_is_set(e->ttr[CLOCK_DECLARATION]))
            e->ttr[CLOCK_DECLARATION] = span_between(known, e->back);
        if (strcmp(what, "acknowledged") == 0 && !span_is_set(s->tta) && s->detected_by)
            s->tta = span_between(s->detected_by->onset, known);
        before = at.hi;
    }
}

static void measure_trial(struct result *r, struct trial *t)
{
    size_t i = 0;
    const json_t *end = trial_next(t, "trial-end", &i);
    t->aborted = !end || strcmp(jsonx_str(end, "outcome", ""), "aborted") == 0;
    read_states(t);
    read_faults(r, t);
    read_actions(r, t);
    load_read(r, t);
    t->why_void = why_void(r, t);
    t->services_n = r->scenario->services.n;
    t->services = arena_alloc(r->arena, (t->services_n + 1) * sizeof *t->services);
    for (size_t k = 0; k < t->services_n; k++) {
        struct service_seen *s = &t->services[k];
        s->service = r->scenario->services.items[k];
        s->ttd = s->ttd_impact = s->ttd_fault = s->ttr = s->tta = SPAN_UNSET;
        s->down = s->down_judged = SPAN_UNSET;
        for (int c = 0; c < 4; c++)
            s->ttr_clock[c] = SPAN_UNSET;
        episode_find(r, t, s);
    }
    if (!t->why_void)
        t->why_void = not_steady(r, t);
    for (size_t k = 0; k < t->services_n; k++) {
        struct service_seen *s = &t->services[k];
        detection_find(r, t, s);
        read_marks(t, s);
        objective_judge_trial(r, t, s);
    }
}

static void read_run(struct result *r)
{
    r->planned = jsonx_int(r->start, "trials", r->scenario->trials);
    r->started = jsonx_str(r->start, "wall", NULL);
    r->status = STATUS_FAILED;
    r->status_reason = "the record has no end: blackstart was killed before it could write one";
    r->clean = -1;
    bool changed = false, undo_failed = false;
    for (size_t i = 0; i < json_array_size(r->events); i++) {
        const json_t *e = json_array_get(r->events, i);
        if (is(e, "run-end")) {
            const char *status = jsonx_str(e, "status", "");
            r->status = strcmp(status, "completed") == 0 ? STATUS_COMPLETED
                        : strcmp(status, "aborted") == 0 ? STATUS_ABORTED
                                                         : STATUS_FAILED;
            r->status_reason = jsonx_str(e, "reason", NULL);
            r->ended = jsonx_str(e, "wall", NULL);
        }
        changed |= is(e, "inject");
        if (is(e, "undo"))
            undo_failed |= !jsonx_bool(e, "ok", false);
        if (is(e, "clean")) {
            bool whole = jsonx_int(e, "trial", 0) == 0, clean = jsonx_bool(e, "clean", false);
            /* A comparison of the whole run, at its end, has the last word. */
            r->clean = whole ? clean : r->clean == 0 ? 0 : clean;
        }
    }
    if (r->clean == -1 && !changed)
        r->clean = 1;
    if (r->clean == -1 && undo_failed)
        r->clean = 0;
}

int measure_run(const struct scenario *scenario, const json_t *events,
                const struct record_head *head, size_t torn, struct result **ret, struct err *err)
{
    const json_t *start = json_array_get(events, 0);
    if (!start || !is(start, "run-start"))
        return err_set(err, EINVAL,
                       "the record does not begin with run-start: it is not a record "
                       "of blackstart, or its beginning is lost");
    int64_t version = jsonx_int(start, "record", 0);
    if (version > RECORD_VERSION)
        return err_set(err, EPROTONOSUPPORT,
                       "the record has version %" PRId64 ", this program reads up to %d: use the "
                       "blackstart that wrote it (%s) or a newer one",
                       version, RECORD_VERSION, jsonx_str(start, "blackstart", "unknown"));
    struct arena *arena = arena_new();
    struct result *r = arena_alloc(arena, sizeof *r);
    r->arena = arena;
    r->scenario = scenario;
    r->events = events;
    r->start = start;
    r->head = *head;
    r->torn = torn;
    read_run(r);
    if (r->planned < 0 || r->planned > 1000000) {
        result_free(r);
        return err_set(err, EINVAL, "the record plans an impossible number of trials");
    }
    cut_into_trials(r);
    add_those_not_run(r);
    for (size_t i = 0; i < r->trials_n; i++)
        if (r->trials[i].run)
            measure_trial(r, &r->trials[i]);
    objective_judge_run(r);
    summary_make(r);
    finding_tell(r);
    *ret = r;
    return 0;
}
