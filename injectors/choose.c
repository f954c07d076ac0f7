/* Choosing targets: a plain name, a seeded draw, or the host that leads at this moment.
 *
 * A draw depends on the stream alone (seed, trial, step), never on who is up: the same seed names
 * the same hosts. A leader is asked for on all candidates at the same time; between two that both
 * say yes nobody guesses.
 */
#include "injectors/injector.h"

#include <errno.h>
#include <string.h>

#include "sim/base/buf.h"
#include "sim/lab/deed.h"

void inject_result_done(struct inject_result *r)
{
    json_decref(r->targets);
    json_decref(r->changes);
    free(r->chosen);
    *r = INJECT_RESULT_INIT;
}

static void add_list(struct buf *b, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "%s%s", i ? ", " : "", names[i]);
}

static void add_candidates(struct buf *b, const struct target *t)
{
    add_list(b, (const char *const *)t->of.items, t->of.n);
}

char *inject_target_text(const struct target *t)
{
    AUTO_BUF b = BUF_INIT;
    if (t->host) {
        buf_adds(&b, t->host);
    } else if (t->leader) {
        buf_adds(&b, "the one of ");
        add_candidates(&b, t);
        buf_printf(&b, " on which `%s` exits 0 at that moment", t->leader);
    } else {
        buf_printf(&b, "any %lld of ", (long long)t->any);
        add_candidates(&b, t);
        buf_adds(&b, " (drawn from the seed)");
    }
    return buf_steal(&b);
}

const char *inject_candidate(const struct target *t, size_t i)
{
    if (t->host)
        return i == 0 ? t->host : NULL;
    return i < t->of.n ? t->of.items[i] : NULL;
}

void inject_plan_case(const struct target *t, const char *host, const char *only, struct buf *out)
{
    if (!t->host)
        buf_printf(out, "if %s is chosen: ", host);
    buf_adds(out, only);
}

void inject_plan_deed(const struct target *t, const char *host, const char *only, const char *deed,
                      json_t *texts)
{
    AUTO_BUF in = BUF_INIT;
    inject_plan_case(t, host, only, &in);
    json_array_append_new(texts, json_sprintf("  host %s: %s%s", host, buf_text(&in), deed));
}

void inject_tell(const struct inject_env *env, const char *host, const char *deed)
{
    struct lab_node *n = env->lab && host ? lab_node(env->lab, host) : NULL;
    if (n)
        lab_node_tell(n, deed);
    else if (env->lab && !host)
        lab_tell(env->lab, DEED_MACHINE, deed);
}

size_t inject_target_count(const struct target *t)
{
    return t->host || t->leader ? 1 : (size_t)t->any;
}

int inject_target_check(const struct target *t, const char *key, struct err *err)
{
    int ways = (t->host != NULL) + (t->leader != NULL) + (t->any > 0);
    if (ways == 0)
        return err_set(err, EINVAL,
                       "'%s' names no host: write a name, or 'any: N' or 'leader: COMMAND' with "
                       "'of: [HOSTS]'",
                       key);
    if (ways > 1)
        return err_set(err, EINVAL, "'%s' takes one of a name, 'any' and 'leader', not several",
                       key);
    if (t->host)
        return t->of.n == 0 ? 0
                            : err_set(err, EINVAL,
                                      "'%s' names a host and candidates: 'of' goes with 'any' or "
                                      "'leader'",
                                      key);
    if (t->of.n == 0)
        return err_set(err, EINVAL, "'%s' needs its candidates: of: [HOSTS]", key);
    for (size_t i = 0; i < t->of.n; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(t->of.items[i], t->of.items[k]) == 0)
                return err_set(err, EINVAL, "'%s' lists %s twice in 'of'", key, t->of.items[i]);
    if (t->any > 0 && (uint64_t)t->any > t->of.n)
        return err_set(err, EINVAL, "'%s' asks for any %lld of %zu hosts", key, (long long)t->any,
                       t->of.n);
    return 0;
}

/* The scenario's own copy of a name: lives longer than a target of a copied step. */
static const char *known_host(const struct inject_env *env, const char *name)
{
    const struct host *h = scenario_host(env->scenario, name);
    return h ? h->name : NULL;
}

static int choose_plain(struct inject_env *env, const struct target *t, const char **ret_hosts,
                        size_t *ret_n, char **ret_how, struct err *err)
{
    const char *name = known_host(env, t->host);
    if (!name)
        return err_set(err, ENOENT, "there is no host '%s' in this scenario", t->host);
    ret_hosts[0] = name;
    *ret_n = 1;
    *ret_how = NULL;
    return 0;
}

/* Floyd would do with fewer draws, but a partial shuffle keeps the order of draws easy to explain.
 */
