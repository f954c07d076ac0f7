/* What a reader must know besides the verdict. */
#include "reports/finding.h"

#include <inttypes.h>
#include <string.h>

#include "reports/episode.h"
#include "reports/load.h"
#include "reports/sentence.h"
#include "reports/watched.h"
#include "sim/base/jsonx.h"

struct finding *result_find(struct result *r, const char *code, enum weight weight,
                            const struct service *service, int64_t trial, int64_t seq,
                            const char *fmt, ...)
{
    if (r->findings_n == r->findings_size) {
        size_t size = r->findings_size ? 2 * r->findings_size : 16;
        struct finding *more = arena_alloc(r->arena, size * sizeof *more);
        if (r->findings_n)
            memcpy(more, r->findings, r->findings_n * sizeof *more);
        r->findings = more;
        r->findings_size = size;
    }
    AUTO_BUF text = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    struct finding *f = &r->findings[r->findings_n++];
    *f = (struct finding){.code = code,
                          .weight = weight,
                          .service = service,
                          .trial = trial,
                          .text = arena_strdup(r->arena, buf_text(&text))};
    if (seq >= 0)
        f->seq[f->seq_n++] = seq;
    return f;
}

static int64_t seq_of(const json_t *e)
{
    return jsonx_int(e, "seq", -1);
}

/* The line of the first failed probe of an episode. */
static int64_t probe_seq(const struct trial *t, nsec start)
{
    size_t i = 0;
    for (const json_t *e; (e = trial_next(t, "probe", &i));)
        if (jsonx_int(e, "start", -1) == start && !jsonx_bool(e, "ok", true))
            return seq_of(e);
    return -1;
}

static void of_episodes(struct result *r, const struct trial *t, const struct service_seen *s)
{
    const char *name = s->service->name;
    for (size_t i = 0; i < s->episodes_n; i++) {
        const struct episode *e = &s->episodes[i];
        int64_t seq = probe_seq(t, e->first_bad);
        AUTO_BUF time = BUF_INIT;
        if (e->undo) {
            sentence_span(e->down, &time);
            result_find(r, "outage_at_undo", WEIGHT_WARNING, s->service, t->n, seq,
                        "%s went down for %s while the faults were being undone; this is "
                        "reported, not judged",
                        name, buf_text(&time));
        } else if (e->by == BY_HEAL) {
            sentence_span(e->reconverge, &time);
            result_find(r, "heal", s->service->heal_counts ? WEIGHT_NOTE : WEIGHT_FAILURE,
                        s->service, t->n, seq,
                        "%s came back only after the fault had been taken away, %s later: "
                        "that is no recovery%s",
                        name, buf_text(&time),
                        s->service->heal_counts ? " (the scenario counts it as one)" : "");
        }
        if (e->flaps && !e->undo)
            result_find(r, "flaps", WEIGHT_WARNING, s->service, t->n, seq,
                        "%s seemed to be back and failed again %zu %s%s", name, e->flaps,
                        e->flaps == 1 ? "time" : "times",
                        e->restored.hi == NSEC_INF ? "" : " before it stayed up");
    }
    if (s->judged_n > 1)
        result_find(r, "relapse", WEIGHT_WARNING, s->service, t->n, -1,
                    "%s went down %zu times in one trial; the longest outage is judged", name,
                    s->judged_n);
    if (s->judged_n && s->service->expect == EXPECT_UNAFFECTED)
        result_find(r, "unexpected_outage", WEIGHT_FAILURE, s->service, t->n,
                    probe_seq(t, s->episodes[0].first_bad),
                    "%s went down although it was to stay unaffected", name);
    if (s->blips)
        result_find(r, "blips", WEIGHT_NOTE, s->service, t->n, -1,
                    "%zu short %s of failed probes on %s stayed below the threshold of an outage",
                    s->blips, s->blips == 1 ? "run" : "runs", name);
    if (s->unknown)
        result_find(r, "unknown_probes", WEIGHT_WARNING, s->service, t->n, -1,
                    "%zu failed %s of %s cannot be told from trouble in measuring (control path "
                    "down or runner late); the intervals are wider for it",
                    s->unknown, s->unknown == 1 ? "probe" : "probes", name);
}

