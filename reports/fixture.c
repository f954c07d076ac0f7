/* Hand-made scenarios and records in virtual time. */
#include "reports/fixture.h"

#include <inttypes.h>

#include "sim/base/jsonx.h"

static const struct variant kinds[] = {
    {.name = "log"}, {.name = "packets"}, {.name = "exec"}, {.name = "threshold"}, {.name = "tcp"}};

static nsec trial_zero(const struct world *w)
{
    return w->seq < 0 ? 0 : (nsec)w->trial * 100 * NSEC_SEC;
}

void world_init(struct world *w)
{
    memset(w, 0, sizeof *w);
    struct scenario *s = &w->scenario;
    s->name = (char *)(uintptr_t) "fixture";
    s->title = (char *)(uintptr_t) "The fixture loses its server";
    s->trials = 1;
    s->settle = &w->settle;
    s->horizon = 10 * NSEC_SEC;
    w->settle = (struct settle){.lasting = NSEC_SEC, .within = 60 * NSEC_SEC};
    struct objects *lists[] = {&s->services, &s->probes, &s->alarms, &s->script, NULL};
    for (size_t i = 0; lists[i]; i++)
        lists[i]->items = w->pointers[i];
    s->expect.items = w->expect;
    w->events = json_array();
    world_service(w, "checkout");
    world_probe(w, "page", "checkout");
    json_t *start = json_pack("{s:I,s:I,s:s,s:i,s:s,s:s,s:s,s:{s:s,s:s,s:s},s:{s:i,s:[]},s:s,s:s,"
                              "s:s,s:s}",
                              "seq", (json_int_t)0, "t", (json_int_t)0, "kind", "run-start",
                              "record", 1, "blackstart", "0.1.0", "id", "7f3a", "mode", "live",
                              "scenario", "name", "fixture", "title", s->title, "digest", "d1",
                              "attempt", "n", 1, "earlier", "seed", "42", "operator", "alice",
                              "wall", "2026-01-31T12:00:00.000Z", "clock", "CLOCK_MONOTONIC");
    assert_non_null(start);
    json_array_append_new(w->events, start);
}

void world_done(struct world *w)
{
    result_free(w->result);
    json_decref(w->events);
}

struct service *world_service(struct world *w, const char *name)
{
    size_t i = w->scenario.services.n++;
    struct service *s = &w->services[i];
    *s = (struct service){.name = (char *)(uintptr_t)name,
                          .rto = NSEC_UNSET,
                          .rpo = NSEC_UNSET,
                          .max_downtime = NSEC_UNSET,
                          .mtpd = NSEC_UNSET,
                          .down_at_least = 1,
                          .expect = EXPECT_EITHER};
    if (i == 0) {
        s->rto = NSEC_SEC;
        s->expect = EXPECT_AFFECTED;
    }
    w->scenario.services.items[i] = s;
    return s;
}

struct probe *world_probe(struct world *w, const char *name, const char *service)
{
    size_t i = w->scenario.probes.n++;
    struct probe *p = &w->probes[i];
    *p = (struct probe){.name = (char *)(uintptr_t)name,
                        .service = (char *)(uintptr_t)service,
                        .host = (char *)(uintptr_t) "client",
                        .control = !service,
                        .every = 100 * MS,
                        .timeout = 500 * MS,
                        .slow_after = NSEC_UNSET,
                        .down_after = 2,
                        .up_after = 3,
                        .stable = 500 * MS,
                        .kind = &kinds[4]};
    w->scenario.probes.items[i] = p;
    return p;
}

struct alarm *world_alarm(struct world *w, const char *name, enum role role, const char *kind)
{
    size_t i = w->scenario.alarms.n++;
    struct alarm *a = &w->alarms[i];
    *a = (struct alarm){.name = (char *)(uintptr_t)name,
                        .service = (char *)(uintptr_t) "checkout",
                        .role = (int)role};
    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
        if (strcmp(kinds[k].name, kind) == 0)
            a->kind = &kinds[k];
    w->scenario.alarms.items[i] = a;
    return a;
}

