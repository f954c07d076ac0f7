/* Which alarm noticed, when, and which should have.
 *
 * The alarm that counts and whose first onset from fault_start.low on is the earliest detects. One
 * that was firing when the fault began is masked: it could not tell. What came before the fault is
 * a false alarm and voids nothing.
 */
#include "reports/detection.h"

#include <string.h>

#include "reports/episode.h"
#include "sim/base/jsonx.h"

#define BURST NSEC_SEC /* announcements that follow each other sooner are one */

bool detection_counts(const struct service *s, const struct alarm *a)
{
    return service_is_told_by(s, a);
}

static void collect(struct result *r, const struct trial *t, struct alarm_seen *a)
{
    size_t i = 0;
    nsec last = NSEC_UNSET;
    bool quiet = false; /* the last one was suppressed */
    a->events = arena_alloc(r->arena, (trial_count(t, "alarm") + 1) * sizeof *a->events);
    for (const json_t *e; (e = trial_next(t, "alarm", &i));) {
        if (strcmp(jsonx_str(e, "alarm", ""), a->alarm->name) != 0)
            continue;
        struct alarm_event ev = {.onset = strcmp(jsonx_str(e, "event", ""), "onset") == 0,
                                 .at_arm = jsonx_bool(e, "active_at_arm", false),
                                 .at = jsonx_span(json_object_get(e, "at")),
                                 .suppressed = jsonx_bool(e, "suppressed", false),
                                 .released = jsonx_bool(e, "released", false),
                                 .seq = jsonx_int(e, "seq", -1),
                                 .detail = jsonx_str(e, "detail", NULL),
                                 .starts_at = jsonx_str(e, "starts_at", NULL)};
        if (!span_is_set(ev.at))
            ev.at = (struct span){jsonx_int(e, "t", 0), jsonx_int(e, "t", 0)};
        /* Five announcements in a millisecond are one alarm. The fault parts bursts: what came after
         * it began is no part of one before. */
        bool parted = span_is_set(t->fault_start) && nsec_is_set(last) &&
                      last < t->fault_start.lo && ev.at.hi >= t->fault_start.lo;
        bool again = alarm_is_momentary(a->alarm) && nsec_is_set(last) && ev.at.lo - last < BURST &&
                     !parted && ev.suppressed == quiet;
        last = ev.at.lo;
        quiet = ev.suppressed;
        if (!again)
            a->events[a->events_n++] = ev;
    }
}

/* What the alarm did before and after the fault began. */
static void judge_alarm(const struct trial *t, struct alarm_seen *a)
{
    bool firing = false, level = !alarm_is_momentary(a->alarm);
    bool quiet_before = false; /* firing since before the fault, suppressed */
    nsec begin = span_is_set(t->fault_start) ? t->fault_start.lo : NSEC_INF;
    for (size_t i = 0; i < a->events_n; i++) {
        const struct alarm_event *e = &a->events[i];
        if (e->suppressed) {
            a->suppressed += e->onset && e->at.lo < t->watched;
            quiet_before = e->at.hi < begin ? e->onset && level : quiet_before && e->onset;
            continue;
        }
        if (e->released && quiet_before) {
            a->masked = true; /* it told of something older than the fault */
            quiet_before = false;
            continue;
        }
        if (e->at.hi < begin) {
            /* Before arming, a system that comes up may well ring. */
            bool armed = nsec_is_set(t->armed) && e->at.hi >= t->armed;
            if (e->onset && armed && !e->at_arm && e->at.lo < t->watched)
                a->false_alarms++;
            firing = e->onset && level;
        } else if (e->onset && e->at_arm) {
            firing = level;
        } else if (!e->onset) {
            firing = false;
            if (span_is_set(a->onset) && !span_is_set(a->resolved))
                a->resolved = e->at;
        } else if (e->at.lo < t->watched) {
            /* What rings while things are being undone did not notice the fault. */
            a->onsets++;
            if (!span_is_set(a->onset)) {
                a->onset = e->at;
                a->seq = e->seq;
            }
        }
        if (e->at.hi < begin || (e->onset && e->at_arm))
            a->masked = firing;
    }
}

/* Whether a silence of Alertmanager's was active when observation ended. */
static void see_silences(const struct trial *t, struct alarm_seen *a)
{
    size_t i = 0;
    for (const json_t *e; (e = trial_next(t, "silence", &i));) {
        struct span at = jsonx_span(json_object_get(e, "at"));
        if (strcmp(jsonx_str(e, "alarm", ""), a->alarm->name) != 0 || at.hi > t->watched)
            continue;
        a->silenced = jsonx_bool(e, "active", false);
        a->silence = jsonx_str(e, "detail", NULL);
        a->silence_seq = jsonx_int(e, "seq", -1);
    }
}

static const struct episode *first_judged(const struct service_seen *s)
{
    for (size_t i = 0; i < s->episodes_n; i++)
        if (!s->episodes[i].undo)
            return &s->episodes[i];
    return NULL;
}

