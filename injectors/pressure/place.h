/* A folder of a host, reached from outside through /proc/PID/root; links in it lead nowhere out of the
 * host (RESOLVE_IN_ROOT).
 *
 * Ownership: descriptors are the caller's.
 */
#pragma once

#include "sim/lab/lab.h"

#define PLACE_RESERVE_LEAST ((int64_t)256 << 20) /* stays free of what is not a host's own */

struct place_space {
    int64_t total, available; /* available: to an ordinary user */
    bool memory;              /* tmpfs, ramfs */
    bool own;                 /* of the host alone: this process has it nowhere */
};

/* The root of what this process sees, an O_PATH. */
int place_root(pid_t pid, int *ret, struct err *err);
/* A folder below such a root; its descriptor. */
int place_open(int root, const char *path, struct err *err);
/* path: for the sentence. */
int place_look(int fd, const char *path, struct place_space *ret, struct err *err);
/* So much stays free where a file system is not the host's own: 5 %, 256 MiB at least. */
static inline int64_t place_reserve(const struct place_space *s)
{
    return s->total / 20 > PLACE_RESERVE_LEAST ? s->total / 20 : PLACE_RESERVE_LEAST;
}

/* What place_find() needs of a folder (an open one) of a host that others made, into the record: {machine,
 * pid, start, volume}. */
void place_note(const struct attached_host *a, int folder, json_t *record);
/* What is left there stays over a reboot. */
bool place_lasts(const json_t *record);
/* The record's folder, in which something of ours has that name: of a host of the lab; of the machine's own
 * files; of a process of others, as long as that lives; else by its file system (volume.h). 0; 1: all of
 * it has gone; -ENODEV: its file system cannot be reached. */
int place_find(struct lab_node *n, const json_t *record, const char *folder, const char *name,
               int *ret, struct err *err);
