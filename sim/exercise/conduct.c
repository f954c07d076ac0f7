/* The one who keeps the clock and the order: look what is due, write, apply, tell. What a line is for each
 * thing that is due stands in conduct_due.c.
 */
#include "sim/exercise/conduct.h"

#include "sim/base/jsonx.h"
#include "sim/exercise/conduct_part.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICK (10 * NSEC_SEC)

/* --- The clock --- */

/* Of a machine's lines and people's in one order: read anew for each. */
static nsec conduct_now(const struct conduct *c)
{
    return c->machine ? loop_fresh(c->loop) : loop_now(c->loop);
}

nsec conduct_clock(const struct conduct *c)
{
    nsec clock = c->anchor_clock;
    if (c->state->stage == STAGE_RUNNING) {
        nsec gone = nsec_sub(conduct_now(c), c->anchor);
        clock = nsec_add(clock, (nsec)((double)gone * c->state->speed));
    }
    return clock > c->state->clock ? clock : c->state->clock;
}

nsec conduct_when(const struct conduct *c, nsec clock)
{
    if (c->state->stage != STAGE_RUNNING)
        return NSEC_INF;
    double ahead = ceil((double)nsec_sub(clock, c->anchor_clock) / c->state->speed);
    return nsec_add(c->anchor, (nsec)ahead);
}

/* From now on the clock is reckoned from here: it has begun, stopped or changed its speed. */
static void clock_anchor(struct conduct *c)
{
    c->anchor = conduct_now(c);
    c->anchor_clock = c->state->clock;
}

/* --- Writing and telling --- */

static int fail(struct conduct *c, int r, const struct err *err)
{
    if (!c->failure.code) {
        c->failure = *err;
        c->failure.code = -r;
    }
    loop_timer_cancel(c->loop, &c->due);
    loop_timer_cancel(c->loop, &c->tick);
    if (c->machine)
        c->machine->stop("record", c->failure.text, c->machine->data);
    return r;
}

int conduct_failure(const struct conduct *c, struct err *err)
{
    if (!c->failure.code)
        return 0;
    if (err)
        *err = c->failure;
    return -c->failure.code;
}

/* Lines that were added while others were being told are told after them. */
static void tell(struct conduct *c, json_t *line)
{
    json_array_append(c->untold, line);
    if (c->telling)
        return;
    c->telling = true;
    for (size_t i = 0; i < json_array_size(c->untold); i++) {
        AUTO_JSON *one = json_incref(json_array_get(c->untold, i));
        for (struct conduct_listener *l = c->listeners; l; l = c->next) {
            c->next = l->next;
            l->fn(one, l->data);
        }
    }
    json_array_clear(c->untold);
    c->telling = false;
}

/* As it stands in the record: what readers of it get is what state and listeners get. */
static json_t *line_of(const struct conduct *c, const char *kind, nsec at, const json_t *members)
{
    struct record_head head;
    json_t *line = json_object();
    record_head(c->record, &head);
    json_object_set_new(line, "seq", json_integer(head.seq));
    json_object_set_new(line, "t", json_integer(at - record_origin(c->record)));
    json_object_set_new(line, "kind", json_string(kind));
    json_object_update(line, (json_t *)(uintptr_t)members);
    return line;
}

static int put_line(struct conduct *c, const char *kind, nsec at, json_t *members, bool sync,
                    struct err *err)
{
    AUTO_JSON *own = members;
    struct err why = ERR_INIT;
    if (c->failure.code)
        return conduct_failure(c, err);
    if (strcmp(kind, "run-start") != 0)
        json_object_set_new(own, "clock", json_integer(conduct_clock(c)));
    int r = record_write(c->record, kind, at, json_incref(own), &why);
    if (r == 0 && sync)
        r = record_sync(c->record, &why);
    AUTO_JSON *line = r == 0 ? line_of(c, kind, at, own) : NULL;
    if (r == 0)
        r = state_apply(c->state, line, &why);
    if (r < 0) {
        if (err)
            *err = why;
        return fail(c, r, &why);
    }
    if (!strcmp(kind, "pace") || !strcmp(kind, "stop") || !strcmp(kind, "run-end"))
        clock_anchor(c);
    tell(c, line);
    return 0;
}

