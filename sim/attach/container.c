/* Containers as targets: by name, id or labels, or as a service of a compose project.
 *
 * A container is its id: what was noted of one is never applied to another that got its name. It is
 * the same one when it was stopped and started again, in new namespaces; one that was made anew in its
 * place is another, and is gone over to only where the scenario says `follow`.
 */
#include "sim/attach/container.h"

#include "sim/attach/cengine.h"
#include "sim/attach/kind.h"
#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/base/rng.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define STARTING_AGAIN (8 * NSEC_SEC) /* an engine that listens no more is waited for so long */
#define NAMED_AT_MOST 8
#define EVENTS_OF (600 * NSEC_SEC)
#define LABELS_AT_MOST 24

/* --- What the scenario says ------------------------------------------------------------------- */

struct wanted {
    struct cengine_query query;
    const char *engine;
    bool any;
};

static struct wanted wanted_of(const struct host *h)
{
    const struct container_host *c = h->container;
    const struct compose_host *p = h->compose;
    if (c)
        return (struct wanted){
            .query = {.name = c->name, .labels = c->labels}, .engine = c->engine, .any = c->any};
    return (struct wanted){
        .query = {.project = p->project, .service = p->service, .replica = p->replica},
        .engine = p->engine,
        .any = p->any};
}

static bool is_container(const struct host *h)
{
    return h->container;
}

static bool is_compose(const struct host *h)
{
    return h->compose;
}

static int check(const struct host *h, const char **ret_key, struct err *err)
{
    struct wanted w = wanted_of(h);
    *ret_key = h->container ? "container" : "compose";
    if (h->container && !w.query.name == !w.query.labels.n)
        return err_set(err, EINVAL,
                       "a container is named ('container: pg-1') or found by its labels "
                       "('container: {label: app=web}'): one of the two");
    if (w.any && (w.query.name || w.query.replica))
        return err_set(err, EINVAL, "'any' has no meaning where one container is named");
    return w.engine ? cengine_check_where(w.engine, err) : 0;
}

/* --- Which one it is now ---------------------------------------------------------------------- */

static int say_several(const struct wanted *w, const struct cengine_list *l, struct err *err)
{
    AUTO_BUF what = BUF_INIT;
    AUTO_BUF names = BUF_INIT;
    cengine_query_text(&w->query, &what);
    for (size_t i = 0; i < l->n && i < NAMED_AT_MOST; i++)
        buf_printf(&names, "%s%s", i ? ", " : "", l->items[i].name);
    if (l->n > NAMED_AT_MOST)
        buf_printf(&names, " and %zu more", l->n - NAMED_AT_MOST);
    return err_set(
        err, EINVAL,
        "%s: %zu containers run as that (%s): name one of them%s, or say 'any: true' for "
        "one drawn from the seed",
        buf_text(&what), l->n, buf_text(&names), w->query.project ? " ('replica: N')" : "");
}

static bool is_another_host(const struct attached_choice *by, const char *id)
{
    for (size_t i = 0; i < by->all->n; i++) {
        const struct attached_host *h = &by->all->items[i];
        if (h != by->host && !strcmp(jsonx_str(h->at.own, "id", ""), id))
            return true;
    }
    return false;
}

/* One that only does not run at present is still the one. */
static bool is_still_had(struct cengine *e, const char *id)
{
    AUTO_CONTAINER c = {0};
    return *id && cengine_inspect(e, id, &c, NULL) == 0;
}

