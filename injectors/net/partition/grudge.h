/* Who loses what whom sends: a directed list over hosts that are numbered from 0. Pure.
 *
 * Ownership: `struct grudge` is its user's, freed by grudge_done().
 *
 * Every way stands in a grudge once, and none leads from a host to itself.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct way { /* what `from` sends to `to` is lost */
    size_t from, to;
};

struct grudge {
    struct way *ways;
    size_t n;
};
void grudge_done(struct grudge *g);
#define AUTO_GRUDGE __attribute__((cleanup(grudge_done))) struct grudge

/* A way that is there already is not added again. */
void grudge_add(struct grudge *g, size_t from, size_t to);
bool grudge_has(const struct grudge *g, size_t from, size_t to);

/* `group[i]` is the group of host i: each lower group loses what it sends to each higher (forward),
 * what it is sent by it (backward), or both. Hosts of one group stay joined. */
void grudge_between(const size_t *group, size_t n, bool forward, bool backward, struct grudge *g);

/* Every host of the ring keeps its nearest neighbours, so many that it sees a majority of the n
 * hosts (itself among them), and no two see the same. Ways are kept in both directions or in none,
 * so a connection is possible exactly where both ends see each other. Of all such shapes one with the
 * fewest ways kept: each host sees just n / 2 + 1, but where n is 3, 7, 11 …, one of them one more
 * (an odd number of hosts cannot each have an odd number of neighbours). n ≥ 3. */
void grudge_majorities_ring(size_t n, struct grudge *g);

/* The size of the first of two halves of n: the smaller one. */
size_t grudge_half(size_t n);
