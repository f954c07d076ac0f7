/* The loop of the engine's process. See keeper.h. */
#include "sim/impair/engine/keeper.h"

#include "sim/base/cleanup.h"
#include "sim/impair/engine/closer.h"
#include "sim/impair/engine/fate.h"
#include "sim/impair/engine/frame.h"
#include "sim/impair/engine/held.h"
#include "sim/impair/engine/source.h"
#include "sim/impair/engine/wire.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define EVENTS 64
/* How long before they may be due frames are read. */
#define READ_AHEAD (KEEPER_SPIN + 50 * NSEC_USEC)
/* After this long a frame that found the device's queue full is tried again. */
#define STALL (50 * NSEC_USEC)
/* So long before a frame is due nothing else is looked at: asking the kernel takes a microsecond. */
#define LAST (5 * NSEC_USEC)

/* Of a request: its answer is sent when something is closed. */
#define ANSWER_LATER 1

struct line {
    uint32_t id;
    struct source capture; /* fd -1: comes through a TAP */
    int release;
    struct fate *fate;
    struct held held;
    nsec next; /* when to look at the first of `held`; NSEC_INF: nothing there */
    uint32_t limit;
    bool has_slots;
    nsec ahead; /* as of sources; NSEC_INF: frames of it do not come here */
    struct impair_counts counts;
    uint32_t at; /* in keeper.lines */
};

struct keeper {
    struct reader reader;
    struct source control;
    struct closer *closer;
    struct source closed; /* tells that the request which waits for it can be answered */
    struct source *taps;
    struct line *by_id[WIRE_LINES];
    struct line *lines[WIRE_LINES]; /* the first n */
    size_t n;
    bool spin, polls; /* polls: no epoll_pwait2() here */
    uint64_t *lease;
    nsec renew;             /* when the lease is to be put off */
    nsec pace, released;    /* mean time between releases; the last one */
    nsec late, late_by;     /* of wake-ups: mean, and mean distance from it */
    nsec sending;           /* what send(2) takes: nearly the least of it lately */
    nsec lead;              /* so long before its time a frame is sent */
    nsec budget, budget_at; /* of spinning */
    uint8_t request[WIRE_REQUEST_MAX];
};

/* Says that it lives, and will for so long. */
static void keeper_promise(struct keeper *k, nsec now, nsec lease)
{
    __atomic_store_n(k->lease, (uint64_t)(now + lease), __ATOMIC_RELAXED);
    k->renew = now + KEEPER_RENEW;
}

static void keeper_renew(struct keeper *k, nsec now)
{
    if (now >= k->renew)
        keeper_promise(k, now, KEEPER_LEASE);
}

/* --- Releasing -------------------------------------------------------------------- */

/* A frame leaves about in the middle of send(2): before, it is copied; after, who receives it at the
 * other end of a cable has his turn. */
static void keeper_sent(struct keeper *k, nsec took)
{
    nsec more = nsec_between(took, 0, 2 * KEEPER_LEAD) - k->sending;
    k->sending += more < 0 ? more : more / 64;
    k->lead = k->sending / 2;
}

/* False: the device's queue is full, try later. What a device that is down loses was passed to it;
 * anything else that goes wrong is a loss of ours. */
static bool line_send(struct keeper *k, struct line *line, struct frame *f)
{
    nsec start = k->pace < KEEPER_DENSE ? 0 : nsec_now(CLOCK_MONOTONIC);
    ssize_t n = send(line->release, frame_start(f), f->n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (start && n >= 0)
        keeper_sent(k, nsec_now(CLOCK_MONOTONIC) - start);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n >= 0 || errno == ENETDOWN || errno == ENXIO || errno == ENODEV)
        line->counts.passed++;
    else
        line->counts.overflow++;
    frame_drop(k->reader.pool, f);
    return true;
}

static void line_release(struct keeper *k, struct line *line, nsec now)
{
    const struct held_item *first;
    while ((first = held_first(&line->held))) {
        if (first->due > now + k->lead) {
            line->next = first->due - k->lead;
            return;
        }
        nsec opens =
            line->has_slots ? fate_slot(line->fate, first->due, now, frame_len(first->frame)) : 0;
        if (opens) {
            line->next = opens;
            return;
        }
        if (!line_send(k, line, first->frame)) {
            line->next = now + STALL;
            return;
        }
        held_take(&line->held);
    }
    line->next = NSEC_INF;
}

