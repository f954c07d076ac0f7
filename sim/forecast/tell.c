/* A trial event by event, as a record tells of a drill, put in the order of time. */
#include "sim/forecast/trial_parts.h"

#include "sim/base/jsonx.h"

#include <stdlib.h>
#include <string.h>

static nsec on_record(const struct trial *t, nsec at)
{
    return at == NSEC_INF ? at : nsec_add(at, nsec_add(t->sys->lead, t->origin));
}

json_t *tell_instant(const struct trial *t, nsec at)
{
    return json_integer(on_record(t, at));
}

json_t *tell_span(const struct trial *t, nsec from, nsec to)
{
    return json_pack("[o,o]", tell_instant(t, from), tell_instant(t, to));
}

void tell(struct trial *t, nsec at, const char *kind, json_t *json)
{
    if (t->events_n == t->events_room) {
        t->events_room = t->events_room ? 2 * t->events_room : 256;
        t->events = reallocarray(t->events, t->events_room, sizeof *t->events);
        if (!t->events)
            abort();
    }
    if (!json_object_get(json, "trial"))
        json_object_set_new(json, "trial", json_integer((json_int_t)t->number));
    t->events[t->events_n] = (struct event){at, t->events_n, kind, json};
    t->events_n++;
}

static void tell_state(struct trial *t, nsec at, const char *state)
{
    tell(t, at, "state", json_pack("{s:s}", "state", state));
}

static json_t *targets_of(const struct trial *t, size_t step)
{
    json_t *targets = json_array();
    for (size_t i = 0; i < t->acts_n; i++) {
        const struct act *a = &t->acts[i];
        const char *name = a->effect.component ? a->effect.component : a->effect.service;
        bool there = a->step != step || !name;
        for (size_t k = 0; !there && k < json_array_size(targets); k++)
            there = strcmp(json_string_value(json_array_get(targets, k)), name) == 0;
        if (!there)
            json_array_append_new(targets, json_string(name));
    }
    return targets;
}

void tell_begin(struct trial *t)
{
    nsec begin = -t->sys->lead, last = 0;
    tell_state(t, begin, "build");
    json_t *phases = json_object();
    for (size_t i = 0; i < t->sys->services_n; i++)
        for (size_t k = 0; k < t->sys->services[i].probes_n; k++)
            json_object_set_new(phases, t->sys->services[i].probes[k].probe->name,
                                json_integer(t->services[i].sights[k].phase));
    tell(t, begin, "trial-start", json_pack("{s:o,s:i}", "phases", phases, "attempt", 1));
    tell_state(t, begin, "settle");
    tell_state(t, 0, "arm");
    tell(t, 0, "state", json_pack("{s:s,s:o}", "state", "inject", "zero", tell_instant(t, 0)));
    for (size_t i = 0; i < t->sys->steps_n; i++) {
        const struct system_step *s = &t->sys->steps[i];
        if (!s->step->fault)
            continue;
        last = s->from > last ? s->from : last;
        tell(t, s->from, "inject",
             json_pack("{s:s,s:s,s:o,s:o,s:b,s:[]}", "step", s->step->id, "action",
                       s->step->action->name, "targets", targets_of(t, i), "at",
                       tell_span(t, s->from, s->from), "ok", 1, "changes"));
        tell(t, s->from, "verify",
             json_pack("{s:s,s:b,s:s,s:s,s:s,s:o}", "step", s->step->id, "ok", 1, "asked",
                       "in force", "seen", "in force", "how", "assumed: a forecast touches nothing",
                       "at", tell_span(t, s->from, s->from)));
    }
    tell_state(t, last, "observe");
}

void tell_end(struct trial *t)
{
    nsec horizon = t->sys->scenario->horizon, watched = horizon;
    for (size_t i = 0; i < t->sys->services_n; i++)
        watched = t->services[i].watched > watched ? t->services[i].watched : watched;
    /* Answers that were waited for came before the undoing. */
    for (size_t i = 0; i < t->events_n; i++)
        if (t->events[i].at > watched && strcmp(t->events[i].kind, "undo") != 0)
            watched = t->events[i].at;
    tell_state(t, horizon, "restore");
    tell_state(t, watched, "undo");
    for (size_t i = 0; i < t->sys->steps_n; i++) {
        const struct system_step *s = &t->sys->steps[i];
        if (!s->step->fault || !s->step->lasts)
            continue;
        nsec to = s->to < watched ? s->to : watched;
        tell(t, to, "undo",
             json_pack("{s:s,s:s,s:o,s:b,s:[]}", "step", s->step->id, "cause",
                       s->to < watched ? (nsec_is_set(s->step->lasting) ? "for" : "until") : "end",
                       "at", tell_span(t, to, to), "ok", 1, "changes"));
    }
    tell_state(t, watched, "compare");
    tell(t, watched, "clean",
         json_pack("{s:b,s:[s],s:[],s:[]}", "clean", 1, "checked", "nothing was touched", "left",
                   "others"));
    tell(t, watched, "trial-end", json_pack("{s:s}", "outcome", "completed"));
    t->length = watched;
}

static int by_time(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return (x->n > y->n) - (x->n < y->n);
}

int tell_out(struct trial *t, trial_event_fn *fn, void *data, struct err *err)
{
    int r = 0;
    qsort(t->events, t->events_n, sizeof *t->events, by_time);
    for (size_t i = 0; i < t->events_n; i++) {
        struct event *e = &t->events[i];
        if (r == 0)
            r = fn(on_record(t, e->at), e->kind, e->json, data, err);
        json_decref(e->json);
    }
    t->events_n = 0;
    return r;
}
