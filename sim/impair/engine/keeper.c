/* The loop of the engine's process. See keeper.h. */
#include "sim/impair/engine/keeper.h"

#include "sim/base/cleanup.h"
#include "sim/impair/engine/fate.h"
#include "sim/impair/engine/frame.h"
#include "sim/impair/engine/held.h"
#include "sim/impair/engine/line_shared.h"
#include "sim/impair/engine/wire.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define EVENTS 64
#define BATCH 16
/* Taken from one source before others have their turn, and before any is released: no more bytes than
 * the cache of a processor keeps. */
#define TURN 64
#define TURN_BYTES (256 << 10)
#define LARGE_BATCH 4 /* of frames of offloads */
/* What is read later is copied twice in a row, not once now and once, out of all caches, when it is
 * due; and nobody is woken for it. So a frame stays in the kernel until shortly before it may be due,
 * but no longer than the kernel's queues hold at a million frames a second. */
#define AHEAD_LEAST (1 * NSEC_MSEC)
#define AHEAD_MOST (10 * NSEC_MSEC)
#define AHEAD_READ (KEEPER_SPIN + 50 * NSEC_USEC) /* before it may be due */
#define SOCKET_LARGE (32 << 20)
#define UNREAD 20000 /* more than a queue holds */
/* After this long a frame that found the device's queue full is tried again. */
#define STALL (50 * NSEC_USEC)
#define YEAR_2001 (978307200 * NSEC_SEC)

enum source_kind { SOURCE_CONTROL, SOURCE_SOCKET, SOURCE_TAP };
struct source {
    enum source_kind kind;
    int fd;
    nsec seen;   /* what is still in it came after this */
    nsec ahead;  /* so long after it came, no frame can be due; 0: read at once */
    bool unread; /* with `ahead`: looked at again at seen + ahead, of which epoll does not tell */
    bool large;  /* so was the last frame */
    struct line *line;
    struct source *next; /* of TAPs */
    uint32_t id;         /* of a TAP */
};

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
    int epoll;
    struct source control;
    struct source *taps;
    struct frame_pool *pool;
    struct line *by_id[WIRE_LINES];
    struct line *lines[WIRE_LINES]; /* the first n */
    size_t n;
    bool spin, polls; /* polls: no epoll_pwait2() here */
    uint64_t *lease;
    nsec renew;             /* when the lease is to be put off */
    nsec pace, released;    /* mean time between releases; the last one */
    nsec late, late_by;     /* of wake-ups: mean, and mean distance from it */
    nsec budget, budget_at; /* of spinning */
    struct frame *batch[BATCH];
    uint8_t request[WIRE_REQUEST_MAX];
};

static nsec between(nsec t, nsec lo, nsec hi)
{
    return t < lo ? lo : t > hi ? hi : t;
}

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

/* False: the device's queue is full, try later. What a device that is down loses was passed to it;
 * anything else that goes wrong is a loss of ours. */
static bool line_send(struct keeper *k, struct line *line, struct frame *f)
{
    ssize_t n = send(line->release, frame_start(f), f->n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n >= 0 || errno == ENETDOWN || errno == ENXIO || errno == ENODEV)
        line->counts.passed++;
    else
        line->counts.overflow++;
    frame_drop(k->pool, f);
    return true;
}

static void line_release(struct keeper *k, struct line *line, nsec now)
{
    const struct held_item *first;
    while ((first = held_first(&line->held))) {
        if (first->due > now) {
            line->next = first->due;
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
        k->pace += (between(now - k->released, 0, 10 * KEEPER_DENSE) - k->pace) / 16;
        k->released = now;
    }
    return next;
}

/* --- Taking ----------------------------------------------------------------------- */

static void line_hold(struct keeper *k, struct line *line, struct frame *f, nsec due)
{
    if ((line->limit && line->held.n >= line->limit) || !held_add(&line->held, due, f)) {
        line->counts.overflow++;
        frame_drop(k->pool, f);
        return;
    }
    if (due < line->next)
        line->next = due;
}

static void line_meet(struct keeper *k, struct line *line, struct frame *f, nsec arrival, bool copy)
{
    struct impair_counts *c = &line->counts;
    struct fate_of fate = fate_draw(line->fate, arrival, frame_len(f), frame_is_markable(f), copy);
    if (fate.duplicated) {
        struct frame *twin = frame_copy(k->pool, f);
        c->duplicated++;
        if (twin)
            line_meet(k, line, twin, arrival, true);
        else
            c->overflow++;
    }
    if (fate.lost) {
        c->lost++;
        frame_drop(k->pool, f);
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

/* The stamp is of the wall clock where the stack made it when the frame arrived at our cable, and of
 * CLOCK_MONOTONIC where TCP left its time of sending in the frame. Whatever the wall clock does, the
 * frame came after the socket was empty, and before now. */
static nsec arrival_of(const struct timespec *ts, const struct source *s, nsec now, nsec offset)
{
    if (!ts)
        return now;
    nsec t = nsec_from_timespec(*ts);
    if (t > YEAR_2001)
        t -= offset;
    return between(t, s->seen, now);
}

struct extras {
    struct timespec ts;
    bool has_ts, has_tag;
    uint16_t tag, tag_protocol;
};

static void read_extras(struct msghdr *m, struct extras *x)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
            memcpy(&x->ts, CMSG_DATA(c), sizeof x->ts);
            x->has_ts = true;
        } else if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) {
            struct tpacket_auxdata aux;
            memcpy(&aux, CMSG_DATA(c), sizeof aux);
            if (!(aux.tp_status & TP_STATUS_VLAN_VALID))
                continue;
            x->has_tag = true;
            x->tag = aux.tp_vlan_tci;
            x->tag_protocol = aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : 0x8100;
        }
    }
}

