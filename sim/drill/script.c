/* The script of one trial. States and invariants: script.h. */
#include "sim/drill/script.h"

#include "injectors/injector.h"
#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/model/share.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum run_state { RUN_WAITING, RUN_APPLYING, RUN_IN_FORCE, RUN_DONE, RUN_UNDONE };

struct step_run {
    struct script *script;
    const struct step *step;
    const struct injector *injector;
    enum run_state state;
    bool triggered, until_met;
    bool stuck, retried; /* undoing it failed; it is tried once more at the end of the trial */
    bool kept;           /* outlives us: prepared when the trial is armed */
    bool ready;          /* prepared, and its undo record is in the journal (if it lasts) */
    bool armed;          /* begun before its time: what it switches on may stand */
    bool journaled;      /* there is an entry of it that is not done */
    void *istate;
    json_t *undo, *targets;
    uint64_t entry; /* in the journal */
    uint64_t order; /* of beginning, for undoing last first */
    uint64_t lives; /* of the attached hosts it touches, when it was prepared */
    struct rng rng;
    struct inject_env env;
    struct loop_timer due, over, again;
};

struct script {
    struct core *core;
    struct lab *lab;
    int64_t trial;
    struct script_handlers handlers;
    struct step_run *runs;
    size_t n;
    uint64_t orders;
    bool going, halted;
    bool by_hand; /* others say when */
    nsec zero;
    json_t *alarms, *operator_words, *done; /* facts, as sets: {name: true} */
    json_t *down;
};

static void script_evaluate(struct script *s);
static void step_begin(struct step_run *r);
static bool step_undo(struct step_run *r, const char *cause);

static void script_spoilt(struct script *s, const char *reason)
{
    s->handlers.spoilt(reason, s->handlers.data);
}

/* ---- conditions ---- */

static bool fact(const json_t *set, const char *name)
{
    return json_object_get(set, name) != NULL;
}

static bool condition_holds(const struct script *s, const struct condition *c)
{
    if ((c->alarm && !fact(s->alarms, c->alarm)) || (c->probe && !fact(s->down, c->probe)) ||
        (c->operator_word && !fact(s->operator_words, c->operator_word)) ||
        (c->step && !fact(s->done, c->step)))
        return false;
    for (size_t i = 0; i < c->all.n; i++)
        if (!condition_holds(s, c->all.items[i]))
            return false;
    bool one = c->any.n == 0;
    for (size_t i = 0; i < c->any.n && !one; i++)
        one = condition_holds(s, c->any.items[i]);
    return one;
}

static void script_evaluate(struct script *s)
{
    if (!s->going || s->by_hand)
        return;
    for (size_t i = 0; i < s->n; i++) {
        struct step_run *r = &s->runs[i];
        const struct step *step = r->step;
        if (!s->halted && r->state == RUN_WAITING && step->when && !r->triggered &&
            condition_holds(s, step->when)) {
            r->triggered = true;
            loop_timer_set(s->core->loop, &r->due, nsec_add(loop_now(s->core->loop), step->after));
        }
        if (r->state == RUN_IN_FORCE && step->until && !r->until_met &&
            condition_holds(s, step->until)) {
            r->until_met = true;
            loop_timer_set(s->core->loop, &r->over, loop_now(s->core->loop));
        }
    }
}

void script_alarm(struct script *s, const char *alarm)
{
    if (!s->going)
        return; /* what rang before the script's zero is no reason for a step */
    json_object_set_new(s->alarms, alarm, json_true());
    script_evaluate(s);
}

void script_probe(struct script *s, const char *probe, bool down)
{
    if (down)
        json_object_set_new(s->down, probe, json_true());
    else
        json_object_del(s->down, probe);
    script_evaluate(s);
}

void script_operator(struct script *s, const char *word)
{
    if (!s->going)
        return;
    json_object_set_new(s->operator_words, word, json_true());
    script_evaluate(s);
}

/* ---- one step ---- */

