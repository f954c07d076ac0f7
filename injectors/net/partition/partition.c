/* partition: packets between groups of hosts are lost (drop) or refused (reject).
 *
 * Ownership of the rules: a table of its own for each fault (at the switch, or in each receiving
 * host), named after the step, made with `flags owner`: the kernel removes it with the lab's socket,
 * whoever dies how, and several cuts in force at once never touch each other's rules.
 *
 * Taking effect together: tables are loaded first, with rules that nothing leads to; then one short
 * transaction each brings them into force. So the fault begins between the first and the last of
 * these, however long loading took.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "injectors/actions.h"
#include "injectors/effects.h"
#include "injectors/injector.h"
#include "injectors/net/partition/barrier.h"
#include "injectors/net/partition/connections.h"
#include "injectors/net/partition/crossing.h"
#include "injectors/net/partition/cut.h"
#include "injectors/net/partition/partition.h"
#include "injectors/net/partition/scope.h"
#include "injectors/net/partition/shape.h"
#include "injectors/params.h"
#include "sim/base/jsonx.h"

/* Paths tried by packets of our own; all rules are read back in any case. */
#define PARTITION_TRIES 64
/* A frame passes the switch inside the sender's system call; this is for a machine that is busy. */
#define PARTITION_WAIT (50 * NSEC_MSEC)
#define PARTITION_LOOK_EVERY (500 * NSEC_USEC)

struct partition_state {
    const struct partition_params *params;
    struct barrier *barrier; /* in a host that others made: instead of all that follows */
    char table[CUT_TABLE_MAX];
    struct cut cut;
    struct cut_scope scope;
    const char **hosts; /* whose tables it stands in; NULL: the switch's */
    size_t n_hosts;
    struct connections ended;
    size_t n_awake;  /* tables in force */
    nsec skew;       /* from the first table's waking to the last one's acknowledgement */
    json_t *targets; /* every host that was named or chosen */
    char *how;
    char *text; /* "lb2 | client, db" */
};

static int partition_supported(const struct inject_env *env, const struct step *step,
                               struct err *err)
{
    const struct partition_params *p = step->params;
    return p->host ? barrier_supported(env, p, err) : scope_supported(env, p, err);
}

/* --- Plan ------------------------------------------------------------------------------------- */

static int some_path(const struct cut *c, struct err *err)
{
    if (c->n_pairs + c->n_routes > 0)
        return 0;
    return err_set(err, EINVAL, "these hosts share no network and no router: nothing to cut");
}

/* Where its tables stand. */
static int hosts_of(const struct cut *c, const struct cut_scope *s, const char ***ret,
                    size_t *ret_n, struct err *err)
{
    size_t max = c->ports.n;
    const char **list = calloc(max + 1, sizeof *list);
    if (!list)
        return err_errno(err, ENOMEM, "preparing a partition");
    *ret_n = cut_is_at_switch(s) ? 1 : cut_receivers(c, list, max);
    *ret = list;
    return 0;
}

enum recorded { RECORD_LOAD, RECORD_WAKE, RECORD_UNDO };

/* The same functions as apply (or revert), into a recording. */
static int record_cut(const struct cut *c, const struct cut_scope *s, const char *table,
                      enum recorded what, struct nl *rec, struct err *err)
{
    AUTO_FREE const char **hosts = NULL;
    size_t n = 0;
    int r = hosts_of(c, s, &hosts, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        AUTO_BUF where = BUF_INIT;
        CLEANUP(nl_free_p) struct nl *nl = NULL;
        if (hosts[i])
            buf_printf(&where, "host %s", hosts[i]);
        else
            buf_adds(&where, "switch");
        r = nl_derive(rec, -1, buf_text(&where), &nl, err);
        struct cut_place at = {hosts[i], nl, table};
        if (r == 0)
            r = what == RECORD_LOAD   ? cut_load(c, s, &at, err)
                : what == RECORD_WAKE ? cut_wake(&at, err)
                                      : cut_remove(&at, err);
    }
    return r;
}

