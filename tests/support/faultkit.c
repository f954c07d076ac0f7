/* For tests that inject, see faultkit.h. */
#include "tests/support/faultkit.h"

#include <net/if.h>

#include "injectors/params.h"
#include "sim/base/arena.h"
#include "sim/base/jsonx.h"
#include "sim/kernel/nft.h"
#include "sim/kernel/rtnl.h"

static void serving(struct kit *k, const char *name, const char *addresses)
{
    static char port_80[] = "80";
    struct host *h = kit_host(k, name, addresses);
    kit_unit(k, h, "web", "./server tcp 80");
    kit_ready(k, h)->tcp = port_80;
}

void fault_two_hosts(struct kit *k)
{
    kit_open(k);
    kit_host(k, "a", "10.0.0.1/24 fd00::1/64");
    serving(k, "b", "10.0.0.2/24 fd00::2/64");
    kit_up(k, true);
}

void fault_three_hosts(struct kit *k)
{
    struct inet_prefix vip;
    struct err err = ERR_INIT;
    kit_open(k);
    kit_host(k, "a", "10.0.0.1/24 fd00::1/64");
    serving(k, "b", "10.0.0.2/24 fd00::2/64");
    serving(k, "c", "10.0.0.3/24 fd00::3/64");
    kit_up(k, true);
    struct nl *nl = lab_node_nl(lab_node(k->lab, "b"));
    inet_parse("10.0.0.100/24", &vip, NULL);
    rtnl_address_add(nl, "eth0", &vip);
    kit_ok(nl_flush(nl, &err), &err);
}

char *fault_text(struct kit *k, const char *text)
{
    return arena_strdup(k->s->arena, text);
}

struct step *fault_step(struct kit *k, const char *id, const char *action)
{
    struct step *s = arena_alloc(k->s->arena, sizeof *s);
    s->id = arena_strdup(k->s->arena, id);
    s->lasting = NSEC_UNSET;
    for (const struct variant *const *v = injector_actions; *v; v++)
        if (strcmp((*v)->name, action) == 0)
            s->action = *v;
    assert_non_null(s->action);
    s->params = arena_alloc(k->s->arena, s->action->params->size);
    return s;
}

struct target *fault_target(struct kit *k, const char *host)
{
    struct target *t = arena_alloc(k->s->arena, sizeof *t);
    t->host = arena_strdup(k->s->arena, host);
    return t;
}

void fault_add(struct kit *k, struct objects *list, void *item)
{
    void **items = arena_alloc(k->s->arena, (list->n + 1) * sizeof *items);
    if (list->n > 0)
        memcpy(items, list->items, list->n * sizeof *items);
    items[list->n++] = item;
    list->items = items;
}

struct target *fault_choice(struct kit *k, const char *hosts)
{
    struct target *t = arena_alloc(k->s->arena, sizeof *t);
    struct objects names = {0};
    char *copy = arena_strdup(k->s->arena, hosts), *save;
    for (char *p = strtok_r(copy, " ", &save); p; p = strtok_r(NULL, " ", &save))
        fault_add(k, &names, p);
    t->of = (struct strv){.items = (char **)names.items, .n = names.n};
    return t;
}

void fault_targets(struct kit *k, struct objects *list, const char *hosts)
{
    char *copy = arena_strdup(k->s->arena, hosts), *save;
    for (char *p = strtok_r(copy, " ", &save); p; p = strtok_r(NULL, " ", &save))
        fault_add(k, list, fault_target(k, p));
}

void fault_group(struct kit *k, struct objects *groups, const char *hosts)
{
    struct objects *group = arena_alloc(k->s->arena, sizeof *group);
    fault_targets(k, group, hosts);
    fault_add(k, groups, group);
}

static void on_event(const struct inject_event *e, void *data)
{
    struct fault *f = data;
    assert_int_equal(f->ended, 0);
    if (e->kind == INJECT_COMMAND_START) {
        f->started++;
    } else if (e->kind == INJECT_COMMAND_END) {
        f->commands++;
        f->code = e->code;
        f->timed_out = e->timed_out;
        snprintf(f->output, sizeof f->output, "%.*s", (int)e->output_n, e->output);
    } else {
        f->ended++;
        kit_ok(e->error, e->err);
        f->result = *e->result;
        *e->result = INJECT_RESULT_INIT;
    }
}

static void start_fault(struct kit *k, const struct step *s, struct fault *f)
{
    struct err err = ERR_INIT;
    *f = (struct fault){.step = s, .injector = injector_of(s), .result = INJECT_RESULT_INIT};
    f->rng = rng_stream(7, s->id, 1, 0);
    f->env = (struct inject_env){
        .scenario = k->s, .lab = k->lab, .loop = k->loop, .rng = &f->rng, .run_id = "test"};
    if (f->injector->check)
        kit_ok(f->injector->check(k->s, s, &err), &err);
    kit_ok(f->injector->supported(&f->env, s, &err), &err);
}

