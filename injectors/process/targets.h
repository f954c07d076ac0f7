/* The hosts a process action was aimed at, and what matched on each.
 *
 * Ownership: `struct targets` belongs to its user, freed by targets_done(); host names are the
 * scenario's.
 */
#pragma once

#include "injectors/injector.h"
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
/* New references for struct inject_result. */
json_t *targets_names(const struct targets *t);
char *targets_how(const struct targets *t); /* a copy */
/* The node of an undo record's host; NULL when it (or the whole lab) is gone or down. */
struct lab_node *targets_node_up(struct inject_env *env, const json_t *host_entry);
/* Widens `at` so that it covers `by`. */
void targets_cover(struct span *at, struct span by);
