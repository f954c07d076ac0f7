/* Numbers of interfaces by name. Private to this room.
 *
 * Ownership: embed it zeroed, end with nl_known_done(). A name longer than an interface's is never
 * in it. An open table with linear probing, at most half full.
 */
#pragma once

#include <linux/if.h>
#include <stddef.h>

struct nl_known_item {
    char name[IFNAMSIZ]; /* "": free */
    int ifindex;
};
struct nl_known {
    struct nl_known_item *items;
    size_t n, size; /* size: 0 or a power of two */
};

int nl_known_find(const struct nl_known *k, const char *name); /* 0: unknown */
void nl_known_set(struct nl_known *k, const char *name, int ifindex);
void nl_known_remove(struct nl_known *k, const char *name);
void nl_known_clear(struct nl_known *k);
void nl_known_done(struct nl_known *k);
