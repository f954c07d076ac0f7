/* node-kill: the power cord. First the host's ports go down at the switch, then its init gets
 * SIGKILL and the kernel ends everything in it: no FIN, no RST and no farewell reaches the network.
 * Undone by powering on: new namespaces, the same addresses and working directory, its commands
 * started.
 */
#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "injectors/actions.h"
#include "injectors/effects.h"
#include "injectors/injector.h"
#include "injectors/params.h"
#include "injectors/process/targets.h"
#include "sim/base/jsonx.h"
#include "sim/kernel/rtnl.h"

struct node_kill_state {
    struct targets targets;
};

static int node_kill_check(const struct scenario *s, const struct step *step, struct err *err)
{
    const struct node_kill_params *p = step->params;
    return inject_target_check(p->host, "host", err);
}

static int node_kill_plan(const struct inject_env *env, const struct step *step, json_t *texts,
                          struct err *err)
{
    const struct node_kill_params *p = step->params;
    AUTO_FREE char *host = inject_target_text(p->host);
    json_array_append_new(
        texts,
        json_sprintf("host %s: its ports at the switch down, then SIGKILL to its init, which "
                     "ends every process in it; undone by powering it on again",
                     host));
    int r = targets_plan_power(env, p->host, false, texts, err);
    json_array_append_new(texts, json_string(INJECT_PLAN_UNDO));
    return r == 0 ? targets_plan_power(env, p->host, true, texts, err) : r;
}

static void node_kill_done(void *state)
{
    struct node_kill_state *st = state;
    if (!st)
        return;
    targets_done(&st->targets);
    free(st);
}

static int node_kill_prepare(struct inject_env *env, const struct step *step, void **ret_state,
                             json_t **ret_undo, struct err *err)
{
    const struct node_kill_params *p = step->params;
    AUTO_TARGETS t = {0};
    int r = targets_choose(env, p->host, &t, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < t.n; i++) {
        struct lab_node *n = lab_node(env->lab, t.hosts[i]);
        if (!n || !lab_node_is_up(n))
            return err_set(err, ESRCH, "host '%s' is down already", t.hosts[i]);
    }
    struct node_kill_state *st = calloc(1, sizeof *st);
    if (!st)
        return err_errno(err, ENOMEM, "preparing node-kill");
    *ret_undo = json_pack("{s:o}", "hosts", targets_names(&t));
    st->targets = t;
    t = (struct targets){0};
    *ret_state = st;
    return 0;
}

static int node_kill_apply(struct inject_env *env, void *state, struct inject_result *ret,
                           struct err *err)
{
    struct node_kill_state *st = state;
    AUTO_JSON *changes = json_array();
    struct span at = SPAN_UNSET;
    for (size_t i = 0; i < st->targets.n; i++) {
        struct span by = SPAN_UNSET;
        int r = lab_node_off(lab_node(env->lab, st->targets.hosts[i]), &by, err);
        if (r < 0)
            return r;
        targets_cover(&at, by);
        json_array_append_new(changes,
                              json_sprintf("host %s: powered off (ports down, SIGKILL to its init)",
                                           st->targets.hosts[i]));
    }
    *ret = targets_result(&st->targets, at, changes);
    return 0;
}

/* How many of a host's ports still carry frames at the switch. */
static int ports_up(struct inject_env *env, struct lab_node *n, size_t *ret_up, size_t *ret_n,
                    struct err *err)
{
    size_t up = 0, count = lab_node_ports(n);
    for (size_t i = 0; i < count; i++) {
        struct rtnl_link link;
        struct err gone = ERR_INIT;
        int r = rtnl_link_get(lab_switch_nl(env->lab), lab_node_port_at(n, i), &link, &gone);
        if (r == -ENODEV)
            continue; /* the cable went with the host's namespace */
        if (r < 0) {
            if (err)
                *err = gone;
            return r;
        }
        up += (link.flags & IFF_UP) != 0;
    }
    *ret_up = up;
    *ret_n = count;
    return 0;
}

