/* freeze: processes of a host get no more processor time, by a control group (cgroup v2, or the
 * freezer of v1). Unlike SIGSTOP nobody can tell it from outside: parents are not told (SIGCHLD), the
 * state does not read T, and a supervisor that looks for stopped processes sees none.
 *
 * The processes are moved into a group of ours below their own, named after run and step; the group is
 * frozen. Undone: thawed, everything in it moved back to the group above, ours removed; by whoever
 * comes, since all that is needed is the group's name. What they start meanwhile (nothing, they are
 * frozen) or have just started stands in the same group.
 *
 * A host that others made and that has a control group to itself (a unit) is frozen as a whole in that
 * group: nothing is moved, and undone is thawed. A container is paused by its engine (pause.c).
 *
 * Kept in the journal also for hosts of a lab: the group outlives us, and of v1 a frozen process
 * cannot even be killed before it is thawed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "injectors/actions.h"
#include "injectors/effects.h"
#include "injectors/injector.h"
#include "injectors/params.h"
#include "injectors/process/contained.h"
#include "injectors/process/pause.h"
#include "injectors/process/switches.h"
#include "injectors/process/targets.h"
#include "injectors/touch.h"
#include "sim/attach/kind.h"
#include "sim/base/jsonx.h"
#include "sim/base/text.h"
#include "sim/kernel/cgroup.h"
#include "sim/lab/deed.h"

#define FREEZE_WITHIN (2 * NSEC_SEC)
#define ROUNDS_MAX 50

struct freeze_state {
    struct pause
        *pause; /* a container's engine does it, and nothing of the rest is used; or NULL */
    const struct freeze_params *params;
    struct targets targets;
    const char *step;
    struct cgroup above, group; /* group: ours below it, or the same: the host's own as a whole */
    bool whole;
    size_t n;        /* processes in it, when it was frozen */
    nsec since;      /* first look; NSEC_UNSET: not yet */
    uint64_t before; /* how often they had run by then */
    bool decided, still;
};

static int freeze_check(const struct scenario *s, const struct step *step, struct err *err)
{
    const struct freeze_params *p = step->params;
    int r = targets_check(s, &p->whom, err);
    return r == 0 && pause_is_meant(s, &p->whom) ? pause_check(&p->whom, err) : r;
}

static int freeze_supported(const struct inject_env *env, const struct step *step, struct err *err)
{
    const struct freeze_params *p = step->params;
    if (pause_is_meant(env->scenario, &p->whom))
        return 0;
    if (env->caps && !env->caps->is_root)
        return err_set(
            err, EOPNOTSUPP,
            "freeze needs root: no control group can be made here without it; 'stop' does "
            "nearly the same by SIGSTOP");
    struct cgroup own;
    return env->caps ? cgroup_of(0, &own, err) : 0;
}

/* --- Words: what is done, for plans and for whoever listens when it was done -------------------- */

static void group_text(const char *name, struct buf *out)
{
    if (name)
        buf_printf(out, "control group %s", name);
    else
        buf_adds(out, "its own control group"); /* the host's, as a whole */
}

static void made_text(const char *name, bool made, struct buf *out)
{
    group_text(name, out);
    buf_adds(out, made ? " made" : " removed");
}

static void frozen_text(const char *name, bool v1, bool frozen, struct buf *out)
{
    group_text(name, out);
    buf_printf(out, ": %s = %s", v1 ? "freezer.state" : "cgroup.freeze",
               v1 ? (frozen ? "FROZEN" : "THAWED") : (frozen ? "1" : "0"));
}

static void moved_text(const char *name, bool in, const char *whom, struct buf *out)
{
    buf_adds(out, in ? "moved into " : "moved back from ");
    group_text(name, out);
    buf_printf(out, ": %s", whom);
}

static void tell_made(const struct inject_env *env, const char *name, bool made)
{
    AUTO_BUF text = BUF_INIT;
    made_text(name, made, &text);
    inject_tell(env, NULL, buf_text(&text));
}

static void tell_frozen(const struct inject_env *env, const char *host, const char *name, bool v1,
                        bool frozen)
{
    AUTO_BUF text = BUF_INIT;
    frozen_text(name, v1, frozen, &text);
    inject_tell(env, name ? NULL : host, buf_text(&text));
}

