/* Undo records, kept before the change is made, so that somebody else can undo it.
 *
 * Two lifetimes of what a fault changes:
 *   tied  the kernel releases it with the last descriptor or process of ours (everything in a lab).
 *         Its record is kept in memory only: after our death there is nothing to undo.
 *   kept  it outlives us. Its record is on disk before the change is made: one file per run,
 *         <folder>/<run id>.ndjson, one JSON object a line:
 *           {"journal":1,"run":…,"boot":…,"netns":…}              the first line
 *           {"entry":N,"step":…,"injector":…,"undo":{…},"persistent":bool,"netns":…,"pid":…,"start":…,
 *            "was":{…}}
 *           {"begin":N}                               before anything of it is made, if "armed"
 *           {"amend":N,"undo":{…}}                                 what undoes it from here on
 *           {"done":N}                                             after its revert
 * The file is there exactly as long as an entry of it is not done.
 *
 * Who may undo: whoever holds the file's lock (flock(2) on the open file; the runner and, after a
 * fork, its warden hold it together, and the kernel releases it when both are dead). So one at a
 * time, and never while the run lives. Whoever forks and lives on without being one of these two
 * must close journal_fd().
 *
 * What an undoer may touch: after another boot only entries marked persistent (a disk filled, a
 * container paused); the others are void. An entry that names a process (pid and start time) or a
 * network namespace (inode, which must be the one we are in) is void when that is no longer there:
 * a pid that was used again, a foreign namespace, are never touched.
 *
 * An entry may be armed: written long before its change. Until its "begin" is there nothing was
 * changed, and it is void. (That line is not synced: what a power loss can take with it is void after
 * it anyway, but for persistent entries, which are undone after another boot whether they began or not.)
 *
 * Torn last lines (a crash during write) are ignored: a change is made after its line is whole. Any
 * other line that cannot be read is reported and keeps the file.
 *
 * Ownership: journal_open() … journal_close(). Entries are copied.
 */
#pragma once

#include "injectors/injector.h"
#include "sim/base/err.h"
#include <jansson.h>
#include <sys/types.h>

enum journal_life { JOURNAL_TIED, JOURNAL_KEPT };

struct journal_entry {
    enum journal_life life;
    const char *step, *injector; /* its name in the registry */
    const json_t *undo;
    const json_t *was; /* how what it touches was before: touch_remember(); NULL: not kept */
    bool persistent;   /* survives a reboot */
    bool armed;        /* journal_begin() comes before the change */
    /* Identities; 0: none. */
    uint64_t netns;           /* inode of the network namespace it was made in */
    pid_t pid;                /* a process that it is about */
    unsigned long long start; /* and when that started: field 22 of /proc/PID/stat */
};

struct journal;

/* The folder journals stand in: /var/lib/blackstart for root, else $XDG_STATE_HOME/blackstart, else
 * ~/.local/state/blackstart; the caller frees. To be asked before a user namespace is entered. */
int journal_folder(char **ret, struct err *err);

/* Nothing is on disk yet. `folder` is made when the first kept entry comes. */
int journal_open(const char *folder, const char *run_id, struct journal **ret, struct err *err);
/* Notes an entry (kept: written, not yet synced). *ret_n: its number, for journal_done_entry(). */
int journal_append(struct journal *j, const struct journal_entry *e, uint64_t *ret_n,
                   struct err *err);
/* All kept entries are on the disk when this returns (fdatasync of the file, fsync of its folder).
 */
int journal_sync(struct journal *j, struct err *err);
/* An armed entry's change is made next. */
int journal_begin(struct journal *j, uint64_t n, struct err *err);
/* More is changed next than its undo record said; like begin, not synced. */
int journal_amend(struct journal *j, uint64_t n, const json_t *undo, struct err *err);
int journal_done_entry(struct journal *j, uint64_t n, struct err *err);
/* Entries that are not done, tied ones included, oldest first: [{entry,step,injector,undo,…}]. For
 * the warden, who undoes them through journal_undo_open(). New reference. */
json_t *journal_pending(const struct journal *j);
int journal_fd(const struct journal *j); /* -1: nothing on disk */
/* Removes the file when nothing is left to be undone. */
struct journal *journal_close(struct journal *j);
DEFINE_CLEANUP(struct journal, journal_close);

/* --- After the death of a run -------------------------------------------------------------------
 */

enum journal_outcome {
    JOURNAL_UNDONE,
    JOURNAL_VOID,   /* gone by itself: another boot, another process, another namespace */
    JOURNAL_FAILED, /* is still in force: text says what and why */
};
struct journal_undone {
    const char *run, *step, *injector; /* step, injector: NULL for the file as a whole */
    enum journal_outcome outcome;
    const char *text;
    const struct inject_result *result; /* JOURNAL_UNDONE */
    const json_t *touches;              /* JOURNAL_UNDONE: what must be as before (touch.h) */
};
typedef void journal_report_fn(const struct journal_undone *u, void *data);

/* What is needed to undo: the registry (injector_actions; a test has its own), the facts of this
 * machine (NULL: read from the kernel). */
struct journal_world {
    const struct variant *const *actions;
    const char *boot_id;
    uint64_t netns;
    /* When the process started, 0 when there is none. */
    unsigned long long (*started)(pid_t pid, void *data);
    void *data;
};

struct journal_found {
    char *run, *path;
    bool live;       /* its runner or warden lives (or somebody is undoing it now) */
    json_t *entries; /* not yet done, oldest first; NULL when live */
    bool other_boot;
    size_t torn, unreadable; /* bytes of a torn last line; lines that cannot be read */
};
struct journal_list {
    struct journal_found *items;
    size_t n;
};
/* What stands in the folder; a missing folder holds nothing. Changes nothing. */
int journal_scan(const char *folder, const struct journal_world *world, struct journal_list *ret,
                 struct err *err);
void journal_list_done(struct journal_list *l);

/* Undoes everything of dead runs, the newest entry first, and removes what is empty. Live runs are
 * left alone. *ret_failed: how many entries (or files) are left in force. */
int journal_undo_all(const char *folder, const struct journal_world *world, journal_report_fn *fn,
                     void *data, size_t *ret_failed, struct err *err);
/* For the warden of a run, which holds the journal open: the same for this one, tied entries
 * included, through `env`. */
int journal_undo_open(struct journal *j, struct inject_env *env, const struct journal_world *world,
                      journal_report_fn *fn, void *data, size_t *ret_failed, struct err *err);
