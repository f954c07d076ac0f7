/* What lives in a host that others made, for people who are about to break it. */
#include "sim/attach/kind.h"

#include "sim/attach/port.h"
#include "sim/base/buf.h"
#include "sim/kernel/inet.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/rtnl_take.h"
#include "sim/kernel/snapshot.h"
#include "sim/kernel/sockdiag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int describe_processes(const struct attached_host *h, json_t *texts, struct err *err)
{
    AUTO_FREE struct snapshot_process *all = NULL;
    size_t n = 0, unseen = 0;
    AUTO_BUF text = BUF_INIT;
    int r = snapshot_processes(&h->at.id, 1, &all, &n, &unseen, err);
    if (r < 0)
        return r;
    buf_printf(&text, "%zu process%s live%s in it", n, n == 1 ? "" : "es", n == 1 ? "s" : "");
    for (size_t i = 0; i < n; i++)
        buf_printf(&text, "%s%s (%d)", i ? ", " : ": ", all[i].name, (int)all[i].pid);
    json_array_append_new(texts, json_string(buf_text(&text)));
    return 0;
}

static int describe_addresses(struct nl *nl, json_t *texts, struct err *err)
{
    AUTO_FREE struct rtnl_link *links = NULL;
    AUTO_FREE struct rtnl_address *addresses = NULL;
    size_t n_links = 0, n_addresses = 0;
    int r = rtnl_links(nl, &links, &n_links, err);
    if (r == 0)
        r = rtnl_addresses(nl, &addresses, &n_addresses, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n_links; i++) {
        AUTO_BUF text = BUF_INIT;
        bool any = false;
        buf_printf(&text, "device %s (%s)", links[i].name, links[i].flags & IFF_UP ? "up" : "down");
        for (size_t k = 0; k < n_addresses; k++) {
            char address[INET_TEXT_MAX];
            if (addresses[k].ifindex != links[i].ifindex)
                continue;
            buf_printf(&text, "%s%s", any ? ", " : ": ", inet_text(&addresses[k].prefix, address));
            any = true;
        }
        json_array_append_new(texts, json_string(buf_text(&text)));
    }
    return 0;
}

/* The connections whose packets the kernel sends over that device now: leaves those in `all`. */
static size_t keep_over(struct nl *nl, int ifindex, struct sockdiag_tcp *all, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        struct rtnl_way way;
        if (rtnl_take_way(nl, &all[i].flow.target, &way, NULL) == 0 && !way.local && !way.nowhere &&
            way.ifindex == ifindex)
            all[kept++] = all[i];
    }
    return kept;
}

static void say_end(const struct inet_prefix *end, uint16_t port, struct buf *text)
{
    char address[INET_TEXT_MAX];
    struct inet_prefix one = *end; /* without its length */
    one.len = one.family == AF_INET ? 32 : 128;
    buf_printf(text, one.family == AF_INET ? "%s:%u" : "[%s]:%u", inet_text(&one, address), port);
}

/* Whose connections these are, each process with how many of them. What nobody holds is told too: the
 * kernel ends it alone, or we may not look into its process. */
static int describe_holders(const struct sockdiag_tcp *over, size_t n, json_t *texts,
                            struct err *err)
{
    AUTO_PROCS all = {0};
    AUTO_BUF text = BUF_INIT;
    AUTO_FREE uint32_t *inodes = calloc(n + 1, sizeof *inodes);
    AUTO_FREE bool *held = calloc(n + 1, sizeof *held), *its = calloc(n + 1, sizeof *its);
    size_t holders = 0, nobody = 0;
    if (!inodes || !held || !its)
        abort();
    int r = procs_scan(&all, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++)
        inodes[i] = over[i].inode;
    for (size_t i = 0; i < all.n; i++) {
        size_t count = 0;
        memset(its, 0, n * sizeof *its);
        if (!port_holds(&all.items[i], inodes, n, its))
            continue;
        for (size_t k = 0; k < n; k++) {
            count += its[k];
            held[k] = held[k] || its[k];
        }
        buf_printf(&text, "%s%s (%d) has %zu", holders++ ? ", " : "", all.items[i].comm,
                   (int)all.items[i].pid, count);
    }
    for (size_t i = 0; i < n; i++)
        nobody += !held[i];
    if (nobody)
        buf_printf(&text, "%sno process that can be seen has %zu", holders ? ", " : "", nobody);
    text_make_printable(text.text, text.len);
    json_array_append_new(texts, json_sprintf("of these connections %s", buf_text(&text)));
    return 0;
}

