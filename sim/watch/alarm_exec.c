/* The alarm `exec`: a command run again and again.
 *
 * One run at a time, on an absolute schedule; a slot that comes while one runs is taken when it
 * ends, further ones are left out. Only a change is told: the onset lies between the start of the
 * last quiet run (or of our watching) and the end of the first firing one; the clear likewise. A
 * run without an exit code (killed, timed out, not started) says nothing.
 */
#include "sim/watch/vantage.h"

#include <stdio.h>
#include <string.h>

enum check_state { CHECK_UNKNOWN, CHECK_QUIET, CHECK_FIRING };

struct check {
    struct sentry *sentry;
    struct loop_timer timer;
    struct child *child; /* NULL: none runs */
    struct schedule schedule;
    nsec start; /* of this run */
    nsec other; /* start of the last run in the present state: the change is later */
    enum check_state state;
};

static void check_ended(struct child *child, const struct child_exit *e, void *data)
{
    struct check *c = data;
    const struct check_params *p = c->sentry->alarm->params;
    nsec end = nsec_now(CLOCK_MONOTONIC);
    char words[256];
    if (e->timed_out || e->signo) {
        snprintf(words, sizeof words,
                 e->timed_out ? "its command did not end in time"
                              : "its command was killed by signal %d",
                 e->signo);
        sentry_fails(c->sentry, words);
    } else if (e->code == 126 || e->code == 127) { /* sh(1): cannot be executed, not found */
        snprintf(words, sizeof words, "its command could not be run (exit code %d)", e->code);
        sentry_fails(c->sentry, words);
    } else {
        enum check_state now =
            (e->code == 0) == (p->fires_on == FIRES_ON_SUCCESS) ? CHECK_FIRING : CHECK_QUIET;
        sentry_looks(c->sentry);
        snprintf(words, sizeof words, "exit code %d", e->code);
        if (now != c->state && (now == CHECK_FIRING || c->state == CHECK_FIRING))
            sentry_tell(c->sentry, now == CHECK_FIRING, (struct span){c->other, end}, words);
        c->state = now;
        c->other = c->start;
    }
    c->child = child_free(child);
    loop_timer_set(c->sentry->vantage->loop, &c->timer, schedule_next(&c->schedule));
}

static void check_due(struct loop_timer *t, void *data)
{
    (void)t;
    struct check *c = data;
    const struct check_params *p = c->sentry->alarm->params;
    struct child_spec spec = {.on_exit = check_ended, .data = c, .timeout = p->timeout};
    struct err err = ERR_INIT;
    int64_t skipped;
    c->start = nsec_now(CLOCK_MONOTONIC);
    schedule_take(&c->schedule, c->start, &skipped);
    if (vantage_shell(c->sentry->vantage, p->command, &spec, &c->child, &err) < 0) {
        sentry_fails(c->sentry, err.text);
        loop_timer_set(c->sentry->vantage->loop, &c->timer, schedule_next(&c->schedule));
    }
}

static int exec_open(struct sentry *s, struct err *err)
{
    (void)err;
    struct check *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    nsec now = nsec_now(CLOCK_MONOTONIC);
    *c = (struct check){.sentry = s, .timer = {.fn = check_due, .data = c}, .other = now};
    const struct check_params *p = s->alarm->params;
    c->schedule = (struct schedule){.first = now, .every = p->every};
    s->state = c;
    loop_timer_set(s->vantage->loop, &c->timer, now);
    return 0;
}

static void exec_close(struct sentry *s)
{
    struct check *c = s->state;
    if (!c)
        return;
    loop_timer_cancel(s->vantage->loop, &c->timer);
    child_free(c->child);
    free(c);
}

static const char *exec_host(const void *params)
{
    const struct check_params *p = params;
    return p->host;
}

const struct alarm_kind alarm_exec = {.host = exec_host, .open = exec_open, .close = exec_close};
