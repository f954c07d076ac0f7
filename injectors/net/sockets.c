/* sockets: established TCP connections of a host are reset, once or again and again.
 *
 * The kernel's SOCK_DESTROY closes a socket at once: its program reads ECONNABORTED, the other side is
 * sent a reset. Chosen by the other side's address, by port, and by who opened the connection: at a
 * port on which the host listens the other side did. Left out: who is exempt (exempt.h). Nothing of it can be undone,
 * and nothing of it lasts: servers and clients may connect again at once.
 *
 * Verified by the kernel's cookies (none of the sockets is there any more, and no other has got its
 * cookie), and where the other side is a host of this drill, by its end of each connection, which the
 * reset ends too.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "injectors/actions.h"
#include "injectors/effects.h"
#include "injectors/injector.h"
#include "injectors/params.h"
#include "injectors/process/targets.h"
#include "sim/base/jsonx.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/sockdiag.h"

#define RESET_WITHIN (500 * NSEC_MSEC) /* until the other side has heard of it */

struct sockets_ended {
    const char *host; /* the scenario's */
    uint64_t cookie;
    struct inet_flow flow;
};

struct sockets_state {
    const struct sockets_params *params;
    struct targets targets;
    struct inject_env env; /* `every`: the caller's env need not live that long */
    struct loop_timer timer;
    nsec next;
    struct sockets_ended *items;
    size_t n;
    uint64_t rounds;
    nsec ended;        /* when the last of them was destroyed */
    struct err failed; /* of a later round; code 0: none */
};

/* --- Which ------------------------------------------------------------------------------------ */

struct prefixes {
    struct inet_prefix *items;
    size_t n;
};

static void prefixes_done(struct prefixes *p)
{
    free(p->items);
}
#define AUTO_PREFIXES __attribute__((cleanup(prefixes_done))) struct prefixes

static void prefixes_add(struct prefixes *p, struct inet_prefix one)
{
    p->items = reallocarray(p->items, p->n + 1, sizeof *p->items);
    if (!p->items)
        abort(); /* as the buffers of sim/base do */
    p->items[p->n++] = one;
}

/* All addresses that a host has now, virtual ones included; one that is down has none. */
static int add_host(struct lab *lab, const char *host, struct prefixes *p, struct err *err)
{
    struct lab_node *n = lab_node(lab, host);
    AUTO_FREE struct rtnl_address *all = NULL;
    size_t count = 0;
    int r = n && lab_node_is_up(n) ? rtnl_addresses(lab_node_nl(n), &all, &count, err) : 0;
    for (size_t i = 0; r == 0 && i < count; i++)
        if (!exempt_is_loopback(&all[i].prefix))
            prefixes_add(p, inet_address(all[i].prefix.family, all[i].prefix.addr));
    return r;
}

static int find_peers(struct lab *lab, const struct strv *peers, struct prefixes *ret,
                      struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < peers->n; i++) {
        struct inet_prefix one;
        if (!field_peer_is_address(peers->items[i]))
            r = add_host(lab, peers->items[i], ret, err);
        else if ((r = inet_parse(peers->items[i], &one, err)) == 0)
            prefixes_add(ret, one);
    }
    return r;
}

static bool in_ranges(const struct port_ranges *r, uint16_t port)
{
    for (size_t i = 0; i < r->n; i++)
        if (port >= r->items[i].lo && port <= r->items[i].hi)
            return true;
    return r->n == 0;
}

static bool in_prefixes(const struct prefixes *p, const struct inet_prefix *a)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->items[i].family == a->family && inet_contains(&p->items[i], a))
            return true;
    return false;
}

static bool is_listening(const uint16_t *ports, size_t n, uint16_t port)
{
    for (size_t i = 0; i < n; i++)
        if (ports[i] == port)
            return true;
    return false;
}

