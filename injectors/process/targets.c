/* The hosts a process action was aimed at. See targets.h. */
#include "injectors/process/targets.h"

#include <errno.h>
#include <string.h>

#include "sim/base/jsonx.h"

void targets_done(struct targets *t)
{
    for (size_t i = 0; t->sets && i < t->n; i++)
        match_done(&t->sets[i]);
    free(t->hosts);
    free(t->sets);
    free(t->how);
    *t = (struct targets){0};
}

int targets_choose(struct inject_env *env, const struct target *t, struct targets *ret,
                   struct err *err)
{
    size_t max = inject_target_count(t);
    AUTO_TARGETS got = {.hosts = calloc(max + 1, sizeof *got.hosts),
                        .sets = calloc(max + 1, sizeof *got.sets)};
    if (!got.hosts || !got.sets)
        return err_errno(err, ENOMEM, "choosing targets");
    int r = inject_choose(env, t, got.hosts, max, &got.n, &got.how, err);
    if (r < 0)
        return r;
    *ret = got;
    got = (struct targets){0};
    return 0;
}

static int find_on(struct inject_env *env, const char *host, const struct match_rule *r,
                   int64_t expect, bool empty_ok, struct match_set *ret, struct err *err)
{
    struct lab_node *node = lab_node(env->lab, host);
    if (!node || !lab_node_is_up(node))
        return err_set(err, ESRCH, "host '%s' is down: there is nothing to send a signal to", host);
    AUTO_MATCH set = {0};
    int rc = match_find(node, r, &set, err);
    if (rc < 0)
        return rc;
    AUTO_BUF rule = BUF_INIT;
    match_rule_text(r, &rule);
    size_t n = match_count(&set);
    if (n == 0 && !empty_ok)
        return err_set(err, ESRCH, "nothing on host '%s' matches %s: the target has gone", host,
                       buf_text(&rule));
    if (expect > 0 && n != (size_t)expect) {
        AUTO_BUF seen = BUF_INIT;
        match_text(&set, &seen);
        return err_set(err, ERANGE, "%s matches %zu on host '%s', expected %lld: %s",
                       buf_text(&rule), n, host, (long long)expect, buf_text(&seen));
    }
    *ret = set;
    set = (struct match_set){0};
    return 0;
}

int targets_find(struct inject_env *env, const struct target *t, const struct match_rule *r,
                 int64_t expect, bool empty_ok, struct targets *ret, struct err *err)
{
    AUTO_TARGETS got = {0};
    int rc = targets_choose(env, t, &got, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < got.n; i++) {
        rc = find_on(env, got.hosts[i], r, expect, empty_ok, &got.sets[i], err);
        if (rc < 0)
            return rc;
    }
    *ret = got;
    got = (struct targets){0};
    return 0;
}

json_t *targets_names(const struct targets *t)
{
    json_t *names = json_array();
    for (size_t i = 0; i < t->n; i++)
        json_array_append_new(names, json_string(t->hosts[i]));
    return names;
}

char *targets_how(const struct targets *t)
{
    return t->how ? strdup(t->how) : NULL;
}

struct lab_node *targets_node_up(struct inject_env *env, const json_t *host_entry)
{
    const char *name = jsonx_str(host_entry, "host", "");
    struct lab_node *node = env->lab ? lab_node(env->lab, name) : NULL;
    return node && lab_node_is_up(node) ? node : NULL;
}

void targets_cover(struct span *at, struct span by)
{
    if (!span_is_set(by))
        return;
    if (!span_is_set(*at)) {
        *at = by;
        return;
    }
    if (by.lo < at->lo)
        at->lo = by.lo;
    if (by.hi > at->hi)
        at->hi = by.hi;
}
