/* route: routes of a host are withdrawn, and put back as they were; see rtnl_take.h. The main table
 * alone, and exactly the prefix that is named: more and less specific routes stay.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "injectors/actions.h"
#include "injectors/effects.h"
#include "injectors/injector.h"
#include "injectors/net/withdraw.h"
#include "injectors/params.h"
#include "injectors/process/targets.h"

#define PROBES_MAX 8

/* "default" is that of via's family, or of IPv4. */
static int read_to(const struct route_params *p, struct inet_prefix *ret, struct inet_prefix *via,
                   struct err *err)
{
    struct err why = ERR_INIT;
    *via = (struct inet_prefix){0};
    if (p->via && inet_parse(p->via, via, &why) < 0)
        return err_set(err, EINVAL, "'via': %s", why.text);
    if (strcmp(p->to, "default") == 0) {
        *ret = (struct inet_prefix){.family = via->family ? via->family : AF_INET};
        return 0;
    }
    if (inet_parse(p->to, ret, &why) < 0)
        return err_set(err, EINVAL, "'to': %s", why.text);
    if (via->family && via->family != ret->family)
        return err_set(err, EINVAL, "'via' must be of the same family as 'to'");
    struct inet_prefix net = inet_masked(ret);
    char text[INET_TEXT_MAX];
    if (memcmp(net.addr, ret->addr, sizeof net.addr) != 0)
        return err_set(err, EINVAL,
                       "'to': \"%s\" is an address, not a prefix; did you mean \"%s\"?", p->to,
                       inet_text(&net, text));
    return 0;
}

static int route_check(const struct scenario *s, const struct step *step, struct err *err)
{
    const struct route_params *p = step->params;
    struct inet_prefix to, via;
    const struct host *h = p->host->host ? scenario_host(s, p->host->host) : NULL;
    int r = inject_target_check(p->host, "host", err);
    if (r < 0 || (r = read_to(p, &to, &via, err)) < 0)
        return r;
    if (h && h->here)
        return err_set(
            err, EINVAL,
            "%s is an interface of this machine: its routes are those of the whole machine "
            "and are not withdrawn; take 'address', 'link' or 'network'",
            h->name);
    return 0;
}

static int route_plan(const struct inject_env *env, const struct step *step, json_t *texts,
                      struct err *err)
{
    const struct route_params *p = step->params;
    AUTO_FREE char *host = inject_target_text(p->host);
    json_array_append_new(
        texts, json_sprintf("host %s: routes of the main table to %s%s%s withdrawn; undone by the "
                            "same routes with everything they had",
                            host, p->to, p->via ? " via " : "", p->via ? p->via : ""));
    struct inet_prefix to, via;
    int r = read_to(p, &to, &via, err);
    if (r == 0)
        withdraw_plan(p->host, "route", &to, texts);
    return r;
}

/* An address that the route covers: the prefix's own, or for a default one a documentation address
 * (RFC 5737, RFC 3849), which is routed nowhere else. */
