/* Which processes of a host an action means. See match.h. */
#include "injectors/process/match.h"

#include <errno.h>
#include <string.h>

#include "sim/base/jsonx.h"

void match_done(struct match_set *s)
{
    json_decref(s->procs);
    s->procs = NULL;
}

size_t match_count(const struct match_set *s)
{
    return json_array_size(s->procs);
}

void match_rule_text(const struct match_rule *r, struct buf *out)
{
    if (r->process)
        buf_printf(out, "process %s", r->process);
    else if (r->unit)
        buf_printf(out, "unit %s", r->unit);
    else if (r->pid)
        buf_printf(out, "pid %d", (int)r->pid);
    else
        buf_adds(out, "every process");
}

static bool host_has_unit(const struct host *h, const char *unit)
{
    for (size_t i = 0; i < h->start.n; i++)
        if (strcmp(((const struct unit *)h->start.items[i])->name, unit) == 0)
            return true;
    return false;
}

static int unit_known(const struct scenario *s, const char *host, const char *unit, struct err *err)
{
    const struct host *h = scenario_host(s, host);
    if (!h || host_has_unit(h, unit)) /* an unknown host is reported where it is named */
        return 0;
    AUTO_BUF names = BUF_INIT;
    for (size_t i = 0; i < h->start.n; i++)
        buf_printf(&names, "%s%s", i ? ", " : "", ((const struct unit *)h->start.items[i])->name);
    return err_set(err, EINVAL, "host '%s' starts no unit '%s' (it starts %s)", host, unit,
                   names.len ? buf_text(&names) : "nothing");
}

int match_rule_check(const struct match_rule *r, const struct scenario *s, const struct target *t,
                     struct err *err)
{
    if ((r->process != NULL) + (r->unit != NULL) + (r->pid != 0) > 1)
        return err_set(err, EINVAL, "give one of 'process', 'unit' and 'pid', not several");
    if (!r->unit)
        return 0;
    if (t->host)
        return unit_known(s, t->host, r->unit, err);
    for (size_t i = 0; i < t->of.n; i++) {
        int rc = unit_known(s, t->of.items[i], r->unit, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static bool is_dead(const json_t *p)
{
    const char *state = jsonx_str(p, "state", "?");
    return state[0] == 'Z' || state[0] == 'X';
}

/* Keeps those that live and fit; lab_node_processes() knows nothing of units. */
static json_t *keep_fitting(const json_t *all, const struct match_rule *r)
{
    json_t *kept = json_array();
    size_t i;
    json_t *p;
    json_array_foreach (all, i, p) {
        if (is_dead(p))
            continue;
        if (r->unit && strcmp(jsonx_str(p, "unit", ""), r->unit) != 0)
            continue;
        json_array_append(kept, p);
    }
    return kept;
}

int match_find(struct lab_node *n, const struct match_rule *r, struct match_set *ret,
               struct err *err)
{
    struct lab_match m = {.process = r->process, .pid = r->pid};
    AUTO_JSON *all = NULL;
    int rc = lab_node_processes(n, &m, &all, err);
    if (rc < 0)
        return rc;
    ret->procs = keep_fitting(all, r);
    return 0;
}

static const json_t *find_same(const json_t *procs, const json_t *one)
{
    size_t i;
    const json_t *p;
    json_array_foreach (procs, i, p)
        if (jsonx_int(p, "pid", -1) == jsonx_int(one, "pid", -2) &&
            jsonx_int(p, "start", -1) == jsonx_int(one, "start", -2))
            return p;
    return NULL;
}

int match_alive_of(struct lab_node *n, const json_t *procs, struct match_set *ret, struct err *err)
{
    json_t *alive = json_array();
    if (lab_node_is_up(n) && json_array_size(procs) > 0) {
        struct match_set now = {0};
        int rc = match_find(n, &(struct match_rule){0}, &now, err);
        if (rc < 0) {
            json_decref(alive);
            return rc;
        }
        size_t i;
        const json_t *p;
        json_array_foreach (procs, i, p) {
            const json_t *same = find_same(now.procs, p);
            if (same)
                json_array_append_new(alive, json_incref((json_t *)same));
        }
        match_done(&now);
    }
    ret->procs = alive;
    return 0;
}

int match_alive(struct lab_node *n, const struct match_set *set, struct match_set *ret,
                struct err *err)
{
    return match_alive_of(n, set->procs, ret, err);
}

static int by_pid(const void *a, const void *b)
{
    int64_t x = jsonx_int(*(json_t *const *)a, "pid", 0);
    int64_t y = jsonx_int(*(json_t *const *)b, "pid", 0);
    return (x > y) - (x < y);
}

/* One process, if it is still the one meant; *ret_n grows by what was hit. */
static int signal_one(struct lab_node *n, const json_t *p, int signo, nsec confirm, size_t *ret_n,
                      struct span *at, struct err *err)
{
    struct lab_match m = {.pid = (pid_t)jsonx_int(p, "pid", 0)};
    AUTO_JSON *now = NULL;
    int rc = lab_node_processes(n, &m, &now, err);
    if (rc < 0)
        return rc;
    const json_t *same = find_same(now, p);
    if (!same || is_dead(same))
        return 0;
    struct lab_signalled hit = {0};
    rc = lab_node_signal(n, &m, signo, confirm, &hit, err);
    if (rc < 0)
        return rc;
    json_decref(hit.pids);
    if (hit.n == 0)
        return 0;
    *ret_n += hit.n;
    if (!span_is_set(*at))
        *at = hit.at;
    at->hi = hit.at.hi;
    return 0;
}

int match_signal(struct lab_node *n, const struct match_set *set, int signo, nsec confirm,
                 size_t *ret_n, struct span *ret_at, struct err *err)
{
    size_t count = match_count(set), hit = 0;
    AUTO_FREE const json_t **order = calloc(count + 1, sizeof *order);
    if (!order)
        return err_errno(err, ENOMEM, "ordering processes");
    for (size_t i = 0; i < count; i++)
        order[i] = json_array_get(set->procs, i);
    qsort(order, count, sizeof *order, by_pid);
    struct span at = SPAN_UNSET;
    for (size_t i = 0; i < count; i++) {
        int rc = signal_one(n, order[i], signo, confirm, &hit, &at, err);
        if (rc < 0)
            return rc;
    }
    *ret_n = hit;
    *ret_at = at;
    return 0;
}

void match_text(const struct match_set *s, struct buf *out)
{
    size_t i;
    const json_t *p;
    json_array_foreach (s->procs, i, p)
        buf_printf(out, "%s%s (pid %lld)", i ? ", " : "", jsonx_str(p, "name", "?"),
                   (long long)jsonx_int(p, "pid", 0));
}

json_t *match_units(const struct match_set *s)
{
    json_t *units = json_array();
    size_t i;
    const json_t *p;
    json_array_foreach (s->procs, i, p) {
        const char *unit = jsonx_str(p, "unit", NULL);
        bool known = !unit;
        for (size_t k = 0; !known && k < json_array_size(units); k++)
            known = strcmp(json_string_value(json_array_get(units, k)), unit) == 0;
        if (!known)
            json_array_append_new(units, json_string(unit));
    }
    return units;
}
