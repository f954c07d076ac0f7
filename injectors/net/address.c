/* address: an IP address of a host is withdrawn, and put back as it was. What the kernel takes away
 * with it (routes, secondary addresses, permanent neighbours) is put back too; see rtnl_take.h.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "injectors/actions.h"
#include "injectors/effects.h"
#include "injectors/injector.h"
#include "injectors/net/ports.h"
#include "injectors/net/withdraw.h"
#include "injectors/params.h"
#include "injectors/process/targets.h"

static const struct host *attached_of(const struct scenario *s, const struct target *t)
{
    const struct host *h = t->host ? scenario_host(s, t->host) : NULL;
    return h && !h->lab ? h : NULL;
}

static int address_check(const struct scenario *s, const struct step *step, struct err *err)
{
    const struct address_params *p = step->params;
    struct inet_prefix a;
    struct err why = ERR_INIT;
    int r = inject_target_check(p->host, "host", err);
    if (r < 0)
        return r;
    if (inet_parse(p->address, &a, &why) < 0)
        return err_set(err, EINVAL, "'address': %s", why.text);
    if ((a.family == AF_INET && a.addr[0] == 127) || strcmp(p->device ? p->device : "", "lo") == 0)
        return err_set(err, EINVAL,
                       "'%s' is the loopback's, which is always exempt: name another address",
                       p->device ? "device" : "address");
    if (p->network && p->device)
        return err_set(err, EINVAL, "give one of 'network' and 'device', not both");
    const struct host *h = attached_of(s, p->host);
    if (h && h->here && !p->network && strcmp(p->device ? p->device : "", h->here->interface) != 0)
        return err_set(err, EINVAL, "%s is the interface %s and nothing else: say 'device: %s'",
                       h->name, h->here->interface, h->here->interface);
    if (h)
        return p->network ? err_set(err, EINVAL,
                                    "'network' is for hosts of the lab: of %s, which others made, "
                                    "name the 'device'",
                                    p->host->host)
                          : 0;
    return ports_check(s, p->host, p->network, err);
}

/* The host's device on that network; NULL: whichever has the address. */
static int device_of(const struct scenario *s, const struct address_params *p, const char *host,
                     char ret[IFNAMSIZ], struct err *err)
{
    CLEANUP(topo_free_p) struct topo *topo = NULL;
    AUTO_PORTS ports = {0};
    snprintf(ret, IFNAMSIZ, "%.15s", p->device ? p->device : "");
    int r = p->network ? topo_new(s, &topo, err) : 0;
    if (r < 0 || !p->network)
        return r;
    ports_of_host(topo, host, p->network, &ports);
    if (ports.n == 0)
        return err_set(err, EINVAL, "host '%s' has no address on network '%s'", host, p->network);
    snprintf(ret, IFNAMSIZ, "%s", ports.items[0].device);
    return 0;
}

static int address_plan(const struct inject_env *env, const struct step *step, json_t *texts,
                        struct err *err)
{
    const struct address_params *p = step->params;
    AUTO_FREE char *host = inject_target_text(p->host);
    const char *where = p->network ? p->network : p->device;
    json_array_append_new(
        texts, json_sprintf("host %s: address %s%s%s withdrawn; undone by the same address with "
                            "everything it had, and the routes that went with it",
                            host, p->address,
                            !where       ? ""
                            : p->network ? ", network "
                                         : ", device ",
                            where ? where : ""));
    struct inet_prefix known;
    int r = inet_parse(p->address, &known, err);
    if (r == 0)
        withdraw_plan(p->host, "address", &known, texts);
    return r;
}

static int find_address(struct inject_env *env, struct lab_node *n, const void *params,
                        json_t **ret_taken, struct inet_prefix *ret_probe, struct err *err)
{
    const struct address_params *p = params;
    char device[IFNAMSIZ];
    struct inet_prefix a;
    int r = device_of(env->scenario, p, lab_node_name(n), device, err);
    if (r < 0 || (r = inet_parse(p->address, &a, err)) < 0)
        return r;
    r = rtnl_take_address(lab_node_nl(n), device[0] ? device : NULL, &a, ret_taken, err);
    if (r == 0)
        *ret_probe = inet_address(a.family, a.addr);
    return r == -EADDRNOTAVAIL ? -ESRCH : r; /* the target has gone */
}

static int address_prepare(struct inject_env *env, const struct step *step, void **ret_state,
                           json_t **ret_undo, struct err *err)
{
    const struct address_params *p = step->params;
    struct withdraw *w = NULL;
    int r = withdraw_prepare(env, p->host, p, find_address, &w, ret_undo, err);
    if (r == 0)
        *ret_state = w;
    return r;
}

static int address_apply(struct inject_env *env, void *state, struct inject_result *ret,
                         struct err *err)
{
    return withdraw_apply(env, state, ret, err);
}

static int address_verify(struct inject_env *env, void *state, struct inject_proof *ret,
                          struct err *err)
{
    return withdraw_verify(env, state, ret, err);
}

static void address_done(void *state)
{
    withdraw_done(state);
}

static const struct field address_fields[] = {
    TARGETS_HOST_FIELD(offsetof(struct address_params, host), "lb1"),
    {.key = "address",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct address_params, address),
     .help = "The address, IPv4 or IPv6, with or without its prefix length; also one that a server "
             "on the host has added.",
     .example = "10.20.0.100"},
    {.key = "network",
     .type = FIELD_REF,
     .offset = offsetof(struct address_params, network),
     .ref = REF_NETWORK,
     .help = "The network on which the host has it; without it and `device`, wherever it is.",
     .example = "front"},
    {.key = "device",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct address_params, device),
     .help = "The device, as it is called inside of the host, that has it.",
     .example = "eth0"},
    {.key = NULL},
};

static const struct record address_record = {
    .name = "address",
    .summary = "An address of a host is withdrawn.",
    .size = sizeof(struct address_params),
    .fields = address_fields,
    .name_offset = SIZE_MAX,
    .place_offset = SIZE_MAX,
    .variant_place_offset = SIZE_MAX,
};

static int address_effect(struct inject_env *env, const struct step *step, struct effects *ret,
                          struct err *err)
{
    const struct address_params *p = step->params;
    struct effect one = {.kind = EFFECT_CUT};
    return effects_at(env, p->host, &one, ret, err);
}

static const struct injector address_injector = {
    .name = "address",
    .is_fault = true,
    .lasts = true,
    .holds = true,
    .attaches = ATTACH_NETWORK | ATTACH_DEVICE,
    .check = address_check,
    .supported = targets_supported,
    .plan = address_plan,
    .prepare = address_prepare,
    .apply = address_apply,
    .verify = address_verify,
    .revert = withdraw_revert,
    .touches = withdraw_touches,
    .done = address_done,
    .effect = address_effect,
};

const struct variant inject_address = {
    .name = "address",
    .summary = "Withdraws an IP address of a host.",
    .detail =
        "The host does not answer at that address any more; its connections over it stand "
        "still. Undone by adding the very same (prefix, label, scope, broadcast, metric, what "
        "is left of its lifetime), its rank among the addresses of the subnet included, and "
        "what the kernel took away with it: routes, secondary addresses, permanent "
        "neighbours.",
    .params = &address_record,
    .impl = &address_injector,
};
