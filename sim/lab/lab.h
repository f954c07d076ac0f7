/* A lab: a switch and hosts, built from the scenario's networks and hosts.
 *
 * Ownership: lab_new() … lab_free(); hosts belong to the lab. One thread; the runner.
 *
 * What is true while a lab stands: the switch namespace holds every bridge (no STP, no snooping)
 * and the switch end of every cable; each host has an init (pid 1, reaper and agent; PDEATHSIG
 * SIGKILL and end-of-file on its socket end it, and with it every process of the host). Working
 * directories stand on a tmpfs of the runner's own mount namespace, so they vanish with it, but
 * survive a node-kill. Nothing stands in the caller's network namespace or under /run/netns.
 *
 * Inside a host: its own /proc, /sys, /dev (null, zero, terminals …, no hardware), /run, /tmp,
 * /var/tmp, and /var/log, /var/lib, /var/cache, /var/spool (empty but for the machine's folders
 * there), each of which holds up to a tenth of the memory; everything else of the machine, read-only, and no capability that reaches beyond the host (init.c); all lab hosts in
 * /etc/hosts, no name server; the working directory at /run/HOST. Commands get PATH and TERM of the
 * runner, HOME, LANG=C.UTF-8, what the host's env: says, BLACKSTART_HOST and BLACKSTART_UNIT,
 * nothing else. A unit is everything that descends from its command, also after it daemonised; it
 * has exited when its command failed or nothing of it is left. `restart: always` starts it again
 * 100 ms later.
 *
 * Calls to a host's agent wait for its answer (microseconds; -ETIMEDOUT after 5 s). Times in
 * answers are CLOCK_MONOTONIC, taken by the agent next to the system call.
 */
#pragma once

#include "sim/attach/attach.h"
#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/impair/impair.h"
#include "sim/kernel/cgroup_seats.h"
#include "sim/kernel/nl.h"
#include "sim/loop/loop.h"
#include "sim/model/model.h"
#include <jansson.h>
#include <sys/types.h>

struct hostcaps;
struct lab;
struct topo;
struct lab_node; /* a host of the lab, or beside it */

/* LAB_GONE, LAB_FOLLOWED: of hosts that others made: its main process has ended; another has taken its
 * place, which it leads to now. */
enum lab_event_kind { LAB_STARTED, LAB_READY, LAB_EXITED, LAB_FAILED, LAB_GONE, LAB_FOLLOWED };
struct lab_event {
    enum lab_event_kind kind;
    struct lab_node *node;
    const char *unit; /* LAB_EXITED, LAB_FAILED of a unit; else NULL */
    int code, signo;  /* LAB_EXITED */
    nsec at;
    const char *reason; /* LAB_FAILED: a sentence with the last lines of output; LAB_GONE: what has
                         * ended; LAB_FOLLOWED: what it leads to now */
};

struct lab_handlers {
    void (*event)(const struct lab_event *e, void *data);
    /* A line of captured output; [lo, hi]: it was written between these (the pipes are looked at
     * every 10 ms at least while the loop turns). At most 4096 bytes; longer ones come in pieces.
     */
    void (*output)(struct lab_node *n, const char *unit, const char *line, size_t len,
                   struct span at, void *data);
    /* Networks are not impaired any more as they should be: the engine has died (impair.h). */
    void (*broken)(const char *reason, void *data);
    /* Each change to the lab: to its networks, after the kernel's acknowledgement (nl.h); files, commands
     * and signals (deed.h), after they were copied, started and sent. On whose behalf: lab_acting(). */
    nl_observer *change;
    void *data;
};

/* Must be called once per process before the first lab, while single-threaded: enters a user
 * namespace when not root (with newuidmap and a range in /etc/subuid, else only uid 0 exists
 * inside), and a private mount namespace; mounts a tmpfs there over `mountpoint` (absolute: any folder
 * that exists; outside of us it stays as it is). Rootless, the process stands in an empty network namespace of its own from then on: whoever must
 * listen in the user's opens that socket before. ret_rootless, ret_ids: what came out (ids: how
 * many uids exist inside). */
