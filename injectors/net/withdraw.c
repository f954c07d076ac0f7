/* Addresses and routes of hosts, withdrawn. See withdraw.h. */
#include "injectors/net/withdraw.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "injectors/net/site.h"
#include "injectors/process/targets.h"
#include "injectors/touch.h"
#include "sim/base/jsonx.h"
#include "sim/kernel/rtnl.h"

struct withdraw_one {
    struct lab_node *node;
    json_t *taken; /* also in the undo record */
    struct inet_prefix probe;
    struct rtnl_way before;
};

struct withdraw {
    struct targets targets;
    struct withdraw_one *items; /* one per host */
};

void withdraw_done(struct withdraw *w)
{
    if (!w)
        return;
    for (size_t i = 0; w->items && i < w->targets.n; i++)
        json_decref(w->items[i].taken);
    targets_done(&w->targets);
    free(w->items);
    free(w);
}
DEFINE_CLEANUP(struct withdraw, withdraw_done);

/* Of an address its own, of a route the prefix (the default one has none); everything else in the message is
 * what stands there. */
static void plan_message(const char *what, const char *verb, const struct inet_prefix *known,
                         struct buf *out)
{
    const struct inet_prefix single = inet_address(known->family, known->addr);
    char text[INET_TEXT_MAX];
    const bool route = strcmp(what, "route") == 0;
    buf_printf(out, "%s %s %s <as it stands there>", what, verb,
               known->family == AF_INET ? "inet" : "inet6");
    if (known->len || !route)
        buf_printf(out, " %s=%s <and so on>", route ? "to" : "address", inet_text(&single, text));
}

void withdraw_plan(const struct target *host, const char *what, const struct inet_prefix *known,
                   json_t *texts)
{
    static const char *const verbs[] = {"delete", "add"};
    const char *more = strcmp(what, "route") == 0 ? "if there are several: " : "";
    for (size_t k = 0; k < ARRAY_SIZE(verbs); k++) {
        AUTO_BUF text = BUF_INIT;
        plan_message(what, verbs[k], known, &text);
        if (k == 1)
            json_array_append_new(texts, json_string(INJECT_PLAN_UNDO));
        for (size_t i = 0; inject_candidate(host, i); i++) {
            const char *name = inject_candidate(host, i);
            inject_plan_deed(host, name, "", buf_text(&text), texts);
            if (more[0])
                inject_plan_deed(host, name, more, buf_text(&text), texts);
            if (k == 1)
                inject_plan_deed(host, name, "if it went along: ",
                                 "<address, route or neighbour> add <as it was read>", texts);
        }
    }
}

static json_t *entry_of(struct lab_node *n, json_t *taken)
{
    json_t *entry = lab_node_attached(n) ? site_record(n)
                                         : json_pack("{s:s,s:i}", "host", lab_node_name(n), "init",
                                                     (int)lab_node_pid(n));
    json_object_set(entry, "taken", taken);
    if (json_object_get(taken, "ifindex")) { /* as site_device() reads it */
        json_object_set(entry, "device", json_object_get(taken, "device"));
        json_object_set(entry, "ifindex", json_object_get(taken, "ifindex"));
    }
    return entry;
}

int withdraw_prepare(struct inject_env *env, const struct target *host, const void *params,
                     withdraw_find_fn *find, struct withdraw **ret, json_t **ret_undo,
                     struct err *err)
{
    CLEANUP(withdraw_done_p) struct withdraw *w = calloc(1, sizeof *w);
    AUTO_JSON *hosts = json_array();
    if (!w)
        return err_errno(err, ENOMEM, "reading what is to be withdrawn");
    int r = targets_choose(env, host, &w->targets, err);
    if (r < 0)
        return r;
    w->items = calloc(w->targets.n + 1, sizeof *w->items);
    if (!w->items)
        return err_errno(err, ENOMEM, "reading what is to be withdrawn");
    for (size_t i = 0; i < w->targets.n; i++) {
        struct withdraw_one *one = &w->items[i];
        one->node = lab_node(env->lab, w->targets.hosts[i]);
        if (!one->node || !lab_node_is_up(one->node))
            return err_set(err, ESRCH, "host '%s' is down: it has neither addresses nor routes",
                           w->targets.hosts[i]);
        r = find(env, one->node, params, &one->taken, &one->probe, err);
        if (r == 0)
            r = rtnl_take_way(lab_node_nl(one->node), &one->probe, &one->before, err);
        if (r < 0)
            return r;
        json_array_append_new(hosts, entry_of(one->node, one->taken));
    }
    *ret = steal_ptr(w);
    *ret_undo = json_pack("{s:O}", "hosts", hosts);
    return 0;
}

