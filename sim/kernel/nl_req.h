/* A netlink request under construction, with holes for numbers only the kernel transport knows.
 * Private to this room.
 *
 * Ownership: nl_req_new() … nl_req_free(); nl_queue() takes it. Building never fails visibly: what
 * cannot be built marks the request broken with a sentence, which nl_flush() reports.
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/kernel/nl.h"
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

enum nl_hole_kind { NL_HOLE_IFINDEX, NL_HOLE_FD, NL_HOLE_NEW /* a number nobody has */ };

struct nl_hole {
    uint32_t offset; /* of the 32 bits, from the start of the netlink header */
    enum nl_hole_kind kind;
    int fd;
    char *name;   /* `own`, or allocated if it is longer */
    char own[16]; /* an interface's fits (IFNAMSIZ) */
};
#define NL_HOLES_MAX 4 /* more than any message has */

struct nl_req {
    int protocol;     /* NETLINK_ROUTE … */
    bool transaction; /* belongs into a batch of nf_tables */
    struct nl_msg *msg;
    struct nl_hole holes[NL_HOLES_MAX];
    size_t n_holes;
    int forgiven[2]; /* errnos that are no failure; 0: unused */
    char *broken;    /* the sentence; NULL: fine */
    char *gone;      /* a link that does not exist any more when this succeeded */
    /* set by the transport */
    uint32_t seq;
    bool answered;
    int result; /* errno */
    char *ext_ack;
};

/* flags without NLM_F_REQUEST | NLM_F_ACK. `room`: bytes for attributes. */
struct nl_req *nl_req_new(int protocol, uint16_t type, uint16_t flags, const void *header,
                          size_t header_n, size_t room);
struct nl_req *nl_req_free(struct nl_req *q);
DEFINE_CLEANUP(struct nl_req, nl_req_free);
struct nlmsghdr *nl_req_header(const struct nl_req *q);
bool nl_req_is_dump(const struct nl_req *q);

void nl_req_put(struct nl_req *q, int attr, const void *data, size_t n);
void nl_req_put_u8(struct nl_req *q, int attr, uint8_t v);
void nl_req_put_u16(struct nl_req *q, int attr, uint16_t v);
void nl_req_put_u32(struct nl_req *q, int attr, uint32_t v);
void nl_req_put_be16(struct nl_req *q, int attr, uint16_t v);
void nl_req_put_be32(struct nl_req *q, int attr, uint32_t v);
void nl_req_put_be64(struct nl_req *q, int attr, uint64_t v);
void nl_req_put_str(struct nl_req *q, int attr, const char *s);
/* The same for an interface name: 1 to 15 bytes, no '/' and no blank. */
void nl_req_put_ifname(struct nl_req *q, int attr, const char *name);
void nl_req_put_raw(struct nl_req *q, const void *data, size_t n); /* a nested header */
struct nlattr *nl_req_nest(struct nl_req *q, int attr);
void nl_req_nest_end(struct nl_req *q, struct nlattr *nest);

/* Holes: an attribute of 32 bits, or 32 bits of the family header. */
void nl_req_put_ifindex(struct nl_req *q, int attr, const char *name);
void nl_req_put_netns(struct nl_req *q, int attr, const struct nl_netns *ns);
void nl_req_put_fd(struct nl_req *q, int attr, int fd, const char *name);
/* The same inside a structure of n bytes, at `offset`. */
void nl_req_put_around_ifindex(struct nl_req *q, int attr, const void *data, size_t n,
                               size_t offset, const char *name);
void nl_req_hole_ifindex(struct nl_req *q, size_t header_offset, const char *name);

void nl_req_hole_new(struct nl_req *q, size_t header_offset);

void nl_req_break(struct nl_req *q, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Into the transport's queue. */
void nl_queue(struct nl *nl, struct nl_req *q);

/* Asks (a dump when NLM_F_DUMP is set, else one object): fn for each message of the answer. The
 * queue is flushed first; q is freed. fn's negative return ends it and is returned. */
typedef int nl_answer_fn(const struct nlmsghdr *h, void *data, struct err *err);
int nl_ask(struct nl *nl, struct nl_req *q, nl_answer_fn *fn, void *data, struct err *err);