/* The next due time of all lines. */
static nsec keeper_release(struct keeper *k, nsec now)
{
    nsec next = NSEC_INF;
    bool due = false;
    for (size_t i = 0; i < k->n; i++) {
        struct line *line = k->lines[i];
        if (line->next <= now) {
            line_release(k, line, now);
            due = true;
        }
        if (line->next < next)
            next = line->next;
    }
    if (due) {
        k->pace += (nsec_between(now - k->released, 0, 10 * KEEPER_DENSE) - k->pace) / 16;
        k->released = now;
    }
    return next;
}

/* --- Taking ----------------------------------------------------------------------- */

static void line_hold(struct keeper *k, struct line *line, struct frame *f, nsec due)
{
    if ((line->limit && line->held.n >= line->limit) || !held_add(&line->held, due, f)) {
        line->counts.overflow++;
        frame_drop(k->reader.pool, f);
        return;
    }
    if (due - k->lead < line->next)
        line->next = due - k->lead;
}

static void line_meet(struct keeper *k, struct line *line, struct frame *f, nsec arrival, bool copy)
{
    struct impair_counts *c = &line->counts;
    struct fate_of fate = fate_draw(line->fate, arrival, frame_len(f), frame_is_markable(f), copy);
    if (fate.duplicated) {
        struct frame *twin = frame_copy(k->reader.pool, f);
        c->duplicated++;
        if (twin)
            line_meet(k, line, twin, arrival, true);
        else
            c->overflow++;
    }
    if (fate.lost) {
        c->lost++;
        frame_drop(k->reader.pool, f);
        return;
    }
    if (fate.mark) {
        c->marked++;
        frame_mark(f);
    }
    if (fate.corrupted) {
        c->corrupted++;
        frame_corrupt(f, fate.where);
    }
    if (fate.at_once) {
        c->reordered++;
        if (!line_send(k, line, f))
            line_hold(k, line, f, arrival);
        return;
    }
    line_hold(k, line, f, fate.due);
}

static void keeper_came(void *data, uint32_t id, struct frame *f, nsec arrival)
{
    struct keeper *k = data;
    struct line *line = k->by_id[id];
    if (!line) {
        if (f)
            frame_drop(k->reader.pool, f);
        return;
    }
    line->counts.matched++;
    if (f)
        line_meet(k, line, f, arrival, false);
    else
        line->counts.overflow++;
}

/* All sources; fn gets each with `data`. */
static void keeper_each(struct keeper *k, void (*fn)(struct reader *r, struct source *s, nsec data),
                        nsec data)
{
    for (size_t i = 0; i < k->n; i++)
        if (k->lines[i]->capture.fd >= 0)
            fn(&k->reader, &k->lines[i]->capture, data);
    for (struct source *s = k->taps; s; s = s->next)
        fn(&k->reader, s, data);
}

/* After lines came, went or changed. */
static void keeper_settle(struct keeper *k)
{
    nsec least = NSEC_INF;
    for (size_t i = 0; i < k->n; i++) {
        struct line *line = k->lines[i];
        if (line->capture.fd >= 0)
            source_allow(&k->reader, &line->capture, line->ahead);
        else if (line->ahead < least)
            least = line->ahead;
    }
    for (struct source *s = k->taps; s; s = s->next)
        source_allow(&k->reader, s, least < NSEC_INF ? least : 0);
}

/* --- Requests ---------------------------------------------------------------------- */

static void line_free(struct keeper *k, struct line *line)
{
    while (line->held.n)
        frame_drop(k->reader.pool, held_take(&line->held));
    held_done(&line->held);
    fate_free(line->fate);
    if (line->capture.fd >= 0)
        closer_take(k->closer, source_leave(&k->reader, &line->capture), false);
    if (line->release >= 0)
        closer_take(k->closer, line->release, false);
    free(line);
}