struct step *world_step(struct world *w, const char *id)
{
    size_t i = w->scenario.script.n++;
    struct step *s = &w->steps[i];
    *s = (struct step){.id = (char *)(uintptr_t)id,
                       .at = 500 * MS,
                       .after = 0,
                       .lasting = NSEC_UNSET,
                       .fault = true};
    w->scenario.script.items[i] = s;
    return s;
}

struct detect *world_detect(struct world *w, nsec within)
{
    w->detects[0] = (struct detect){.within = within, .clock = CLOCK_IMPACT};
    w->services[0].detect = &w->detects[0];
    return &w->detects[0];
}

void world_expect(struct world *w, enum expectation expect)
{
    w->services[0].expect = expect;
    w->expect[0] = (struct pair){.key = w->services[0].name, .value = NULL};
    w->scenario.expect.n = 1;
}

void world_event(struct world *w, const char *kind, nsec t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    json_t *more = json_vpack_ex(NULL, 0, fmt, ap);
    va_end(ap);
    assert_non_null(more);
    json_t *e =
        json_pack("{s:I,s:I,s:s,s:I}", "seq", (json_int_t)++w->seq, "t",
                  (json_int_t)(trial_zero(w) + t), "kind", kind, "trial", (json_int_t)w->trial);
    json_object_update_new(e, more);
    json_array_append_new(w->events, e);
}

void world_begin(struct world *w, int64_t trial, int64_t attempt)
{
    w->trial = trial;
    world_event(w, "trial-start", 0, "{s:I,s:{s:I}}", "attempt", (json_int_t)attempt, "phases",
                "page", (json_int_t)(37 * MS));
    world_event(w, "state", 0, "{s:s}", "state", "settle");
    world_event(w, "state", 1000 * MS, "{s:s}", "state", "arm");
    world_event(w, "state", 1050 * MS, "{s:s,s:I}", "state", "inject", "zero",
                (json_int_t)(trial_zero(w) + 1050 * MS));
}

void world_strip(struct world *w, const char *probe, const char *strip)
{
    json_int_t n = 0;
    for (size_t i = 0; strip[i]; i++) {
        if (strip[i] == ' ')
            continue;
        nsec start = (nsec)i * 100 * MS;
        nsec took = strip[i] == 'T' ? 500 * MS : strip[i] == 'S' ? 40 * MS : MS;
        bool ok = strip[i] == 'G' || strip[i] == 'S';
        json_int_t from = trial_zero(w) + start;
        world_event(w, "probe", start + took, "{s:s,s:I,s:I,s:I,s:I,s:b}", "probe", probe, "n", n++,
                    "sched", from, "start", from, "end", from + took, "ok", ok);
        json_t *e = json_array_get(w->events, json_array_size(w->events) - 1);
        if (strip[i] == '?')
            json_object_set_new(e, "unknown", json_true());
        if (!ok)
            json_object_set_new(e, "why", json_string(strip[i] == 'T' ? "timeout" : "refused"));
    }
}

void world_inject(struct world *w, const char *step, nsec at)
{
    json_int_t from = trial_zero(w) + at;
    world_event(w, "inject", at, "{s:s,s:s,s:[s],s:[I,I],s:b,s:[s]}", "step", step, "action",
                "node-kill", "targets", "lb1", "at", from, from + 2 * MS, "ok", 1, "changes",
                "port of lb1: down");
}

void world_verify(struct world *w, const char *step, bool ok)
{
    world_event(w, "verify", 1600 * MS, "{s:s,s:b,s:s,s:s,s:s,s:[I,I]}", "step", step, "ok", ok,
                "asked", "lb1 silent", "seen", ok ? "lb1 silent" : "lb1 answers", "how",
                "a connection to lb1", "at", (json_int_t)(trial_zero(w) + 1600 * MS),
                (json_int_t)(trial_zero(w) + 1601 * MS));
}

void world_undo(struct world *w, const char *step, nsec at, const char *cause)
{
    json_int_t from = trial_zero(w) + at;
    world_event(w, "undo", at, "{s:s,s:s,s:[I,I],s:b,s:[s]}", "step", step, "cause", cause, "at",
                from, from + 2 * MS, "ok", 1, "changes", "port of lb1: up");
}