const struct episode *detection_due(const struct trial *t, const struct service_seen *s)
{
    const struct detect *d = s->service->detect;
    for (size_t i = 0; i < s->episodes_n; i++) {
        const struct episode *e = &s->episodes[i];
        struct span from = d && d->clock == CLOCK_FAULT ? t->fault_start : e->impact;
        if (!e->undo && (!d || span_between(from, e->restored).hi >= d->within))
            return e;
    }
    return NULL;
}

/* The first onset of an alarm that counts from one instant to another. */
static struct span onset_between(const struct service_seen *s, nsec from, nsec to)
{
    struct span best = SPAN_UNSET;
    for (size_t i = 0; i < s->alarms_n; i++)
        for (size_t k = 0; s->alarms[i].counts && k < s->alarms[i].events_n; k++) {
            const struct alarm_event *e = &s->alarms[i].events[k];
            if (e->onset && !e->at_arm && !e->suppressed && e->at.hi >= from && e->at.lo <= to &&
                (!span_is_set(best) || e->at.lo < best.lo))
                best = e->at;
        }
    return best;
}

static void per_episode(const struct trial *t, struct service_seen *s)
{
    nsec from = span_is_set(t->fault_start) ? t->fault_start.lo : NSEC_UNSET;
    for (size_t i = 0; i < s->episodes_n; i++) {
        struct episode *e = &s->episodes[i];
        nsec to = i + 1 < s->episodes_n ? s->episodes[i + 1].impact.lo : NSEC_INF;
        if (nsec_is_set(from))
            e->onset = onset_between(s, from, to);
        if (span_is_set(e->onset))
            e->ttr[CLOCK_DETECTION] = span_between(e->onset, e->back);
        from = e->restored.hi;
    }
}

void detection_find(struct result *r, const struct trial *t, struct service_seen *s)
{
    s->alarms = arena_alloc(r->arena, (r->scenario->alarms.n + 1) * sizeof *s->alarms);
    bool any = false, masked = false;
    for (size_t i = 0; i < r->scenario->alarms.n; i++) {
        const struct alarm *alarm = r->scenario->alarms.items[i];
        bool counts = detection_counts(s->service, alarm);
        if (!counts && strcmp(alarm->service, s->service->name) != 0)
            continue;
        struct alarm_seen *a = &s->alarms[s->alarms_n++];
        *a = (struct alarm_seen){.alarm = alarm,
                                 .counts = counts,
                                 .onset = SPAN_UNSET,
                                 .ttd = SPAN_UNSET,
                                 .resolved = SPAN_UNSET,
                                 .fault_ttd = SPAN_UNSET,
                                 .seq = -1};
        collect(r, t, a);
        judge_alarm(t, a);
        see_silences(t, a);
        any |= counts;
        masked |= counts && a->masked;
    }
    per_episode(t, s);

    const struct episode *e = first_judged(s);
    for (size_t i = 0; i < s->alarms_n; i++) {
        struct alarm_seen *a = &s->alarms[i];
        if (e && span_is_set(a->onset)) {
            a->ttd = span_between(e->impact, a->onset);
            a->after_restoration = e->restored.hi != NSEC_INF && a->onset.lo > e->restored.hi;
        }
        if (span_is_set(a->onset) && span_is_set(t->fault_start))
            a->fault_ttd = span_between(t->fault_start, a->onset);
        a->never = e && !span_is_set(a->onset) && !a->masked;
        a->missing = a->counts && a->never;
        a->without_outage = s->probes_n && !e && !t->why_void && span_is_set(a->onset) &&
                            span_is_set(t->fault_start);
        if (a->counts && span_is_set(a->onset) &&
            (!s->detected_by || a->onset.lo < s->detected_by->onset.lo))
            s->detected_by = a;
    }
    const struct detect *promise = s->service->detect;
    bool from_fault = promise && promise->clock == CLOCK_FAULT;
    if (t->why_void || !span_is_set(t->fault_start) || (!any && !promise))
        return;
    struct span end = {t->watched, t->watched};
    if (s->detected_by) {
        s->detection = DETECTION_DETECTED;
        s->ttd_fault = span_between(t->fault_start, s->detected_by->onset);
        s->ttd_impact = s->detected_by->ttd;
    } else if (masked) {
        s->detection = DETECTION_MASKED;
    } else if (e && !detection_due(t, s)) {
        s->detection = DETECTION_RESTORED_FIRST;
    } else if (e || from_fault) {
        s->detection = DETECTION_NOT_DETECTED;
        s->ttd_fault = (struct span){span_between(t->fault_start, end).lo, NSEC_INF};
        if (e)
            s->ttd_impact =
                (struct span){span_between(detection_due(t, s)->impact, end).lo, NSEC_INF};
    }
    if (!e && !from_fault) { /* the service was not hit: nothing to notice by this clock */
        s->detection = DETECTION_NOT_APPLICABLE;
        return;
    }
    s->ttd = from_fault ? s->ttd_fault : s->ttd_impact;
}
