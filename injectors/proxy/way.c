/* A proxy of ours in the way of a host. See way.h.
 *
 * Undo: the rules belong to the proxy's process, which done() ends; whoever undoes later (the warden,
 * `undo`) finds that they have gone, or waits the moment that the kernel needs to end that process.
 */
#include "injectors/proxy/way.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "injectors/net/ports.h"
#include "injectors/net/site.h"
#include "injectors/touch.h"
#include "sim/base/jsonx.h"
#include "sim/kernel/rtnl.h"
#include "sim/lab/deed.h"

#define GONE_WITHIN (2 * NSEC_SEC)
#define GONE_LOOK_EVERY (5 * NSEC_MSEC)
#define DECIDE_WITHIN (100 * NSEC_MSEC)
#define DECIDE_LOOK_EVERY NSEC_MSEC
#define PLAN_PORT 20000 /* in plans: the proxy takes one that is free */

const struct inject_means way_dns_means[] = {
    {"redirect", {"nft-inet", "nft-owner", "nft-nat", NULL}},
    {NULL, {NULL}},
};
const struct inject_means way_port_means[] = {
    {"tproxy", {"nft-inet", "nft-owner", "nft-tproxy", NULL}},
    {NULL, {NULL}},
};

struct way_host {
    const char *name;
    struct lab_node *node;
    pid_t init; /* of the life in which it was applied; attached: 0 */
    struct proxy *proxy;
    struct own *own;
    struct own_seen seen;
    bool is_known; /* what became of the request of our own */
    const char *asker;
    struct inet_prefix *pass; /* malloc'd: who is exempt there */
    size_t pass_n;
};

/* --- Words ------------------------------------------------------------------------------------ */

void way_share_text(double share, struct buf *out)
{
    if (share < 1)
        buf_printf(out, "%g%% of ", share * 100);
}

int way_share_check(double share, struct err *err)
{
    return share > 0 ? 0 : err_set(err, EINVAL, "'share' of 0%% does nothing");
}

void way_list_text(const struct strv *list, struct buf *out)
{
    for (size_t i = 0; i < list->n; i++)
        buf_printf(out, "%s%s", i ? ", " : "", list->items[i]);
}

static const char *stream_text(const struct way *w, char buf[64])
{
    if (w->spec.kind == PROXY_DNS)
        snprintf(buf, 64, "its queries to port %d", PROXY_DNS_PORT);
    else
        snprintf(buf, 64, "connections to its port %u", w->spec.port);
    return buf;
}

/* --- Check, plan ------------------------------------------------------------------------------ */

int way_check(const struct scenario *s, const struct target *host, struct err *err)
{
    const struct host *h = host->host ? scenario_host(s, host->host) : NULL;
    if (h && h->here)
        return err_set(err, EINVAL,
                       "%s is an interface of this machine: a proxy would stand in the way of the "
                       "whole machine; take a host of the lab, or one with a network namespace of "
                       "its own",
                       host->host);
    return inject_target_check(host, "host", err);
}

int way_supported(const struct inject_env *env, enum proxy_kind kind, struct err *err)
{
    const struct inject_means *m = kind == PROXY_DNS ? way_dns_means : way_port_means;
    for (size_t i = 0; env->caps && m->caps[i]; i++) {
        const struct hostcap *cap = hostcaps_find(env->caps, m->caps[i]);
        if (cap && !cap->ok)
            return err_set(err, EOPNOTSUPP, "this needs %s, which this host lacks: %s", m->caps[i],
                           cap->detail ? cap->detail : "");
    }
    return 0;
}

#define STARTED "a proxy of ours started in its network namespace"
static void ended_text(const struct way *w, struct buf *out)
{
    char name[PROXY_TABLE_MAX];
    AUTO_BUF whom = BUF_INIT;
    buf_printf(&whom, "that proxy, whose table inet %s ends with it",
               proxy_table(w->spec.kind, w->spec.port, name));
    deed_signal(SIGKILL, buf_text(&whom), out);
}