void world_alarm_event(struct world *w, const char *alarm, const char *event, nsec at, bool at_arm)
{
    json_int_t from = trial_zero(w) + at;
    world_event(w, "alarm", at, "{s:s,s:s,s:[I,I]}", "alarm", alarm, "event", event, "at", from,
                from + MS);
    if (at_arm)
        json_object_set_new(json_array_get(w->events, json_array_size(w->events) - 1),
                            "active_at_arm", json_true());
}

void world_end(struct world *w, nsec watched, const char *outcome, const char *reason)
{
    world_event(w, "state", watched, "{s:s}", "state", "undo");
    world_event(w, "clean", watched + 10 * MS, "{s:b,s:[],s:[],s:[]}", "clean", 1, "checked",
                "left", "others");
    world_event(w, "trial-end", watched + 20 * MS, "{s:s}", "outcome", outcome);
    if (reason)
        json_object_set_new(json_array_get(w->events, json_array_size(w->events) - 1), "reason",
                            json_string(reason));
}

void world_run_end(struct world *w, const char *status)
{
    world_event(w, "run-end", 90 * NSEC_SEC, "{s:s,s:s,s:s}", "status", status, "wall",
                "2026-01-31T12:05:00.000Z", "by", "runner");
    json_object_del(json_array_get(w->events, json_array_size(w->events) - 1), "trial");
}

const struct result *world_measure(struct world *w)
{
    struct err err = ERR_INIT;
    struct record_head head = {.seq = w->seq, .hash = "00ff"};
    json_object_set_new(json_array_get(w->events, 0), "trials", json_integer(w->scenario.trials));
    w->result = result_free(w->result);
    if (measure_run(&w->scenario, w->events, &head, 0, &w->result, &err) < 0)
        fail_msg("%s", err.text);
    return w->result;
}

void world_usual(struct world *w, int64_t trial, const char *strip)
{
    nsec end = (nsec)strlen(strip) * 100 * MS;
    if (w->scenario.script.n == 0)
        world_step(w, "lose");
    world_begin(w, trial, 1);
    world_inject(w, "lose", 1550 * MS);
    world_verify(w, "lose", true);
    world_strip(w, "page", strip);
    world_end(w, end, "completed", NULL);
    world_undo(w, "lose", end + 5 * MS, "end");
}

const struct objective *world_objective(const struct world *w, enum objective_kind kind)
{
    for (size_t i = 0; i < w->result->objectives_n; i++)
        if (w->result->objectives[i].kind == kind)
            return &w->result->objectives[i];
    return NULL;
}

const struct service_seen *world_seen(const struct world *w, int64_t trial)
{
    for (size_t i = 0; i < w->result->trials_n; i++)
        if (w->result->trials[i].n == trial && w->result->trials[i].counted)
            return &w->result->trials[i].services[0];
    fail_msg("no such trial");
    return NULL;
}

bool world_found(const struct world *w, const char *code)
{
    for (size_t i = 0; i < w->result->findings_n; i++)
        if (strcmp(w->result->findings[i].code, code) == 0)
            return true;
    return false;
}

void assert_ms(struct span s, nsec lo, nsec hi)
{
    if (s.lo != lo * MS || s.hi != (hi == NSEC_INF ? hi : hi * MS))
        fail_msg("[%g, %g] ms instead of [%g, %g]", (double)s.lo / 1e6, (double)s.hi / 1e6,
                 (double)lo, (double)hi);
}

void assert_verdict(const struct world *w, enum objective_kind kind, enum verdict verdict)
{
    const struct objective *o = world_objective(w, kind);
    assert_non_null(o);
    assert_string_equal(verdict_words[o->verdict], verdict_words[verdict]);
}

void assert_share(const struct world *w, int64_t trial, enum objective_kind kind, enum share share)
{
    assert_string_equal(share_words[world_seen(w, trial)->shares[kind]], share_words[share]);
}

void assert_reason(const struct world *w, enum objective_kind kind, const char *code)
{
    const struct objective *o = world_objective(w, kind);
    for (size_t i = 0; i < o->reasons_n; i++)
        if (strcmp(o->reasons[i].code, code) == 0)
            return;
    fail_msg("no reason %s", code);
}