/* The clock of the script starts, or ends. */
static void tell_machine(struct conduct *c, enum state_stage before)
{
    const struct machine *m = c->machine;
    if (before == STAGE_LOBBY && c->state->stage == STAGE_RUNNING)
        m->go(c->anchor, m->data);
    else if (before != STAGE_DEBRIEF && c->state->stage == STAGE_DEBRIEF)
        m->close(m->data);
}

int conduct_put(struct conduct *c, const char *kind, json_t *members, struct err *err)
{
    enum state_stage before = c->state->stage;
    bool sync = !c->virtual && strcmp(jsonx_str(members, "event", ""), "tick") != 0;
    int r = put_line(c, kind, conduct_now(c), members, sync, err);
    if (r == 0 && c->machine && !strcmp(kind, "pace"))
        tell_machine(c, before);
    return r;
}

/* --- What is due --- */

static void arm(struct conduct *c)
{
    struct due next = state_next(c->state);
    if (next.what == DUE_NOTHING || c->failure.code || c->ending)
        loop_timer_cancel(c->loop, &c->due);
    else
        loop_timer_set(c->loop, &c->due, conduct_when(c, next.at));
    if (c->virtual || c->state->stage != STAGE_RUNNING || c->failure.code || c->ending)
        loop_timer_cancel(c->loop, &c->tick);
    else
        loop_timer_set(c->loop, &c->tick, nsec_add(loop_now(c->loop), TICK));
}

int conduct_catch_up(struct conduct *c, struct err *err)
{
    int r = 0;
    if (c->advancing)
        return 0;
    c->advancing = true;
    while (r == 0 && !c->failure.code && !c->ending) {
        struct due next = state_next(c->state);
        if (next.what == DUE_NOTHING || next.at > conduct_clock(c))
            break;
        struct err why = ERR_INIT;
        if ((r = conduct_do_due(c, &next, &why)) < 0) {
            (void)fail(c, r, &why);
            if (err)
                *err = why;
        }
    }
    c->advancing = false;
    arm(c);
    return r;
}

int conduct_write(struct conduct *c, const char *kind, json_t *members, struct err *err)
{
    int r = conduct_put(c, kind, members, err);
    if (r == 0 && !c->advancing)
        r = conduct_catch_up(c, err);
    return r;
}

static void on_due(struct loop_timer *t, void *data)
{
    struct conduct *c = data;
    (void)conduct_catch_up(c, NULL); /* a failure is kept: conduct_failure() */
}

static void on_tick(struct loop_timer *t, void *data)
{
    struct conduct *c = data;
    (void)conduct_write(c, "pace", json_pack("{s:s}", "event", "tick"), NULL);
}

int conduct_send(struct conduct *c, size_t step, const char *by, const char *key, struct err *err)
{
    const struct state_step *s = &c->state->steps[step];
    if (s->life != STEP_WAITING)
        return err_set(err, EALREADY, "'%s' %s", s->step->id,
                       s->life == STEP_SKIPPED ? "was skipped" : "has begun already");
    if (step_is_machines(s->step) && c->state->machine_over)
        return err_set(err, EAGAIN, "the machine's part is over: nothing more is done to hosts");
    int r = conduct_begin_step(c, step, by, key, err);
    if (r == 0 && !c->advancing)
        r = conduct_catch_up(c, err);
    return r;
}