static int plan_messages(const struct way *w, const struct target *whom, const char *host,
                         json_t *texts, struct err *err)
{
    CLEANUP(nl_free_p) struct nl *rec = NULL;
    AUTO_BUF only = BUF_INIT;
    char name[PROXY_TABLE_MAX], where[80];
    const struct nft_table t = {NFT_FAMILY_INET, proxy_table(w->spec.kind, w->spec.port, name)};
    const struct proxy_listens listens = {.port = PLAN_PORT, .v4 = true, .v6 = true};
    snprintf(where, sizeof where, "host %s", host);
    inject_plan_case(whom, host, "", &only);
    int r = nl_open_recording(where, &rec, err);
    if (r == 0)
        r = nft_table_create(rec, &t, err);
    if (r < 0)
        return r;
    proxy_encode(rec, &w->spec, &listens); /* who is exempt is known when the host is looked at */
    r = nl_flush(rec, err);
    if (r == 0)
        ports_plan_messages(rec, 0, buf_text(&only), texts);
    return r;
}

/* All processes first, then all rules: as way_apply(). */
static int plan_steps(const struct way *w, const struct target *t, json_t *texts, struct err *err)
{
    AUTO_BUF ended = BUF_INIT;
    int r = 0;
    ended_text(w, &ended);
    for (size_t i = 0; inject_candidate(t, i); i++)
        inject_plan_deed(t, inject_candidate(t, i), "", STARTED, texts);
    for (size_t i = 0; r == 0 && inject_candidate(t, i); i++)
        r = plan_messages(w, t, inject_candidate(t, i), texts, err);
    json_array_append_new(texts, json_string(INJECT_PLAN_UNDO));
    for (size_t i = 0; inject_candidate(t, i); i++)
        inject_plan_deed(t, inject_candidate(t, i), "", buf_text(&ended), texts);
    return r;
}

int way_plan(const struct inject_env *env, const struct step *step, const struct target *host,
             way_fill_fn *fill, json_t *texts, struct err *err)
{
    AUTO_FREE char *whom = inject_target_text(host);
    struct way w = {.targets = {0}};
    char stream[64];
    int r = fill(step, &w, err);
    if (r < 0)
        return r;
    json_array_append_new(
        texts, json_sprintf("host %s: %s: %s, by a proxy of ours in its network namespace (it "
                            "listens on a free port, here %d); undone by ending that process, "
                            "whose rules end with it",
                            whom, stream_text(&w, stream), w.text, PLAN_PORT));
    return plan_steps(&w, host, texts, err);
}

/* --- Prepare, apply --------------------------------------------------------------------------- */

static void end_proxy(const struct way *w, struct way_host *h)
{
    AUTO_BUF text = BUF_INIT;
    if (!h->proxy)
        return;
    h->proxy = proxy_free(h->proxy);
    ended_text(w, &text);
    lab_node_tell(h->node, buf_text(&text));
}

void way_done(void *state)
{
    struct way *w = state;
    if (!w)
        return;
    for (size_t i = 0; w->hosts && i < w->targets.n; i++) {
        own_free(w->hosts[i].own);
        end_proxy(w, &w->hosts[i]);
        free(w->hosts[i].pass);
    }
    free(w->hosts);
    targets_done(&w->targets);
    free(w->ca_certificate);
    free(w->ca_key);
    free(w);
}

/* Who is exempt in a host of others (exempt.h). A fault of dns is about name servers, the resolvers and
 * those on the loopback among them: there the operator alone is left out. */
static int leave_out(const struct proxy_spec *spec, const struct attached_host *others,
                     struct way_host *h, struct err *err)
{
    struct exemption x;
    h->pass = calloc(others->exempt.n + 2, sizeof *h->pass); /* and the loopbacks */
    if (!h->pass)
        abort(); /* as the buffers of sim/base do */
    for (size_t i = 0; exempt_next(&others->exempt, i, &x); i++) {
        if (x.kind == EXEMPT_PORT && spec->kind != PROXY_DNS && x.port == spec->port)
            return err_set(err, EPERM,
                           "host %s: at its TCP port %u we listen ourselves, which is always "
                           "exempt: name another port",
                           h->name, x.port);
        if (x.kind != EXEMPT_PORT && (spec->kind != PROXY_DNS || x.operator_))
            h->pass[h->pass_n++] = x.peer;
    }
    return 0;
}

