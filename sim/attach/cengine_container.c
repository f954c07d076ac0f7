/* Containers as an engine tells of them: read, found, and what happened to them. See cengine.h. */
#include "sim/attach/cengine_ask.h"

#include "sim/base/jsonx.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define COMPOSE_PROJECT "com.docker.compose.project"
#define COMPOSE_SERVICE "com.docker.compose.service"
#define COMPOSE_NUMBER "com.docker.compose.container-number"
#define COMPOSE_ONE_OFF "com.docker.compose.oneoff" /* `docker compose run`: not of the service */
#define ID_SHOWN 12
#define ID_DIGITS 64
#define NAMED_AT_MOST 8

/* --- One -------------------------------------------------------------------------------------- */

void cengine_container_done(struct cengine_container *c)
{
    free(c->id);
    free(c->name);
    free(c->image);
    free(c->state);
    json_decref(c->labels);
    *c = (struct cengine_container){0};
}

const char *cengine_label(const struct cengine_container *c, const char *name)
{
    return jsonx_str(c->labels, name, NULL);
}

void cengine_container_text(const struct cengine_container *c, struct buf *out)
{
    buf_printf(out, "%s (%.*s)", c->name, ID_SHOWN, c->id);
}

static char *copy(const char *text)
{
    char *s = strdup(text);
    if (!s)
        abort();
    text_make_printable(s, strlen(s));
    return s;
}

static bool is_id(const char *s)
{
    return strlen(s) == ID_DIGITS && strspn(s, "0123456789abcdef") == ID_DIGITS;
}

/* An answer of GET /containers/ID/json. */
static int read_container(const struct cengine *e, const char *path, const json_t *j,
                          struct cengine_container *ret, struct err *err)
{
    const json_t *state = json_object_get(j, "State"), *config = json_object_get(j, "Config"),
                 *host = json_object_get(j, "HostConfig");
    const char *id = jsonx_str(j, "Id", ""), *name = jsonx_str(j, "Name", NULL),
               *status = jsonx_str(state, "Status", NULL);
    int64_t pid = jsonx_int(state, "Pid", -1);
    if (!is_id(id) || !name || !*name)
        return cengine_odd(e, path, "no id or no name of a container", err);
    if (!status || !json_is_object(config) || pid < 0 || pid > INT_MAX)
        return cengine_odd(e, path, "the container's state is missing", err);
    const json_t *labels = json_object_get(config, "Labels");
    const char *policy = jsonx_str(json_object_get(host, "RestartPolicy"), "Name", "no");
    int64_t stop_after = jsonx_int(config, "StopTimeout", 10);
    *ret = (struct cengine_container){
        .id = copy(id),
        .name = copy(name + (*name == '/')),
        .image = copy(jsonx_str(config, "Image", "")),
        .state = copy(status),
        .labels = json_is_object(labels) ? json_incref((json_t *)(uintptr_t)labels) : json_object(),
        .pid = jsonx_bool(state, "Running", false) ? (pid_t)pid : 0,
        .paused = jsonx_bool(state, "Paused", false),
        .host_net = strcmp(jsonx_str(host, "NetworkMode", ""), "host") == 0,
        .restarts = strcmp(policy, "no") != 0 && *policy,
        .stop_after = stop_after >= 0 && stop_after <= 86400 ? (int)stop_after : 10,
    };
    return 0;
}

static int inspect(struct cengine *e, const char *which, struct cengine_container *ret,
                   struct err *err)
{
    AUTO_BUF path = BUF_INIT;
    AUTO_JSON *answer = NULL;
    buf_adds(&path, "/containers/");
    cengine_escape(which, &path);
    buf_adds(&path, "/json");
    int r = cengine_get(e, buf_text(&path), &answer, err);
    return r < 0 ? r : read_container(e, buf_text(&path), answer, ret, err);
}

/* Names that do exist help whoever mistyped one. */
static int say_none(struct cengine *e, const char *which, struct err *err)
{
    AUTO_JSON *all = NULL;
    AUTO_BUF names = BUF_INIT;
    size_t i, n = 0;
    const json_t *c;
    if (cengine_get(e, "/containers/json?all=true", &all, NULL) == 0)
        json_array_foreach (all, i, c) {
            const char *name = json_string_value(json_array_get(json_object_get(c, "Names"), 0));
            if (name && n++ < NAMED_AT_MOST)
                buf_printf(&names, "%s%s", n > 1 ? ", " : "", name + (*name == '/'));
        }
    if (n > NAMED_AT_MOST)
        buf_printf(&names, " and %zu more", n - NAMED_AT_MOST);
    return err_set(err, ENOENT, "%s (%s) has no container '%s'; it has %s", cengine_name(e),
                   cengine_socket(e), which, n ? buf_text(&names) : "none");
}

int cengine_inspect(struct cengine *e, const char *which, struct cengine_container *ret,
                    struct err *err)
{
    struct err why = ERR_INIT;
    int r = inspect(e, which, ret, &why);
    if (r == -ENOENT)
        return say_none(e, which, err);
    if (r < 0 && err)
        *err = why;
    return r;
}

/* --- Several ---------------------------------------------------------------------------------- */

void cengine_list_done(struct cengine_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        cengine_container_done(&l->items[i]);
    free(l->items);
    *l = (struct cengine_list){0};
}

void cengine_query_text(const struct cengine_query *q, struct buf *out)
{
    if (q->name) {
        buf_printf(out, "container %s", q->name);
    } else if (q->project) {
        buf_printf(out, "service %s of the compose project %s", q->service, q->project);
        if (q->replica)
            buf_printf(out, ", replica %lld", (long long)q->replica);
    } else {
        buf_adds(out, "a container labelled ");
        for (size_t i = 0; i < q->labels.n; i++)
            buf_printf(out, "%s%s", i ? " and " : "", q->labels.items[i]);
    }
}

