/* DNS through a proxy: queries over UDP and TCP are looked at as far as their question; those that match
 * are lost, kept back or answered wrongly, all others go byte for byte to whom they were sent, and so do
 * their answers: flags, EDNS and truncation are not ours to know.
 *
 * UDP: each flow (address and port of the asker, as the kernel translated it) has a socket of its own
 * towards the name server, so that answers find back, and source ports stay as hard to guess as they
 * were. Whom a flow was sent to is told by connection tracking. TCP: messages with a length in front; a
 * relay.
 */
#include "sim/proxy/dns.h"
#include "sim/proxy/relay.h"

#include "sim/kernel/conntrack.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#define FLOWS 1024                /* buckets */
#define FLOW_IDLE (10 * NSEC_SEC) /* below what connection tracking gives a flow (30 s) */
#define AT_ONCE 64
#define FRAME_HEAD 2

struct flow {
    struct dns_way *way;
    struct flow *next;
    struct inside_listener *by;
    struct sockaddr_storage asker;
    int fd;
    struct loop_io io;
    nsec used;
};

struct late { /* a query over UDP that is kept back */
    struct dns_way *way;
    struct late *prev, *next;
    struct inside_listener *by;
    struct sockaddr_storage asker;
    struct loop_timer timer;
    bool own;
    size_t n;
    uint8_t message[];
};

struct dns_way {
    struct inside *in;
    struct flow *flows[FLOWS];
    struct late *late;
    struct loop_timer sweep;
    uint8_t room[DNS_MESSAGE_MAX];
};

enum outcome { PASS, LOSE, LATER, ANSWER };

static bool name_matches(const struct proxy_dns *f, const char *name)
{
    for (size_t i = 0; i < f->names->n; i++)
        if (dns_matches(f->names->items[i], name))
            return true;
    return f->names->n == 0;
}

/* Wrong addresses are an answer to those who ask for addresses; others get the truth. */
static bool type_matches(const struct proxy_dns *f, uint16_t type)
{
    return !f->addresses_n || type == DNS_A || type == DNS_AAAA || type == DNS_ANY;
}

static enum outcome decide(struct inside *in, const uint8_t *message, size_t n, bool own,
                           struct dns_question *q)
{
    const struct proxy_dns *f = &in->spec->dns;
    if (!dns_question(message, n, q)) {
        in->counts.foreign++;
        return PASS;
    }
    if (!own)
        in->counts.seen++;
    if (!own && (!name_matches(f, q->name) || !type_matches(f, q->type) || !inside_hits(in, false)))
        return PASS;
    inside_count_hit(in, own);
    return f->drop ? LOSE : f->delay ? LATER : ANSWER;
}

/* What we say in the name server's place; to a query of our own that was only kept back: nothing
 * worth having. */
static size_t wrong_answer(struct inside *in, const uint8_t *query, const struct dns_question *q,
                           uint8_t *ret, size_t room)
{
    const struct proxy_dns *f = &in->spec->dns;
    const struct dns_answer a = {.rcode = f->delay ? DNS_SERVFAIL : f->rcode,
                                 .ttl = f->ttl,
                                 .addresses = f->addresses,
                                 .n = f->addresses_n};
    return dns_reply(query, q, &a, ret, room);
}

/* --- UDP -------------------------------------------------------------------------------------- */

static size_t bucket_of(const struct sockaddr_storage *a)
{
    const uint8_t *p = (const uint8_t *)a;
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < inet_endpoint_size(a); i++)
        h = (h ^ p[i]) * 16777619u;
    return h % FLOWS;
}

static void flow_free(struct flow *f)
{
    loop_io_remove(f->way->in->loop, &f->io);
    close(f->fd);
    free(f);
}

/* Its answers. */
static void flow_readable(struct loop_io *io, uint32_t events, void *data)
{
    struct flow *f = data;
    struct dns_way *w = f->way;
    ssize_t n;
    for (int i = 0; i < AT_ONCE; i++) {
        n = recv(f->fd, w->room, sizeof w->room, MSG_DONTWAIT);
        if (n < 0 && errno == ECONNREFUSED)
            w->in->counts.failed++; /* an ICMP error of the name server's host */
        if (n < 0)
            return;
        f->used = loop_now(w->in->loop);
        (void)sendto(f->by->fd, w->room, (size_t)n, 0, (struct sockaddr *)&f->asker,
                     inet_endpoint_size(&f->asker));
    }
}

static int flow_target(struct dns_way *w, const struct inside_listener *by,
                       const struct sockaddr_storage *asker, struct sockaddr_storage *ret)
{
    static const uint8_t local4[4] = {127, 0, 0, 1}, local6[16] = {[15] = 1};
    struct inet_flow reply = {
        .protocol = IPPROTO_UDP,
        .source = inet_address((uint8_t)by->family, by->family == AF_INET ? local4 : local6),
        .target = inet_endpoint_address(asker),
        .sport = w->in->listens.port,
        .dport = inet_endpoint_port(asker)};
    struct inet_flow origin;
    int r = conntrack_origin(w->in->nl, &reply, PROXY_ZONE, &origin, NULL);
    if (r != 0)
        return -ENOENT;
    *ret = inet_endpoint(&origin.target, origin.dport);
    return 0;
}

