/* The scenario as immutable typed data.
 *
 * Ownership: everything belongs to the scenario's arena and lives until scenario_free(); pointers
 * in here are borrowed. Durations are nanoseconds, NSEC_UNSET when not promised; never 0 for
 * "absent". Meaning of each member: the manual of the scenario language (docs/scenario.md).
 */
#pragma once

#include "sim/base/arena.h"
#include "sim/base/err.h"
#include "sim/model/assumption.h"
#include "sim/model/exercise.h"
#include "sim/model/field.h"
#include "sim/model/impaired.h"

enum role { ROLE_PAGE, ROLE_MONITOR, ROLE_AUTOMATION, ROLE_OWN };
enum rto_clock { CLOCK_IMPACT, CLOCK_FAULT, CLOCK_DETECTION, CLOCK_DECLARATION };
enum expectation { EXPECT_UNSET, EXPECT_AFFECTED, EXPECT_UNAFFECTED, EXPECT_EITHER };
extern const char *const role_words[]; /* NULL-terminated, indexed by enum role */
extern const char *const rto_clock_words[];
extern const char *const expectation_words[]; /* "unset" first */

struct need {
    char *service; /* NULL: any so many of several */
    int kind;      /* 0 hard, 1 soft */
    int64_t any;   /* so many of `of` */
    struct strv of;
    struct need_breaker *breaker; /* for forecasts: what its calls go through; NULL: nothing */
};
struct need_breaker {          /* a circuit breaker */
    double per_second;         /* calls */
    int64_t window, half_open; /* calls: that it judges by, that try it again */
    double failures;           /* share of them that opens it */
    nsec open;                 /* so long; then it tries again */
    bool fallback;             /* while it is open, requests are answered without what is needed */
};

struct costs {
    double per_hour, per_incident; /* of being down, in one currency */
};

struct detect {
    nsec within;
    struct strv by; /* roles or alarms; empty: page and monitor */
    int clock;      /* CLOCK_IMPACT or CLOCK_FAULT */
};

struct during_fault {   /* what a service keeps promising while a fault is in force */
    double success;     /* share of good answers, at least; 0: not promised */
    nsec p50, p95, p99; /* quantiles of latency, at most; NSEC_UNSET: not promised */
};

struct down_when {    /* as written; struct service has it resolved */
    int probes;       /* 0 any, 1 all */
    int64_t at_least; /* 0: not given */
};

struct service {
    char *name;
    struct place place;
    int64_t tier; /* 0: not given */
    char *owner;
    nsec rto, rpo, max_downtime, mtpd; /* NSEC_UNSET: no such promise */
    int rto_clock;                     /* enum rto_clock */
    struct detect *detect;             /* NULL: no such promise */
    struct during_fault *during_fault; /* NULL: no such promise */
    struct objects needs;              /* struct need */
    int64_t down_at_least; /* probes that must be down: 1 = any; resolved from down_when */
    char *down_when;       /* "any", "all" or a number as text */
    struct down_when *down_when_given;
    int heal_counts;         /* counts_as_restored: 0 recovery, 1 heal */
    double sla;              /* share of the time that it is up by contract; 0: none */
    struct costs *costs;     /* NULL: not given */
    enum expectation expect; /* resolved from expect: and the default */
};

struct network {
    char *name;
    struct place place;
    struct strv subnets;      /* "10.20.0.0/24", "fd00:20::/64": at most one of each family */
    int64_t mtu;              /* 1500 */
    struct strv routers;      /* hosts that forward between their networks */
    struct impaired impaired; /* standing: what each host sends into it */
};

struct unit {      /* a command that a host starts */
    char *command; /* split like a shell does, nothing expanded; no shell */
    char *name;    /* of its output: basename of argv[0] unless given */
    int restart;   /* 0 never, 1 always */
    struct place place;
};

struct ready {
    char *tcp;     /* "80" (on any address of the host) or "10.0.0.1:80" */
    char *command; /* exit code 0 means ready */
    char *output;  /* name of a unit; with `match` */
    char *match;   /* POSIX extended regular expression on one line of it */
    nsec within;   /* 10 s */
};

struct lab_host {
    struct strv addresses; /* "10.20.0.11" or "10.20.0.11/24"; each on the network it lies in */
    nsec uptime;           /* which its commands see at the beginning; not above 0: the machine's */
};

/* The kinds of hosts that others made (sim/attach). */
struct compose_host {
    char *project, *service;
    int64_t replica; /* 0: not given */
    bool any;        /* of several one drawn from the seed */
    char *engine;    /* "docker", "podman", the path of a socket; NULL: the usual places */
};
struct container_host {
    char *name;         /* or the beginning of an id; or else: */
    struct strv labels; /* "app=web" */
    bool any;
    char *engine;
};
struct here_host {
    char *interface; /* of this machine */
};
struct process_host { /* what is given must all hold */
    int64_t pid;      /* 0: not given; so the others */
    char *pid_file, *name, *cgroup;
    int64_t port;
    int64_t expect; /* so many; 0: any number but none */
};

