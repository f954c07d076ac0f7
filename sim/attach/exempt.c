/* The operator and the resolvers. See exempt.h. */
#include "sim/attach/exempt.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sim/attach/attach.h"
#include "sim/base/file.h"
#include "sim/kernel/sockdiag.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define RESOLV_MAX 65536

void exempt_done(struct exempts *e)
{
    free(e->items);
    *e = (struct exempts){0};
}

static void add(struct exempts *list, const struct exempt *one)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].address.family == one->address.family &&
            memcmp(list->items[i].address.addr, one->address.addr, 16) == 0)
            return;
    list->items = reallocarray(list->items, list->n + 1, sizeof *list->items);
    if (!list->items)
        abort(); /* as the buffers of sim/base do */
    list->items[list->n++] = *one;
}

const struct exempt *exempt_in(const struct exempts *e, const struct inet_prefix *net)
{
    for (size_t i = 0; i < e->n; i++)
        if (e->items[i].address.family == net->family && inet_contains(net, &e->items[i].address))
            return &e->items[i];
    return NULL;
}

bool exempt_is_loopback(const struct inet_prefix *net)
{
    static const struct inet_prefix v4 = {.family = AF_INET, .len = 8, .addr = {127}};
    static const struct inet_prefix v6 = {.family = AF_INET6, .len = 128, .addr = {[15] = 1}};
    const struct inet_prefix *lo = net->family == AF_INET ? &v4 : &v6;
    return net->len >= lo->len && inet_contains(lo, net);
}

bool exempt_next(const struct exempts *e, size_t i, struct exemption *ret)
{
    static const struct inet_prefix loopback[] = {
        {.family = AF_INET, .len = 8, .addr = {127}},
        {.family = AF_INET6, .len = 128, .addr = {[15] = 1}},
    };
    const struct exempts none = {0};
    if (!e)
        e = &none;
    if (i < ARRAY_SIZE(loopback)) {
        *ret = (struct exemption){.kind = EXEMPT_LOOPBACK, .peer = loopback[i]};
        return true;
    }
    i -= ARRAY_SIZE(loopback);
    if (i < e->n) {
        *ret = (struct exemption){
            .kind = EXEMPT_PEER, .peer = e->items[i].address, .operator_ = e->items[i].operator_};
        return true;
    }
    i -= e->n;
    if (i >= e->n_ports)
        return false;
    *ret = (struct exemption){.kind = EXEMPT_PORT, .port = e->ports[i]};
    return true;
}

bool exempt_flow(const struct exempts *e, const struct inet_flow *f)
{
    struct inet_prefix there = f->target;
    struct exemption x;
    there.len = there.family == AF_INET ? 32 : 128;
    for (size_t i = 0; exempt_next(e, i, &x); i++)
        if (x.kind == EXEMPT_PORT ? f->protocol == IPPROTO_TCP && f->sport == x.port
                                  : x.peer.family == there.family && inet_contains(&x.peer, &there))
            return true;
    return false;
}

int exempt_listener(struct exempts *e, const char *listen, struct err *err)
{
    char host[64] = "";
    struct inet_prefix at = {0};
    const char *colon = strrchr(listen, ':');
    long port = strtol(colon ? colon + 1 : listen, NULL, 10);
    if (colon && colon > listen && colon - listen < (ptrdiff_t)sizeof host)
        snprintf(host, sizeof host, "%.*s", (int)(colon - listen), listen);
    char *bare = host[0] == '[' ? host + 1 : host;
    bare[strcspn(bare, "]%")] = '\0';
    static const uint8_t any[16];
    if (!*bare || strchr(bare, '/') || inet_parse(bare, &at, NULL) < 0 ||
        memcmp(at.addr, any, sizeof any) == 0)
        at = (struct inet_prefix){0};
    if (port <= 0 || port > UINT16_MAX) /* whoever listens there says so */
        return 0;
    for (size_t i = 0; i < e->n_ports; i++)
        if (e->ports[i] == port && memcmp(&e->listens_at[i], &at, sizeof at) == 0)
            return 0;
    if (e->n_ports == EXEMPT_PORTS)
        return err_set(err, ENOSPC,
                       "more than %d listeners of ours in one host of others, which all would have "
                       "to be left out of every fault: let alarms share one, told apart by 'path' "
                       "or 'where'",
                       EXEMPT_PORTS);
    e->listens_at[e->n_ports] = at;
    e->ports[e->n_ports++] = (uint16_t)port;
    return 0;
}

/* --- Resolvers -------------------------------------------------------------------------------- */

static bool single_address(const char *text, struct inet_prefix *ret)
{
    if (strchr(text, '/') || inet_parse(text, ret, NULL) < 0)
        return false;
    ret->len = ret->family == AF_INET ? 32 : 128;
    return !exempt_is_loopback(ret);
}

