/* See relay.h. */
#include "sim/proxy/relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define RELAY_CHUNK 65536
#define RELAY_HIGH                                                                                 \
    (256 * 1024)       /* bytes that wait for a slow reader before its writer is not read */
#define RELAY_TURNS 16 /* chunks of one end before others get their turn */

static size_t waiting(const struct relay_side *s)
{
    return s->out.len - s->sent;
}

static struct relay_side *other(struct relay_side *s)
{
    struct relay *r = s->relay;
    return &r->side[s == &r->side[RELAY_CLIENT]];
}

static enum relay_end end_of(const struct relay_side *s)
{
    return s == &s->relay->side[RELAY_SERVER] ? RELAY_SERVER : RELAY_CLIENT;
}

static ssize_t side_read(struct relay_side *s, void *p, size_t n)
{
    if (s->wire)
        return s->wire->read(s->wire_data, p, n);
    ssize_t r = recv(s->fd, p, n, MSG_DONTWAIT);
    return r < 0 ? -errno : r;
}

static ssize_t side_write(struct relay_side *s, const void *p, size_t n)
{
    if (s->wire)
        return s->wire->write(s->wire_data, p, n);
    ssize_t r = send(s->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    return r < 0 ? -errno : r;
}

void relay_reset(struct relay *r)
{
    static const struct linger now = {.l_onoff = 1};
    for (int i = 0; i < 2; i++)
        if (r->side[i].fd >= 0)
            setsockopt(r->side[i].fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    r->dead = true;
}

void relay_close(struct relay *r)
{
    r->dead = true;
}

/* An end failed: what it did to us is done to the other. */
static void side_failed(struct relay_side *s)
{
    if (s->connecting)
        s->relay->in->counts.failed++;
    relay_reset(s->relay);
}

static void side_flush(struct relay_side *s)
{
    if (s->connecting || s->fd < 0)
        return;
    while (waiting(s) > 0) {
        ssize_t n = side_write(s, s->out.text + s->sent, waiting(s));
        if (n == -EINTR)
            continue;
        if (n == -EAGAIN)
            return;
        if (n < 0) {
            side_failed(s);
            return;
        }
        s->sent += (size_t)n;
    }
    buf_clear(&s->out);
    s->sent = 0;
    if (s->finishing && !s->finished) {
        s->finished = true;
        if (s->wire)
            s->wire->finish(s->wire_data);
        else
            shutdown(s->fd, SHUT_WR);
    }
}

void relay_push(struct relay *r, enum relay_end to, const char *p, size_t n)
{
    struct relay_side *s = &r->side[to];
    if (r->dead || s->fd < 0 || n == 0 || s->finishing)
        return;
    buf_add(&s->out, p, n);
    side_flush(s);
}

void relay_finish(struct relay *r, enum relay_end to)
{
    r->side[to].finishing = true;
    side_flush(&r->side[to]);
}

static void side_ended(struct relay_side *s)
{
    struct relay *r = s->relay;
    s->eof = true;
    if (r->ops->end)
        r->ops->end(r, end_of(s));
    else
        relay_finish(r, end_of(other(s)));
}

static bool may_read(const struct relay_side *s, const struct relay_side *to)
{
    return s->fd >= 0 && !s->connecting && !s->eof && !s->held && waiting(to) < RELAY_HIGH;
}

/* A wire may hold what no event of its socket tells of: it is read until it has no more. */
static void side_pump(struct relay_side *s)
{
    struct relay *r = s->relay;
    char chunk[RELAY_CHUNK];
    for (int turn = 0; !r->dead && may_read(s, other(s)) && (s->wire || turn < RELAY_TURNS);
         turn++) {
        ssize_t n = side_read(s, chunk, sizeof chunk);
        if (n == -EINTR)
            continue;
        if (n == -EAGAIN)
            return;
        if (n < 0)
            side_failed(s);
        else if (n == 0)
            side_ended(s);
        else if (r->ops->data)
            r->ops->data(r, end_of(s), chunk, (size_t)n);
        else
            relay_push(r, end_of(other(s)), chunk, (size_t)n);
    }
}

void relay_hold(struct relay *r, enum relay_end from, bool held)
{
    r->side[from].held = held;
    if (!held)
        side_pump(&r->side[from]);
}

static void side_connected(struct relay_side *s)
{
    int code = 0;
    socklen_t n = sizeof code;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &code, &n) < 0 || code) {
        side_failed(s);
        return;
    }
    s->connecting = false;
}