static int plan_messages(const struct scenario *s, const struct partition_params *p,
                         const char *table, json_t *texts, struct err *err)
{
    CLEANUP(topo_free_p) struct topo *topo = NULL;
    CLEANUP(nl_free_p) struct nl *rec = NULL;
    AUTO_SHAPE shape = SHAPE_INIT;
    AUTO_CUT cut = {0};
    struct inject_env env = {.scenario = s};
    int r = topo_new(s, &topo, err);
    if (r == 0)
        r = shape_find(&env, p, &shape, err);
    if (r < 0)
        return r;
    shape_cut(topo, &shape, &cut);
    r = nl_open_recording("switch", &rec, err);
    struct cut_scope scope = scope_of(p);
    if (r == 0)
        r = record_cut(&cut, &scope, table, RECORD_LOAD, rec, err);
    if (r == 0)
        r = record_cut(&cut, &scope, table, RECORD_WAKE, rec, err);
    if (r < 0)
        return r;
    ports_plan_messages(rec, 0, "", texts);
    size_t applied = nl_recorded(rec);
    r = record_cut(&cut, &scope, table, RECORD_UNDO, rec, err);
    if (r < 0)
        return r;
    json_array_append_new(texts, json_string(INJECT_PLAN_UNDO));
    ports_plan_messages(rec, applied, "", texts);
    return 0;
}

/* Where all hosts are named plainly, the paths are known before. */
static int check_paths(const struct scenario *s, const struct partition_params *p, struct err *err)
{
    CLEANUP(topo_free_p) struct topo *topo = NULL;
    AUTO_SHAPE shape = SHAPE_INIT;
    AUTO_CUT cut = {0};
    struct inject_env env = {.scenario = s};
    /* Unknown hosts and impossible addresses are reported where they stand. */
    if (topo_new(s, &topo, NULL) < 0 || shape_find(&env, p, &shape, NULL) < 0)
        return 0;
    shape_cut(topo, &shape, &cut);
    return some_path(&cut, err);
}

static int partition_check(const struct scenario *s, const struct step *step, struct err *err)
{
    const struct partition_params *p = step->params;
    if (p->host)
        return barrier_check(s, p, err);
    if (p->peers.n)
        return err_set(err, EINVAL, "'peers' goes with 'host', a host that others made");
    const struct host *attached;
    if (step_attached(s, step, &attached, 1))
        return err_set(err, EINVAL,
                       "%s was made by others: it is cut by 'host: %s' with 'peers: [ADDRESSES]'",
                       attached->name, attached->name);
    int r = shape_check(p, err);
    if (r == 0)
        r = scope_check(p, err);
    return r < 0 || !shape_is_fixed(p) ? r : check_paths(s, p, err);
}

static const char *outcome_of(const struct cut_scope *s)
{
    return s->refuse             ? "refused by the receiving hosts"
           : cut_is_at_switch(s) ? "lost at the switch"
                                 : "lost in the receiving hosts";
}

static int partition_plan(const struct inject_env *env, const struct step *step, json_t *texts,
                          struct err *err)
{
    const struct partition_params *p = step->params;
    if (p->host)
        return barrier_plan(env->scenario, p, step->id, texts, err);
    char table[CUT_TABLE_MAX];
    cut_table_name(step->id, table);
    AUTO_BUF text = BUF_INIT;
    struct cut_scope scope = scope_of(p);
    scope_text(p, &text);
    buf_printf(&text, " %s: ", outcome_of(&scope));
    const char *direction = shape_direction(p);
    bool fixed = shape_is_fixed(p);
    shape_written(p, &text);
    buf_printf(&text, "%s%s; undone by deleting the table %s%s", *direction ? ", " : "", direction,
               table, fixed ? "" : " (its pairs are made when the hosts are chosen)");
    if (p->connections == CUT_SEVER)
        buf_adds(&text,
                 "; existing TCP connections across it are ended in both hosts, which is not "
                 "undone");
    json_array_append_new(texts, json_string(buf_text(&text)));
    return fixed ? plan_messages(env->scenario, p, table, texts, err) : 0;
}