int lab_prepare_process(const char *mountpoint, bool *ret_rootless, unsigned *ret_ids,
                        struct err *err);

/* Takes that tmpfs away again (from this mount namespace): the path leads to the folder below. */
void lab_release_process(const char *mountpoint);

/* Builds networks, hosts, cables, addresses, routes, neighbours; starts nothing yet. Any handler
 * may be NULL; handlers are called from the loop alone. `workdir`: path below the mountpoint for
 * this trial's host directories. `source_dirfd`: where files: are taken from. `logs_dirfd`: where
 * captured output is kept as HOST-UNIT.log (-1: not kept). */
int lab_new(const struct scenario *s, struct loop *loop, const char *workdir, int source_dirfd,
            int logs_dirfd, const struct lab_handlers *handlers, struct lab **ret, struct err *err);
/* Kills every host, waits, removes the switch and the working directories. Commands that still run
 * are forgotten without a callback. Not from a callback. */
struct lab *lab_free(struct lab *lab);
DEFINE_CLEANUP(struct lab, lab_free);

/* Adds the hosts that others made (borrowed until lab_free()), before lab_start(). They are up and
 * ready from then on; of the functions below those work on them that need no agent: names, netns, nl,
 * run, forget, signal, processes, start (their own: attached_processes()). lab_free() leaves them as they
 * are, but ends commands it still runs there. */
int lab_attach(struct lab *lab, struct attached *a, struct err *err);

/* Starts the units of every host and watches their `ready`; events tell. LAB_READY per host. */
int lab_start(struct lab *lab, struct err *err);
/* The changes that lab_new() and lab_start() make, in the same order, through another transport, for
 * `plan`. caps: by which engine this machine would impair; NULL: not known. */
int lab_plan(const struct scenario *s, const struct hostcaps *caps, struct nl *recording,
             struct err *err);
/* Those of lab_free(), of lab_node_off() and of lab_node_on(). */
int lab_plan_end(const struct scenario *s, struct nl *recording, struct err *err);
int lab_plan_off(const struct scenario *s, const char *host, struct nl *recording, struct err *err);
int lab_plan_on(const struct scenario *s, const struct hostcaps *caps, const char *host,
                struct nl *recording, struct err *err);
/* Can this machine impair networks as the scenario says? -EOPNOTSUPP with the reason; *ret: which
 * network. */
int lab_supported(const struct scenario *s, const struct hostcaps *caps, const struct network **ret,
                  struct err *err);

/* On whose behalf changes are made from now on: a step of the script (borrowed until it is over), which is
 * being undone or not; step NULL: nobody's. Returns who it was before. */
struct lab_acting {
    const char *step;
    bool undo;
};
struct lab_acting lab_act_for(struct lab *lab, struct lab_acting who);
struct lab_acting lab_acting(const struct lab *lab);
/* Tells the observer of a change that was made past this lab, in words as those of deed.h: there ("switch",
 * DEED_MACHINE …), or to this host. */
void lab_tell(const struct lab *lab, const char *where, const char *text);
void lab_node_tell(const struct lab_node *n, const char *text);
/* The same for a signal that was sent to each of these, {pid, name, unit}. */
void lab_node_tell_signal(const struct lab_node *n, int signo, const json_t *procs);

size_t lab_count(const struct lab *lab);
struct lab_node *lab_node_at(struct lab *lab, size_t i);
struct lab_node *lab_node(struct lab *lab, const char *name);
const char *lab_node_name(const struct lab_node *n);
const struct host *lab_node_host(const struct lab_node *n);
bool lab_node_is_up(const struct lab_node *n); /* its init lives */
/* NULL: of the lab. */
struct attached_host *lab_node_attached(const struct lab_node *n);
/* Of an attached host: goes over to what has taken its place, as attached_refresh() does; its netlink is
 * another one then (LAB_FOLLOWED comes from inside this call), and what was in the former namespace
 * stays there. Of one that is still there, and of the lab: 0. */
int lab_node_refresh(struct lab_node *n, struct err *err);
int lab_node_machine(
    const struct lab_node *n); /* attached: the machine's mount namespace; borrowed */