int conduct_take_back(struct conduct *c, size_t step, const char *by, const char *key,
                      struct err *err)
{
    const struct state_step *s = &c->state->steps[step];
    if (!c->machine || !state_in_force(s) || nsec_is_set(s->ending))
        return err_set(err, EAGAIN, "'%s' is not in force", s->step->id);
    int r = conduct_end_step(c, step, "operator", by, key, err);
    if (r == 0 && !c->advancing)
        r = conduct_catch_up(c, err);
    return r;
}

/* Undone before its end, the machine shows nothing any more: people are told, and the clock waits for what
 * the facilitator makes of it. */
static int hold_for_machine(struct conduct *c, struct err *err)
{
    json_t *line = json_pack("{s:s, s:s}", "event", "hold", "reason",
                             "the machine's part is over before its time: everything is being "
                             "undone; go on without it, or end");
    return conduct_put(c, "pace", line, err);
}

int conduct_machine_line(struct conduct *c, const char *kind, nsec at, json_t *members,
                         struct err *err)
{
    bool over = c->state->machine_over;
    if (!strcmp(kind, "stop"))
        c->ending = true;
    int r = put_line(c, kind, at, members, !strcmp(kind, "run-end"), err);
    if (r == 0 && !over && c->state->machine_over && !c->ending && c->state->stage == STAGE_RUNNING)
        r = hold_for_machine(c, err);
    if (r == 0 && !c->advancing && strcmp(kind, "probe") != 0)
        arm(c);
    return r;
}

const struct machine *conduct_machine(const struct conduct *c)
{
    return c->machine;
}

int conduct_end(struct conduct *c, const char *status, const char *reason, struct err *err)
{
    char iso[NSEC_TEXT_MAX];
    if (c->state->stage == STAGE_ENDED || c->ending)
        return 0;
    int r = conduct_open_ballot(c, err);
    if (r < 0)
        return r;
    if (c->machine) {
        c->ending = true;
        arm(c);
        c->machine->finish(c->machine->data);
        return 0;
    }
    json_t *end = json_pack("{s:s, s:s*}", "status", status, "reason", reason);
    if (!c->virtual) {
        json_object_set_new(end, "wall", json_string(nsec_iso(nsec_now(CLOCK_REALTIME), iso)));
        json_object_set_new(end, "by", json_string("runner"));
    }
    r = conduct_put(c, "run-end", end, err);
    if (r == 0)
        r = record_sync(c->record, err);
    arm(c);
    return r;
}

/* --- Making --- */

static struct conduct *make(const struct conduct_spec *spec, bool is_virtual)
{
    struct conduct *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    *c = (struct conduct){.loop = spec->loop,
                          .scenario = spec->scenario,
                          .machine = spec->machine,
                          .record = spec->record,
                          .state = state_new(spec->scenario),
                          .dirfd = fcntl(spec->dirfd, F_DUPFD_CLOEXEC, 0),
                          .alone = spec->alone,
                          .virtual = is_virtual,
                          .anchor = loop_now(spec->loop),
                          .untold = json_array(),
                          .due = {.fn = on_due, .data = c},
                          .tick = {.fn = on_tick, .data = c}};
    return c;
}

int conduct_new(const struct conduct_spec *spec, struct conduct **ret, struct err *err)
{
    AUTO_JSON *start = spec->run_start ? spec->run_start : json_object();
    CLEANUP(conduct_free_p) struct conduct *c = make(spec, spec->on_virtual_clock);
    int r = 0;
    if (!spec->machine)
        r = record_create(spec->dirfd, "record.ndjson", loop_now(spec->loop), &c->record, err);
    if (r < 0)
        return r;
    json_object_set_new(start, "speed", json_real(spec->speed > 0 ? spec->speed : 1));
    r = conduct_put(c, "run-start", json_incref(start), err);
    if (r < 0)
        return r;
    *ret = steal_ptr(c);
    return 0;
}