static int find_host(struct inject_env *env, const struct proxy_spec *spec, const char *name,
                     struct way_host *ret, json_t *ways, struct err *err)
{
    char table[PROXY_TABLE_MAX];
    struct lab_node *n = lab_node(env->lab, name);
    if (!n || !lab_node_is_up(n))
        return err_set(err, ESRCH, "host '%s' is down: nothing goes in or out", name);
    const struct attached_host *others = lab_node_attached(n);
    int r = others ? attached_is_there(others, err) : 0;
    if (r < 0)
        return r;
    if (others && others->at.shares_network)
        return err_set(err, EOPNOTSUPP,
                       "host '%s' has no network of its own: a proxy would stand in the way of the "
                       "whole machine",
                       name);
    json_t *way = others ? site_record(n) : json_pack("{s:s}", "host", name);
    json_object_set_new(way, "table", json_string(proxy_table(spec->kind, spec->port, table)));
    json_array_append_new(ways, way);
    *ret = (struct way_host){.name = name, .node = n, .init = lab_node_pid(n)};
    return others ? leave_out(spec, others, ret, err) : 0;
}

int way_prepare(struct inject_env *env, const struct step *step, const struct target *host,
                way_fill_fn *fill, struct way **ret, json_t **ret_undo, struct err *err)
{
    struct way *w = calloc(1, sizeof *w);
    if (!w)
        return err_errno(err, ENOMEM, "preparing %s", step->action->name);
    AUTO_JSON *ways = json_array();
    w->asked_at = NSEC_UNSET;
    int r = fill(step, w, err);
    if (r == 0)
        r = targets_choose(env, host, &w->targets, err);
    if (r == 0 && !(w->hosts = calloc(w->targets.n + 1, sizeof *w->hosts)))
        r = err_errno(err, ENOMEM, "preparing %s", step->action->name);
    for (size_t i = 0; r == 0 && i < w->targets.n; i++)
        r = find_host(env, &w->spec, w->targets.hosts[i], &w->hosts[i], ways, err);
    if (r < 0) {
        way_done(w);
        return r;
    }
    w->spec.seed = rng_next(env->rng);
    *ret = w;
    *ret_undo = json_pack("{s:O}", "ways", ways);
    return 0;
}

static void tell_change(const struct nl_seen *seen, void *data)
{
    lab_node_tell(data, seen->text);
}

int way_apply(struct inject_env *env, void *state, struct inject_result *ret, struct err *err)
{
    struct way *w = state;
    AUTO_JSON *changes = json_array();
    struct span at = SPAN_UNSET;
    char stream[64], table[PROXY_TABLE_MAX];
    int r = 0;
    for (size_t i = 0; r == 0 && i < w->targets.n; i++) {
        struct proxy_spec spec = w->spec;
        spec.host = w->hosts[i].name;
        spec.netns_fd = lab_node_netns(w->hosts[i].node);
        spec.seed += i;
        spec.pass = w->hosts[i].pass;
        spec.pass_n = w->hosts[i].pass_n;
        r = proxy_start(&spec, &w->hosts[i].proxy, err);
        if (r == 0)
            lab_node_tell(w->hosts[i].node, STARTED);
    }
    for (size_t i = 0; r == 0 && i < w->targets.n; i++) {
        struct span by = SPAN_UNSET;
        r = proxy_engage(w->hosts[i].proxy, tell_change, w->hosts[i].node, &by, err);
        targets_cover(&at, by);
        json_array_append_new(changes,
                              json_sprintf("host %s: %s: %s, by a proxy of ours (table inet %s)",
                                           w->hosts[i].name, stream_text(w, stream), w->text,
                                           proxy_table(w->spec.kind, w->spec.port, table)));
    }
    if (r == 0)
        *ret = targets_result(&w->targets, at, changes);
    return r;
}