/* exempt: NULL, or who is left out of it in a host that others made. */
static bool concerns(const struct sockets_params *p, const struct prefixes *peers,
                     const struct exempts *exempt, const struct inet_flow *f)
{
    if (exempt_flow(exempt, f) || !in_ranges(&p->own_port, f->sport))
        return false;
    if (p->port.n > 0 && !in_ranges(&p->port, f->sport) && !in_ranges(&p->port, f->dport))
        return false;
    return p->peer.n == 0 || in_prefixes(peers, &f->target);
}

/* Those of one host that are meant move to the front. */
static int find_on(struct sockets_state *st, struct lab_node *n, struct sockdiag_tcp **ret,
                   size_t *ret_n, struct err *err)
{
    const struct sockets_params *p = st->params;
    AUTO_PREFIXES peers = {0};
    AUTO_FREE struct sockdiag_tcp *all = NULL;
    AUTO_FREE uint16_t *ports = NULL;
    size_t count = 0, listening = 0, kept = 0;
    const struct attached_host *attached = lab_node_attached(n);
    int r = find_peers(st->env.lab, &p->peer, &peers, err);
    if (r == 0)
        r = sockdiag_listening(lab_node_nl(n), &ports, &listening, err);
    if (r == 0)
        r = sockdiag_tcp(lab_node_nl(n), &all, &count, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        bool theirs = is_listening(ports, listening, all[i].flow.sport);
        bool opener = p->opened == SOCKETS_EITHER || (p->opened == SOCKETS_BY_PEER) == theirs;
        if (opener && concerns(p, &peers, attached ? &attached->exempt : NULL, &all[i].flow))
            all[kept++] = all[i];
    }
    *ret = steal_ptr(all);
    *ret_n = kept;
    return 0;
}

/* --- Ending them ------------------------------------------------------------------------------ */

static void remember(struct sockets_state *st, const char *host, const struct sockdiag_tcp *s)
{
    st->items = reallocarray(st->items, st->n + 1, sizeof *st->items);
    if (!st->items)
        abort();
    st->items[st->n++] = (struct sockets_ended){.host = host, .cookie = s->cookie, .flow = s->flow};
}

static int end_on(struct sockets_state *st, const char *host, json_t *changes, struct err *err)
{
    struct lab_node *n = lab_node(st->env.lab, host);
    AUTO_FREE struct sockdiag_tcp *sockets = NULL;
    size_t count = 0;
    if (!n || !lab_node_is_up(n))
        return err_set(err, ESRCH, "host '%s' is down: it has no connections", host);
    int r = find_on(st, n, &sockets, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        sockdiag_destroy(lab_node_nl(n), &sockets[i]);
        remember(st, host, &sockets[i]);
    }
    if (r == 0)
        r = nl_flush(lab_node_nl(n), err);
    if (r == -EOPNOTSUPP)
        err_prefix(err, "this kernel cannot end connections (CONFIG_INET_DIAG_DESTROY)");
    if (r == 0 && changes)
        json_array_append_new(changes, json_sprintf("host %s: %zu TCP connection%s reset (not "
                                                    "undone)",
                                                    host, count, count == 1 ? "" : "s"));
    if (r == 0 && count > 0)
        st->ended = nsec_now(CLOCK_MONOTONIC);
    return r;
}

static void again(struct loop_timer *t, void *data)
{
    struct sockets_state *st = data;
    INJECT_ACT(&st->env, false);
    st->n = 0; /* of the rounds before nothing is left to look at */
    for (size_t i = 0; i < st->targets.n; i++) {
        struct err err = ERR_INIT;
        int r = end_on(st, st->targets.hosts[i], NULL, &err);
        if (r < 0 && r != -ESRCH) {
            st->failed = err; /* verify tells */
            return;
        }
    }
    st->rounds++;
    st->next = nsec_add(st->next, st->params->every);
    loop_timer_set(st->env.loop, &st->timer, st->next);
}

/* --- The fault -------------------------------------------------------------------------------- */

