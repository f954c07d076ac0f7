/* Inside of a trial (trial.h). For the files of the engine alone.
 *
 * One service is played at a time (struct course), in the order of needs; what remains of it for others is
 * its health (struct leg) and its runs of bad answers.
 */
#pragma once

#include "sim/forecast/system.h"
#include "sim/judge/quorum.h"

#include <jansson.h>

/* An effect of a step in this trial. */
struct act {
    struct effect effect;
    size_t component, peer, service; /* SYSTEM_NONE: none */
    size_t step;
    nsec from, to;
};

/* How requests fare: shares of them. */
struct answer {
    double quick, lost; /* an error at once; no answer */
    double slow_share;
    nsec slow; /* that share of them takes so much longer */
};

/* What a probe meets: shares again, that come to 1 with those that are good. */
struct look {
    double quick, lost, slow; /* slow: so slow that it counts as bad */
    double late;              /* good, but `delay` late */
    nsec delay;
};

struct leg { /* of the health of a service: until the next one begins */
    nsec from;
    uint64_t serving;
    struct answer answer;
};

struct legs {
    struct leg *items;
    size_t n, room;
};

/* A down period as a probe saw it, and when it really was. */
struct period {
    struct span impact, restored; /* restored.hi NSEC_INF: not while it was observed */
    nsec began, ended;            /* truly; ended NSEC_INF */
    nsec first_bad;               /* start of the first request that failed */
    nsec down;                    /* truly: without what it was recovering in between */
};

struct periods {
    struct period *items;
    size_t n, room;
};

struct sight { /* a probe in this trial */
    struct course *course;
    const struct system_probe *of;
    struct judge *judge;
    struct rng answers;
    nsec next;  /* start of the next request */
    uint64_t n; /* its number */
    struct look look;
    bool bad;                 /* by the present look some answers are */
    nsec bad_from, bad_to;    /* truly: of the latest stretch in which some were */
    bool in_run;              /* the last decided answer was bad */
    uint64_t in_row;          /* so many of them, or more */
    nsec run_first;           /* start of the first of the present run of bad ones */
    nsec run_from, good_from; /* truly: of the present run of bad ones, of good ones */
    nsec recovered_from;      /* the latter, when it was long enough */
    nsec up_sum;              /* truly: of this period, what it was recovering before a flap */
    nsec phase;
    struct periods periods;
    uint32_t blips;
};

struct siren {                    /* an alarm in this trial */
    struct threshold *thresholds; /* of the probes that it hears */
    struct quorum quorum;
    nsec onset_at;        /* from the model: when it will come; NSEC_INF */
    nsec false_at;        /* the next false one; NSEC_INF */
    struct rng false_rng; /* of those */
    bool firing, quiet;   /* quiet: since a maintenance window */
    nsec onset;           /* the first at or after the first fault; NSEC_UNSET */
    uint32_t early;       /* onsets before it */
};

/* What a service was restored by. */
struct rescue {
    nsec impact, restored;
    bool worth, by_response; /* one is kept; the response ended it */
    struct response_output out;
    struct response_stage *stages;
    struct response_call *calls;
    nsec warm;
};

struct result_of { /* a service's */
    struct sight *sights;
    struct siren *sirens;
    struct legs legs;
    struct rescue rescue; /* of its longest trouble */
    struct span outage;   /* truly: its longest, [began, ended]; while the outcome is restored */
    nsec acknowledged;    /* the first; NSEC_UNSET, NSEC_INF */
    nsec watched;         /* observation ended */
    bool calm;            /* nothing happened to it: the rest does not hold */
    uint32_t rescues;     /* troubles of its own that its response ended */
    struct periods whole; /* without probes: when it was down, truly */
    struct system_list acts;
};

struct event { /* for the record, until they are put in order */
    nsec at;
    size_t n;
    const char *kind;
    json_t *json;
};

struct edge {
    nsec at;
    int step;
};

/* Whose response brought a service back last: its own, or that of what it needs. */
struct restorer {
    size_t who; /* SYSTEM_NONE: nobody's */
    nsec at;
};