static void tell_moved(const struct inject_env *env, const char *host, const char *name, bool in,
                       const json_t *proc)
{
    AUTO_BUF whom = BUF_INIT, text = BUF_INIT;
    deed_process(proc, &whom);
    moved_text(name, in, buf_text(&whom), &text);
    inject_tell(env, host, buf_text(&text));
}

static void plan_machine(const char *deed, json_t *texts)
{
    json_array_append_new(texts, json_sprintf("  %s: %s", DEED_MACHINE, deed));
}

static void plan_frozen(const struct target *t, const char *name, bool v1, bool frozen,
                        json_t *texts)
{
    AUTO_BUF text = BUF_INIT;
    frozen_text(name, v1, frozen, &text);
    if (name)
        plan_machine(buf_text(&text), texts);
    else
        inject_plan_deed(t, t->host, "", buf_text(&text), texts);
}

static void plan_made(const char *name, bool made, json_t *texts)
{
    AUTO_BUF text = BUF_INIT;
    made_text(name, made, &text);
    plan_machine(buf_text(&text), texts);
}

static void plan_moved(const struct target *t, const char *name, bool in, const char *whom,
                       const char *only, json_t *texts)
{
    AUTO_BUF text = BUF_INIT;
    moved_text(name, in, whom, &text);
    for (size_t i = 0; inject_candidate(t, i); i++)
        inject_plan_deed(t, inject_candidate(t, i), only, buf_text(&text), texts);
}

static bool is_whole(const struct process_params *p, unsigned offers)
{
    return (offers & ATTACH_CGROUP) && !p->process && !p->unit && !p->pid;
}

/* By which of the two this machine freezes: only looked up where a run would be on this machine. */
static bool is_v1_here(const struct inject_env *env)
{
    struct cgroup own;
    return env->caps && cgroup_of(0, &own, NULL) == 0 && own.v1;
}

static void plan_steps(const struct inject_env *env, const struct step *step, json_t *texts)
{
    const struct freeze_params *p = step->params;
    const struct target *t = p->whom.host;
    const struct host *h = targets_attached(env->scenario, t);
    const bool v1 = is_v1_here(env);
    struct match_rule rule = targets_rule(&p->whom);
    AUTO_BUF each = BUF_INIT, group = BUF_INIT;
    if (h && is_whole(&p->whom, attached_kind_of(h)->offers)) {
        plan_frozen(t, NULL, v1, true, texts);
        json_array_append_new(texts, json_string(INJECT_PLAN_UNDO));
        plan_frozen(t, NULL, v1, false, texts);
        return;
    }
    buf_printf(&group, "blackstart-%s-%s", DEED_RUN, step->id);
    buf_adds(&each, "each: ");
    match_rule_text(&rule, &each);
    const char *name = buf_text(&group);
    plan_made(name, true, texts);
    plan_moved(t, name, true, buf_text(&each), "", texts);
    plan_frozen(t, name, v1, true, texts);
    plan_moved(t, name, true, buf_text(&each), "if it was started meanwhile: ", texts);
    json_array_append_new(texts, json_string(INJECT_PLAN_UNDO));
    plan_frozen(t, name, v1, false, texts);
    plan_moved(t, name, false, TARGETS_THE_SAME, "", texts);
    plan_made(name, false, texts);
}

static int freeze_plan(const struct inject_env *env, const struct step *step, json_t *texts,
                       struct err *err)
{
    const struct freeze_params *p = step->params;
    if (pause_is_meant(env->scenario, &p->whom))
        return pause_plan(&p->whom, texts);
    AUTO_FREE char *host = inject_target_text(p->whom.host);
    struct match_rule rule = targets_rule(&p->whom);
    AUTO_BUF text = BUF_INIT;
    buf_printf(&text, "host %s: ", host);
    match_rule_text(&rule, &text);
    if (p->whom.expect > 0)
        buf_printf(&text, ", which must be %lld,", (long long)p->whom.expect);
    buf_adds(&text,
             " frozen, in a control group of ours (or in the host's own as a whole); undone by "
             "thawing it, and moving them back");
    json_array_append_new(texts, json_string(buf_text(&text)));
    plan_steps(env, step, texts);
    return 0;
}

static void freeze_done(void *state)
{
    struct freeze_state *st = state;
    if (!st)
        return;
    pause_done(st->pause);
    targets_done(&st->targets);
    free(st);
}

static void freeze_free(struct freeze_state **st)
{
    freeze_done(*st);
}