/* --- Verify ----------------------------------------------------------------------------------- */

/* An address of the host that others made: asked from inside, the first that is not its loopback. */
static int own_address(struct lab_node *n, struct inet_prefix *ret, struct err *err)
{
    AUTO_FREE struct rtnl_address *all = NULL;
    struct inet_prefix found = {0};
    size_t count = 0;
    int r = rtnl_addresses(lab_node_nl(n), &all, &count, err);
    if (r < 0)
        return r;
    for (size_t i = count; i-- > 0;) {
        const struct inet_prefix *a = &all[i].prefix;
        if (!exempt_is_loopback(a) && !(a->family == AF_INET6 && a->addr[0] == 0xfe))
            found = inet_address(a->family, a->addr);
    }
    if (!found.family)
        return err_set(err, EADDRNOTAVAIL,
                       "it has no address but the loopback's, which is always exempt");
    *ret = found;
    return 0;
}

static bool shares(const struct ports *a, const struct port *b, struct inet_prefix *ret)
{
    for (size_t i = 0; i < a->n; i++)
        if (!strcmp(a->items[i].network, b->network) && a->items[i].n_addresses && b->n_addresses) {
            *ret = a->items[i].addresses[0];
            return true;
        }
    return false;
}

/* Who asks a server of the lab: a neighbour that is up, as its clients do; without one, itself. */
static int find_asker(struct inject_env *env, struct way_host *h, struct lab_node **ret,
                      struct inet_prefix *to, struct err *err)
{
    *ret = h->node;
    h->asker = h->name;
    if (lab_node_attached(h->node))
        return own_address(h->node, to, err);
    CLEANUP(topo_free_p) struct topo *topo = NULL;
    AUTO_PORTS mine = {0};
    int r = topo_new(env->scenario, &topo, err);
    if (r < 0)
        return r;
    ports_of_host(topo, h->name, NULL, &mine);
    for (size_t i = 0; i < mine.n; i++)
        if (mine.items[i].n_addresses)
            *to = mine.items[i].addresses[0];
    for (size_t i = 0; i < lab_count(env->lab); i++) {
        struct lab_node *n = lab_node_at(env->lab, i);
        if (n == h->node || lab_node_attached(n) || !lab_node_is_up(n))
            continue;
        AUTO_PORTS theirs = {0};
        ports_of_host(topo, lab_node_name(n), NULL, &theirs);
        for (size_t k = 0; k < theirs.n; k++)
            if (shares(&mine, &theirs.items[k], to)) {
                *ret = n;
                h->asker = lab_node_name(n);
                return 0;
            }
    }
    return 0;
}

static int ask(struct inject_env *env, struct way *w, struct way_host *h, struct err *err)
{
    static const uint8_t local4[4] = {127, 0, 0, 1};
    struct lab_node *from = h->node;
    struct inet_prefix to = inet_address(AF_INET, local4);
    h->asker = h->name;
    int r = w->spec.kind == PROXY_DNS ? 0 : find_asker(env, h, &from, &to, err);
    return r < 0 ? r
                 : own_start(h->proxy, &w->spec, lab_node_netns(from), &to, w->ask, w->within,
                             &h->own, err);
}

/* 1: it is not yet known what became of its request. */
static int look(struct inject_env *env, struct way *w, struct way_host *h, struct err *err)
{
    if (h->is_known)
        return 0;
    struct err why = ERR_INIT;
    bool off = !lab_node_is_up(h->node);
    if (off || lab_node_pid(h->node) != h->init) {
        /* Without power nothing goes in or out, which is more than was asked for. */
        h->seen = (struct own_seen){.as_asked = off};
        snprintf(h->seen.text, sizeof h->seen.text,
                 off ? "the host is down" : "the host was started again, without the proxy");
        h->is_known = true;
        return 0;
    }
    int r = h->own ? 0 : ask(env, w, h, &why);
    if (r == 0)
        r = own_look(h->own, &h->seen);
    if (r > 0)
        return 1;
    if (r == -ENOMEM)
        return err_set(err, why.code, "%s", why.text);
    if (r < 0) { /* the proxy has ended, or the way to it is broken */
        h->seen = (struct own_seen){.as_asked = false};
        snprintf(h->seen.text, sizeof h->seen.text, "%.190s", why.text);
    }
    h->own = own_free(h->own);
    h->is_known = true;
    return 0;
}

