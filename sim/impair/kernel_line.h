/* A line by the kernel's netem: a filter at clsact that redirects to an ifb of ours, with netem as its
 * root. Private to this room.
 *
 * Ownership: kernel_line_arm() … kernel_line_disarm(), which frees it in any case. point->nl is
 * borrowed and must outlive it.
 */
#pragma once

#include "sim/impair/impair.h"
#include "sim/kernel/tc.h"

/* What a line of either engine is made of. */
struct line_spec {
    const struct impair_point *point;
    const struct sock_filter *ops; /* the scope; copied */
    size_t n_ops;
    uint16_t pref;   /* of the filter, unique on this hook */
    const char *tag; /* names its devices; at most 14 bytes */
};

struct kernel_line;
int kernel_line_arm(const struct line_spec *spec, const struct impairment *what,
                    struct kernel_line **ret, struct err *err);
int kernel_line_set(struct kernel_line *l, bool on, struct span *ret_at, struct err *err);
/* Nobody asks any more how many packets it took: what the filter has counted goes with it. */
void kernel_line_uncounted(struct kernel_line *l);
int kernel_line_change(struct kernel_line *l, const struct impairment *what, struct err *err);
int kernel_line_disarm(struct kernel_line *l, struct err *err);
void kernel_line_forget(struct kernel_line *l); /* its namespace has gone: nothing is sent */
int kernel_line_count(struct kernel_line *l, struct impair_counts *ret, struct err *err);
/* -ENOENT, -EOPNOTSUPP: its netem does not stand in the kernel as it was put there. */
int kernel_line_check(struct kernel_line *l, const struct impairment *what, struct err *err);
