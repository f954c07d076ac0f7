/* Numbers of interfaces by name; see nl_known.h. */
#include "sim/kernel/nl_known.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 32

static size_t slot(const struct nl_known *k, const char *name)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (const char *c = name; *c; c++)
        h = (h ^ (unsigned char)*c) * 16777619u;
    return h & (k->size - 1);
}

/* Where the name is, or the free place for it. */
static struct nl_known_item *place(const struct nl_known *k, const char *name)
{
    size_t i = slot(k, name);
    while (k->items[i].name[0] && strcmp(k->items[i].name, name) != 0)
        i = (i + 1) & (k->size - 1);
    return &k->items[i];
}

static bool is_name(const char *name)
{
    return name[0] && strlen(name) < IFNAMSIZ;
}

int nl_known_find(const struct nl_known *k, const char *name)
{
    return k->n && is_name(name) ? place(k, name)->ifindex : 0;
}

static void resize(struct nl_known *k, size_t size)
{
    struct nl_known old = *k;
    *k = (struct nl_known){.items = calloc(size, sizeof *k->items), .n = old.n, .size = size};
    if (!k->items)
        abort();
    for (size_t i = 0; i < old.size; i++)
        if (old.items[i].name[0])
            *place(k, old.items[i].name) = old.items[i];
    free(old.items);
}

void nl_known_set(struct nl_known *k, const char *name, int ifindex)
{
    if (!is_name(name))
        return;
    if (2 * (k->n + 1) > k->size)
        resize(k, k->size ? 2 * k->size : FIRST_SIZE);
    struct nl_known_item *one = place(k, name);
    if (!one->name[0]) {
        memcpy(one->name, name, strlen(name) + 1);
        k->n++;
    }
    one->ifindex = ifindex;
}

/* What was pushed on by the one that goes moves back, so that no search ends at the gap. */
void nl_known_remove(struct nl_known *k, const char *name)
{
    if (!k->n || !is_name(name) || !place(k, name)->name[0])
        return;
    size_t gap = (size_t)(place(k, name) - k->items);
    for (size_t i = (gap + 1) & (k->size - 1); k->items[i].name[0]; i = (i + 1) & (k->size - 1)) {
        size_t home = slot(k, k->items[i].name);
        if (((i - home) & (k->size - 1)) < ((i - gap) & (k->size - 1)))
            continue; /* its home lies behind the gap */
        k->items[gap] = k->items[i];
        gap = i;
    }
    k->items[gap] = (struct nl_known_item){0};
    k->n--;
}

void nl_known_clear(struct nl_known *k)
{
    if (k->size > FIRST_SIZE)
        nl_known_done(k);
    else if (k->n)
        memset(k->items, 0, k->size * sizeof *k->items);
    k->n = 0;
}

void nl_known_done(struct nl_known *k)
{
    free(k->items);
    *k = (struct nl_known){0};
}
