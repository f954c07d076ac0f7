/* The alarm `log` on a file of a host. Captured output is the runner's: watch_outputs_line(). */
#include "sim/watch/follow.h"
#include "sim/watch/pattern.h"
#include "sim/watch/vantage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOOK_EVERY (5 * NSEC_MSEC) /* how exactly the time of a line is known */

struct log {
    struct sentry *sentry;
    struct follow *follow;
    struct pattern match;
    struct loop_timer timer;
};

static int log_check(const struct scenario *s, const void *params, struct err *err)
{
    const struct log_params *p = params;
    if (!p->output == !p->file)
        return err_set(err, EINVAL, "a log alarm watches either `output` (of a command) or `file`");
    AUTO_PATTERN match = PATTERN_INIT;
    int r = pattern_compile(&match, p->match, err);
    const struct host *h = scenario_host(s, p->host);
    if (r < 0 || !p->output || !h)
        return r;
    for (size_t i = 0; i < h->start.n; i++) {
        const struct unit *u = h->start.items[i];
        if (u->name && strcmp(u->name, p->output) == 0)
            return 0;
    }
    return err_set(err, EINVAL, "host %s starts nothing whose output is named %s", p->host,
                   p->output);
}

static void log_line(const char *line, size_t n, nsec since, void *data)
{
    struct log *l = data;
    if (!pattern_matches(&l->match, line, n))
        return;
    char detail[256];
    snprintf(detail, sizeof detail, "%.*s", (int)n, line);
    sentry_tell(l->sentry, true, (struct span){since, nsec_now(CLOCK_MONOTONIC)}, detail);
}

static void log_due(struct loop_timer *t, void *data)
{
    struct log *l = data;
    const struct log_params *p = l->sentry->alarm->params;
    char words[512];
    nsec now = nsec_now(CLOCK_MONOTONIC);
    if (follow_look(l->follow, now)) {
        sentry_looks(l->sentry);
    } else {
        snprintf(words, sizeof words, "%s: %s", p->file, strerror(errno));
        sentry_fails(l->sentry, words);
    }
    loop_timer_set(l->sentry->vantage->loop, t, now + LOOK_EVERY);
}

static int log_open(struct sentry *s, struct err *err)
{
    const struct log_params *p = s->alarm->params;
    struct log *l = calloc(1, sizeof *l);
    if (!l)
        abort();
    *l = (struct log){.sentry = s, .timer = {.fn = log_due, .data = l}};
    s->state = l;
    int r = pattern_compile(&l->match, p->match, err);
    if (r < 0)
        return r;
    nsec now = nsec_now(CLOCK_MONOTONIC);
    l->follow = follow_new(p->file, now, log_line, l);
    loop_timer_set(s->vantage->loop, &l->timer, now + LOOK_EVERY);
    return 0;
}

static void log_close(struct sentry *s)
{
    struct log *l = s->state;
    if (!l)
        return;
    loop_timer_cancel(s->vantage->loop, &l->timer);
    pattern_done(&l->match);
    follow_free(l->follow);
    free(l);
}

static const char *log_host(const void *params)
{
    const struct log_params *p = params;
    return p->file ? p->host : NULL;
}

const struct alarm_kind alarm_log = {
    .check = log_check, .host = log_host, .open = log_open, .close = log_close};