/* --- Prepare, apply --------------------------------------------------------------------------- */

static void partition_done(void *state)
{
    struct partition_state *st = state;
    if (!st)
        return;
    barrier_done(st->barrier);
    cut_done(&st->cut);
    connections_done(&st->ended);
    free(st->hosts);
    json_decref(st->targets);
    free(st->how);
    free(st->text);
    free(st);
}
DEFINE_CLEANUP(void, partition_done);

/* A cut is worth nothing when on every path one end has gone already. */
static int some_path_lives(struct inject_env *env, const struct cut *c, struct err *err)
{
    for (size_t i = 0; i < c->n_pairs + c->n_routes; i++) {
        const struct cut_pair *p = i < c->n_pairs ? &c->pairs[i] : &c->routes[i - c->n_pairs];
        struct lab_node *from = lab_node(env->lab, c->ports.items[p->from].host);
        struct lab_node *to = lab_node(env->lab, c->ports.items[p->to].host);
        if (from && to && lab_node_is_up(from) && lab_node_is_up(to))
            return 0;
    }
    int r = some_path(c, err);
    return r < 0 ? r : err_set(err, ESRCH, "on every path of this cut one end is down already");
}

static json_t *undo_record(const struct partition_state *st)
{
    json_t *tables = json_array();
    for (size_t i = 0; i < st->n_hosts; i++)
        json_array_append_new(
            tables, st->hosts[i] ? json_pack("{s:s, s:s}", "host", st->hosts[i], "table", st->table)
                                 : json_pack("{s:s}", "table", st->table));
    return json_pack("{s:o}", "tables", tables);
}

static int prepare_barrier(struct inject_env *env, const struct step *step, void **ret_state,
                           json_t **ret_undo, struct err *err)
{
    struct barrier *b = NULL;
    int r = barrier_prepare(env, step->params, step->id, &b, ret_undo, err);
    if (r < 0)
        return r;
    struct partition_state *st = calloc(1, sizeof *st);
    if (!st)
        abort();
    st->params = step->params;
    st->barrier = b;
    *ret_state = st;
    return 0;
}

static int partition_prepare(struct inject_env *env, const struct step *step, void **ret_state,
                             json_t **ret_undo, struct err *err)
{
    const struct partition_params *p = step->params;
    AUTO_SHAPE shape = SHAPE_INIT;
    CLEANUP(topo_free_p) struct topo *topo = NULL;
    if (p->host)
        return prepare_barrier(env, step, ret_state, ret_undo, err);
    int r = shape_find(env, p, &shape, err);
    if (r == 0)
        r = topo_new(env->scenario, &topo, err);
    if (r < 0)
        return r;
    struct partition_state *st = calloc(1, sizeof *st);
    if (!st)
        return err_errno(err, ENOMEM, "preparing a partition");
    CLEANUP(partition_done_p) void *owner = st;
    st->params = p;
    st->scope = scope_of(p);
    cut_table_name(step->id, st->table);
    shape_cut(topo, &shape, &st->cut);
    r = some_path_lives(env, &st->cut, err);
    if (r == 0)
        r = hosts_of(&st->cut, &st->scope, &st->hosts, &st->n_hosts, err);
    if (r < 0)
        return r;
    st->targets = json_array();
    for (size_t i = 0; i < shape.n; i++)
        json_array_append_new(st->targets, json_string(shape.hosts[i]));
    st->text = buf_steal(&shape.text);
    st->how = shape.how.len ? buf_steal(&shape.how) : NULL;
    *ret_undo = undo_record(st);
    *ret_state = steal_ptr(owner);
    return 0;
}

/* False: that host is down, and its rules with it: it receives nothing. */
static bool place_of(struct inject_env *env, const struct partition_state *st, size_t i,
                     struct cut_place *ret)
{
    struct lab_node *n = st->hosts[i] ? lab_node(env->lab, st->hosts[i]) : NULL;
    if (st->hosts[i] && !lab_node_is_up(n))
        return false;
    *ret = (struct cut_place){.host = st->hosts[i],
                              .nl = n ? lab_node_nl(n) : lab_switch_nl(env->lab),
                              .table = st->table};
    return true;
}