static int apply_all(struct conduct *c, int dirfd, nsec *ret_last, struct err *err)
{
    AUTO_JSON *events = NULL;
    size_t i;
    json_t *event;
    struct record_head head;
    size_t torn = 0; /* record_resume() cuts it */
    *ret_last = 0;
    int r = record_read(dirfd, "record.ndjson", &events, &head, &torn, err);
    json_array_foreach (events, i, event) {
        *ret_last = jsonx_int(event, "t", *ret_last);
        if ((r = state_apply(c->state, event, err)) < 0)
            return r;
    }
    return r;
}

int conduct_resume(const struct conduct_spec *spec, struct conduct **ret, struct err *err)
{
    CLEANUP(conduct_free_p) struct conduct *c = make(spec, spec->on_virtual_clock);
    nsec last = 0;
    size_t cut = 0;
    int r = apply_all(c, spec->dirfd, &last, err);
    if (r < 0)
        return r;
    if (c->state->functional)
        return err_set(
            err, EALREADY,
            "this was a functional exercise: its hosts and the faults on them were undone "
            "when blackstart ended, so there is nothing to go on with; begin it again");
    if (c->state->stage == STAGE_ENDED)
        return err_set(err, EALREADY, "this exercise has ended: there is nothing to go on with");
    if (!c->state->run_start)
        return err_set(err, EINVAL, "this record has no beginning: start the exercise again");
    r = record_resume(spec->dirfd, "record.ndjson", nsec_sub(loop_now(spec->loop), last),
                      &c->record, &cut, err);
    if (r < 0)
        return r;
    clock_anchor(c);
    char iso[NSEC_TEXT_MAX];
    AUTO_BUF detail = BUF_INIT;
    buf_adds(&detail, "blackstart was ended and goes on from the last line");
    if (!c->virtual)
        buf_printf(&detail, ", at %s", nsec_iso(nsec_now(CLOCK_REALTIME), iso));
    r = conduct_put(c, "trouble",
                    json_pack("{s:s, s:s, s:I}", "what", "interrupted", "detail", buf_text(&detail),
                              "n", (json_int_t)cut),
                    err);
    if (r == 0)
        r = conduct_resume_ballot(c, err);
    if (r == 0 && !c->alone && c->state->stage == STAGE_RUNNING)
        r = conduct_put(c, "pace",
                        json_pack("{s:s, s:s}", "event", "hold", "reason", "interrupted"), err);
    if (r == 0)
        r = conduct_catch_up(c, err);
    if (r < 0)
        return r;
    *ret = steal_ptr(c);
    return 0;
}

struct conduct *conduct_free(struct conduct *c)
{
    if (!c)
        return NULL;
    loop_timer_cancel(c->loop, &c->due);
    loop_timer_cancel(c->loop, &c->tick);
    if (!c->machine)
        record_free(c->record);
    state_free(c->state);
    json_decref(c->untold);
    close(c->dirfd);
    free(c);
    return NULL;
}

/* --- Asking, listening --- */

const struct state *conduct_state(const struct conduct *c)
{
    return c->state;
}

struct loop *conduct_loop(const struct conduct *c)
{
    return c->loop;
}

nsec conduct_origin(const struct conduct *c)
{
    return record_origin(c->record);
}

void conduct_head(const struct conduct *c, struct record_head *ret)
{
    record_head(c->record, ret);
}

bool conduct_is_over(const struct conduct *c)
{
    return c->failure.code || c->ending || c->state->stage == STAGE_ENDED;
}

void conduct_listen(struct conduct *c, struct conduct_listener *l)
{
    struct conduct_listener **at = &c->listeners;
    while (*at)
        at = &(*at)->next;
    l->next = NULL;
    *at = l;
}

void conduct_unlisten(struct conduct *c, struct conduct_listener *l)
{
    for (struct conduct_listener **at = &c->listeners; *at; at = &(*at)->next)
        if (*at == l) {
            if (c->next == l)
                c->next = l->next;
            *at = l->next;
            return;
        }
}
