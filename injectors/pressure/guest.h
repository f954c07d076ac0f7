/* stress-ng of ours in the control groups of a host that others made. Nothing of it is left to undo
 * when we die: the kernel ends it with us (lab_node_run_guest()); the record names it for who waits for that.
 *
 * Ownership: what is handed out is the caller's.
 */
#pragma once

#include "injectors/injector.h"
#include "sim/attach/procs.h"
#include "sim/kernel/cgroup_seats.h"

struct guest {
    pid_t pid; /* process 1 of its pid namespace; 0: none */
    unsigned long long start;
};

/* The groups to sit in. -EOPNOTSUPP: the host has none of its own, or it is not ours to start something
 * there. The caller frees *ret. */
int guest_seats(struct lab_node *n, struct cgroup_seats *ret, struct err *err);
/* `folder`: where it begins; -1: at the root. record: what guest_undo() needs is added to it. */
int guest_start(struct guest *g, struct lab_node *n, const struct cgroup_seats *seats,
                const char *command, int folder, lab_run_fn *fn, void *data, json_t *record,
                struct err *err);
/* The processes of it now; the caller frees *ret. */
int guest_members(const struct guest *g, pid_t **ret, size_t *ret_n, struct err *err);
/* By the record alone, from any process: ends what still runs of it, and waits for that. *ret_ended: there
 * was something. */
int guest_undo(const json_t *record, bool *ret_ended, struct err *err);