static nsec line_ahead(const struct line *line, const struct impairment *what)
{
    if (line->capture.fd < 0 && fate_is_momentary(what))
        return NSEC_INF;
    return fate_least(what);
}

static int line_decide(struct line *line, const struct wire_request *q, struct err *err)
{
    struct fate *fate = NULL;
    int r = fate_new(&q->what, q->seed, &fate, err);
    if (r < 0)
        return r;
    fate_free(line->fate);
    line->fate = fate;
    line->limit = q->what.limit;
    line->has_slots = q->what.has_slot;
    line->ahead = line_ahead(line, &q->what);
    return 0;
}

static int keeper_line(struct keeper *k, const struct wire_request *q, int *fds, struct err *err)
{
    if (k->by_id[q->id])
        return err_set(err, EEXIST, "line %u is there already", q->id);
    struct line *line = calloc(1, sizeof *line);
    if (!line)
        return err_set(err, ENOMEM, "no memory for a line");
    line->id = q->id;
    line->next = NSEC_INF;
    line->release = steal_fd(&fds[0]);
    line->capture = (struct source){.kind = SOURCE_SOCKET,
                                    .fd = steal_fd(&fds[1]),
                                    .seen = nsec_now(CLOCK_MONOTONIC),
                                    .id = line->id};
    int r = line_decide(line, q, err);
    if (r == 0 && line->capture.fd >= 0) {
        r = source_watch(&k->reader, &line->capture);
        if (r < 0)
            err_errno(err, -r, "cannot wait for frames");
    }
    if (r < 0) {
        line_free(k, line);
        return r;
    }
    line->at = (uint32_t)k->n;
    k->by_id[line->id] = k->lines[k->n++] = line;
    return 0;
}

static int keeper_tap(struct keeper *k, uint32_t id, int *fds, struct err *err)
{
    struct source *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(err, ENOMEM, "no memory for a TAP");
    *s = (struct source){.kind = SOURCE_TAP, .fd = steal_fd(&fds[0]), .next = k->taps, .id = id};
    int r = source_watch(&k->reader, s);
    if (r < 0) {
        close(s->fd);
        free(s);
        return err_errno(err, -r, "cannot wait for frames");
    }
    k->taps = s;
    return 0;
}

static int keeper_untap(struct keeper *k, uint32_t id, bool awaited, struct err *err)
{
    for (struct source **at = &k->taps; *at; at = &(*at)->next) {
        struct source *s = *at;
        if (s->id != id)
            continue;
        *at = s->next;
        closer_take(k->closer, source_leave(&k->reader, s), awaited);
        free(s);
        return awaited ? ANSWER_LATER : 0;
    }
    return err_set(err, ENOENT, "there is no TAP %u", id);
}

static void keeper_remove(struct keeper *k, struct line *line)
{
    k->by_id[line->id] = NULL;
    k->lines[line->at] = k->lines[--k->n];
    k->lines[line->at]->at = line->at;
    line_free(k, line);
}

/* The kernel forgets its counters when they are read. */
static void line_count(struct line *line, struct impair_counts *ret)
{
    struct tpacket_stats s = {0};
    socklen_t n = sizeof s;
    if (line->capture.fd >= 0 &&
        getsockopt(line->capture.fd, SOL_PACKET, PACKET_STATISTICS, &s, &n) == 0) {
        line->counts.matched += s.tp_drops;
        line->counts.overflow += s.tp_drops;
    }
    *ret = line->counts;
    ret->held = line->held.n;
}

static int keeper_do(struct keeper *k, const struct wire_request *q, int *fds,
                     struct wire_reply *reply, struct err *err)
{
    if (q->op == WIRE_TAP)
        return keeper_tap(k, q->id, fds, err);
    if (q->op == WIRE_UNTAP || q->op == WIRE_UNTAP_LATER)
        return keeper_untap(k, q->id, q->op == WIRE_UNTAP, err);
    if (q->id >= WIRE_LINES || (q->op != WIRE_LINE && !k->by_id[q->id]))
        return err_set(err, ENOENT, "there is no line %u", q->id);
    struct line *line = k->by_id[q->id];
    switch (q->op) {
    case WIRE_LINE:
        return keeper_line(k, q, fds, err);
    case WIRE_CHANGE:
        return line_decide(line, q, err);
    case WIRE_REMOVE:
        keeper_remove(k, line);
        return 0;
    case WIRE_COUNT:
        line_count(line, &reply->counts);
        return 0;
    case WIRE_TAP:
    case WIRE_UNTAP:
    case WIRE_UNTAP_LATER:
        break;
    }
    return err_set(err, EINVAL, "an unknown request");
}

