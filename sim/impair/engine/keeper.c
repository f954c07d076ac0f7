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
/* Frames taken from one source before others have their turn. */
#define TURN 64
/* After this long a frame that found the device's queue full is tried again. */
#define STALL (50 * NSEC_USEC)
#define YEAR_2001 (978307200 * NSEC_SEC)

enum source_kind { SOURCE_CONTROL, SOURCE_SOCKET, SOURCE_TAP };
struct source {
    enum source_kind kind;
    int fd;
    nsec drained; /* what comes now came after this */
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
    bool spin;
    uint64_t *lease;
    nsec renew;             /* when the lease is to be put off */
    nsec late, late_by;     /* of wake-ups: mean, and mean distance from it */
    nsec budget, budget_at; /* of spinning */
    struct frame *batch[BATCH];
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
static nsec keeper_release(struct keeper *k)
{
    nsec now = nsec_now(CLOCK_MONOTONIC), next = NSEC_INF;
    keeper_renew(k, now);
    for (size_t i = 0; i < k->n; i++) {
        struct line *line = k->lines[i];
        if (line->next <= now)
            line_release(k, line, now);
        if (line->next < next)
            next = line->next;
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

static nsec between(nsec t, nsec lo, nsec hi)
{
    return t < lo ? lo : t > hi ? hi : t;
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
    return between(t, s->drained, now);
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

static void socket_read(struct keeper *k, struct source *s)
{
    struct mmsghdr m[BATCH];
    struct iovec iov[BATCH];
    _Alignas(struct cmsghdr) char control[BATCH][256];
    for (size_t taken = 0; taken < TURN; taken += BATCH) {
        for (size_t i = 0; i < BATCH; i++) {
            k->batch[i]->at = 0;
            iov[i] = (struct iovec){k->batch[i]->bytes, FRAME_MAX};
            m[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i],
                                                .msg_iovlen = 1,
                                                .msg_control = control[i],
                                                .msg_controllen = sizeof control[i]}};
        }
        nsec before = nsec_now(CLOCK_MONOTONIC);
        int n = recvmmsg(s->fd, m, BATCH, MSG_DONTWAIT, NULL);
        nsec now = nsec_now(CLOCK_MONOTONIC), offset = nsec_now(CLOCK_REALTIME) - now;
        for (int i = 0; i < n; i++) {
            struct extras x = {0};
            read_extras(&m[i].msg_hdr, &x);
            k->batch[i]->n = m[i].msg_len;
            nsec arrival = arrival_of(x.has_ts ? &x.ts : NULL, s, now, offset);
            if ((m[i].msg_hdr.msg_flags & MSG_TRUNC) || m[i].msg_len < FRAME_VNET + 14) {
                s->line->counts.matched++;
                s->line->counts.overflow++;
            } else
                socket_took(k, s->line, (size_t)i, &x, arrival);
        }
        if (n < BATCH) {
            s->drained = before;
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

static void tap_read(struct keeper *k, struct source *s)
{
    for (size_t taken = 0; taken < TURN; taken++) {
        struct frame *f = k->batch[0];
        f->at = 0;
        ssize_t n = read(s->fd, f->bytes, FRAME_MAX);
        if (n <= 0)
            return;
        f->n = (uint32_t)n;
        struct line_stamp stamp;
        struct line *line = strip_stamp(f, &stamp) ? k->by_id[stamp.id] : NULL;
        if (!line)
            continue;
        if (n == FRAME_MAX) { /* the rest of it is lost: no kernel sends more than it was told to */
            line->counts.matched++;
            line->counts.overflow++;
            continue;
        }
        nsec now = nsec_now(CLOCK_MONOTONIC);
        socket_took(k, line, 0, &(struct extras){0}, between((nsec)stamp.at, 0, now));
    }
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

static int keeper_watch(struct keeper *k, struct source *s)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};
    return epoll_ctl(k->epoll, EPOLL_CTL_ADD, s->fd, &e) < 0 ? -errno : 0;
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
    line->capture =
        (struct source){SOURCE_SOCKET, steal_fd(&fds[1]), nsec_now(CLOCK_MONOTONIC), line, NULL, 0};
    int r = line_decide(line, q, err);
    if (r == 0 && line->capture.fd >= 0) {
        r = keeper_watch(k, &line->capture);
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
    *s = (struct source){SOURCE_TAP, steal_fd(&fds[0]), 0, NULL, k->taps, id};
    int r = keeper_watch(k, s);
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
        r = keeper_do(k, &q, fds, &reply, &err);
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
 * enough, so that it wakes in time on average. */
static nsec keeper_window(const struct keeper *k)
{
    if (!k->spin)
        return 0;
    nsec window = k->budget > 0 ? k->late + 4 * k->late_by + 10 * NSEC_USEC : k->late - k->late_by;
    return between(window, 0, KEEPER_SPIN);
}

/* Until something is there to read (how many), or `next` or the lease's time has come (0). */
static int keeper_wait(struct keeper *k, nsec next, struct epoll_event *events)
{
    nsec now = nsec_now(CLOCK_MONOTONIC);
    keeper_earn(k, now);
    nsec window = keeper_window(k);
    if (next > now + window) {
        bool renews = k->renew < next - window;
        nsec until = renews ? k->renew : next - window;
        struct timespec ts = nsec_to_timespec(until - now);
        struct pollfd p = {.fd = k->epoll, .events = POLLIN};
        int n = ppoll(&p, 1, &ts, NULL);
        now = nsec_now(CLOCK_MONOTONIC);
        if (n == 0)
            keeper_learn(k, now - until);
        if (n == 0 && renews)
            return 0;
        if (n != 0)
            return epoll_wait(k->epoll, events, EVENTS, 0);
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

static bool keeper_serve(struct keeper *k)
{
    struct epoll_event events[EVENTS];
    nsec next = keeper_release(k);
    int n = keeper_wait(k, next, events);
    for (int i = 0; i < n; i++) {
        struct source *s = events[i].data.ptr;
        if (s->kind == SOURCE_SOCKET)
            socket_read(k, s);
        else if (s->kind == SOURCE_TAP)
            tap_read(k, s);
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
    k->control = (struct source){SOURCE_CONTROL, control, 0, NULL, NULL, 0};
    k->spin = spin;
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
    int r = keeper_watch(k, &k->control);
    while (r == 0 && keeper_serve(k))
        ;
    return r;
}
