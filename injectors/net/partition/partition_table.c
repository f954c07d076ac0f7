/* The keys of the `partition` fault. */
#include "injectors/net/partition/partition.h"

#include "injectors/net/partition/scope.h"
#include "injectors/params.h"

#define PARTITION_PORTS 16

static const char *const direction_words[] = {"both", "forward", "backward", NULL};

#define NO_RECORD_PLACES                                                                           \
    .name_offset = SIZE_MAX, .place_offset = SIZE_MAX, .variant_place_offset = SIZE_MAX

static const struct field grudge_fields[] = {
    {.key = "from",
     .type = FIELD_REFS,
     .ref = REF_HOST,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct partition_grudge, from),
     .help = "Hosts of which it hears nothing.",
     .example = "[db2, db3]"},
    {.key = NULL},
};

static const struct record grudge_record = {
    .name = "grudge",
    .summary =
        "The hosts of which one host hears nothing: what they send to it is lost, or refused "
        "by it. A list alone says the same.",
    .size = sizeof(struct partition_grudge),
    .fields = grudge_fields,
    .shorthand = "from",
    .name_offset = offsetof(struct partition_grudge, host),
    .place_offset = SIZE_MAX,
    .variant_place_offset = SIZE_MAX,
};

static const struct field bridge_fields[] = {
    {.key = "through",
     .type = FIELD_OBJECT,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct partition_bridge, through),
     .record = &target_record,
     .help = "The host that both halves still reach.",
     .example = "db3"},
    {.key = "of",
     .type = FIELD_REFS,
     .ref = REF_HOST,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct partition_bridge, of),
     .help = "The hosts, halved in the order in which they stand, the smaller half first; the "
             "bridge itself is left out when it is among them.",
     .example = "[db1, db2, db4, db5]"},
    {.key = NULL},
};

static const struct record bridge_record = {
    .name = "bridge",
    .summary = "Two halves that cannot reach each other, and one host that reaches both.",
    .size = sizeof(struct partition_bridge),
    .fields = bridge_fields,
    NO_RECORD_PLACES,
};

static const struct field hosts_fields[] = {
    {.key = "of",
     .type = FIELD_REFS,
     .ref = REF_HOST,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct partition_hosts, of),
     .help = "The hosts it is made of.",
     .example = "[db1, db2, db3]"},
    {.key = NULL},
};

static const struct record ring_record = {
    .name = "majorities-ring",
    .summary = "Hosts in a ring, each with its nearest neighbours. A list alone says the same.",
    .size = sizeof(struct partition_hosts),
    .fields = hosts_fields,
    .shorthand = "of",
    NO_RECORD_PLACES,
};

static const struct record halves_record = {
    .name = "random-halves",
    .summary = "Hosts that are drawn into two halves. A list alone says the same.",
    .size = sizeof(struct partition_hosts),
    .fields = hosts_fields,
    .shorthand = "of",
    NO_RECORD_PLACES,
};

static const struct field partition_fields[] = {
    {.key = "host",
     .type = FIELD_REF,
     .ref = REF_HOST,
     .offset = offsetof(struct partition_params, host),
     .help = "A host that others made (`netns:`), cut from `peers` by a table of our own inside of "
             "it; instead of the shapes below.",
     .example = "edge"},
    {.key = "peers",
     .type = FIELD_PEERS,
     .ref = REF_HOST,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct partition_params, peers),
     .help = "With `host`: the addresses, prefixes and hosts of the lab from which it is cut.",
     .example = "[10.9.0.2, 10.10.0.0/16]"},
    {.key = "cut",
     .type = FIELD_GROUPS,
     .offset = offsetof(struct partition_params, cut),
     .record = &target_record,
     .help =
         "Two or more groups of hosts; each is cut from every other. A host that is chosen when "
         "the step happens leaves the groups that name it plainly.",
     .example = "[[lb1], [client, db]]"},
    {.key = "isolate",
     .type = FIELD_OBJECTS,
     .offset = offsetof(struct partition_params, isolate),
     .record = &target_record,
     .help = "Hosts that are cut from all hosts that are not in this list; among each other they "
             "still talk.",
     .example = "[etcd1]"},
    {.key = "grudge",
     .type = FIELD_MAP,
     .ref = REF_HOST,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct partition_params, grudge),
     .record = &grudge_record,
     .help =
         "Who hears nothing of whom, one way: what the listed hosts send to the host before the "
         "colon is lost. For both ways write both.",
     .example = "{db1: [db2, db3], db2: [db1]}"},
    {.key = "bridge",
     .type = FIELD_OBJECT,
     .offset = offsetof(struct partition_params, bridge),
     .record = &bridge_record,
     .help = "Two halves that only one host still joins.",
     .example = "{through: db3, of: [db1, db2, db4, db5]}"},
    {.key = "majorities-ring",
     .type = FIELD_OBJECT,
     .offset = offsetof(struct partition_params, ring),
     .record = &ring_record,
     .help = "Every host sees a majority, and no two see the same: each keeps its nearest "
             "neighbours in the ring, in both directions.",
     .example = "{of: [db1, db2, db3, db4, db5]}"},
    {.key = "random-halves",
     .type = FIELD_OBJECT,
     .offset = offsetof(struct partition_params, halves),
     .record = &halves_record,
     .help = "Two halves, drawn anew from the seed in each trial; the first is the smaller one.",
     .example = "{of: [db1, db2, db3, db4, db5]}"},
    {.key = "direction",
     .type = FIELD_WORD,
     .offset = offsetof(struct partition_params, direction),
     .dflt = "both",
     .words = direction_words,
     .help =
         "forward: only what the first group (or half) sends to the second is lost, with isolate "
         "what they send; backward: the other way round.",
     .example = "forward"},
    {.key = "kind",
     .type = FIELD_WORD,
     .offset = offsetof(struct partition_params, kind),
     .dflt = "drop",
     .words = scope_kind_words,
     .help = "drop: every frame vanishes at the switch, whatever its addresses. reject: the "
             "receiving host refuses (TCP reset, ICMP port unreachable).",
     .example = "reject"},
    {.key = "packets",
     .type = FIELD_WORD,
     .offset = offsetof(struct partition_params, packets),
     .dflt = "all",
     .words = scope_packets_words,
     .help = "new-connections: what opens a connection is lost or refused by the receiving host; "
             "established connections go on.",
     .example = "new-connections"},
    {.key = "protocol",
     .type = FIELD_WORD,
     .offset = offsetof(struct partition_params, protocol),
     .dflt = "any",
     .words = scope_protocol_words,
     .help = "Only packets of this protocol; icmp is ICMPv6 too.",
     .example = "tcp"},
    {.key = "port",
     .type = FIELD_PORTS,
     .max = PARTITION_PORTS,
     .offset = offsetof(struct partition_params, ports),
     .help = "Only packets from or to these ports; with new-connections to them.",
     .example = "[5432, 8000-8010]"},
    {.key = "connections",
     .type = FIELD_WORD,
     .offset = offsetof(struct partition_params, connections),
     .dflt = "keep",
     .words = scope_connections_words,
     .help = "cut: existing TCP connections across the cut are ended in both hosts (sockets "
             "destroyed, tracked connections forgotten), which is not undone; keep: they only hear "
             "nothing.",
     .example = "cut"},
    {.key = NULL},
};

const struct record partition_record = {
    .name = "partition",
    .summary = "Hosts that cannot reach each other.",
    .size = sizeof(struct partition_params),
    .fields = partition_fields,
    NO_RECORD_PLACES,
};
