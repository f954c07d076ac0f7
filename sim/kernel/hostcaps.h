/* What this host can do, decided by trying, for `doctor` and `check --here`.
 *
 * Ownership: hostcaps_probe() … hostcaps_free(). Everything that would change something is tried in
 * a child in namespaces of its own; the caller and the host stay as they were. Takes well below a
 * second.
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include <stdbool.h>
#include <stddef.h>

struct hostcap {
    const char *name; /* "user-namespaces", "bridge" …: constant, see hostcaps_find() */
    bool ok;
    char *detail;            /* what was tried and what came out */
    const char *consequence; /* what it means for the user when not ok; constant */
};

struct hostcaps {
    struct hostcap *items;
    size_t n;
    bool is_root;      /* effective uid 0 with CAP_SYS_ADMIN and CAP_NET_ADMIN here */
    bool lab_possible; /* as root or in a user namespace */
    unsigned ids;      /* uids that can exist in a rootless lab: 1, or 65536 with newuidmap */
};

int hostcaps_probe(struct hostcaps **ret, struct err *err);
struct hostcaps *hostcaps_free(struct hostcaps *h); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct hostcaps, hostcaps_free);
/* Names: user-namespaces root newuidmap network-namespaces pid-namespaces mount-namespaces
 * proc-mount bridge veth nft-inet nft-bridge nft-owner nft-reject nft-ct nft-nat nft-tproxy
 * sock-destroy raw-socket packet-socket netem ifb cls-bpf mirred bpf tun pidfd clone3 time-namespaces tmpfs devpts clock cpus gnuplot
 * faketime. NULL for another. */
const struct hostcap *hostcaps_find(const struct hostcaps *h, const char *name);