static struct inet_prefix probe_of(const struct inet_prefix *to)
{
    static const struct inet_prefix v4 = {.family = AF_INET, .len = 32, .addr = {198, 51, 100, 1}};
    static const struct inet_prefix v6 = {
        .family = AF_INET6, .len = 128, .addr = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
    if (to->len == 0)
        return to->family == AF_INET ? v4 : v6;
    struct inet_prefix one = inet_address(to->family, to->addr);
    size_t last = inet_bytes(&one) - 1;
    if (to->len < (to->family == AF_INET ? 31 : 127))
        one.addr[last] |= 1; /* the network's own address is a broadcast on a connected route */
    return one;
}

static int find_routes(struct inject_env *env, struct lab_node *n, const void *params,
                       json_t **ret_taken, struct inet_prefix *ret_probe, struct err *err)
{
    const struct route_params *p = params;
    struct inet_prefix to, via;
    int r = read_to(p, &to, &via, err);
    if (r < 0)
        return r;
    struct rtnl_way way = {.local = true};
    struct inet_prefix probe = probe_of(&to);
    uint8_t *last = &probe.addr[inet_bytes(&probe) - 1];
    for (int i = 0; r == 0 && way.local && i < PROBES_MAX; i++) {
        *last = (uint8_t)(*last + (i ? 1 : 0)); /* one of the host's own tells nothing of a route */
        if (!inet_contains(&to, &probe))
            probe = probe_of(&to);
        r = rtnl_take_way(lab_node_nl(n), &probe, &way, err);
    }
    if (r < 0)
        return r;
    *ret_probe = probe;
    return rtnl_take_routes(lab_node_nl(n), &to, via.family ? &via : NULL, ret_taken, err);
}

static int route_prepare(struct inject_env *env, const struct step *step, void **ret_state,
                         json_t **ret_undo, struct err *err)
{
    const struct route_params *p = step->params;
    struct withdraw *w = NULL;
    int r = withdraw_prepare(env, p->host, p, find_routes, &w, ret_undo, err);
    if (r == 0)
        *ret_state = w;
    return r;
}

static int route_apply(struct inject_env *env, void *state, struct inject_result *ret,
                       struct err *err)
{
    return withdraw_apply(env, state, ret, err);
}

static int route_verify(struct inject_env *env, void *state, struct inject_proof *ret,
                        struct err *err)
{
    return withdraw_verify(env, state, ret, err);
}

static void route_done(void *state)
{
    withdraw_done(state);
}

static const struct field route_fields[] = {
    TARGETS_HOST_FIELD(offsetof(struct route_params, host), "gw1"),
    {.key = "to",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct route_params, to),
     .help =
         "Routes to exactly this prefix or address; `default` is that of IPv4, or of the family "
         "of `via`; `::/0` that of IPv6.",
     .example = "10.30.0.0/24"},
    {.key = "via",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct route_params, via),
     .help = "Only those over this gateway; without it all of them, of every metric.",
     .example = "10.20.0.1"},
    {.key = NULL},
};

static const struct record route_record = {
    .name = "route",
    .summary = "Routes of a host are withdrawn.",
    .size = sizeof(struct route_params),
    .fields = route_fields,
    .name_offset = SIZE_MAX,
    .place_offset = SIZE_MAX,
    .variant_place_offset = SIZE_MAX,
};

static int route_effect(struct inject_env *env, const struct step *step, struct effects *ret,
                        struct err *err)
{
    const struct route_params *p = step->params;
    struct effect one = {.kind = EFFECT_CUT};
    if (strcmp(p->to, "default") == 0 || strcmp(p->to, "::/0") == 0)
        return effects_at(env, p->host, &one, ret, err);
    AUTO_TARGETS got = {0};
    int r = targets_choose(env, p->host, &got, err);
    for (size_t i = 0; r == 0 && i < got.n; i++)
        if (!effects_towards(env, got.hosts[i], p->to, &one, ret))
            r = err_set(err, ENOTSUP,
                        "no host has an address within %s: a forecast does not know whom %s does "
                        "not reach without that route",
                        p->to, got.hosts[i]);
    return r;
}

static const struct injector route_injector = {
    .name = "route",
    .is_fault = true,
    .lasts = true,
    .holds = true,
    .attaches = ATTACH_NETWORK,
    .check = route_check,
    .supported = targets_supported,
    .plan = route_plan,
    .prepare = route_prepare,
    .apply = route_apply,
    .verify = route_verify,
    .revert = withdraw_revert,
    .touches = withdraw_touches,
    .done = route_done,
    .effect = route_effect,
};

const struct variant inject_route = {
    .name = "route",
    .summary = "Withdraws routes of a host.",
    .detail = "Routes of the main table to exactly the given prefix, of every metric. What is sent "
              "there takes a less specific route, or fails with ENETUNREACH. Undone by the very "
              "same routes: gateways, metric, protocol, source, and every option that the kernel "
              "told of them.",
    .params = &route_record,
    .impl = &route_injector,
};
