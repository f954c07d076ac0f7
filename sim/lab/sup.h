/* A supervisor: the small process between a host's agent and one command, so that every descendant
 * of that command can be traced to it, also after it daemonised (PR_SET_CHILD_SUBREAPER).
 *
 * Model: the agent forks the supervisor, the supervisor forks and executes the command. Orphans of
 * the command become the supervisor's children. A unit's supervisor lives as long as anything of
 * the unit does; a run's as long as its command (what that leaves behind goes to pid 1). What
 * happens is written to `events_fd`, one struct sup_event in one write(2). The environment of a
 * process is no substitute: servers that set their title (nginx, redis) overwrite it.
 */
#pragma once

#include "sim/base/err.h"
#include "sim/base/nsec.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sup_event {
    uint64_t id; /* of the spec */
    bool is_run;
    bool timed_out;
    int code;       /* exit status, or -1 */
    int signo;      /* that ended it, or 0 */
    struct span at; /* seen alive, seen ended */
};

struct sup_spec {
    const char *path; /* of the executable */
    char *const *argv, *const *env;
    const char *dir;
    int out_fd; /* stdout and stderr; borrowed */
    int events_fd;
    uint64_t id;
    bool is_run;
    bool restart; /* of a unit: what is left of it is killed, then it starts again */
    nsec timeout; /* of a run: then the whole tree is killed; 0: none */
};

/* Between the end of a command and its restart, like systemd's RestartSec=. */
#define SUP_RESTART_PAUSE (100 * NSEC_MSEC)
/* How often a run is looked at: the width of what is known about its end. */
#define SUP_RUN_TICK (10 * NSEC_MSEC)

/* Returns when the command was executed (*ret_at: before fork, after exec), or with the errno of
 * what failed. ret_pid: the supervisor, a child of the caller; ret_main: the command, which leads a
 * process group (NULL: not asked). */
int sup_start(const struct sup_spec *spec, pid_t *ret_pid, pid_t *ret_main, struct span *ret_at,
              struct err *err);
