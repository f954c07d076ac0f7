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

static struct lab_match lab_match_of(const struct match_rule *r)
{
    return (struct lab_match){.process = r->process, .pid = r->pid, .unit = r->unit};
}

int match_find(struct lab_node *n, const struct match_rule *r, struct match_set *ret,
               struct err *err)
{
    struct lab_match m = lab_match_of(r);
    return lab_node_processes(n, &m, &ret->procs, err);
}

int match_alive_of(struct lab_node *n, json_t *procs, struct match_set *ret, struct err *err)
{
    struct lab_match m = {.only = procs};
    if (lab_node_is_up(n) && json_array_size(procs) > 0)
        return lab_node_processes(n, &m, &ret->procs, err);
    ret->procs = json_array();
    return 0;
}

int match_alive(struct lab_node *n, const struct match_set *set, struct match_set *ret,
                struct err *err)
{
    return match_alive_of(n, set->procs, ret, err);
}

static int send_by(struct lab_node *n, const struct lab_match *m, int signo, nsec confirm,
                   struct match_set *ret_hit, struct span *ret_at, struct err *err)
{
    struct lab_signalled hit = {0};
    int r = lab_node_signal(n, m, signo, confirm, &hit, err);
    if (r < 0)
        return r;
    ret_hit->procs = hit.pids;
    *ret_at = hit.n > 0 ? hit.at : SPAN_UNSET;
    return 0;
}

int match_signal(struct lab_node *n, const struct match_rule *r, int signo, nsec confirm,
                 struct match_set *ret_hit, struct span *ret_at, struct err *err)
{
    struct lab_match m = lab_match_of(r);
    return send_by(n, &m, signo, confirm, ret_hit, ret_at, err);
}

int match_signal_these(struct lab_node *n, json_t *procs, int signo, nsec confirm,
                       struct match_set *ret_hit, struct span *ret_at, struct err *err)
{
    struct lab_match m = {.only = procs};
    return send_by(n, &m, signo, confirm, ret_hit, ret_at, err);
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