/* The frame in batch[i] goes on its way; another takes its place. */
static void socket_took(struct keeper *k, struct line *line, size_t i, const struct extras *x,
                        nsec arrival)
{
    line->counts.matched++;
    struct frame *f = k->batch[i], *fresh = NULL;
    if (x->has_tag && !frame_tag(f, x->tag_protocol, x->tag)) {
        line->counts.overflow++;
        return;
    }
    k->batch[i] = NULL;
    f = frame_shrink(k->pool, f);
    fresh = frame_take(k->pool, FRAME_MAX);
    if (!fresh) { /* memory is used up: what came last is lost */
        line->counts.overflow++;
        k->batch[i] = f;
        return;
    }
    k->batch[i] = fresh;
    line_meet(k, line, f, arrival, false);
}

static int keeper_watch(struct keeper *k, struct source *s, int how)
{
    struct epoll_event e = {.events = EPOLLIN | (s->ahead ? EPOLLONESHOT : 0), .data.ptr = s};
    return epoll_ctl(k->epoll, how, s->fd, &e) < 0 ? -errno : 0;
}

/* It was empty at `when`. Of one that may wait epoll tells again only when nothing was found in it at
 * all: as long as packets flow, it is looked at when the next may be due, and nobody is woken for
 * what comes. */
static void source_emptied(struct keeper *k, struct source *s, nsec when, bool in_vain)
{
    s->seen = when;
    s->unread = s->ahead && !in_vain;
    if (s->ahead && in_vain)
        keeper_watch(k, s, EPOLL_CTL_MOD);
}

static bool source_may_wait(const struct source *s, nsec until)
{
    return s->ahead && s->seen + s->ahead > until;
}

static void socket_read(struct keeper *k, struct source *s, nsec until)
{
    struct mmsghdr m[BATCH];
    struct iovec iov[BATCH];
    _Alignas(struct cmsghdr) char control[BATCH][256];
    size_t taken = 0, bytes = 0, vlen;
    for (; taken < TURN && bytes < TURN_BYTES && !source_may_wait(s, until); taken += vlen) {
        vlen = s->large ? LARGE_BATCH : BATCH;
        for (size_t i = 0; i < vlen; i++) {
            k->batch[i]->at = 0;
            iov[i] = (struct iovec){k->batch[i]->bytes, FRAME_MAX};
            m[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i],
                                                .msg_iovlen = 1,
                                                .msg_control = control[i],
                                                .msg_controllen = sizeof control[i]}};
        }
        nsec before = nsec_now(CLOCK_MONOTONIC);
        int n = recvmmsg(s->fd, m, (unsigned)vlen, MSG_DONTWAIT, NULL);
        nsec now = nsec_now(CLOCK_MONOTONIC), offset = nsec_now(CLOCK_REALTIME) - now;
        for (int i = 0; i < n; i++) {
            struct extras x = {0};
            read_extras(&m[i].msg_hdr, &x);
            k->batch[i]->n = m[i].msg_len;
            bytes += m[i].msg_len;
            s->large = m[i].msg_len > TURN_BYTES / BATCH;
            nsec arrival = arrival_of(x.has_ts ? &x.ts : NULL, s, now, offset);
            s->seen = s->ahead ? arrival : s->seen;
            if ((m[i].msg_hdr.msg_flags & MSG_TRUNC) || m[i].msg_len < FRAME_VNET + 14) {
                s->line->counts.matched++;
                s->line->counts.overflow++;
            } else
                socket_took(k, s->line, (size_t)i, &x, arrival);
        }
        if (n < (int)vlen) {
            source_emptied(k, s, before, taken == 0 && n <= 0);
            return;
        }
    }
}

