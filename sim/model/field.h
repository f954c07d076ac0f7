/* Tables that describe what may stand in a scenario: one table drives the decoder, the JSON Schema,
 * `blackstart list` and the manual.
 *
 * A `struct record` describes an object (a YAML mapping) and the C struct it is decoded into; a
 * `struct field` one key of it. Tables are constants; nothing here is owned or freed.
 */
#pragma once

#include "sim/base/nsec.h"
#include "sim/base/text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where something stands in the user's files. `file` lives as long as the scenario. */
struct place {
    const char *file;
    int line, col; /* from 1; 0: not from a file */
};

struct record;
struct variant;

/* A list of pointers to decoded objects of one record: `items[i]` is a TYPE *. */
struct objects {
    void **items;
    size_t n;
};

/* Where a value comes from: the scenario itself, or, so that secrets stand in no file of a run, the
 * environment variable or the file that `value` names (pair_resolve() in model.h). */
enum pair_source { PAIR_TEXT, PAIR_ENV, PAIR_FILE };

struct pair { /* an entry of a mapping from words to texts (env:, expect:) */
    char *key, *value;
    struct place place;
    enum pair_source source;
};
struct pairs {
    struct pair *items;
    size_t n;
};

struct durations {
    nsec *items;
    size_t n;
};

struct port_range {
    uint16_t lo, hi; /* 1 to 65535 */
};
struct port_ranges {
    struct port_range *items;
    size_t n;
};

/* type → what the C member is */
enum field_type {
    FIELD_TEXT,     /* char *; any scalar text */
    FIELD_NAME,     /* char *; text_is_name() */
    FIELD_BOOL,     /* bool */
    FIELD_INTEGER,  /* int64_t, within [min, max] */
    FIELD_DURATION, /* nsec, within [min, max]; NSEC_UNSET when absent without a default */
    FIELD_PERCENT,  /* double in [0, 1] */
    FIELD_NUMBER,   /* double, within [min, max]; 0 when absent */
    FIELD_RATE,     /* int64_t, bits per second, within [min, max]; 0 when absent */
    FIELD_SIZE,     /* int64_t, bytes, within [min, max] */
    FIELD_PORTS,    /* struct port_ranges: a port, a range like 8000-8010, or a list of them */
    FIELD_PEERS,    /* struct strv: names of hosts (as REF_HOST), addresses, prefixes */
    FIELD_WORD,  /* int: index in `words` (NULL-terminated); -1 when absent with the default "" */
    FIELD_TEXTS, /* struct strv; a list of texts, or one text */
    FIELD_DURATIONS, /* struct durations: a list of `min` to `max` of them; with FIELD_FILE also the
                      * path of a file with one on each line */
    FIELD_REF,       /* char *; the name of a `ref` */
    FIELD_REFS,      /* struct strv of such names, or one name */
    FIELD_PAIRS,     /* struct pairs */
    FIELD_OBJECT,    /* TYPE * of `record`; NULL when absent */
    FIELD_OBJECTS,   /* struct objects: a list of `record`, or a single one */
    FIELD_MAP,    /* struct objects: a mapping from names to `record`; the key goes into the member
                    * named by record->name_offset, and is the name of a `ref` if that is given */
    FIELD_SERIES, /* struct objects: a list whose items are mappings with one key each, a name, as in
                    * [{fetch: 3s}, {build: 1m}]; the name goes into record->name_offset */
    FIELD_GROUPS, /* struct objects of struct objects of `record`: a list of lists ([[a], [b, c]])
                    */
};

enum field_ref {
    REF_NONE,
    REF_SERVICE,
    REF_NETWORK,
    REF_HOST,
    REF_GROUP,
    REF_PROBE,
    REF_ALARM,
    REF_STEP,
    REF_ROLE_OR_ALARM,
    REF_COMPONENT, /* of `components`, or a host */
    REF_CREW,
    REF_RESPONDER, /* of `roles` */
    REF_AUDIENCE,  /* the same, or `all` */
    REF_OBJECTIVE,
    REF_PHASE,
    REF_RUNBOOK,
};
#define REF_LAST REF_RUNBOOK

