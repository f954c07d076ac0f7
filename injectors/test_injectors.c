/* The catalogue of actions is whole, says what is wrong before anything is touched, plans in words
 * and sends exactly the messages it plans.
 */
#include "tests/support/test.h"

#include <errno.h>
#include <netinet/in.h>

#include "injectors/injector.h"
#include "injectors/net/partition/cut.h"
#include "injectors/params.h"
#include "sim/base/arena.h"
#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/base/units.h"
#include "sim/kernel/nl_expect.h"
#include "tests/support/faultkit.h"

/* --- Tables -------------------------------------------------------------------------------------
 */

static void a_default_fits(const struct record *r, const struct field *f)
{
    nsec d;
    int64_t n;
    struct err err = ERR_INIT;
    if (!f->dflt)
        return;
    if (f->type == FIELD_DURATION) {
        kit_ok(units_duration(f->dflt, &d, &err), &err);
        assert_true(d >= f->min && d <= f->max);
    } else if (f->type == FIELD_INTEGER) {
        kit_ok(units_integer(f->dflt, &n, &err), &err);
        assert_true(n >= f->min && n <= f->max);
    } else if (f->type == FIELD_SIZE) {
        kit_ok(units_size(f->dflt, &n, &err), &err);
        assert_true(n >= f->min && n <= f->max);
    } else if (f->type == FIELD_WORD) {
        bool known = !f->dflt[0]; /* "": absent is a state of its own */
        for (const char *const *w = f->words; *w; w++)
            known |= strcmp(*w, f->dflt) == 0;
        assert_true(known);
    } else if (f->type == FIELD_PERCENT) {
        double share;
        kit_ok(units_percent(f->dflt, &share, &err), &err);
    } else if (f->type == FIELD_BOOL) {
        assert_true(strcmp(f->dflt, "true") == 0 || strcmp(f->dflt, "false") == 0);
    } else {
        fail_msg("%s.%s has a default of a type that is not tested", r->name, f->key);
    }
}

static void a_record_is_whole(const struct record *r)
{
    bool shorthand = !r->shorthand;
    assert_true(r->size > 0 && r->summary && r->summary[0]);
    for (const struct field *f = r->fields; f->key; f++) {
        size_t len = f->help ? strlen(f->help) : 0;
        if (len < 10 || f->help[len - 1] != '.')
            fail_msg("%s.%s has no sentence of help", r->name, f->key);
        assert_true(f->offset < r->size);
        for (const struct field *g = r->fields; g != f; g++) {
            assert_string_not_equal(g->key, f->key);
            assert_true(g->offset != f->offset);
        }
        bool number = f->type == FIELD_INTEGER || f->type == FIELD_DURATION ||
                      f->type == FIELD_RATE || f->type == FIELD_SIZE;
        if (number && f->min >= f->max)
            fail_msg("%s.%s has no bounds", r->name, f->key);
        if (f->type == FIELD_WORD)
            assert_non_null(f->words);
        if (f->type == FIELD_OBJECT || f->type == FIELD_OBJECTS || f->type == FIELD_GROUPS)
            assert_non_null(f->record);
        if (f->type == FIELD_OBJECT && f->record != &target_record)
            a_record_is_whole(f->record);
        if (f->type == FIELD_REF)
            assert_true(f->ref != REF_NONE);
        if (!f->example || !f->example[0])
            fail_msg("%s.%s has no example", r->name, f->key);
        a_default_fits(r, f);
        shorthand |= r->shorthand && strcmp(r->shorthand, f->key) == 0;
    }
    assert_true(shorthand);
}

static void the_catalogue_is_whole(void **state)
{
    size_t n = 0;
    for (const struct variant *const *v = injector_actions; *v; v++, n++) {
        const struct injector *i = (*v)->impl;
        if (v > injector_actions)
            assert_true(strcmp(v[-1]->name, v[0]->name) < 0);
        assert_string_equal((*v)->name, i->name);
        assert_string_equal((*v)->params->name, i->name);
        assert_true((*v)->summary && strlen((*v)->summary) < 100);
        assert_true((*v)->detail && strlen((*v)->detail) > 60);
        assert_non_null(i->supported);
        assert_non_null(i->plan);
        assert_non_null(i->prepare);
        assert_non_null(i->done);
        assert_true((i->apply != NULL) != (i->start != NULL));
        assert_true(i->revert || !i->lasts);
        assert_true(!i->revert || i->lasts || i->attaches);
        assert_true(i->verify || !i->is_fault);
        assert_true(i->is_fault || !i->lasts);
        assert_true(!i->holds || (i->verify && i->lasts));
        a_record_is_whole((*v)->params);
        i->done(NULL);
    }
    assert_true(n >= 12);
}

