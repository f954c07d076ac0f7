/* What every part of a running drill shares. */
#include "sim/drill/core.h"

#include "sim/base/jsonx.h"

#include <errno.h>
#include <string.h>

/* Those who play write the record of a functional exercise. */
static int core_write(struct core *c, const char *kind, nsec at, json_t *event, struct err *err)
{
    const struct drill_people *people = c->o->people;
    return people ? people->line(kind, at, event, people->data, err)
                  : record_write(c->record, kind, at, event, err);
}

void core_event(struct core *c, const char *kind, nsec at, int64_t trial, json_t *event)
{
    AUTO_JSON *body = event;
    AUTO_JSON *full = json_object();
    struct err err = ERR_INIT;
    if (!body) { /* it could not be made (text that is no UTF-8): nothing may be lost in silence */
        if (!c->failed) {
            c->failed = true;
            err_set(&c->failure, EILSEQ, "an event of kind %s cannot be recorded", kind);
            c->stop(c, "record", c->failure.text);
        }
        return;
    }
    if (trial)
        json_object_set_new(full, "trial", json_integer(trial));
    json_object_update(full, body);
    if (core_write(c, kind, at, json_incref(full), &err) < 0) {
        if (!c->failed) {
            c->failed = true;
            c->failure = err;
            c->stop(c, "record", err.text);
        }
        return;
    }
    json_object_set_new(full, "t", json_integer(at - record_origin(c->record)));
    herald_event(c->herald, kind, full);
    if (c->o->handlers.event)
        c->o->handlers.event(kind, full, c->o->handlers.data);
}

void core_note(struct core *c, const char *kind, int64_t trial, json_t *event)
{
    core_event(c, kind, loop_fresh(c->loop), trial, event);
}

json_t *core_span(const struct core *c, struct span s)
{
    return record_new_span(c->record, s);
}

void core_mind_warden(struct core *c)
{
    const char *why = warden_lost(c->warden);
    if (why)
        c->stop(c, "lost-warden", why);
}