#define FIELD_REQUIRED 1u
#define FIELD_NON_EMPTY 2u  /* of lists, mappings and texts */
#define FIELD_SECRETS 4u    /* of pairs: values may be {env: NAME} or {file: PATH} */
#define FIELD_COMMAND 8u    /* of texts: text_split_argv() must accept it */
#define FIELD_REGEX 16u     /* of texts: a POSIX extended regular expression */
#define FIELD_FILE 32u      /* of texts: a path below the scenario's folder that can be read */
#define FIELD_ELSEWHERE 64u /* dealt with before decoding (include:); has no member */
#define FIELD_ONE_OF 128u   /* of a record's fields with this flag exactly one is given */
/* Of FIELD_DURATION, _DURATIONS, _PERCENT and _NUMBER: {between: [A, B]} may stand for a value that is
 * not known better; the member gets the middle, and the range is kept (struct uncertain). */
#define FIELD_UNCERTAIN 256u

struct field {
    const char *key;
    enum field_type type;
    unsigned flags;
    size_t offset;    /* in the C struct */
    const char *dflt; /* as one would write it; NULL: zero, NULL or NSEC_UNSET */
    int64_t min, max; /* numbers: FIELD_INTEGER, _DURATION, _RATE, _SIZE; both 0: no bounds */
    const char *const *words;
    enum field_ref ref;
    const struct record *record;
    const char *help;    /* one sentence, for the manual, `list` and the schema */
    const char *example; /* may be NULL */
};

/* True when a text of FIELD_PEERS is meant as an address or a prefix; names begin with a letter and
 * hold no colon. */
bool field_peer_is_address(const char *text);

/* Calls fn for each host that an object of this record names, in the order of its fields. `peer`: as
 * somebody's counterpart (FIELD_PEERS); `listed`: among others (FIELD_REFS). */
typedef void field_host_fn(const char *host, bool peer, bool listed, void *data);
void field_hosts(const struct record *r, const void *object, field_host_fn *fn, void *data);
/* Calls fn for an object and everything in it that has a record of its own. */
typedef void field_object_fn(const struct record *r, void *object, void *data);
void field_objects(const struct record *r, void *object, field_object_fn *fn, void *data);

/* A bound or value of a field of numbers as one would write it. Returns buf. */
#define FIELD_NUMBER_MAX 64
const char *field_number_text(const struct field *f, int64_t v, char buf[FIELD_NUMBER_MAX]);

struct record {
    const char *name; /* for messages: "probe", "service" */
    const char *summary;
    size_t size;                /* of the C struct */
    const struct field *fields; /* terminated by key == NULL */
    const char *shorthand;      /* a lone scalar or list is taken as this key; NULL: none */
    size_t name_offset;         /* char *; where FIELD_MAP puts the key; SIZE_MAX: nowhere */
    size_t place_offset;        /* struct place; SIZE_MAX: not kept */
    /* Exactly one key out of a registry (a step's action, a probe's kind): */
    const struct variant *const *variants; /* NULL-terminated; NULL: none */
    const struct variant *const *more;     /* a second such list; read both by field_variant() */
    const char *variant_what;              /* "an action", "a kind of probe" */
    size_t variant_offset;                 /* const struct variant * */
    size_t params_offset;                  /* void *: decoded by variant->params */
    size_t variant_place_offset;           /* struct place of the variant's key; SIZE_MAX */
};

/* One entry of a registry: an injector, a kind of probe, a kind of alarm. */
struct variant {
    const char *name;    /* the key in YAML */
    const char *summary; /* one line */
    const char *detail;  /* a paragraph for the manual and `list NAME`; may be NULL */
    const struct record *params;
    const void *impl; /* struct injector *, …: what stands behind it */
};

/* The i-th of a record's variants, those of `more` last; NULL: there are no more. */
const struct variant *field_variant(const struct record *r, size_t i);