/* --- Scenarios made by hand ---------------------------------------------------------------------
 */

/* a, b, c on one network (b starts "web"), r between it and another on which d is. */
static void shape(struct kit *k)
{
    kit_open(k);
    kit_network(k, "front", "10.1.0.0/24", "fd01::/64", "r");
    kit_network(k, "back", "10.2.0.0/24", NULL, "r");
    kit_host(k, "a", "10.1.0.2 fd01::2");
    kit_unit(k, kit_host(k, "b", "10.1.0.3"), "web", "nginx -p .");
    kit_host(k, "c", "10.1.0.4");
    kit_host(k, "r", "10.1.0.1 10.2.0.1");
    kit_host(k, "d", "10.2.0.2");
}

static void must_say(struct kit *k, const struct step *s, const char *words)
{
    struct err err = ERR_INIT;
    int r = injector_of(s)->check(k->s, s, &err);
    if (!words) {
        kit_ok(r, &err);
        return;
    }
    assert_int_equal(r, -EINVAL);
    if (!strstr(err.text, words))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

static char *text_of(struct kit *k, const char *s)
{
    return arena_strdup(k->s->arena, s);
}

static void targets_that_make_no_sense_are_refused(void **state)
{
    static struct kit k;
    shape(&k);
    struct step *s = fault_step(&k, "s", "node-kill");
    struct node_kill_params *p = s->params;
    p->host = fault_choice(&k, "a b");
    must_say(&k, s, "names no host");
    p->host->any = 3;
    must_say(&k, s, "any 3 of 2 hosts");
    p->host->any = 2;
    must_say(&k, s, NULL);
    p->host->leader = text_of(&k, "true");
    must_say(&k, s, "one of a name, 'any' and 'leader'");
    p->host->any = 0;
    must_say(&k, s, NULL);
    p->host->of.n = 0;
    must_say(&k, s, "needs its candidates");
    p->host = fault_choice(&k, "a b a");
    p->host->any = 1;
    must_say(&k, s, "lists a twice");
    p->host = fault_target(&k, "a");
    must_say(&k, s, NULL);
    p->host->of = fault_choice(&k, "b")->of;
    must_say(&k, s, "names a host and candidates");
    kit_close(&k);
}

static void process_rules_are_checked(void **state)
{
    static struct kit k;
    shape(&k);
    struct step *s = fault_step(&k, "s", "kill");
    struct kill_params *p = s->params;
    p->whom.host = fault_target(&k, "b");
    must_say(&k, s, NULL);
    p->whom.unit = text_of(&k, "web");
    must_say(&k, s, NULL);
    p->whom.pid = 7;
    must_say(&k, s, "one of 'process', 'unit' and 'pid'");
    p->whom.pid = 0;
    p->whom.unit = text_of(&k, "wep");
    must_say(&k, s, "host 'b' starts no unit 'wep' (it starts web)");
    p->whom.host = fault_choice(&k, "a b");
    p->whom.host->any = 1;
    p->whom.unit = text_of(&k, "web");
    must_say(&k, s, "host 'a' starts no unit 'web' (it starts nothing)");
    kit_close(&k);
}

static void cables_and_cuts_are_checked(void **state)
{
    static struct kit k;
    shape(&k);
    struct step *s = fault_step(&k, "s", "link");
    struct link_params *l = s->params;
    struct link_flap flap = {NSEC_SEC, NSEC_SEC};
    l->host = fault_target(&k, "a");
    must_say(&k, s, "one of 'down: true' and 'flap");
    l->down = true;
    must_say(&k, s, NULL);
    l->flap = &flap;
    must_say(&k, s, "one of 'down: true' and 'flap");
    l->down = false;
    l->network = text_of(&k, "back");
    must_say(&k, s, "host 'a' has no address on network 'back'");
    l->network = text_of(&k, "front");
    must_say(&k, s, NULL);

    s = fault_step(&k, "s", "partition");
    struct partition_params *p = s->params;
    must_say(&k, s, "one of 'cut");
    fault_group(&k, &p->cut, "a");
    must_say(&k, s, "at least two groups");
    fault_group(&k, &p->cut, "b a");
    must_say(&k, s, "host 'a' stands in 'cut' more than once");
    p->cut.n = 1;
    fault_group(&k, &p->cut, "b");
    must_say(&k, s, NULL);
    p->direction = CUT_FORWARD;
    must_say(&k, s, NULL);
    fault_group(&k, &p->cut, "c");
    must_say(&k, s, "'direction: forward' goes from the first group to the second; there are 3");
    p->direction = CUT_BOTH;
    must_say(&k, s, NULL);
    fault_group(&k, &p->cut, "");
    must_say(&k, s, "group 4 of 'cut' is empty");
    p->cut.n = 3;
    fault_targets(&k, &p->isolate, "d");
    must_say(&k, s, "one of 'cut");
    p->cut.n = 0;
    must_say(&k, s, NULL);
    fault_targets(&k, &p->isolate, "a b c r");
    must_say(&k, s, "nothing to cut"); /* there are no others */
    kit_close(&k);
}

/* --- Choosing -----------------------------------------------------------------------------------
 */

static void a_draw_depends_on_the_seed_alone(void **state)
{
    static struct kit k;
    shape(&k);
    struct target *t = fault_choice(&k, "a b c d");
    size_t hits[4] = {0};
    t->any = 2;
    for (uint64_t seed = 0; seed < 400; seed++) {
        const char *first[4], *again[4];
        size_t n = 0, m = 0;
        AUTO_FREE char *how = NULL, *how2 = NULL;
        for (int twice = 0; twice < 2; twice++) {
            struct rng rng = rng_stream(seed, "step", 1, 0);
            struct inject_env env = {.scenario = k.s, .rng = &rng};
            assert_int_equal(inject_choose(&env, t, twice ? again : first, 4, twice ? &m : &n,
                                           twice ? &how2 : &how, NULL),
                             0);
        }
        assert_int_equal(n, 2);
        assert_int_equal(m, 2);
        assert_ptr_not_equal(first[0], first[1]);
        assert_string_equal(how, how2);
        for (size_t i = 0; i < 2; i++) {
            assert_ptr_equal(first[i], again[i]);
            hits[first[i][0] - 'a']++;
        }
    }
    for (size_t i = 0; i < 4; i++) /* 200 expected, standard deviation 10 */
        assert_true(hits[i] > 150 && hits[i] < 250);
    kit_close(&k);
}

static void plain_targets_and_too_many(void **state)
{
    static struct kit k;
    shape(&k);
    struct rng rng = rng_stream(1, "s", 0, 0);
    struct inject_env env = {.scenario = k.s, .rng = &rng};
    const char *host = "poison";
    size_t n = 42;
    char *how = &(char){'x'};
    struct err err = ERR_INIT;
    assert_int_equal(inject_choose(&env, fault_target(&k, "nope"), &host, 1, &n, &how, &err),
                     -ENOENT);
    struct target *t = fault_choice(&k, "a b");
    t->any = 2;
    assert_int_equal(inject_choose(&env, t, &host, 1, &n, &how, &err), -E2BIG);
    assert_string_equal(host, "poison");
    assert_int_equal(n, 42);
    assert_int_equal(inject_choose(&env, fault_target(&k, "b"), &host, 1, &n, &how, &err), 0);
    assert_string_equal(host, "b");
    assert_int_equal(n, 1);
    assert_null(how);
    kit_close(&k);
}

/* --- Cuts ---------------------------------------------------------------------------------------
 */

static void list_paths(const struct cut *c, const struct cut_pair *pairs, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s%s>%s", i ? " " : "", c->ports.items[pairs[i].from].name,
                   c->ports.items[pairs[i].to].name);
}

