/* A container's engine at work. See contained.h. */
#include "injectors/process/contained.h"

#include <errno.h>
#include <poll.h>

#include "injectors/process/targets.h"
#include "injectors/touch.h"
#include "sim/base/jsonx.h"

#define HEARS_WITHIN (5 * NSEC_SEC)
#define HEARS_LOOK_EVERY (10 * NSEC_MSEC)

bool contained_is(const struct lab_node *n, struct container_id *ret)
{
    const struct attached_host *h = n ? lab_node_attached(n) : NULL;
    struct container_id id;
    if (!h || !container_of_record(h->at.own, &id))
        return false;
    if (ret)
        *ret = id;
    return true;
}

json_t *contained_record(const struct lab_node *n)
{
    struct container_id id;
    if (!contained_is(n, &id))
        return NULL;
    const struct attached_target *t = &lab_node_attached(n)->at;
    return json_pack("{s:s,s:s,s:s,s:s,s:I,s:I}", "host", lab_node_name(n), "engine", id.engine,
                     "id", id.id, "container", id.name, "pid", (json_int_t)t->pid, "start",
                     (json_int_t)t->start);
}

const char *contained_host(const json_t *record)
{
    return jsonx_str(record, "host", "?");
}

static int ask(const json_t *record, struct cengine **ret_engine, struct cengine_container *ret,
               struct err *err)
{
    struct container_id id;
    if (!container_of_record(record, &id))
        return err_set(err, EINVAL, "an undo record names no container");
    int r = container_ask(&id, ret_engine, ret, err);
    return r < 0 ? err_prefix(err, "host %s", contained_host(record)) : 0;
}

int contained_look(const json_t *record, struct cengine_container *ret, struct err *err)
{
    CLEANUP(cengine_free_p) struct cengine *e = NULL;
    return ask(record, &e, ret, err);
}

int contained_ready(const json_t *record, struct cengine_container *ret, struct err *err)
{
    AUTO_CONTAINER c = {0};
    int r = contained_look(record, &c, err);
    if (r == -ENOENT)
        return err_set(err, ESRCH, "host %s has gone: its container %s was removed",
                       contained_host(record), jsonx_str(record, "container", "?"));
    if (r < 0)
        return r;
    if (!c.pid)
        return err_set(err, ESRCH, "host %s: its container %s does not run (%s)",
                       contained_host(record), c.name, c.state);
    if (c.paused)
        return err_set(err, EALREADY, "host %s: its container %s is paused already",
                       contained_host(record), c.name);
    *ret = c;
    c = (struct cengine_container){0};
    return 0;
}

static void asked_text(const struct cengine_command *c, const char *id, struct buf *out)
{
    buf_adds(out, "to its engine: ");
    cengine_command_text(c, id, out);
}

void contained_plan(const struct target *t, const struct cengine_command *c, const char *only,
                    json_t *texts)
{
    AUTO_BUF text = BUF_INIT;
    asked_text(c, "<its id>", &text);
    for (size_t i = 0; inject_candidate(t, i); i++)
        inject_plan_deed(t, inject_candidate(t, i), only, buf_text(&text), texts);
}

void contained_plan_verb(const struct target *t, enum cengine_verb verb, const char *only,
                         json_t *texts)
{
    contained_plan(t, &(struct cengine_command){.verb = verb, .grace = NSEC_UNSET}, only, texts);
}

void contained_tell(const struct inject_env *env, const json_t *record,
                    const struct cengine_command *c)
{
    AUTO_BUF text = BUF_INIT;
    asked_text(c, NULL, &text);
    inject_tell(env, contained_host(record), buf_text(&text));
}