static int choose_any(struct inject_env *env, const struct target *t, const char **ret_hosts,
                      size_t *ret_n, char **ret_how, struct err *err)
{
    size_t n = t->of.n, want = (size_t)t->any;
    if (want > n)
        return err_set(err, EINVAL, "any %zu of %zu hosts cannot be drawn", want, n);
    AUTO_FREE size_t *order = calloc(n, sizeof *order);
    AUTO_FREE const char **drawn = calloc(want, sizeof *drawn);
    if (!order || !drawn)
        return err_errno(err, ENOMEM, "choosing a target");
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    AUTO_BUF how = BUF_INIT;
    buf_printf(&how, "any %zu of ", want);
    add_candidates(&how, t);
    buf_adds(&how, ": drawn ");
    for (size_t i = 0; i < want; i++) {
        size_t k = i + (size_t)rng_below(env->rng, n - i);
        size_t pick = order[k];
        order[k] = order[i];
        order[i] = pick;
        drawn[i] = known_host(env, t->of.items[pick]);
        if (!drawn[i])
            return err_set(err, ENOENT, "there is no host '%s' in this scenario",
                           t->of.items[pick]);
        buf_printf(&how, "%s%s", i ? ", " : "", drawn[i]);
    }
    memcpy(ret_hosts, drawn, want * sizeof *drawn);
    *ret_n = want;
    *ret_how = buf_steal(&how);
    return 0;
}

/* Candidates that are up; a host that is down leads nobody. */
static int candidates_up(struct inject_env *env, const struct target *t, const char **ret_names,
                         struct lab_node **ret_nodes, size_t *ret_n, struct buf *said,
                         struct err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < t->of.n; i++) {
        const char *name = known_host(env, t->of.items[i]);
        if (!name)
            return err_set(err, ENOENT, "there is no host '%s' in this scenario", t->of.items[i]);
        struct lab_node *node = lab_node(env->lab, name);
        if (node && lab_node_is_up(node)) {
            ret_names[n] = name;
            ret_nodes[n++] = node;
        } else {
            buf_printf(said, "%s%s is down", said->len ? ", " : "", name);
        }
    }
    *ret_n = n;
    return 0;
}

static int decide_leader(const struct target *t, const char *const *names,
                         const struct lab_answer *answers, size_t n, struct buf *said,
                         const char **ret_leader, struct err *err)
{
    size_t leaders = 0;
    for (size_t i = 0; i < n; i++) {
        buf_adds(said, said->len ? ", " : "");
        if (answers[i].error)
            buf_printf(said, "%s could not be asked (%s)", names[i], answers[i].err.text);
        else
            buf_printf(said, "%s exited %d", names[i], answers[i].code);
        if (answers[i].error == 0 && answers[i].code == 0) {
            *ret_leader = names[i];
            leaders++;
        }
    }
    if (leaders == 0)
        return err_set(err, ESRCH, "nobody leads: `%s` exited 0 on none of the candidates (%s)",
                       t->leader, buf_text(said));
    if (leaders > 1)
        return err_set(err, ENOTUNIQ,
                       "%zu hosts lead at once: `%s` exited 0 on more than one candidate (%s)",
                       leaders, t->leader, buf_text(said));
    return 0;
}

static int choose_leader(struct inject_env *env, const struct target *t, const char **ret_hosts,
                         size_t *ret_n, char **ret_how, struct err *err)
{
    size_t n = 0;
    if (env->leads) {
        ret_hosts[0] = known_host(env, env->leads(t, env->leads_data));
        *ret_n = 1;
        *ret_how = NULL;
        return ret_hosts[0] ? 0 : err_set(err, ENOENT, "nobody of the candidates leads");
    }
    AUTO_BUF said = BUF_INIT, how = BUF_INIT;
    AUTO_FREE const char **names = calloc(t->of.n + 1, sizeof *names);
    AUTO_FREE struct lab_node **nodes = calloc(t->of.n + 1, sizeof(struct lab_node *));
    AUTO_FREE struct lab_answer *answers = calloc(t->of.n + 1, sizeof *answers);
    if (!names || !nodes || !answers)
        return err_errno(err, ENOMEM, "asking who leads");
    int r = candidates_up(env, t, names, nodes, &n, &said, err);
    if (r < 0)
        return r;
    const char *leader = NULL;
    lab_run_wait_all(nodes, n, t->leader, t->timeout, answers);
    r = decide_leader(t, names, answers, n, &said, &leader, err);
    if (r < 0)
        return r;
    buf_printf(&how, "%s leads: `%s` exited 0 there alone (%s)", leader, t->leader,
               buf_text(&said));
    ret_hosts[0] = leader;
    *ret_n = 1;
    *ret_how = buf_steal(&how);
    return 0;
}

int inject_choose(struct inject_env *env, const struct target *t, const char **ret_hosts,
                  size_t max, size_t *ret_n, char **ret_how, struct err *err)
{
    if (inject_target_count(t) > max)
        return err_set(err, E2BIG, "at most %zu hosts can be chosen here", max);
    if (t->host)
        return choose_plain(env, t, ret_hosts, ret_n, ret_how, err);
    if (t->leader)
        return choose_leader(env, t, ret_hosts, ret_n, ret_how, err);
    return choose_any(env, t, ret_hosts, ret_n, ret_how, err);
}