static int check_peers(const struct sockets_params *p, struct err *err)
{
    for (size_t i = 0; i < p->peer.n; i++) {
        struct inet_prefix one;
        struct err why = ERR_INIT;
        if (field_peer_is_address(p->peer.items[i]) && inet_parse(p->peer.items[i], &one, &why) < 0)
            return err_set(err, EINVAL, "'peer': %s", why.text);
        if (p->host->host && strcmp(p->peer.items[i], p->host->host) == 0)
            return err_set(err, EINVAL,
                           "'peer' is the host itself: connections over its loopback are exempt");
    }
    return 0;
}

static int sockets_check(const struct scenario *s, const struct step *step, struct err *err)
{
    const struct sockets_params *p = step->params;
    int r = inject_target_check(p->host, "host", err);
    if (r < 0 || (r = check_peers(p, err)) < 0)
        return r;
    if (!nsec_is_set(p->every) && (nsec_is_set(step->lasting) || step->until))
        return err_set(err, EINVAL,
                       "connections are reset once, there is nothing to end with 'for' or 'until': "
                       "give 'every' too, like 'every: 1s'");
    return 0;
}

static int sockets_supported(const struct inject_env *env, const struct step *step, struct err *err)
{
    const struct hostcap *cap = env->caps ? hostcaps_find(env->caps, "sock-destroy") : NULL;
    if (cap && !cap->ok)
        return err_set(err, EOPNOTSUPP, "sockets needs sock-destroy, which this host lacks: %s",
                       cap->detail ? cap->detail : "");
    return 0;
}

static void scope_words(const struct sockets_params *p, struct buf *out)
{
    static const char *const openers[] = {"", " that it opened", " that were opened to it"};
    buf_printf(out, "TCP connections%s", openers[p->opened]);
    for (size_t i = 0; i < p->peer.n; i++)
        buf_printf(out, "%s%s", i ? ", " : " with ", p->peer.items[i]);
    const struct port_ranges *ports[] = {&p->port, &p->own_port};
    for (size_t k = 0; k < ARRAY_SIZE(ports); k++)
        for (size_t i = 0; i < ports[k]->n; i++) {
            const struct port_range *r = &ports[k]->items[i];
            buf_printf(out, "%s%u", i ? ", " : k ? ", own port " : ", port ", r->lo);
            if (r->hi != r->lo)
                buf_printf(out, "-%u", r->hi);
        }
}

static int sockets_plan(const struct inject_env *env, const struct step *step, json_t *texts,
                        struct err *err)
{
    const struct sockets_params *p = step->params;
    AUTO_FREE char *host = inject_target_text(p->host);
    AUTO_BUF text = BUF_INIT;
    char every[NSEC_TEXT_MAX];
    buf_printf(&text, "host %s: reset ", host);
    scope_words(p, &text);
    if (nsec_is_set(p->every))
        buf_printf(&text, ", again every %s", nsec_text(p->every, every));
    buf_adds(&text, "; not undone");
    json_array_append_new(texts, json_string(buf_text(&text)));
    for (size_t i = 0; inject_candidate(p->host, i); i++)
        inject_plan_deed(p->host, inject_candidate(p->host, i),
                         "if there are such: ", "sock destroy <each of these connections>", texts);
    return 0;
}

static void sockets_done(void *state)
{
    struct sockets_state *st = state;
    if (!st)
        return;
    if (st->env.loop)
        loop_timer_cancel(st->env.loop, &st->timer);
    targets_done(&st->targets);
    free(st->items);
    free(st);
}

static int sockets_prepare(struct inject_env *env, const struct step *step, void **ret_state,
                           json_t **ret_undo, struct err *err)
{
    const struct sockets_params *p = step->params;
    AUTO_TARGETS t = {0};
    int r = targets_choose(env, p->host, &t, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < t.n; i++) {
        const struct lab_node *n = lab_node(env->lab, t.hosts[i]);
        if (!n || !lab_node_is_up(n))
            return err_set(err, ESRCH, "host '%s' is down: it has no connections", t.hosts[i]);
    }
    struct sockets_state *st = calloc(1, sizeof *st);
    if (!st)
        return err_errno(err, ENOMEM, "preparing sockets");
    *st = (struct sockets_state){.params = p, .targets = t, .env = *env, .ended = NSEC_UNSET};
    st->timer = (struct loop_timer){.fn = again, .data = st};
    t = (struct targets){0};
    *ret_state = st;
    *ret_undo = json_object();
    return 0;
}

