/* How long something takes, when that is not known exactly: a distribution of durations.
 *
 * Ownership: everything belongs to the scenario's arena. Parameters are durations in nanoseconds; which
 * of them a kind has, stands beside it. Drawing from it is sim/forecast/draw.h.
 *
 * Written in a scenario as one key of a mapping ({uniform: [1s, 3s]}), or as a bare duration. A table
 * that has such a value uses distribution_record for a FIELD_OBJECT (its C member: const struct
 * distribution *); or, to let the words stand among the keys of its own mapping, DISTRIBUTION_FIELDS.
 * Both are decoded into `given`; distribution_resolve() makes the rest of it.
 */
#pragma once

#include "sim/base/arena.h"
#include "sim/base/err.h"
#include "sim/model/field.h"

enum distribution_kind {
    DISTRIBUTION_CONSTANT,    /* a: always */
    DISTRIBUTION_UNIFORM,     /* a to b */
    DISTRIBUTION_EXPONENTIAL, /* a: mean */
    DISTRIBUTION_NORMAL,      /* a: mean, b: standard deviation; cut at 0 */
    DISTRIBUTION_LOGNORMAL,   /* a: median, b: 95 % quantile */
    DISTRIBUTION_GAMMA,       /* a: mean; shape */
    DISTRIBUTION_WEIBULL,     /* a: scale; shape */
    DISTRIBUTION_TRIANGULAR,  /* a, b, c: least, most likely, greatest */
    DISTRIBUTION_PERT,        /* the same; a beta distribution, mean (a + 4 b + c) / 6 */
    DISTRIBUTION_EMPIRICAL,   /* values: each as likely as the others */
    DISTRIBUTION_MIXTURE,     /* parts, each with its share */
};

/* As written: exactly one of them is. */
struct distribution_normal {
    nsec mean, sd;
};
struct distribution_lognormal {
    nsec median, p95;
};
struct distribution_gamma {
    nsec mean;
    double shape;
};
struct distribution_weibull {
    nsec scale;
    double shape;
};
struct distribution_given {
    nsec constant, exponential; /* NSEC_UNSET: not written */
    struct durations uniform, triangular, pert, empirical;
    struct distribution_normal *normal;
    struct distribution_lognormal *lognormal;
    struct distribution_gamma *gamma;
    struct distribution_weibull *weibull;
    struct objects mixture; /* struct distribution_share */
    nsec least, most;
};

struct distribution {
    enum distribution_kind kind;
    nsec a, b, c;
    double shape;
    double sigma;     /* lognormal: of the logarithm; 0: not reckoned yet from a and b */
    nsec least, most; /* cut to [least, most] by drawing again; NSEC_UNSET: not cut */
    const nsec *values;
    size_t values_n;
    const struct distribution_part *parts; /* shares add up to 1 */
    size_t parts_n;
    struct distribution_given given; /* only for distribution_resolve() */
    struct place place;
};

struct distribution_share { /* as written */
    double share;
    struct distribution *of;
};

struct distribution_part {
    double share;
    struct distribution of;
};

/* The words of a distribution as fields of a struct T whose member M (a struct distribution_given) they are decoded into. Every
 * parameter may be a range (struct uncertain in assumption.h). */
#define DISTRIBUTION_MAX (3650 * 86400 * NSEC_SEC) /* what a duration of the language can be */
#define DISTRIBUTION_DURATION(T, M, word, member, text, sample)                                    \
    {                                                                                              \
        .key = word, .type = FIELD_DURATION, .flags = FIELD_UNCERTAIN, .max = DISTRIBUTION_MAX,    \
        .offset = offsetof(T, M.member), .help = text, .example = sample                           \
    }
#define DISTRIBUTION_LIST(T, M, word, count, text, sample)                                         \
    {                                                                                              \
        .key = #word, .type = FIELD_DURATIONS, .flags = FIELD_UNCERTAIN, .min = count,             \
        .max = count, .offset = offsetof(T, M.word), .help = text, .example = sample               \
    }
#define DISTRIBUTION_OBJECT(T, M, word, text, sample)                                              \
    {                                                                                              \
        .key = #word, .type = FIELD_OBJECT, .record = &distribution_##word##_record,               \
        .offset = offsetof(T, M.word), .help = text, .example = sample                             \
    }