struct member {
    const char *host;
    size_t group;
};

static void cut_groups(const struct topo *topo, const struct member *m, size_t n, bool around,
                       bool forward, bool backward, struct cut *ret)
{
    const char *hosts[8];
    size_t group[8];
    AUTO_GRUDGE ways = {0};
    for (size_t i = 0; i < n; i++) {
        hosts[i] = m[i].host;
        group[i] = m[i].group;
    }
    grudge_between(group, n, forward, backward, &ways);
    if (around)
        cut_around(topo, hosts, n, forward, backward, ret);
    else
        cut_along(topo, hosts, n, &ways, ret);
}

static void must_cut(struct kit *k, const struct member *m, size_t n, bool around, bool forward,
                     bool backward, const char *pairs, const char *routes)
{
    CLEANUP(topo_free_p) struct topo *topo = NULL;
    AUTO_CUT cut = {0};
    struct err err = ERR_INIT;
    kit_ok(topo_new(k->s, &topo, &err), &err);
    cut_groups(topo, m, n, around, forward, backward, &cut);
    AUTO_BUF a = BUF_INIT, b = BUF_INIT;
    list_paths(&cut, cut.pairs, cut.n_pairs, &a);
    list_paths(&cut, cut.routes, cut.n_routes, &b);
    assert_string_equal(buf_text(&a), pairs);
    assert_string_equal(buf_text(&b), routes);
}

