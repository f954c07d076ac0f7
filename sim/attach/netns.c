/* The kind `netns`: a network namespace by its name in `ip netns`, or by a path. Nobody's processes are
 * its own: they live in it. */
#include "sim/attach/kind.h"

#include "sim/base/buf.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define NAMED_BY_IP "/run/netns" /* ip-netns(8) */

static bool netns_is(const struct host *h)
{
    return h->netns;
}

static int netns_check(const struct host *h, const char **ret_key, struct err *err)
{
    bool path = strchr(h->netns, '/');
    *ret_key = "netns";
    if ((path && h->netns[0] != '/') || !strcmp(h->netns, ".") || !strcmp(h->netns, ".."))
        return err_set(
            err, EINVAL,
            "'%.100s' is neither a name as in `ip netns` nor a path that begins with '/'",
            h->netns);
    return 0;
}

/* Never a target: what we stand in, and what the machine itself stands in. */
static int refuse_own(const struct attached_target *t, struct err *err)
{
    struct stat st;
    bool ours = stat("/proc/self/ns/net", &st) == 0 &&
                netns_same(t->id, (struct netns_id){.dev = st.st_dev, .ino = st.st_ino});
    if (!t->shares_network)
        return 0;
    return err_set(err, EINVAL,
                   "the network namespace %s cannot be a target: %s; of this machine's own network "
                   "one interface can be ('here: {interface: eth1}')",
                   t->path,
                   ours ? "blackstart itself runs in it"
                        : "it is the machine's own (process 1 lives in it)");
}

static int netns_resolve(const struct host *h, struct attached_target *ret, struct err *err)
{
    AUTO_BUF path = BUF_INIT, what = BUF_INIT;
    AUTO_ATTACHED_TARGET t = ATTACHED_TARGET_INIT;
    if (h->netns[0] != '/')
        buf_adds(&path, NAMED_BY_IP "/");
    buf_adds(&path, h->netns);
    int r = attached_target_at(buf_text(&path), &t, err);
    if (r == 0)
        r = refuse_own(&t, err);
    if (r < 0)
        return r;
    buf_printf(&what, "the network namespace %s", buf_text(&path));
    t.what = buf_steal(&what);
    t.offers = ATTACH_COMMANDS | ATTACH_NETWORK;
    *ret = t;
    t = ATTACHED_TARGET_INIT;
    return 0;
}

static int netns_is_there(const struct attached_host *h, struct err *err)
{
    struct stat st;
    if (stat(h->at.path, &st) == 0 &&
        netns_same(h->at.id, (struct netns_id){.dev = st.st_dev, .ino = st.st_ino}))
        return 0;
    return err_set(err, ESRCH, "host %s has gone: %s was taken away", h->host->name, h->at.what);
}

const struct attached_kind attach_netns = {
    .name = "netns",
    .noun = "a network namespace that others made",
    .lacks = ", which stands for its network alone: not for processes and files",
    .offers = ATTACH_COMMANDS | ATTACH_NETWORK,
    .is = netns_is,
    .check = netns_check,
    .resolve = netns_resolve,
    .is_there = netns_is_there,
};
