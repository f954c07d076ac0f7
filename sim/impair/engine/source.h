/* Where the engine's process takes frames from: a packet socket at a cable, or a TAP. And when.
 *
 * What is read when it comes is copied again when it is due, out of all caches, and its reader is woken
 * twice. So, where no frame can be due for a while after it came, frames stay in the kernel until
 * shortly before: `ahead`. Times of arrival are the kernel's, whenever a frame is read. As long as
 * packets flow nobody is woken for them: a source is looked at when the oldest of what may be in it
 * can be due, source_next(). epoll(7) tells of it again after it was found empty.
 *
 * Ownership: a source is its owner's memory; its descriptor is given back by source_leave(). A frame is
 * its taker's. One thread.
 */
#pragma once

#include "sim/base/nsec.h"
#include <stddef.h>
#include <stdint.h>

#define SOURCE_BATCH 16

enum source_kind { SOURCE_CONTROL, SOURCE_SOCKET, SOURCE_TAP };

struct source {
    enum source_kind kind; /* CONTROL: not frames, only waited for */
    int fd;
    uint32_t id;         /* SOCKET: of its line; TAP: of the TAP, its frames name their lines */
    nsec seen;           /* what is still in it came after this */
    struct source *next; /* the owner's */
    /* private */
    nsec ahead;  /* so long after it came no frame is due; 0: is read at once */
    bool unread; /* looked at again at seen + ahead; epoll does not tell of it */
    bool large;  /* so was the last frame */
};

struct frame;
struct frame_pool;

struct reader {
    /* A frame of a line came, or (NULL) one that found no room here. */
    void (*came)(void *data, uint32_t line, struct frame *f, nsec arrival);
    void *data;
    int epoll; /* of all that is waited for; data.ptr: the source */
    struct frame_pool *pool;
    struct frame *batch[SOURCE_BATCH];
};

/* The rest of a reader whose `came` is set; reader_close() in any case. memory: of all frames. */
int reader_open(struct reader *r, size_t memory);
void reader_close(struct reader *r);

/* From now on epoll tells of it. A negative errno. */
int source_watch(struct reader *r, struct source *s);
/* Not any more: its descriptor is the caller's. */
int source_leave(struct reader *r, struct source *s);
/* No frame of it is due sooner than that after it came. When it was emptied. */
void source_allow(struct reader *r, struct source *s, nsec ahead);

/* What may be due until then; the first of it, when there is much. */
void source_read(struct reader *r, struct source *s, nsec until);
/* The same, unless epoll tells of it. */
void source_look(struct reader *r, struct source *s, nsec until);
/* All that came by now and of which epoll does not tell. */
void source_empty(struct reader *r, struct source *s, nsec unused);
/* When it is to be looked at; NSEC_INF: when epoll tells. */
nsec source_next(const struct source *s);
