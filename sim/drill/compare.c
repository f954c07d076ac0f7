/* The final comparison. Whose a difference is: compare.h. */
#include "sim/drill/compare.h"

#include "injectors/touch.h"
#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/drill/difference.h"
#include "sim/kernel/mounts.h"
#include "sim/kernel/rtnl.h"
#include "sim/lab/lab.h"

#include <linux/if_addr.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct compare_place {
    const struct attached_host *host; /* NULL: this machine */
    uint64_t life;                    /* of the host, which `before` is of */
    struct snapshot_scope scope;      /* without a network: another place has the same */
    size_t network;                   /* the place whose `before` has this one's network */
    struct snapshot *before;          /* NULL: out of reach */
};

struct compare {
    const struct attached *attached;
    struct compare_place *items; /* the first is this machine */
    size_t n;
    json_t *touches; /* of faults that began (touch.h) */
    char *run;
    struct cgroup own; /* ours; "": none */
};

/* --- Before ----------------------------------------------------------------------------------- */

/* The place that has the network of this host: the machine, one before it, or it itself. */
static size_t network_of(const struct attached *attached, size_t at)
{
    const struct attached_target *t = &attached->items[at].at;
    for (size_t i = 0; i < at && !t->shares_network; i++)
        if (netns_same(attached->items[i].at.id, t->id))
            return i + 1;
    return t->shares_network ? 0 : at + 1;
}

/* Of the machine, where everybody mounts and groups, what bears the run's name alone. */
static int scope_of_machine(struct compare *c, struct compare_place *p, struct err *err)
{
    if (cgroup_of(0, &c->own, NULL) < 0)
        c->own = (struct cgroup){.dir = ""};
    p->scope = (struct snapshot_scope){.network = true,
                                       .netns = -1,
                                       .mounts = -1,
                                       .cgroup = c->own.dir[0] ? &c->own : NULL,
                                       .only = c->run};
    return mounts_open(0, &p->scope.mounts, err);
}

static int scope_of_host(const struct attached_target *t, bool network, struct compare_place *p,
                         struct err *err)
{
    bool group = (t->offers & ATTACH_CGROUP) && t->cgroup.dir[0];
    p->scope = (struct snapshot_scope){
        .network = network, .netns = t->netns, .mounts = -1, .cgroup = group ? &t->cgroup : NULL};
    return t->pid && !t->shares_mounts ? mounts_open(t->pid, &p->scope.mounts, err) : 0;
}

static int place_new(struct compare *c, size_t at, struct err *err)
{
    struct compare_place *p = &c->items[at];
    p->host = at ? &c->attached->items[at - 1] : NULL;
    p->life = p->host ? p->host->lives : 0;
    p->network = at ? network_of(c->attached, at - 1) : 0;
    int r = p->host ? scope_of_host(&p->host->at, p->network == at, p, err)
                    : scope_of_machine(c, p, err);
    if (r == 0)
        r = snapshot_take_scope(&p->scope, &p->before, err);
    return r < 0 && p->host ? err_prefix(err, "host %s", p->host->host->name) : r;
}

int compare_new(const struct attached *attached, const char *run, struct compare **ret,
                struct err *err)
{
    size_t hosts = attached ? attached->n : 0;
    CLEANUP(compare_free_p) struct compare *c = calloc(1, sizeof *c);
    if (!c || !(c->items = calloc(hosts + 1, sizeof *c->items)) || !(c->run = strdup(run)))
        abort();
    c->attached = attached;
    c->touches = json_array();
    for (size_t i = 0; i <= hosts; i++)
        c->items[i].scope.mounts = -1;
    for (c->n = 0; c->n <= hosts; c->n++) {
        int r = place_new(c, c->n, err);
        if (r < 0) {
            c->n++;
            return r;
        }
    }
    *ret = steal_ptr(c);
    return 0;
}

