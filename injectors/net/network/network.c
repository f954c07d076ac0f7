/* network: packets of a host are delayed, lost, duplicated, corrupted, reordered or held to a rate, by
 * netem or by our own engine (sim/impair).
 *
 * What the host sends is impaired at its own device; what it is sent at the switch's end of its cable,
 * where it leaves the switch: a point on the path, not in the sender, so that no sender is told of a
 * loss. Each device gets a line; they are armed before (which no packet notices) and switched on
 * together in apply: in prepare, or in a host that others made as soon as its undo is in the journal.
 *
 * The undo record names the lines by their label, the step's id; they belong to the lab, and go with it
 * when its namespaces do.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "injectors/actions.h"
#include "injectors/net/network/bite.h"
#include "injectors/net/network/network.h"
#include "injectors/net/site.h"
#include "injectors/process/targets.h"
#include "injectors/touch.h"
#include "sim/base/jsonx.h"
#include "sim/impair/sweep.h"
#include "sim/kernel/rtnl.h"

struct network_line {
    struct reach *reach; /* borrowed from the state */
    const struct reach_point *at;
    struct impair_line *line;
};

struct network_state {
    const struct network_params *params;
    struct targets targets;
    struct reach *reaches; /* one per host */
    size_t n_reaches;
    struct network_line *lines;
    size_t n_lines;
    struct impaired_tables tables;
    struct impairment what;
    char *label;
    const struct step *step;
    bool attached;     /* a host that others made: armed when its undo is in the journal */
    struct bite *bite; /* NULL before the first look */
    nsec began;        /* that look */
    bool told;         /* what it saw */
};

static enum impair_engine engine_of(const struct network_params *p)
{
    static const enum impair_engine engines[] = {[IMPAIRED_AUTO] = IMPAIR_AUTO,
                                                 [IMPAIRED_NETEM] = IMPAIR_NETEM,
                                                 [IMPAIRED_USER] = IMPAIR_USER};
    return engines[p->impaired.engine];
}

static int network_supported(const struct inject_env *env, const struct step *step, struct err *err)
{
    const struct network_params *p = step->params;
    struct impair_here here;
    enum impair_engine engine;
    char why[IMPAIR_WHY_MAX];
    impair_here_of(env->caps, &here);
    return impair_choose(engine_of(p), &here, &engine, why, err);
}

/* --- Plan ------------------------------------------------------------------------------------- */

/* A dry run of one fault: transports that record, and lines on them. */
struct plan {
    const struct network_params *params;
    struct impairment what;
    enum impair_engine engine;
    struct nl *sw;
    struct impair *impair;
    const char *label, *prefix;
    json_t *texts;
    uint64_t points;
};

/* What was recorded from there on. */
static void plan_since(const struct plan *p, size_t from, const char *when)
{
    AUTO_BUF only = BUF_INIT;
    buf_printf(&only, "%s%s", p->prefix, when);
    ports_plan_messages(p->sw, from, buf_text(&only), p->texts);
}

static int plan_arm(struct plan *p, struct nl *nl, const struct reach *reach,
                    const struct reach_point *at, struct impair_line **ret, struct err *err)
{
    struct impair_scope scope = reach_scope(reach, at);
    struct impair_order order = {
        .point = {.nl = nl, .netns_fd = -1, .device = reach_device(at), .ingress = at->arrives},
        .scope = &scope,
        .what = &p->what,
        .engine = p->engine,
        .number = p->points++,
        .label = p->label};
    AUTO_BUF text = BUF_INIT;
    buf_printf(&text, "%s", p->prefix);
    reach_text(reach, at, &text);
    json_array_append_new(p->texts, json_string(buf_text(&text)));
    size_t from = nl_recorded(p->sw);
    int r = impair_arm(p->impair, &order, ret, err);
    if (r == 0)
        plan_since(p, from, "when armed: ");
    return r;
}

/* All lines of a host, as arm_all(), network_apply() and network_revert() treat them. */
static int plan_lines(struct plan *p, struct impair_line **lines, size_t n, struct err *err)
{
    size_t from = nl_recorded(p->sw);
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = impair_set(lines[i], true, NULL, err);
    plan_since(p, from, "");
    from = nl_recorded(p->sw);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = impair_set(lines[i], false, NULL, err);
    for (size_t i = 0; i < n; i++) {
        int gone = impair_disarm(lines[i], r < 0 ? NULL : err);
        r = r < 0 ? r : gone;
    }
    plan_since(p, from, "to undo that: ");
    return r;
}