static void a_cut_is_a_list_of_port_pairs(void **state)
{
    static struct kit k;
    shape(&k);
    const struct member two[] = {{"a", 0}, {"b", 1}, {"c", 1}}, far[] = {{"a", 0}, {"d", 1}},
                        three[] = {{"a", 0}, {"b", 1}, {"c", 2}};
    must_cut(&k, two, 3, false, true, false, "a.front>b.front a.front>c.front", "");
    must_cut(&k, two, 3, false, false, true, "b.front>a.front c.front>a.front", "");
    must_cut(&k, two, 3, false, true, true,
             "a.front>b.front a.front>c.front b.front>a.front c.front>a.front", "");
    must_cut(&k, three, 3, false, true, true,
             "a.front>b.front a.front>c.front b.front>a.front b.front>c.front c.front>a.front "
             "c.front>b.front",
             "");
    must_cut(&k, far, 2, false, true, true, "", "a.front>d.back d.back>a.front");
    must_cut(&k, far, 1, true, true, false, "a.front>b.front a.front>c.front a.front>r.front", "");
    must_cut(&k, two, 2, true, false, true,
             "c.front>a.front c.front>b.front r.front>a.front r.front>b.front", "");
    kit_close(&k);
}

/* What a recording holds, a line each. */
static char *recorded(const struct nl *rec)
{
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < nl_recorded(rec); i++)
        buf_printf(&b, "%s: %s\n", nl_recorded_at(rec, i).where, nl_recorded_at(rec, i).text);
    return buf_steal(&b);
}

static void make_cut(struct kit *k, const char *from, const char *to, struct cut *ret)
{
    CLEANUP(topo_free_p) struct topo *topo = NULL;
    struct err err = ERR_INIT;
    const struct member m[] = {{from, 0}, {to, 1}};
    kit_ok(topo_new(k->s, &topo, &err), &err);
    cut_groups(topo, m, 2, false, true, false, ret);
}

/* The recorded texts become expectations; the transaction then fails as the kernel might. */
static void a_failed_cut_leaves_nothing(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    const struct cut_scope all = {0};
    shape(&k);
    AUTO_CUT cut = {0};
    make_cut(&k, "a", "b", &cut);
    CLEANUP(nl_free_p) struct nl *rec = NULL, *nl = NULL;
    kit_ok(nl_open_recording("switch", &rec, &err), &err);
    struct cut_place at = {NULL, rec, "blackstart-x"};
    kit_ok(cut_load(&cut, &all, &at, &err), &err);
    size_t n = nl_recorded(rec);
    assert_true(n >= 4); /* table, chain, set, its rule, elements */
    kit_ok(cut_remove(&at, &err), &err);
    kit_ok(nl_open_expecting("switch", &nl, &err), &err);
    for (size_t i = 0; i < n; i++)
        nl_expect(nl, NULL, nl_recorded_at(rec, i).text, i == n - 1 ? ENOSPC : 0, NULL);
    nl_expect(nl, NULL, nl_recorded_at(rec, n).text, 0, NULL); /* taken away again */
    at.nl = nl;
    assert_int_equal(cut_load(&cut, &all, &at, &err), -ENOSPC);
    kit_ok(nl_expect_end(nl, &err), &err);
    kit_close(&k);
}