static int sockets_apply(struct inject_env *env, void *state, struct inject_result *ret,
                         struct err *err)
{
    struct sockets_state *st = state;
    AUTO_JSON *changes = json_array();
    struct span at = {nsec_now(CLOCK_MONOTONIC), 0};
    for (size_t i = 0; i < st->targets.n; i++) {
        int r = end_on(st, st->targets.hosts[i], changes, err);
        if (r < 0)
            return r;
    }
    at.hi = nsec_now(CLOCK_MONOTONIC);
    st->rounds = 1;
    if (nsec_is_set(st->params->every)) {
        st->next = nsec_add(loop_fresh(env->loop), st->params->every);
        loop_timer_set(env->loop, &st->timer, st->next);
    }
    *ret = targets_result(&st->targets, at, changes);
    return 0;
}

static bool is_other_end(const struct inet_flow *a, const struct inet_flow *b)
{
    return a->sport == b->dport && a->dport == b->sport &&
           memcmp(&a->source, &b->target, sizeof a->source) == 0 &&
           memcmp(&a->target, &b->source, sizeof a->target) == 0;
}

struct sockets_left {
    size_t own, other; /* of what was destroyed; of its other ends that this drill can see */
};

static int look(const struct sockets_state *st, struct sockets_left *ret, struct err *err)
{
    struct sockets_left left = {0};
    for (size_t k = 0; st->n > 0 && k < lab_count(st->env.lab); k++) {
        struct lab_node *n = lab_node_at(st->env.lab, k);
        AUTO_FREE struct sockdiag_tcp *now = NULL;
        size_t count = 0;
        int r = lab_node_is_up(n) ? sockdiag_tcp(lab_node_nl(n), &now, &count, err) : 0;
        if (r < 0)
            return r;
        for (size_t i = 0; i < count; i++)
            for (size_t e = 0; e < st->n; e++) {
                bool same = strcmp(st->items[e].host, lab_node_name(n)) == 0;
                left.own += same && now[i].cookie == st->items[e].cookie;
                left.other += !same && is_other_end(&now[i].flow, &st->items[e].flow);
            }
    }
    *ret = left;
    return 0;
}

static int sockets_verify(struct inject_env *env, void *state, struct inject_proof *ret,
                          struct err *err)
{
    struct sockets_state *st = state;
    bool repeats = nsec_is_set(st->params->every);
    struct sockets_left left = {0};
    struct inject_proof p = {.at = {nsec_now(CLOCK_MONOTONIC), 0}};
    int r = look(st, &left, err);
    if (r < 0)
        return r;
    p.at.hi = nsec_now(CLOCK_MONOTONIC);
    bool found = nsec_is_set(st->ended);
    if (!found && repeats && !st->failed.code && !env->decide)
        return INJECT_AGAIN; /* whoever connects before it ends is reset */
    if (left.other > 0 && !env->decide && nsec_sub(p.at.hi, st->ended) < RESET_WITHIN)
        return INJECT_AGAIN;
    p.ok = found && left.own == 0 && st->failed.code == 0;
    AUTO_BUF asked = BUF_INIT;
    scope_words(st->params, &asked);
    snprintf(p.asked, sizeof p.asked, "%.230s reset", buf_text(&asked));
    if (st->failed.code)
        snprintf(p.seen, sizeof p.seen, "it stopped: %.200s", st->failed.text);
    else if (!found)
        snprintf(p.seen, sizeof p.seen, "there was no such connection");
    else
        snprintf(p.seen, sizeof p.seen,
                 "of %zu destroyed %zu are there still; %zu other ends have not heard of it (in "
                 "%llu round%s)",
                 st->n, left.own, left.other, (unsigned long long)st->rounds,
                 st->rounds == 1 ? "" : "s");
    snprintf(p.how, sizeof p.how,
             "sock_diag: the sockets' cookies, and their other ends on hosts of this drill");
    *ret = p;
    return 0;
}

