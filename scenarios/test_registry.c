/* Small registries for tests of the language alone. */
#include "injectors/injector.h"
#include "sim/watch/watch.h"

static const struct injector lasting_fault = {.name = "lasting", .is_fault = true, .lasts = true};
static const struct injector action_only = {.name = "run"};

struct kill_params {
    struct target *host;
    char *process;
    int64_t expect;
};
static const struct field kill_fields[] = {
    {.key = "host",
     .type = FIELD_OBJECT,
     .record = &target_record,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct kill_params, host)},
    {.key = "process", .type = FIELD_TEXT, .offset = offsetof(struct kill_params, process)},
    {.key = "expect", .type = FIELD_INTEGER, .offset = offsetof(struct kill_params, expect)},
    {0},
};
static const struct record kill_record = {.name = "kill",
                                          .size = sizeof(struct kill_params),
                                          .fields = kill_fields,
                                          .name_offset = SIZE_MAX,
                                          .place_offset = SIZE_MAX,
                                          .variant_place_offset = SIZE_MAX};

struct cut_params {
    struct objects cut;
};
static const struct field cut_fields[] = {
    {.key = "cut",
     .type = FIELD_GROUPS,
     .record = &target_record,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct cut_params, cut)},
    {0},
};
static const struct record cut_record = {.name = "partition",
                                         .size = sizeof(struct cut_params),
                                         .fields = cut_fields,
                                         .name_offset = SIZE_MAX,
                                         .place_offset = SIZE_MAX,
                                         .variant_place_offset = SIZE_MAX};

struct run_params {
    char *host, *command;
};
static const struct field run_fields[] = {
    {.key = "host",
     .type = FIELD_REF,
     .ref = REF_HOST,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct run_params, host)},
    {.key = "command",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_COMMAND,
     .offset = offsetof(struct run_params, command)},
    {0},
};
static const struct record run_record = {.name = "run",
                                         .size = sizeof(struct run_params),
                                         .fields = run_fields,
                                         .name_offset = SIZE_MAX,
                                         .place_offset = SIZE_MAX,
                                         .variant_place_offset = SIZE_MAX};

static const struct variant kill_variant = {
    .name = "kill", .summary = "kills", .params = &kill_record, .impl = &lasting_fault};
static const struct variant cut_variant = {
    .name = "partition", .summary = "cuts", .params = &cut_record, .impl = &lasting_fault};
static const struct variant run_variant = {
    .name = "run", .summary = "runs", .params = &run_record, .impl = &action_only};
const struct variant *const injector_actions[] = {&kill_variant, &cut_variant, &run_variant, NULL};

struct tcp_params {
    char *to;
};
static const struct field tcp_fields[] = {
    {.key = "to",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct tcp_params, to)},
    {0},
};
static const struct record tcp_record = {.name = "tcp",
                                         .size = sizeof(struct tcp_params),
                                         .fields = tcp_fields,
                                         .shorthand = "to",
                                         .name_offset = SIZE_MAX,
                                         .place_offset = SIZE_MAX,
                                         .variant_place_offset = SIZE_MAX};
static const struct variant tcp_variant = {
    .name = "tcp", .summary = "connects", .params = &tcp_record};
const struct variant *const watch_probe_kinds[] = {&tcp_variant, NULL};

static const struct field threshold_fields[] = {
    {.key = "probe",
     .type = FIELD_REFS,
     .ref = REF_PROBE,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct threshold_params, own.probes)},
    {.key = "consecutive",
     .type = FIELD_INTEGER,
     .min = 1,
     .max = 1000,
     .dflt = "3",
     .offset = offsetof(struct threshold_params, consecutive)},
    {0},
};
static const struct record threshold_record = {.name = "threshold",
                                               .size = sizeof(struct threshold_params),
                                               .fields = threshold_fields,
                                               .name_offset = SIZE_MAX,
                                               .place_offset = SIZE_MAX,
                                               .variant_place_offset = SIZE_MAX};
struct log_params {
    char *host, *output, *match;
};
static const struct field log_fields[] = {
    {.key = "host",
     .type = FIELD_REF,
     .ref = REF_HOST,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct log_params, host)},
    {.key = "output", .type = FIELD_TEXT, .offset = offsetof(struct log_params, output)},
    {.key = "match",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_REGEX,
     .offset = offsetof(struct log_params, match)},
    {0},
};
static const struct record log_record = {.name = "log",
                                         .size = sizeof(struct log_params),
                                         .fields = log_fields,
                                         .name_offset = SIZE_MAX,
                                         .place_offset = SIZE_MAX,
                                         .variant_place_offset = SIZE_MAX};
static const struct variant log_variant = {
    .name = "log", .summary = "reads", .params = &log_record};
static const struct variant threshold_variant = {
    .name = "threshold", .summary = "counts", .params = &threshold_record};
const struct variant *const watch_alarm_kinds[] = {&log_variant, &threshold_variant, NULL};
