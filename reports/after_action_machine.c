/* The machine's part of a functional exercise: measured as any live trial is, and set beside what people did,
 * all from the moment of the first fault. */
#include "reports/after_action.h"

#include <stdlib.h>
#include <string.h>

#include "reports/measure.h"
#include "reports/result_json.h"
#include "reports/sentence.h"
#include "sim/base/jsonx.h"

static bool is(const json_t *e, const char *key, const char *word)
{
    return !strcmp(jsonx_str(e, key, ""), word);
}

/* --- The two clocks --- */

nsec after_action_go(const struct after_action *a)
{
    size_t i;
    const json_t *e;
    json_array_foreach (a->events, i, e)
        if (is(e, "kind", "pace") && is(e, "event", "go"))
            return jsonx_int(e, "t", 0);
    return 0;
}

nsec after_action_clock_of(const struct after_action *a, nsec real)
{
    nsec since = 0, clock = 0;
    bool goes = false;
    size_t i;
    const json_t *e;
    json_array_foreach (a->events, i, e) {
        if (jsonx_int(e, "t", 0) > real)
            break;
        bool go = is(e, "event", "go");
        if (!is(e, "kind", "pace") ||
            (!go && !is(e, "event", "hold") && !is(e, "event", "debrief")))
            continue;
        since = jsonx_int(e, "t", 0);
        clock = jsonx_int(e, "clock", 0);
        goes = go;
    }
    return goes ? nsec_add(clock, nsec_sub(real, since)) : clock;
}

/* --- What people did first --- */

/* One of the words, which stand with blanks between and around them. */
static bool is_one_of(const char *words, const char *word)
{
    AUTO_BUF padded = BUF_INIT;
    buf_printf(&padded, " %s ", word);
    return strstr(words, buf_text(&padded)) != NULL;
}

static bool is_notice(const json_t *e)
{
    return (is(e, "kind", "page") && is(e, "event", "acknowledged")) ||
           (is(e, "kind", "mark") &&
            is_one_of(
                " acknowledged aware declared classified diagnosed mitigation_start mitigated ",
                jsonx_str(e, "mark", "")));
}

static bool is_declaration(const json_t *e)
{
    return is(e, "kind", "mark") && is(e, "mark", "declared");
}

static bool is_decision(const json_t *e)
{
    return is(e, "kind", "decision") && !jsonx_bool(e, "default", false);
}

static bool is_act(const json_t *e)
{
    return (is(e, "kind", "mark") &&
            is_one_of(" mitigation_start mitigated ", jsonx_str(e, "mark", ""))) ||
           (is(e, "kind", "action") && is(e, "event", "start")) ||
           (is(e, "kind", "checklist") && is(e, "event", "checked"));
}

static const struct human {
    const char *key, *did, *nobody;
    bool (*fn)(const json_t *e);
} humans[AFTER_HUMANS] = {
    [AFTER_NOTICED] = {"noticed_s", "people noticed", "nobody noticed", is_notice},
    [AFTER_DECLARED] = {"declared_s", "declared", "nobody declared", is_declaration},
    [AFTER_DECIDED] = {"decided_s", "decided", "nobody decided", is_decision},
    [AFTER_ACTED] = {"acted_s", "acted", "nobody acted", is_act},
};

static void find_humans(const struct after_action *a, struct after_chain *c)
{
    for (int k = 0; k < AFTER_HUMANS; k++) {
        size_t i;
        const json_t *e;
        c->humans[k] = NULL;
        json_array_foreach (a->events, i, e)
            if (!c->humans[k] && jsonx_int(e, "t", 0) >= c->fault.lo && humans[k].fn(e))
                c->humans[k] = e;
    }
}

/* The outage that is told: the longest one that is judged. */
static const struct episode *longest(const struct service_seen *s)
{
    const struct episode *best = NULL;
    for (size_t i = 0; i < s->episodes_n; i++) {
        const struct episode *e = &s->episodes[i];
        if (!e->undo && (!best || e->ttr[CLOCK_IMPACT].hi > best->ttr[CLOCK_IMPACT].hi))
            best = e;
    }
    return best;
}

/* Of the service that headlines are about; where that was not hit, of the first that was. */
static const struct service_seen *told(const struct result *r, const struct trial *t)
{
    const struct objective *head = sentence_headline(r);
    const struct service_seen *s = head ? result_seen(r, t, head->service) : NULL;
    for (size_t i = 0; i < t->services_n && (!s || !longest(s)); i++)
        if (longest(&t->services[i]))
            s = &t->services[i];
    return s;
}