static void step_event(struct step_run *r, const char *kind, json_t *event)
{
    json_object_set_new(event, "step", json_string(r->step->id));
    core_note(r->script->core, kind, r->script->trial, event);
}

/* "node-kill lb1": for the warden and the status line. */
static void step_words(const struct step_run *r, struct buf *b)
{
    buf_adds(b, r->step->action->name);
    size_t i;
    json_t *t;
    json_array_foreach (r->targets, i, t)
        buf_printf(b, "%s%s", i ? ", " : " ", json_string_value(t));
}

static void step_failed(struct step_run *r, const struct err *err)
{
    step_event(r, "inject",
               json_pack("{s:s,s:b,s:o}", "action", r->step->action->name, "ok", 0, "error",
                         jsonx_new_text(err->text)));
    AUTO_BUF reason = BUF_INIT;
    buf_printf(&reason, "step %s: %s", r->step->id, err->text);
    r->state = RUN_DONE;
    script_spoilt(r->script, buf_text(&reason));
}

/* Every call of an injector that may change something, so that each change is told as this step's. */

static int injector_prepare(struct step_run *r, struct err *err)
{
    INJECT_ACT(&r->env, false);
    return r->injector->prepare(&r->env, r->step, &r->istate, &r->undo, err);
}

static int injector_arm(struct step_run *r, struct err *err)
{
    INJECT_ACT(&r->env, false);
    return r->injector->arm(&r->env, r->istate, err);
}

static int injector_start(struct step_run *r, inject_event_fn *fn, struct err *err)
{
    INJECT_ACT(&r->env, false);
    return r->injector->start(&r->env, r->istate, fn, r, err);
}

static int injector_apply(struct step_run *r, struct inject_result *ret, struct err *err)
{
    INJECT_ACT(&r->env, false);
    return r->injector->apply(&r->env, r->istate, ret, err);
}

static int injector_verify(struct step_run *r, struct inject_proof *ret, struct err *err)
{
    INJECT_ACT(&r->env, false);
    return r->injector->verify(&r->env, r->istate, ret, err);
}

static void injector_done(struct step_run *r, bool undo)
{
    INJECT_ACT(&r->env, undo);
    r->injector->done(r->istate);
    r->istate = NULL;
}

static int injector_revert(struct step_run *r, struct inject_result *ret, struct err *err)
{
    INJECT_ACT(&r->env, true);
    return r->injector->revert(&r->env, r->undo, ret, err);
}

/* Nothing of it is in force, and nobody needs to undo it any more. */
static void step_forget_entry(struct step_run *r)
{
    if (r->journaled)
        (void)journal_done_entry(r->script->core->journal, r->entry, NULL);
    r->journaled = false;
}

/* Asks, and records what comes out. False: it did not bite, with the reason. */
static bool step_bites(struct step_run *r, struct buf *reason)
{
    struct script *s = r->script;
    struct inject_proof proof = {0};
    struct err err = ERR_INIT;
    int rc = injector_verify(r, &proof, &err);
    if (rc == INJECT_AGAIN) {
        loop_timer_set(s->core->loop, &r->again,
                       nsec_add(loop_fresh(s->core->loop), INJECT_AGAIN_EVERY));
        return true;
    }
    if (rc < 0) {
        proof = (struct inject_proof){.ok = false, .at = SPAN_UNSET};
        snprintf(proof.asked, sizeof proof.asked, "'%s' in force", r->step->action->name);
        snprintf(proof.seen, sizeof proof.seen, "%.*s", (int)sizeof proof.seen - 1, err.text);
    }
    step_event(r, "verify",
               json_pack("{s:b,s:o,s:o,s:s,s:o}", "ok", proof.ok, "asked",
                         jsonx_new_text(proof.asked), "seen", jsonx_new_text(proof.seen), "how",
                         proof.how, "at", core_span(s->core, proof.at)));
    if (!proof.ok)
        buf_printf(reason, "step %s: the fault did not bite: asked %s, seen %s", r->step->id,
                   proof.asked, proof.seen);
    return proof.ok;
}