/* The index of the one it is already, else of one drawn from the stream of the host. */
static int draw(struct cengine *e, const struct attached_choice *by, const struct cengine_list *l,
                size_t *ret, char **ret_how, struct err *err)
{
    AUTO_BUF how = BUF_INIT;
    AUTO_FREE size_t *left = calloc(l->n, sizeof *left);
    const char *was = jsonx_str(by->host->at.own, "id", "");
    size_t n = 0;
    if (!left)
        abort();
    buf_adds(&how, "any of ");
    for (size_t i = 0; i < l->n; i++) {
        if (!strcmp(l->items[i].id, was)) {
            *ret = i;
            *ret_how = by->host->at.how ? strdup(by->host->at.how) : NULL;
            return 0;
        }
        if (is_another_host(by, l->items[i].id))
            continue;
        buf_printf(&how, "%s%s", n ? ", " : "", l->items[i].name);
        left[n++] = i;
    }
    if (is_still_had(e, was))
        return err_set(err, ENOENT, "container %s does not run",
                       jsonx_str(by->host->at.own, "container", "?"));
    if (!n)
        return err_set(err, EINVAL,
                       "each of the %zu containers that run as that is another host "
                       "of the scenario already",
                       l->n);
    AUTO_BUF stream = BUF_INIT;
    buf_printf(&stream, "container:%s", by->host->host->name);
    struct rng rng = rng_stream(by->seed, buf_text(&stream), by->draw, 0);
    *ret = left[rng_below(&rng, n)];
    buf_printf(&how, " (drawn from the seed): %s", l->items[*ret].name);
    *ret_how = buf_steal(&how);
    return 0;
}

/* Takes it out of the list. */
static int choose(struct cengine *e, const struct wanted *w, const struct attached_choice *by,
                  struct cengine_list *l, struct cengine_container *ret, char **ret_how,
                  struct err *err)
{
    AUTO_BUF what = BUF_INIT;
    size_t i = 0;
    cengine_query_text(&w->query, &what);
    if (l->n == 0)
        return err_set(err, ENOENT, "%s (%s) runs nothing as %s", cengine_name(e),
                       cengine_socket(e), buf_text(&what));
    if (l->n > 1 && !w->any)
        return say_several(w, l, err);
    int r = w->any && by ? draw(e, by, l, &i, ret_how, err) : 0;
    if (r < 0)
        return r;
    if (l->items[i].pid == 0)
        return err_set(err, ENOENT, "container %s does not run (%s): start it first",
                       l->items[i].name, l->items[i].state);
    *ret = l->items[i];
    l->items[i] = (struct cengine_container){0};
    return 0;
}

static json_t *own_of(const struct cengine *e, const struct cengine_container *c)
{
    return json_pack("{s:s,s:s,s:s}", "engine", cengine_socket(e), "id", c->id, "container",
                     c->name);
}

/* "com.example.production=true": whatever stands before the last dot. */
static char *mark_of(const struct cengine_container *c)
{
    const char *key;
    const json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)c->labels, key, value) {
        const char *last = strrchr(key, '.'), *text = json_string_value(value);
        if (!text || !attached_is_mark(last ? last + 1 : key, text))
            continue;
        AUTO_BUF mark = BUF_INIT;
        buf_printf(&mark, "its label %s=%s", key, text);
        text_make_printable(mark.text, mark.len);
        return buf_steal(&mark);
    }
    return NULL;
}

static int resolve(const struct host *h, struct attached_target *ret, struct err *err)
{
    struct wanted w = wanted_of(h);
    CLEANUP(cengine_free_p) struct cengine *e = NULL;
    AUTO_CONTAINERS l = {0};
    AUTO_CONTAINER c = {0};
    AUTO_BUF what = BUF_INIT;
    AUTO_FREE char *how = NULL;
    AUTO_ATTACHED_TARGET t = ATTACHED_TARGET_INIT;
    struct proc first;
    int r = cengine_open(w.engine, &e, err);
    if (r == 0)
        r = cengine_find(e, &w.query, &l, err);
    if (r == 0)
        r = choose(e, &w, ret->choice, &l, &c, &how, err);
    if (r < 0)
        return r;
    if (!procs_read(c.pid, &first))
        return err_set(err, ESRCH,
                       "container %s has ended just now, or its engine %s counts processes in "
                       "another pid namespace than this one",
                       c.name, cengine_socket(e));
    buf_adds(&what, "the container ");
    cengine_container_text(&c, &what);
    if (c.host_net)
        buf_adds(&what, ", which has no network of its own");
    r = attached_target_of(&first, &t, err);
    free(first.argv0);
    if (r < 0)
        return r;
    t.what = buf_steal(&what);
    t.how = steal_ptr(how);
    t.own = own_of(e, &c);
    t.mark = mark_of(&c);
    t.offers = ATTACH_COMMANDS | ATTACH_PROCESSES | ATTACH_POWER |
               (t.shares_network || c.host_net ? 0 : ATTACH_NETWORK) |
               (*t.cgroup.dir && !cgroup_is_root(&t.cgroup) ? ATTACH_CGROUP : 0);
    *ret = t;
    t = ATTACHED_TARGET_INIT;
    return 0;
}

