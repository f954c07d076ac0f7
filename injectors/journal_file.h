/* What journal.c (writing) and undo.c (reading, undoing) share. Not for others.
 *
 * Ownership: values and borrowed pointers only.
 */
#pragma once

#include "injectors/journal.h"

#define JOURNAL_VERSION 1
#define JOURNAL_SUFFIX ".ndjson"
#define JOURNAL_BOOT_MAX 40

int journal_boot_id(char ret[JOURNAL_BOOT_MAX], struct err *err);
int journal_own_netns(uint64_t *ret, struct err *err);

/* The world with its holes filled from the kernel. */
struct journal_facts {
    struct journal_world world;
    char boot[JOURNAL_BOOT_MAX];
    uint64_t netns;
};
int journal_facts_read(const struct journal_world *world, struct journal_facts *ret,
                       struct err *err);

struct journal_run {
    const char *run, *boot; /* the boot it was written in */
    const struct journal_facts *facts;
    struct inject_env *env;
    journal_report_fn *fn;
    void *data;
};
/* Decides whether this entry may still be touched, reverts it, reports. Marks nothing. */
enum journal_outcome journal_undo_entry(const struct journal_run *run, const json_t *entry);
/* Reverts entries (oldest first in the array), the newest first. Those that fail are tried again once
 * others were undone after them: a record tells how it was when all was whole, so a route may need
 * the address that an older fault took away. done: marks an entry by its number. *ret_left: how many
 * could not be undone; each is reported once. */
typedef int journal_done_fn(void *data, uint64_t n, struct err *err);
int journal_undo_entries(const struct journal_run *run, const json_t *entries,
                         journal_done_fn *done, void *data, size_t *ret_left, struct err *err);