/* The group that ours will stand in, or that is frozen as a whole. */
static int find_group(struct inject_env *env, const struct process_params *p, struct cgroup *ret,
                      bool *ret_whole, struct err *err)
{
    struct cgroup own;
    bool frozen = false;
    struct lab_node *n = p->host->host ? lab_node(env->lab, p->host->host) : NULL;
    const struct attached_host *a = n ? lab_node_attached(n) : NULL;
    int r = cgroup_of(0, &own, err);
    if (r < 0)
        return r;
    *ret_whole = a && is_whole(p, a->at.offers);
    *ret = a ? a->at.cgroup : own;
    if (!ret->dir[0])
        return err_set(
            err, EOPNOTSUPP,
            "host %s: no control group of it is known; use 'stop', which does nearly the "
            "same by SIGSTOP",
            p->host->host);
    if (!*ret_whole)
        return 0;
    if (cgroup_contains(ret, &own) || cgroup_is_root(ret))
        return err_set(err, EINVAL, "host %s: blackstart itself stands in its control group %s",
                       p->host->host, ret->dir);
    r = cgroup_is_frozen(ret, &frozen, err);
    return r == 0 && frozen
               ? err_set(err, EALREADY, "host %s is frozen already (%s)", p->host->host, ret->dir)
               : r;
}

static int prepare_pause(struct inject_env *env, const struct freeze_params *p, void **ret_state,
                         json_t **ret_undo, struct err *err)
{
    struct freeze_state *st = calloc(1, sizeof *st);
    if (!st)
        return err_errno(err, ENOMEM, "preparing freeze");
    int r = pause_prepare(env, &p->whom, &st->pause, ret_undo, err);
    if (r < 0) {
        free(st);
        return r;
    }
    *ret_state = st;
    return 0;
}

/* Whose processes it may hold, for the words alone. */
static json_t *candidates(const struct target *t)
{
    json_t *names = json_array();
    for (size_t i = 0; inject_candidate(t, i); i++)
        json_array_append_new(names, json_string(inject_candidate(t, i)));
    return names;
}

/* Reads where the group will stand; who is frozen is chosen when it happens. */
static int freeze_prepare(struct inject_env *env, const struct step *step, void **ret_state,
                          json_t **ret_undo, struct err *err)
{
    const struct freeze_params *p = step->params;
    if (pause_is_meant(env->scenario, &p->whom))
        return prepare_pause(env, p, ret_state, ret_undo, err);
    CLEANUP(freeze_free) struct freeze_state *st = calloc(1, sizeof *st);
    AUTO_BUF name = BUF_INIT;
    if (!st)
        return err_errno(err, ENOMEM, "preparing freeze");
    *st = (struct freeze_state){.params = p, .step = step->id, .since = NSEC_UNSET};
    int r = find_group(env, &p->whom, &st->above, &st->whole, err);
    if (r == 0 && (r = cgroup_writable(&st->above, err)) < 0)
        return err_prefix(err, "freeze (use 'stop', which does nearly the same by SIGSTOP)");
    buf_printf(&name, "blackstart-%s-%s", env->run_id, step->id);
    if (r == 0 && st->whole)
        st->group = st->above;
    else if (r == 0)
        r = cgroup_below(&st->above, buf_text(&name), &st->group, err);
    if (r < 0)
        return r;
    *ret_undo = json_pack("{s:b,s:s,s:s*,s:o}", "v1", st->group.v1, "group", st->group.dir, "back",
                          st->whole ? NULL : st->above.dir, "among", candidates(p->whom.host));
    *ret_state = steal_ptr(st);
    return 0;
}