bool lab_node_is_ready(const struct lab_node *n);
pid_t lab_node_pid(const struct lab_node *n);  /* of its init, as the runner sees it; 0 when down */
int lab_node_pidfd(const struct lab_node *n);  /* borrowed; -1 when down */
int lab_node_netns(const struct lab_node *n);  /* borrowed; -1 when down */
int lab_node_source(const struct lab_node *n); /* the scenario's folder; borrowed */
/* The last lines of a unit's captured output (or of all), newest last; the caller frees. */
char *lab_node_tail(const struct lab_node *n, const char *unit, size_t lines);
/* Netlink in the host's namespace, and in the switch's; borrowed. */
struct nl *lab_node_nl(struct lab_node *n);
struct nl *lab_switch_nl(struct lab *lab);
int lab_switch_netns(const struct lab *lab); /* borrowed */
/* Its shape, which is the scenario's; borrowed. */
const struct topo *lab_topo(const struct lab *lab);
/* What impairs traffic in this lab; lines go with the lab, those in a host with the host. */
struct impair *lab_impair(struct lab *lab);
/* Name of the switch's port to this host on this network (NULL: its first), as in the switch. */
const char *lab_node_port(const struct lab_node *n, const char *network);
size_t lab_node_ports(const struct lab_node *n);
const char *lab_node_port_at(const struct lab_node *n, size_t i);

/* Processes of a host. */
struct lab_match { /* what is given must all hold */
    /* argv[0], its basename, executable, or comm (cut at 15); NULL: all but init */
    const char *process;
    pid_t pid;        /* 0, or this pid as seen in the host */
    const char *unit; /* NULL, or the command of this name in `start:` and what descends from it */
    json_t *only; /* NULL, or [{pid,start}…]: those processes alone, whoever has their pids now */
};
struct lab_signalled {
    size_t n;         /* processes hit */
    size_t confirmed; /* of these, seen to have done what the signal does */
    struct span at;   /* from before the first kill(2) to the last confirmation */
    json_t *pids;     /* new reference: [{pid,start,name,unit}] */
};
/* Sends `signo` to every match; for KILL, TERM, INT, QUIT, ABRT and crashes waits until the pidfd
 * of each is readable (at most `confirm`; -ETIMEDOUT for SIGKILL alone, others may be caught: see
 * `confirmed`), for SIGSTOP and SIGCONT until its state tells. 0 matches: ret->n = 0, no error. */
int lab_node_signal(struct lab_node *n, const struct lab_match *m, int signo, nsec confirm,
                    struct lab_signalled *ret, struct err *err);
/* Who matches now, without touching: [{pid,start,name,unit,state}]. */
int lab_node_processes(struct lab_node *n, const struct lab_match *m, json_t **ret,
                       struct err *err);
/* The same processes by their numbers outside of the host, as this process sees them; 0: it has ended.
 * ret: room for as many as `procs` has. -EHOSTDOWN when the host is down. */
int lab_node_outside(struct lab_node *n, const json_t *procs, pid_t *ret, struct err *err);
/* Starts these units again (NULL-terminated names; NULL: all). Those of which anything still runs
 * are left alone. -ENOENT names a missing program. Of an attached host: all that its `start:` says, by
 * start_command(), if none of its processes lives. */
int lab_node_start(struct lab_node *n, const char *const *units, struct span *ret_at,
                   struct err *err);
/* A command in the host, in its working directory and environment, through /bin/sh -c. The callback
 * comes from the loop. -EHOSTDOWN when the host is down. */
struct lab_run_result {
    struct span start, end;
    int code, signo;
    bool timed_out;
    const char *output;
    size_t output_n;
};
typedef void lab_run_fn(const struct lab_run_result *r, void *data);
int lab_node_run(struct lab_node *n, const char *command, nsec timeout, lab_run_fn *fn, void *data,
                 struct err *err);
/* The same for a command that only asks: it is not told as a change. */
int lab_node_ask(struct lab_node *n, const char *command, nsec timeout, lab_run_fn *fn, void *data,
                 struct err *err);