static struct flow *flow_new(struct dns_way *w, struct inside_listener *by,
                             const struct sockaddr_storage *asker)
{
    struct sockaddr_storage target;
    if (flow_target(w, by, asker, &target) < 0)
        return NULL;
    AUTO_CLOSE int fd = inside_socket(target.ss_family, SOCK_DGRAM);
    if (fd < 0 || connect(fd, (struct sockaddr *)&target, inet_endpoint_size(&target)) < 0)
        return NULL;
    struct flow *f = calloc(1, sizeof *f);
    if (!f)
        abort(); /* as the buffers of sim/base do */
    struct flow **bucket = &w->flows[bucket_of(asker)];
    *f = (struct flow){.way = w, .next = *bucket, .by = by, .asker = *asker, .fd = steal_fd(&fd)};
    f->io = (struct loop_io){.fn = flow_readable, .data = f};
    if (loop_io_add(w->in->loop, &f->io, f->fd, EPOLLIN, NULL) < 0) {
        close(f->fd);
        free(f);
        return NULL;
    }
    *bucket = f;
    return f;
}

static void forward(struct dns_way *w, struct inside_listener *by,
                    const struct sockaddr_storage *asker, const uint8_t *message, size_t n)
{
    struct flow *f = w->flows[bucket_of(asker)];
    while (f && (f->by != by || memcmp(&f->asker, asker, inet_endpoint_size(asker)) != 0))
        f = f->next;
    if (!f && !(f = flow_new(w, by, asker))) {
        w->in->counts.failed++;
        return;
    }
    f->used = loop_now(w->in->loop);
    if (send(f->fd, message, n, MSG_DONTWAIT) < 0 && errno == ECONNREFUSED) /* of the one before */
        (void)send(f->fd, message, n, MSG_DONTWAIT);
}

static void sweep(struct loop_timer *t, void *data)
{
    struct dns_way *w = data;
    nsec now = loop_now(w->in->loop);
    for (size_t i = 0; i < FLOWS; i++)
        for (struct flow **p = &w->flows[i], *f; (f = *p);) {
            if (now - f->used < FLOW_IDLE) {
                p = &f->next;
                continue;
            }
            *p = f->next;
            flow_free(f);
        }
    loop_timer_set(w->in->loop, t, nsec_add(now, NSEC_SEC));
}

static void reply(struct inside_listener *by, const struct sockaddr_storage *asker,
                  const uint8_t *query, const struct dns_question *q)
{
    uint8_t message[1024];
    size_t n = wrong_answer(by->in, query, q, message, sizeof message);
    if (n)
        (void)sendto(by->fd, message, n, 0, (const struct sockaddr *)asker,
                     inet_endpoint_size(asker));
}

static void late_due(struct loop_timer *t, void *data)
{
    struct late *l = data;
    struct dns_way *w = l->way;
    struct dns_question q;
    if (!l->own)
        forward(w, l->by, &l->asker, l->message, l->n);
    else if (dns_question(l->message, l->n, &q))
        reply(l->by, &l->asker, l->message, &q);
    if (l->prev)
        l->prev->next = l->next;
    else
        w->late = l->next;
    if (l->next)
        l->next->prev = l->prev;
    free(l);
}

static void keep_back(struct dns_way *w, struct inside_listener *by,
                      const struct sockaddr_storage *asker, size_t n, bool own)
{
    struct late *l = calloc(1, sizeof *l + n);
    if (!l)
        abort();
    *l = (struct late){.way = w, .next = w->late, .by = by, .asker = *asker, .own = own, .n = n};
    memcpy(l->message, w->room, n);
    if (w->late)
        w->late->prev = l;
    w->late = l;
    l->timer = (struct loop_timer){.fn = late_due, .data = l};
    loop_timer_set(w->in->loop, &l->timer, nsec_add(loop_now(w->in->loop), w->in->spec->dns.delay));
}

void dns_way_datagrams(struct inside_listener *l)
{
    struct dns_way *w = l->in->dns;
    for (int i = 0; i < AT_ONCE; i++) {
        struct sockaddr_storage asker = {0};
        socklen_t len = sizeof asker;
        struct dns_question q;
        ssize_t n =
            recvfrom(l->fd, w->room, sizeof w->room, MSG_DONTWAIT, (struct sockaddr *)&asker, &len);
        if (n < 0)
            return;
        bool own = inside_is_own(l->in, &asker);
        switch (decide(l->in, w->room, (size_t)n, own, &q)) {
        case PASS:
            forward(w, l, &asker, w->room, (size_t)n);
            break;
        case LATER:
            keep_back(w, l, &asker, (size_t)n, own);
            break;
        case ANSWER:
            reply(l, &asker, w->room, &q);
            break;
        case LOSE:
            break;
        }
    }
}