static void add_label(json_t *all, const char *name, const char *value)
{
    AUTO_BUF text = BUF_INIT;
    buf_printf(&text, "%s=%s", name, value);
    json_array_append_new(all, jsonx_new_text(buf_text(&text)));
}

/* "/containers/json?filters={"label":[…]}": those that run, paused ones too. */
static void list_path(const struct cengine_query *q, struct buf *path)
{
    AUTO_JSON *labels = json_array();
    AUTO_BUF filters = BUF_INIT;
    for (size_t i = 0; i < q->labels.n; i++)
        json_array_append_new(labels, jsonx_new_text(q->labels.items[i]));
    if (q->project)
        add_label(labels, COMPOSE_PROJECT, q->project);
    if (q->service)
        add_label(labels, COMPOSE_SERVICE, q->service);
    AUTO_BUF number = BUF_INIT;
    buf_printf(&number, "%lld", (long long)q->replica);
    if (q->replica)
        add_label(labels, COMPOSE_NUMBER, buf_text(&number));
    AUTO_JSON *all = json_pack("{s:O}", "label", labels);
    jsonx_dump(all, &filters);
    buf_adds(path, "/containers/json?filters=");
    cengine_escape(buf_text(&filters), path);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct cengine_container *)a)->name,
                  ((const struct cengine_container *)b)->name);
}

static bool is_one_off(const struct cengine_container *c)
{
    const char *word = cengine_label(c, COMPOSE_ONE_OFF);
    return word && strcmp(word, "True") == 0;
}

/* The list tells neither processes nor all of the state: each is asked for. One that ended in between
 * is none. */
static int inspect_all(struct cengine *e, const char *path, const json_t *answer,
                       struct cengine_list *ret, struct err *err)
{
    AUTO_CONTAINERS all = {0};
    size_t i;
    const json_t *one;
    if (!json_is_array(answer))
        return cengine_odd(e, path, "no list of containers", err);
    all.items = calloc(json_array_size(answer) + 1, sizeof *all.items);
    if (!all.items)
        abort();
    json_array_foreach (answer, i, one) {
        const char *id = jsonx_str(one, "Id", "");
        struct err why = ERR_INIT;
        if (!is_id(id))
            return cengine_odd(e, path, "a container without an id", err);
        int r = inspect(e, id, &all.items[all.n], &why);
        if (r == -ENOENT)
            continue;
        if (r < 0 && err)
            *err = why;
        if (r < 0)
            return r;
        if (all.items[all.n].pid == 0 || is_one_off(&all.items[all.n]))
            cengine_container_done(&all.items[all.n]);
        else
            all.n++;
    }
    qsort(all.items, all.n, sizeof *all.items, by_name);
    *ret = all;
    all = (struct cengine_list){0};
    return 0;
}

int cengine_find(struct cengine *e, const struct cengine_query *q, struct cengine_list *ret,
                 struct err *err)
{
    AUTO_BUF path = BUF_INIT;
    AUTO_JSON *answer = NULL;
    if (q->name) {
        struct cengine_container *one = calloc(1, sizeof *one);
        if (!one)
            abort();
        int r = cengine_inspect(e, q->name, one, err);
        if (r < 0) {
            free(one);
            return r;
        }
        *ret = (struct cengine_list){.items = one, .n = 1};
        return 0;
    }
    list_path(q, &path);
    int r = cengine_get(e, buf_text(&path), &answer, err);
    return r < 0 ? r : inspect_all(e, buf_text(&path), answer, ret, err);
}

/* --- What happened ---------------------------------------------------------------------------- */

/* Docker takes fractions of seconds, podman whole ones alone: an end of its that still lies ahead is
 * waited for, at most a second. */
static void add_instant(const struct cengine *e, const char *key, nsec at, bool up,
                        struct buf *path)
{
    if (cengine_is_podman(e))
        buf_printf(path, "%s=%lld", key, (long long)((at + (up ? NSEC_SEC - 1 : 0)) / NSEC_SEC));
    else
        buf_printf(path, "%s=%lld.%09lld", key, (long long)(at / NSEC_SEC),
                   (long long)(at % NSEC_SEC));
}

int cengine_events(struct cengine *e, const char *id, nsec since, nsec until, json_t **ret,
                   struct err *err)
{
    AUTO_JSON *filters = json_pack("{s:[s]}", "container", id);
    AUTO_JSON *answer = NULL, *all = json_array();
    AUTO_BUF text = BUF_INIT;
    AUTO_BUF path = BUF_INIT;
    jsonx_dump(filters, &text);
    buf_adds(&path, "/events?");
    add_instant(e, "since", since, false, &path);
    add_instant(e, "&until", until, true, &path);
    buf_adds(&path, "&filters=");
    cengine_escape(buf_text(&text), &path);
    int r = cengine_get_lines(e, buf_text(&path), &answer, err);
    if (r < 0)
        return r;
    size_t i;
    const json_t *one;
    json_array_foreach (answer, i, one) {
        const char *action = jsonx_str(one, "Action", jsonx_str(one, "status", NULL));
        int64_t at = jsonx_int(one, "timeNano", jsonx_int(one, "time", 0) * NSEC_SEC);
        if (!action || at <= 0)
            return cengine_odd(e, "/events", "an event without action or time", err);
        json_array_append_new(
            all, json_pack("{s:I,s:o}", "at", (json_int_t)at, "action", jsonx_new_text(action)));
    }
    *ret = json_incref(all);
    return 0;
}