static void say_counts(const struct way *w, const struct proxy_counts *c, struct buf *out)
{
    const char *what = w->spec.kind == PROXY_DNS    ? "queries"
                       : w->spec.kind == PROXY_HTTP ? "requests"
                                                    : "TLS connections";
    buf_printf(out, "; of %llu %s of others so far %llu were hit", (unsigned long long)c->seen,
               what, (unsigned long long)c->hit);
    if (c->foreign)
        buf_printf(out, ", %llu passed that are no %s", (unsigned long long)c->foreign, what);
    if (c->failed)
        buf_printf(out, ", %llu found nobody behind", (unsigned long long)c->failed);
}

static void conclude(struct inject_env *env, struct way *w, struct inject_proof *p)
{
    AUTO_BUF seen = BUF_INIT;
    char stream[64];
    p->ok = w->targets.n > 0;
    for (size_t i = 0; i < w->targets.n; i++) {
        struct way_host *h = &w->hosts[i];
        struct proxy_counts c = {0};
        bool lives = lab_node_is_up(h->node) && proxy_read(h->proxy, &c, NULL) == 0;
        p->ok = p->ok && h->seen.as_asked;
        buf_printf(&seen, "%shost %s: %s", i ? "; " : "", h->name, h->seen.text);
        if (lives)
            say_counts(w, &c, &seen);
        if (lives && w->proved && c.foreign && !c.seen) /* a port that speaks something else */
            p->ok = false;
        h->is_known = false;
    }
    snprintf(p->asked, sizeof p->asked, "%s: %s", stream_text(w, stream), w->text);
    snprintf(p->seen, sizeof p->seen, "%s", buf_text(&seen));
    snprintf(p->how, sizeof p->how,
             "a request of our own from host %s, which is always hit and not counted",
             w->hosts[0].asker ? w->hosts[0].asker : w->hosts[0].name);
}

static int look_all(struct inject_env *env, struct way *w, struct err *err)
{
    bool pending = false;
    for (size_t i = 0; i < w->targets.n; i++) {
        int r = look(env, w, &w->hosts[i], err);
        if (r < 0)
            return r;
        pending |= r > 0;
    }
    return pending;
}

/* Now or never: a short wait, then what is not known has not been seen. */
static int look_until_decided(struct inject_env *env, struct way *w, struct err *err)
{
    nsec until = nsec_add(nsec_now(CLOCK_MONOTONIC), DECIDE_WITHIN);
    int r;
    while ((r = look_all(env, w, err)) > 0 && nsec_now(CLOCK_MONOTONIC) < until) {
        struct timespec pause = nsec_to_timespec(DECIDE_LOOK_EVERY);
        nanosleep(&pause, NULL);
    }
    for (size_t i = 0; r > 0 && i < w->targets.n; i++)
        if (!w->hosts[i].is_known)
            snprintf(w->hosts[i].seen.text, sizeof w->hosts[i].seen.text,
                     "no answer before it was undone");
    return r < 0 ? r : 0;
}

static bool stands(const struct way *w, struct way_host *h)
{
    AUTO_FREE struct nft_rule_seen *rules = NULL;
    struct proxy_counts c;
    char name[PROXY_TABLE_MAX];
    const struct nft_table t = {NFT_FAMILY_INET, proxy_table(w->spec.kind, w->spec.port, name)};
    size_t n = 0;
    if (!lab_node_is_up(h->node))
        return true;
    return lab_node_pid(h->node) == h->init && proxy_read(h->proxy, &c, NULL) == 0 &&
           nft_rules(lab_node_nl(h->node), &t, &rules, &n, NULL) == 0 && n > 0;
}