static void somebody_elses_table_is_not_touched(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    const struct cut_scope all = {0};
    shape(&k);
    AUTO_CUT cut = {0};
    make_cut(&k, "a", "b", &cut);
    CLEANUP(nl_free_p) struct nl *rec = NULL, *nl = NULL;
    kit_ok(nl_open_recording("switch", &rec, &err), &err);
    struct cut_place at = {NULL, rec, "blackstart-x"};
    kit_ok(cut_load(&cut, &all, &at, &err), &err);
    kit_ok(nl_open_expecting("switch", &nl, &err), &err);
    nl_expect(nl, NULL, nl_recorded_at(rec, 0).text, EEXIST, NULL);
    at.nl = nl;
    assert_int_equal(cut_load(&cut, &all, &at, &err), -EEXIST);
    kit_ok(nl_expect_end(nl, &err), &err);
    kit_close(&k);
}

static void removing_what_is_gone_is_fine(void **state)
{
    struct err err = ERR_INIT;
    CLEANUP(nl_free_p) struct nl *rec = NULL, *nl = NULL;
    kit_ok(nl_open_recording("switch", &rec, &err), &err);
    struct cut_place at = {"b", rec, "blackstart-x"};
    kit_ok(cut_remove(&at, &err), &err);
    assert_int_equal(nl_recorded(rec), 1);
    kit_ok(nl_open_expecting("switch", &nl, &err), &err);
    nl_expect(nl, NULL, nl_recorded_at(rec, 0).text, ENOENT, NULL);
    nl_expect(nl, NULL, nl_recorded_at(rec, 0).text, EPERM, NULL);
    at.nl = nl;
    kit_ok(cut_remove(&at, &err), &err);
    assert_int_equal(cut_remove(&at, &err), -EPERM);
    kit_ok(nl_expect_end(nl, &err), &err);
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, word)); p++)
        n++;
    return n;
}

/* Loads a→b, and d→b by way of the router, and woken; as texts. */
static char *loaded(struct kit *k, const struct cut_scope *s, const char *host)
{
    CLEANUP(topo_free_p) struct topo *topo = NULL;
    struct err err = ERR_INIT;
    AUTO_CUT cut = {0};
    CLEANUP(nl_free_p) struct nl *rec = NULL;
    const struct member m[] = {{"a", 0}, {"d", 0}, {"b", 1}};
    kit_ok(topo_new(k->s, &topo, &err), &err);
    cut_groups(topo, m, 3, false, true, false, &cut);
    kit_ok(nl_open_recording("here", &rec, &err), &err);
    struct cut_place at = {host, rec, "blackstart-x"};
    kit_ok(cut_load(&cut, s, &at, &err), &err);
    kit_ok(cut_wake(&at, &err), &err);
    return recorded(rec);
}

static void a_refusing_host_lets_refusals_pass(void **state)
{
    static struct kit k;
    shape(&k);
    AUTO_FREE char *text = loaded(&k, &(struct cut_scope){.refuse = true}, "b");
    /* seven let pass, two refuse neighbours and two those afar, two hooks lead to them */
    assert_int_equal(count(text, "rule append"), 13);
    assert_int_equal(count(text, "[reject "), 4);
    assert_int_equal(count(text, "(code=accept)"), 7);
    /* the link layer's header: whatever address the neighbour uses */
    assert_int_equal(count(text, "base=link offset=6 len=6]"), 2);
    kit_close(&k);
}

/* The last messages lead from the hooks to the rules; before them nothing does. */
static void a_cut_sleeps_until_it_is_whole(void **state)
{
    static struct kit k;
    shape(&k);
    for (int at_host = 0; at_host < 2; at_host++) {
        AUTO_FREE char *text =
            loaded(&k, &(struct cut_scope){.refuse = at_host}, at_host ? "b" : NULL);
        const char *awake = strstr(text, at_host ? "rule append inet table=blackstart-x chain=in "
                                                 : "rule append bridge table=blackstart-x "
                                                   "chain=forward ");
        size_t hooks = at_host ? 2 : 1;
        assert_non_null(awake);
        assert_int_equal(count(text, "hook="), hooks);
        assert_int_equal(count(awake, "hook="), 0);
        assert_int_equal(count(text, "(code=-3 chain=cut)"), hooks); /* NFT_JUMP */
        assert_int_equal(count(awake, "(code=-3 chain=cut)"), hooks);
        assert_int_equal(count(awake, "nft "), hooks - 1);
    }
    kit_close(&k);
}

