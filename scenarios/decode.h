/* From nodes to C structs by the tables of sim/model/field.h.
 *
 * Ownership: what is decoded lives in the arena; the tree must live as long (places point into it).
 * Every error is said to `diags` with its place and decoding goes on, so that one reading tells
 * all; what could not be decoded keeps its default. Names that refer to something are collected and
 * looked up by decode_resolve() when everything is known.
 */
#pragma once

#include "scenarios/diag.h"
#include "scenarios/tree.h"
#include "sim/model/field.h"

struct decode_ref {
    const char *name;
    enum field_ref ref;
    struct place place;
};

struct decode_file { /* a path that must be readable */
    const char *path;
    struct place place;
};

struct decode_range { /* {between: [A, B]} */
    const struct node *node;
    enum field_type type; /* FIELD_DURATION, _PERCENT or _NUMBER */
    double low, high;
};

struct decode_values { /* a file of durations */
    struct node *node; /* becomes the list of its values, so that what is written as run has them */
    struct durations *ret;
};

struct decode {
    struct arena *arena;
    struct diags *diags;
    struct decode_ref *refs;
    struct decode_file *files;
    struct decode_range *ranges;
    struct decode_values *values;
    bool
        places_miss; /* that there are no hosts or no probes was said: names of them are not looked up */
    size_t n_refs, refs_room, n_files, files_room, n_ranges, ranges_room, n_values, values_room;
};

void decode_done(struct decode *d); /* frees what it collected; the arena is the caller's */

/* `obj`: zeroed memory of record->size bytes. `at`: where the object is named (its key, or the node
 * itself), for what is missing in it. */
void decode_record(struct decode *d, const struct record *record, const struct node *node,
                   struct place at, void *obj);

/* Reads the files of durations; NULL: there is no folder to read from. */
void decode_read_values(struct decode *d, const char *folder);

/* The names that exist of a kind; they are borrowed until decode_resolve() returns. */
typedef const char *const *decode_names_fn(enum field_ref ref, size_t *ret_n, void *data);
void decode_resolve(struct decode *d, decode_names_fn *names, void *data);

/* NULL, or why this cannot be used as a POSIX extended regular expression (static text). Refuses
 * what would make the C library's compiler explode. */
const char *decode_regex_problem(const char *pattern);

/* "a duration like 250ms", "a whole number": what a field takes, for messages and the manual. */
const char *decode_type_words(const struct field *f);