struct compare *compare_free(struct compare *c)
{
    if (!c)
        return NULL;
    for (size_t i = 0; i < c->n; i++) {
        snapshot_free(c->items[i].before);
        if (c->items[i].scope.mounts >= 0)
            close(c->items[i].scope.mounts);
    }
    json_decref(c->touches);
    free(c->items);
    free(c->run);
    free(c);
    return NULL;
}

void compare_not_here(struct compare *c)
{
    c->items[0].before = snapshot_free(c->items[0].before);
}

size_t compare_fds(const struct compare *c, int *ret, size_t max)
{
    size_t n = c ? attached_fds(c->attached, ret, max) : 0;
    for (size_t i = 0; c && i < c->n && n < max; i++)
        if (c->items[i].scope.mounts >= 0)
            ret[n++] = c->items[i].scope.mounts;
    return n;
}

/* --- What faults have their hands on ---------------------------------------------------------- */

static bool has_touch(const json_t *touches, const json_t *touch)
{
    size_t i;
    const json_t *one;
    json_array_foreach (touches, i, one)
        if (json_equal(one, touch))
            return true;
    return false;
}

void compare_touch(struct compare *c, const json_t *touches)
{
    size_t i;
    json_t *touch;
    if (c)
        json_array_foreach (touches, i, touch)
            if (!has_touch(c->touches, touch))
                json_array_append(c->touches, touch);
}

/* The place that has the network of this host; NULL: the touch is of none. */
static const struct compare_place *place_of(const struct compare *c, const json_t *touch)
{
    const char *host = touch_host(touch);
    for (size_t i = 0; host && i < c->n; i++)
        if (c->items[i].host && strcmp(c->items[i].host->host->name, host) == 0)
            return &c->items[c->items[i].network];
    return NULL;
}

/* The lines of one place that these touches mean. */
static json_t *lines_of(const struct compare *c, const struct compare_place *p,
                        const json_t *touches)
{
    json_t *lines = json_array();
    for (size_t k = 0; p->before && k < p->before->n; k++) {
        bool meant = false;
        size_t t;
        const json_t *touch;
        json_array_foreach (touches, t, touch)
            meant =
                meant || (touch_concerns(touch, p->before->lines[k]) && place_of(c, touch) == p);
        if (meant)
            json_array_append_new(lines, jsonx_new_text(p->before->lines[k]));
    }
    return lines;
}

json_t *compare_was(const struct compare *c, const json_t *touches)
{
    json_t *was = json_object();
    size_t i;
    const json_t *touch;
    if (c)
        json_array_foreach (touches, i, touch) {
            const struct compare_place *p = place_of(c, touch);
            if (p && !json_object_get(was, touch_host(touch)))
                json_object_set_new(was, touch_host(touch), lines_of(c, p, touches));
        }
    return was;
}

/* --- After ------------------------------------------------------------------------------------ */

/* Those of this place among the touches; an array of borrowed ones. */
static const json_t **touches_of(const struct compare *c, const struct compare_place *p,
                                 size_t *ret_n)
{
    const json_t **some = calloc(json_array_size(c->touches) + 1, sizeof(json_t *));
    size_t i, n = 0;
    const json_t *touch;
    if (!some)
        abort();
    json_array_foreach (c->touches, i, touch)
        if (place_of(c, touch) == p)
            some[n++] = touch;
    *ret_n = n;
    return some;
}

/* True when nothing differs. */
static bool compare_place(const struct compare *c, const struct compare_place *p, json_t *left,
                          json_t *others)
{
    CLEANUP(snapshot_free_p) struct snapshot *after = NULL;
    struct err err = ERR_INIT;
    struct difference d = {
        .host = p->host ? p->host->host->name : NULL, .run = c->run, .before = p->before};
    AUTO_FREE const json_t **touches = touches_of(c, p, &d.n_touches);
    d.touches = touches;
    if (snapshot_take_scope(&p->scope, &after, &err) < 0) {
        AUTO_BUF text = BUF_INIT;
        buf_printf(&text, "%s's network could not be compared: %s",
                   d.host ? d.host : "this machine", err.text);
        /* What was changed there may be so still: nobody knows. */
        json_array_append_new(d.n_touches ? left : others, jsonx_new_text(buf_text(&text)));
        return true;
    }
    d.after = d.all = after;
    return difference_tell(&d, left, others);
}