static void tell(const char *host, const char *what, const json_t *taken, json_t *changes)
{
    AUTO_JSON *texts = json_array();
    size_t i;
    const json_t *one;
    rtnl_take_texts(taken, texts);
    json_array_foreach (texts, i, one)
        json_array_append_new(changes,
                              json_sprintf("host %s: %s %s", host, json_string_value(one), what));
}

int withdraw_apply(struct inject_env *env, struct withdraw *w, struct inject_result *ret,
                   struct err *err)
{
    AUTO_JSON *changes = json_array();
    struct span at = {nsec_now(CLOCK_MONOTONIC), 0};
    for (size_t i = 0; i < w->targets.n; i++) {
        struct lab_node *n = w->items[i].node;
        if (!lab_node_is_up(n))
            return err_set(err, ESRCH, "host '%s' is down: it has neither addresses nor routes",
                           lab_node_name(n));
        int r = rtnl_take(lab_node_nl(n), w->items[i].taken, err);
        if (r < 0)
            return r;
        tell(w->targets.hosts[i], "withdrawn", w->items[i].taken, changes);
    }
    at.hi = nsec_now(CLOCK_MONOTONIC);
    *ret = targets_result(&w->targets, at, changes);
    return 0;
}

static bool same_way(const struct rtnl_way *a, const struct rtnl_way *b)
{
    return a->local == b->local && a->nowhere == b->nowhere && a->ifindex == b->ifindex &&
           a->via.family == b->via.family &&
           memcmp(a->via.addr, b->via.addr, sizeof a->via.addr) == 0;
}

static void way_text(struct nl *nl, const struct rtnl_way *w, struct buf *out)
{
    AUTO_FREE struct rtnl_link *links = NULL;
    size_t n = 0;
    char text[INET_TEXT_MAX];
    const char *dev = NULL;
    if (rtnl_links(nl, &links, &n, NULL) == 0)
        for (size_t i = 0; i < n; i++)
            dev = links[i].ifindex == w->ifindex ? links[i].name : dev;
    if (w->nowhere)
        buf_adds(out, "nowhere");
    else if (w->local)
        buf_adds(out, "to itself");
    else if (w->via.family)
        buf_printf(out, "via %s", inet_text(&w->via, text));
    else
        buf_printf(out, "over %s", dev ? dev : "a device");
}

int withdraw_verify(struct inject_env *env, struct withdraw *w, struct inject_proof *ret,
                    struct err *err)
{
    struct inject_proof p = {.at = {nsec_now(CLOCK_MONOTONIC), 0}};
    AUTO_BUF seen = BUF_INIT;
    size_t left = 0, unmoved = 0, off = 0;
    for (size_t i = 0; i < w->targets.n; i++) {
        struct withdraw_one *one = &w->items[i];
        char text[INET_TEXT_MAX];
        struct rtnl_way now;
        size_t n = 0;
        if (!lab_node_is_up(one->node)) {
            off++;
            continue;
        }
        struct nl *nl = lab_node_nl(one->node);
        int r = rtnl_take_left(nl, one->taken, &n, err);
        if (r == 0)
            r = rtnl_take_way(nl, &one->probe, &now, err);
        if (r < 0)
            return r;
        left += n;
        unmoved += same_way(&now, &one->before);
        buf_printf(&seen, "; on %s what is sent to %s went ", w->targets.hosts[i],
                   inet_text(&one->probe, text));
        way_text(nl, &one->before, &seen);
        buf_adds(&seen, ", now ");
        way_text(nl, &now, &seen);
    }
    p.at.hi = nsec_now(CLOCK_MONOTONIC);
    p.ok = left == 0 && unmoved == 0;
    AUTO_BUF asked = BUF_INIT;
    if (w->targets.n > 0) {
        const json_t *texts = json_object_get(w->items[0].taken, "texts");
        buf_printf(&asked, "%s withdrawn on %zu host%s",
                   json_string_value(json_array_get(texts, 0)), w->targets.n - off,
                   w->targets.n - off == 1 ? "" : "s");
    }
    snprintf(p.asked, sizeof p.asked, "%.250s", buf_text(&asked));
    snprintf(p.seen, sizeof p.seen, "%zu of it there%.220s", left, buf_text(&seen));
    snprintf(p.how, sizeof p.how,
             "read back by rtnetlink, and the kernel was asked for the way of a packet");
    *ret = p;
    return 0;
}