static int sockets_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                          struct err *err)
{
    nsec now = nsec_now(CLOCK_MONOTONIC);
    *ret = (struct inject_result){.at = {now, now}, .changes = json_array()};
    return 0;
}

static const char *const opened_words[] = {"either", "here", "there", NULL};

static const struct field sockets_fields[] = {
    TARGETS_HOST_FIELD(offsetof(struct sockets_params, host), "web1"),
    {.key = "peer",
     .type = FIELD_PEERS,
     .flags = FIELD_NON_EMPTY,
     .ref = REF_HOST,
     .offset = offsetof(struct sockets_params, peer),
     .help = "Only connections with these: hosts (all addresses they have then), addresses, "
             "prefixes.",
     .example = "[db1, 10.20.0.0/24]"},
    {.key = "port",
     .type = FIELD_PORTS,
     .max = 16,
     .offset = offsetof(struct sockets_params, port),
     .help = "Only connections with such a port at either end.",
     .example = "5432"},
    {.key = "own_port",
     .type = FIELD_PORTS,
     .max = 16,
     .offset = offsetof(struct sockets_params, own_port),
     .help = "Only connections with such a port at the host itself.",
     .example = "80"},
    {.key = "opened",
     .type = FIELD_WORD,
     .words = opened_words,
     .dflt = "either",
     .offset = offsetof(struct sockets_params, opened),
     .help = "Only connections that the host itself opened (`here`), or that were opened to a port "
             "on which it listens (`there`).",
     .example = "here"},
    {.key = "every",
     .type = FIELD_DURATION,
     .min = 10 * NSEC_MSEC,
     .max = 86400 * NSEC_SEC,
     .offset = offsetof(struct sockets_params, every),
     .help = "Again and again, so often, until it is ended; without it, once.",
     .example = "500ms"},
    {.key = NULL},
};

static const struct record sockets_record = {
    .name = "sockets",
    .summary = "Connections of a host are reset.",
    .size = sizeof(struct sockets_params),
    .fields = sockets_fields,
    .shorthand = "host",
    .name_offset = SIZE_MAX,
    .place_offset = SIZE_MAX,
    .variant_place_offset = SIZE_MAX,
};

static const struct inject_means sockets_means[] = {
    {"sock-destroy", {"sock-destroy", NULL}},
    {NULL, {NULL}},
};

/* Who opens a connection meets nothing of it, and every request of a forecast opens one. */
static int sockets_effect(struct inject_env *env, const struct step *step, struct effects *ret,
                          struct err *err)
{
    const struct sockets_params *p = step->params;
    struct effect one = {.kind = EFFECT_NOTHING};
    return effects_at(env, p->host, &one, ret, err);
}

static const struct injector sockets_injector = {
    .name = "sockets",
    .is_fault = true,
    .lasts = true,
    .attaches = ATTACH_NETWORK,
    .means = sockets_means,
    .check = sockets_check,
    .supported = sockets_supported,
    .plan = sockets_plan,
    .prepare = sockets_prepare,
    .apply = sockets_apply,
    .verify = sockets_verify,
    .revert = sockets_revert,
    .done = sockets_done,
    .effect = sockets_effect,
};

const struct variant inject_sockets = {
    .name = "sockets",
    .summary = "Resets established TCP connections of a host, once or again and again.",
    .detail =
        "The kernel closes the sockets: the host's programs read ECONNABORTED, the other side "
        "ECONNRESET. Connecting again works at once, unless `every` resets that too. "
        "Connections over the loopback are exempt. Not undone.",
    .params = &sockets_record,
    .impl = &sockets_injector,
};