static int plan_host(struct plan *p, const struct topo *topo, const char *host, struct err *err)
{
    AUTO_REACH reach = {0};
    CLEANUP(nl_free_p) struct nl *nl = NULL;
    AUTO_BUF where = BUF_INIT, only = BUF_INIT;
    size_t n = 0;
    int r = reach_find(topo, p->params, host, &reach, err);
    buf_printf(&where, "host %s", host);
    inject_plan_case(p->params->host, host, "", &only);
    if (r == 0)
        r = nl_derive(p->sw, -1, buf_text(&where), &nl, err);
    AUTO_FREE struct impair_line **lines = calloc(reach.n + 1, sizeof(struct impair_line *));
    if (!lines)
        abort();
    p->prefix = buf_text(&only);
    for (; r == 0 && n < reach.n; n += r == 0)
        r = plan_arm(p, reach.points[n].at_switch ? p->sw : nl, &reach, &reach.points[n], &lines[n],
                     err);
    int planned = plan_lines(p, lines, n, r < 0 ? NULL : err);
    p->prefix = "";
    return r < 0 ? r : planned;
}

static void plan_sentence(const struct plan *p, const char *why)
{
    AUTO_FREE char *host = inject_target_text(p->params->host);
    AUTO_BUF text = BUF_INIT;
    buf_printf(&text, "host %s: ", host);
    impairment_text(&p->what, &text);
    buf_printf(&text, "; by %s (%s); undone by taking the filters away",
               impair_engine_text(p->engine), why);
    json_array_append_new(p->texts, json_string(buf_text(&text)));
}

static int network_plan(const struct inject_env *env, const struct step *step, json_t *texts,
                        struct err *err)
{
    const struct network_params *params = step->params;
    CLEANUP(impaired_tables_done) struct impaired_tables tables = {0};
    CLEANUP(topo_free_p) struct topo *topo = NULL;
    CLEANUP(nl_free_p) struct nl *sw = NULL;
    CLEANUP(impair_free_p) struct impair *impair = NULL;
    struct plan p = {.params = params, .texts = texts, .label = step->id};
    struct impair_here here;
    char why[IMPAIR_WHY_MAX];
    int r = impaired_tables_read(&params->impaired, env->scenario->file, &tables, err);
    if (r < 0)
        return r;
    impaired_make(&params->impaired, &tables, &p.what);
    impair_here_of(env->caps, &here);
    r = impair_choose(engine_of(params), &here, &p.engine, why, err);
    if (r < 0) { /* what it would be elsewhere; `run` and `check --here` refuse it */
        json_array_append_new(texts, json_sprintf("not possible here: %s", err->text));
        return 0;
    }
    r = topo_new(env->scenario, &topo, err);
    if (r == 0)
        r = nl_open_recording("switch", &sw, err);
    if (r == 0)
        r = impair_new(NULL, NULL, NULL, &impair, err);
    if (r < 0)
        return r;
    impair_expect(impair, &here);
    p.sw = sw;
    p.impair = impair;
    plan_sentence(&p, why);
    const struct target *t = params->host;
    for (size_t i = 0; r == 0 && i < (t->host ? 1 : t->of.n); i++)
        r = plan_host(&p, topo, t->host ? t->host : t->of.items[i], err);
    return r;
}

/* --- Prepare: armed, traffic untouched -------------------------------------------------------- */

/* Lines that were switched on are not ours any more: revert finds them by their label. */
static void network_done(void *state)
{
    struct network_state *st = state;
    if (!st)
        return;
    bite_free(st->bite);
    targets_done(&st->targets);
    for (size_t i = 0; i < st->n_reaches; i++)
        reach_done(&st->reaches[i]);
    free(st->reaches);
    free(st->lines);
    impaired_tables_done(&st->tables);
    free(st->label);
    free(st);
}
DEFINE_CLEANUP(void, network_done);

static struct nl *transport(struct inject_env *env, const struct reach_point *at, int *ret_netns)
{
    struct lab_node *n = lab_node(env->lab, at->port->host);
    *ret_netns = at->at_switch ? lab_switch_netns(env->lab) : lab_node_netns(n);
    return at->at_switch ? lab_switch_nl(env->lab) : lab_node_nl(n);
}