void exempt_resolvers(const char *text, const char *path, struct exempts *ret)
{
    const char *next;
    for (const char *line = text; line && *line; line = next) {
        next = strchr(line, '\n');
        next = next ? next + 1 : NULL;
        char address[64];
        struct exempt one = {0};
        if (sscanf(line, "nameserver %63s", address) != 1)
            continue;
        address[strcspn(address, "%")] = '\0'; /* a zone */
        if (!single_address(address, &one.address))
            continue;
        snprintf(one.why, sizeof one.why, "a resolver (%.80s)", path);
        add(ret, &one);
    }
}

static void read_resolvers(const char *path, struct exempts *ret)
{
    AUTO_FREE char *text = NULL;
    size_t n;
    if (file_read(AT_FDCWD, path, RESOLV_MAX, &text, &n, NULL) == 0)
        exempt_resolvers(text, path, ret);
}

/* As the host's programs look it up: ip-netns(8) puts a file of its own in the place of /etc's. */
static void resolvers_of(const struct attached_host *h, struct exempts *ret)
{
    char path[300];
    if (h->host->netns && !strchr(h->host->netns, '/')) {
        snprintf(path, sizeof path, "/etc/netns/%.200s/resolv.conf", h->host->netns);
        read_resolvers(path, ret);
    }
    if (h->at.pid) {
        snprintf(path, sizeof path, "/proc/%d/root" RESOLV_CONF, (int)h->at.pid);
        read_resolvers(path, ret);
    }
    read_resolvers(RESOLV_CONF, ret);
}

/* --- The operator ----------------------------------------------------------------------------- */

struct held { /* a socket of an ancestor */
    unsigned long inode;
    pid_t pid;
    char comm[64];
};

struct holders {
    struct held *items;
    size_t n;
};

static void sockets_of(const struct proc *p, struct holders *ret)
{
    char path[64], target[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)p->pid);
    AUTO_CLOSEDIR DIR *fds = opendir(path);
    for (const struct dirent *e; fds && (e = readdir(fds));) {
        struct held h = {.pid = p->pid};
        ssize_t n = readlinkat(dirfd(fds), e->d_name, target, sizeof target - 1);
        if (n <= 0)
            continue;
        target[n] = '\0';
        if (sscanf(target, "socket:[%lu]", &h.inode) != 1)
            continue;
        snprintf(h.comm, sizeof h.comm, "%s", p->comm);
        ret->items = reallocarray(ret->items, ret->n + 1, sizeof *ret->items);
        if (!ret->items)
            abort();
        ret->items[ret->n++] = h;
    }
}

static int find_holders(struct holders *ret, struct err *err)
{
    AUTO_PROCS all = {0};
    int r = procs_scan(&all, err);
    if (r < 0)
        return r;
    const struct proc *p = procs_find(&all, getppid());
    for (size_t i = 0; p && p->pid > 1 && i < all.n; i++, p = procs_find(&all, p->ppid))
        sockets_of(p, ret);
    return 0;
}

/* netns -1: where we stand. A kernel that tells nothing of sockets leaves it to the environment. */
static void operators_in(int netns, const struct holders *held, struct exempts *ret)
{
    CLEANUP(nl_free_p) struct nl *nl = NULL;
    AUTO_FREE struct sockdiag_tcp *all = NULL;
    size_t n = 0;
    if (nl_open_kernel(netns, "operator", &nl, NULL) < 0 || sockdiag_tcp(nl, &all, &n, NULL) < 0)
        return;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < held->n; k++) {
            struct exempt one = {
                .address = all[i].flow.target, .own = all[i].flow.source, .operator_ = true};
            one.address.len = one.own.len = one.address.family == AF_INET ? 32 : 128;
            if (!all[i].inode || held->items[k].inode != all[i].inode ||
                exempt_is_loopback(&one.address))
                continue;
            snprintf(one.why, sizeof one.why,
                     "the other end of a connection of %.32s (%d), which started us",
                     held->items[k].comm, (int)held->items[k].pid);
            add(ret, &one);
        }
}

/* sshd(8): the client's address and port, the server's. */
static void operator_by_environment(struct exempts *ret)
{
    const char *text = getenv("SSH_CONNECTION");
    char there[64], here[64];
    struct exempt one = {.operator_ = true};
    if (!text || sscanf(text, "%63s %*s %63s", there, here) != 2 ||
        !single_address(there, &one.address))
        return;
    if (!single_address(here, &one.own))
        one.own = (struct inet_prefix){0};
    snprintf(one.why, sizeof one.why, "where you are connected from (SSH_CONNECTION)");
    add(ret, &one);
}

int exempt_find(struct attached *a, struct err *err)
{
    struct holders held = {0};
    int r = a->n ? find_holders(&held, err) : 0;
    for (size_t i = 0; r == 0 && i < a->n; i++) {
        struct attached_host *h = &a->items[i];
        exempt_done(&h->exempt);
        operators_in(-1, &held, &h->exempt);
        if (!h->at.shares_network)
            operators_in(h->at.netns, &held, &h->exempt);
        operator_by_environment(&h->exempt);
        resolvers_of(h, &h->exempt);
    }
    free(held.items);
    return r;
}