/* May anything of ours have been done in it? In this machine's only to interfaces of `here` hosts. */
static bool compare_is_touched(const struct compare *c, const struct compare_place *p)
{
    bool touched = p->host != NULL;
    for (size_t i = 0; c->attached && i < c->attached->n; i++)
        touched = touched || c->attached->items[i].at.interface;
    return touched;
}

/* True while an address in it is still being checked for duplicates. */
static bool compare_settling(const struct compare_place *p)
{
    CLEANUP(nl_free_p) struct nl *nl = NULL;
    AUTO_FREE struct rtnl_address *all = NULL;
    size_t n = 0;
    bool any = false;
    if (!p->scope.network ||
        nl_open_kernel(p->scope.netns, p->host ? p->host->host->name : "this machine", &nl, NULL) <
            0 ||
        rtnl_addresses(nl, &all, &n, NULL) < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        any = any || (all[i].flags & IFA_F_TENTATIVE);
    return any;
}

/* One place, again while something in it is still settling, and while something of ours is there: a
 * TAP goes with the last process that has it open, and a process that was killed closes its packet
 * sockets first, each of which takes a grace period. */
static void compare_whole(const struct compare *c, const struct compare_place *p, json_t *left,
                          json_t *others)
{
    nsec until = nsec_add(nsec_now(CLOCK_MONOTONIC), COMPARE_PATIENCE);
    bool touched = compare_is_touched(c, p);
    for (;;) {
        AUTO_JSON *now_left = json_array(), *now_others = json_array();
        bool settling = touched && compare_settling(p);
        bool same = compare_place(c, p, now_left, now_others);
        if (same || (!settling && !json_array_size(now_left)) ||
            nsec_now(CLOCK_MONOTONIC) > until) {
            json_array_extend(left, now_left);
            json_array_extend(others, now_others);
            break;
        }
        (void)poll(NULL, 0,
                   COMPARE_AGAIN); /* no one event tells of all that may still come or go */
    }
}

/* Is it this very program? */
static bool is_ourselves(const struct snapshot_process *p)
{
    char path[64];
    struct stat own, its;
    snprintf(path, sizeof path, "/proc/%d/exe", (int)p->pid);
    return stat("/proc/self/exe", &own) == 0 && stat(path, &its) == 0 && own.st_dev == its.st_dev &&
           own.st_ino == its.st_ino;
}

static const char *host_in(const struct compare *c, struct netns_id id)
{
    for (size_t i = 1; i < c->n; i++)
        if (netns_same(c->items[i].host->at.id, id))
            return c->items[i].host->host->name;
    return "?";
}

/* Processes of ours in networks of others: probes, proxies, what looks at the wire. */
static size_t compare_inside_now(const struct compare *c, const struct netns_id *ids, size_t n,
                                 json_t *left)
{
    AUTO_FREE struct snapshot_process *all = NULL;
    size_t n_all = 0, unseen, ours = 0;
    struct err err = ERR_INIT;
    if (snapshot_processes(ids, n, &all, &n_all, &unseen, &err) < 0) {
        json_array_append_new(left, jsonx_new_text(err.text));
        return 0;
    }
    for (size_t i = 0; i < n_all; i++) {
        if (!is_ourselves(&all[i]))
            continue;
        ours++;
        json_array_append_new(left,
                              json_sprintf("host %s: process %d (%s), which is ours, is still in "
                                           "its network",
                                           host_in(c, all[i].netns), (int)all[i].pid, all[i].name));
    }
    return ours;
}

static void compare_inside(const struct compare *c, json_t *left)
{
    nsec until = nsec_add(nsec_now(CLOCK_MONOTONIC), COMPARE_PATIENCE);
    AUTO_FREE struct netns_id *ids = calloc(c->n, sizeof *ids);
    size_t n = 0;
    if (!ids)
        abort();
    for (size_t i = 1; i < c->n; i++)
        if (c->items[i].scope.network)
            ids[n++] = c->items[i].host->at.id;
    while (n) {
        AUTO_JSON *now = json_array();
        if (!compare_inside_now(c, ids, n, now) || nsec_now(CLOCK_MONOTONIC) > until) {
            json_array_extend(left, now);
            return;
        }
        (void)poll(NULL, 0, COMPARE_AGAIN);
    }
}

/* One that we ended ourselves, and one that came in its place, are not compared with it. */
static void compare_host(const struct compare *c, const struct compare_place *p, json_t *left,
                         json_t *others)
{
    struct err gone = ERR_INIT;
    if (p->host->lives != p->life) {
        json_array_append_new(others, json_sprintf("host %s: another has taken its place: %s",
                                                   p->host->host->name, p->host->at.what));
        return;
    }
    compare_whole(c, p, left, others);
    if (!p->host->ending && attached_is_there(p->host, &gone) < 0)
        json_array_append_new(others, jsonx_new_text(gone.text));
}

void compare_tell(const struct compare *c, json_t *left, json_t *others)
{
    for (size_t i = 0; c && i < c->n; i++) {
        if (c->items[i].host)
            compare_host(c, &c->items[i], left, others);
        else if (c->items[i].before)
            compare_whole(c, &c->items[i], left, others);
    }
    if (c) {
        compare_inside(c, left);
        compare_things(c->touches, left);
    }
}

void compare_words(const struct compare *c, json_t *checked)
{
    bool here = c && c->items[0].before;
    size_t things = 0, i;
    const json_t *touch;
    json_array_append_new(
        checked, json_string(here ? "this machine's network, before and after"
                                  : "this machine's network: out of reach, this ran without root"));
    if (here)
        json_array_append_new(checked,
                              json_string("mounts and control groups of this run on this machine"));
    for (i = 1; c && i < c->n; i++) {
        const struct compare_place *p = &c->items[i];
        const char *name = p->host->host->name;
        if (p->scope.network)
            json_array_append_new(checked,
                                  json_sprintf("the network of host %s, before and after", name));
        if (p->scope.network)
            json_array_append_new(
                checked, json_sprintf("processes of ours in the network of host %s", name));
        if (p->scope.mounts >= 0)
            json_array_append_new(checked,
                                  json_sprintf("the mounts of host %s, before and after", name));
        if (p->scope.cgroup)
            json_array_append_new(
                checked, json_sprintf("the control groups of host %s, before and after", name));
    }
    if (c)
        json_array_foreach (c->touches, i, touch)
            things += !touch_netns(touch);
    if (things)
        json_array_append_new(checked,
                              json_sprintf("%zu processes, containers, units, groups or files "
                                           "that faults changed, one by one",
                                           things));
}

/* --- Processes -------------------------------------------------------------------------------- */

/* Borrowed texts of a JSON array; the caller frees the array of them. */
static const char **compare_ids(const json_t *ids, size_t *ret_n)
{
    const char **texts = calloc(json_array_size(ids) + 1, sizeof *texts);
    size_t i, n = 0;
    json_t *v;
    if (!texts)
        abort();
    json_array_foreach (ids, i, v)
        if (json_is_string(v))
            texts[n++] = json_string_value(v);
    *ret_n = n;
    return texts;
}

void compare_processes(const json_t *ids, json_t *left)
{
    size_t n;
    AUTO_FREE const char **texts = compare_ids(ids, &n);
    AUTO_JSON *found = NULL;
    struct err err = ERR_INIT;
    if (!n)
        return;
    if (lab_leftovers(texts, n, &found, &err) < 0)
        json_array_append_new(left, jsonx_new_text(err.text));
    else
        json_array_extend(left, found);
}

void compare_kill_processes(const json_t *ids)
{
    size_t n;
    AUTO_FREE const char **texts = compare_ids(ids, &n);
    if (n)
        lab_kill_leftovers(texts, n);
}