static bool is_among(const pid_t *pids, size_t n, pid_t pid)
{
    for (size_t i = 0; i < n; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

/* Everything is moved back to one group, so it must come from there. */
static int stands_above(const struct freeze_state *st, struct lab_node *n, pid_t pid,
                        struct err *err)
{
    struct cgroup now;
    int r = lab_node_attached(n) ? cgroup_of(pid, &now, err) : 0;
    if (r < 0 || !lab_node_attached(n) || strcmp(now.dir, st->above.dir) == 0)
        return r;
    return err_set(err, EXDEV,
                   "host %s: process %d stands in the control group %s, not with the others in %s: "
                   "freeze them apart, by 'process' or 'pid'",
                   lab_node_name(n), (int)pid, now.dir, st->above.dir);
}

/* Moves what matches and is not in the group yet; *ret_moved: how many. */
static int gather(const struct inject_env *env, struct freeze_state *st, struct lab_node *n,
                  const struct match_set *set, size_t *ret_moved, struct err *err)
{
    AUTO_FREE pid_t *pids = calloc(match_count(set) + 1, sizeof *pids);
    AUTO_FREE pid_t *inside = NULL;
    size_t count = 0, moved = 0;
    if (!pids)
        return err_errno(err, ENOMEM, "freezing processes");
    int r = lab_node_outside(n, set->procs, pids, err);
    if (r == 0)
        r = cgroup_pids(&st->group, &inside, &count, err);
    for (size_t i = 0; r == 0 && i < match_count(set); i++) {
        if (!pids[i] || is_among(inside, count, pids[i]))
            continue;
        r = stands_above(st, n, pids[i], err);
        if (r == 0)
            r = cgroup_move(&st->group, pids[i], err);
        moved += r == 0;
        if (r == 0)
            tell_moved(env, lab_node_name(n), text_basename(st->group.dir), true,
                       json_array_get(set->procs, i));
        r = r == -ESRCH ? 0 : r; /* it has ended meanwhile */
    }
    if (r == 0)
        *ret_moved = moved;
    return r;
}

/* Until a look finds nobody outside: who has just been started is found by looking again. */
static int gather_all(struct inject_env *env, struct freeze_state *st, size_t i, struct err *err)
{
    struct lab_node *n = lab_node(env->lab, st->targets.hosts[i]);
    struct match_rule rule = targets_rule(&st->params->whom);
    size_t moved = 1;
    for (int round = 0; moved > 0 && round < ROUNDS_MAX; round++) {
        AUTO_MATCH now = {0};
        int r = round == 0 ? 0 : match_find(n, &rule, &now, err);
        if (r == 0)
            r = gather(env, st, n, round == 0 ? &st->targets.sets[i] : &now, &moved, err);
        if (r < 0)
            return r;
    }
    return moved == 0 ? 0
                      : err_set(err, EAGAIN,
                                "on host '%s' processes are started faster than they can be frozen",
                                st->targets.hosts[i]);
}

/* Everything of the hosts into the group, and that frozen. */
static int stop_all(struct inject_env *env, struct freeze_state *st, struct err *err)
{
    const char *name = st->whole ? NULL : text_basename(st->group.dir);
    int r = st->whole ? 0 : cgroup_make(&st->group, err);
    if (r == 0 && name)
        tell_made(env, name, true);
    for (size_t i = 0; r == 0 && i < st->targets.n && !st->whole; i++)
        r = gather_all(env, st, i, err);
    if (r == 0)
        r = cgroup_freeze(&st->group, true, FREEZE_WITHIN, err);
    if (r == 0)
        tell_frozen(env, st->targets.hosts[0], name, st->group.v1, true);
    for (size_t i = 0; r == 0 && i < st->targets.n && !st->whole; i++)
        r = gather_all(env, st, i, err); /* what the last of them had started before it froze */
    return r;
}

static int count_inside(struct freeze_state *st, size_t *ret, struct err *err)
{
    AUTO_FREE pid_t *pids = NULL;
    return cgroup_pids(&st->group, &pids, ret, err);
}

static int freeze_apply(struct inject_env *env, void *state, struct inject_result *ret,
                        struct err *err)
{
    struct freeze_state *st = state;
    if (st->pause)
        return pause_apply(env, st->pause, ret, err);
    const struct process_params *whom = &st->params->whom;
    struct match_rule rule = targets_rule(whom);
    int r =
        targets_find(env, whom->host, &rule, whom->expect, /*empty_ok=*/false, &st->targets, err);
    if (r < 0)
        return r;
    struct span at = {nsec_now(CLOCK_MONOTONIC), 0};
    r = stop_all(env, st, err);
    if (r == 0)
        r = count_inside(st, &st->n, err);
    if (r < 0)
        return r;
    at.hi = nsec_now(CLOCK_MONOTONIC);
    if (st->n == 0)
        return err_set(err, ESRCH, "everything that matched was gone before it could be frozen");
    AUTO_JSON *changes = json_array();
    for (size_t i = 0; i < st->targets.n; i++) {
        AUTO_BUF text = BUF_INIT;
        buf_printf(&text, "host %s: frozen: ", st->targets.hosts[i]);
        match_text(&st->targets.sets[i], &text);
        json_array_append_new(changes, json_string(buf_text(&text)));
    }
    json_array_append_new(changes, json_sprintf("control group %s", st->group.dir));
    *ret = targets_result(&st->targets, at, changes);
    return 0;
}

static int look(const struct freeze_state *st, size_t *ret_n, uint64_t *ret_switches,
                struct err *err)
{
    AUTO_FREE pid_t *pids = NULL;
    uint64_t sum = 0;
    size_t n = 0;
    int r = cgroup_pids(&st->group, &pids, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        sum += switches_of(pids[i]);
    if (r < 0)
        return r;
    *ret_n = n;
    *ret_switches = sum;
    return 0;
}

static int freeze_verify(struct inject_env *env, void *state, struct inject_proof *ret,
                         struct err *err)
{
    struct freeze_state *st = state;
    if (st->pause)
        return pause_verify(env, st->pause, ret, err);
    struct inject_proof p = {.at = {nsec_now(CLOCK_MONOTONIC), 0}};
    bool frozen = false;
    size_t n = 0, off = 0;
    uint64_t switches = 0;
    int r = look(st, &n, &switches, err);
    if (r == 0 && n > 0)
        r = cgroup_is_frozen(&st->group, &frozen, err);
    if (r < 0)
        return r;
    p.at.hi = nsec_now(CLOCK_MONOTONIC);
    for (size_t i = 0; i < st->targets.n; i++)
        off += !lab_node_is_up(lab_node(env->lab, st->targets.hosts[i]));
    if (!nsec_is_set(st->since)) {
        st->since = p.at.hi;
        st->before = switches;
    }
    if (!st->decided && !env->decide && nsec_sub(p.at.hi, st->since) < SWITCHES_LOOK_FOR)
        return INJECT_AGAIN;
    if (!st->decided) {
        st->decided = true;
        st->still = switches == st->before;
    }
    /* A host that lost its power meanwhile runs even less. */
    p.ok = st->still && (frozen || (n == 0 && off > 0));
    snprintf(p.asked, sizeof p.asked, "%zu processes frozen", st->n);
    snprintf(p.seen, sizeof p.seen, "%zu in the group, which is %s; %s", n,
             frozen ? "frozen" : "not frozen",
             st->still ? "none of their threads ran" : "their threads ran");
    snprintf(p.how, sizeof p.how,
             "the kernel's word on the control group, and how often their threads were switched "
             "during %lld ms",
             (long long)(SWITCHES_LOOK_FOR / NSEC_MSEC));
    *ret = p;
    return 0;
}

/* Who they were, as their hosts see them: told once they have moved back. */
static void tell_back(const struct inject_env *env, const json_t *undo, const char *name,
                      const pid_t *pids, size_t n)
{
    size_t i;
    const json_t *host;
    json_array_foreach (json_object_get(undo, "among"), i, host) {
        struct lab_node *node = env->lab ? lab_node(env->lab, json_string_value(host)) : NULL;
        const struct lab_match everything = {0};
        AUTO_MATCH all = {0};
        if (!node || !lab_node_is_up(node) ||
            lab_node_processes(node, &everything, &all.procs, NULL) < 0)
            continue;
        AUTO_FREE pid_t *outside = calloc(match_count(&all) + 1, sizeof *outside);
        if (!outside || lab_node_outside(node, all.procs, outside, NULL) < 0)
            continue;
        for (size_t k = 0; k < match_count(&all); k++)
            if (outside[k] && is_among(pids, n, outside[k]))
                tell_moved(env, lab_node_name(node), name, false, json_array_get(all.procs, k));
    }
}

static int move_back(const struct inject_env *env, const json_t *undo, const struct cgroup *group,
                     const struct cgroup *back, struct err *err)
{
    const char *name = text_basename(group->dir);
    int r = 0;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        AUTO_FREE pid_t *pids = NULL;
        size_t n = 0;
        r = cgroup_pids(group, &pids, &n, err);
        for (size_t i = 0; r == 0 && i < n; i++) {
            r = cgroup_move(back, pids[i], err);
            r = r == -ESRCH ? 0 : r;
        }
        if (r < 0 || n == 0)
            break;
        tell_back(env, undo, name, pids, n);
    }
    if (r == 0)
        r = cgroup_remove(group, err);
    if (r == 0)
        tell_made(env, name, false);
    return r;
}

static int freeze_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                         struct err *err)
{
    if (json_object_get(undo, "containers"))
        return pause_revert(env, undo, ret, err);
    struct span at = {nsec_now(CLOCK_MONOTONIC), 0};
    AUTO_JSON *changes = json_array();
    struct cgroup group = {.v1 = jsonx_bool(undo, "v1", false)}, back = group;
    snprintf(group.dir, sizeof group.dir, "%s", jsonx_str(undo, "group", ""));
    snprintf(back.dir, sizeof back.dir, "%s", jsonx_str(undo, "back", ""));
    struct err why = ERR_INIT;
    bool was_frozen = false;
    (void)cgroup_is_frozen(&group, &was_frozen, NULL); /* for the words alone */
    int r = cgroup_freeze(&group, false, FREEZE_WITHIN, &why);
    bool there = r != -ENOENT && r != -ENODEV;
    if (r < 0 && there) {
        if (err)
            *err = why;
        return r;
    }
    const bool whole = !back.dir[0];
    if (there)
        tell_frozen(env, json_string_value(json_array_get(json_object_get(undo, "among"), 0)),
                    whole ? NULL : text_basename(group.dir), group.v1, false);
    r = there && !whole ? move_back(env, undo, &group, &back, err) : 0;
    if (r < 0)
        return r;
    if (there && (was_frozen || !whole))
        json_array_append_new(changes, json_sprintf("control group %s thawed%s", group.dir,
                                                    whole ? ""
                                                          : ", its processes moved back, and "
                                                            "removed"));
    at.hi = nsec_now(CLOCK_MONOTONIC);
    *ret = (struct inject_result){.at = at, .changes = json_incref(changes)};
    return 0;
}

static const struct field freeze_fields[] = {
    TARGETS_HOST_FIELD(offsetof(struct process_params, host), "worker1"),
    TARGETS_PROCESS_FIELD("worker"),
    TARGETS_UNIT_FIELD("worker"),
    TARGETS_PID_FIELD,
    TARGETS_EXPECT_FIELD,
    {.key = NULL},
};

static const struct record freeze_record = {
    .name = "freeze",
    .summary = "Processes of a host stand still.",
    .size = sizeof(struct freeze_params),
    .fields = freeze_fields,
    .shorthand = "host",
    .name_offset = SIZE_MAX,
    .place_offset = SIZE_MAX,
    .variant_place_offset = SIZE_MAX,
};

static const struct inject_means freeze_means[] = {
    {"cgroup", {"root", NULL}},
    {NULL, {NULL}},
};

static int freeze_effect(struct inject_env *env, const struct step *step, struct effects *ret,
                         struct err *err)
{
    const struct freeze_params *p = step->params;
    struct effect one = {.kind = EFFECT_DOWN};
    return effects_at(env, p->whom.host, &one, ret, err);
}

static void freeze_touches(const json_t *undo, json_t *ret)
{
    contained_touches(undo, ret);
    if (json_object_get(undo, "group"))
        touch_cgroup(ret, jsonx_bool(undo, "v1", false), jsonx_str(undo, "group", ""),
                     json_object_get(undo, "back") != NULL);
}

static const struct injector freeze_injector = {
    .name = "freeze",
    .is_fault = true,
    .lasts = true,
    .holds = true,
    .kept = true,
    .attaches = ATTACH_PROCESSES,
    .means = freeze_means,
    .check = freeze_check,
    .supported = freeze_supported,
    .plan = freeze_plan,
    .prepare = freeze_prepare,
    .apply = freeze_apply,
    .verify = freeze_verify,
    .revert = freeze_revert,
    .touches = freeze_touches,
    .done = freeze_done,
    .effect = freeze_effect,
};

const struct variant inject_freeze = {
    .name = "freeze",
    .summary = "Freezes processes of a host by a control group: they get no processor time.",
    .detail =
        "As with `stop` their sockets stay open and answer nothing, but nothing tells that "
        "from outside: no state T, no SIGCHLD, no signal that a program could see afterwards. "
        "It is what a machine that swaps, a paused container or a throttled virtual machine "
        "does to a server. Needs root. Undone by thawing. A container is paused and unpaused by "
        "its engine, as a whole.",
    .params = &freeze_record,
    .impl = &freeze_injector,
};
