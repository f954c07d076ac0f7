/* The connections between hosts that are cut from each other, ended for real: sockets destroyed and
 * tracked entries forgotten, in both hosts. Nothing of it can be undone.
 *
 * Hosts are known by all addresses they have at that moment, virtual ones included. One cut way
 * between two hosts is enough: a connection needs both.
 *
 * Ownership: `struct connections` is its user's, freed by connections_done().
 */
#pragma once

#include "injectors/net/partition/cut.h"
#include "sim/lab/lab.h"
#include <jansson.h>

struct connections {
    struct connection_socket {
        const char *host; /* the scenario's */
        uint64_t cookie;
    } * items;
    size_t n;       /* sockets that were destroyed */
    size_t tracked; /* entries that were forgotten */
};
void connections_done(struct connections *c);

/* Destroys the sockets that concern the scope's ports. Appends a text for each host to `changes`. `ret`
 * must be zeroed; after a failure it holds what was ended before. */
int connections_end(struct lab *lab, const struct cut *cut, const struct cut_scope *s,
                    struct connections *ret, json_t *changes, struct err *err);
/* And forgets what is tracked of such flows; takes milliseconds for each host that tracks any. */
int connections_forget(struct lab *lab, const struct cut *cut, const struct cut_scope *s,
                       struct connections *ret, json_t *changes, struct err *err);
/* How many of these sockets there still are. */
int connections_left(struct lab *lab, const struct connections *c, size_t *ret, struct err *err);