/* [virtio header][stamp][frame] to [virtio header][frame]; false: not one of ours. */
static bool strip_stamp(struct frame *f, struct line_stamp *ret)
{
    const uint32_t n = sizeof *ret;
    if (f->n < FRAME_VNET + n + 14)
        return false;
    struct virtio_net_hdr h;
    memcpy(&h, f->bytes, sizeof h);
    memcpy(ret, f->bytes + FRAME_VNET, n);
    if (h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
        h.csum_start = (uint16_t)(h.csum_start - n);
    if (h.hdr_len > n)
        h.hdr_len = (uint16_t)(h.hdr_len - n);
    f->at = n;
    f->n -= n;
    memcpy(frame_start(f), &h, sizeof h);
    return ret->id < LINE_MAX;
}

static void tap_read(struct keeper *k, struct source *s, nsec until)
{
    size_t taken = 0, bytes = 0;
    for (; taken < TURN && bytes < TURN_BYTES && !source_may_wait(s, until); taken++) {
        struct frame *f = k->batch[0];
        f->at = 0;
        nsec before = s->ahead ? nsec_now(CLOCK_MONOTONIC) : 0;
        ssize_t n = read(s->fd, f->bytes, FRAME_MAX);
        if (n <= 0) {
            source_emptied(k, s, before, taken == 0);
            return;
        }
        f->n = (uint32_t)n;
        bytes += (size_t)n;
        struct line_stamp stamp;
        struct line *line = strip_stamp(f, &stamp) ? k->by_id[stamp.id] : NULL;
        if (!line)
            continue;
        if (n == FRAME_MAX) { /* the rest of it is lost: no kernel sends more than it was told to */
            line->counts.matched++;
            line->counts.overflow++;
            continue;
        }
        s->seen = between((nsec)stamp.at, 0, nsec_now(CLOCK_MONOTONIC));
        socket_took(k, line, 0, &(struct extras){0}, s->seen);
    }
}

/* What may be due until then. */
static void source_read(struct keeper *k, struct source *s, nsec until)
{
    s->unread = s->ahead != 0;
    (s->kind == SOURCE_TAP ? tap_read : socket_read)(k, s, until);
}

/* All sources; fn gets each with `data`. */
static void keeper_each(struct keeper *k, void (*fn)(struct keeper *k, struct source *s, nsec data),
                        nsec data)
{
    for (size_t i = 0; i < k->n; i++)
        if (k->lines[i]->capture.fd >= 0)
            fn(k, &k->lines[i]->capture, data);
    for (struct source *s = k->taps; s; s = s->next)
        fn(k, s, data);
}

static void source_look(struct keeper *k, struct source *s, nsec until)
{
    if (s->unread && s->seen + s->ahead <= until)
        source_read(k, s, until);
}

/* Before anything is changed or told: what waits unread has come by now. */
static void source_empty(struct keeper *k, struct source *s, nsec unused)
{
    for (size_t i = 0; i < UNREAD / TURN && s->unread; i++)
        source_read(k, s, NSEC_INF - s->ahead);
}

static void source_settle(struct keeper *k, struct source *s, nsec of_taps)
{
    nsec ahead = s->line ? s->line->ahead : of_taps;
    if (ahead < AHEAD_LEAST || ahead == NSEC_INF)
        ahead = 0;
    if (ahead > AHEAD_MOST)
        ahead = AHEAD_MOST;
    if (ahead == s->ahead)
        return;
    s->ahead = ahead;
    s->unread = false;
    keeper_watch(k, s, EPOLL_CTL_MOD);
}

/* After lines came, went or changed. */
static void keeper_settle(struct keeper *k)
{
    nsec least = NSEC_INF;
    for (size_t i = 0; i < k->n; i++)
        if (k->lines[i]->capture.fd < 0 && k->lines[i]->ahead < least)
            least = k->lines[i]->ahead;
    keeper_each(k, source_settle, least);
}

/* --- Requests ---------------------------------------------------------------------- */

static void line_free(struct keeper *k, struct line *line)
{
    while (line->held.n)
        frame_drop(k->pool, held_take(&line->held));
    held_done(&line->held);
    fate_free(line->fate);
    if (line->capture.fd >= 0) {
        epoll_ctl(k->epoll, EPOLL_CTL_DEL, line->capture.fd, NULL);
        close(line->capture.fd);
    }
    if (line->release >= 0)
        close(line->release);
    free(line);
}

/* A queue of less than what comes in AHEAD_MOST loses what stays in it. */
static bool socket_is_large(int fd)
{
    int size = 0;
    socklen_t n = sizeof size;
    return getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, &n) == 0 && size >= SOCKET_LARGE;
}

