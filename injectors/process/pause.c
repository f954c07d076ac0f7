/* freeze of a container. See pause.h.
 *
 * That it bites is seen by the engine's word, and by its processes: none of their threads runs.
 */
#include "injectors/process/pause.h"

#include <errno.h>

#include "injectors/process/contained.h"
#include "injectors/process/switches.h"
#include "injectors/process/targets.h"
#include "sim/base/jsonx.h"

struct pause {
    const char *host;
    const struct attached_host *attached;
    json_t *record;
    nsec since; /* first look; NSEC_UNSET: not yet */
    uint64_t before;
    size_t n; /* processes */
    bool decided, still;
};

bool pause_is_meant(const struct scenario *s, const struct process_params *whom)
{
    const struct host *h = whom->host->host ? scenario_host(s, whom->host->host) : NULL;
    return h && (h->container || h->compose) && !whom->process && !whom->unit && !whom->pid;
}

int pause_check(const struct process_params *whom, struct err *err)
{
    if (whom->expect)
        return err_set(err, EINVAL,
                       "'expect' is for processes that are named: %s is paused as a whole",
                       whom->host->host);
    return 0;
}

int pause_plan(const struct process_params *whom, json_t *texts)
{
    json_array_append_new(texts,
                          json_sprintf("host %s: its engine pauses the container (every process of "
                                       "it stands still); undone by unpausing the same container",
                                       whom->host->host));
    contained_plan_verb(whom->host, CENGINE_PAUSE, "", texts);
    json_array_append_new(texts, json_string(INJECT_PLAN_UNDO));
    contained_plan_verb(whom->host, CENGINE_UNPAUSE, "", texts);
    return 0;
}

int pause_prepare(struct inject_env *env, const struct process_params *whom, struct pause **ret,
                  json_t **ret_undo, struct err *err)
{
    struct lab_node *n = lab_node(env->lab, whom->host->host);
    AUTO_CONTAINER c = {0};
    if (!contained_is(n, NULL))
        return err_set(err, EOPNOTSUPP, "host %s is no container: it cannot be paused",
                       whom->host->host);
    AUTO_JSON *record = contained_record(n);
    int r = attached_is_there(lab_node_attached(n), err);
    if (r == 0)
        r = contained_ready(record, &c, err);
    if (r < 0)
        return r;
    struct pause *p = calloc(1, sizeof *p);
    if (!p)
        return err_errno(err, ENOMEM, "preparing freeze");
    *p = (struct pause){.host = whom->host->host,
                        .attached = lab_node_attached(n),
                        .record = json_incref(record),
                        .since = NSEC_UNSET};
    *ret_undo = json_pack("{s:b,s:[O]}", "persistent", 1, "containers", record);
    *ret = p;
    return 0;
}

int pause_apply(const struct inject_env *env, struct pause *p, struct inject_result *ret,
                struct err *err)
{
    AUTO_JSON *changes = json_array();
    struct span at = SPAN_UNSET;
    int r = contained_pause(env, p->record, changes, &at, err);
    if (r < 0)
        return r;
    *ret = (struct inject_result){
        .at = at, .targets = json_pack("[s]", p->host), .changes = json_incref(changes)};
    return 0;
}

static int look(struct pause *p, size_t *ret_n, uint64_t *ret_switches, struct err *err)
{
    AUTO_PROCS own = {0};
    uint64_t sum = 0;
    int r = attached_processes(p->attached, &own, err);
    for (size_t i = 0; r == 0 && i < own.n; i++)
        sum += switches_of(own.items[i].pid);
    if (r < 0)
        return r;
    *ret_n = own.n;
    *ret_switches = sum;
    return 0;
}

int pause_verify(struct inject_env *env, struct pause *p, struct inject_proof *ret, struct err *err)
{
    struct inject_proof proof = {.at = {nsec_now(CLOCK_MONOTONIC), 0}};
    AUTO_CONTAINER c = {0};
    uint64_t switches = 0;
    int r = look(p, &p->n, &switches, err);
    if (r < 0)
        return r;
    nsec now = nsec_now(CLOCK_MONOTONIC);
    if (!nsec_is_set(p->since)) {
        p->since = now;
        p->before = switches;
    }
    if (!p->decided && !env->decide && nsec_sub(now, p->since) < SWITCHES_LOOK_FOR)
        return INJECT_AGAIN;
    if (!p->decided) {
        p->decided = true;
        p->still = switches == p->before;
    }
    r = contained_look(p->record, &c, err);
    if (r < 0 && r != -ENOENT)
        return r;
    proof.at.hi = nsec_now(CLOCK_MONOTONIC);
    proof.ok = r == 0 && c.paused && p->still && p->n > 0;
    snprintf(proof.asked, sizeof proof.asked, "the container of host %s paused", p->host);
    snprintf(proof.seen, sizeof proof.seen, "it is %s; of its %zu processes %s",
             r == 0 ? c.state : "removed", p->n, p->still ? "no thread ran" : "some ran");
    snprintf(proof.how, sizeof proof.how,
             "the engine's word, and how often their threads were switched during %lld ms",
             (long long)(SWITCHES_LOOK_FOR / NSEC_MSEC));
    *ret = proof;
    return 0;
}

int pause_revert(const struct inject_env *env, const json_t *undo, struct inject_result *ret,
                 struct err *err)
{
    return contained_revert(env, undo, contained_unpause, ret, err);
}

void pause_done(struct pause *p)
{
    if (!p)
        return;
    json_decref(p->record);
    free(p);
}
