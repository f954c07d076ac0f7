/* The keys of where things happen: networks and hosts. */
#include "scenarios/tables.h"

#include "sim/model/model.h"

#define NOWHERE SIZE_MAX
#define DAY (86400 * NSEC_SEC)

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
    {.key = "uptime",
     .type = FIELD_DURATION,
     .min = NSEC_SEC,
     .max = 3650 * DAY,
     .offset = offsetof(struct lab_host, uptime),
     .help =
         "Its programs find that the machine has been up for so long when the trial begins: their "
         "monotonic clocks stand there. After a loss of power they begin at 0.",
     .example = "49d"},
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

#define CONTAINER_ENGINE_HELP                                                                      \
    "Its engine: `docker`, `podman`, or the path of a socket; without it what DOCKER_HOST or "     \
    "CONTAINER_HOST name, else the first of docker's and podman's usual sockets."

static const struct field compose_fields[] = {
    {.key = "project",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct compose_host, project),
     .help = "The project's name, as `docker compose ls` shows it.",
     .example = "shop"},
    {.key = "service",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct compose_host, service),
     .help = "The service's name in the compose file.",
     .example = "web"},
    {.key = "replica",
     .type = FIELD_INTEGER,
     .min = 1,
     .max = 100000,
     .offset = offsetof(struct compose_host, replica),
     .help = "Which of the service's containers, by its number.",
     .example = "2"},
    {.key = "any",
     .type = FIELD_BOOL,
     .dflt = "false",
     .offset = offsetof(struct compose_host, any),
     .help = "Of several containers one drawn from the seed, the same in all trials; without it "
             "several are an error."},
    {.key = "engine",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct compose_host, engine),
     .help = CONTAINER_ENGINE_HELP,
     .example = "podman"},
    {0},
};
static const struct record compose_record = {
    .name = "service of a compose project",
    .summary = "The container of a service, found by the labels that docker compose gives it.",
    .size = sizeof(struct compose_host),
    .fields = compose_fields,
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const struct field container_fields[] = {
    {.key = "name",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct container_host, name),
     .help = "Its name, or an id or the beginning of one.",
     .example = "pg-1"},
    {.key = "label",
     .type = FIELD_TEXTS,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct container_host, labels),
     .help = "Instead of a name: the labels that it has, all of them, as NAME or NAME=VALUE.",
     .example = "[app=web, tier=1]"},
    {.key = "any",
     .type = FIELD_BOOL,
     .dflt = "false",
     .offset = offsetof(struct container_host, any),
     .help = "Of several containers with these labels one drawn from the seed, the same in all "
             "trials; without it several are an error."},
    {.key = "engine",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct container_host, engine),
     .help = CONTAINER_ENGINE_HELP,
     .example = "podman"},
    {0},
};
static const struct record container_record = {
    .name = "container",
    .summary = "A container that runs on this machine.",
    .size = sizeof(struct container_host),
    .fields = container_fields,
    .shorthand = "name",
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const struct field here_fields[] = {
    {.key = "interface",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct here_host, interface),
     .help = "Its name, as in `ip link`. Faults on the network name it as their `device` and touch "
             "what goes over it, nothing else.",
     .example = "eth1"},
    {0},
};
static const struct record here_record = {
    .name = "interface of this machine",
    .summary = "What goes over one interface of the machine that blackstart runs on.",
    .size = sizeof(struct here_host),
    .fields = here_fields,
    .shorthand = "interface",
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const struct field process_fields[] = {
    {.key = "pid",
     .type = FIELD_INTEGER,
     .min = 2,
     .max = 4194304,
     .offset = offsetof(struct process_host, pid),
     .help = "Its number.",
     .example = "4711"},
    {.key = "pid_file",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct process_host, pid_file),
     .help = "A file that holds its number.",
     .example = "/run/nginx.pid"},
    {.key = "name",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct process_host, name),
     .help =
         "Their argv[0], its basename, executable or comm (cut at 15 characters by the kernel).",
     .example = "redis-server"},
    {.key = "port",
     .type = FIELD_INTEGER,
     .min = 1,
     .max = 65535,
     .offset = offsetof(struct process_host, port),
     .help =
         "They listen on this port (TCP), or are bound to it (UDP). Alone: in this machine's own "
         "network.",
     .example = "6379"},
    {.key = "cgroup",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct process_host, cgroup),
     .help = "They are in this control group or below it, as /proc/PID/cgroup writes it.",
     .example = "/system.slice/web.service"},
    {.key = "expect",
     .type = FIELD_INTEGER,
     .min = 1,
     .max = 100000,
     .offset = offsetof(struct process_host, expect),
     .help = "How many processes must match when the drill begins; any other number and nothing is "
             "touched.",
     .example = "1"},
    {0},
};
static const struct record process_record = {
    .name = "processes of this machine",
    .summary = "Processes that run here; what is given must all hold.",
    .size = sizeof(struct process_host),
    .fields = process_fields,
    .shorthand = "name",
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
     .help = "The host is made in the lab. Each host is of one kind: `lab`, or one that is there "
             "already: `compose`, `container`, `here`, `netns`, `process`, `unit`.",
     .example = "{address: 10.20.0.11}"},
    {.key = "compose",
     .type = FIELD_OBJECT,
     .record = &compose_record,
     .flags = FIELD_ONE_OF,
     .offset = offsetof(struct host, compose),
     .help = "The host is there already: the container of a service of a docker compose project.",
     .example = "{project: shop, service: web}"},
    {.key = "container",
     .type = FIELD_OBJECT,
     .record = &container_record,
     .flags = FIELD_ONE_OF,
     .offset = offsetof(struct host, container),
     .help = "The host is there already: a container of docker or podman.",
     .example = "pg-1"},
    {.key = "here",
     .type = FIELD_OBJECT,
     .record = &here_record,
     .flags = FIELD_ONE_OF,
     .offset = offsetof(struct host, here),
     .help = "The host is this machine itself, as far as one of its interfaces goes.",
     .example = "{interface: eth1}"},
    {.key = "netns",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY | FIELD_ONE_OF,
     .offset = offsetof(struct host, netns),
     .help = "The host is there already: a network namespace that others made, by its name in `ip "
             "netns` or by a path that begins with `/`. It is neither built nor ended.",
     .example = "edge"},
    {.key = "process",
     .type = FIELD_OBJECT,
     .record = &process_record,
     .flags = FIELD_ONE_OF,
     .offset = offsetof(struct host, process),
     .help =
         "The host is there already: processes of this machine, with the namespaces they live in.",
     .example = "{name: redis-server, port: 6379}"},
    {.key = "unit",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY | FIELD_ONE_OF,
     .offset = offsetof(struct host, unit),
     .help = "The host is there already: a service of this machine's systemd, with all its "
             "processes.",
     .example = "worker.service"},
    {.key = "allow",
     .type = FIELD_BOOL,
     .dflt = "false",
     .offset = offsetof(struct host, allow),
     .help = "Of a host that others made: `true` lets faults touch it (`run` asks for `--yes` "
             "besides).",
     .example = "true"},
    {.key = "follow",
     .type = FIELD_BOOL,
     .dflt = "false",
     .offset = offsetof(struct host, follow),
     .help =
         "Of a host that others made: when another takes its place (a new process, a new "
         "container) that is the host from then on; without it that makes the trial void, unless "
         "a fault ended the old one.",
     .example = "true"},
    {.key = "production",
     .type = FIELD_BOOL,
     .dflt = "false",
     .offset = offsetof(struct host, production),
     .help =
         "Of a host that others made: `true` says that it serves for real; then no step may touch "
         "it, whatever `allow` says.",
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

/* --- Groups --- */

static const struct field group_fields[] = {
    {.key = "hosts",
     .type = FIELD_REFS,
     .ref = REF_HOST,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct host_group, hosts),
     .help = "Its hosts.",
     .example = "[web1, web2, web3]"},
    {.key = "at_most",
     .type = FIELD_PERCENT,
     .dflt = "100%",
     .offset = offsetof(struct host_group, at_most),
     .help = "The share of them that faults may have hit at a time, rounded down to whole hosts. A "
             "fault that is not undone counts to the end of the trial.",
     .example = "50%"},
    {0},
};
const struct record tables_group = {
    .name = "group",
    .summary = "Hosts of which only a share may be hit at a time.",
    .size = sizeof(struct host_group),
    .fields = group_fields,
    .name_offset = offsetof(struct host_group, name),
    .place_offset = offsetof(struct host_group, place),
    .variant_place_offset = NOWHERE,
};
