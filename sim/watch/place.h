/* Where a vantage process stands: watch_start() makes one of these from a lab host.
 *
 * Ownership: descriptors are borrowed until watch_start_at() returns.
 */
#pragma once

#include "sim/watch/watch.h"

struct watch_place {
    const char *host; /* name in the scenario; lives as long as the watch */
    int pidfd; /* of a process whose network, mount, UTS and IPC namespaces to enter; -1: stay here
                 */
    int netns_fd;  /* of a host that others made, with pidfd -1: its network namespace; 0: none */
    int mounts_fd; /* and the mount namespace to look things up in */
    int dir_fd;    /* the working directory; -1: stay */
    int source_fd; /* the scenario's folder, for secrets of `{file: PATH}`; -1: none */
    const char
        *env_file; /* inside: NUL-separated environment of commands; NULL or absent: inherited */
    bool own_pids; /* in a pid namespace of its own (CAP_SYS_ADMIN), so that commands end with it */
    /* Hardware addresses of a host on a network (NULL: on all); for packets: {sender}. */
    size_t (*macs)(const void *data, const char *host, const char *network, uint8_t (*ret)[6],
                   size_t max);
    const void *macs_data;
};

/* As watch_start(), which see. */
int watch_start_at(const struct scenario *s, const struct watch_place *place, struct loop *loop,
                   const nsec *first, int pcap_fd, const struct watch_handlers *handlers,
                   struct watch **ret, struct err *err);
