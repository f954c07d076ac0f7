/* Network namespaces of others, by their undo records. See site.h. */
#include "injectors/net/site.h"

#include <errno.h>
#include <unistd.h>

#include "sim/base/jsonx.h"
#include "sim/kernel/rtnl.h"

void site_done(struct site *s)
{
    nl_free(s->own);
    *s = (struct site){0};
}

json_t *site_record(const struct lab_node *n)
{
    return json_pack("{s:s,s:o}", "host", lab_node_name(n), "netns",
                     attached_identity(lab_node_attached(n)));
}

/* The host may have gone over to another one since. */
static bool is_in(const struct lab_node *n, const json_t *netns)
{
    const struct attached_target *t = &lab_node_attached(n)->at;
    return (int64_t)t->id.ino == jsonx_int(netns, "ino", -1) &&
           (int64_t)t->id.dev == jsonx_int(netns, "dev", -1) &&
           (int64_t)t->cookie == jsonx_int(netns, "cookie", 0);
}

int site_find(struct inject_env *env, const json_t *record, struct site *ret, struct err *err)
{
    const char *host = jsonx_str(record, "host", "?");
    struct lab_node *n = env->lab ? lab_node(env->lab, host) : NULL;
    const json_t *netns = json_object_get(record, "netns");
    if (n && is_in(n, netns)) { /* held by us, whatever others did to its name */
        *ret = (struct site){.nl = lab_node_nl(n)};
        return 0;
    }
    AUTO_CLOSE int fd = -1;
    char where[80];
    int r = attached_find(netns, &fd, err);
    if (r < 0)
        return r;
    if (fd < 0) {
        err_set(err, ESRCH,
                "host %s has gone: its network namespace %s is not there any more, and what was "
                "changed in it went along",
                host, jsonx_str(netns, "path", "?"));
        return INJECT_GONE;
    }
    snprintf(where, sizeof where, "host %s", host);
    r = nl_open_kernel(fd, where, &ret->own, err);
    if (r == 0)
        ret->nl = ret->own;
    return r;
}

int site_device(const struct site *s, const json_t *record, struct rtnl_link *ret_link,
                struct err *err)
{
    const char *name = jsonx_str(record, "device", "");
    struct err why = ERR_INIT;
    struct rtnl_link link;
    int r = rtnl_link_get(s->nl, name, &link, &why);
    if (r == 0 && link.ifindex == (int)jsonx_int(record, "ifindex", 0)) {
        if (ret_link)
            *ret_link = link;
        return 0;
    }
    if (r == 0 || r == -ENODEV) {
        err_set(err, ENODEV, "%s: the device %s that was touched has gone%s", nl_where(s->nl), name,
                r == 0 ? "; another one has its name now, and is left alone" : "");
        return INJECT_GONE;
    }
    if (err)
        *err = why;
    return r;
}