struct host {
    char *name;
    struct place place;
    /* Exactly one of these says what kind of host it is; all but the first: it was made by others. */
    struct lab_host *lab; /* made by us */
    struct compose_host *compose;
    struct container_host *container;
    struct here_host *here; /* an interface of this machine */
    char *netns;            /* a network namespace; name or path */
    struct process_host *process;
    char *unit;           /* a service of systemd */
    bool allow;           /* attached: faults may touch it */
    bool production;      /* attached: no step may */
    bool follow;          /* attached: when another takes its place, that is it from then on */
    struct strv files;    /* copied into the working directory for each trial */
    struct objects start; /* struct unit */
    struct ready *ready;  /* NULL: ready when its commands were started */
    struct pairs env;
    bool router; /* named by a network's routers: */
    bool
        clock; /* may be named by a `clock` fault: its programs are started so that theirs can be set */
};

/* Others made it. (Every host says of what kind it is, or the scenario is wrong.) */
static inline bool host_is_attached(const struct host *h)
{
    return !h->lab;
}

struct host_group { /* hosts of which only a part may be hit at a time */
    char *name;
    struct place place;
    struct strv hosts;
    double at_most; /* share */
};

struct probe {
    char *name;
    struct place place;
    char *service; /* NULL for a control probe */
    char *host;    /* vantage point */
    bool control;
    nsec every, timeout;
    nsec slow_after; /* NSEC_UNSET: a slow answer is good */
    int64_t down_after, up_after;
    nsec stable; /* resolved: never unset */
    const struct variant *kind;
    void *params;
};

struct alarm {
    char *name;
    struct place place;
    char *service;      /* resolved: never NULL (a threshold takes its probe's) */
    int role;           /* enum role */
    struct pairs where; /* labels that an alert must have to be this alarm */
    const struct variant *kind;
    void *params;
};

/* When a step happens, or until when: all members that are set must hold (or one, with `any`). */
struct condition {
    char *alarm;         /* its onset */
    char *probe;         /* counts as down */
    char *operator_word; /* `operator: go`: `blackstart mark note go` */
    char *step;          /* that step was done: delivered, decided, approved, over … */
    char *done;          /* what that step expects or asks was done */
    char *decision, *is; /* that step was decided; `is`: in favour of this option; NULL: of any */
    char *not_done;      /* what that step asked for was not done in time */
    char *phase;         /* that phase began */
    struct objects any, all; /* struct condition */
};

struct step {
    char *id; /* never NULL: "step-3" when not given */
    struct place place;
    nsec at; /* from the end of settling; NSEC_UNSET with `when` */
    struct condition *when;
    nsec after;   /* after its condition; 0 */
    nsec lasting; /* `for:`; NSEC_UNSET: to the end of the trial */
    struct condition *until;
    const struct variant *action;
    struct place action_place;
    void *params;
    bool fault; /* its action is a fault (not only `run`) */
    bool lasts; /* its action has something to undo */
};

struct stop_condition {
    char *probe;
    nsec down_for;
};

/* Alarms are suppressed: they come, and nobody is told. */
struct maintenance {
    struct place place;
    char *service, *alarm; /* exactly one: all alarms of a service, or one */
    nsec from, lasting;    /* from the script's zero */
};

/* When others are told; the last is not a word of the language: a fault that was told ended. */
enum notice_moment { NOTICE_START, NOTICE_INJECTION, NOTICE_END, NOTICE_ABORT, NOTICE_UNDONE };
extern const char *const notice_moment_words[]; /* NULL-terminated */
/* What a template may name, and an event has: event, scenario, … NULL-terminated. */
extern const char *const notice_words[];

struct notice { /* exactly one of command, webhook, grafana */
    struct place place;
    char *command;
    struct pairs webhook; /* url, format or template */
    struct pairs headers; /* of the webhook */
    struct pairs grafana; /* url, token, dashboard, tags */
    nsec timeout;
};

struct notices {
    struct objects start, injection, end, abort; /* struct notice */
};
/* Of a moment of the language. */
const struct objects *notices_at(const struct notices *n, enum notice_moment moment);

struct demonstrate {
    double reliability, confidence;
    int64_t misses;
};

struct settle {
    nsec lasting, within;
    nsec spread; /* lasting is longer by up to this, drawn anew in each trial */
};

struct between_run { /* a command between two trials */
    char *host, *command;
    nsec timeout;
};

struct between {
    struct objects run; /* struct between_run */
};

/* A command that runs for as long as a trial is observed. */
enum { LOAD_STOP_WORDS = 7 };
extern const char *const load_stop_words[]; /* NULL-terminated */
extern const int load_stop_signals[LOAD_STOP_WORDS];
struct load {
    struct place place;
    char *name, *host, *command;
    int stop;    /* in load_stop_words */
    nsec within; /* after `stop`; then SIGKILL */
};