/* ifindex 0: of all, whichever way they go. */
static int describe_protocol(struct nl *nl, bool udp, int ifindex, const char *device,
                             json_t *texts, struct err *err)
{
    AUTO_FREE struct sockdiag_tcp *all = NULL;
    AUTO_BUF text = BUF_INIT;
    size_t n = 0;
    int r = udp ? sockdiag_udp(nl, &all, &n, err) : sockdiag_tcp(nl, &all, &n, err);
    if (udp && r < 0) /* a kernel that tells nothing of UDP */
        return 0;
    if (r < 0)
        return r;
    size_t over = ifindex ? keep_over(nl, ifindex, all, n) : n;
    if (udp && over == 0)
        return 0;
    for (size_t i = 0; i < over; i++) {
        buf_adds(&text, i ? ", " : ": ");
        say_end(&all[i].flow.source, all[i].flow.sport, &text);
        buf_adds(&text, " - ");
        say_end(&all[i].flow.target, all[i].flow.dport, &text);
    }
    const char *what = udp ? "connected UDP socket" : "TCP connection", *s = over == 1 ? "" : "s";
    json_array_append_new(texts, ifindex ? json_sprintf("%zu %s%s of this machine run%s over %s%s",
                                                        over, what, s, over == 1 ? "s" : "", device,
                                                        buf_text(&text))
                                         : json_sprintf("%zu %s%s end%s in it%s", over, what, s,
                                                        over == 1 ? "s" : "", buf_text(&text)));
    return ifindex && over ? describe_holders(all, over, texts, err) : 0;
}

static int describe_connections(struct nl *nl, int ifindex, const char *device, json_t *texts,
                                struct err *err)
{
    int r = describe_protocol(nl, false, ifindex, device, texts, err);
    return r < 0 ? r : describe_protocol(nl, true, ifindex, device, texts, err);
}

/* Of the machine's own network everybody and everything would be told. */
static int describe_network(const struct attached_host *h, json_t *texts, struct err *err)
{
    CLEANUP(nl_free_p) struct nl *nl = NULL;
    int r = nl_open_kernel(h->at.netns, h->host->name, &nl, err);
    if (r == 0)
        r = describe_processes(h, texts, err);
    if (r == 0)
        r = describe_addresses(nl, texts, err);
    if (r == 0)
        r = describe_connections(nl, 0, NULL, texts, err);
    return r;
}

/* One device of this machine: everybody here may use it. */
static int describe_interface(const struct attached_host *h, json_t *texts, struct err *err)
{
    CLEANUP(nl_free_p) struct nl *nl = NULL;
    struct rtnl_link link;
    int r = nl_open_kernel(h->at.netns, h->host->name, &nl, err);
    if (r == 0)
        r = rtnl_link_get(nl, h->at.interface, &link, err);
    if (r == 0)
        r = describe_connections(nl, link.ifindex, h->at.interface, texts, err);
    return r;
}

int attached_describe(const struct attached_host *h, json_t *texts, struct err *err)
{
    if (h->at.shares_network)
        json_array_append_new(texts, json_sprintf("%s, in this machine's own network", h->at.what));
    else if (h->at.pid)
        json_array_append_new(texts,
                              json_sprintf("%s, in the network namespace with inode %" PRIu64,
                                           h->at.what, (uint64_t)h->at.id.ino));
    else
        json_array_append_new(
            texts, json_sprintf("%s (inode %" PRIu64 ")", h->at.what, (uint64_t)h->at.id.ino));
    if (h->at.pid && !h->at.shares_mounts)
        json_array_append_new(texts, json_string("files, and names of others, are looked up in its "
                                                 "own mount namespace"));
    if (h->at.how)
        json_array_append_new(texts, json_string(h->at.how));
    int r = h->kind->describe ? h->kind->describe(h, texts, err) : 0;
    if (r == 0 && !h->at.shares_network)
        r = describe_network(h, texts, err);
    else if (r == 0 && h->at.interface)
        r = describe_interface(h, texts, err);
    return r < 0 ? err_prefix(err, "host %s", h->host->name) : 0;
}