/* The transport to where it was taken; NULL: it has gone, and what was taken with it. */
static int find_place(struct inject_env *env, const json_t *entry, struct site *site,
                      struct nl **ret, struct err *err)
{
    *ret = NULL;
    if (json_object_get(entry, "netns")) {
        int r = site_find(env, entry, site, err);
        if (r == 0 && json_object_get(entry, "ifindex"))
            r = site_device(site, entry, NULL, err);
        if (r == 0)
            *ret = site->nl;
        return r;
    }
    struct lab_node *n = targets_node_up(env, entry);
    if (n && (int64_t)lab_node_pid(n) == jsonx_int(entry, "init", 0))
        *ret = lab_node_nl(n);
    return 0;
}

int withdraw_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                    struct err *err)
{
    AUTO_JSON *changes = json_array();
    struct span at = {nsec_now(CLOCK_MONOTONIC), 0};
    size_t i;
    const json_t *entry;
    json_array_foreach (json_object_get(undo, "hosts"), i, entry) {
        AUTO_SITE site = {0};
        struct nl *nl;
        const json_t *taken = json_object_get(entry, "taken");
        size_t n = 0;
        int r = find_place(env, entry, &site, &nl, err);
        if (r == 0 && nl)
            r = rtnl_take_back(nl, taken, &n, err);
        if (r != 0)
            return r;
        if (n > 0)
            tell(jsonx_str(entry, "host", "?"), "put back", taken, changes);
    }
    at.hi = nsec_now(CLOCK_MONOTONIC);
    *ret = (struct inject_result){.at = at, .changes = json_incref(changes)};
    return 0;
}

/* With an address go routes over its device, the secondary addresses of its subnet, and what routes had
 * it as their source. */
static void touch_address(const json_t *entry, const json_t *taken, const struct inet_prefix *a,
                          json_t *touches)
{
    char text[INET_TEXT_MAX];
    const char *device = jsonx_str(taken, "device", "?");
    struct inet_prefix single = inet_address(a->family, a->addr);
    inet_text(&single, text);
    touch_took(touches, entry, "address %s dev=%s len=%u %s=%s",
               a->family == AF_INET ? "inet" : "inet6", device, a->len,
               a->family == AF_INET ? "local" : "address", text);
    touch_until(touches, rtnl_take_until(taken));
    if (a->family == AF_INET)
        touch_took(touches, entry, "address inet dev=%s len=%u", device, a->len);
    touch_until(touches, rtnl_take_until(taken));
    touch_took(touches, entry, "route dev=%s", device);
    touch_until(touches, rtnl_take_until(taken));
    touch_took(touches, entry, "route src=%s", text);
    touch_until(touches, rtnl_take_until(taken));
}

static void touch_route(const json_t *entry, const json_t *taken, const struct inet_prefix *to,
                        json_t *touches)
{
    AUTO_BUF words = BUF_INIT;
    char text[INET_TEXT_MAX];
    struct inet_prefix net = inet_address(to->family, to->addr), via;
    buf_printf(&words, "route %s table=main", to->family == AF_INET ? "inet" : "inet6");
    if (to->len)
        buf_printf(&words, " to=%s to-len=%u", inet_text(&net, text), to->len);
    else
        buf_adds(&words, " !to");
    if (inet_parse(jsonx_str(taken, "via", ""), &via, NULL) == 0)
        buf_printf(&words, " via=%s", inet_text(&via, text));
    touch_took(touches, entry, "%s", buf_text(&words));
}

void withdraw_touches(const json_t *undo, json_t *ret)
{
    size_t i;
    const json_t *entry;
    json_array_foreach (json_object_get(undo, "hosts"), i, entry) {
        const json_t *taken = json_object_get(entry, "taken");
        struct inet_prefix what;
        if (inet_parse(jsonx_str(taken, "address", ""), &what, NULL) == 0)
            touch_address(entry, taken, &what, ret);
        else if (inet_parse(jsonx_str(taken, "to", ""), &what, NULL) == 0)
            touch_route(entry, taken, &what, ret);
    }
}