/* What each scope asks of packets: "tcp dport 80; …", for one chain and the neighbours' set. */
static void patterns_of_scopes(void **state)
{
    static struct kit k;
    struct port_range one = {80, 80}, range = {8000, 8010};
    const struct {
        struct cut_scope scope;
        const char *host;
        size_t rules; /* for both sets, near and far; and what passes, and the hooks */
        const char *words[4];
    } known[] = {
        {{0}, NULL, 2 + 1, {"(code=drop)"}},
        {{.protocol = IPPROTO_UDP},
         NULL,
         2 + 1,
         {"key=l4proto dreg=1][cmp sreg=1 op=eq data=(value=0x11"}},
        {{.protocol = IPPROTO_ICMP},
         NULL,
         4 + 4 + 1,
         {"(value=0x3a)", "(value=0x01)", "(value=0x87)"}},
        {{.protocol = IPPROTO_TCP, .ports = {&one, 1}},
         NULL,
         4 + 1,
         {"offset=0 len=2][cmp sreg=1 op=eq data=(value=0x0050)]",
          "offset=2 len=2][cmp sreg=1 op=eq data=(value=0x0050)]"}},
        {{.ports = {&range, 1}},
         NULL,
         3 * 4 + 1,
         {"op=gte data=(value=0x1f40)][cmp sreg=1 op=lte data=(value=0x1f4a)]", "(value=0x84)"}},
        {{.new_only = true}, "b", 2 + 1 + 2 + 2, {"mask=(value=0x17)", "[ct key=state"}},
        {{.new_only = true, .protocol = IPPROTO_TCP, .ports = {&one, 1}},
         "b",
         2 + 2,
         {"mask=(value=0x17)", "offset=2 len=2]"}},
        {{.new_only = true, .refuse = true, .protocol = IPPROTO_UDP},
         "b",
         7 + 2 + 2,
         {"[ct key=state", "[reject type=icmpx"}},
    };
    shape(&k);
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        AUTO_FREE char *text = loaded(&k, &known[i].scope, known[i].host);
        if (count(text, "rule append") != known[i].rules)
            fail_msg("%zu: not %zu rules:\n%s", i, known[i].rules, text);
        for (size_t w = 0; w < 4 && known[i].words[w]; w++)
            if (!strstr(text, known[i].words[w]))
                fail_msg("%zu: no %s in\n%s", i, known[i].words[w], text);
        assert_int_equal(cut_is_at_switch(&known[i].scope), !known[i].host);
    }
    kit_close(&k);
}

/* --- Plans --------------------------------------------------------------------------------------
 */

static const char *planned(struct kit *k, const struct step *s, size_t at)
{
    static char text[1024];
    AUTO_JSON *texts = json_array();
    struct err err = ERR_INIT;
    struct inject_env env = {.scenario = k->s};
    kit_ok(injector_of(s)->plan(&env, s, texts, &err), &err);
    snprintf(text, sizeof text, "%s",
             at < json_array_size(texts) ? json_string_value(json_array_get(texts, at)) : "");
    return text;
}

