/* The alarm `log` on captured output: the runner reads it anyway, so it looks itself. */
#include "sim/base/text.h"
#include "sim/watch/flood.h"
#include "sim/watch/kinds.h"
#include "sim/watch/pattern.h"
#include "sim/watch/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct watched_output {
    const struct alarm *alarm;
    struct pattern match;
    struct flood flood;
};

struct watch_outputs {
    struct watch_handlers handlers;
    size_t n;
    struct watched_output items[];
};

struct watch_outputs *watch_outputs_new(const struct scenario *s,
                                        const struct watch_handlers *handlers)
{
    struct watch_outputs *o = calloc(1, sizeof *o + s->alarms.n * sizeof *o->items);
    if (!o)
        abort();
    o->handlers = *handlers;
    for (size_t i = 0; i < s->alarms.n; i++) {
        const struct alarm *a = s->alarms.items[i];
        const struct log_params *log = a->params;
        if (a->kind->impl != &alarm_log || !log->output)
            continue;
        struct watched_output *w = &o->items[o->n];
        *w = (struct watched_output){.alarm = a, .match = PATTERN_INIT};
        if (pattern_compile(&w->match, log->match, NULL) == 0) /* the check has compiled it, too */
            o->n++;
    }
    return o;
}

struct watch_outputs *watch_outputs_free(struct watch_outputs *o)
{
    if (!o)
        return NULL;
    for (size_t i = 0; i < o->n; i++)
        pattern_done(&o->items[i].match);
    free(o);
    return NULL;
}

static void output_flood(struct watch_outputs *o, struct watched_output *w, unsigned kept)
{
    char detail[FLOOD_TEXT_MAX];
    const struct log_params *log = w->alarm->params;
    if (kept)
        o->handlers.trouble("alarm-flood", log->host, flood_text(w->alarm->name, kept, detail),
                            o->handlers.data);
}

static void output_onset(struct watch_outputs *o, struct watched_output *w, const char *line,
                         size_t len, struct span at)
{
    unsigned kept;
    bool tell = flood_admits(&w->flood, at.hi, &kept);
    output_flood(o, w, kept);
    if (!tell)
        return;
    char detail[256];
    snprintf(detail, sizeof detail, "%.*s", (int)len, line);
    text_make_printable(detail, strlen(detail));
    struct watch_alarm alarm = {
        .alarm = w->alarm, .onset = true, .at = at, .starts_at = NSEC_UNSET, .detail = detail};
    o->handlers.alarm(&alarm, o->handlers.data);
}

void watch_outputs_line(struct watch_outputs *o, const char *host, const char *unit,
                        const char *line, size_t len, struct span at)
{
    for (size_t i = 0; i < o->n; i++) {
        struct watched_output *w = &o->items[i];
        const struct log_params *log = w->alarm->params;
        if (!strcmp(log->host, host) && !strcmp(log->output, unit) &&
            pattern_matches(&w->match, line, len))
            output_onset(o, w, line, len, at);
    }
}

void watch_outputs_end(struct watch_outputs *o)
{
    for (size_t i = 0; i < o->n; i++)
        output_flood(o, &o->items[i], flood_end(&o->items[i].flood));
}