static bool keeper_answer(struct keeper *k, const struct wire_reply *reply)
{
    return send(k->control.fd, reply, sizeof *reply, MSG_NOSIGNAL) == (ssize_t)sizeof *reply;
}

/* What was waited for is closed. Whoever asked waits, and asks nothing else. */
static bool keeper_closed(struct keeper *k)
{
    eventfd_t n;
    return eventfd_read(closer_fd(k->closer), &n) < 0 ||
           keeper_answer(k, &(struct wire_reply){.code = 0});
}

/* Takes one request. False: the other end is closed. */
static bool keeper_hear(struct keeper *k)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(WIRE_FDS * sizeof(int))];
    struct iovec iov = {k->request, sizeof k->request};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(k->control.fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;
    int fds[WIRE_FDS] = {-1, -1};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
    struct wire_request q;
    struct wire_reply reply = {0};
    struct err err = ERR_INIT;
    int r = -EINVAL;
    if ((size_t)n >= sizeof q) {
        memcpy(&q, k->request, sizeof q);
        int16_t *tables = (void *)(k->request + sizeof q);
        q.what.table = (struct impair_table){tables, q.n_table};
        q.what.slot.table = (struct impair_table){tables + q.n_table, q.n_slot_table};
        keeper_each(k, source_empty, 0);
        r = keeper_do(k, &q, fds, &reply, &err);
        keeper_settle(k);
    }
    reply.code = r < 0 ? -r : 0;
    snprintf(reply.text, sizeof reply.text, "%.255s", err.text);
    for (int i = 0; i < WIRE_FDS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return r == ANSWER_LATER || keeper_answer(k, &reply);
}

/* --- Waiting -------------------------------------------------------------------------- */

static void keeper_earn(struct keeper *k, nsec now)
{
    k->budget += (nsec)((double)(now - k->budget_at) * KEEPER_SPIN_SHARE);
    k->budget_at = now;
    if (k->budget > 100 * KEEPER_SPIN)
        k->budget = 100 * KEEPER_SPIN;
}

/* Mean lateness of wake-ups and mean distance from it, over some 16 of them. */
static void keeper_learn(struct keeper *k, nsec late)
{
    late = nsec_between(late, 0, KEEPER_SPIN);
    nsec off = late - k->late;
    k->late += off / 16;
    k->late_by += ((off < 0 ? -off : off) - k->late_by) / 16;
}

/* How long before the next frame to be woken: nearly always early enough, or, when it has spun
 * enough, so that it wakes in time on average. Where frames are dense the processor is needed by those
 * who send and receive them. */
static nsec keeper_window(const struct keeper *k)
{
    if (!k->spin || k->pace < KEEPER_DENSE)
        return 0;
    nsec window = k->budget > 0 ? k->late + 4 * k->late_by + 10 * NSEC_USEC : k->late - k->late_by;
    return nsec_between(window, 0, KEEPER_SPIN);
}

/* Sleeps until something is there to read (how many), or for so long (0). */
static int keeper_sleep(struct keeper *k, nsec wait, struct epoll_event *events)
{
    struct timespec ts = nsec_to_timespec(wait > 0 ? wait : 0);
    if (!k->polls) {
        int n = epoll_pwait2(k->reader.epoll, events, EVENTS, &ts, NULL);
        if (n >= 0 || (errno != ENOSYS && errno != EPERM))
            return n;
        k->polls = true; /* before Linux 5.11, and filters of system calls from then */
    }
    struct pollfd p = {.fd = k->reader.epoll, .events = POLLIN};
    return ppoll(&p, 1, &ts, NULL) == 0 ? 0 : epoll_wait(k->reader.epoll, events, EVENTS, 0);
}

/* Until something is there to read (how many), or it is time to spin for `next`, it has come, or the
 * lease's time has (0). */
static int keeper_wait(struct keeper *k, nsec next, struct epoll_event *events)
{
    nsec now = nsec_now(CLOCK_MONOTONIC);
    keeper_earn(k, now);
    nsec window = keeper_window(k);
    if (next > now + window) {
        nsec until = k->renew < next - window ? k->renew : next - window;
        int n = keeper_sleep(k, until - now, events);
        if (n == 0)
            keeper_learn(k, nsec_now(CLOCK_MONOTONIC) - until);
        return n;
    }
    nsec start = now;
    int n;
    do {
        n = next - now > LAST ? epoll_wait(k->reader.epoll, events, EVENTS, 0) : 0;
        now = nsec_now(CLOCK_MONOTONIC);
    } while (n == 0 && now < next);
    k->budget -= now - start;
    k->budget_at = now;
    return n;
}

/* When something is to be done again: the next frame is due, or may be of those not yet read. */
static nsec keeper_next(const struct keeper *k, nsec due)
{
    nsec next = due;
    for (size_t i = 0; i < k->n; i++)
        next = nsec_between(source_next(&k->lines[i]->capture), 0, next);
    for (const struct source *s = k->taps; s; s = s->next)
        next = nsec_between(source_next(s), 0, next);
    return next;
}

static bool keeper_serve(struct keeper *k)
{
    struct epoll_event events[EVENTS];
    nsec now = nsec_now(CLOCK_MONOTONIC);
    keeper_renew(k, now);
    keeper_each(k, source_look, now + READ_AHEAD);
    int n = keeper_wait(k, keeper_next(k, keeper_release(k, now)), events);
    if (n == 0)
        keeper_release(k, nsec_now(CLOCK_MONOTONIC));
    for (int i = 0; i < n; i++) {
        struct source *s = events[i].data.ptr;
        if (s != &k->control && s != &k->closed)
            source_read(&k->reader, s, nsec_now(CLOCK_MONOTONIC) + READ_AHEAD);
    }
    /* Last: a request may free lines that other events name. */
    for (int i = 0; i < n; i++)
        if ((events[i].data.ptr == &k->control && !keeper_hear(k)) ||
            (events[i].data.ptr == &k->closed && !keeper_closed(k)))
            return false;
    return true;
}

static struct keeper *keeper_free(struct keeper *k)
{
    while (k->n)
        keeper_remove(k, k->lines[0]);
    while (k->taps) {
        struct source *s = k->taps;
        k->taps = s->next;
        closer_take(k->closer, source_leave(&k->reader, s), false);
        free(s);
    }
    reader_close(&k->reader);
    closer_free(k->closer);
    free(k);
    return NULL;
}
DEFINE_CLEANUP(struct keeper, keeper_free);

int keeper_run(int control, bool spin, uint64_t *lease)
{
    CLEANUP(keeper_free_p) struct keeper *k = calloc(1, sizeof *k);
    if (!k)
        return -ENOMEM;
    k->control = (struct source){.kind = SOURCE_CONTROL, .fd = control};
    k->spin = spin;
    k->pace = 10 * KEEPER_DENSE;
    k->lease = lease;
    k->late = KEEPER_SPIN / 4;
    k->late_by = KEEPER_SPIN / 8;
    k->sending = 2 * KEEPER_LEAD;
    k->budget_at = nsec_now(CLOCK_MONOTONIC);
    k->reader.came = keeper_came;
    k->reader.data = k;
    int r = reader_open(&k->reader, KEEPER_MEMORY);
    if (r == 0)
        r = closer_new(&k->closer);
    if (r == 0) {
        k->closed = (struct source){.kind = SOURCE_CONTROL, .fd = closer_fd(k->closer)};
        r = source_watch(&k->reader, &k->control);
    }
    if (r == 0)
        r = source_watch(&k->reader, &k->closed);
    while (r == 0 && keeper_serve(k))
        ;
    return r;
}