static nsec line_ahead(const struct line *line, const struct impairment *what)
{
    if (line->capture.fd < 0 && fate_is_momentary(what))
        return NSEC_INF;
    if (line->capture.fd >= 0 && !socket_is_large(line->capture.fd))
        return 0;
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
                                    .line = line};
    int r = line_decide(line, q, err);
    if (r == 0 && line->capture.fd >= 0) {
        r = keeper_watch(k, &line->capture, EPOLL_CTL_ADD);
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
    int r = keeper_watch(k, s, EPOLL_CTL_ADD);
    if (r < 0) {
        close(s->fd);
        free(s);
        return err_errno(err, -r, "cannot wait for frames");
    }
    k->taps = s;
    return 0;
}

static int keeper_untap(struct keeper *k, uint32_t id, struct err *err)
{
    for (struct source **at = &k->taps; *at; at = &(*at)->next) {
        struct source *s = *at;
        if (s->id != id)
            continue;
        *at = s->next;
        close(s->fd);
        free(s);
        return 0;
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
    /* The kernel's grace periods: where many devices come and go, closing takes a while. */
    if (q->op == WIRE_UNTAP || q->op == WIRE_REMOVE)
        keeper_promise(k, nsec_now(CLOCK_MONOTONIC), KEEPER_CLOSING);
    if (q->op == WIRE_TAP)
        return keeper_tap(k, q->id, fds, err);
    if (q->op == WIRE_UNTAP)
        return keeper_untap(k, q->id, err);
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
        break;
    }
    return err_set(err, EINVAL, "an unknown request");
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
    reply.code = -r;
    snprintf(reply.text, sizeof reply.text, "%.255s", err.text);
    for (int i = 0; i < WIRE_FDS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return send(k->control.fd, &reply, sizeof reply, MSG_NOSIGNAL) == (ssize_t)sizeof reply;
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
    late = between(late, 0, KEEPER_SPIN);
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
    return between(window, 0, KEEPER_SPIN);
}

/* Sleeps until something is there to read (how many), or for so long (0). */
static int keeper_sleep(struct keeper *k, nsec wait, struct epoll_event *events)
{
    struct timespec ts = nsec_to_timespec(wait > 0 ? wait : 0);
    if (!k->polls) {
        int n = epoll_pwait2(k->epoll, events, EVENTS, &ts, NULL);
        if (n >= 0 || (errno != ENOSYS && errno != EPERM))
            return n;
        k->polls = true; /* before Linux 5.11, and filters of system calls from then */
    }
    struct pollfd p = {.fd = k->epoll, .events = POLLIN};
    return ppoll(&p, 1, &ts, NULL) == 0 ? 0 : epoll_wait(k->epoll, events, EVENTS, 0);
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
        n = epoll_wait(k->epoll, events, EVENTS, 0);
        now = nsec_now(CLOCK_MONOTONIC);
    } while (n == 0 && now < next);
    k->budget -= now - start;
    k->budget_at = now;
    return n;
}

static nsec source_next(const struct source *s, nsec next)
{
    return s->unread && s->seen + s->ahead < next ? s->seen + s->ahead : next;
}

/* When something is to be done again: the next frame is due, or may be of those not yet read. */
static nsec keeper_next(const struct keeper *k, nsec due)
{
    nsec next = due;
    for (size_t i = 0; i < k->n; i++)
        next = source_next(&k->lines[i]->capture, next);
    for (const struct source *s = k->taps; s; s = s->next)
        next = source_next(s, next);
    return next;
}

static bool keeper_serve(struct keeper *k)
{
    struct epoll_event events[EVENTS];
    nsec now = nsec_now(CLOCK_MONOTONIC);
    keeper_renew(k, now);
    keeper_each(k, source_look, now + AHEAD_READ);
    int n = keeper_wait(k, keeper_next(k, keeper_release(k, now)), events);
    for (int i = 0; i < n; i++) {
        struct source *s = events[i].data.ptr;
        if (s->kind != SOURCE_CONTROL)
            source_read(k, s, nsec_now(CLOCK_MONOTONIC) + AHEAD_READ);
    }
    /* Last: a request may free lines that other events name. */
    for (int i = 0; i < n; i++)
        if (events[i].data.ptr == &k->control && !keeper_hear(k))
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
        close(s->fd);
        free(s);
    }
    frame_pool_free(k->pool);
    if (k->epoll >= 0)
        close(k->epoll);
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
    k->budget_at = nsec_now(CLOCK_MONOTONIC);
    k->epoll = epoll_create1(EPOLL_CLOEXEC);
    k->pool = frame_pool_new(KEEPER_MEMORY);
    if (k->epoll < 0 || !k->pool)
        return -ENOMEM;
    for (size_t i = 0; i < BATCH; i++)
        if (!(k->batch[i] = frame_take(k->pool, FRAME_MAX)))
            return -ENOMEM;
    int r = keeper_watch(k, &k->control, EPOLL_CTL_ADD);
    while (r == 0 && keeper_serve(k))
        ;
    return r;
}
