/* Child processes: pidfd, an error pipe (a missing program is an error of child_start(), not an
 * exit code 127), captured output, reset signal mask and dispositions, CLOEXEC everywhere.
 *
 * Ownership: `struct child` is made by child_start() and freed by child_free(), which kills
 * (SIGKILL to the process group) and reaps what still runs; on_exit may free it. A step ends when
 * the process exits, not when its pipe closes (a daemon started by it may keep the pipe).
 *
 * Every child leads a process group of its own and dies (SIGKILL) with the thread that started it;
 * what it forks itself does not.
 */
#pragma once

#include "sim/loop/loop.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child;

struct child_exit {
    nsec at;        /* when the pidfd became readable, as the loop saw it */
    int code;       /* exit status, or -1 */
    int signo;      /* that killed it, or 0 */
    bool timed_out; /* killed by us after `timeout` */
    const char
        *output; /* captured stdout and stderr, cut at output_max; borrowed until child_free */
    size_t output_n;
    bool output_cut;
};

struct child_spec {
    const char *const *argv; /* argv[0] is looked up in PATH */
    const char *const *env;  /* NULL: inherited; else the whole environment */
    const char *dir;         /* NULL: inherited */
    int stdin_fd;            /* -1: /dev/null; borrowed */
    int stdout_fd;           /* -1: captured; borrowed */
    bool discard_stderr;     /* else it goes where stdout goes */
    size_t output_max;       /* 0: 64 KiB */
    nsec timeout;            /* 0: none; then SIGKILL to its group */
    /* Runs in the child before exec (setns, chdir …); nonzero errno is reported like a failed exec.
     */
    int (*prepare)(void *data);
    void *prepare_data;
    void (*on_exit)(struct child *c, const struct child_exit *e, void *data);
    void *data;
};

/* Returns when the program runs (or could not be started: -ENOENT for a missing one). */
int child_start(struct loop *loop, const struct child_spec *spec, struct child **ret,
                struct err *err);
struct child *child_free(struct child *c);
DEFINE_CLEANUP(struct child, child_free);
pid_t child_pid(const struct child *c);
int child_signal(struct child *c, int signo); /* by pidfd; negative errno */

/* Runs to its end without a loop of the caller's; on_exit and data of the spec are not used. *ret_code
 * and *ret_output (may be NULL; the caller frees) as child_run(). -ETIMEDOUT after its timeout. */
int child_wait(const struct child_spec *spec, int *ret_code, char **ret_output, struct err *err);

/* Runs to its end without a loop, output captured: for small helpers (gnuplot, newuidmap). Waits at
 * most `timeout` (0: for ever; then SIGKILL and -ETIMEDOUT). *ret_code: exit status, or 128 + the
 * signal that ended it. The caller frees *ret_output (stdout and stderr; may be NULL). `input`:
 * what it reads from stdin; NULL: nothing. */
int child_run(const char *const *argv, const char *input, nsec timeout, int *ret_code,
              char **ret_output, struct err *err);
