/* Impairments as a scenario writes them: what the fault `network` and a network's own standing
 * impairment have in common. The tables' one place; sim/base/impairment.h is what they become.
 *
 * Ownership: `struct impaired` belongs to the scenario's arena; what impaired_make() makes borrows the
 * table of a distribution from `struct impaired_tables`, freed by impaired_tables_done().
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/base/err.h"
#include "sim/base/impairment.h"
#include "sim/model/field.h"

enum impaired_engine { IMPAIRED_AUTO, IMPAIRED_NETEM, IMPAIRED_USER };
extern const char *const impaired_engine_words[];

struct impaired_shape { /* distribution: pareto, or {table: FILE} */
    int shape;          /* enum impair_distribution; -1: not given */
    char *table;        /* path below the scenario's folder; NULL: not given */
};

struct impaired_share { /* duplicate: 1%, or {share: 1%, correlation: 25%} */
    double share, correlation;
    int64_t gap; /* reorder alone; 0: not given */
};

struct impaired_bursts { /* Gilbert-Elliott */
    double to_bad, to_good, loss_in_bad, loss_in_good;
};

struct impaired_states {
    double p13, p31, p32, p23, p14;
};

struct impaired_loss { /* loss: 1%, or {random: 1%, correlation: 25%} … */
    double random, correlation;
    struct impaired_bursts *bursts; /* NULL: not given */
    struct impaired_states *states;
};

struct impaired_rate {
    int64_t bandwidth; /* bit/s */
    int64_t packet_overhead, cell_size, cell_overhead;
};

struct impaired_slot {
    nsec min, max, delay, jitter; /* NSEC_UNSET: not given */
    struct impaired_shape *distribution;
    int64_t packets, bytes;
};

struct impaired {
    nsec delay, jitter; /* NSEC_UNSET: not given */
    double correlation;
    struct impaired_shape *distribution;
    struct impaired_loss *loss;
    struct impaired_share *duplicate, *corrupt, *reorder;
    struct impaired_rate *rate;
    struct impaired_slot *slot;
    bool ecn, keep_order;
    int64_t limit; /* packets; 0: calculated */
    int64_t seed;  /* -1: not given */
    int engine;    /* enum impaired_engine */
};

extern const struct record impaired_shape_record, impaired_share_record, impaired_reorder_record,
    impaired_loss_record, impaired_rate_record, impaired_slot_record;

#define IMPAIRED_LONGEST (600 * NSEC_SEC)
#define IMPAIRED_SLOWEST INT64_C(8)             /* bit/s: a byte */
#define IMPAIRED_FASTEST INT64_C(1000000000000) /* bit/s */

