/* Reading. See source.h. */
#include "sim/impair/engine/source.h"

#include "sim/base/cleanup.h"
#include "sim/impair/engine/frame.h"
#include "sim/impair/engine/line_shared.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* Taken from one source before others have their turn, and before any is released: no more bytes than
 * the cache of a processor keeps. */
#define TURN 64
#define TURN_BYTES (256 << 10)
#define LARGE_BATCH 4 /* of frames of offloads */
#define AHEAD_LEAST (1 * NSEC_MSEC)
/* As long as the kernel's queues hold at a million frames a second. */
#define AHEAD_MOST (10 * NSEC_MSEC)
#define SOCKET_LARGE (32 << 20)
#define UNREAD 20000 /* more than a queue holds */
#define YEAR_2001 (978307200 * NSEC_SEC)

int reader_open(struct reader *r, size_t memory)
{
    r->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (r->epoll < 0)
        return -errno;
    r->pool = frame_pool_new(memory);
    if (!r->pool)
        return -ENOMEM;
    for (size_t i = 0; i < SOURCE_BATCH; i++)
        if (!(r->batch[i] = frame_take(r->pool, FRAME_MAX)))
            return -ENOMEM;
    return 0;
}

void reader_close(struct reader *r)
{
    frame_pool_free(r->pool);
    if (r->epoll >= 0)
        close(r->epoll);
}

static int source_tell(struct reader *r, struct source *s, int how)
{
    struct epoll_event e = {.events = EPOLLIN | (s->ahead ? EPOLLONESHOT : 0), .data.ptr = s};
    return epoll_ctl(r->epoll, how, s->fd, &e) < 0 ? -errno : 0;
}

int source_watch(struct reader *r, struct source *s)
{
    return source_tell(r, s, EPOLL_CTL_ADD);
}

int source_leave(struct reader *r, struct source *s)
{
    int fd = s->fd;
    epoll_ctl(r->epoll, EPOLL_CTL_DEL, fd, NULL);
    s->fd = -1;
    return fd;
}

/* A queue of less than what comes in AHEAD_MOST loses what stays in it. */
static bool socket_is_large(int fd)
{
    int size = 0;
    socklen_t n = sizeof size;
    return getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, &n) == 0 && size >= SOCKET_LARGE;
}

void source_allow(struct reader *r, struct source *s, nsec ahead)
{
    if (ahead < AHEAD_LEAST || (s->kind == SOURCE_SOCKET && !socket_is_large(s->fd)))
        ahead = 0;
    ahead = nsec_between(ahead, 0, AHEAD_MOST);
    if (ahead == s->ahead)
        return;
    s->ahead = ahead;
    s->unread = false;
    source_tell(r, s, EPOLL_CTL_MOD);
}

/* --- Sockets ------------------------------------------------------------------------- */

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
    return nsec_between(t, s->seen, now);
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

/* The frame in batch[i] goes to whoever takes it. Without memory what came last is lost. */
static void source_took(struct reader *r, uint32_t line, size_t i, const struct extras *x,
                        nsec arrival)
{
    bool whole = !x->has_tag || frame_tag(r->batch[i], x->tag_protocol, x->tag);
    r->came(r->data, line, whole ? frame_keep(r->pool, &r->batch[i]) : NULL, arrival);
}

/* It was empty at `when`. Of one that may wait epoll tells again only when nothing was found in it at
 * all: as long as packets flow, it is looked at when the next may be due, and nobody is woken for
 * what comes. */
static void source_emptied(struct reader *r, struct source *s, nsec when, bool in_vain)
{
    s->seen = when;
    s->unread = s->ahead && !in_vain;
    if (s->ahead && in_vain)
        source_tell(r, s, EPOLL_CTL_MOD);
}

static bool source_may_wait(const struct source *s, nsec until)
{
    return s->ahead && s->seen + s->ahead > until;
}

static void socket_read(struct reader *r, struct source *s, nsec until)
{
    struct mmsghdr m[SOURCE_BATCH];
    struct iovec iov[SOURCE_BATCH];
    _Alignas(struct cmsghdr) char control[SOURCE_BATCH][256];
    size_t taken = 0, bytes = 0, vlen;
    for (; taken < TURN && bytes < TURN_BYTES && !source_may_wait(s, until); taken += vlen) {
        vlen = s->large ? LARGE_BATCH : SOURCE_BATCH;
        for (size_t i = 0; i < vlen; i++) {
            r->batch[i]->at = 0;
            iov[i] = (struct iovec){r->batch[i]->bytes, FRAME_MAX};
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
            r->batch[i]->n = m[i].msg_len;
            bytes += m[i].msg_len;
            s->large = m[i].msg_len > TURN_BYTES / SOURCE_BATCH;
            nsec arrival = arrival_of(x.has_ts ? &x.ts : NULL, s, now, offset);
            s->seen = s->ahead ? arrival : s->seen;
            if ((m[i].msg_hdr.msg_flags & MSG_TRUNC) || m[i].msg_len < FRAME_VNET + 14)
                r->came(r->data, s->id, NULL, arrival);
            else
                source_took(r, s->id, (size_t)i, &x, arrival);
        }
        if (n < (int)vlen) {
            source_emptied(r, s, before, taken == 0 && n <= 0);
            return;
        }
    }
}

/* --- TAPs ---------------------------------------------------------------------------- */

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

static void tap_read(struct reader *r, struct source *s, nsec until)
{
    size_t taken = 0, bytes = 0;
    for (; taken < TURN && bytes < TURN_BYTES && !source_may_wait(s, until); taken++) {
        struct frame *f = r->batch[0];
        f->at = 0;
        nsec before = s->ahead ? nsec_now(CLOCK_MONOTONIC) : 0;
        ssize_t n = read(s->fd, f->bytes, FRAME_MAX);
        if (n <= 0) {
            source_emptied(r, s, before, taken == 0);
            return;
        }
        f->n = (uint32_t)n;
        bytes += (size_t)n;
        struct line_stamp stamp;
        if (!strip_stamp(f, &stamp))
            continue;
        s->seen = nsec_between((nsec)stamp.at, 0, nsec_now(CLOCK_MONOTONIC));
        if (n == FRAME_MAX) /* the rest of it is lost: no kernel sends more than it was told to */
            r->came(r->data, stamp.id, NULL, s->seen);
        else
            source_took(r, stamp.id, 0, &(struct extras){0}, s->seen);
    }
}

/* --- Both ----------------------------------------------------------------------------- */

void source_read(struct reader *r, struct source *s, nsec until)
{
    s->unread = s->ahead != 0;
    (s->kind == SOURCE_TAP ? tap_read : socket_read)(r, s, until);
}

void source_look(struct reader *r, struct source *s, nsec until)
{
    if (s->unread && !source_may_wait(s, until))
        source_read(r, s, until);
}

void source_empty(struct reader *r, struct source *s, nsec unused)
{
    for (size_t i = 0; i < UNREAD / LARGE_BATCH && s->unread; i++)
        source_read(r, s, NSEC_INF - s->ahead);
}

nsec source_next(const struct source *s)
{
    return s->unread ? s->seen + s->ahead : NSEC_INF;
}
