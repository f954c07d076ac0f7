/* The parts of the fault `pressure`: each presses on one thing of one host and can be undone by its
 * record alone. What a part does it tells in words that its *_deed()s make, for plans too (undo: how it is
 * taken back).
 *
 * Ownership: records (JSON) belong to the fault; `ret_*` are the caller's.
 */
#pragma once

#include "injectors/injector.h"
#include "injectors/params.h"
#include "injectors/pressure/guest.h"

/* --- churn.c: the folder on a disk that stress-ng keeps busy --- */

struct churn {
    int root;   /* of the host's file system, an O_PATH; -1: none */
    int folder; /* ours; -1: not made yet */
    const struct pressure_io *params;
    char name[128]; /* of our folder */
};
/* -EOPNOTSUPP: it is on no disk, or the host is of the lab; -ENOSPC: the reserve would be touched. */
int churn_prepare(struct churn *c, struct lab_node *n, const struct pressure_io *p,
                  const char *run_id, const char *step, json_t *record, struct err *err);
int churn_make(struct churn *c, struct lab_node *n, struct err *err);
void churn_deed(const char *path, const char *name, bool undo, struct buf *out);
void churn_done(struct churn *c);
/* written: by our processes, as the kernel accounts for what has to go to a disk. Nothing is asked for: it
 * bites, and nothing is told. */
bool churn_bites(const struct churn *c, uint64_t written);
void churn_tell(const struct churn *c, uint64_t written, struct buf *asked, struct buf *seen);
/* After stress_undo(). By the record alone, as disk_undo(). */
int churn_undo(struct lab_node *n, const json_t *record, json_t *changes, struct err *err);

/* --- stress.c: processor time, memory and a disk, by stress-ng --- */

/* What of our own runs in a host, or (guest) beside one that others made. `node` is borrowed. */
struct stress {
    struct lab_node *node;
    const struct pressure_params *params;
    json_t *before; /* [{pid,start}]: who was called stress-ng before; also in the undo record */
    json_t *record; /* of a guest: the undo record */
    struct guest guest;
    double processors; /* that the host's control groups let it have; 0: all */
    struct churn churn;
    int64_t bytes; /* of memory, 0: none */
    bool running, ended;
    char said[256]; /* how it ended */
    nsec since;     /* first look at its processor time; NSEC_UNSET: not yet */
    uint64_t ticks; /* used by then */
    nsec waited;    /* by then for processors that others had */
};
/* Reads what the machine has. -ENOMEM: that much would not leave the reserve. -EOPNOTSUPP: others made
 * the host, and it has no control group of its own. record: what stress_undo() needs is added to it. */
int stress_prepare(struct stress *s, struct lab_node *n, const struct pressure_params *p,
                   const char *run_id, const char *step, json_t *record, struct err *err);
/* The command, as far as a plan knows it: how much memory may be known only then. guest: beside a host that
 * others made. */
void stress_plan(const struct pressure_params *p, bool guest, struct buf *out);
#define STRESS_NAME "stress-ng"
#define STRESS_GUEST "the first of its processes, and so to all of them"
int stress_start(struct stress *s, struct inject_env *env, json_t *changes, struct err *err);
void stress_done(struct stress *s); /* what runs goes on */
/* 0, or INJECT_AGAIN; *ok and a few words on what was asked and seen, appended. */
int stress_verify(struct stress *s, bool decide, bool *ok, struct buf *asked, struct buf *seen,
                  struct err *err);
/* n NULL: a host that others made, which nobody holds. */
int stress_undo(struct lab_node *n, const json_t *record, json_t *changes, struct err *err);

/* --- disk.c: a file system is filled --- */

struct disk {
    int root; /* of the host's file system, an O_PATH; -1: none */
    struct lab_node *node;
    const struct pressure_disk *params;
    char name[128];    /* of our file */
    int64_t size;      /* of it */
    int64_t left_then; /* bytes that others could still write, right after */
};
/* -ENOSPC: the reserve would be touched; -EALREADY: it is as full as that already. */
int disk_prepare(struct disk *d, struct lab_node *n, const struct pressure_disk *p,
                 const char *run_id, const char *step, json_t *record, struct err *err);
/* size: in words; NULL: it is removed. */
void disk_deed(const char *path, const char *name, const char *size, struct buf *out);
int disk_fill(struct disk *d, json_t *changes, struct err *err);
void disk_done(struct disk *d);
int disk_verify(struct disk *d, bool *ok, struct buf *asked, struct buf *seen, struct err *err);
/* By the record alone; n NULL: the host is not there any more, or nobody holds it. */
int disk_undo(struct lab_node *n, const json_t *record, json_t *changes, struct err *err);

/* --- files.c: processes may open few files more --- */

struct files {
    struct lab_node *node;
    const struct pressure_files *params;
    json_t *procs; /* [{pid,start,soft,now,as}]; also in the undo record; as: of deed_process() */
};
int files_prepare(struct files *f, struct lab_node *n, const struct pressure_files *p,
                  json_t *record, struct err *err);
/* limit: in words; NULL: as before. */
void files_deed(const char *limit, const char *whom, struct buf *out);
int files_limit(struct files *f, json_t *changes, struct err *err);
void files_done(struct files *f);
int files_verify(struct files *f, bool *ok, struct buf *asked, struct buf *seen, struct err *err);
int files_undo(struct lab_node *n, const json_t *record, json_t *changes, struct err *err);