int dns_way_open(struct inside *in, struct err *err)
{
    struct dns_way *w = calloc(1, sizeof *w);
    if (!w)
        return err_errno(err, ENOMEM, "making a resolver");
    w->in = in;
    w->sweep = (struct loop_timer){.fn = sweep, .data = w};
    loop_timer_set(in->loop, &w->sweep, nsec_add(loop_now(in->loop), NSEC_SEC));
    in->dns = w;
    return 0;
}

/* --- TCP -------------------------------------------------------------------------------------- */

struct tcp_way {
    struct relay *relay;
    struct buf held; /* frames of the asker, the first perhaps not whole */
    bool waits, passed, ended;
    struct loop_timer timer;
};

static void frames(struct tcp_way *w);

static void tcp_due(struct loop_timer *t, void *data)
{
    struct tcp_way *w = data;
    struct relay *r = w->relay;
    relay_enter(r);
    w->waits = false;
    w->passed = true;
    frames(w);
    if (!r->dead)
        relay_hold(r, RELAY_CLIENT, false);
    relay_leave(r);
}

static void answer_frame(struct tcp_way *w, const struct dns_question *q)
{
    uint8_t frame[FRAME_HEAD + 1024];
    size_t n = wrong_answer(w->relay->in, (const uint8_t *)w->held.text + FRAME_HEAD, q,
                            frame + FRAME_HEAD, sizeof frame - FRAME_HEAD);
    frame[0] = (uint8_t)(n >> 8);
    frame[1] = (uint8_t)n;
    if (n)
        relay_push(w->relay, RELAY_CLIENT, (const char *)frame, n + FRAME_HEAD);
}

static void frames(struct tcp_way *w)
{
    struct relay *r = w->relay;
    while (!r->dead && !w->waits && w->held.len >= FRAME_HEAD) {
        const uint8_t *p = (const uint8_t *)w->held.text;
        size_t n = (size_t)(p[0] << 8 | p[1]);
        struct dns_question q;
        if (w->held.len < FRAME_HEAD + n)
            break;
        enum outcome o = w->passed ? PASS : decide(r->in, p + FRAME_HEAD, n, r->own, &q);
        w->passed = false;
        if (o == LATER) {
            w->waits = true;
            relay_hold(r, RELAY_CLIENT, true);
            loop_timer_set(r->in->loop, &w->timer,
                           nsec_add(loop_now(r->in->loop), r->in->spec->dns.delay));
            return;
        }
        if (o == PASS)
            relay_push(r, RELAY_SERVER, w->held.text, FRAME_HEAD + n);
        else if (o == ANSWER)
            answer_frame(w, &q);
        memmove(w->held.text, w->held.text + FRAME_HEAD + n, w->held.len - FRAME_HEAD - n);
        w->held.len -= FRAME_HEAD + n;
    }
    if (w->ended && !w->waits) {
        relay_push(r, RELAY_SERVER, w->held.text, w->held.len);
        relay_finish(r, RELAY_SERVER);
    }
}

static void tcp_data(struct relay *r, enum relay_end from, const char *p, size_t n)
{
    struct tcp_way *w = r->state;
    if (from == RELAY_SERVER) {
        relay_push(r, RELAY_CLIENT, p, n);
        return;
    }
    buf_add(&w->held, p, n);
    frames(w);
}

static void tcp_end(struct relay *r, enum relay_end from)
{
    struct tcp_way *w = r->state;
    if (from == RELAY_SERVER) {
        relay_finish(r, RELAY_CLIENT);
        return;
    }
    w->ended = true;
    frames(w);
}

static void tcp_free(struct relay *r)
{
    struct tcp_way *w = r->state;
    loop_timer_cancel(r->in->loop, &w->timer);
    buf_done(&w->held);
    free(w);
}

void dns_way_accept(struct inside *in, int fd, const struct sockaddr_storage *from)
{
    static const struct relay_ops ops = {.data = tcp_data, .end = tcp_end, .free = tcp_free};
    struct sockaddr_storage target = {0};
    socklen_t n = sizeof target;
    bool v4 = from->ss_family == AF_INET;
    if (getsockopt(fd, v4 ? SOL_IP : SOL_IPV6, v4 ? SO_ORIGINAL_DST : IP6T_SO_ORIGINAL_DST, &target,
                   &n) < 0 ||
        inet_endpoint_port(&target) == in->listens.port) { /* asked for directly: not led here */
        close(fd);
        return;
    }
    struct tcp_way *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    w->timer = (struct loop_timer){.fn = tcp_due, .data = w};
    struct relay *r = relay_new(in, fd, &target, inside_is_own(in, from), &ops, w);
    if (r)
        w->relay = r;
}