struct lab_options {
    bool reuse;
};

struct node; /* scenarios/tree.h */

struct scenario {
    struct arena *arena;
    const char *file;        /* as it was given; what it names is relative to its folder */
    const struct node *tree; /* for scenarios/emit.c */
    int64_t version;
    char *name, *title, *why;
    struct strv tags;
    struct pairs vars;
    struct objects services, networks, hosts, groups, probes, alarms, script;
    struct pairs expect;
    int64_t trials;
    struct lab_options *lab; /* as written; NULL: not given */
    bool lab_reuse;
    struct settle *settle;   /* never NULL */
    struct between *between; /* NULL: nothing */
    struct objects load;     /* struct load */
    nsec horizon;
    struct objects stop_if;          /* struct stop_condition */
    struct objects maintenance;      /* struct maintenance */
    struct notices *hooks;           /* NULL: nobody is told */
    struct demonstrate *demonstrate; /* NULL: no claim */
    int phase;                       /* 0 random, 1 fixed */
    int64_t replace_void;
    nsec max_duration;                     /* of a whole run; NSEC_UNSET: no bound */
    struct assumptions assumed;            /* as decoded; read it through: */
    const struct assumptions *assumptions; /* &assumed; never NULL */
    struct exercise exercise;              /* what people play; all empty: nothing */
};

struct scenario *scenario_free(struct scenario *s);
DEFINE_CLEANUP(struct scenario, scenario_free);

/* By name; NULL when there is none. */
const struct service *scenario_service(const struct scenario *s, const char *name);
const struct network *scenario_network(const struct scenario *s, const char *name);
const struct host *scenario_host(const struct scenario *s, const char *name);
const struct host_group *scenario_group(const struct scenario *s, const char *name);
const struct probe *scenario_probe(const struct scenario *s, const char *name);
const struct alarm *scenario_alarm(const struct scenario *s, const char *name);

/* The attached hosts that a step would change: not peers. Borrowed; up to max. */
size_t step_attached(const struct scenario *s, const struct step *step, const struct host **ret,
                     size_t max);
/* True for alarms that nothing raises: a forecast takes them as they are described. */
bool alarm_is_assumed(const struct alarm *a);
/* True when this alarm may meet the service's detect_within; without such a promise: when its role is
 * page or monitor. */
bool service_is_told_by(const struct service *s, const struct alarm *a);
/* True for alarms that tell of a moment (a line of a log, a packet), not of a state: they are never
 * still firing later. */
bool alarm_is_momentary(const struct alarm *a);
/* True when it is computed from our own probes: threshold, ratio, burn_rate. Its params begin with struct
 * own_params. */
bool alarm_is_own(const struct alarm *a);
/* Whether a window is about this alarm. */
bool maintenance_concerns(const struct maintenance *m, const struct alarm *a);
/* The window that suppresses it at an instant from the script's zero; NULL: none. */
const struct maintenance *scenario_maintenance(const struct scenario *s, const struct alarm *a,
                                               nsec since_zero);
/* Whether it can be rehearsed and not only forecast; -ENOTSUP: why not. */
int scenario_can_run(const struct scenario *s, struct err *err);
/* True when the script has a fault (not only `run` actions). */
bool scenario_has_fault(const struct scenario *s);
/* How finely a probe can see an outage before anything was measured: down_after × every +
 * slow_after (else timeout). */
nsec probe_resolution(const struct probe *p);

/* The value itself: the text, or what the environment or the file holds (without its last newline).
 * `dirfd`: the scenario's folder, for relative paths. The caller frees *ret. */
int pair_resolve(const struct pair *p, int dirfd, char **ret, struct err *err);

/* Params that several rooms read. */
struct target {   /* a host named, or chosen at run time */
    char *host;   /* plainly named; else NULL */
    int64_t any;  /* that many of `of`, seeded */
    char *group;  /* whose hosts are `of`; NULL: not given */
    char *leader; /* command: exits 0 on the host that leads; candidates in `of` */
    struct strv of;
    nsec timeout; /* of the leader's command */
    struct place place;
};
extern const struct record target_record; /* shorthand: host */

/* Alarms on our own probes; sim/judge/threshold.h says when they fire. */
struct own_params { /* what all of them begin with */
    struct strv probes;
    int64_t at_least; /* so many of them beyond the threshold at once */
};
struct threshold_params {
    struct own_params own;
    int64_t consecutive;
};
struct ratio_params {
    struct own_params own;
    nsec window;
    double above;
};
struct burn_rate_params {
    struct own_params own;
    double slo, factor;
    nsec longer, shorter; /* `long`, `short` */
};
struct outage_params { /* an outage that is only assumed; exactly one of the first two */
    char *component, *service;
    double share;
    nsec slow;
    int answers;
};