static json_t *change_text(const struct partition_state *st, const struct cut_place *at)
{
    if (at->host)
        return json_sprintf("host %s: %s, for %s (table inet %s)", at->host,
                            st->scope.refuse ? "refuses" : "loses", st->text, st->table);
    return json_sprintf("switch: %s: %zu port pairs and %zu routes lost (table bridge %s)",
                        st->text, st->cut.n_pairs, st->cut.n_routes, st->table);
}

static int load(struct inject_env *env, struct partition_state *st, json_t *changes,
                struct err *err)
{
    struct cut_place at;
    for (size_t i = 0; i < st->n_hosts; i++) {
        if (!place_of(env, st, i, &at))
            continue;
        int r = cut_load(&st->cut, &st->scope, &at, err);
        if (r < 0)
            return r;
        json_array_append_new(changes, change_text(st, &at));
    }
    return 0;
}

static int wake(struct inject_env *env, struct partition_state *st, struct err *err)
{
    struct cut_place at;
    for (size_t i = 0; i < st->n_hosts; i++) {
        if (!place_of(env, st, i, &at))
            continue;
        int r = cut_wake(&at, err);
        if (r < 0)
            return r;
        st->n_awake++;
    }
    return 0;
}

static int partition_apply(struct inject_env *env, void *state, struct inject_result *ret,
                           struct err *err)
{
    struct partition_state *st = state;
    if (st->barrier)
        return barrier_apply(st->barrier, ret, err);
    AUTO_JSON *changes = json_array();
    int r = load(env, st, changes, err);
    if (r < 0)
        return r;
    struct span at = {nsec_now(CLOCK_MONOTONIC), 0};
    r = wake(env, st, err);
    st->skew = nsec_now(CLOCK_MONOTONIC) - at.lo;
    bool sever = st->params->connections == CUT_SEVER;
    if (r == 0 && sever)
        r = connections_end(env->lab, &st->cut, &st->scope, &st->ended, changes, err);
    at.hi = nsec_now(CLOCK_MONOTONIC);
    if (r == 0 && sever) /* of no effect while it is cut */
        r = connections_forget(env->lab, &st->cut, &st->scope, &st->ended, changes, err);
    if (r < 0)
        return r;
    *ret = (struct inject_result){.at = at,
                                  .targets = json_incref(st->targets),
                                  .changes = json_incref(changes),
                                  .chosen = st->how ? strdup(st->how) : NULL};
    return 0;
}

/* --- Verify ----------------------------------------------------------------------------------- */

/* Sums what all tables of this cut hold. */
static int read_rules(struct inject_env *env, const struct partition_state *st,
                      struct cut_seen *ret, struct err *err)
{
    struct cut_seen all = {0};
    struct cut_place at;
    for (size_t i = 0; i < st->n_hosts; i++) {
        struct cut_seen one = {0};
        if (!place_of(env, st, i, &at))
            continue;
        int r = cut_read(&st->cut, &st->scope, &at, &one, err);
        if (r < 0)
            return r;
        all.asked += one.asked;
        all.found += one.found;
        all.packets += one.packets;
    }
    *ret = all;
    return 0;
}

/* Until the counters have seen as many packets as were sent, or nothing more is to be expected:
 * another fault may lose them before they reach our rule. */
static int wait_for_counters(struct inject_env *env, const struct partition_state *st,
                             uint64_t want, struct cut_seen *seen, struct err *err)
{
    nsec until = nsec_add(nsec_now(CLOCK_MONOTONIC), PARTITION_WAIT);
    for (;;) {
        int r = read_rules(env, st, seen, err);
        if (r < 0 || seen->packets >= want || nsec_now(CLOCK_MONOTONIC) >= until)
            return r;
        struct timespec pause = nsec_to_timespec(PARTITION_LOOK_EVERY);
        nanosleep(&pause, NULL); /* counters raise no event */
    }
}