#define DISTRIBUTION_FIELDS(T, M)                                                                  \
    DISTRIBUTION_DURATION(T, M, "constant", constant, "Always this long; also a lone value.",      \
                          "3s"),                                                                   \
        DISTRIBUTION_LIST(T, M, uniform, 2, "Anything between these two is as likely.",            \
                          "[1s, 3s]"),                                                             \
        DISTRIBUTION_DURATION(T, M, "exponential", exponential,                                    \
                              "Memoryless, with this mean: what comes by chance.", "30d"),         \
        DISTRIBUTION_OBJECT(T, M, normal, "Bell-shaped, cut at 0.", "{mean: 20s, sd: 4s}"),        \
        DISTRIBUTION_OBJECT(T, M, lognormal,                                                       \
                            "Half of them below the median, 95 % below p95: what people do.",      \
                            "{median: 3m, p95: 12m}"),                                             \
        DISTRIBUTION_OBJECT(T, M, gamma, "A sum of waiting times.", "{mean: 10m, shape: 2}"),      \
        DISTRIBUTION_OBJECT(T, M, weibull, "Shape above 1: wears out; below 1: early failures.",   \
                            "{scale: 90d, shape: 1.5}"),                                           \
        DISTRIBUTION_LIST(T, M, triangular, 3, "Least, most likely, greatest.", "[2m, 5m, 15m]"),  \
        DISTRIBUTION_LIST(T, M, pert, 3,                                                           \
                          "Least, most likely, greatest, smoother and nearer to the likely.",      \
                          "[2m, 5m, 15m]"),                                                        \
        {.key = "empirical",                                                                       \
         .type = FIELD_DURATIONS,                                                                  \
         .flags = FIELD_FILE,                                                                      \
         .min = 1,                                                                                 \
         .max = DISTRIBUTION_VALUES_MAX,                                                           \
         .offset = offsetof(T, M.empirical),                                                       \
         .help = "Values that were measured, each as likely as the others: a list, or a file "     \
                 "below the scenario's folder with a duration on each line, in its first "         \
                 "column.",                                                                        \
         .example = "warmup.csv"},                                                                 \
        {.key = "mixture",                                                                         \
         .type = FIELD_OBJECTS,                                                                    \
         .record = &distribution_share_record,                                                     \
         .flags = FIELD_NON_EMPTY,                                                                 \
         .offset = offsetof(T, M.mixture),                                                         \
         .help = "One of several, by their shares.",                                               \
         .example = "[{share: 90%, of: 2s}, {share: 10%, of: {uniform: [1m, 5m]}}]"},              \
        {.key = "least",                                                                           \
         .type = FIELD_DURATION,                                                                   \
         .max = DISTRIBUTION_MAX,                                                                  \
         .offset = offsetof(T, M.least),                                                           \
         .help = "Never shorter: what would be is drawn again.",                                   \
         .example = "10s"},                                                                        \
    {                                                                                              \
        .key = "most", .type = FIELD_DURATION, .max = DISTRIBUTION_MAX,                            \
        .offset = offsetof(T, M.most), .help = "Never longer: what would be is drawn again.",      \
        .example = "2h"                                                                            \
    }
#define DISTRIBUTION_VALUES_MAX 10000

extern const struct record distribution_record; /* shorthand: constant */
/* Parts of it, for DISTRIBUTION_FIELDS. */
extern const struct record distribution_normal_record, distribution_lognormal_record,
    distribution_gamma_record, distribution_weibull_record, distribution_share_record;

/* Whether one of the words was written. */
bool distribution_is_given(const struct distribution *d);
/* From `given` (and those of the parts, which come first): kind and parameters. -EINVAL: why it cannot be
 * one, as a sentence that begins with the word in quotes ("'uniform' …"). */
int distribution_resolve(struct distribution *d, struct arena *arena, struct err *err);
/* Of a lognormal: the deviation of its logarithm. */
double distribution_sigma(const struct distribution *d);
/* The share of it in [least, most], to about 1e-3; 1 where it is not cut. */
double distribution_kept(const struct distribution *d);
