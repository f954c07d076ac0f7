/* The event loop: timers, descriptors, signals; on the real clock or on a virtual one.
 *
 * Ownership: sources are embedded in their owner (`struct loop_timer`, `struct loop_io`), who
 * removes them before the memory goes; loop_free() asserts that none is left. Callbacks may add,
 * change and remove any source, themselves included; a source removed while it is waiting in the
 * current batch is not called.
 *
 * Clocks: LOOP_REAL is CLOCK_MONOTONIC. LOOP_VIRTUAL starts at 0 and jumps to the next timer as
 * soon as nothing is ready; descriptors work there too and cost no virtual time. loop_now() is
 * taken once after each wake-up and again before each timer callback, never goes back.
 *
 * Timers due at the same instant fire in the order in which they were set. Real waits use
 * epoll_pwait2(2) (nanosecond time-outs; millisecond epoll_wait wakes up to 1 ms late), where the
 * kernel lacks it a timerfd. Both obey the process's timer slack (50 us unless set): a process that
 * measures calls prctl(PR_SET_TIMERSLACK, 1) once; the loop does not, children would inherit it.
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/base/nsec.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
enum loop_clock { LOOP_REAL, LOOP_VIRTUAL };

int loop_new(enum loop_clock clock, struct loop **ret, struct err *err);
struct loop *loop_free(struct loop *loop); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct loop, loop_free);

nsec loop_now(const struct loop *loop);   /* of the current wake-up */
nsec loop_fresh(const struct loop *loop); /* read now; same as loop_now() when virtual */
/* How late the last timer callback was called after its time; 0 when virtual. */
nsec loop_lateness(const struct loop *loop);

struct loop_timer {
    void (*fn)(struct loop_timer *t, void *data);
    void *data;
    /* private */
    nsec at;
    uint64_t seq;
    size_t slot; /* index in the heap + 1; 0: not set */
};
/* (Re)arms for an absolute time of this loop's clock; a time in the past fires at once. */
void loop_timer_set(struct loop *loop, struct loop_timer *t, nsec at);
void loop_timer_cancel(struct loop *loop, struct loop_timer *t); /* not set: nothing happens */
bool loop_timer_is_set(const struct loop_timer *t);

struct loop_io {
    void (*fn)(struct loop_io *io, uint32_t events, void *data); /* EPOLLIN, EPOLLOUT, EPOLLHUP … */
    void *data;
    /* private */
    int fd;
    uint32_t events;
    bool added;
};
/* Level-triggered. The descriptor stays the caller's, who removes the source before closing it. */
int loop_io_add(struct loop *loop, struct loop_io *io, int fd, uint32_t events, struct err *err);
int loop_io_change(struct loop *loop, struct loop_io *io, uint32_t events, struct err *err);
void loop_io_remove(struct loop *loop, struct loop_io *io); /* not added: nothing happens */

/* Blocks `signo` for this thread and delivers it through a signalfd; nothing runs in a handler. */
struct loop_signal {
    void (*fn)(struct loop_signal *s, int signo, void *data);
    void *data;
    /* private */
    int signo, fd;
    bool was_blocked;
    struct loop_io io;
    struct loop *loop; /* NULL: not added */
};
int loop_signal_add(struct loop *loop, struct loop_signal *s, int signo, struct err *err);
/* What is still pending is dropped; the signal is unblocked unless it was blocked before. */
void loop_signal_remove(struct loop *loop, struct loop_signal *s);

/* Runs until loop_stop(), or until no source is left (descriptors of signals do not count). */
int loop_run(struct loop *loop, struct err *err);
/* Ends loop_run() after the turn it is in (or at once, when called before it). */
void loop_stop(struct loop *loop);
/* One turn: waits for and dispatches what is ready, not longer than `until` (absolute; NSEC_INF:
 * for ever). May be called from inside a callback, for a short wait that must not return before it
 * is over; other sources go on meanwhile. */
int loop_turn(struct loop *loop, nsec until, struct err *err);