int after_action_machine(struct after_action *a, struct err *err)
{
    if (!a->functional)
        return 0;
    int rc = measure_run(a->scenario, a->events, &a->head, 0, &a->machine, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < a->machine->trials_n && !a->trial; i++)
        if (a->machine->trials[i].counted && a->machine->trials[i].run)
            a->trial = &a->machine->trials[i];
    if (!a->trial || !span_is_set(a->trial->fault_start))
        return 0;
    struct after_chain *c = arena_alloc(a->arena, sizeof *c);
    *c = (struct after_chain){.fault = a->trial->fault_start, .seen = told(a->machine, a->trial)};
    c->episode = c->seen ? longest(c->seen) : NULL;
    for (size_t i = 0; c->seen && i < c->seen->alarms_n; i++) {
        const struct alarm_seen *alarm = &c->seen->alarms[i];
        if (span_is_set(alarm->onset) && (!c->alarm || alarm->onset.lo < c->alarm->onset.lo))
            c->alarm = alarm;
    }
    find_humans(a, c);
    a->chain = c;
    return 0;
}

const struct objective *after_action_machine_objective(const struct after_action *a,
                                                       const struct objective_target *t)
{
    static const int kinds[] = {[PROMISE_RTO] = OBJECTIVE_RTO,
                                [PROMISE_RPO] = OBJECTIVE_RPO,
                                [PROMISE_DETECT] = OBJECTIVE_DETECT,
                                [PROMISE_DOWNTIME] = OBJECTIVE_MAX_DOWNTIME,
                                [PROMISE_MTPD] = -1};
    for (size_t i = 0; a->machine && t && t->service && i < a->machine->objectives_n; i++) {
        const struct objective *o = &a->machine->objectives[i];
        if (!strcmp(o->service->name, t->service) && (int)o->kind == kinds[t->promise])
            return o;
    }
    return NULL;
}

/* --- In words --- */

void after_action_took(nsec t, struct buf *out)
{
    char text[NSEC_TEXT_MAX];
    if (t > 0 && t < 10 * NSEC_SEC)
        sentence_time(t, out);
    else /* to the second: people are not known better */
        buf_adds(out, nsec_text((t + NSEC_SEC / 2) / NSEC_SEC * NSEC_SEC, text));
}

static void restored(const struct after_chain *c, struct buf *out)
{
    const char *name = c->seen->service->name;
    const struct episode *e = c->episode;
    if (!e)
        buf_printf(out, "%s did not fail", name);
    else if (e->restored.hi == NSEC_INF)
        buf_printf(out, "%s was not back when observation ended", name);
    else {
        buf_printf(out, "%s was %s after ", name,
                   e->by == BY_HEAL ? "back, by our taking the fault away," : "restored");
        sentence_span(span_between(c->fault, e->restored), out);
    }
}

void after_action_chain_sentence(const struct after_action *a, struct buf *out)
{
    const struct after_chain *c = a->chain;
    if (!c) {
        buf_printf(out, "No fault was injected: there is nothing to restore or to notice.");
        return;
    }
    buf_adds(out, "From the fault: ");
    if (c->seen)
        restored(c, out);
    else
        buf_adds(out, "no service is watched");
    if (c->alarm) {
        buf_adds(out, "; the first alarm came after ");
        sentence_span(span_between(c->fault, c->alarm->onset), out);
    } else {
        buf_adds(out, "; no alarm came");
    }
    for (int k = 0; k < AFTER_HUMANS; k++) {
        buf_adds(out, k == 0 ? "; " : ", ");
        buf_printf(out, "%s%s", c->humans[k] ? humans[k].did : humans[k].nobody,
                   c->humans[k] ? " after " : "");
        if (c->humans[k])
            after_action_took(nsec_sub(jsonx_int(c->humans[k], "t", 0), c->fault.lo), out);
    }
    buf_addc(out, '.');
}

/* --- The section of the report --- */

struct link {
    nsec at;   /* NSEC_UNSET: it never came */
    int order; /* of those of one instant */
    const char *text;
    struct span after; /* from the fault; unset for people's, whose instants are known */
};

/* In the order of time; what never came last. */
static int by_time(const void *x, const void *y)
{
    const struct link *a = x, *b = y;
    nsec at = nsec_is_set(a->at) ? a->at : NSEC_INF, bt = nsec_is_set(b->at) ? b->at : NSEC_INF;
    if (at != bt)
        return at < bt ? -1 : 1;
    return a->order - b->order;
}