static bool surely_down_for(const struct service_seen *s, nsec from, nsec to, nsec lasting)
{
    for (size_t i = 0; i < s->episodes_n; i++) {
        const struct episode *e = &s->episodes[i];
        nsec begin = e->impact.hi > from ? e->impact.hi : from;
        nsec end = e->restored.lo < to ? e->restored.lo : to;
        if (end - begin > lasting)
            return true;
    }
    return false;
}

/* It was heard of at `end` or later: an onset that told somebody, or it was firing then. */
static bool heard_from(const struct trial *t, const struct alarm_seen *a, nsec end)
{
    bool firing = false;
    for (size_t i = 0; i < a->events_n; i++) {
        const struct alarm_event *e = &a->events[i];
        if (e->suppressed || e->at.lo >= t->watched)
            continue;
        if (e->at.hi >= end && (firing || e->onset))
            return true;
        firing = e->onset && !alarm_is_momentary(a->alarm);
    }
    return firing;
}

/* The windows in which an alarm was suppressed: what that hid, and whether it ended. */
static void of_maintenance(struct result *r, const struct trial *t, const struct service_seen *s,
                           const struct alarm_seen *a)
{
    nsec ended = NSEC_UNSET; /* the last of its windows; from the run's start */
    for (size_t i = 0; i < r->scenario->maintenance.n && nsec_is_set(t->zero); i++) {
        const struct maintenance *m = r->scenario->maintenance.items[i];
        nsec end = nsec_add(t->zero, nsec_add(m->from, m->lasting));
        if (maintenance_concerns(m, a->alarm) && (!nsec_is_set(ended) || end > ended))
            ended = end;
    }
    if (!nsec_is_set(ended))
        return;
    const char *alarm = a->alarm->name;
    int64_t seq = -1;
    for (size_t i = 0; i < a->events_n && seq < 0; i++)
        seq = a->events[i].suppressed ? a->events[i].seq : -1;
    if (a->suppressed)
        result_find(r, "suppressed", WEIGHT_NOTE, s->service, t->n, seq,
                    "the alarm %s rang %zu %s in its maintenance: suppressed, it noticed nothing",
                    alarm, a->suppressed, a->suppressed == 1 ? "time" : "times");
    nsec patience = s->service->detect ? s->service->detect->within : 0;
    if (ended >= t->watched)
        result_find(
            r, "maintenance_outlasts", WEIGHT_WARNING, s->service, t->n, -1,
            "the maintenance of the alarm %s was still in force when observation ended: that "
            "its suppression ends was not shown",
            alarm);
    else if (!a->masked && !heard_from(t, a, ended) &&
             surely_down_for(s, ended, t->watched, patience))
        result_find(r, "suppression_not_ended", WEIGHT_FAILURE, s->service, t->n, seq,
                    "the maintenance of the alarm %s was over, %s was down, and it stayed silent: "
                    "its suppression did not end",
                    alarm, s->service->name);
}

/* One alarm of a service. */
static void of_alarm(struct result *r, const struct trial *t, const struct service_seen *s,
                     const struct alarm_seen *a)
{
    const char *name = s->service->name, *alarm = a->alarm->name;
    bool fault = span_is_set(t->fault_start);
    if (a->masked)
        result_find(
            r, "masked", WEIGHT_WARNING, s->service, t->n, a->events_n ? a->events[0].seq : -1,
            "the alarm %s was already firing when the fault began: it could not tell", alarm);
    if (a->false_alarms && fault)
        result_find(r, "false_alarm", WEIGHT_WARNING, s->service, t->n, a->events[0].seq,
                    "the alarm %s rang %zu %s before the fault", alarm, a->false_alarms,
                    a->false_alarms == 1 ? "time" : "times");
    if (a->without_outage)
        result_find(r, "alarm_without_outage", WEIGHT_WARNING, s->service, t->n, a->seq,
                    "the alarm %s rang in the fault, and %s was not down: it tells of something "
                    "else, or it is false",
                    alarm, name);
    if (a->after_restoration && a->counts)
        result_find(r, "noticed_late", WEIGHT_WARNING, s->service, t->n, a->seq,
                    "the alarm %s rang only after %s was back", alarm, name);
    if (a->never && !a->suppressed && s->detected_by && !a->missing)
        result_find(r, "alarm_never_rang", WEIGHT_NOTE, s->service, t->n, -1,
                    "%s was down and the alarm %s (%s) never rang", name, alarm,
                    role_words[a->alarm->role]);
    if (a->silenced)
        result_find(r, "suppression_not_ended", WEIGHT_FAILURE, s->service, t->n, a->silence_seq,
                    "Alertmanager still silenced the alarm %s when observation ended: %s", alarm,
                    a->silence ? a->silence : "it does not say by what");
    of_maintenance(r, t, s, a);
}