static void step_verify(struct step_run *r)
{
    AUTO_BUF reason = BUF_INIT;
    if (r->injector->verify && r->state != RUN_UNDONE && !step_bites(r, &reason))
        script_spoilt(r->script, buf_text(&reason));
}

static void step_verify_again(struct loop_timer *t, void *data)
{
    step_verify(data);
}

/* Applied: into the record, then verified. Takes what is in `result`. */
static void step_applied(struct step_run *r, struct inject_result *result)
{
    struct script *s = r->script;
    const struct step *step = r->step;
    json_decref(r->targets);
    r->targets = result->targets ? json_incref(result->targets) : json_array();
    step_event(r, "inject",
               json_pack("{s:s,s:O,s:o*,s:o,s:b,s:O*}", "action", step->action->name, "targets",
                         r->targets, "chosen", jsonx_new_text(result->chosen), "at",
                         core_span(s->core, result->at), "ok", 1, "changes", result->changes));
    r->state = r->injector->lasts ? RUN_IN_FORCE : RUN_DONE;
    if (r->state == RUN_DONE && r->kept) { /* nobody needs to finish it any more */
        (void)warden_fault(s->core->warden, s->trial, step->id, "", false, NULL);
        step_forget_entry(r);
    }
    json_object_set_new(s->done, step->id, json_true());
    if (r->state == RUN_IN_FORCE && nsec_is_set(step->lasting) && !s->by_hand)
        loop_timer_set(s->core->loop, &r->over,
                       nsec_add(span_is_set(result->at) ? result->at.hi : loop_now(s->core->loop),
                                step->lasting));
    step_verify(r);
    s->handlers.changed(s->handlers.data);
    script_evaluate(s);
}

static void step_ended(const struct inject_event *e, void *data)
{
    struct step_run *r = data;
    struct script *s = r->script;
    if (e->kind == INJECT_ENDED) { /* may come from inside of the injector's own call */
        INJECT_ACT(&(struct inject_env){.lab = s->lab}, false);
        if (!e->error) {
            step_applied(r, e->result);
            return;
        }
        step_failed(r, e->err);
        if ((r->injector->lasts || r->kept) && r->undo) { /* a part of it may have been done */
            r->state = RUN_APPLYING;
            step_undo(r, "abort");
        }
        return;
    }
    bool start = e->kind == INJECT_COMMAND_START;
    json_t *a = json_pack("{s:s,s:s,s:o,s:s*,s:o}", "event", start ? "start" : "end", "host",
                          e->host, "command", jsonx_new_text(e->command), "role", e->role, "at",
                          core_span(s->core, e->at));
    if (!start) {
        json_object_set_new(a, "code", json_integer(e->code));
        if (e->signo)
            json_object_set_new(a, "signal", json_integer(e->signo));
        if (e->timed_out)
            json_object_set_new(a, "timed_out", json_true());
        json_object_set_new(
            a, "output",
            jsonx_new_textn(e->output ? e->output : "", e->output_n < 2000 ? e->output_n : 2000));
    }
    step_event(r, "action", a);
}

/* Hosts that others made, as they are now: what was ended and started again is gone over to. *ret: how
 * often they were found to be others, all together. */
static int step_meet_hosts(struct step_run *r, uint64_t *ret, struct err *err)
{
    const struct host *hosts[64];
    size_t n = step_attached(r->script->core->o->scenario, r->step, hosts, ARRAY_SIZE(hosts));
    uint64_t lives = 0;
    for (size_t i = 0; r->script->lab && i < n; i++) {
        struct lab_node *node = lab_node(r->script->lab, hosts[i]->name);
        int rc = node ? lab_node_refresh(node, err) : 0;
        if (rc < 0 && r->injector->is_fault) /* what people do fails, and is told so */
            return rc;
        lives += node ? lab_node_attached(node)->lives : 0;
    }
    *ret = lives;
    return 0;
}