/* The keys, for a table of fields of TYPE that holds a struct impaired as its member M. */
#define IMPAIRED_FIELDS(TYPE, M)                                                                   \
    {.key = "delay",                                                                               \
     .type = FIELD_DURATION,                                                                       \
     .max = IMPAIRED_LONGEST,                                                                      \
     .offset = offsetof(TYPE, M.delay),                                                            \
     .help = "Every packet arrives so much later.",                                                \
     .example = "50ms"},                                                                           \
        {.key = "jitter",                                                                          \
         .type = FIELD_DURATION,                                                                   \
         .max = IMPAIRED_LONGEST,                                                                  \
         .offset = offsetof(TYPE, M.jitter),                                                       \
         .help = "The delay varies by so much: for uniform the farthest it goes to either side, "  \
                 "for the other distributions one standard deviation. Packets overtake each "      \
                 "other, unless `keep_order` or a `rate` keeps them in line.",                     \
         .example = "5ms"},                                                                        \
        {.key = "correlation",                                                                     \
         .type = FIELD_PERCENT,                                                                    \
         .dflt = "0%",                                                                             \
         .offset = offsetof(TYPE, M.correlation),                                                  \
         .help = "How much each packet's delay resembles that of the one before it.",              \
         .example = "25%"},                                                                        \
        {.key = "distribution",                                                                    \
         .type = FIELD_OBJECT,                                                                     \
         .record = &impaired_shape_record,                                                         \
         .offset = offsetof(TYPE, M.distribution),                                                 \
         .help = "How the jitter is distributed; uniform when not given.",                         \
         .example = "pareto"},                                                                     \
        {.key = "loss",                                                                            \
         .type = FIELD_OBJECT,                                                                     \
         .record = &impaired_loss_record,                                                          \
         .offset = offsetof(TYPE, M.loss),                                                         \
         .help = "Packets that never arrive.",                                                     \
         .example = "{gilbert_elliott: {to_bad: 1%, to_good: 20%}}"},                              \
        {.key = "duplicate",                                                                       \
         .type = FIELD_OBJECT,                                                                     \
         .record = &impaired_share_record,                                                         \
         .offset = offsetof(TYPE, M.duplicate),                                                    \
         .help = "That share of packets arrives twice.",                                           \
         .example = "1%"},                                                                         \
        {.key = "corrupt",                                                                         \
         .type = FIELD_OBJECT,                                                                     \
         .record = &impaired_share_record,                                                         \
         .offset = offsetof(TYPE, M.corrupt),                                                      \
         .help = "In that share of packets one random bit is flipped.",                            \
         .example = "0.1%"},                                                                       \
        {.key = "reorder",                                                                         \
         .type = FIELD_OBJECT,                                                                     \
         .record = &impaired_reorder_record,                                                       \
         .offset = offsetof(TYPE, M.reorder),                                                      \
         .help = "That share of packets is not delayed and so overtakes the others; needs "        \
                 "`delay`.",                                                                       \
         .example = "{share: 25%, gap: 5}"},                                                       \
        {.key = "rate",                                                                            \
         .type = FIELD_OBJECT,                                                                     \
         .record = &impaired_rate_record,                                                          \
         .offset = offsetof(TYPE, M.rate),                                                         \
         .help = "The path carries no more than that.",                                            \
         .example = "10mbit"},                                                                     \
        {.key = "slot",                                                                            \
         .type = FIELD_OBJECT,                                                                     \
         .record = &impaired_slot_record,                                                          \
         .offset = offsetof(TYPE, M.slot),                                                         \
         .help = "Packets leave in bunches, as on radio links.",                                   \
         .example = "{min: 10ms, max: 20ms, packets: 16}"},                                        \
        {.key = "ecn",                                                                             \
         .type = FIELD_BOOL,                                                                       \
         .dflt = "false",                                                                          \
         .offset = offsetof(TYPE, M.ecn),                                                          \
         .help = "What `loss` would lose is marked as congestion instead, where the packet "       \
                 "allows that.",                                                                   \
         .example = "true"},                                                                       \
        {.key = "limit",                                                                           \
         .type = FIELD_INTEGER,                                                                    \
         .min = 1,                                                                                 \
         .max = 10000000,                                                                          \
         .offset = offsetof(TYPE, M.limit),                                                        \
         .help = "At most so many packets are held, more are lost; without it as many as delay "   \
                 "and rate need.",                                                                 \
         .example = "10000"},                                                                      \
        {.key = "seed",                                                                            \
         .type = FIELD_INTEGER,                                                                    \
         .dflt = "-1",                                                                             \
         .min = -1,                                                                                \
         .max = INT64_MAX,                                                                         \
         .offset = offsetof(TYPE, M.seed),                                                         \
         .help = "Of the random draws, each point by its own; -1: another in each trial (netem "   \
                 "heeds it since Linux 6.6).",                                                     \
         .example = "7"},                                                                          \
        {.key = "keep_order",                                                                      \
         .type = FIELD_BOOL,                                                                       \
         .dflt = "false",                                                                          \
         .offset = offsetof(TYPE, M.keep_order),                                                   \
         .help = "With jitter, no packet overtakes another: each leaves at its own time, or when " \
                 "the one before it does, if that is later.",                                      \
         .example = "true"},                                                                       \
    {                                                                                              \
        .key = "engine", .type = FIELD_WORD, .words = impaired_engine_words, .dflt = "auto",       \
        .offset = offsetof(TYPE, M.engine),                                                        \
        .help = "`netem`: the kernel's; `user`: blackstart's own, for kernels without; `auto`: "   \
                "netem where the kernel has it.",                                                  \
        .example = "user"                                                                          \
    }

/* True when nothing of it does anything. */
bool impaired_is_nothing(const struct impaired *m);
/* 0; -EINVAL: makes no sense, the sentence begins with the key in quotes; 1: a warning in err. */
int impaired_check(const struct impaired *m, struct err *err);

struct impaired_tables {
    int16_t *delay, *slot; /* malloc'd; NULL: none */
    size_t delay_n, slot_n;
};
void impaired_tables_done(struct impaired_tables *t);
/* The user's own distributions, from the folder of the scenario's file. -ENOENT: one is not there. */
int impaired_tables_read(const struct impaired *m, const char *scenario_file,
                         struct impaired_tables *ret, struct err *err);
/* Its files, as the scenario names them; how many. */
size_t impaired_files(const struct impaired *m, const char *ret[2]);
/* What it is for the kernel and the engine. */
void impaired_make(const struct impaired *m, const struct impaired_tables *tables,
                   struct impairment *ret);

/* "delay 50 ms ± 5 ms (normal), loss 1 %": for people. Appends. */
void impairment_text(const struct impairment *m, struct buf *out);
