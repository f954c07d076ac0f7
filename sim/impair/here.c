/* Which engine is possible on this machine, and which one it will be. See impair.h. */
#include "sim/impair/impair.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sim/base/cleanup.h"
#include "sim/impair/engine/engine.h"
#include "sim/kernel/hostcaps.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/tc.h"

/* The first of these that is missing, with its reason; true when none is. */
static bool all_there(const struct hostcaps *caps, const char *const *names, char why[200])
{
    for (; *names; names++) {
        const struct hostcap *cap = hostcaps_find(caps, *names);
        if (cap && !cap->ok) {
            const char *detail = cap->detail ? cap->detail : "missing";
            bool named = strstr(detail, *names) != NULL; /* "this kernel has no netem" */
            snprintf(why, 200, "%s%s%s", named ? "" : *names, named ? "" : ": ", detail);
            return false;
        }
    }
    return true;
}

void impair_here_of(const struct hostcaps *caps, struct impair_here *ret)
{
    static const char *const netem[] = {"netem", "ifb", "cls-bpf", "mirred", NULL};
    static const char *const user[] = {"cls-bpf", "mirred", "veth", "packet-socket", NULL};
    static const char *const tap[] = {"bpf", "tun", NULL};
    struct impair_here h = {.netem = true, .user = true};
    char why[sizeof h.user_why];
    if (caps) {
        h.known = true;
        h.netem = all_there(caps, netem, h.netem_why);
        h.user = all_there(caps, user, h.user_why);
        h.tap = engine_has_tap() && all_there(caps, tap, why);
    }
    *ret = h;
}

/* By a transport of its own: what is tried is no change of the lab's. */
static int try_netem(int netns_fd, struct err *err)
{
    static const char name[] = "bstry";
    const struct impairment delay = {.delay = NSEC_MSEC};
    CLEANUP(nl_free_p) struct nl *nl = NULL;
    int r = nl_open_kernel(netns_fd, "trying netem", &nl, err);
    if (r < 0)
        return r;
    tc_ifb_add(nl, name, 0);
    tc_netem_add(nl, name, 1, &delay);
    r = nl_flush(nl, err);
    rtnl_link_delete(nl, name);
    nl_forgive(nl, ENODEV);
    (void)nl_flush(nl, NULL);
    return r == -ENOENT ? err_set(err, ENOENT, "this kernel has no netem") : r;
}

void impair_here_try(int netns_fd, struct impair_here *ret)
{
    struct impair_here h = {.known = true};
    struct err err = ERR_INIT;
    h.netem = try_netem(netns_fd, &err) == 0;
    if (!h.netem)
        snprintf(h.netem_why, sizeof h.netem_why, "%.190s", err.text);
    err = ERR_INIT;
    h.user = engine_supported(netns_fd, &err) == 0;
    if (!h.user)
        snprintf(h.user_why, sizeof h.user_why, "%.190s", err.text);
    *ret = h;
}

const char *impair_engine_text(enum impair_engine e)
{
    static const char *const words[] = {[IMPAIR_AUTO] = "netem or blackstart's own engine",
                                        [IMPAIR_NETEM] = "netem",
                                        [IMPAIR_USER] = "blackstart's own engine"};
    return words[e];
}

#define NETEM_CURE                                                                                 \
    "load the module sch_netem (Fedora, RHEL: install kernel-modules-extra; Debian: "              \
    "linux-image-amd64 or linux-image-cloud-amd64)"

static int without_netem(const struct impair_here *here, enum impair_engine *ret,
                         char ret_why[IMPAIR_WHY_MAX], struct err *err)
{
    if (!here->user)
        return err_set(err, EOPNOTSUPP,
                       "neither netem nor blackstart's own engine works here (%s; %s): " NETEM_CURE,
                       here->netem_why, here->user_why);
    snprintf(ret_why, IMPAIR_WHY_MAX, "%s%s",
             strstr(here->netem_why, "netem") ? "" : "no netem here: ", here->netem_why);
    *ret = IMPAIR_USER;
    return 0;
}

int impair_choose(enum impair_engine asked, const struct impair_here *here, enum impair_engine *ret,
                  char ret_why[IMPAIR_WHY_MAX], struct err *err)
{
    if (asked == IMPAIR_NETEM && !here->netem)
        return err_set(err, EOPNOTSUPP,
                       "engine: netem is not possible here (%s): " NETEM_CURE
                       ", or use engine: auto",
                       here->netem_why);
    if (asked == IMPAIR_USER && !here->user)
        return err_set(err, EOPNOTSUPP, "engine: user is not possible here (%s)", here->user_why);
    if (asked == IMPAIR_AUTO && !here->netem)
        return without_netem(here, ret, ret_why, err);
    if (asked == IMPAIR_AUTO)
        snprintf(ret_why, IMPAIR_WHY_MAX, "%s",
                 here->known ? "the kernel has it" : "if the kernel has it");
    else
        snprintf(ret_why, IMPAIR_WHY_MAX, "asked for");
    *ret = asked == IMPAIR_AUTO ? IMPAIR_NETEM : asked;
    return 0;
}