void fault_prepare(struct kit *k, const struct step *s, struct fault *f)
{
    struct err err = ERR_INIT;
    start_fault(k, s, f);
    kit_ok(f->injector->prepare(&f->env, s, &f->state, &f->undo, &err), &err);
}

void fault_try(struct kit *k, const struct step *s, struct fault *f)
{
    struct err err = ERR_INIT;
    fault_prepare(k, s, f);
    if (f->injector->apply) {
        kit_ok(f->injector->apply(&f->env, f->state, &f->result, &err), &err);
    } else {
        kit_ok(f->injector->start(&f->env, f->state, on_event, f, &err), &err);
        for (int i = 0; !f->ended && i < 1000; i++)
            kit_turn(k, 5 * NSEC_MSEC);
        assert_int_equal(f->ended, 1);
    }
    assert_true(span_is_set(f->result.at) && f->result.at.lo <= f->result.at.hi);
    if (f->injector->is_fault) { /* an action may find nobody to act on */
        assert_true(json_array_size(f->result.targets) > 0);
        assert_true(json_array_size(f->result.changes) > 0);
    }
    int r = f->injector->verify ? INJECT_AGAIN : 0;
    for (int i = 0; r == INJECT_AGAIN && i < 1000; i++) {
        r = f->injector->verify(&f->env, f->state, &f->proof, &err);
        kit_ok(r, &err);
        if (r == INJECT_AGAIN)
            kit_turn(k, INJECT_AGAIN_EVERY);
    }
    assert_int_equal(r, 0);
}

void fault_begin(struct kit *k, const struct step *s, struct fault *f)
{
    fault_try(k, s, f);
    if (f->injector->verify && !f->proof.ok)
        fail_msg("%s: asked %s; seen %s; by %s", s->id, f->proof.asked, f->proof.seen,
                 f->proof.how);
}

void fault_holds(struct kit *k, struct fault *f)
{
    struct err err = ERR_INIT;
    kit_ok(f->injector->verify(&f->env, f->state, &f->proof, &err), &err);
    if (!f->proof.ok)
        fail_msg("%s: asked %s; seen %s; by %s", f->step->id, f->proof.asked, f->proof.seen,
                 f->proof.how);
}

void fault_refused(struct kit *k, const struct step *s, int code, const char *words)
{
    struct fault f;
    struct err err = ERR_INIT;
    start_fault(k, s, &f);
    void *state = &f; /* poisoned: not written on failure */
    json_t *undo = NULL;
    assert_int_equal(f.injector->prepare(&f.env, s, &state, &undo, &err), code);
    assert_ptr_equal(state, &f);
    assert_null(undo);
    if (!strstr(err.text, words))
        fail_msg("%s: \"%s\" does not say \"%s\"", s->id, err.text, words);
}

void fault_end(struct kit *k, struct fault *f)
{
    struct err err = ERR_INIT;
    f->injector->done(f->state);
    for (int i = 0; f->injector->revert && i < 2; i++) {
        struct inject_result undone = INJECT_RESULT_INIT;
        kit_ok(f->injector->revert(&f->env, f->undo, &undone, &err), &err);
        assert_true(undone.at.lo <= undone.at.hi);
        if (i == 1 && f->step->action->impl && strcmp(f->injector->name, "partition") != 0)
            assert_int_equal(json_array_size(undone.changes), 0);
        inject_result_done(&undone);
    }
    json_decref(f->undo);
    inject_result_done(&f->result);
    f->undo = NULL;
}

static void must_not_be_ours(const char *line, void *data)
{
    if (strstr(line, "blackstart"))
        fail_msg("left behind: %s", line);
}

static void host_is_as_before(struct kit *k, struct lab_node *n)
{
    struct err err = ERR_INIT;
    AUTO_JSON *procs = NULL;
    size_t i;
    json_t *p;
    assert_true(lab_node_is_up(n));
    kit_ok(nft_describe(lab_node_nl(n), must_not_be_ours, NULL, &err), &err);
    kit_ok(lab_node_processes(n, &(struct lab_match){0}, &procs, &err), &err);
    json_array_foreach (procs, i, p)
        assert_true(jsonx_str(p, "state", "?")[0] != 'T');
    for (size_t port = 0; port < lab_node_ports(n); port++) {
        struct rtnl_link link;
        kit_ok(rtnl_link_get(lab_switch_nl(k->lab), lab_node_port_at(n, port), &link, &err), &err);
        assert_true(link.flags & IFF_UP);
    }
}

void fault_nothing_left(struct kit *k)
{
    struct err err = ERR_INIT;
    kit_ok(nft_describe(lab_switch_nl(k->lab), must_not_be_ours, NULL, &err), &err);
    for (size_t i = 0; i < lab_count(k->lab); i++)
        host_is_as_before(k, lab_node_at(k->lab, i));
}