/* Chooses, reads what will change, and notes how it is undone. */
static int step_prepare(struct step_run *r, struct err *err)
{
    struct script *s = r->script;
    /* Choosing a leader asks hosts, which may take its time: the warden must not take us for dead.
     */
    int rc = warden_busy(s->core->warden, 60 * NSEC_SEC, err);
    if (rc == 0)
        rc = step_meet_hosts(r, &r->lives, err);
    if (rc == 0)
        rc = injector_prepare(r, err);
    warden_beat(s->core->warden);
    if (rc < 0)
        return rc;
    r->ready = true;
    if (!r->injector->lasts && !json_is_object(r->undo))
        r->kept = false; /* it needs nobody to finish it */
    if ((!r->injector->lasts && !r->kept) || !s->core->journal)
        return 0;
    AUTO_JSON *touches = inject_touches(r->injector, r->undo);
    AUTO_JSON *was = r->kept ? compare_was(s->core->o->before, touches) : NULL;
    struct journal_entry e = {.life = r->kept ? JOURNAL_KEPT : JOURNAL_TIED,
                              .step = r->step->id,
                              .injector = r->injector->name,
                              .armed = r->kept,
                              .persistent = jsonx_bool(r->undo, "persistent", false),
                              .undo = r->undo,
                              .was = was};
    rc = journal_append(s->core->journal, &e, &r->entry, err);
    r->journaled = rc == 0;
    return rc;
}

/* Whatever differs in the end where it has its hands on is ours, also for the warden. */
static int step_touch(struct step_run *r, struct err *err)
{
    struct core *c = r->script->core;
    AUTO_JSON *touches = inject_touches(r->injector, r->undo);
    compare_touch(c->o->before, touches);
    return warden_touch(c->warden, touches, err);
}

/* inject_amend(): those who come after us undo by the record as it is now. */
static int step_amend(struct inject_env *env, struct err *err)
{
    struct step_run *r = container_of(env, struct step_run, env);
    int rc = step_touch(r, err);
    if (rc < 0 || !r->journaled)
        return rc;
    return journal_amend(r->script->core->journal, r->entry, r->undo, err);
}

/* Undo before do: whoever comes after us knows of it before anything is changed. */
static int step_announce(struct step_run *r, struct err *err)
{
    struct script *s = r->script;
    if (!r->injector->lasts && !r->kept)
        return 0;
    int rc = r->armed ? 0 : step_touch(r, err);
    if (rc == 0)
        rc = warden_fault(s->core->warden, s->trial, r->step->id, r->step->action->name, true, err);
    if (rc == 0 && r->kept && !r->armed && s->core->journal) {
        rc = journal_begin(s->core->journal, r->entry, err);
        if (rc < 0)
            (void)warden_fault(s->core->warden, s->trial, r->step->id, "", false, NULL);
    }
    return rc;
}

/* Makes what apply only switches on, its undo record being on the disk. What cannot be made now is
 * made by apply, or it tells why not. */
static int step_arm(struct step_run *r, struct err *err)
{
    struct core *c = r->script->core;
    if (!r->kept || !r->injector->arm)
        return 0;
    int rc = warden_busy(c->warden, 60 * NSEC_SEC, err);
    if (rc == 0)
        rc = step_touch(r, err);
    if (rc == 0 && c->journal)
        rc = journal_begin(c->journal, r->entry, err);
    if (rc < 0)
        return rc;
    r->armed = true;
    (void)injector_arm(r, NULL);
    warden_beat(c->warden);
    return 0;
}

/* Takes away what was armed and is not in force. */
static int step_disarm(struct step_run *r, struct err *err)
{
    struct inject_result result = INJECT_RESULT_INIT;
    if (!r->armed)
        return 0;
    if (r->istate)
        injector_done(r, true);
    int rc = injector_revert(r, &result, err);
    inject_result_done(&result);
    r->armed = rc < 0;
    return rc < 0 ? rc : 0;
}

