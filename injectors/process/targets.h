/* The hosts a process action was aimed at, and what matched on each.
 *
 * Ownership: `struct targets` belongs to its user, freed by targets_done(); host names are the
 * scenario's.
 */
#pragma once

#include "injectors/injector.h"
#include "injectors/params.h"
#include "injectors/process/match.h"

struct targets {
    const char **hosts;
    struct match_set *sets; /* one per host */
    size_t n;
    char *how; /* how they were chosen, NULL when plainly named */
};
void targets_done(struct targets *t);
#define AUTO_TARGETS __attribute__((cleanup(targets_done))) struct targets

/* Chooses the hosts alone; sets are empty. */
int targets_choose(struct inject_env *env, const struct target *t, struct targets *ret,
                   struct err *err);
/* And asks each who matches. A host that is down: -ESRCH. Nothing matches: -ESRCH, unless
 * `empty_ok`. expect > 0: any other number on a host is -ERANGE. */
int targets_find(struct inject_env *env, const struct target *t, const struct match_rule *r,
                 int64_t expect, bool empty_ok, struct targets *ret, struct err *err);
/* Before anything is sent, once more: expect > 0, and another number: -ERANGE. */
int targets_expected(const char *host, const struct match_rule *r, const struct match_set *set,
                     int64_t expect, struct err *err);
/* New references for struct inject_result. */
json_t *targets_names(const struct targets *t);
char *targets_how(const struct targets *t); /* a copy */
/* What was done to them, all of it; takes a reference to `changes` of its own. */
struct inject_result targets_result(const struct targets *t, struct span at, json_t *changes);

/* --- What kill, stop and restart share: processes of hosts --- */

struct match_rule targets_rule(const struct process_params *p);
/* As struct injector's check. */
int targets_check(const struct scenario *s, const struct process_params *p, struct err *err);
/* "host lb1: SIGKILL to process nginx, which must be 1" */
void targets_plan(const struct process_params *p, const char *signal, struct buf *out);
/* Below that sentence, on each candidate: the signal to whatever of the rule is there ("each: process
 * nginx"; whom NULL), or to `whom`. `only` as inject_plan_deed(). */
void targets_plan_signal(const struct process_params *p, int signo, const char *whom,
                         const char *only, json_t *texts);
/* On each candidate its commands, or that of the name `unit` alone, started. */
void targets_plan_start(const struct scenario *s, const struct target *t, const char *unit,
                        const char *only, json_t *texts);
/* On each candidate a command run, with its limit (0: it is not told). */
void targets_plan_run(const struct target *t, const char *command, nsec timeout, json_t *texts);
/* The power button of each candidate: off, or on again. */
int targets_plan_power(const struct inject_env *env, const struct target *t, bool on, json_t *texts,
                       struct err *err);
#define TARGETS_THE_SAME "each of the same"
/* "host lb1: /bin/sh -c 'reload', for at most 5 s" */
void targets_plan_command(const struct target *t, const char *command, nsec timeout,
                          struct buf *out);
/* How an undo record names a host: {host}, and {host, attached} of one that others made, by which
 * whoever has no lab finds it. A new reference; the caller adds what is to be undone. */
json_t *targets_record(struct inject_env *env, const char *host);
/* Undoes host by host what an undo record {hosts: [{host, …}…]} tells of; hosts of a lab that have gone
 * or are down are passed over: what was done to them went with them. `fn` adds what it did to `changes`
 * and widens *at; n NULL: there is no lab any more, but entry has `attached`. As struct injector's
 * revert. */
typedef int targets_undo_fn(const struct inject_env *env, struct lab_node *n, const json_t *entry,
                            json_t *changes, struct span *at, struct err *err);
int targets_revert(struct inject_env *env, const json_t *undo, targets_undo_fn *fn,
                   struct inject_result *ret, struct err *err);
/* supported() of what any lab can do. */
int targets_supported(const struct inject_env *env, const struct step *step, struct err *err);

/* Rows of the parameter tables. */
#define TARGETS_HOST_FIELD(where, sample)                                                          \
    {                                                                                              \
        .key = "host", .type = FIELD_OBJECT, .flags = FIELD_REQUIRED, .offset = where,             \
        .record = &target_record, .help = "The host, or how to choose it when the step happens.",  \
        .example = sample                                                                          \
    }
#define TARGETS_PROCESS_FIELD(sample)                                                              \
    {                                                                                              \
        .key = "process", .type = FIELD_TEXT, .offset = offsetof(struct process_params, process),  \
        .help =                                                                                    \
            "Processes whose argv[0], its basename, executable or comm (cut at 15 characters by "  \
            "the kernel) is this. Without process, unit and pid: every process of the host.",      \
        .example = sample                                                                          \
    }
#define TARGETS_UNIT_FIELD(sample)                                                                 \
    {                                                                                              \
        .key = "unit", .type = FIELD_TEXT, .offset = offsetof(struct process_params, unit),        \
        .help =                                                                                    \
            "Processes of the command of this name in the host's start list, children included.",  \
        .example = sample                                                                          \
    }
#define TARGETS_PID_FIELD                                                                          \
    {                                                                                              \
        .key = "pid", .type = FIELD_INTEGER, .offset = offsetof(struct process_params, pid),       \
        .min = 2, .max = 4194304,                                                                  \
        .help = "The process with this number, as seen inside the host.", .example = "7"           \
    }
#define TARGETS_EXPECT_FIELD                                                                       \
    {                                                                                              \
        .key = "expect", .type = FIELD_INTEGER, .offset = offsetof(struct process_params, expect), \
        .min = 1, .max = 100000,                                                                   \
        .help =                                                                                    \
            "How many processes must match on each host; any other number and nothing is sent.",   \
        .example = "1"                                                                             \
    }

/* The commands of a host's `start:`; of one of the lab none, its agent knows them. A new reference. */
json_t *targets_commands(struct inject_env *env, const char *host);
/* A host that others made: gives its `start` commands (of an undo record) to the machine, unless
 * something of it runs. */
int targets_start(struct lab_node *n, const json_t *entry, json_t *changes, struct span *at,
                  struct err *err);
/* One plainly named host that others made; NULL: something else. */
const struct host *targets_attached(const struct scenario *s, const struct target *t);
/* The node of an undo record's host; NULL when it (or the whole lab) is gone or down. */
struct lab_node *targets_node_up(struct inject_env *env, const json_t *host_entry);
/* Widens `at` so that it covers `by`. */
void targets_cover(struct span *at, struct span by);
