/* The keys of what a scenario is about: services with their promises, networks, hosts. */
#include "scenarios/tables.h"

#include "sim/model/model.h"

#define NOWHERE SIZE_MAX
#define DAY (86400 * NSEC_SEC)

/* --- Services --- */

static const char *const need_words[] = {"hard", "soft", NULL};
static const char *const heal_words[] = {"recovery", "heal", NULL};
static const char *const any_all_words[] = {"any", "all", NULL};
static const char *const detect_clock_words[] = {"impact", "fault", NULL};

static const struct field need_fields[] = {
    {.key = "service",
     .type = FIELD_REF,
     .ref = REF_SERVICE,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct need, service),
     .help = "The service that is needed."},
    {.key = "kind",
     .type = FIELD_WORD,
     .words = need_words,
     .dflt = "hard",
     .offset = offsetof(struct need, kind),
     .help = "`hard`: nothing works without it; `soft`: something is lost."},
    {0},
};
static const struct record need_record = {
    .name = "need",
    .summary = "Another service that this one needs.",
    .size = sizeof(struct need),
    .fields = need_fields,
    .shorthand = "service",
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const struct field detect_fields[] = {
    {.key = "within",
     .type = FIELD_DURATION,
     .flags = FIELD_REQUIRED,
     .min = NSEC_MSEC,
     .max = 3650 * DAY,
     .offset = offsetof(struct detect, within),
     .help = "An alarm that counts must come this soon.",
     .example = "3s"},
    {.key = "by",
     .type = FIELD_REFS,
     .ref = REF_ROLE_OR_ALARM,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct detect, by),
     .help = "The alarms that count, by name or by role; without it every `page` and `monitor`.",
     .example = "[page, takeover]"},
    {.key = "clock",
     .type = FIELD_WORD,
     .words = detect_clock_words,
     .dflt = "impact",
     .offset = offsetof(struct detect, clock),
     .help = "What the time runs from: the service's going down, or the fault."},
    {0},
};
static const struct record detect_record = {
    .name = "detect_within",
    .summary = "How soon somebody or something must notice.",
    .size = sizeof(struct detect),
    .fields = detect_fields,
    .shorthand = "within",
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const struct field down_when_fields[] = {
    {.key = "probes",
     .type = FIELD_WORD,
     .words = any_all_words,
     .dflt = "any",
     .offset = offsetof(struct down_when, probes),
     .help = "`any`: one of its probes is enough; `all`: every one must be down."},
    {.key = "at_least",
     .type = FIELD_INTEGER,
     .min = 1,
     .max = 4096,
     .offset = offsetof(struct down_when, at_least),
     .help = "So many of its probes must be down.",
     .example = "2"},
    {0},
};
static const struct record down_when_record = {
    .name = "down_when",
    .summary = "How many of its probes must be down for a service to be down.",
    .size = sizeof(struct down_when),
    .fields = down_when_fields,
    .shorthand = "probes",
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const struct field service_fields[] = {
    {.key = "tier",
     .type = FIELD_INTEGER,
     .min = 1,
     .max = 9,
     .offset = offsetof(struct service, tier),
     .help = "How important it is; 1 is the most.",
     .example = "1"},
    {.key = "owner",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct service, owner),
     .help = "Who answers for it.",
     .example = "payments"},
    {.key = "rto",
     .type = FIELD_DURATION,
     .min = NSEC_MSEC,
     .max = 3650 * DAY,
     .offset = offsetof(struct service, rto),
     .help = "Recovery time objective: restored within this time.",
     .example = "10s"},
    {.key = "rto_clock",
     .type = FIELD_WORD,
     .words = rto_clock_words,
     .dflt = "impact",
     .offset = offsetof(struct service, rto_clock),
     .help = "What the RTO runs from: the service's going down, the fault, the first alarm that "
             "counts, or the mark `declared`."},
    {.key = "rpo",
     .type = FIELD_DURATION,
     .max = 3650 * DAY,
     .offset = offsetof(struct service, rpo),
     .help = "Recovery point objective: how much work may be lost. It is reported as not measured "
             "in this version and never counts as met.",
     .example = "0s"},
    {.key = "detect_within",
     .type = FIELD_OBJECT,
     .record = &detect_record,
     .offset = offsetof(struct service, detect),
     .help = "How soon an alarm must notice.",
     .example = "3s"},
    {.key = "max_downtime",
     .type = FIELD_DURATION,
     .min = NSEC_MSEC,
     .max = 3650 * DAY,
     .offset = offsetof(struct service, max_downtime),
     .help = "All down intervals of one trial together.",
     .example = "15s"},
    {.key = "mtpd",
     .type = FIELD_DURATION,
     .min = NSEC_MSEC,
     .max = 3650 * DAY,
     .offset = offsetof(struct service, mtpd),
     .help = "Maximum tolerable period of disruption; printed beside the RTO, which must be "
             "shorter.",
     .example = "4h"},
    {.key = "needs",
     .type = FIELD_OBJECTS,
     .record = &need_record,
     .offset = offsetof(struct service, needs),
     .help = "The services that it needs.",
     .example = "[database, {service: fraud-check, kind: soft}]"},
    {.key = "down_when",
     .type = FIELD_OBJECT,
     .record = &down_when_record,
     .offset = offsetof(struct service, down_when_given),
     .help = "How many of its probes must be down: `any` (the default), `all`, or "
             "`{at_least: 2}`.",
     .example = "all"},
    {.key = "counts_as_restored",
     .type = FIELD_WORD,
     .words = heal_words,
     .dflt = "recovery",
     .offset = offsetof(struct service, heal_counts),
     .help = "`heal`: coming back only because blackstart ended the fault counts too; the report "
             "says so beside the verdict."},
    {0},
};
const struct record tables_service = {
    .name = "service",
    .summary = "What somebody depends on, and what was promised to them.",
    .size = sizeof(struct service),
    .fields = service_fields,
    .name_offset = offsetof(struct service, name),
    .place_offset = offsetof(struct service, place),
    .variant_place_offset = NOWHERE,
};

/* --- Networks and hosts --- */

static const struct field network_fields[] = {
    {.key = "subnet",
     .type = FIELD_TEXTS,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct network, subnets),
     .help = "One IPv4 and/or one IPv6 subnet.",
     .example = "[10.20.0.0/24, \"fd00:20::/64\"]"},
    {.key = "mtu",
     .type = FIELD_INTEGER,
     .min = 68,
     .max = 65535,
     .dflt = "1500",
     .offset = offsetof(struct network, mtu),
     .help = "Largest packet in bytes (IPv6 needs 1280)."},
    {.key = "routers",
     .type = FIELD_REFS,
     .ref = REF_HOST,
     .offset = offsetof(struct network, routers),
     .help = "Hosts with an address here that forward to their other networks; the first one is "
             "the way out for everybody else.",
     .example = "[gw]"},
    IMPAIRED_FIELDS(struct network, impaired),
    {0},
};
const struct record tables_network = {
    .name = "network",
    .summary =
        "A network of the lab: one bridge. With delay, loss, rate and the like it is a line to "
        "another region: what each host sends into it meets them from the beginning to the "
        "end, and is no fault.",
    .size = sizeof(struct network),
    .fields = network_fields,
    .name_offset = offsetof(struct network, name),
    .place_offset = offsetof(struct network, place),
    .variant_place_offset = NOWHERE,
};