/* As lab_node_run(), for what must not outlive us: without a limit of time, and on hosts that others made too it
 * ends, with its process group, when this process does. (Of a lab host everything does.) */
int lab_node_run_bound(struct lab_node *n, const char *command, lab_run_fn *fn, void *data,
                       struct err *err);
/* The same for a program of ours that a host which others made need not have: it sees the machine's files,
 * but sits in the host's control groups (borrowed for the call), begins in `folder` (-1: the root), and
 * is what the kernel takes first when memory runs out. It ends, with all that it has started, when this
 * process does or the host's main process. *ret_pid: process 1 of the pid namespace they all stand in, as
 * this process sees it: when that has ended, all have; 0: it has ended already. */
struct lab_guest {
    const struct cgroup_seats *seats;
    int folder;
};
int lab_node_run_guest(struct lab_node *n, const char *command, const struct lab_guest *g,
                       lab_run_fn *fn, void *data, pid_t *ret_pid, struct err *err);
/* Sends a signal to the process groups of the commands that were started with this `data`; their end
 * is told as ever. None runs, or the host is down: no error. */
int lab_node_run_stop(struct lab_node *n, const void *data, int signo, struct err *err);
/* Nobody waits any more: for commands started with this `data` no callback comes. They go on. */
void lab_node_forget(struct lab_node *n, const void *data);
/* As lab_node_ask(), waiting for its end (at most timeout): for choosing a leader. The caller frees
 * *ret_output. */
int lab_node_run_wait(struct lab_node *n, const char *command, nsec timeout, int *ret_code,
                      char **ret_output, struct err *err);
/* The same command on several hosts at the same time, waiting for all ends. */
struct lab_answer {
    int error; /* 0, or -errno with the sentence in err */
    int code;  /* 128 + signal when killed */
    struct err err;
};
void lab_run_wait_all(struct lab_node *const *nodes, size_t n, const char *command, nsec timeout,
                      struct lab_answer *ret);
/* A terminal or command for a person: runs argv (NULL: a shell) inside with the caller's stdio and
 * waits; returns its exit code (128 + signal). */
int lab_node_shell(struct lab_node *n, char *const *argv, struct err *err);
/* The same from another process (of the same user), by the pid of the host's init. */
int lab_shell(pid_t init, const char *host, char *const *argv, struct err *err);

/* The wall clock that dynamically linked programs of this host see, apart from the true one. For hosts
 * that say `clock` alone: their commands are started with libfaketime, which reads the offset each time
 * they ask for the time. -EOPNOTSUPP for others. */
int lab_node_clock_set(struct lab_node *n, nsec offset, struct err *err);
int lab_node_clock_get(const struct lab_node *n, nsec *ret, struct err *err);

/* The power button. off: ports down at the switch first, then SIGKILL of the init; returns when its
 * pidfd is readable. on: a new init in new namespaces, same addresses, same working directory,
 * units started. */
int lab_node_off(struct lab_node *n, struct span *ret_at, struct err *err);
int lab_node_on(struct lab_node *n, struct span *ret_at, struct err *err);

/* How long the machine has been up, as this host's commands see it from the next power-on (of a host that
 * is down) or saw it at the last one: a time namespace shifts their CLOCK_MONOTONIC and CLOCK_BOOTTIME.
 * NSEC_UNSET: as it is. A host that was given one begins at 0 each time it has lost its power. set:
 * -EBUSY while it is up. */
int lab_node_uptime_set(struct lab_node *n, nsec uptime, struct err *err);
nsec lab_node_uptime(const struct lab_node *n);
nsec lab_host_uptime(const struct host *h); /* that of its first life */

/* The namespaces this lab has and had, for lab_leftovers(); a new reference to an array of texts.
 */
json_t *lab_ids(const struct lab *lab);
/* For the final comparison: descriptions of whatever of this lab still exists after lab_free(). */
int lab_leftovers(const char *const *ids, size_t n, json_t **ret_texts, struct err *err);
/* SIGKILL to each of them, by pidfd, after its identity was looked at again: for the warden. */
void lab_kill_leftovers(const char *const *ids, size_t n);