static int arm_point(struct inject_env *env, struct network_state *st, struct reach *reach,
                     const struct reach_point *at, struct err *err)
{
    struct impair_scope scope = reach_scope(reach, at);
    struct impair_order order = {.point = {.device = reach_device(at), .ingress = at->arrives},
                                 .scope = &scope,
                                 .what = &st->what,
                                 .engine = engine_of(st->params),
                                 .number = st->n_lines,
                                 .label = st->label};
    order.point.nl = transport(env, at, &order.point.netns_fd);
    order.point.outlives = st->attached;
    struct network_line *l = &st->lines[st->n_lines];
    *l = (struct network_line){.reach = reach, .at = at};
    int r = impair_arm(lab_impair(env->lab), &order, &l->line, err);
    if (r < 0)
        return err_prefix(err, "host '%s'", at->port->host);
    st->n_lines++;
    return 0;
}

static int find_reaches(struct inject_env *env, struct network_state *st, struct err *err)
{
    size_t points = 0;
    int r = 0;
    st->reaches = calloc(st->targets.n + 1, sizeof *st->reaches);
    if (!st->reaches)
        return err_errno(err, ENOMEM, "preparing network");
    for (size_t i = 0; r == 0 && i < st->targets.n; i++) {
        const char *host = st->targets.hosts[i];
        struct lab_node *n = lab_node(env->lab, host);
        if (!n || !lab_node_is_up(n))
            return err_set(err, ESRCH, "host '%s' is down: it has no traffic", host);
        r = reach_find(lab_topo(env->lab), st->params, host, &st->reaches[i], err);
        st->n_reaches = i + 1;
        if (r == 0 && lab_node_attached(n))
            reach_leave_out(&st->reaches[i], &lab_node_attached(n)->exempt);
        points += st->reaches[i].n;
    }
    st->lines = calloc(points + 1, sizeof *st->lines);
    return st->lines ? r : err_errno(err, ENOMEM, "preparing network");
}

static void disarm_all(struct network_state *st)
{
    while (st->n_lines > 0)
        (void)impair_disarm(st->lines[--st->n_lines].line, NULL);
}

static int arm_all(struct inject_env *env, struct network_state *st, struct err *err)
{
    int r = find_reaches(env, st, err);
    for (size_t i = 0; r == 0 && i < st->n_reaches; i++)
        for (size_t k = 0; r == 0 && k < st->reaches[i].n; k++)
            r = arm_point(env, st, &st->reaches[i], &st->reaches[i].points[k], err);
    if (r < 0)
        disarm_all(st);
    return r;
}

static json_t *undo_record(const struct network_state *st)
{
    json_t *lines = json_array();
    for (size_t i = 0; i < st->n_lines; i++) {
        AUTO_BUF text = BUF_INIT;
        impair_line_text(st->lines[i].line, &text);
        json_array_append_new(lines, json_pack("{s:s, s:s}", "host", st->lines[i].at->port->host,
                                               "line", buf_text(&text)));
    }
    return json_pack("{s:s, s:o}", "label", st->label, "lines", lines);
}

/* How many lines all steps together may make in one lab: in which order is not known before, and what
 * could not be armed early is armed once more. */
static size_t most_lines(const struct scenario *s, const struct variant *action)
{
    size_t n = 0;
    for (size_t i = 0; i < s->script.n; i++) {
        const struct step *step = s->script.items[i];
        const struct network_params *p = step->params;
        if (step->action == action)
            n += 2 * 2 * (p->host->host ? 1 : p->host->of.n) * (s->networks.n ? s->networks.n : 1);
    }
    return n;
}

