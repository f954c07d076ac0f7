/* What `forecast` finds out besides its trials: why, what if, and whether drills agree.
 *
 * Whoever runs the forecast fills in the first members of a `struct analyses`, calls analyses_prepare()
 * before it makes a system of the scenario, and hands analyses_write() to simulate(). Results stand in the
 * record (sim/forecast/analysis.h) and nowhere else.
 *
 * Ownership: analyses_done() frees what analyses_prepare() made; the rest is borrowed.
 */
#pragma once

#include "reports/measured.h"
#include "sim/cli/command.h"
#include "sim/forecast/sample.h"
#include "sim/record/record.h"

/* Options that `forecast` has for them; a part of its table. */
#define ANALYSES_OPTIONS                                                                           \
    {"sweep", 0, "PATH=A,B,...", "compares these values of one place of the file; repeatable"},    \
        {"against", 0, "DIR",                                                                      \
         "holds the drill in DIR against the forecast; more DIRs may follow"},                     \
        {"holdout", 0, NULL, "leaves the drills of --against out of what the model draws from"},   \
    {                                                                                              \
        "no-why", 0, NULL, "no decomposition, no search for a cheaper way"                         \
    }

struct sweep {
    char *path;
    struct strv values;
};

struct analyses {
    const struct args *args;
    const char *path; /* FILE */
    struct scenario *scenario;
    const struct system *system; /* after analyses_prepare() */
    uint64_t seed, trials;
    size_t threads;
    bool (*stop)(void *data); /* true: no more; may be NULL */
    void *stop_data;

    struct arena *arena;
    struct sweep *sweeps;
    size_t sweeps_n;
    struct measured **drills, **fed; /* --against; of the model's `from` */
    size_t drills_n, fed_n;
    size_t *services; /* that are judged, by index */
    const struct service **promises;
    size_t services_n;
};

/* Reads the options and the drills, and puts what was measured into the scenario's model. 0, or an exit
 * code after a message. */
int analyses_prepare(struct analyses *a);
int analyses_write(struct record *record, struct analyses *a, struct err *err);
void analyses_done(struct analyses *a);

/* ---- parts, each in its own file ---- */

/* The scenario with changes, ready to be played. */
struct changed {
    struct scenario *scenario;
    struct system *system;
    struct player player;
};
/* `sets` and `n`: PATH=VALUE texts, in place of the same ones of the command line. `edit`: what else is
 * changed; may be NULL. */
int changed_new(const struct analyses *a, char *const *sets, size_t n,
                void (*edit)(struct scenario *s, void *data), void *data, struct changed *ret,
                struct err *err);
void changed_done(struct changed *c);
/* Trials 1 … n of the judged services. */
int changed_play(const struct analyses *a, const struct changed *c, uint64_t seed, size_t n,
                 struct sample *ret, struct err *err);
/* Draws from what was measured, where the model says `from`. -EINVAL: nothing was. */
int analyses_feed(const struct analyses *a, struct scenario *s, struct err *err);

int analyses_assumptions(struct record *r, const struct analyses *a, struct err *err);
int analyses_variants(struct record *r, const struct analyses *a, struct err *err);
int analyses_sweeps(struct record *r, const struct analyses *a, struct err *err);
int analyses_cheapest(struct record *r, const struct analyses *a, struct err *err);
int analyses_against(struct record *r, const struct analyses *a, struct err *err);
/* Which drills the model draws from. */
int analyses_drawn(struct record *r, const struct analyses *a, struct err *err);
/* Appends a line of kind `analysis`; takes the reference. */
int analyses_line(struct record *r, json_t *line, struct err *err);