static void plans_of_process_faults_are_sentences(void **state)
{
    static struct kit k;
    shape(&k);
    struct step *s = fault_step(&k, "s", "kill");
    struct kill_params *kill = s->params;
    kill->whom.host = fault_target(&k, "b");
    kill->whom.process = text_of(&k, "nginx");
    kill->whom.expect = 2;
    assert_string_equal(planned(&k, s, 0),
                        "host b: SIGKILL to process nginx, which must be 2; undone by starting "
                        "again the commands that it ended");
    assert_string_equal(planned(&k, s, 1), "  host b: SIGKILL to each: process nginx");
    assert_string_equal(planned(&k, s, 2), "to undo that:");
    assert_string_equal(planned(&k, s, 3), "  host b: if it ended: start web: nginx -p .");
    kill->whom.expect = 0;
    kill->signal = 1;
    assert_string_equal(planned(&k, s, 0),
                        "host b: SIGTERM to process nginx; undone by starting again the commands "
                        "that it ended");
    s = fault_step(&k, "s", "node-kill");
    struct node_kill_params *node = s->params;
    node->host = fault_choice(&k, "a b");
    node->host->any = 1;
    assert_string_equal(planned(&k, s, 0),
                        "host any 1 of a, b (drawn from the seed): its ports at the switch down, "
                        "then SIGKILL to its init, which ends every process in it; undone by "
                        "powering it on again");
    assert_string_equal(planned(&k, s, 1), "  switch: if a is chosen: link set down name=a.front");
    assert_string_equal(planned(&k, s, 2), "  host a: if a is chosen: SIGKILL to its init");
    assert_string_equal(planned(&k, s, 4), "  switch: if b is chosen: link set down name=b.front");
    s = fault_step(&k, "s", "stop");
    ((struct stop_params *)s->params)->whom.host = fault_target(&k, "a");
    assert_string_equal(planned(&k, s, 0),
                        "host a: SIGSTOP to every process; undone by SIGCONT to the same");
    assert_string_equal(planned(&k, s, 1), "  host a: SIGSTOP to each: every process");
    assert_string_equal(planned(&k, s, 3), "  host a: SIGCONT to each of the same");
    s = fault_step(&k, "s", "run");
    struct run_params *run = s->params;
    run->host = fault_target(&k, "a");
    run->command = text_of(&k, "./promote.sh");
    run->role = text_of(&k, "dba");
    run->timeout = 30 * NSEC_SEC;
    assert_string_equal(planned(&k, s, 0),
                        "host a: /bin/sh -c './promote.sh', for at most 30 s, as "
                        "dba would; not undone");
    assert_string_equal(planned(&k, s, 1), "  host a: run: /bin/sh -c './promote.sh'");
    assert_string_equal(planned(&k, s, 2), "  host a: if it takes longer than 30 s: SIGKILL to the "
                                           "command './promote.sh'");
    kit_close(&k);
}

static void plans_of_network_faults_are_messages(void **state)
{
    static struct kit k;
    shape(&k);
    struct step *s = fault_step(&k, "pull", "link");
    struct link_params *l = s->params;
    l->host = fault_target(&k, "r");
    l->down = true;
    l->network = text_of(&k, "back");
    assert_string_equal(planned(&k, s, 0), "host r: its port at the switch down (network back); "
                                           "undone by setting it up");
    assert_string_equal(planned(&k, s, 1), "  switch: link set down name=r.back");
    assert_string_equal(planned(&k, s, 2), "to undo that:");
    assert_string_equal(planned(&k, s, 3), "  switch: link set up name=r.back");
    assert_string_equal(planned(&k, s, 4), "");
    s = fault_step(&k, "split", "partition");
    struct partition_params *p = s->params;
    fault_group(&k, &p->cut, "a");
    fault_group(&k, &p->cut, "b c");
    p->direction = CUT_FORWARD;
    assert_string_equal(
        planned(&k, s, 0),
        "every packet lost at the switch: a | b, c, only what the first send; undone by "
        "deleting the table blackstart-split");
    assert_non_null(strstr(planned(&k, s, 1), "  switch: "));
    assert_non_null(strstr(planned(&k, s, 1), "blackstart-split"));
    AUTO_BUF all = BUF_INIT;
    for (size_t i = 1; planned(&k, s, i)[0]; i++)
        buf_adds(&all, planned(&k, s, i));
    assert_non_null(strstr(buf_text(&all), "a.front.b.front"));
    assert_non_null(strstr(buf_text(&all), "a.front.c.front"));
    assert_null(strstr(buf_text(&all), "b.front.a.front"));
    struct target *leader = fault_choice(&k, "a b c");
    leader->leader = text_of(&k, "am-i-it");
    p->cut.n = 0;
    fault_add(&k, &p->isolate, leader);
    assert_string_equal(
        planned(&k, s, 0),
        "every packet lost at the switch: the one of a, b, c on which `am-i-it` exits 0 "
        "at that moment | all others, only what the first send; undone by deleting "
        "the table blackstart-split (its pairs are made when the hosts are chosen)");
    assert_string_equal(planned(&k, s, 1), "");
    kit_close(&k);
}