static void verify_standing(struct inject_env *env, struct way *w, struct inject_proof *p)
{
    for (size_t i = 0; i < w->targets.n; i++) {
        struct own_seen *seen = &w->hosts[i].seen;
        seen->as_asked = stands(w, &w->hosts[i]);
        snprintf(seen->text, sizeof seen->text, "the proxy %s",
                 seen->as_asked ? "and its rules stand" : "has ended, or its rules have gone");
    }
    conclude(env, w, p);
    snprintf(p->how, sizeof p->how, "asked the proxy and nf_tables");
}

int way_verify(struct inject_env *env, void *state, struct inject_proof *ret, struct err *err)
{
    struct way *w = state;
    struct inject_proof p = {.at = {nsec_now(CLOCK_MONOTONIC), 0}};
    if (w->proved) {
        verify_standing(env, w, &p);
    } else {
        if (!nsec_is_set(w->asked_at))
            w->asked_at = p.at.lo;
        int r = env->decide ? look_until_decided(env, w, err) : look_all(env, w, err);
        if (r != 0)
            return r < 0 ? r : INJECT_AGAIN;
        p.at.lo = w->asked_at;
        w->asked_at = NSEC_UNSET;
        conclude(env, w, &p);
        w->proved = p.ok;
    }
    p.at.hi = nsec_now(CLOCK_MONOTONIC);
    *ret = p;
    return 0;
}

/* --- Revert ----------------------------------------------------------------------------------- */

/* 0: it had gone; 1: it went while we looked. */
static int table_is_gone(struct nl *nl, const char *table, struct err *err)
{
    int waited = 0;
    const struct nft_table t = {NFT_FAMILY_INET, table};
    nsec until = nsec_add(nsec_now(CLOCK_MONOTONIC), GONE_WITHIN);
    for (;;) {
        AUTO_FREE struct nft_rule_seen *rules = NULL;
        size_t n = 0;
        struct err why = ERR_INIT;
        int r = nft_rules(nl, &t, &rules, &n, &why);
        if (r == -ENOENT || (r == 0 && n == 0)) /* ours has rules from its first moment on */
            return waited;
        if (r < 0)
            return err_set(err, why.code, "%s", why.text);
        if (nsec_now(CLOCK_MONOTONIC) >= until)
            return err_set(err, EBUSY, "%s: the table %s is still there: another process holds it",
                           nl_where(nl), table);
        waited = 1;
        struct timespec pause = nsec_to_timespec(GONE_LOOK_EVERY);
        nanosleep(&pause,
                  NULL); /* the end of a process that is being killed raises no event here */
    }
}

static int revert_one(struct inject_env *env, const json_t *way, json_t *changes, struct err *err)
{
    const char *host = jsonx_str(way, "host", "?"), *table = jsonx_str(way, "table", "blackstart");
    AUTO_SITE site = {0};
    int r = 0;
    if (json_object_get(way, "netns")) {
        r = site_find(env, way, &site, err);
    } else {
        struct lab_node *n = targets_node_up(env, way);
        if (!n)
            return 0; /* its rules went with it */
        site.nl = lab_node_nl(n);
    }
    if (r != 0)
        return r;
    r = table_is_gone(site.nl, table, err);
    if (r > 0)
        json_array_append_new(changes, json_sprintf("host %s: the proxy has ended, and with it the "
                                                    "table inet %s",
                                                    host, table));
    return r < 0 ? r : 0;
}

int way_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
               struct err *err)
{
    AUTO_JSON *changes = json_array();
    struct span at = {nsec_now(CLOCK_MONOTONIC), 0};
    size_t i;
    const json_t *way;
    json_array_foreach (json_object_get(undo, "ways"), i, way) {
        int r = revert_one(env, way, changes, err);
        if (r != 0)
            return r;
    }
    at.hi = nsec_now(CLOCK_MONOTONIC);
    *ret = (struct inject_result){.at = at, .changes = json_incref(changes)};
    return 0;
}

void way_touches(const json_t *undo, json_t *ret)
{
    size_t i;
    const json_t *way;
    json_array_foreach (json_object_get(undo, "ways"), i, way)
        touch_table(ret, way, jsonx_str(way, "table", "?"));
}
