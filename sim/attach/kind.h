/* What a kind of attached host is, for those who add one: a file (container.c …) with a constant
 * descriptor `attach_NAME`, a line in ATTACH_KINDS, a member of struct host (sim/model/model.h) with its
 * row in scenarios/tables_catalogue.c, a paragraph in docs/scenario.md, tests.
 *
 * A kind finds: it fills a struct attached_target. Everything else (locks, refresh, processes with
 * their guard, netlink, probes, comparison, undo records) is done for all kinds alike from that.
 *
 * Nothing here is owned or freed; what resolve() fills in is its caller's.
 */
#pragma once

#include "sim/attach/attach.h"

/* For a host that may be any of several. */
struct attached_choice {
    uint64_t seed, draw;              /* draw: counts the draws for this host */
    const struct attached *all;       /* what the others are, that it cannot be */
    const struct attached_host *host; /* what it was before: that it stays */
};

struct attached_kind {
    const char *name;  /* the key in a scenario: "process" */
    const char *noun;  /* "a network namespace that others made" */
    const char *lacks; /* after it: why what is not offered cannot be done; NULL: nothing to say */
    unsigned offers;   /* ATTACH_*, of any of its hosts */
    bool starts;       /* `start:` says how its processes come back */
    bool (*is)(const struct host *h);
    /* What tables cannot say, from the scenario alone, for `blackstart check`. *ret_key: where. NULL:
     * nothing. */
    int (*check)(const struct host *h, const char **ret_key, struct err *err);
    /* The target of this host now; as attached_open() of one host. Without touching it. */
    int (*resolve)(const struct host *h, struct attached_target *ret, struct err *err);
    /* NULL: as long as its main process lives. -ESRCH with a sentence. */
    int (*is_there)(const struct attached_host *h, struct err *err);
    /* Which of these processes are its own: sets ret_own[i]. NULL: it has none (they only live in it). */
    int (*processes)(const struct attached_host *h, const struct procs *all, bool *ret_own,
                     struct err *err);
    /* Texts before the general ones. NULL: `what` alone. */
    int (*describe)(const struct attached_host *h, json_t *texts, struct err *err);
    /* Another way to the network namespace of its identity, tried before the general ones (a
     * container's id, asked for). *ret_fd -1: not found so. NULL: none. */
    int (*find)(const json_t *identity, int *ret_fd, struct err *err);
    /* Which of these processes are of the host of such an identity, whoever they are by now: those that
     * were started in its place are, too. Sets ret_its[i]. NULL: what is locked is all there is. */
    int (*claims)(const json_t *identity, const struct procs *all, bool *ret_its, struct err *err);
    /* attached_runs(). NULL: its main process lives. */
    int (*runs)(const json_t *identity, bool *ret, struct err *err);
};

/* Alphabetical. */
#define ATTACH_KINDS(X)                                                                            \
    X(compose)                                                                                     \
    X(container)                                                                                   \
    X(here)                                                                                        \
    X(netns)                                                                                       \
    X(process)                                                                                     \
    X(unit)

#define ATTACH_DECLARE(name) extern const struct attached_kind attach_##name;
ATTACH_KINDS(ATTACH_DECLARE)
#undef ATTACH_DECLARE

/* All of them, NULL-terminated. */
extern const struct attached_kind *const attached_kinds[];
/* Of a host that is not the lab's; NULL: of none (the scenario is wrong). */
const struct attached_kind *attached_kind_of(const struct host *h);
/* Of an identity; NULL: of another version of us. */
const struct attached_kind *attached_kind_named(const json_t *identity);

/* --- For resolve() --- */

/* Fills in everything that follows from its main process: its namespaces, cgroups, pidfd. */
int attached_target_of(const struct proc *eldest, struct attached_target *ret, struct err *err);
/* The network namespace at a path, with the machine's mount namespace. -EINVAL: it leads to something
 * else; -EPERM: entering it needs root. */
int attached_target_at(const char *path, struct attached_target *ret, struct err *err);

/* Words as people mark what serves for real: "production", "true"; "environment", "production"; "env",
 * "prod". */
bool attached_is_mark(const char *key, const char *value);
/* attached_processes() among those seen: sets own[i]. */
int attached_own(const struct attached_host *h, const struct procs *all, bool *own,
                 struct err *err);

/* --- For processes() --- */

/* The network namespace it lives in; false: it has gone, or we may not see. */
bool attached_netns_of(const struct proc *p, struct netns_id *ret);
/* Why a process is never a target ("it is process 1", "it is an ancestor of blackstart"); NULL: it
 * may be. */
const char *attached_never(const struct procs *all, const struct proc *p);