static struct link human_link(const struct after_action *a, int k)
{
    static const char *const first[AFTER_HUMANS] = {"people: noticed first", "people: declared",
                                                    "people: decided first", "people: acted first"};
    const json_t *e = a->chain->humans[k];
    AUTO_BUF text = BUF_INIT;
    if (!e)
        return (struct link){.at = NSEC_UNSET,
                             .text = arena_printf(a->arena, "people: %s", humans[k].nobody),
                             .after = SPAN_UNSET};
    after_action_line(a, e, &text);
    if (!text.len)
        buf_printf(&text, "command %s on %s", jsonx_str(e, "step", ""), jsonx_str(e, "host", ""));
    const char *by = jsonx_str(e, "by", NULL);
    return (struct link){.at = jsonx_int(e, "t", 0),
                         .text = arena_printf(a->arena, "%s: %s%s%s", first[k], buf_text(&text),
                                              by ? ", by " : "", by ? by : ""),
                         .after = SPAN_UNSET};
}

static struct link machine_link(const struct after_action *a, nsec at, struct span when,
                                const char *text)
{
    return (struct link){at, 0, arena_printf(a->arena, "machine: %s", text),
                         span_is_set(when) ? span_between(a->chain->fault, when) : SPAN_UNSET};
}

static size_t machine_links(const struct after_action *a, struct link *links)
{
    const struct after_chain *c = a->chain;
    const struct episode *e = c->episode;
    AUTO_BUF text = BUF_INIT;
    size_t n = 0;
    links[n++] = machine_link(a, c->fault.lo, SPAN_UNSET, "the fault");
    if (e) {
        buf_printf(&text, "%s failed", c->seen->service->name);
        links[n++] = machine_link(a, e->impact.lo, e->impact, buf_text(&text));
    }
    buf_clear(&text);
    buf_printf(&text, "%s%s", c->alarm ? "the first alarm, " : "no alarm came",
               c->alarm ? c->alarm->alarm->name : "");
    links[n++] = machine_link(a, c->alarm ? c->alarm->onset.lo : NSEC_UNSET,
                              c->alarm ? c->alarm->onset : SPAN_UNSET, buf_text(&text));
    if (!e)
        return n;
    bool back = e->restored.hi != NSEC_INF;
    buf_clear(&text);
    buf_printf(&text, "%s was %s", c->seen->service->name,
               !back              ? "not back at the end"
               : e->by == BY_HEAL ? "back, by our taking the fault away"
                                  : "restored");
    links[n++] = machine_link(a, back ? e->restored.hi : NSEC_UNSET,
                              back ? e->restored : SPAN_UNSET, buf_text(&text));
    return n;
}

static void chain_table(const struct after_action *a, struct document *d)
{
    static const char *const heads[] = {"from the fault", "exercise clock", "what"};
    struct link links[4 + AFTER_HUMANS];
    char at[NSEC_TEXT_MAX];
    size_t n = machine_links(a, links);
    for (int k = 0; k < AFTER_HUMANS; k++)
        links[n++] = human_link(a, k);
    for (size_t i = 0; i < n; i++)
        links[i].order = (int)i;
    qsort(links, n, sizeof *links, by_time);
    document_table(d, heads, ARRAY_SIZE(heads));
    for (size_t i = 0; i < n; i++) {
        const struct link *l = &links[i];
        AUTO_BUF after = BUF_INIT;
        if (span_is_set(l->after) && l->after.lo < 0) { /* not before it, whatever the bounds are */
            buf_adds(&after, "within ");
            after_action_took(l->after.hi, &after);
        } else if (span_is_set(l->after))
            sentence_span(l->after, &after);
        else if (nsec_is_set(l->at))
            after_action_took(nsec_sub(l->at, a->chain->fault.lo), &after);
        document_row(d);
        document_cell(d, buf_text(&after));
        document_cell(
            d, after_action_clock(nsec_is_set(l->at) ? after_action_clock_of(a, l->at) : NSEC_UNSET,
                                  at));
        document_cell(d, l->text);
        document_row_end(d);
    }
    document_table_end(d);
}