static const char *const restart_words[] = {"never", "always", NULL};

static const struct field unit_fields[] = {
    {.key = "command",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_COMMAND,
     .offset = offsetof(struct unit, command),
     .help = "Split into words like a shell does, with nothing expanded and no shell.",
     .example = "nginx -p . -c web.conf"},
    {.key = "name",
     .type = FIELD_NAME,
     .offset = offsetof(struct unit, name),
     .help = "The name of its captured output; without it the program's name.",
     .example = "web"},
    {.key = "restart",
     .type = FIELD_WORD,
     .words = restart_words,
     .dflt = "never",
     .offset = offsetof(struct unit, restart),
     .help = "`always`: started again whenever it ends."},
    {0},
};
static const struct record unit_record = {
    .name = "command of 'start'",
    .summary = "A command that a host starts and whose output is kept.",
    .size = sizeof(struct unit),
    .fields = unit_fields,
    .shorthand = "command",
    .name_offset = NOWHERE,
    .place_offset = offsetof(struct unit, place),
    .variant_place_offset = NOWHERE,
};

static const struct field ready_fields[] = {
    {.key = "tcp",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct ready, tcp),
     .help = "A port of this host (or ADDRESS:PORT) that accepts connections.",
     .example = "80"},
    {.key = "command",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct ready, command),
     .help = "A command, given to /bin/sh -c, that exits with 0 when the host is ready.",
     .example = "redis-cli ping"},
    {.key = "output",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct ready, output),
     .help = "The name of a command's captured output; with `match`.",
     .example = "keepalived"},
    {.key = "match",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY | FIELD_REGEX,
     .offset = offsetof(struct ready, match),
     .help = "A POSIX extended regular expression that a line of it must match.",
     .example = "Entering (MASTER|BACKUP) STATE"},
    {.key = "within",
     .type = FIELD_DURATION,
     .dflt = "10s",
     .min = NSEC_MSEC,
     .max = 3600 * NSEC_SEC,
     .offset = offsetof(struct ready, within),
     .help = "Not ready by then: the drill does not begin."},
    {0},
};
static const struct record ready_record = {
    .name = "'ready'",
    .summary = "How we know that a host can serve.",
    .size = sizeof(struct ready),
    .fields = ready_fields,
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const struct field lab_host_fields[] = {
    {.key = "address",
     .type = FIELD_TEXTS,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct lab_host, addresses),
     .help = "Its addresses, each inside one of `networks`; without `networks` with a prefix "
             "length, all in one network.",
     .example = "10.20.0.11"},
    {0},
};
static const struct record lab_host_record = {
    .name = "lab host",
    .summary = "A host made of namespaces.",
    .size = sizeof(struct lab_host),
    .fields = lab_host_fields,
    .shorthand = "address",
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const struct field host_fields[] = {
    {.key = "lab",
     .type = FIELD_OBJECT,
     .record = &lab_host_record,
     .flags = FIELD_ONE_OF,
     .offset = offsetof(struct host, lab),
     .help = "The host is made in the lab. Each host is of one kind: `lab` or `netns`.",
     .example = "{address: 10.20.0.11}"},
    {.key = "netns",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY | FIELD_ONE_OF,
     .offset = offsetof(struct host, netns),
     .help = "The host is there already: a network namespace that others made, by its name in `ip "
             "netns` or by a path that begins with `/`. It is neither built nor ended.",
     .example = "edge"},
    {.key = "allow",
     .type = FIELD_BOOL,
     .dflt = "false",
     .offset = offsetof(struct host, allow),
     .help = "Of a host that others made: `true` lets faults touch it (`run` asks for `--yes` "
             "besides).",
     .example = "true"},
    {.key = "files",
     .type = FIELD_TEXTS,
     .flags = FIELD_FILE,
     .offset = offsetof(struct host, files),
     .help = "Files and folders beside the scenario that are copied into the host's working "
             "directory for each trial.",
     .example = "[lb1.conf]"},
    {.key = "start",
     .type = FIELD_OBJECTS,
     .record = &unit_record,
     .offset = offsetof(struct host, start),
     .help = "Commands that run on it from the beginning, in its working directory.",
     .example = "[\"nginx -p . -c web.conf\"]"},
    {.key = "ready",
     .type = FIELD_OBJECT,
     .record = &ready_record,
     .offset = offsetof(struct host, ready),
     .help = "How we know that it can serve; without it, it is ready when its commands were "
             "started.",
     .example = "{tcp: 80, within: 10s}"},
    {.key = "env",
     .type = FIELD_PAIRS,
     .flags = FIELD_SECRETS,
     .offset = offsetof(struct host, env),
     .help = "Environment of its commands; a secret is written `{env: NAME}` or `{file: PATH}` "
             "and is kept out of every file of the run.",
     .example = "{LANG: C, TOKEN: {env: API_TOKEN}}"},
    {0},
};
const struct record tables_host = {
    .name = "host",
    .summary = "Where things happen.",
    .size = sizeof(struct host),
    .fields = host_fields,
    .name_offset = offsetof(struct host, name),
    .place_offset = offsetof(struct host, place),
    .variant_place_offset = NOWHERE,
};