/* What will stand in a host that others made, before anything does. */
static int note_attached(struct inject_env *env, struct network_state *st, json_t **ret_undo,
                         struct err *err)
{
    struct lab_node *n = lab_node(env->lab, st->targets.hosts[0]);
    const char *device = st->params->device;
    struct rtnl_link link;
    json_t *note = NULL;
    size_t lines = most_lines(env->scenario, st->step->action);
    int r = attached_is_there(lab_node_attached(n), err);
    if (r == 0)
        r = rtnl_link_get(lab_node_nl(n), device, &link, err);
    if (r == 0)
        r = impair_ready(lab_impair(env->lab), engine_of(st->params), err);
    if (r == 0)
        r = impair_note(lab_impair(env->lab), lines, lab_node_nl(n), device, &note, err);
    if (r < 0)
        return r;
    json_t *record = site_record(n);
    json_object_set_new(record, "device", json_string(device));
    json_object_set_new(record, "ifindex", json_integer(link.ifindex));
    json_object_set_new(record, "note", note);
    json_object_set_new(record, "queue", json_integer(link.queue));
    *ret_undo = json_pack("{s:s,s:o}", "label", st->label, "attached", record);
    return 0;
}

/* The kernel gives a device without a queue (docker's are) one of its default length when it gets its
 * first discipline, and does not take it back (qdisc_create()). */
static int put_queue_back(const struct site *site, const json_t *record,
                          const struct rtnl_link *link, struct err *err)
{
    if (jsonx_int(record, "queue", -1) != 0 || link->queue == 0)
        return 0;
    rtnl_link_queue(site->nl, link->name, 0);
    return nl_flush(site->nl, err);
}

/* Nothing may be left when this returns, not even packets that are held. */
static int revert_attached(struct inject_env *env, const json_t *undo, json_t *changes,
                           struct err *err)
{
    const json_t *record = json_object_get(undo, "attached");
    const char *device = jsonx_str(record, "device", ""), *label = jsonx_str(undo, "label", "");
    struct impair *impair = env->lab ? lab_impair(env->lab) : NULL;
    AUTO_SITE site = {0};
    struct rtnl_link link;
    size_t n = 0, swept = 0;
    for (struct impair_line *l; impair && (l = impair_find(impair, label)); n++) {
        int r = impair_disarm(l, err);
        if (r < 0)
            return r;
    }
    int r = site_find(env, record, &site, err);
    if (r != 0)
        return r;
    int gone = site_device(&site, record, &link, err);
    if (gone < 0)
        return gone;
    struct err why = ERR_INIT;
    r = impair_sweep(impair, site.nl, gone ? NULL : device, json_object_get(record, "note"), &swept,
                     &why);
    if (r == 0 && !gone)
        r = put_queue_back(&site, record, &link, &why);
    if (r < 0 && err)
        *err = why;
    if (r < 0 || gone)
        return r < 0 ? r : gone;
    if (n || swept)
        json_array_append_new(changes, json_sprintf("host %s, device %s: as it was before",
                                                    jsonx_str(record, "host", "?"), device));
    return 0;
}

static int network_prepare(struct inject_env *env, const struct step *step, void **ret_state,
                           json_t **ret_undo, struct err *err)
{
    struct network_state *st = calloc(1, sizeof *st);
    CLEANUP(network_done_p) void *owner = st;
    if (!st || !(st->label = strdup(step->id)))
        return err_errno(err, ENOMEM, "preparing network");
    st->step = step;
    st->params = step->params;
    int r = impaired_tables_read(&st->params->impaired, env->scenario->file, &st->tables, err);
    if (r == 0)
        r = targets_choose(env, st->params->host, &st->targets, err);
    if (r < 0)
        return r;
    impaired_make(&st->params->impaired, &st->tables, &st->what);
    st->attached = st->params->device != NULL;
    r = st->attached ? note_attached(env, st, ret_undo, err) : arm_all(env, st, err);
    if (r < 0)
        return r;
    if (!st->attached)
        *ret_undo = undo_record(st);
    *ret_state = steal_ptr(owner);
    return 0;
}

/* --- Apply and revert: one step each ---------------------------------------------------------- */

static void line_change(const struct network_line *l, const struct impairment *what,
                        json_t *changes)
{
    AUTO_BUF text = BUF_INIT;
    reach_text(l->reach, l->at, &text);
    buf_adds(&text, ": ");
    impairment_text(what, &text);
    buf_printf(&text, ", by %s (%s)", impair_engine_text(impair_line_engine(l->line)),
               impair_line_why(l->line));
    json_array_append_new(changes, json_string(buf_text(&text)));
}

static int network_arm(struct inject_env *env, void *state, struct err *err)
{
    struct network_state *st = state;
    return st->n_lines ? 0 : arm_all(env, st, err);
}