struct crossed { /* what came of packets of our own */
    size_t tried, arrived, refused;
};

static void say(const struct partition_state *st, const struct cut_seen *before,
                const struct cut_seen *seen, const struct crossed *own, size_t left,
                struct inject_proof *p)
{
    char skew[NSEC_TEXT_MAX];
    AUTO_BUF what = BUF_INIT, b = BUF_INIT;
    scope_text(st->params, &what);
    snprintf(p->asked, sizeof p->asked, "%.120s: %.80s %s (%zu rules)", st->text, buf_text(&what),
             st->scope.refuse ? "refused" : "lost", seen->asked);
    buf_printf(&b, "%zu of %zu rules in force, %llu packets met them", seen->found, seen->asked,
               (unsigned long long)seen->packets);
    if (own->tried > 0)
        buf_printf(&b, "; of %zu of our own %zu arrived, %llu counted", own->tried, own->arrived,
                   (unsigned long long)(seen->packets - before->packets));
    if (own->tried > 0 && st->scope.refuse)
        buf_printf(&b, ", %zu told the sender so", own->refused);
    if (st->params->connections == CUT_SEVER)
        buf_printf(&b, "; of %zu destroyed sockets %zu left, %zu tracked flows forgotten",
                   st->ended.n, left, st->ended.tracked);
    if (cut_is_at_switch(&st->scope))
        buf_printf(&b, "; took effect as one, within %s", nsec_text(st->skew, skew));
    else
        buf_printf(&b, "; took effect on %zu host%s within %s", st->n_awake,
                   st->n_awake == 1 ? "" : "s", nsec_text(st->skew, skew));
    snprintf(p->seen, sizeof p->seen, "%s", buf_text(&b));
    snprintf(p->how, sizeof p->how,
             "rules and counters read back %s; packets of our own sent along the cut paths",
             cut_is_at_switch(&st->scope) ? "at the switch" : "in the hosts");
}

static int partition_verify(struct inject_env *env, void *state, struct inject_proof *ret,
                            struct err *err)
{
    struct partition_state *st = state;
    if (st->barrier)
        return barrier_verify(st->barrier, ret, err);
    CLEANUP(crossing_free_p) struct crossing *x = NULL;
    struct cut_seen before = {0}, seen = {0};
    struct inject_proof p = {.at = {nsec_now(CLOCK_MONOTONIC), 0}};
    struct err gone = ERR_INIT;
    int r = read_rules(env, st, &before, &gone);
    if (r == -ENOENT) { /* somebody took the table away */
        snprintf(p.asked, sizeof p.asked, "the rules of %.120s are in force", st->text);
        snprintf(p.seen, sizeof p.seen, "the table %s is not there", st->table);
        snprintf(p.how, sizeof p.how, "asked nf_tables");
        p.at.hi = nsec_now(CLOCK_MONOTONIC);
        *ret = p;
        return 0;
    }
    if (r < 0) {
        if (err)
            *err = gone;
        return r;
    }
    r = crossing_send(env->lab, &st->cut, &st->scope, PARTITION_TRIES, &x, err);
    if (r == 0)
        r = wait_for_counters(env, st, before.packets + crossing_tried(x), &seen, err);
    if (r < 0)
        return r;
    struct crossed own = {.tried = crossing_tried(x)};
    size_t left = 0;
    crossing_collect(x, &own.arrived, &own.refused);
    r = connections_left(env->lab, &st->ended, &left, err);
    if (r < 0)
        return r;
    say(st, &before, &seen, &own, left, &p);
    p.ok = seen.asked > 0 && seen.found == seen.asked && own.arrived == 0 && left == 0;
    p.at.hi = nsec_now(CLOCK_MONOTONIC);
    *ret = p;
    return 0;
}

/* --- Revert ----------------------------------------------------------------------------------- */

