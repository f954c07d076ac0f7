/* What the files of state share; not for others. */
#pragma once

#include "sim/exercise/state.h"

/* -EINVAL: this line does not fit what has been. */
int state_unfit(const json_t *event, const char *what, struct err *err);
/* The step that a line is about. */
int state_step_of(struct state *st, const json_t *event, struct state_step **ret, struct err *err);
void state_step_begin(struct state *st, struct state_step *step, const json_t *event);
void state_step_end(struct state *st, struct state_step *step, const json_t *event);

/* A service is down, or up again, in the story. */
int state_apply_outage(struct state *st, json_t *event, struct err *err);
/* The play is over: what is down now was down up to here. */
void state_end_outages(struct state *st);
/* The machine's run is being stopped. */
int state_apply_stop(struct state *st, json_t *event, struct err *err);
/* Another line of the machine's, of a functional exercise; other lines are passed over. */
void state_apply_machine(struct state *st, const char *kind, const json_t *event);