static int network_apply(struct inject_env *env, void *state, struct inject_result *ret,
                         struct err *err)
{
    struct network_state *st = state;
    struct span at = SPAN_UNSET;
    int armed = network_arm(env, st, err);
    if (armed < 0)
        return armed;
    for (size_t i = 0; i < st->n_lines; i++) {
        struct span one;
        int r = impair_set(st->lines[i].line, true, &one, err);
        if (r < 0)
            return err_prefix(err, "host '%s'", st->lines[i].at->port->host);
        if (i == 0)
            at.lo = one.lo;
        at.hi = one.hi;
    }
    json_t *changes = json_array();
    for (size_t i = 0; i < st->n_lines; i++)
        line_change(&st->lines[i], &st->what, changes);
    *ret = (struct inject_result){.at = at,
                                  .targets = targets_names(&st->targets),
                                  .changes = changes,
                                  .chosen = targets_how(&st->targets)};
    return 0;
}

static int network_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                          struct err *err)
{
    const char *label = jsonx_str(undo, "label", "");
    struct impair *impair = env->lab ? lab_impair(env->lab) : NULL;
    AUTO_JSON *changes = json_array();
    struct span at = {nsec_now(CLOCK_MONOTONIC), 0};
    bool attached = json_object_get(undo, "attached");
    int gone = attached ? revert_attached(env, undo, changes, err) : 0;
    if (gone != 0)
        return gone;
    for (struct impair_line *l; !attached && impair && (l = impair_find(impair, label));) {
        AUTO_BUF text = BUF_INIT;
        impair_line_text(l, &text);
        int r = impair_retire(l, NULL, err);
        if (r < 0)
            return r;
        json_array_append_new(changes, json_sprintf("%s: as it was before", buf_text(&text)));
    }
    at.hi = nsec_now(CLOCK_MONOTONIC);
    *ret = (struct inject_result){.at = at, .changes = json_incref(changes)};
    return 0;
}

/* --- Verify ----------------------------------------------------------------------------------- */

struct standing { /* what stands in the kernel, and has been counted */
    bool ok;
    uint64_t matched, overflow, spared;
    struct buf missing;
};

static void look(const struct network_state *st, struct standing *ret)
{
    ret->ok = true;
    for (size_t i = 0; i < st->n_lines; i++) {
        struct impair_counts c;
        struct err why = ERR_INIT;
        int r = impair_check(st->lines[i].line, &why);
        if (r == 0)
            r = impair_count(st->lines[i].line, &c, &why);
        if (r < 0) {
            buf_printf(&ret->missing, "%shost %s: %s", ret->missing.len ? "; " : "",
                       st->lines[i].at->port->host, why.text);
            ret->ok = false;
            continue;
        }
        ret->matched += c.matched;
        ret->overflow += c.overflow;
        ret->spared += c.spared;
    }
}

static void standing_done(struct standing *s)
{
    buf_done(&s->missing);
}

static int begin_bite(struct inject_env *env, struct network_state *st, struct err *err)
{
    AUTO_FREE struct bite_point *points = calloc(st->n_lines + 1, sizeof *points);
    if (!points)
        return err_errno(err, ENOMEM, "looking whether a fault bites");
    for (size_t i = 0; i < st->n_lines; i++)
        points[i] = (struct bite_point){st->lines[i].reach, st->lines[i].at, st->lines[i].line};
    nsec lasting = nsec_is_set(st->step->lasting) ? st->step->lasting : NSEC_INF;
    return bite_begin(env, points, st->n_lines, &st->what, lasting, &st->bite, err);
}

