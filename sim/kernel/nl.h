/* A transport for changes of one network namespace: to the kernel, into a recording (for `plan`),
 * or against a test's expectations.
 *
 * Ownership: made by nl_open_*() or nl_derive(), freed by nl_free(); transports derived from a
 * recording or expecting one share its log, and the one they came from must be freed last. Single
 * thread.
 *
 * Encoders (rtnl.h, nft.h) only queue messages; nl_flush() sends all of them, in order, in as few
 * sends as the kernel's buffers allow, and waits for one acknowledgement each (own sequence number
 * per message). Messages of nf_tables queued next to each other are one transaction: all or
 * nothing. Messages of rtnetlink are not: after a failing one the later ones of the queue are still
 * tried. What cannot be encoded (a name of 16 bytes) is remembered and reported by nl_flush(),
 * which then sends nothing.
 *
 * Symbols: an interface is always named, never numbered; a namespace is a descriptor with a name. A
 * queued message has holes for such numbers, which only the kernel transport fills in. So the
 * recorded form (holes zeroed, text with names) of a real message equals that of a recorded one.
 *
 * Errors: text of the message, the kernel's errno in words, and its extended ack. Nothing waits for
 * an answer longer than NL_TIMEOUT (then -ETIMEDOUT); what the kernel does while it takes a message
 * (its own locks) comes before that.
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/base/nsec.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NL_TIMEOUT (5 * NSEC_SEC)

struct nl;

/* A namespace as others name it: `fd` is used by the kernel, `name` by people and recordings. */
struct nl_netns {
    int fd;           /* borrowed; any value for a recording */
    const char *name; /* "host web"; borrowed for the call */
};

/* To the kernel, in the namespace behind netns_fd (duplicated; -1: the caller's own). Sockets are
 * opened on first use by setns(2), socket(2), setns back. `where` names the namespace in texts. */
int nl_open_kernel(int netns_fd, const char *where, struct nl **ret, struct err *err);
/* Sends nothing and remembers everything; interfaces get invented numbers. */
int nl_open_recording(const char *where, struct nl **ret, struct err *err);
/* Another namespace by the same means: kernel → kernel (with the same observer), recording → the
 * same log, expecting → the same list of expectations. netns_fd is used by the kernel alone. */
int nl_derive(struct nl *from, int netns_fd, const char *where, struct nl **ret, struct err *err);
struct nl *nl_free(struct nl *nl); /* takes NULL, returns NULL; what is queued is dropped */
DEFINE_CLEANUP(struct nl, nl_free);
const char *nl_where(const struct nl *nl);
bool nl_is_recording(const struct nl *nl); /* nothing is really done */

/* Sends what was queued. 0, or the first failure (the queue is empty afterwards in any case). */
int nl_flush(struct nl *nl, struct err *err);
/* The last queued message may fail with this errno too (ENODEV for a delete, EEXIST for an add).
 * Not inside a transaction of several: that is rolled back, which is told as ECANCELED. */
void nl_forgive(struct nl *nl, int code);
size_t nl_queued(const struct nl *nl);

/* Changes that are not netlink but belong to the same plan and order. Both flush the queue first.
 * key: "net/ipv4/ip_forward", written below /proc/sys inside the namespace. */
int nl_sysctl(struct nl *nl, const char *key, const char *value, struct err *err);
/* Something the caller does itself (a namespace made, a signal sent): only text for the record. */
int nl_note(struct nl *nl, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* What was sent, or would be. */
struct nl_seen {
    const char *where; /* the namespace */
    const char *text;  /* "link add kind=veth name=p1 …": every field, names for numbers */
    const void *bytes; /* the message, holes, sequence number and NLM_F_ACK zeroed; NULL: a note */
    size_t n;
    int result; /* 0, or the errno it failed with (forgiven ones too); 0 when recorded */
};
typedef void nl_observer(const struct nl_seen *s, void *data);
/* Calls fn for each change (not for questions) that passes from now on through this transport and
 * those derived from it later, after its acknowledgement. NULL: stop. Costs nothing when off. */
void nl_observe(struct nl *nl, nl_observer *fn, void *data);
/* The log of a recording; i < nl_recorded(). Borrowed until the next change. */
size_t nl_recorded(const struct nl *nl);
struct nl_seen nl_recorded_at(const struct nl *nl, size_t i);

/* The number of an interface now. -ENODEV when there is none. A recording invents one. */
int nl_ifindex(struct nl *nl, const char *name, int *ret, struct err *err);
/* Tells that `name` will have this number (it was asked for at creation): messages about it can go
 * in the same batch as the one that makes it. Forgotten when the link is deleted through here. */
void nl_learn(struct nl *nl, const char *name, int ifindex);

/* The socket, for one who must keep it open (nf_tables with an owner die with the last copy).
 * protocol: NETLINK_ROUTE, NETLINK_NETFILTER, NETLINK_SOCK_DIAG. Borrowed; CLOEXEC. Recordings and
 * expectations: -EOPNOTSUPP. */
int nl_fd(struct nl *nl, int protocol, int *ret, struct err *err);