/* --- Whether it is still there ---------------------------------------------------------------- */

/* "its engine tells of kill, die, destroy": the last of what happened to it. */
static void say_events(struct cengine *e, const char *id, struct buf *out)
{
    AUTO_JSON *all = NULL;
    nsec now = nsec_now(CLOCK_REALTIME);
    if (cengine_events(e, id, nsec_sub(now, EVENTS_OF), now, &all, NULL) < 0)
        return;
    size_t n = json_array_size(all), first = n > NAMED_AT_MOST ? n - NAMED_AT_MOST : 0;
    for (size_t i = first; i < n; i++)
        buf_printf(out, "%s%s", i == first ? "; its engine tells of " : ", ",
                   jsonx_str(json_array_get(all, i), "action", "?"));
}

/* What became of it, in the engine's words; "" when it cannot be asked. */
static void say_fate(const struct attached_host *h, struct buf *out)
{
    struct wanted w = wanted_of(h->host);
    const char *id = jsonx_str(h->at.own, "id", "");
    CLEANUP(cengine_free_p) struct cengine *e = NULL;
    AUTO_CONTAINER c = {0};
    AUTO_CONTAINERS now = {0};
    if (cengine_open(jsonx_str(h->at.own, "engine", ""), &e, NULL) < 0) {
        buf_adds(out, "its engine does not answer");
        return;
    }
    int r = cengine_inspect(e, id, &c, NULL);
    if (r == 0)
        buf_printf(out, "it is %s%s", c.state, c.pid ? " again, as another process" : "");
    else if (r == -ENOENT)
        buf_adds(out, "it was removed");
    say_events(e, id, out);
    if (cengine_find(e, &w.query, &now, NULL) == 0 && now.n > 0 && now.items[0].pid &&
        strcmp(now.items[0].id, id) != 0) {
        buf_adds(out, out->len ? "; " : "");
        cengine_container_text(&now.items[0], out);
        buf_printf(out, " runs in its place%s",
                   h->host->follow ? "" : ", and is left alone without 'follow: true'");
    }
}

static int is_there(const struct attached_host *h, struct err *err)
{
    AUTO_BUF fate = BUF_INIT;
    if (procs_started(h->at.pid) == h->at.start)
        return 0;
    say_fate(h, &fate);
    return err_set(err, ESRCH, "host %s has gone: %s has ended%s%s", h->host->name, h->at.what,
                   fate.len ? ": " : "", buf_text(&fate));
}

/* Engines name a container's control groups by its id: "/docker/ID", "docker-ID.scope",
 * "libpod-ID/container". Podman's watchman stands in "libpod-conmon-ID". */
static bool in_its_cgroup(const struct proc *p, const char *id)
{
    static const char watchman[] = "conmon-";
    const size_t n = sizeof watchman - 1;
    char text[8192];
    if (procs_slurp(p, "cgroup", text, sizeof text) <= 0)
        return false;
    for (const char *at = text; (at = strstr(at, id)); at++)
        if ((size_t)(at - text) < n || strncmp(at - n, watchman, n) != 0)
            return true;
    return false;
}

/* All that its control groups hold: what `docker exec` started too, and what left its init. Without
 * such groups: what descends from its first process. */
static int processes(const struct attached_host *h, const struct procs *all, bool *ret_own,
                     struct err *err)
{
    const struct proc *first = procs_find(all, h->at.pid);
    const char *id = jsonx_str(h->at.own, "id", "?");
    bool grouped = first && in_its_cgroup(first, id);
    for (size_t i = 0; i < all->n; i++)
        ret_own[i] = grouped ? in_its_cgroup(&all->items[i], id)
                             : procs_descends(all, all->items[i].pid, h->at.pid);
    (void)err;
    return 0;
}