static void tell(const struct network_state *st, const struct standing *s,
                 const struct bite_seen *seen, bool measured, struct inject_proof *p)
{
    AUTO_BUF asked = BUF_INIT, text = BUF_INIT;
    impairment_text(&st->what, &asked);
    if (st->what.loss.kind == IMPAIR_LOSS_GILBERT_ELLIOTT ||
        st->what.loss.kind == IMPAIR_LOSS_STATE) {
        buf_adds(&asked, ": ");
        bite_chain_text(&st->what, &asked);
    }
    if (!s->ok)
        buf_adds(&text, buf_text(&s->missing));
    else if (measured)
        bite_text(&st->what, seen, &text);
    else
        buf_printf(&text, "in force at %zu point%s", st->n_lines, st->n_lines == 1 ? "" : "s");
    if (s->ok && measured)
        buf_printf(&text, "; %zu packets of our own along %zu way%s", seen->sent, seen->ways,
                   seen->ways == 1 ? "" : "s");
    if (s->ok && measured && st->n_lines > BITE_WAYS)
        buf_printf(&text, ", a seeded sample of %zu points", st->n_lines);
    if (s->ok)
        buf_printf(&text, "; %llu packets met it so far", (unsigned long long)s->matched);
    if (s->ok && s->overflow)
        buf_printf(&text, ", of which %llu found its queue full", (unsigned long long)s->overflow);
    if (s->ok && s->spared)
        buf_printf(&text, "; %llu more passed unharmed while the engine's process stood still",
                   (unsigned long long)s->spared);
    snprintf(p->asked, sizeof p->asked, "%s", buf_text(&asked));
    snprintf(p->seen, sizeof p->seen, "%s", buf_text(&text));
    snprintf(p->how, sizeof p->how, "%s",
             measured
                 ? "filters, parameters and counters read back at every point; one way, stamped "
                   "where they were sent and by the kernel where they arrived"
                 : "filters, parameters and counters read back");
}

/* The first time packets of our own are sent, which takes a while; then the kernel alone is asked. */
static int network_verify(struct inject_env *env, void *state, struct inject_proof *ret,
                          struct err *err)
{
    struct network_state *st = state;
    struct inject_proof p = {.at = {nsec_now(CLOCK_MONOTONIC), 0}};
    CLEANUP(standing_done) struct standing s = {0};
    struct bite_seen seen = {0};
    look(st, &s);
    /* In a host that others made there is nobody of ours at the other end. */
    if (s.ok && !st->bite && !st->attached) {
        int r = begin_bite(env, st, err);
        if (r < 0)
            return r;
        st->began = p.at.lo;
    }
    bool over = st->bite && bite_is_over(st->bite);
    if (s.ok && !over && !env->decide && !st->attached)
        return INJECT_AGAIN;
    p.ok = s.ok;
    bool first = over && !st->told;
    if (first) {
        p.ok &= bite_tell(st->bite, &seen);
        p.at.lo = st->began;
    }
    st->told |= over;
    tell(st, &s, &seen, first && seen.sent > 0, &p);
    p.at.hi = nsec_now(CLOCK_MONOTONIC);
    *ret = p;
    return 0;
}

static const struct inject_means network_means[] = {
    {"netem", {"netem", "ifb", "cls-bpf", "mirred", NULL}},
    {"user", {"cls-bpf", "mirred", "veth", "packet-socket", NULL}},
    {NULL, {NULL}},
};

/* Devices and programs of ours bear our name (impair_mark()); the rest is what they stand in. */
static void network_touches(const json_t *undo, json_t *ret)
{
    const json_t *record = json_object_get(undo, "attached");
    const char *device = jsonx_str(record, "device", "?");
    if (!record)
        return;
    touch_took(ret, record, "link name=%s", device);
    touch_took(ret, record, "qdisc dev=%s kind=clsact", device);
    if (jsonx_bool(json_object_get(record, "note"), "clsact", true))
        return;
    touch_made(ret, record, "qdisc dev=%s kind=clsact", device);
    touch_unless(ret, "filter dev=%s parent=egress", device);
    touch_unless(ret, "filter dev=%s parent=ingress", device);
}

static const struct injector network_injector = {
    .name = "network",
    .is_fault = true,
    .lasts = true,
    .holds = true,
    .attaches = ATTACH_NETWORK | ATTACH_DEVICE,
    .means = network_means,
    .check = network_check,
    .supported = network_supported,
    .plan = network_plan,
    .prepare = network_prepare,
    .arm = network_arm,
    .apply = network_apply,
    .verify = network_verify,
    .revert = network_revert,
    .touches = network_touches,
    .done = network_done,
    .effect = network_effect,
};

const struct variant inject_network = {
    .name = "network",
    .summary = "Packets are delayed, lost, duplicated, corrupted, reordered, or held to a rate.",
    .detail = "Of the host's traffic only what the scope names is touched; the queues of its "
              "devices stay as they are. By the kernel's netem where it has one, else by "
              "blackstart's own engine. Several may be in force on one host as long as no packet "
              "belongs to two of them.",
    .params = &network_record,
    .impl = &network_injector,
};
