/* Whom a step hits, as components of a forecast. */
#include "injectors/effects.h"

#include <errno.h>
#include <string.h>

#include "injectors/process/targets.h"
#include "sim/kernel/inet.h"

int effects_at(struct inject_env *env, const struct target *t, const struct effect *one,
               struct effects *ret, struct err *err)
{
    AUTO_TARGETS got = {0};
    int r = targets_choose(env, t, &got, err);
    for (size_t i = 0; r == 0 && i < got.n; i++) {
        struct effect e = *one;
        e.component = got.hosts[i];
        effects_add(ret, &e);
    }
    return r;
}

/* Whether the host has an address in it. */
static bool lies_in(const struct host *h, const struct inet_prefix *net)
{
    for (size_t i = 0; h->lab && i < h->lab->addresses.n; i++) {
        struct inet_prefix a;
        if (inet_parse(h->lab->addresses.items[i], &a, NULL) < 0)
            continue;
        a.len = (uint8_t)(8 * inet_bytes(&a)); /* the address alone, not its network */
        if (inet_contains(net, &a))
            return true;
    }
    return false;
}

bool effects_towards(struct inject_env *env, const char *host, const char *prefix,
                     const struct effect *one, struct effects *ret)
{
    struct inet_prefix net;
    bool any = false;
    const struct host *at = scenario_host(env->scenario, host);
    bool router = at && at->router;
    if (inet_parse(prefix, &net, NULL) < 0)
        return false;
    net = inet_masked(&net);
    for (size_t i = 0; i < env->scenario->hosts.n; i++) {
        const struct host *h = env->scenario->hosts.items[i];
        if (strcmp(h->name, host) == 0 || !lies_in(h, &net))
            continue;
        struct effect e = *one;
        e.component = router ? h->name : host;
        e.peer = router ? NULL : h->name; /* whoever asks from beyond comes by the router */
        effects_add(ret, &e);
        any = true;
    }
    return any;
}

int effects_on_network(struct inject_env *env, const char *host, const char *network,
                       const struct effect *one, struct effects *ret, struct err *err)
{
    const struct network *n = network ? scenario_network(env->scenario, network) : NULL;
    bool any = false;
    for (size_t i = 0; n && i < n->subnets.n; i++)
        any = effects_towards(env, host, n->subnets.items[i], one, ret) || any;
    if (any)
        return 0;
    if (n)
        return err_set(err, ENOTSUP, "no other host has an address on the network %s", network);
    struct effect e = *one;
    e.component = host;
    effects_add(ret, &e);
    return 0;
}

int effects_too_narrow(const struct step *step, const char *what, struct err *err)
{
    return err_set(
        err, ENOTSUP,
        "a forecast does not know which service %s of the step %s belong to: say what it "
        "does to whom with an `outage`, in a scenario for forecasts",
        what, step->id);
}
