/* What the files of a trial share; not for others. */
#pragma once

#include "sim/drill/live.h"
#include "sim/drill/loads.h"
#include "sim/drill/meeting.h"
#include "sim/drill/quiet.h"
#include "sim/drill/script.h"
#include "sim/drill/trial.h"
#include "sim/watch/watch.h"

enum trial_state { BUILD, SETTLE, ARM, INJECT, OBSERVE, RESTORE, UNDO, COMPARE, DONE };
extern const char *const trial_state_words[];

struct trial_vantage {
    struct lab_node *node;
    struct watch *watch;
    pid_t pid; /* of the init it was started in */
    int pcap_fd;
};

struct trial {
    struct trial_spec spec;
    struct trial **slot; /* a reused lab outlives its trial: its events come through here */
    struct core *core;
    const struct scenario *scenario;
    enum trial_state state;
    struct trial_result result;
    bool reused, stopping;
    struct lab *lab;
    struct live *live;
    struct watch_outputs *outputs;
    struct quiet *quiet;
    struct script *script;
    struct trial_vantage *vantages;
    size_t n_vantages, n_ready;
    struct watch *here; /* of the alarms that stand on no host; NULL: none */
    nsec *first;        /* per probe: when its schedule begins */
    nsec zero, steady_for, settle_end, restore_end, undo_end;
    json_t *rang;            /* alarms that fired: {name: ns since zero} */
    struct meeting *meeting; /* in BUILD, when the lab stands */
    struct loads *loads;     /* from SETTLE on */
    struct loop_timer poll, horizon;
};

void trial_enter(struct trial *t, enum trial_state state);
/* The first outcome counts. */
void trial_conclude(struct trial *t, enum trial_outcome outcome, const char *reason);
/* From any state: whatever there is, is undone. */
void trial_give_up(struct trial *t, enum trial_outcome outcome, const char *reason,
                   const char *cause);
/* The clock of the script starts. */
void trial_inject(struct trial *t, nsec zero);
/* For the page and for conditions of those who play: what the judge says of a probe. */
void trial_tell_health(struct trial *t, const struct probe *p, bool down);
/* The end of the script's time. */
void trial_observed(struct trial *t);