static void objectives(const struct after_action *a, struct document *d)
{
    document_heading(d, "What the services promise", NULL);
    document_list(d);
    for (size_t i = 0; i < a->machine->objectives_n; i++) {
        const struct objective *o = &a->machine->objectives[i];
        AUTO_BUF text = BUF_INIT;
        sentence_objective(a->machine, o, &text);
        document_item(d, sentence_verdict(o->verdict), buf_text(&text));
    }
    if (!a->machine->objectives_n)
        document_item(d, NULL, "nothing that could be judged");
    document_list_end(d);
}

static void faults(const struct after_action *a, struct document *d)
{
    static const char *const heads[] = {"step",     "fault",  "on",    "from", "to",
                                        "ended by", "it bit", "asked", "seen"};
    char at[NSEC_TEXT_MAX];
    document_heading(d, "What was done to the machines", NULL);
    document_table(d, heads, ARRAY_SIZE(heads));
    for (size_t i = 0; a->trial && i < a->trial->faults_n; i++) {
        const struct fault *f = &a->trial->faults[i];
        AUTO_BUF on = BUF_INIT;
        for (size_t k = 0; k < json_array_size(f->targets); k++)
            buf_printf(&on, "%s%s", k ? ", " : "",
                       json_string_value(json_array_get(f->targets, k)));
        nsec from = span_is_set(f->start) ? after_action_clock_of(a, f->start.lo) : NSEC_UNSET;
        nsec to = span_is_set(f->end) ? after_action_clock_of(a, f->end.lo) : NSEC_UNSET;
        document_row(d);
        document_cell(d, f->step);
        document_cell(d, f->action);
        document_cell(d, buf_text(&on));
        document_cell(d, after_action_clock(from, at));
        document_cell(d, after_action_clock(to, at));
        document_cell(d, f->cause);
        document_cell(d, f->verified ? "yes" : "no");
        document_cell(d, f->asked);
        document_cell(d, f->seen);
        document_row_end(d);
    }
    document_table_end(d);
}

void after_action_joint(const struct after_action *a, struct document *d)
{
    if (!a->machine)
        return;
    AUTO_BUF clean = BUF_INIT;
    document_section(d, "joint", "Machine and people on one clock",
                     "All from the moment of the first fault. A machine's instants are intervals "
                     "of what is known; people's are when they pressed or spoke.");
    if (a->chain)
        chain_table(a, d);
    objectives(a, d);
    faults(a, d);
    sentence_clean(a->machine, &clean);
    document_paragraph(d, NULL, buf_text(&clean));
    if (!a->machine->findings_n)
        return;
    document_heading(d, "What the measurement found", NULL);
    document_list(d);
    for (size_t i = 0; i < a->machine->findings_n; i++)
        document_item(d, weight_words[a->machine->findings[i].weight],
                      a->machine->findings[i].text);
    document_list_end(d);
}

/* --- For programs --- */

json_t *after_action_chain_json(const struct after_action *a)
{
    const struct after_chain *c = a->chain;
    json_t *j = json_object();
    if (!c) {
        json_decref(j);
        return json_null();
    }
    struct span back = c->episode ? span_between(c->fault, c->episode->restored) : SPAN_UNSET;
    json_object_set_new(j, "service", c->seen ? json_string(c->seen->service->name) : json_null());
    json_object_set_new(j, "impact_s",
                        jsonx_new_span_seconds(
                            c->episode ? span_between(c->fault, c->episode->impact) : SPAN_UNSET));
    json_object_set_new(
        j, "alarm_s",
        jsonx_new_span_seconds(c->alarm ? span_between(c->fault, c->alarm->onset) : SPAN_UNSET));
    json_object_set_new(j, "restored_s", jsonx_new_span_seconds(back));
    json_object_set_new(j, "censored", json_boolean(span_is_set(back) && back.hi == NSEC_INF));
    for (int k = 0; k < AFTER_HUMANS; k++) {
        nsec at = c->humans[k] ? jsonx_int(c->humans[k], "t", 0) : NSEC_UNSET;
        json_object_set_new(
            j, humans[k].key,
            jsonx_new_seconds(nsec_is_set(at) ? nsec_sub(at, c->fault.lo) : NSEC_UNSET));
    }
    return j;
}

json_t *after_action_machine_json(const struct after_action *a)
{
    static const char *const keys[] = {"verdict",  "exit_code", "clean",  "seed",     "objectives",
                                       "services", "alarms",    "layers", "findings", "trials"};
    if (!a->machine)
        return json_null();
    AUTO_JSON *all = result_json(a->machine);
    json_t *j = json_object();
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        json_object_set(j, keys[i], json_object_get(all, keys[i]));
    return j;
}