/* What was prepared for a host that has become another one since means nothing any more. */
static int step_prepared(struct step_run *r, struct err *err)
{
    uint64_t lives = r->lives;
    int rc = r->ready ? step_meet_hosts(r, &lives, err) : 0;
    if (rc < 0 || (r->ready && lives == r->lives))
        return rc;
    rc = step_disarm(r, err);
    if (rc < 0)
        return rc;
    if (r->ready) {
        if (r->istate)
            injector_done(r, false);
        json_decref(r->undo);
        r->undo = NULL;
        step_forget_entry(r);
        r->ready = false;
    }
    rc = step_prepare(r, err);
    return rc == 0 && r->kept && r->script->core->journal
               ? journal_sync(r->script->core->journal, err)
               : rc;
}

/* Of each group no more than its share may be hit at a time: faults in force, and those that are not
 * undone at all. */
static int step_is_bearable(const struct step_run *r, struct err *err)
{
    const struct script *s = r->script;
    AUTO_FREE struct share_hit *hits = calloc(s->n + 1, sizeof *hits);
    size_t n = 0;
    if (!hits)
        abort();
    for (size_t i = 0; i < s->n; i++) {
        const struct step_run *o = &s->runs[i];
        if (o->injector->is_fault && o->targets &&
            (o->state == RUN_IN_FORCE || (o->state == RUN_DONE && !o->injector->lasts)))
            hits[n++] = (struct share_hit){o->step, o->targets};
    }
    return share_may_begin(s->core->o->scenario, r->step, hits, n, err);
}

static void step_begin(struct step_run *r)
{
    struct script *s = r->script;
    struct err err = ERR_INIT;
    if (r->state != RUN_WAITING || s->halted)
        return;
    if (step_is_bearable(r, &err) < 0) {
        err_prefix(&err, "step %s", r->step->id);
        s->core->stop(s->core, "guard-rail", err.text);
        return;
    }
    r->state = RUN_APPLYING;
    r->order = ++s->orders;
    int rc = step_prepared(r, &err);
    if (rc == 0)
        rc = step_announce(r, &err);
    bool prepared = rc == 0;
    if (rc == 0 && r->injector->start) {
        rc = injector_start(r, step_ended, &err);
        if (rc == 0)
            return;
    } else if (rc == 0) {
        struct inject_result result = INJECT_RESULT_INIT;
        rc = injector_apply(r, &result, &err);
        if (rc == 0)
            step_applied(r, &result);
        inject_result_done(&result);
    }
    if (rc < 0) {
        bool half = (prepared || r->armed) && r->undo && (r->injector->lasts || r->kept);
        step_failed(r, &err);
        core_mind_warden(s->core);
        if (half) { /* a failed apply may have done a part */
            r->state = RUN_IN_FORCE;
            step_undo(r, "abort");
        } else {
            step_forget_entry(r);
        }
    }
}

static void step_due(struct loop_timer *t, void *data)
{
    step_begin(data);
}

static void step_over(struct loop_timer *t, void *data)
{
    struct step_run *r = data;
    if (r->state == RUN_IN_FORCE)
        step_undo(r, r->until_met ? "until" : "for");
}

/* Does the fault still hold, just before we take it away? One that somebody else ended shows
 * nothing. Not asked of what is expected to come back by itself (a supervisor restarts). */
static bool step_still_holds(struct step_run *r, struct buf *reason)
{
    struct inject_proof proof = {0};
    struct err err = ERR_INIT;
    if (!r->injector->holds || !r->injector->verify || !r->istate)
        return true;
    if (injector_verify(r, &proof, &err) != 0 || proof.ok)
        return true;
    struct span at = {loop_now(r->script->core->loop), loop_fresh(r->script->core->loop)};
    step_event(r, "fault-gone",
               json_pack("{s:o,s:o}", "at", core_span(r->script->core, at), "why",
                         jsonx_new_text(proof.seen)));
    buf_printf(reason, "step %s: the fault was gone before it was undone: %s", r->step->id,
               proof.seen);
    return false;
}

