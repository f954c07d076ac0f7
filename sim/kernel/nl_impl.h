/* What the three transports are made of. Private to this room.
 *
 * Ownership: `struct nl` owns its queue and `impl`; `log` is shared by transports derived from one
 * another (the first one owns it).
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/kernel/nl_req.h"

struct nl_ops {
    /* Sends queue[0..n) and sets each one's answered/result/ext_ack. A negative return is a failure
     * of the transport itself. */
    int (*send)(struct nl *nl, struct nl_req **queue, size_t n, struct err *err);
    int (*ask)(struct nl *nl, struct nl_req *q, nl_answer_fn *fn, void *data, struct err *err);
    int (*ifindex)(struct nl *nl, const char *name, int *ret, struct err *err);
    int (*sysctl)(struct nl *nl, const char *key, const char *value, struct err *err);
    int (*note)(struct nl *nl, const char *text, struct err *err); /* may be NULL */
    int (*derive)(struct nl *from, int netns_fd, const char *where, struct nl **ret,
                  struct err *err);
    int (*fd)(struct nl *nl, int protocol, int *ret, struct err *err);
    void (*learn)(struct nl *nl, const char *name, int ifindex); /* 0: forget */
    void (*done)(struct nl *nl);
};

struct nl_log;

struct nl {
    const struct nl_ops *ops;
    char *where;
    void *impl;
    struct nl_req **queue;
    size_t n, size;
    nl_observer *observer;
    void *observer_data;
    struct nl_log *log; /* recordings; NULL else */
    bool owns_log;
};

struct nl *nl_new(const struct nl_ops *ops, const char *where);

/* The text of a request: names in place of its holes. */
void nl_req_text(const struct nl_req *q, struct buf *out);
/* Its bytes with holes, sequence number and NLM_F_ACK zeroed. */
void nl_req_template(const struct nl_req *q, struct buf *out);
/* Appends the sentence of a failed request: what, why, the kernel's own words. */
int nl_req_error(const struct nl *nl, const struct nl_req *q, struct err *err);

extern const struct nl_ops nl_kernel_ops, nl_recording_ops, nl_expecting_ops;