struct trial {
    const struct system *sys;
    struct result_of *services;
    struct act *acts;
    size_t acts_n, acts_room;
    struct effects effects; /* work space */
    struct rng choice;
    uint64_t seed, number, mixed; /* mixed: the number, for rng_stream_of() */
    const struct whatif *whatif;
    bool named;
    uint64_t named_seed, named_other;
    uint64_t *names, *others; /* rng_named() of each quantity */
    bool acted;               /* acts are those of every trial */
    nsec day_offset;
    nsec origin, length; /* of the record's axis; when the last trial ended */
    bool telling;
    struct event *events;
    size_t events_n, events_room;
    struct edge *edges;
    size_t edges_room;
    struct response_stage *stages; /* work space of the longest response */
    struct response_call *calls;
    nsec *path;
    bool restored; /* restorers are those of the last trial */
    struct restorer *restorers;
    struct course *course;
};

/* The stream of a quantity in this trial; `b` tells its uses apart. */
struct rng trial_stream(const struct trial *t, size_t quantity, uint64_t b);
enum whatif_kind trial_whatif(const struct trial *t, size_t quantity);
/* A duration by that stream; 0 when it is to take no time. */
nsec trial_draw(const struct trial *t, size_t quantity, uint64_t b, const struct distribution *d);

/* acts.c: whom the script hits in this trial. */
int acts_make(struct trial *t, struct err *err);
/* In force at that instant; the next instant at which that changes, NSEC_INF. */
bool act_holds(const struct act *a, nsec at);
nsec act_next(const struct act *a, nsec after);

/* look.c */
struct answer answer_of_unit(const struct trial *t, const struct system_list *acts,
                             size_t component, const struct system_vantage *from, nsec at);
struct answer answer_of_self(const struct trial *t, const struct system_list *acts, size_t service,
                             const struct system_vantage *from, nsec at);
/* Of the way to whoever asks: his own host. */
struct answer answer_of_host(const struct trial *t, const struct system_list *acts,
                             const struct system_vantage *from, nsec at);
static inline bool answer_is_good(const struct answer *a)
{
    return a->quick <= 0 && a->lost <= 0 && (a->slow <= 0 || a->slow_share <= 0);
}
struct answer answer_of_two(struct answer a, struct answer b); /* neither of which is good */
/* Both must be passed. */
static inline struct answer answer_both(struct answer a, struct answer b)
{
    if (answer_is_good(&b))
        return a;
    return answer_is_good(&a) ? b : answer_of_two(a, b);
}
/* What is left when every request has `n` chances, of which `at_least` must be good. */
struct answer answer_some(const struct answer *of, size_t n, size_t at_least);
struct look look_at(const struct answer *a, const struct system_vantage *from);
static inline double look_bad(const struct look *l)
{
    return l->quick + l->lost + l->slow;
}
/* Whether the component is down, and whether two can talk. */
bool look_unit_is_down(const struct trial *t, const struct system_list *acts, size_t component,
                       nsec at);
bool look_units_are_cut(const struct trial *t, const struct system_list *acts, size_t a, size_t b,
                        nsec at);

/* course.c: plays a service. */
void course_play(struct trial *t, size_t service);
/* Nothing happens to this one. */
void course_rest(struct trial *t, size_t service);
void sight_judged(const struct judge_event *e, void *data);
/* Which unit leads, or is active, at the beginning. */
size_t course_first(const struct trial *t, size_t service);
struct course *course_new(void);
struct course *course_free(struct course *c);

/* reckon.c: what it came to. */
void reckon(struct trial *t, size_t service, struct outcome *ret);

/* tell.c: for the record; only while t->telling. `json` is taken over. */
void tell(struct trial *t, nsec at, const char *kind, json_t *json);
json_t *tell_instant(const struct trial *t, nsec at);
json_t *tell_span(const struct trial *t, nsec from, nsec to);
void tell_begin(struct trial *t);
void tell_end(struct trial *t);
int tell_out(struct trial *t, trial_event_fn *fn, void *data, struct err *err);

void periods_add(struct periods *p, const struct period *one);
