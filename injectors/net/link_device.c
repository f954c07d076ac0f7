/* Devices of hosts that others made. See link_device.h. */
#include "injectors/net/link_device.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "injectors/net/ports.h"
#include "injectors/net/site.h"
#include "injectors/touch.h"
#include "sim/base/jsonx.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/rtnl_keep.h"

struct link_device {
    struct nl *nl; /* the lab's */
    const char *name;
    int ifindex;
    json_t *kept;
    char text[96];
};

const struct host *link_device_host(const struct scenario *s, const struct link_params *p)
{
    const struct host *h = p->host->host ? scenario_host(s, p->host->host) : NULL;
    return h && host_is_attached(h) ? h : NULL;
}

int link_device_check(const struct host *h, const char *device, const char *network,
                      struct err *err)
{
    if (!h)
        return device ? err_set(err, EINVAL,
                                "'device' is for hosts that others made: the cables of a lab's "
                                "host are named by 'network'")
                      : 0;
    if (network)
        return err_set(err, EINVAL,
                       "'network' is for hosts of the lab: of %s, which others made, name the "
                       "'device'",
                       h->name);
    if (!device)
        return err_set(err, EINVAL,
                       "%s was made by others: name the 'device' inside of it, like 'device: eth0'",
                       h->name);
    if (strlen(device) >= IFNAMSIZ || strpbrk(device, "/ \t"))
        return err_set(err, EINVAL, "'device' is no name of a device");
    if (strcmp(device, "lo") == 0)
        return err_set(err, EINVAL,
                       "'device' is the loopback, which is always exempt: name another device");
    if (h->here && strcmp(h->here->interface, device) != 0)
        return err_set(err, EINVAL, "'device' is %s, but %s is the interface %s and nothing else",
                       device, h->name, h->here->interface);
    return 0;
}

int link_device_plan(const struct link_params *p, json_t *texts, struct err *err)
{
    CLEANUP(nl_free_p) struct nl *rec = NULL;
    AUTO_BUF where = BUF_INIT;
    buf_printf(&where, "host %s", p->host->host);
    int r = nl_open_recording(buf_text(&where), &rec, err);
    if (r < 0)
        return r;
    rtnl_link_up(rec, p->device, false);
    if ((r = nl_flush(rec, err)) < 0)
        return r;
    size_t applied = nl_recorded(rec);
    ports_plan_messages(rec, 0, "", texts);
    rtnl_link_up(rec, p->device, true);
    if ((r = nl_flush(rec, err)) < 0)
        return r;
    json_array_append_new(texts, json_string(INJECT_PLAN_UNDO));
    ports_plan_messages(rec, applied, "", texts);
    json_array_append_new(
        texts, json_sprintf("  %s: routes over %s, its IPv6 addresses and permanent neighbours, as "
                            "they are when the trial is armed",
                            buf_text(&where), p->device));
    return 0;
}

/* Devices that stand on it would lose their routes too, and those are not kept. */
static int refuse_stacked(struct nl *nl, const struct rtnl_link *link, struct err *err)
{
    AUTO_FREE struct rtnl_link *all = NULL;
    size_t n = 0;
    int r = rtnl_links(nl, &all, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        if (all[i].peer == link->ifindex && strcmp(all[i].kind, "vlan") == 0)
            return err_set(err, EOPNOTSUPP,
                           "%s: the VLAN device %s stands on %s and would lose its routes, which "
                           "could not be put back; take that device down instead",
                           nl_where(nl), all[i].name, link->name);
    return r;
}

int link_device_prepare(struct inject_env *env, const struct link_params *p,
                        struct link_device **ret, json_t **ret_undo, struct err *err)
{
    struct lab_node *n = lab_node(env->lab, p->host->host);
    struct rtnl_link link;
    AUTO_JSON *kept = NULL;
    if (!n)
        return err_set(err, ESRCH, "host %s is not attached", p->host->host);
    struct nl *nl = lab_node_nl(n);
    int r = attached_is_there(lab_node_attached(n), err);
    if (r == 0)
        r = rtnl_link_get(nl, p->device, &link, err);
    if (r == 0 && (link.flags & IFF_LOOPBACK))
        r = err_set(err, EINVAL,
                    "%s: %s is the loopback, which is always exempt: name another device",
                    nl_where(nl), p->device);
    if (r == 0 && !(link.flags & IFF_UP))
        r = err_set(err, EALREADY, "%s: the device %s is down already", nl_where(nl), p->device);
    if (r == 0)
        r = refuse_stacked(nl, &link, err);
    if (r == 0 && (r = rtnl_keep(nl, link.ifindex, &kept, err)) < 0)
        r = err_prefix(err, "%s: the device %s", nl_where(nl), p->device);
    if (r < 0)
        return r;
    struct link_device *d = calloc(1, sizeof *d);
    if (!d)
        return err_errno(err, ENOMEM, "preparing link");
    *d = (struct link_device){
        .nl = nl, .name = p->device, .ifindex = link.ifindex, .kept = json_incref(kept)};
    snprintf(d->text, sizeof d->text, "host %s: device %s", lab_node_name(n), p->device);
    json_t *device = site_record(n);
    json_object_set_new(device, "device", json_string(p->device));
    json_object_set_new(device, "ifindex", json_integer(link.ifindex));
    json_object_set(device, "kept", kept);
    *ret = d;
    *ret_undo = json_pack("{s:o}", "device", device);
    return 0;
}

int link_device_set(struct link_device *d, bool up, struct err *err)
{
    size_t n;
    rtnl_link_up(d->nl, d->name, up);
    int r = nl_flush(d->nl, err);
    return r == 0 && up ? rtnl_restore(d->nl, d->kept, &n, err) : r;
}

int link_device_is_up(struct link_device *d, bool *ret, struct err *err)
{
    struct rtnl_link link;
    int r = rtnl_link_get(d->nl, d->name, &link, err);
    if (r == 0)
        *ret = link.flags & IFF_UP;
    return r;
}

const char *link_device_text(const struct link_device *d)
{
    return d->text;
}

struct link_device *link_device_done(struct link_device *d)
{
    if (d)
        json_decref(d->kept);
    free(d);
    return NULL;
}

int link_device_revert(struct inject_env *env, const json_t *undo, json_t *changes, struct err *err)
{
    const json_t *record = json_object_get(undo, "device");
    AUTO_SITE site = {0};
    struct rtnl_link link;
    size_t n = 0;
    int r = site_find(env, record, &site, err);
    if (r == 0)
        r = site_device(&site, record, &link, err);
    if (r != 0)
        return r;
    bool was_down = !(link.flags & IFF_UP);
    if (was_down)
        rtnl_link_up(site.nl, link.name, true);
    r = nl_flush(site.nl, err);
    if (r == 0)
        r = rtnl_restore(site.nl, json_object_get(record, "kept"), &n, err);
    if (r < 0)
        return r;
    if (was_down || n)
        json_array_append_new(
            changes, json_sprintf("host %s: device %s up%s", jsonx_str(record, "host", "?"),
                                  link.name, n ? ", its routes and addresses put back" : ""));
    return 0;
}

void link_device_touches(const json_t *record, json_t *ret)
{
    const char *name = jsonx_str(record, "device", "?");
    touch_took(ret, record, "link name=%s", name);
    touch_took(ret, record, "address dev=%s", name);
    touch_took(ret, record, "route dev=%s", name);
}