static void side_event(struct loop_io *io, uint32_t events, void *data)
{
    struct relay_side *s = data;
    struct relay *r = s->relay;
    relay_enter(r);
    inside_hear(r->in);
    if (s->connecting && events)
        side_connected(s);
    if (!r->dead && r->opening)
        r->ops->open(r);
    if (!r->dead && !r->opening) {
        side_flush(s);
        side_pump(s);
        if (other(s)->wire)
            side_pump(other(s));
    }
    relay_leave(r);
}

/* Nothing wanted: not watched at all, or a broken connection would wake us without end. */
static void side_watch(struct relay_side *s)
{
    struct relay *r = s->relay;
    uint32_t want = 0;
    if (s->fd < 0)
        return;
    if (r->opening)
        want = s->connecting ? EPOLLOUT : s->want;
    else
        want =
            (may_read(s, other(s)) ? EPOLLIN : 0u) | (s->connecting || waiting(s) ? EPOLLOUT : 0u);
    int rc = 0;
    if (!want)
        loop_io_remove(r->in->loop, &s->io);
    else if (s->io.added)
        rc = loop_io_change(r->in->loop, &s->io, want, NULL);
    else
        rc = loop_io_add(r->in->loop, &s->io, s->fd, want, NULL);
    if (rc < 0)
        relay_reset(r);
}

static void relay_free(struct relay *r)
{
    if (r->ops->free)
        r->ops->free(r);
    for (int i = 0; i < 2; i++) {
        struct relay_side *s = &r->side[i];
        loop_io_remove(r->in->loop, &s->io);
        if (s->fd >= 0)
            close(s->fd);
        buf_done(&s->out);
    }
    free(r);
}

void relay_enter(struct relay *r)
{
    r->depth++;
}

static bool is_over(const struct relay_side *s)
{
    return s->fd < 0 || (s->eof && s->finished);
}

void relay_leave(struct relay *r)
{
    if (--r->depth > 0)
        return;
    if (!r->dead && is_over(&r->side[0]) && is_over(&r->side[1]))
        r->dead = true;
    for (int i = 0; i < 2 && !r->dead; i++)
        side_watch(&r->side[i]);
    if (r->dead)
        relay_free(r);
}

/* Before the first event: the connection to the server. */
static int connect_to(struct relay_side *s, const struct sockaddr_storage *target)
{
    s->fd = inside_socket(target->ss_family, SOCK_STREAM);
    if (s->fd < 0)
        return -errno;
    if (connect(s->fd, (const struct sockaddr *)target, inet_endpoint_size(target)) == 0)
        return 0;
    s->connecting = true;
    return errno == EINPROGRESS ? 0 : -errno;
}

struct relay *relay_new(struct inside *in, int client, const struct sockaddr_storage *target,
                        bool own, const struct relay_ops *ops, void *state)
{
    struct relay *r = calloc(1, sizeof *r);
    if (!r)
        abort(); /* as the buffers of sim/base do */
    *r = (struct relay){.in = in, .ops = ops, .state = state, .own = own, .opening = ops->open};
    for (int i = 0; i < 2; i++)
        r->side[i] = (struct relay_side){
            .relay = r, .fd = -1, .io = {.fn = side_event, .data = &r->side[i]}, .want = EPOLLIN};
    r->side[RELAY_CLIENT].fd = client;
    relay_enter(r);
    if (target && connect_to(&r->side[RELAY_SERVER], target) < 0)
        side_failed(&r->side[RELAY_SERVER]);
    bool dead = r->dead;
    relay_leave(r);
    return dead ? NULL : r;
}