static int command(const struct inject_env *env, struct cengine *e,
                   const struct cengine_container *c, enum cengine_verb verb, const char *done,
                   const json_t *record, json_t *changes, struct span *at, struct err *err)
{
    struct cengine_command what = {.verb = verb, .id = c->id, .grace = NSEC_UNSET};
    struct span by = {.lo = nsec_now(CLOCK_MONOTONIC)};
    AUTO_BUF text = BUF_INIT;
    int r = cengine_do(e, &what, err);
    by.hi = nsec_now(CLOCK_MONOTONIC);
    if (r < 0)
        return err_prefix(err, "host %s", contained_host(record));
    contained_tell(env, record, &what);
    targets_cover(at, by);
    buf_printf(&text, "host %s: container ", contained_host(record));
    cengine_container_text(c, &text);
    buf_printf(&text, " %s by %s", done, cengine_name(e));
    json_array_append_new(changes, jsonx_new_text(buf_text(&text)));
    return 0;
}

int contained_pause(const struct inject_env *env, const json_t *record, json_t *changes,
                    struct span *at, struct err *err)
{
    CLEANUP(cengine_free_p) struct cengine *e = NULL;
    AUTO_CONTAINER c = {0};
    int r = ask(record, &e, &c, err);
    return r < 0 ? r : command(env, e, &c, CENGINE_PAUSE, "paused", record, changes, at, err);
}

/* What was removed took what was done to it along. */
static int ask_undoing(const json_t *record, struct cengine **ret_engine,
                       struct cengine_container *ret, struct err *err)
{
    struct err why = ERR_INIT;
    int r = ask(record, ret_engine, ret, &why);
    if (r < 0 && err)
        *err = why;
    return r == -ENOENT ? INJECT_GONE : r;
}

int contained_unpause(const struct inject_env *env, const json_t *record, json_t *changes,
                      struct span *at, struct err *err)
{
    CLEANUP(cengine_free_p) struct cengine *e = NULL;
    AUTO_CONTAINER c = {0};
    int r = ask_undoing(record, &e, &c, err);
    if (r != 0 || !c.paused)
        return r;
    return command(env, e, &c, CENGINE_UNPAUSE, "unpaused", record, changes, at, err);
}

int contained_start(const struct inject_env *env, const json_t *record, json_t *changes,
                    struct span *at, struct err *err)
{
    CLEANUP(cengine_free_p) struct cengine *e = NULL;
    AUTO_CONTAINER c = {0};
    nsec until = nsec_add(nsec_now(CLOCK_MONOTONIC), HEARS_WITHIN);
    int r = ask_undoing(record, &e, &c, err);
    /* An engine hears a moment later that a container's first process was killed. */
    while (r == 0 && c.pid && !procs_started(c.pid) && nsec_now(CLOCK_MONOTONIC) < until) {
        (void)poll(NULL, 0, HEARS_LOOK_EVERY / NSEC_MSEC);
        cengine_container_done(&c);
        e = cengine_free(e);
        r = ask_undoing(record, &e, &c, err);
    }
    if (r != 0 || c.pid)
        return r;
    return command(env, e, &c, CENGINE_START, "started again", record, changes, at, err);
}

int contained_revert(const struct inject_env *env, const json_t *undo, contained_undo_fn *fn,
                     struct inject_result *ret, struct err *err)
{
    nsec before = nsec_now(CLOCK_MONOTONIC);
    const json_t *records = json_object_get(undo, "containers"), *record;
    AUTO_JSON *changes = json_array();
    struct span at = SPAN_UNSET;
    struct err gone = ERR_INIT;
    size_t i, n_gone = 0;
    json_array_foreach (records, i, record) {
        struct err why = ERR_INIT;
        int r = fn(env, record, changes, &at, &why);
        if (r < 0) {
            if (err)
                *err = why;
            return r;
        }
        if (r == INJECT_GONE) {
            n_gone++;
            gone = why;
        }
    }
    if (n_gone && n_gone == json_array_size(records)) {
        if (err)
            *err = gone;
        return INJECT_GONE;
    }
    if (!span_is_set(at))
        at = (struct span){before, nsec_now(CLOCK_MONOTONIC)};
    *ret = (struct inject_result){.at = at, .changes = json_incref(changes)};
    return 0;
}

void contained_touches(const json_t *undo, json_t *ret)
{
    size_t i;
    const json_t *record;
    json_array_foreach (json_object_get(undo, "containers"), i, record)
        touch_container(ret, record);
}