static int node_kill_verify(struct inject_env *env, void *state, struct inject_proof *ret,
                            struct err *err)
{
    struct node_kill_state *st = state;
    nsec before = nsec_now(CLOCK_MONOTONIC);
    size_t alive = 0, up = 0, ports = 0;
    for (size_t i = 0; i < st->targets.n; i++) {
        struct lab_node *n = lab_node(env->lab, st->targets.hosts[i]);
        size_t of_up = 0, of = 0;
        int r = ports_up(env, n, &of_up, &of, err);
        if (r < 0)
            return r;
        alive += lab_node_is_up(n);
        up += of_up;
        ports += of;
    }
    struct inject_proof p = {.ok = alive == 0 && up == 0,
                             .at = {before, nsec_now(CLOCK_MONOTONIC)}};
    snprintf(p.asked, sizeof p.asked, "the init of %zu host(s) is dead, their %zu port(s) are down",
             st->targets.n, ports);
    snprintf(p.seen, sizeof p.seen, "%zu init(s) alive, %zu port(s) up", alive, up);
    snprintf(p.how, sizeof p.how, "pidfd of the init; state of the ports read at the switch");
    *ret = p;
    return 0;
}

static int node_kill_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                            struct err *err)
{
    nsec before = nsec_now(CLOCK_MONOTONIC);
    struct span at = SPAN_UNSET;
    AUTO_JSON *changes = json_array();
    size_t i;
    const json_t *name;
    json_array_foreach (json_object_get(undo, "hosts"), i, name) {
        const char *host = json_string_value(name);
        struct lab_node *n = env->lab && host ? lab_node(env->lab, host) : NULL;
        if (!n || lab_node_is_up(n))
            continue;
        struct span by = SPAN_UNSET;
        int r = lab_node_on(n, &by, err);
        if (r < 0)
            return r;
        targets_cover(&at, by);
        json_array_append_new(changes, json_sprintf("host %s: powered on", host));
    }
    if (!span_is_set(at))
        at = (struct span){before, nsec_now(CLOCK_MONOTONIC)};
    *ret = (struct inject_result){.at = at, .changes = json_incref(changes)};
    return 0;
}

static const struct field node_kill_fields[] = {
    TARGETS_HOST_FIELD(offsetof(struct node_kill_params, host), "lb1"),
    {.key = NULL},
};

static const struct record node_kill_record = {
    .name = "node-kill",
    .summary = "A host loses its power.",
    .size = sizeof(struct node_kill_params),
    .fields = node_kill_fields,
    .shorthand = "host",
    .name_offset = SIZE_MAX,
    .place_offset = SIZE_MAX,
    .variant_place_offset = SIZE_MAX,
};

static int node_kill_effect(struct inject_env *env, const struct step *step, struct effects *ret,
                            struct err *err)
{
    const struct node_kill_params *p = step->params;
    struct effect one = {.kind = EFFECT_DOWN};
    return effects_at(env, p->host, &one, ret, err);
}

static const struct injector node_kill_injector = {
    .name = "node-kill",
    .is_fault = true,
    .lab_alone = "blackstart does not hold its power",
    .lasts = true,
    .check = node_kill_check,
    .supported = targets_supported,
    .plan = node_kill_plan,
    .prepare = node_kill_prepare,
    .apply = node_kill_apply,
    .verify = node_kill_verify,
    .revert = node_kill_revert,
    .done = node_kill_done,
    .effect = node_kill_effect,
};

const struct variant inject_node_kill = {
    .name = "node-kill",
    .summary = "Cuts a host's power: the cable first, then every process on it.",
    .detail =
        "Nothing of the host says goodbye: no FIN, no RST, no last advertisement. With `for:` "
        "or `until:` it is powered on again afterwards, with the same addresses and the same "
        "working directory, and its commands are started; /run and /tmp are new.",
    .params = &node_kill_record,
    .impl = &node_kill_injector,
};
