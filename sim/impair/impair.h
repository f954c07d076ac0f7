/* Impairments of network traffic at points of the network: by the kernel's netem where it has one,
 * by our own engine where it has none or where that is asked for.
 *
 *   arm ─ (traffic untouched) ─ set on ─ … ─ set off ─ disarm
 *
 * Arming does all that takes time (devices, programs, queues); switching on and off is one step.
 * Packets that are held when a line is switched off still leave at their time; disarming waits for
 * none and loses those that are left.
 *
 * Ownership: one `struct impair` per lab, made with the first line, freed after the last. It owns
 * the engine's process (user engine). A line belongs to it and is freed by impair_disarm(). When the
 * engine's process dies, impair takes away what redirects to it at once (the path heals) and calls
 * `died`. Whoever dies how, nothing of it survives the namespaces of the lab.
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/base/impairment.h"
#include "sim/kernel/inet.h"
#include "sim/kernel/nl.h"
#include "sim/loop/loop.h"

enum impair_engine { IMPAIR_AUTO, IMPAIR_NETEM, IMPAIR_USER };

/* Where: packets that leave `device` (egress), or arrive at it (ingress). */
struct impair_point {
    struct nl *nl;      /* of the namespace of the device; borrowed, must outlive the line */
    int netns_fd;       /* of the same; borrowed for the call */
    const char *device; /* borrowed for the call */
    bool ingress;
    bool outlives; /* the namespace is somebody else's, and there when all of us are dead */
};

/* Which packets. Empty members match everything. With neither peers, protocol nor ports all frames
 * match, ARP and IPv6 neighbour discovery too (with a family: those of that family); else IP packets
 * alone. The peer is the destination at
 * egress and the source at ingress; `reversed` swaps that, for the switch's side of a cable, whose
 * egress is the host's ingress. Later fragments of a datagram carry no ports: a scope with ports
 * lets them follow their first fragment only as far as protocol and peer tell (they match). */
#define IMPAIR_PEERS_MAX 64
#define IMPAIR_PORTS_MAX 16
struct impair_ports {
    uint16_t lo, hi;
};
struct impair_scope {
    const struct inet_prefix *peers; /* any of them */
    size_t n_peers;
    uint8_t family; /* AF_INET, AF_INET6 alone; 0: both */
    int protocol;   /* IPPROTO_*; IPPROTO_ICMP is ICMPv6 too; -1: any */
    bool reversed;
    /* TCP, UDP, SCTP: any of each list that is not empty */
    const struct impair_ports *ports; /* either end */
    size_t n_ports;
    const struct impair_ports *peer_ports; /* the peer's end */
    size_t n_peer_ports;
    const struct impair_ports *own_ports;
    size_t n_own_ports;
    /* These peers pass by, whatever else matches; then ARP and neighbour discovery do, too. */
    const struct inet_prefix *except;
    size_t n_except;
    /* And TCP of these ports at its own end. */
    const struct impair_ports *except_ports;
    size_t n_except_ports;
};
/* Of one point: true when a packet can match both. Later fragments, which match by protocol and peer
 * alone, are not counted: of two lines that differ in ports alone, the one armed first takes them. */
bool impair_scopes_overlap(const struct impair_scope *a, const struct impair_scope *b);
/* "to 10.0.0.2, 10.0.0.3, TCP, the peer's port 80": for people; "everything" when nothing is narrowed.
 */
void impair_scope_text(const struct impair_scope *s, bool ingress, struct buf *out);

struct impair;
struct impair_line;

/* died: from the loop, after the path has healed; may be NULL. loop: may be NULL where only recordings
 * are armed. */
int impair_new(struct loop *loop, void (*died)(const char *reason, void *data), void *data,
               struct impair **ret, struct err *err);
struct impair *impair_free(struct impair *m); /* disarms every line; takes NULL, returns NULL */
DEFINE_CLEANUP(struct impair, impair_free);