static bool step_undo(struct step_run *r, const char *cause)
{
    struct script *s = r->script;
    struct inject_result result = INJECT_RESULT_INIT;
    struct err err = ERR_INIT;
    AUTO_BUF reason = BUF_INIT;
    r->env.decide = loop_timer_is_set(&r->again); /* whether it bites was open up to now */
    bool bites = r->env.decide ? step_bites(r, &reason) : step_still_holds(r, &reason);
    loop_timer_cancel(s->core->loop, &r->over);
    loop_timer_cancel(s->core->loop, &r->again);
    if (r->istate)
        injector_done(r, true);
    nsec before = loop_fresh(s->core->loop);
    int rc = injector_revert(r, &result, &err);
    if (rc == INJECT_GONE) {
        inject_result_done(&result);
        result.changes = json_pack("[o]", jsonx_new_text(err.text));
        rc = 0;
    }
    if (!span_is_set(result.at))
        result.at = (struct span){before, loop_fresh(s->core->loop)};
    step_event(r, "undo",
               json_pack("{s:s,s:o,s:b,s:O*,s:o*}", "cause", cause, "at",
                         core_span(s->core, result.at), "ok", rc == 0, "changes", result.changes,
                         "error", rc < 0 ? jsonx_new_text(err.text) : NULL));
    inject_result_done(&result);
    r->state = RUN_UNDONE;
    r->stuck = rc < 0;
    if (rc == 0) {
        (void)warden_fault(s->core->warden, s->trial, r->step->id, "", false, NULL);
        step_forget_entry(r);
    }
    s->handlers.changed(s->handlers.data);
    if (!bites)
        script_spoilt(s, buf_text(&reason));
    return rc == 0;
}

/* ---- the script ---- */

struct script *script_new(struct core *c, struct lab *lab, int64_t trial,
                          const struct script_handlers *handlers)
{
    const struct scenario *sc = c->o->scenario;
    struct script *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->core = c;
    s->lab = lab;
    s->trial = trial;
    s->handlers = *handlers;
    s->n = sc->script.n;
    s->runs = calloc(s->n + 1, sizeof *s->runs);
    if (!s->runs)
        abort();
    s->alarms = json_object();
    s->operator_words = json_object();
    s->done = json_object();
    s->down = json_object();
    for (size_t i = 0; i < s->n; i++) {
        struct step_run *r = &s->runs[i];
        r->script = s;
        r->step = sc->script.items[i];
        r->injector = injector_of(r->step);
        const struct host *attached;
        r->kept = r->injector->revert &&
                  (r->injector->kept || step_attached(sc, r->step, &attached, 1) > 0);
        r->rng = rng_stream(c->o->seed, "step", (uint64_t)trial, i);
        r->env = (struct inject_env){.scenario = sc,
                                     .lab = lab,
                                     .loop = c->loop,
                                     .rng = &r->rng,
                                     .run_id = c->o->id,
                                     .step = r->step->id,
                                     .amend = step_amend};
        r->due = (struct loop_timer){.fn = step_due, .data = r};
        r->over = (struct loop_timer){.fn = step_over, .data = r};
        r->again = (struct loop_timer){.fn = step_verify_again, .data = r};
    }
    return s;
}

struct script *script_free(struct script *s)
{
    if (!s)
        return NULL;
    for (size_t i = 0; i < s->n; i++) {
        struct step_run *r = &s->runs[i];
        loop_timer_cancel(s->core->loop, &r->due);
        loop_timer_cancel(s->core->loop, &r->over);
        loop_timer_cancel(s->core->loop, &r->again);
        if (r->istate)
            injector_done(r, false);
        if (r->state == RUN_WAITING && !r->armed) /* prepared, and it never came to it */
            step_forget_entry(r);
        json_decref(r->undo);
        json_decref(r->targets);
    }
    json_decref(s->alarms);
    json_decref(s->operator_words);
    json_decref(s->done);
    json_decref(s->down);
    free(s->runs);
    free(s);
    return NULL;
}

