/* Alarms on our own probes: their lines in the tables of `alarms:`. When they fire is sim/judge's; the drill
 * feeds them with what its judges decided, so none needs a vantage point of its own. */
#include "sim/watch/kinds.h"

#include "sim/judge/threshold.h"

#include <errno.h>
#include <string.h>

#define NOWHERE SIZE_MAX
#define OWN_FIELDS(type_of_params)                                                                 \
    {.key = "probe",                                                                               \
     .type = FIELD_REFS,                                                                           \
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,                                                    \
     .ref = REF_PROBE,                                                                             \
     .offset = offsetof(type_of_params, own.probes),                                               \
     .help = "The probe that is counted, or several of one service.",                              \
     .example = "checkout-page"},                                                                  \
    {                                                                                              \
        .key = "at_least", .type = FIELD_INTEGER, .dflt = "1",                                     \
        .offset = offsetof(type_of_params, own.at_least), .min = 1, .max = 1000,                   \
        .help = "It fires while so many of the probes are beyond the threshold, each by itself.",  \
        .example = "2"                                                                             \
    }
#define OWN_RECORD(word, words)                                                                    \
    static const struct record word##_record = {                                                   \
        .name = #word,                                                                             \
        .summary = words,                                                                          \
        .size = sizeof(struct word##_params),                                                      \
        .fields = word##_fields,                                                                   \
        .name_offset = NOWHERE,                                                                    \
        .place_offset = NOWHERE,                                                                   \
        .variant_place_offset = NOWHERE,                                                           \
    }
#define LONGEST (30 * 24 * 3600 * NSEC_SEC)

static const struct field threshold_fields[] = {
    OWN_FIELDS(struct threshold_params),
    {.key = "consecutive",
     .type = FIELD_INTEGER,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct threshold_params, consecutive),
     .min = 1,
     .max = 1000000,
     .help = "It fires at the end of this many bad answers in a row.",
     .example = "3"},
    {0},
};
OWN_RECORD(threshold, "So many bad answers of our own probes in a row.");

static const struct field ratio_fields[] = {
    OWN_FIELDS(struct ratio_params),
    {.key = "window",
     .type = FIELD_DURATION,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct ratio_params, window),
     .min = NSEC_MSEC,
     .max = LONGEST,
     .help = "How far back it looks.",
     .example = "1m"},
    {.key = "above",
     .type = FIELD_PERCENT,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct ratio_params, above),
     .help = "It fires while more than this share of the answers in the window is bad.",
     .example = "5%"},
    {0},
};
OWN_RECORD(ratio, "Too large a share of bad answers of our own probes in a window.");

static const struct field burn_rate_fields[] = {
    OWN_FIELDS(struct burn_rate_params),
    {.key = "slo",
     .type = FIELD_PERCENT,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct burn_rate_params, slo),
     .help = "The share of good answers that is the objective.",
     .example = "99.9%"},
    {.key = "factor",
     .type = FIELD_NUMBER,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct burn_rate_params, factor),
     .max = 100000,
     .help =
         "It fires while the share of bad answers is more than so many times what the objective "
         "allows, in both windows.",
     .example = "14.4"},
    {.key = "long",
     .type = FIELD_DURATION,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct burn_rate_params, longer),
     .min = NSEC_MSEC,
     .max = LONGEST,
     .help = "The window that shows that it matters.",
     .example = "1h"},
    {.key = "short",
     .type = FIELD_DURATION,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct burn_rate_params, shorter),
     .min = NSEC_MSEC,
     .max = LONGEST,
     .help = "The window that shows that it goes on; a twelfth of the other is usual.",
     .example = "5m"},
    {0},
};
OWN_RECORD(burn_rate, "Too much of an error budget spent, seen by our own probes.");

static const char *no_host(const void *params)
{
    (void)params;
    return NULL;
}

/* Several probes are of one service, and enough of them are named. */
static int own_check(const struct scenario *s, const void *params, struct err *err)
{
    const struct own_params *own = params;
    const struct probe *first = NULL;
    for (size_t i = 0; i < own->probes.n; i++) {
        const struct probe *p = scenario_probe(s, own->probes.items[i]);
        if (!p)
            return 0; /* said where it stands */
        for (size_t k = 0; k < i; k++)
            if (!strcmp(own->probes.items[k], p->name))
                return err_set(err, EINVAL, "'probe' names %s twice", p->name);
        if (!first)
            first = p;
        if (p->service && first->service && strcmp(p->service, first->service))
            return err_set(err, EINVAL,
                           "'probe' names probes of two services: %s is of %s, %s of %s",
                           first->name, first->service, p->name, p->service);
    }
    if (own->at_least > (int64_t)own->probes.n)
        return err_set(err, EINVAL, "'at_least' is %lld, and it is about %zu probe%s",
                       (long long)own->at_least, own->probes.n, own->probes.n == 1 ? "" : "s");
    return 0;
}

static int never(struct err *err, double above)
{
    return err_set(err, EINVAL, "it can never fire: no share of bad answers is above %g%%",
                   above * 100);
}

static int ratio_check(const struct scenario *s, const void *params, struct err *err)
{
    const struct ratio_params *p = params;
    return p->above >= 1 ? never(err, p->above) : own_check(s, params, err);
}

static int burn_rate_check(const struct scenario *s, const void *params, struct err *err)
{
    const struct burn_rate_params *p = params;
    if (p->shorter >= p->longer)
        return err_set(err, EINVAL, "'short' must be shorter than 'long'");
    double above = threshold_of_burn(p->slo, p->factor);
    return above >= 1 ? never(err, above) : own_check(s, params, err);
}

static const struct alarm_kind threshold_kind = {.host = no_host, .check = own_check};
static const struct alarm_kind ratio_kind = {.host = no_host, .check = ratio_check};
static const struct alarm_kind burn_rate_kind = {.host = no_host, .check = burn_rate_check};

const struct variant kinds_threshold = {
    .name = "threshold",
    .summary = "so many bad answers of our own probes in a row",
    .detail =
        "Measures the arithmetic of a monitoring rule on our own probes, not anybody's pager: "
        "its role is always own.",
    .params = &threshold_record,
    .impl = &threshold_kind,
};
const struct variant kinds_ratio = {
    .name = "ratio",
    .summary = "too large a share of bad answers of our own probes in a window",
    .detail =
        "Looked at with each answer. What came before the first answer counts as good, as of a "
        "service that has long been watched: a window longer than the trial fires as it would "
        "in production. Its role is always own.",
    .params = &ratio_record,
    .impl = &ratio_kind,
};
const struct variant kinds_burn_rate = {
    .name = "burn_rate",
    .summary = "too much of an error budget spent, in a long and a short window",
    .detail =
        "The share of bad answers is above factor x (1 - slo) in both windows. With all answers "
        "bad it fires after long x factor x (1 - slo), 52 s for 99.9%, 1h, 14.4, and clears once "
        "the short one does. What came before the first answer counts as good. Its role is always "
        "own.",
    .params = &burn_rate_record,
    .impl = &burn_rate_kind,
};
