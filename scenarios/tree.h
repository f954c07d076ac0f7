/* YAML as a tree of nodes that know where they stand.
 *
 * The YAML is 1.2 with the core words (true, false, null and their capitalisations: `yes`, `on` and
 * `no` are plain words), one document, no tags, no duplicate keys, no merge keys. Anchors and
 * aliases are followed: an alias is the same node again. `include:` and `${…}` are gone after
 * tree_load().
 *
 * Ownership: nodes live in the arena that was given; file names in places too. A tree is a graph
 * without cycles (aliases), whose size as a tree is limited, so walking it is always cheap.
 */
#pragma once

#include "scenarios/diag.h"
#include "sim/base/arena.h"
#include "sim/base/text.h"

#define TREE_DEPTH_MAX 32
#define TREE_NODES_MAX 250000 /* of all files together, aliases followed */
#define TREE_FILE_MAX (1024 * 1024)
#define TREE_FILES_MAX 64
#define TREE_INCLUDE_DEPTH_MAX 8

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct entry {
    struct node *key, *value; /* keys are scalars */
};

struct node {
    enum node_kind kind;
    struct place place;
    bool plain;   /* a scalar without quotes: the core words and numbers apply */
    bool settled; /* variables were substituted */
    bool bad;     /* something was said about it already */
    char *text;   /* of a scalar; never NULL for one */
    size_t n;     /* of items or entries */
    struct node **items;
    struct entry *entries;
    unsigned weight, height; /* of the tree below, aliases followed; a scalar: 1, 1 */
};

/* What all files of one scenario may use up together. */
struct tree_budget {
    unsigned nodes, files;
};

/* One document of one file, with anchors followed; `include:` and `${…}` still stand in it. NULL
 * after an error was said. */
struct node *tree_parse(struct arena *arena, const char *text, size_t n, const char *file,
                        struct tree_budget *used, struct diags *diags);

/* Reads a scenario with everything it includes; `sets`: NAME=VALUE (may be NULL): other values of
 * variables that the files declare, and, where NAME is no variable but a path, of the file (tree_set()). Returns NULL when something was said to `diags` that leaves
 * nothing to go on with; other errors are said and the rest is returned. */
struct node *tree_load(struct arena *arena, const char *path, const struct strv *sets,
                       struct diags *diags);
/* The same from memory; `name` stands for the file in messages; including is an error. */
struct node *tree_load_text(struct arena *arena, const char *text, size_t n, const char *name,
                            const struct strv *sets, struct diags *diags);

/* Another value (YAML) at PATH of a mapping: "model.checkout.restore.failover.works" goes down by keys, in
 * lists by the name of an element or its number from 1; what is missing is made. Errors are said with
 * "--set PATH" as their place. */
void tree_set(struct arena *arena, struct node *root, const char *path, const char *value,
              struct tree_budget *used, struct diags *diags);

/* The value of a key of a mapping; NULL when there is none (or `map` is no mapping). */
struct node *node_get(const struct node *map, const char *key);
bool node_is_null(const struct node *n);
/* "a list", "a mapping", "nothing", "'5'": for messages. Returns buf. */
const char *node_what(const struct node *n, char buf[DIAG_QUOTE_MAX + 8]);
