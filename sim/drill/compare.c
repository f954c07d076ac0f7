/* The final comparison. */
#include "sim/drill/compare.h"

#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/impair/sweep.h"
#include "sim/kernel/rtnl.h"
#include "sim/lab/lab.h"

#include <linux/if_addr.h>
#include <poll.h>
#include <string.h>

#define COMPARE_OURS "blackstart" /* stands in every name of ours that has room for it */

/* Addresses of IPv6 are checked for duplicates after their device came up: a second, or two. What goes
 * with a process of ours goes when the kernel has torn that down. */
#define COMPARE_PATIENCE (4 * NSEC_SEC)
#define COMPARE_AGAIN 100 /* ms */

struct compare_place {
    const struct attached_host *host; /* NULL: this machine */
    uint64_t life;                    /* of the host, which `before` is of */
    struct snapshot *before;          /* NULL: out of reach, or the same as that of another */
};

struct compare {
    const struct attached *attached;
    struct compare_place *items; /* the first is this machine */
    size_t n;
};

/* Is the network of this host looked at already: as the machine's, or as that of one before it? */
static bool compare_has(const struct attached *attached, size_t at)
{
    const struct attached_target *t = &attached->items[at].at;
    for (size_t i = 0; i < at && !t->shares_network; i++)
        if (netns_same(attached->items[i].at.id, t->id))
            return true;
    return t->shares_network;
}

int compare_new(const struct attached *attached, struct compare **ret, struct err *err)
{
    size_t hosts = attached ? attached->n : 0;
    CLEANUP(compare_free_p) struct compare *c = calloc(1, sizeof *c);
    if (!c || !(c->items = calloc(hosts + 1, sizeof *c->items)))
        abort();
    c->attached = attached;
    for (c->n = 0; c->n <= hosts; c->n++) {
        struct compare_place *p = &c->items[c->n];
        p->host = c->n ? &attached->items[c->n - 1] : NULL;
        p->life = p->host ? p->host->lives : 0;
        if (p->host && compare_has(attached, c->n - 1))
            continue;
        int r = snapshot_take(p->host ? p->host->at.netns : -1, &p->before, err);
        if (r < 0 && p->host)
            err_prefix(err, "host %s", p->host->host->name);
        if (r < 0)
            return r;
    }
    *ret = steal_ptr(c);
    return 0;
}

struct compare *compare_free(struct compare *c)
{
    if (!c)
        return NULL;
    for (size_t i = 0; i < c->n; i++)
        snapshot_free(c->items[i].before);
    free(c->items);
    free(c);
    return NULL;
}

void compare_not_here(struct compare *c)
{
    c->items[0].before = snapshot_free(c->items[0].before);
}

size_t compare_fds(const struct compare *c, int *ret, size_t max)
{
    return c ? attached_fds(c->attached, ret, max) : 0;
}

/* "host edge: new: …" */
static void compare_add(const struct compare_place *p, const char *what, const char *line,
                        json_t *list)
{
    AUTO_BUF text = BUF_INIT;
    if (p->host)
        buf_printf(&text, "host %s: ", p->host->host->name);
    buf_printf(&text, "%s: %s", what, line);
    json_array_append_new(list, jsonx_new_text(buf_text(&text)));
}

/* True when nothing differs. */
static bool compare_place(const struct compare_place *p, json_t *left, json_t *others)
{
    CLEANUP(snapshot_free_p) struct snapshot *after = NULL;
    struct err err = ERR_INIT;
    if (snapshot_take(p->host ? p->host->at.netns : -1, &after, &err) < 0) {
        AUTO_BUF text = BUF_INIT;
        buf_printf(&text, "%s%s network could not be compared: %s",
                   p->host ? p->host->host->name : "this machine", "'s", err.text);
        json_array_append_new(others, jsonx_new_text(buf_text(&text)));
        return true;
    }
    struct snapshot_diff d;
    snapshot_compare(p->before, after, &d);
    AUTO_FREE bool *ours = calloc(d.n_added + 1, sizeof *ours);
    if (!ours)
        abort();
    impair_mark(d.added, d.n_added, ours);
    for (size_t i = 0; i < d.n_added; i++)
        compare_add(p, "new", d.added[i],
                    ours[i] || strstr(d.added[i], COMPARE_OURS) ? left : others);
    for (size_t i = 0; i < d.n_gone; i++)
        compare_add(p, "gone", d.gone[i], others);
    bool same = !d.n_added && !d.n_gone;
    snapshot_diff_done(&d);
    return same;
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
    if (nl_open_kernel(p->host ? p->host->at.netns : -1,
                       p->host ? p->host->host->name : "this machine", &nl, NULL) < 0 ||
        rtnl_addresses(nl, &all, &n, NULL) < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        any = any || (all[i].flags & IFA_F_TENTATIVE);
    return any;
}

/* One network, again while something in it is still settling, and while something of ours is there: a
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
        bool same = compare_place(p, now_left, now_others);
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
    if (p->before)
        compare_whole(c, p, left, others);
    if (!p->host->ending && attached_is_there(p->host, &gone) < 0)
        json_array_append_new(others, jsonx_new_text(gone.text));
}

void compare_network(const struct compare *c, json_t *left, json_t *others)
{
    for (size_t i = 0; c && i < c->n; i++) {
        if (c->items[i].host)
            compare_host(c, &c->items[i], left, others);
        else if (c->items[i].before)
            compare_whole(c, &c->items[i], left, others);
    }
}

void compare_network_words(const struct compare *c, json_t *checked)
{
    bool here = c && c->items[0].before;
    json_array_append_new(
        checked, json_string(here ? "this machine's network, before and after"
                                  : "this machine's network: out of reach, this ran without root"));
    for (size_t i = 1; c && i < c->n; i++)
        if (c->items[i].before)
            json_array_append_new(checked, json_sprintf("the network of host %s, before and after",
                                                        c->items[i].host->host->name));
}

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
