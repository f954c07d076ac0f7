/* For tests that inject: steps made by hand, and a fault driven through its life as the drill does.
 *
 * Ownership: steps, targets and texts belong to the kit's scenario; a fault from fault_begin(),
 * fault_try() or fault_prepare() must go through fault_end().
 */
#pragma once

#include "injectors/injector.h"
#include "tests/support/labkit.h"

struct fault {
    const struct step *step;
    const struct injector *injector;
    struct inject_env env;
    struct rng rng;
    void *state;
    json_t *undo;
    struct inject_result result;
    struct inject_proof proof;
    /* of actions that end later */
    int started, commands, ended, code;
    bool timed_out;
    char output[256];
};

/* A kit on one network, opened and up: a is 10.0.0.1, fd00::1; b, on .2, serves on port 80; so does c, on
 * .3, of three, where b has the address 10.0.0.100 too. */
void fault_two_hosts(struct kit *k);
void fault_three_hosts(struct kit *k);
char *fault_text(struct kit *k, const char *text); /* for parameters, which are not const */

/* A step with this action and zeroed parameters of its kind. */
struct step *fault_step(struct kit *k, const char *id, const char *action);
struct target *fault_target(struct kit *k, const char *host);
struct target *fault_choice(struct kit *k, const char *hosts); /* candidates, separated by blanks */
void fault_add(struct kit *k, struct objects *list, void *item);
/* Plainly named hosts, separated by blanks. */
void fault_targets(struct kit *k, struct objects *list, const char *hosts);
void fault_group(struct kit *k, struct objects *groups, const char *hosts);

/* supported and prepare: nothing is done yet. */
void fault_prepare(struct kit *k, const struct step *s, struct fault *f);
/* supported, prepare, apply or start to its end, verify until it is decided. */
void fault_try(struct kit *k, const struct step *s, struct fault *f);
void fault_begin(struct kit *k, const struct step *s, struct fault *f); /* and it did bite */
void fault_holds(struct kit *k, struct fault *f);                       /* verify once more: ok */
/* Must fail in prepare with this code and words, changing nothing. */
void fault_refused(struct kit *k, const struct step *s, int code, const char *words);
/* done, revert, and revert once more. */
void fault_end(struct kit *k, struct fault *f);
/* No table of ours, all ports up, nothing stopped, every host up. */
void fault_nothing_left(struct kit *k);