static void of_detection(struct result *r, const struct trial *t, const struct service_seen *s)
{
    const char *name = s->service->name;
    bool counting = false, rang = false;
    for (size_t i = 0; i < s->alarms_n; i++) {
        counting |= s->alarms[i].counts;
        rang |= span_is_set(s->alarms[i].onset);
        of_alarm(r, t, s, &s->alarms[i]);
    }
    if (s->detection == DETECTION_RESTORED_FIRST)
        result_find(r, "not_noticed", WEIGHT_WARNING, s->service, t->n, -1,
                    "%s failed and came back, and nobody noticed", name);
    if (s->detection == DETECTION_NOT_DETECTED && s->judged_n)
        result_find(r, "not_detected", WEIGHT_FAILURE, s->service, t->n, -1,
                    "%s was down and no alarm that counts rang", name);
    if (s->outcome == OUTCOME_UNAFFECTED && counting && !rang && span_is_set(t->fault_start))
        result_find(r, "redundancy_lost_unnoticed", WEIGHT_WARNING, s->service, t->n, -1,
                    "the fault was in force, %s stayed up and no alarm rang: redundancy was lost "
                    "unnoticed",
                    name);
    if (s->detected_by && s->detected_by->alarm->role == ROLE_OWN)
        result_find(r, "own_probe", WEIGHT_NOTE, s->service, t->n, s->detected_by->seq,
                    "%s being down was seen by blackstart's own probe (%s): that is no detection "
                    "by your monitoring",
                    name, s->detected_by->alarm->name);
}

static void of_steps(struct result *r, const struct trial *t)
{
    for (size_t i = 0; i < r->scenario->script.n; i++) {
        const struct step *step = r->scenario->script.items[i];
        bool done = false;
        /* What people do is no part of a trial, and what waits for them may rightly never come. */
        if (scenario_is_exercise(r->scenario) && (!step_is_machines(step) || step->when))
            continue;
        for (size_t k = 0; k < t->faults_n; k++)
            done |= strcmp(t->faults[k].step, step->id) == 0;
        for (size_t k = 0; k < t->actions_n; k++)
            done |= strcmp(t->actions[k].step, step->id) == 0;
        if (!done && !t->aborted && !t->why_void)
            result_find(r, "step_never_happened", WEIGHT_WARNING, NULL, t->n, -1,
                        "the step %s never happened%s", step->id,
                        step->when ? ": its condition did not come true" : "");
    }
    for (size_t k = 0; k < t->actions_n; k++) {
        const struct action *a = &t->actions[k];
        if (!span_is_set(a->end) || (!a->why && !a->timed_out && !a->signal && a->code == 0))
            continue;
        AUTO_BUF how = BUF_INIT;
        sentence_action(a, &how);
        result_find(r, "action_failed", WEIGHT_FAILURE, NULL, t->n, a->seq,
                    "the command of step %s (%s) on %s failed: %s", a->step, a->command, a->host,
                    buf_text(&how));
    }
    for (size_t k = 0; k < t->faults_n; k++)
        if (t->faults[k].undo_failed)
            result_find(r, "undo_failed", WEIGHT_FAILURE, NULL, t->n, t->faults[k].seq,
                        "undoing %s failed", t->faults[k].step);
}

