/* Inside a vantage process: what probes and alarms of one host share.
 *
 * Ownership: everything lives until the process ends; the scenario is the parent's, copied by fork.
 * A shot is made by the schedule and freed by shot_end() or when it is given up.
 */
#pragma once

#include "sim/http/http.h"
#include "sim/loop/child.h"
#include "sim/loop/loop.h"
#include "sim/watch/flood.h"
#include "sim/watch/kinds.h"
#include "sim/watch/letter.h"
#include "sim/watch/schedule.h"

struct vantage;

struct prober {
    struct vantage *vantage;
    const struct probe *probe;
    const struct probe_kind *kind;
    uint32_t index; /* in the scenario's probes */
    struct schedule schedule;
    uint64_t n;     /* started so far */
    nsec late_told; /* when lateness was last told; what was not told since: */
    nsec late_worst;
    uint64_t late_n;
    int64_t late_skipped;
    struct loop_timer timer;
    struct shot *shots; /* outstanding */
    void *state;        /* the kind's */
};

struct shot {
    struct prober *prober;
    struct shot *prev, *next;
    uint64_t n;
    nsec scheduled, start;
    struct loop_timer timeout;
    void *state; /* the kind's; malloc'd: freed with the shot */
};

struct sentry {
    struct vantage *vantage;
    const struct alarm *alarm;
    const struct alarm_kind *kind;
    uint32_t index; /* in the scenario's alarms */
    struct flood flood;
    bool failing; /* said that it cannot look; not again until it can */
    void *state;  /* the kind's */
};

struct vantage {
    const struct scenario *scenario;
    const char *host;
    struct loop *loop;
    struct http *http; /* made when first asked for */
    struct outbox outbox;
    int sock, command_fd;
    struct loop_io command;
    int pcap_fd;
    bool own_pids; /* this process is pid 1 of a pid namespace: it reaps orphans */
    struct loop_timer reaper;
    char **env; /* of the host's commands; NULL: inherited */
    struct prober *probers;
    struct sentry *sentries;
    size_t n_probers, n_sentries;
    struct listener *listeners; /* of webhooks */
    size_t outstanding;         /* shots */
    bool quiesced;
    /* The hardware address of a lab host on a network (NULL: all it has): up to max of them. */
    size_t (*macs)(const void *data, const char *host, const char *network, uint8_t (*ret)[6],
                   size_t max);
    const void *macs_data;
};

int vantage_http(struct vantage *v, struct http **ret, struct err *err);

/* It starts at `at`, closer to the kind's system call than when it was asked to; the time-out
 * moves. */
void shot_starts(struct shot *shot, nsec at);
/* The outcome of a shot, at `end`; frees it. `detail` may be NULL. Turns a late answer into
 * "timeout" and a slow one into "slow" as the probe says. */
void shot_end(struct shot *shot, enum why why, nsec end, const char *detail);

/* An onset or a clear. See flood.h. */
void sentry_tell(struct sentry *s, bool onset, struct span at, const char *detail);
/* The same with the time at which it began, as its sender says (struct watch_alarm). */
void sentry_tell_since(struct sentry *s, bool onset, struct span at, nsec starts_at,
                       const char *detail);
/* A silence that concerns it is active now, or none is any more. */
void sentry_silenced(struct sentry *s, bool active, struct span at, const char *which);
/* It could not look (once until sentry_looks()). */
void sentry_fails(struct sentry *s, const char *why);
void sentry_looks(struct sentry *s);

void vantage_trouble(struct vantage *v, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* /bin/sh -c COMMAND in the host's environment and working directory. Positions in `spec` that are
 * about the program are set here; the caller sets on_exit, data, timeout. */
int vantage_shell(struct vantage *v, const char *command, struct child_spec *spec,
                  struct child **ret, struct err *err);

/* Before the host is entered: its probes and alarms, and what they need of the machine outside. */
int vantage_collect(struct vantage *v, const nsec *first, int source_fd, struct err *err);
/* Opens everything, reports LETTER_READY or LETTER_FAILED, and watches until the runner is gone. */
__attribute__((noreturn)) void vantage_run(struct vantage *v);