/* Whoever starts it, it keeps its id. */
static int claims(const json_t *identity, const struct procs *all, bool *ret_its, struct err *err)
{
    const char *id = jsonx_str(json_object_get(identity, "own"), "id", NULL);
    for (size_t i = 0; id && *id && i < all->n; i++)
        ret_its[i] = in_its_cgroup(&all->items[i], id);
    (void)err;
    return 0;
}

/* --- For people ------------------------------------------------------------------------------- */

static int describe(const struct attached_host *h, json_t *texts, struct err *err)
{
    CLEANUP(cengine_free_p) struct cengine *e = NULL;
    AUTO_CONTAINER c = {0};
    AUTO_BUF labels = BUF_INIT;
    size_t n = 0;
    const char *key;
    const json_t *value;
    int r = cengine_open(jsonx_str(h->at.own, "engine", ""), &e, err);
    if (r == 0)
        r = cengine_inspect(e, jsonx_str(h->at.own, "id", ""), &c, err);
    if (r < 0)
        return r;
    json_array_append_new(texts,
                          json_sprintf("%s at %s runs it, from the image %s%s%s", cengine_name(e),
                                       cengine_socket(e), *c.image ? c.image : "(none)",
                                       c.restarts ? ", and starts it again when it ends" : "",
                                       c.paused ? "; it is paused" : ""));
    json_object_foreach ((json_t *)(uintptr_t)c.labels, key, value)
        if (json_is_string(value) && n++ < LABELS_AT_MOST)
            buf_printf(&labels, "%s%s=%s", n > 1 ? ", " : "", key, json_string_value(value));
    if (n > LABELS_AT_MOST)
        buf_printf(&labels, " and %zu more", n - LABELS_AT_MOST);
    text_make_printable(labels.text, labels.len);
    if (n)
        json_array_append_new(texts, json_sprintf("its labels: %s", buf_text(&labels)));
    return 0;
}

/* --- Of others' use --------------------------------------------------------------------------- */

bool container_of_record(const json_t *identity, struct container_id *ret)
{
    const json_t *own = json_object_get(identity, "own");
    const json_t *from = own ? own : identity;
    struct container_id id = {.engine = jsonx_str(from, "engine", NULL),
                              .id = jsonx_str(from, "id", NULL),
                              .name = jsonx_str(from, "container", "?")};
    if (!id.engine || !id.id)
        return false;
    *ret = id;
    return true;
}

int container_ask(const struct container_id *id, struct cengine **ret_engine,
                  struct cengine_container *ret, struct err *err)
{
    CLEANUP(cengine_free_p) struct cengine *e = NULL;
    struct err why = ERR_INIT;
    int r = cengine_open_patiently(id->engine, STARTING_AGAIN, &e, err);
    if (r < 0)
        return r;
    r = cengine_inspect(e, id->id, ret, &why);
    if (r == -ENOENT)
        return err_set(err, ENOENT, "the container %s (%.12s) was removed", id->name, id->id);
    if (r < 0) {
        if (err)
            *err = why;
        return r;
    }
    *ret_engine = steal_ptr(e);
    return 0;
}

#define CONTAINER_KIND(word, what, mine)                                                           \
    {                                                                                              \
        .name = word, .noun = what,                                                                \
        .offers =                                                                                  \
            ATTACH_COMMANDS | ATTACH_NETWORK | ATTACH_PROCESSES | ATTACH_CGROUP | ATTACH_POWER,    \
        .is = mine, .check = check, .resolve = resolve, .is_there = is_there,                      \
        .processes = processes, .claims = claims, .describe = describe,                            \
    }

const struct attached_kind attach_compose =
    CONTAINER_KIND("compose", "a container of a compose project", is_compose);
const struct attached_kind attach_container =
    CONTAINER_KIND("container", "a container", is_container);
