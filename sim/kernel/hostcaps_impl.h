/* What is tried, and where the results lie. Private to hostcaps*.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum hostcap_id {
    HOSTCAP_USER_NS,
    HOSTCAP_ROOT,
    HOSTCAP_NEWUIDMAP,
    HOSTCAP_NET_NS,
    HOSTCAP_PID_NS,
    HOSTCAP_MOUNT_NS,
    HOSTCAP_PROC_MOUNT,
    HOSTCAP_TMPFS,
    HOSTCAP_DEVPTS,
    HOSTCAP_BRIDGE,
    HOSTCAP_VETH,
    HOSTCAP_NFT_INET,
    HOSTCAP_NFT_BRIDGE,
    HOSTCAP_NFT_OWNER,
    HOSTCAP_NFT_REJECT,
    HOSTCAP_NFT_CT,
    HOSTCAP_NFT_NAT,
    HOSTCAP_NFT_TPROXY,
    HOSTCAP_SOCK_DESTROY,
    HOSTCAP_RAW_SOCKET,
    HOSTCAP_PACKET_SOCKET,
    HOSTCAP_NETEM,
    HOSTCAP_IFB,
    HOSTCAP_CLS_BPF,
    HOSTCAP_MIRRED,
    HOSTCAP_BPF,
    HOSTCAP_TUN,
    HOSTCAP_PIDFD,
    HOSTCAP_CLONE3,
    HOSTCAP_TIME_NS,
    HOSTCAP_CLOCK,
    HOSTCAP_CPUS,
    HOSTCAP_GNUPLOT,
    HOSTCAP_FAKETIME,
    HOSTCAP_COUNT,
};

/* In memory shared with the child that tries: whatever becomes of it, what it found is there. */
struct hostcap_try {
    bool done, ok;
    char detail[240];
};

void hostcaps_set(struct hostcap_try *t, bool ok, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Run in a child of its own, which exits afterwards. `userns`: enter one first, map `uid` to 0. */
void hostcaps_try_inside(struct hostcap_try *t, bool userns);
/* Only whether a user namespace can be made and gives capabilities. */
void hostcaps_try_userns(struct hostcap_try *t);