int script_arm(struct script *s, struct err *err)
{
    bool some = false;
    for (size_t i = 0; i < s->n; i++) {
        struct step_run *r = &s->runs[i];
        if (!r->kept)
            continue;
        int rc = step_prepare(r, err);
        if (rc < 0)
            return err_prefix(err, "step %s", r->step->id);
        some = true;
    }
    int rc = some && s->core->journal ? journal_sync(s->core->journal, err) : 0;
    for (size_t i = 0; rc == 0 && i < s->n; i++)
        rc = step_arm(&s->runs[i], err);
    return rc;
}

void script_go(struct script *s, nsec zero, bool by_hand)
{
    s->going = true;
    s->by_hand = by_hand;
    s->zero = zero;
    for (size_t i = 0; i < s->n && !by_hand; i++)
        if (nsec_is_set(s->runs[i].step->at))
            loop_timer_set(s->core->loop, &s->runs[i].due, nsec_add(zero, s->runs[i].step->at));
    script_evaluate(s);
}

void script_begin(struct script *s, size_t step)
{
    if (s->going)
        step_begin(&s->runs[step]);
}

void script_end(struct script *s, size_t step, const char *cause)
{
    if (s->runs[step].state == RUN_IN_FORCE)
        (void)step_undo(&s->runs[step], cause);
}

void script_halt(struct script *s)
{
    s->halted = true;
    for (size_t i = 0; i < s->n; i++)
        loop_timer_cancel(s->core->loop, &s->runs[i].due);
}

bool script_begun(const struct script *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (step_is_machines(s->runs[i].step) && nsec_is_set(s->runs[i].step->at) &&
            s->runs[i].state == RUN_WAITING)
            return false;
    return true;
}

/* What has begun and takes its time may have done its part already. */
static bool step_is_to_be_undone(const struct step_run *r)
{
    return r->state == RUN_IN_FORCE || (r->stuck && !r->retried) ||
           (r->state == RUN_APPLYING && r->injector->start && (r->injector->lasts || r->kept) &&
            r->undo);
}

/* Of steps that it never came to. */
static size_t script_disarm_all(struct script *s, const char *cause)
{
    size_t failed = 0;
    for (size_t i = s->n; i-- > 0;) {
        struct step_run *r = &s->runs[i];
        struct err err = ERR_INIT;
        struct span at = {.lo = loop_fresh(s->core->loop)};
        if (r->state != RUN_WAITING || step_disarm(r, &err) == 0)
            continue;
        at.hi = loop_fresh(s->core->loop);
        step_event(r, "undo",
                   json_pack("{s:s,s:o,s:b,s:o}", "cause", cause, "at", core_span(s->core, at),
                             "ok", 0, "error", jsonx_new_text(err.text)));
        failed++;
    }
    return failed;
}

size_t script_undo_all(struct script *s, const char *cause)
{
    size_t failed = 0;
    script_halt(s);
    for (;;) {
        struct step_run *last = NULL;
        for (size_t i = 0; i < s->n; i++)
            if (step_is_to_be_undone(&s->runs[i]) && (!last || s->runs[i].order > last->order))
                last = &s->runs[i];
        if (!last)
            return failed + script_disarm_all(s, cause);
        last->retried = true;
        failed += !step_undo(last, cause);
    }
}

json_t *script_in_force(const struct script *s)
{
    json_t *all = json_array();
    for (size_t i = 0; i < s->n; i++) {
        const struct step_run *r = &s->runs[i];
        if (r->state != RUN_IN_FORCE)
            continue;
        AUTO_BUF words = BUF_INIT;
        step_words(r, &words);
        json_array_append_new(all, json_pack("{s:s,s:s,s:s}", "step", r->step->id, "action",
                                             r->step->action->name, "words", buf_text(&words)));
    }
    return all;
}
