/* What must hold of a decoded scenario beyond its types, and the members that follow from others.
 *
 * Nothing is owned. Reads sim/model, adds to diags; every function here can be called on a scenario
 * that was decoded with errors (absent members are NULL or unset).
 */
#pragma once

#include "scenarios/decode.h"
#include "scenarios/scenario.h"

/* Sets the members that model.h calls resolved, from defaults and other members. */
void check_resolve(struct scenario *s, struct diags *diags);
/* There are hosts and probes, unless it is only forecast; false: there are not, and it was said. */
bool check_places_exist(const struct scenario *s, struct diags *diags);
/* The same for what a forecast assumes (distributions, ranges); only of a scenario without errors so
 * far. */
void check_resolve_assumed(struct scenario *s, const struct decode *d, struct diags *diags);
/* The members of roles, phases and steps of people that follow from others; called by check_resolve(). */
void check_resolve_exercise(struct scenario *s);
/* Everything else; only of a scenario without errors so far. */
void check_scenario(const struct scenario *s, struct diags *diags);
/* The files that were named can be read and lie in the scenario's folder. */
void check_files(const struct scenario *s, const struct decode *d, struct diags *diags);
/* `trials` are enough for what is to be demonstrated. */
void check_trials(const struct scenario *s, int64_t trials, struct diags *diags);

/* --- Parts of check_scenario() --- */

void check_networks(const struct scenario *s, struct diags *diags); /* and hosts' addresses */
/* Background load comes from where it may. */
void check_loads(const struct scenario *s, struct diags *diags);
/* What people play can be played. */
void check_exercise(const struct scenario *s, struct diags *diags);
/* What a forecast assumes can be. */
void check_forecast(const struct scenario *s, struct diags *diags);
void check_hooks(const struct scenario *s, struct diags *diags);
void check_script(const struct scenario *s, struct diags *diags);

/* Groups, marks and durations: what may not be done however it is written. */
void check_rails(const struct scenario *s, struct diags *diags);
/* A host is of one kind, and has what belongs to that kind. */
void check_host_kind(const struct scenario *s, const struct host *h, struct diags *diags);
/* What a step does to hosts that others made is possible and allowed. True: it names none, or all is
 * well. */
void check_rebuilding(const struct scenario *s, struct diags *diags);
bool check_attached(const struct scenario *s, const struct step *step, struct diags *diags);

/* Where the value of a key stands: check_place(s, "services", "checkout", "rto", NULL); of the
 * deepest key that is there. */
struct place check_place(const struct scenario *s, ...) __attribute__((sentinel));
/* Where the value of KEY stands in `map` when the sentence begins with 'KEY'; else `otherwise`. */
struct place check_sentence_place(const struct node *map, const char *sentence,
                                  struct place otherwise);
/* The probes of a service: how many, and the coarsest probe_resolution() among them. */
size_t check_probes_of(const struct scenario *s, const struct service *service, nsec *ret_coarsest);
