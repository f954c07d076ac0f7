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

#define NAMED_AT_MOST 8
#define TCP_ESTABLISHED_HEX 0x01

static int describe_processes(const struct attached_host *h, json_t *texts, struct err *err)
{
    AUTO_FREE struct snapshot_process *all = NULL;
    size_t n = 0, unseen = 0;
    AUTO_BUF text = BUF_INIT;
    int r = snapshot_processes(&h->at.id, 1, &all, &n, &unseen, err);
    if (r < 0)
        return r;
    buf_printf(&text, "%zu process%s live%s in it", n, n == 1 ? "" : "es", n == 1 ? "s" : "");
    for (size_t i = 0; i < n && i < NAMED_AT_MOST; i++)
        buf_printf(&text, "%s%s (%d)", i ? ", " : ": ", all[i].name, (int)all[i].pid);
    if (n > NAMED_AT_MOST)
        buf_printf(&text, " and %zu more", n - NAMED_AT_MOST);
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

/* "0100007F:1F90" as proc_net_tcp(5) writes it: words in the byte order of the machine. */
static bool end_text(const char *hex, char *out, size_t size)
{
    unsigned char bytes[16];
    char text[INET6_ADDRSTRLEN];
    size_t n = strcspn(hex, ":");
    unsigned port;
    if ((n != 8 && n != 32) || sscanf(hex + n, ":%4X", &port) != 1)
        return false;
    for (size_t i = 0; i < n / 8; i++) {
        uint32_t word;
        if (sscanf(hex + 8 * i, "%8" SCNx32, &word) != 1)
            return false;
        memcpy(bytes + 4 * i, &word, 4);
    }
    if (!inet_ntop(n == 8 ? AF_INET : AF_INET6, bytes, text, sizeof text))
        return false;
    snprintf(out, size, n == 8 ? "%s:%u" : "[%s]:%u", text, port);
    return true;
}

/* /proc/thread-self/net is that of the namespace in which the thread is at that moment. */
static int describe_connections(const struct attached_host *h, json_t *texts, struct err *err)
{
    static const char *const files[] = {"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"};
    AUTO_NETNS netns_scope scope = NETNS_OUTSIDE;
    AUTO_BUF text = BUF_INIT;
    size_t n = 0;
    int r = netns_enter(h->at.netns, &scope, err);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(files); i++) {
        AUTO_FCLOSE FILE *f = fopen(files[i], "re");
        char line[512], from[48], to[48], here[64], there[64];
        unsigned state;
        while (f && fgets(line, sizeof line, f)) {
            if (sscanf(line, "%*d: %47s %47s %X", from, to, &state) != 3 ||
                state != TCP_ESTABLISHED_HEX || !end_text(from, here, sizeof here) ||
                !end_text(to, there, sizeof there))
                continue;
            if (n++ < NAMED_AT_MOST)
                buf_printf(&text, "%s%s - %s", n > 1 ? ", " : ": ", here, there);
        }
    }
    if (r < 0)
        return r;
    if (n > NAMED_AT_MOST)
        buf_printf(&text, " and %zu more", n - NAMED_AT_MOST);
    json_array_append_new(texts, json_sprintf("%zu TCP connection%s end in it%s", n,
                                              n == 1 ? "" : "s", buf_text(&text)));
    return 0;
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
        r = describe_connections(h, texts, err);
    return r;
}

/* The TCP connections whose packets the kernel sends over that device now: leaves those in `all`. */
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

static void say_flow(const struct inet_flow *f, struct buf *text)
{
    char here[INET_TEXT_MAX], there[INET_TEXT_MAX];
    struct inet_prefix ends[] = {f->source, f->target}; /* without their length */
    ends[0].len = ends[1].len = f->source.family == AF_INET ? 32 : 128;
    buf_printf(text, "%s port %u - %s port %u", inet_text(&ends[0], here), f->sport,
               inet_text(&ends[1], there), f->dport);
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
        if (holders++ < NAMED_AT_MOST)
            buf_printf(&text, "%s%s (%d) has %zu", holders > 1 ? ", " : "", all.items[i].comm,
                       (int)all.items[i].pid, count);
    }
    if (holders > NAMED_AT_MOST)
        buf_printf(&text, " and %zu more processes", holders - NAMED_AT_MOST);
    for (size_t i = 0; i < n; i++)
        nobody += !held[i];
    if (nobody)
        buf_printf(&text, "%sno process that can be seen has %zu", holders ? ", " : "", nobody);
    text_make_printable(text.text, text.len);
    json_array_append_new(texts, json_sprintf("of these connections %s", buf_text(&text)));
    return 0;
}

static int describe_over(struct nl *nl, int ifindex, const char *device, json_t *texts,
                         struct err *err)
{
    AUTO_FREE struct sockdiag_tcp *all = NULL;
    AUTO_BUF text = BUF_INIT;
    size_t n = 0;
    int r = sockdiag_tcp(nl, &all, &n, err);
    if (r < 0)
        return r;
    size_t over = keep_over(nl, ifindex, all, n);
    for (size_t i = 0; i < over && i < NAMED_AT_MOST; i++) {
        buf_adds(&text, i ? ", " : ": ");
        say_flow(&all[i].flow, &text);
    }
    if (over > NAMED_AT_MOST)
        buf_printf(&text, " and %zu more", over - NAMED_AT_MOST);
    json_array_append_new(
        texts, json_sprintf("%zu TCP connection%s of this machine run%s over %s%s", over,
                            over == 1 ? "" : "s", over == 1 ? "s" : "", device, buf_text(&text)));
    return over ? describe_holders(all, over, texts, err) : 0;
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
        r = describe_over(nl, link.ifindex, h->at.interface, texts, err);
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
