/* A host as the runner holds it. Inside of sim/lab only; others use lab.h.
 *
 * A node is down (no process, no descriptor but that of its working directory) or up (its init
 * lives, as far as we know; pidfd, netns, sock, nl are open). node_launch() and node_drop() lead
 * from one to the other. Events of the agent wait in `queue` and are handled from the loop alone,
 * so a call that waits for an answer never calls back.
 */
#pragma once

#include "sim/lab/lab.h"
#include "sim/lab/output.h"
#include "sim/lab/topo.h"
#include <regex.h>

struct lab_run; /* run.c */

/* What a host's `ready:` is waiting for (ready.c). */
struct ready_watch {
    bool active, started_told;
    nsec deadline;
    struct loop_timer timer;
    int *socks; /* connecting */
    size_t socks_n;
    nsec socks_since;
    bool asking; /* its command runs */
    bool seen;   /* its line or its command's success */
    nsec next_ask;
    regex_t re;
    bool re_made;
};

struct lab_node {
    struct lab *lab;
    const struct host *host;
    struct attached_host *attached; /* made by others: no init, no directory; NULL: of the lab */
    size_t index;                   /* in the topology; not of attached ones */
    char *dir;                      /* working directory, as the runner sees it */
    int dir_fd;
    bool up, ready;
    bool killed; /* its init has got SIGKILL */
    nsec uptime; /* which its commands see from its power-on; NSEC_UNSET: the machine's */
    pid_t pid;
    int pidfd, netns, sock;
    struct loop_io io;
    struct nl *nl;
    struct nl **former; /* attached: of those whose place another one has taken */
    size_t former_n;
    struct output *outputs; /* one per unit */
    uint64_t lines;         /* counts lines of all outputs */
    json_t *queue;          /* events not yet handled */
    struct loop_timer deliver;
    struct lab_run *runs;
    uint64_t last_run;
    struct ready_watch watch;
};

struct lab {
    const struct scenario *scenario;
    struct loop *loop;
    struct topo *topo;
    struct lab_handlers handlers;
    int source_dirfd, logs_dirfd; /* duplicates; logs -1: not kept */
    struct attached *attached;    /* borrowed; NULL: no host was made by others */
    char *workdir;
    int switch_fd;
    struct nl *sw;
    struct impair *impair;
    struct lab_node *nodes;
    size_t nodes_n;
    struct loop_timer look;
    char **ids; /* of every namespace this lab ever had */
    size_t ids_n;
    struct lab_acting acting;
};

/* node.c */
int node_init(struct lab *lab, size_t index, struct err *err); /* working directory and files */
void node_done(struct lab_node *n);
int node_clone(struct lab_node *n, struct err *err); /* the init only */
int node_join(struct lab_node *n, struct err *err);  /* waits for it and connects its network */
void node_kill(struct lab_node *n);                  /* SIGKILL only */
/* Kills, waits, forgets; keeps what it said. When its init was seen ended; NSEC_UNSET: was down. */
nsec node_drop(struct lab_node *n);
int node_start(struct lab_node *n, const char *const *names, struct span *ret_at, struct err *err);
/* Sends a request and waits for its answer; -EHOSTDOWN when the host is down. */
int node_call(struct lab_node *n, const json_t *ask, const int *fds, size_t n_fds, nsec patience,
              json_t **ret, struct err *err);
/* Waits until the agent says something, at most until `until`, and queues events. 1: an answer is
 * in *ret. */
int node_listen(struct lab_node *n, int also_fd, nsec until, json_t **ret, struct err *err);
void node_emit(struct lab_node *n, struct lab_event e);
int node_is_down(const struct lab_node *n, struct err *err); /* sets the error */

/* others.c: what is different on hosts that others made */
int others_attach(struct lab *lab, size_t at, struct attached_host *h,
                  struct err *err); /* in place of node_init() */
void others_detach(struct lab_node *n);
int others_refresh(struct lab_node *n, struct err *err);      /* lab_node_refresh() */
int others_refuse(const struct lab_node *n, struct err *err); /* what needs an agent */
int others_processes(struct lab_node *n, const struct lab_match *m, json_t **ret, struct err *err);
int others_signal(struct lab_node *n, const struct lab_match *m, int signo, nsec confirm,
                  struct lab_signalled *ret, struct err *err);
int others_start(struct lab_node *n, struct span *ret_at, struct err *err);
int others_outside(const json_t *procs, pid_t *ret); /* lab_node_outside() */
/* In a child, before exec: async-signal-safe. 0, or an errno. */
int others_enter(const struct lab_node *n);
/* ready.c */
int ready_begin(struct lab_node *n, struct err *err);
void ready_end(struct lab_node *n);
void ready_line(struct lab_node *n, const char *unit, const char *line, size_t len);
/* A unit ended; true when that made the host fail. */
bool ready_exited(struct lab_node *n, const char *unit, int code, int signo);

/* run.c */
void run_ended(struct lab_node *n, const json_t *event);
void run_drop_all(struct lab_node *n, bool tell); /* tell: the host went down under them */

/* lab.c */
int lab_note_id(struct lab *lab, int netns_fd, struct err *err);