static void of_trial(struct result *r, const struct trial *t)
{
    if (t->why_void) {
        result_find(r, "void", WEIGHT_FAILURE, NULL, t->n,
                    t->faults_n ? t->faults[0].seq : (int64_t)-1, "trial %" PRId64 "%s is void: %s",
                    t->n, t->counted ? "" : " (replaced)", t->why_void);
        return;
    }
    for (size_t i = 0; i < t->services_n; i++) {
        of_episodes(r, t, &t->services[i]);
        of_detection(r, t, &t->services[i]);
    }
    of_steps(r, t);
    load_find(r, t);
    for (size_t i = 0; i < r->scenario->probes.n; i++) {
        const struct probe *p = r->scenario->probes.items[i];
        if (!p->control)
            continue;
        size_t n;
        struct span *blind = watched_blind(r, t, p->host ? p->host : "", &n);
        for (size_t k = 0; k < n; k++)
            if (blind[k].lo < t->watched) {
                result_find(r, "control_down", WEIGHT_WARNING, NULL, t->n, -1,
                            "the control probe %s failed or blackstart was late: what failed from "
                            "%s at that time is not trusted",
                            p->name, p->host);
                break;
            }
    }
}

/* The kinds of trouble that say something about the measurement as a whole. */
static void of_trouble(struct result *r)
{
    for (size_t i = 0; i < json_array_size(r->events); i++) {
        const json_t *e = json_array_get(r->events, i);
        if (strcmp(jsonx_str(e, "kind", ""), "trouble") == 0)
            result_find(r, "trouble", WEIGHT_NOTE, NULL, jsonx_int(e, "trial", 0), seq_of(e),
                        "%s: %s", jsonx_str(e, "what", "trouble"), jsonx_str(e, "detail", ""));
        if (strcmp(jsonx_str(e, "kind", ""), "notice") == 0 && !jsonx_bool(e, "ok", false))
            result_find(r, "notice_failed", WEIGHT_WARNING, NULL, jsonx_int(e, "trial", 0),
                        seq_of(e), "the %s notice (%s, %s) failed: %s; no verdict depends on it",
                        jsonx_str(e, "on", "?"), jsonx_str(e, "what", "?"),
                        jsonx_str(e, "target", "?"), jsonx_str(e, "detail", "it does not say why"));
        if (strcmp(jsonx_str(e, "kind", ""), "stop") == 0)
            result_find(r, "stopped", WEIGHT_WARNING, NULL, jsonx_int(e, "trial", 0), seq_of(e),
                        "stopped: %s%s%s", jsonx_str(e, "reason", "?"),
                        *jsonx_str(e, "detail", "") ? ", " : "", jsonx_str(e, "detail", ""));
        if (strcmp(jsonx_str(e, "kind", ""), "clean") == 0 && !jsonx_bool(e, "clean", false)) {
            const json_t *left = json_object_get(e, "left");
            for (size_t k = 0; k < json_array_size(left); k++)
                result_find(r, "not_clean", WEIGHT_FAILURE, NULL, jsonx_int(e, "trial", 0),
                            seq_of(e), "not undone: %s",
                            json_string_value(json_array_get(left, k)));
        }
    }
    if (r->torn)
        result_find(r, "record_torn", WEIGHT_WARNING, NULL, 0, -1,
                    "the record's last line was torn (%zu bytes): what was being written then is "
                    "lost",
                    r->torn);
    for (size_t i = 0; i < r->scenario->hosts.n; i++) {
        const struct host *h = r->scenario->hosts.items[i];
        if (host_is_attached(h) && r->trials_n > 1)
            result_find(
                r, "not_rebuilt", WEIGHT_NOTE, NULL, 0, -1,
                "%s was made by others and was the same host in every trial: what one trial "
                "left behind in its servers, the next one found",
                h->name);
    }
    if (r->scenario->phase == 1)
        result_find(r, "phase_fixed", WEIGHT_WARNING, NULL, 0, -1,
                    "phase: fixed gives every trial the same phase; nothing is said about their "
                    "spread");
}

void finding_tell(struct result *r)
{
    for (size_t i = 0; i < r->objectives_n; i++) {
        const struct objective *o = &r->objectives[i];
        if (o->kind == OBJECTIVE_RPO)
            result_find(r, "rpo_not_measured", WEIGHT_WARNING, o->service, 0, -1,
                        "RPO not measured: %s promises one, but nothing counts its lost writes",
                        o->service->name);
        else if (o->unmeasured)
            result_find(r, "promise_not_measured", WEIGHT_WARNING, o->service, 0, -1,
                        "%s promises %s, but no probe of this scenario measures it",
                        o->service->name, objective_words[o->kind]);
    }
    for (size_t i = 0; i < r->trials_n; i++)
        of_trial(r, &r->trials[i]);
    of_trouble(r);
}
