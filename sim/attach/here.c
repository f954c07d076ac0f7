/* The kind `here`: one network interface of this machine itself. Faults on the network touch what goes
 * over that interface and nothing else; commands, probes and alarms stand on the machine. */
#include "sim/attach/kind.h"

#include "sim/base/buf.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#define OWN_NETWORK "/proc/self/ns/net"

static bool here_is(const struct host *h)
{
    return h->here;
}

static int here_check(const struct host *h, const char **ret_key, struct err *err)
{
    const char *name = h->here->interface;
    *ret_key = "here";
    if (strlen(name) >= IFNAMSIZ || strpbrk(name, "/ \t"))
        return err_set(err, EINVAL, "'%.60s' is no name of an interface", name);
    if (!strcmp(name, "lo"))
        return err_set(err, EINVAL, "the loopback is always exempt: name another interface");
    return 0;
}

static int here_resolve(const struct host *h, struct attached_target *ret, struct err *err)
{
    AUTO_ATTACHED_TARGET t = ATTACHED_TARGET_INIT;
    AUTO_BUF what = BUF_INIT;
    const char *name = h->here->interface;
    unsigned index = if_nametoindex(name);
    if (!index)
        return err_set(err, ENOENT, "this machine has no interface %s: look at `ip link`", name);
    int r = attached_target_at(OWN_NETWORK, &t, err);
    if (r < 0)
        return r;
    buf_printf(&what, "this machine's interface %s", name);
    t.what = buf_steal(&what);
    t.interface = name;
    t.offers = ATTACH_COMMANDS | ATTACH_DEVICE;
    t.own = json_pack("{s:s,s:I}", "interface", name, "ifindex", (json_int_t)index);
    *ret = t;
    t = ATTACHED_TARGET_INIT;
    return 0;
}

static int here_is_there(const struct attached_host *h, struct err *err)
{
    json_int_t was = json_integer_value(json_object_get(h->at.own, "ifindex"));
    unsigned now = if_nametoindex(h->at.interface);
    if (now && (json_int_t)now == was)
        return 0;
    return err_set(err, ESRCH, "host %s has gone: %s was %s", h->host->name, h->at.what,
                   now ? "replaced by another of the same name" : "taken away");
}

const struct attached_kind attach_here = {
    .name = "here",
    .noun = "an interface of this machine",
    .lacks =
        ", which stands for that device alone: not for processes and files, nor for connections",
    .offers = ATTACH_COMMANDS | ATTACH_DEVICE,
    .is = here_is,
    .check = here_check,
    .resolve = here_resolve,
    .is_there = here_is_there,
};
