/* Which processes of a host an action means, and doing something to exactly those.
 *
 * A process is its pid in the host and its start time: a pid that was used again is another
 * process. Ownership: `struct match_set` is the caller's, freed by match_done().
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/lab/lab.h"

struct match_rule {
    const char *process; /* argv[0], its basename, executable or comm; NULL: any */
    const char *unit;    /* name of a command in `start:`; NULL: any */
    pid_t pid;           /* 0: any */
};

struct match_set {
    json_t *procs; /* [{pid,start,name,unit,state}] as lab_node_processes() tells; NULL: empty */
};
void match_done(struct match_set *s);
#define AUTO_MATCH __attribute__((cleanup(match_done))) struct match_set
size_t match_count(const struct match_set *s);

/* "process nginx", "unit web", "pid 7", "every process" */
void match_rule_text(const struct match_rule *r, struct buf *out);
/* At most one of process, unit and pid; a unit must be one that the (plainly named) host starts. */
int match_rule_check(const struct match_rule *r, const struct scenario *s, const struct target *t,
                     struct err *err);

/* Who matches now. None: an empty set, no error. -EHOSTDOWN when the host is down. */
int match_find(struct lab_node *n, const struct match_rule *r, struct match_set *ret,
               struct err *err);
/* Those of `set` that still live (same pid and start time), zombies not counted. A host that is
 * down has none. */
int match_alive(struct lab_node *n, const struct match_set *set, struct match_set *ret,
                struct err *err);
/* The same for an array as it stands in an undo record. */
int match_alive_of(struct lab_node *n, json_t *procs, struct match_set *ret, struct err *err);
/* Sends signo to what matches at this moment, in one go, and waits at most `confirm` as
 * lab_node_signal() does. *ret_hit: who was hit (an empty set: nobody); *ret_at: unset then. */
int match_signal(struct lab_node *n, const struct match_rule *r, int signo, nsec confirm,
                 struct match_set *ret_hit, struct span *ret_at, struct err *err);
/* The same to those of `procs` (an array as in a set) that still live. */
int match_signal_these(struct lab_node *n, json_t *procs, int signo, nsec confirm,
                       struct match_set *ret_hit, struct span *ret_at, struct err *err);
/* "nginx (pid 7), nginx (pid 9)" */
void match_text(const struct match_set *s, struct buf *out);
/* Names of the units in the set, each once: new reference, an array of texts. */
json_t *match_units(const struct match_set *s);