/* --- Undo of a dead run -------------------------------------------------------------------------
 */

static void what_was_a_labs_is_gone_with_it(void **state)
{
    static const char *const undos[] = {
        "{\"hosts\":[{\"host\":\"a\",\"units\":[\"web\"]}]}",
        "{\"hosts\":[{\"host\":\"a\",\"procs\":[{\"pid\":7,\"start\":9}]}]}",
        "{\"hosts\":[\"a\"]}",
        "{\"ports\":[{\"host\":\"a\",\"port\":\"a\"}]}",
        "{\"tables\":[{\"table\":\"blackstart-x\"},{\"host\":\"b\",\"table\":\"blackstart-x\"}]}",
        "{}",
        "{\"hosts\":7,\"ports\":[1],\"tables\":{}}",
    };
    struct inject_env env = {.run_id = "dead"};
    for (const struct variant *const *v = injector_actions; *v; v++) {
        const struct injector *i = (*v)->impl;
        for (size_t u = 0; i->revert && u < ARRAY_SIZE(undos); u++) {
            AUTO_JSON *undo = NULL;
            struct inject_result r = INJECT_RESULT_INIT;
            struct err err = ERR_INIT;
            kit_ok(jsonx_parse(undos[u], strlen(undos[u]), "undo", &undo, &err), &err);
            kit_ok(i->revert(&env, undo, &r, &err), &err);
            assert_int_equal(json_array_size(r.changes), 0);
            assert_true(r.at.lo <= r.at.hi);
            inject_result_done(&r);
        }
    }
}

static void an_unable_host_is_told_before(void **state)
{
    static struct kit k;
    shape(&k);
    struct hostcap lacks = {.name = "nft-bridge", .detail = (char *)(uintptr_t) "ENOENT"};
    struct hostcaps caps = {.items = &lacks, .n = 1};
    struct inject_env env = {.scenario = k.s, .caps = &caps};
    struct step *s = fault_step(&k, "s", "partition");
    struct partition_params *p = s->params;
    struct err err = ERR_INIT;
    assert_int_equal(injector_of(s)->supported(&env, s, &err), -EOPNOTSUPP);
    assert_non_null(strstr(err.text, "partition (drop) needs nft-bridge"));
    p->kind = CUT_REJECT;
    assert_int_equal(injector_of(s)->supported(&env, s, &err), 0);
    lacks.name = "nft-ct";
    assert_int_equal(injector_of(s)->supported(&env, s, &err), 0);
    p->packets = CUT_NEW_CONNECTIONS;
    assert_int_equal(injector_of(s)->supported(&env, s, &err), -EOPNOTSUPP);
    assert_string_equal(err.text, "partition (reject, new-connections) needs nft-ct, which this "
                                  "host lacks: ENOENT");
    lacks.name = "sock-destroy";
    assert_int_equal(injector_of(s)->supported(&env, s, &err), 0);
    p->connections = CUT_SEVER;
    assert_int_equal(injector_of(s)->supported(&env, s, &err), -EOPNOTSUPP);
    assert_non_null(strstr(err.text, "needs sock-destroy, which this host lacks"));
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_catalogue_is_whole),
        cmocka_unit_test(targets_that_make_no_sense_are_refused),
        cmocka_unit_test(process_rules_are_checked),
        cmocka_unit_test(cables_and_cuts_are_checked),
        cmocka_unit_test(a_draw_depends_on_the_seed_alone),
        cmocka_unit_test(plain_targets_and_too_many),
        cmocka_unit_test(a_cut_is_a_list_of_port_pairs),
        cmocka_unit_test(a_failed_cut_leaves_nothing),
        cmocka_unit_test(somebody_elses_table_is_not_touched),
        cmocka_unit_test(removing_what_is_gone_is_fine),
        cmocka_unit_test(a_refusing_host_lets_refusals_pass),
        cmocka_unit_test(a_cut_sleeps_until_it_is_whole),
        cmocka_unit_test(patterns_of_scopes),
        cmocka_unit_test(plans_of_process_faults_are_sentences),
        cmocka_unit_test(plans_of_network_faults_are_messages),
        cmocka_unit_test(what_was_a_labs_is_gone_with_it),
        cmocka_unit_test(an_unable_host_is_told_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
