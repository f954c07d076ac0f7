/* Network namespaces held by descriptors alone: no names, no mounts.
 *
 * Ownership: descriptors handed out are the caller's (CLOEXEC). Entering changes the calling thread
 * only; every function here is back in the caller's own namespace when it returns. Being unable to
 * come back ends the process: going on in the wrong namespace would touch what was not named.
 */
#pragma once

#include "sim/base/err.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

int netns_new(int *ret_fd, struct err *err);               /* loopback down, nothing else in it */
int netns_own(int *ret_fd, struct err *err);               /* the calling thread's */
int netns_of_pid(pid_t pid, int *ret_fd, struct err *err); /* /proc/PID/ns/net */

/* Equal ids: the same namespace, as long as one of both descriptors is open. */
struct netns_id {
    dev_t dev;
    ino_t ino;
};
int netns_identity(int fd, struct netns_id *ret, struct err *err);
bool netns_same(struct netns_id a, struct netns_id b);
/* A number that no other network namespace has or had since the machine was started (SO_NETNS_COOKIE,
 * Linux 5.14): inodes are used again. 0 where the kernel knows none. */
int netns_cookie(int fd, uint64_t *ret, struct err *err);
/* A network namespace by a path. -EINVAL: it leads to something else. */
int netns_open(const char *path, int *ret_fd, struct err *err);

/* For the rest of a scope:  AUTO_NETNS netns_scope back = NETNS_OUTSIDE; netns_enter(fd, &back, …)
 */
struct netns_scope {
    int back; /* where to return to; -1: not entered */
};
#define NETNS_OUTSIDE ((struct netns_scope){-1})
int netns_enter(int fd, struct netns_scope *scope, struct err *err);
void netns_leave(struct netns_scope *scope); /* not entered: nothing happens */
#define AUTO_NETNS __attribute__((cleanup(netns_leave))) struct

/* socket(2) inside; SOCK_CLOEXEC is added. fd -1: the caller's own namespace. */
int netns_socket(int fd, int domain, int type, int protocol, int *ret_fd, struct err *err);
/* Writes /proc/sys/KEY as seen from inside ("net/ipv6/conf/all/forwarding"). Outside of a plan
 * only; changes of a lab go through nl_sysctl(). */
int netns_sysctl(int fd, const char *key, const char *value, struct err *err);