/* What this machine has, and why not. */
struct impair_here {
    bool known; /* false: nobody tried; netem and user are taken for possible */
    bool netem, user;
    bool tap;                           /* our own engine has eBPF and a TAP, and needs no cables */
    char netem_why[200], user_why[200]; /* when not */
};
struct hostcaps;
/* As `doctor` tried it; NULL: not known. */
void impair_here_of(const struct hostcaps *caps, struct impair_here *ret);
/* Tries it in that namespace: an ifb with netem that is taken away again. */
void impair_here_try(int netns_fd, struct impair_here *ret);
/* Lines on recordings are those of such a machine; without it of one that has everything but eBPF. */
void impair_expect(struct impair *m, const struct impair_here *here);
/* Which engine AUTO becomes here, and why ("the kernel has it"); or -EOPNOTSUPP with the reason and
 * what to do when none can do it. Touches nothing. */
#define IMPAIR_WHY_MAX 256
int impair_choose(enum impair_engine asked, const struct impair_here *here, enum impair_engine *ret,
                  char ret_why[IMPAIR_WHY_MAX], struct err *err);
const char *impair_engine_text(enum impair_engine e); /* "netem", "blackstart's own engine" */

struct impair_order {
    struct impair_point point;
    const struct impair_scope *scope; /* borrowed for the call */
    const struct impairment *what;    /* borrowed for the call */
    uint64_t
        number; /* of the point, among those of one impairment: each draws from seed + number */
    enum impair_engine engine; /* AUTO: as impair_choose(), by what was tried once */
    const char *label; /* whose line it is ("step slow", "network back"); borrowed for the call */
};
/* What the first line would wait for and that touches no point: which engine can do it, and the process of
 * ours. */
int impair_ready(struct impair *m, enum impair_engine asked, struct err *err);
/* 0: armed and off. -EBUSY: it shares packets with another line at this point that is on, which is named;
 * lines whose scopes are disjoint compose. A recording `point.nl` records what would be sent and starts
 * nothing. */
int impair_arm(struct impair *m, const struct impair_order *o, struct impair_line **ret,
               struct err *err);
/* ret_at: first request, last acknowledgement; may be NULL. -EBUSY as above. */
int impair_set(struct impair_line *line, bool on, struct span *ret_at, struct err *err);
/* Other parameters for a line, on or off. */
int impair_change(struct impair_line *line, const struct impairment *what, struct err *err);
int impair_disarm(struct impair_line *line, struct err *err); /* frees the line in any case */
/* Switched off at once; disarmed when nothing is held any more, at the latest after IMPAIR_RETIRE. The
 * line is not the caller's any more. */
#define IMPAIR_RETIRE (60 * NSEC_SEC)
int impair_retire(struct impair_line *line, struct span *ret_at, struct err *err);
/* While changes are made by a line that ends its retirement, its label; else NULL. */
const char *impair_retiring(const struct impair *m);
/* The lines of this label that are not retired, oldest first; NULL: none (any more). */
struct impair_line *impair_find(struct impair *m, const char *label);

/* The process of our own engine; 0: it does not run. */
pid_t impair_engine_pid(const struct impair *m);

enum impair_engine impair_line_engine(const struct impair_line *line);
const char *impair_line_why(const struct impair_line *line); /* why this engine */
/* "host a, eth0 egress": where it is. Appends. */
void impair_line_text(const struct impair_line *line, struct buf *out);

/* That device has gone, or (device NULL) its whole namespace is about to go and its transport too: its
 * lines go with it, and are not their owner's any more, as after impair_retire(). */
void impair_gone(struct impair *m, const struct nl *nl, const char *device);

struct impair_counts {
    uint64_t matched; /* packets that the line took */
    uint64_t passed, lost, duplicated, corrupted, reordered, marked;
    uint64_t overflow; /* lost to a full queue of ours: not asked for (netem: among the lost) */
    uint64_t spared; /* passed unharmed, while the engine's process stood still; not in `matched` */
    uint64_t held;   /* now */
};
int impair_count(struct impair_line *line, struct impair_counts *ret, struct err *err);
/* Is it still there as it was put there, read back from the kernel? -ENOENT and the like: no. */
int impair_check(struct impair_line *line, struct err *err);