static int remove_table(struct inject_env *env, const json_t *entry, json_t *changes,
                        struct err *err)
{
    const char *host = jsonx_str(entry, "host", NULL), *table = jsonx_str(entry, "table", "");
    struct lab_node *n = host ? lab_node(env->lab, host) : NULL;
    if (host && (!n || !lab_node_is_up(n)))
        return 0; /* its rules went with it */
    struct cut_place at = {host, host ? lab_node_nl(n) : lab_switch_nl(env->lab), table};
    int r = cut_remove(&at, err);
    if (r < 0)
        return r;
    json_array_append_new(changes, host
                                       ? json_sprintf("host %s: table inet %s deleted", host, table)
                                       : json_sprintf("switch: table bridge %s deleted", table));
    return 0;
}

static int partition_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                            struct err *err)
{
    AUTO_JSON *changes = json_array();
    struct span at = {nsec_now(CLOCK_MONOTONIC), 0};
    size_t i;
    const json_t *entry;
    int gone = json_object_get(undo, "barrier") ? barrier_revert(env, undo, changes, err) : 0;
    if (gone != 0)
        return gone;
    if (env->lab)
        json_array_foreach (json_object_get(undo, "tables"), i, entry) {
            int r = remove_table(env, entry, changes, err);
            if (r < 0)
                return r;
        }
    at.hi = nsec_now(CLOCK_MONOTONIC);
    *ret = (struct inject_result){.at = at, .changes = json_incref(changes)};
    return 0;
}

static const struct inject_means partition_means[] = {
    {"drop", {"nft-bridge", NULL}},
    {"reject", {"nft-inet", "nft-reject", NULL}},
    {NULL, {NULL}},
};

static int partition_effect(struct inject_env *env, const struct step *step, struct effects *ret,
                            struct err *err)
{
    const struct partition_params *p = step->params;
    struct effect one = {.kind = EFFECT_CUT, .refused = p->kind == CUT_REJECT};
    if (p->ports.n || (p->protocol > 0 && scope_of(p).protocol != IPPROTO_TCP))
        return effects_too_narrow(step, p->ports.n ? "the ports" : "the packets", err);
    for (size_t i = 0; p->host && i < p->peers.n; i++) {
        one.component = p->host;
        one.peer = p->peers.items[i];
        effects_add(ret, &one);
    }
    if (p->host)
        return 0;
    AUTO_SHAPE shape = SHAPE_INIT;
    int r = shape_find(env, p, &shape, err);
    for (size_t i = 0; r == 0 && shape.around && i < shape.n; i++) {
        one.component = shape.hosts[i];
        for (size_t k = 0; k < env->scenario->hosts.n; k++) {
            one.peer = ((const struct host *)env->scenario->hosts.items[k])->name;
            bool inside = false;
            for (size_t m = 0; m < shape.n; m++)
                inside |= strcmp(shape.hosts[m], one.peer) == 0;
            if (!inside)
                effects_add(ret, &one);
        }
    }
    for (size_t i = 0; r == 0 && !shape.around && i < shape.ways.n; i++) {
        one.component = shape.hosts[shape.ways.ways[i].from];
        one.peer = shape.hosts[shape.ways.ways[i].to];
        effects_add(ret, &one);
    }
    return r;
}

static void partition_touches(const json_t *undo, json_t *ret)
{
    barrier_touches(json_object_get(undo, "barrier"), ret);
}

static const struct injector partition_injector = {
    .name = "partition",
    .is_fault = true,
    .lasts = true,
    .holds = true,
    .means = partition_means,
    .attaches = ATTACH_NETWORK,
    .check = partition_check,
    .supported = partition_supported,
    .plan = partition_plan,
    .prepare = partition_prepare,
    .apply = partition_apply,
    .verify = partition_verify,
    .revert = partition_revert,
    .touches = partition_touches,
    .done = partition_done,
    .effect = partition_effect,
};

const struct variant inject_partition = {
    .name = "partition",
    .summary = "Cuts hosts from each other: groups, halves, a ring, or any single ways.",
    .detail = "drop works on the switch's ports, so virtual addresses, ARP and multicast are cut "
              "too; hosts that share no network are cut by their declared addresses. Several "
              "partitions may be in force at once.",
    .params = &partition_record,
    .impl = &partition_injector,
};
