/* The probe `tcp`: connect, perhaps send a text, perhaps wait for one.
 *
 * A shot is connecting until the socket becomes writable, then, with `expect`, reading until the
 * text is there. Sending what a probe sends never fills a fresh socket's buffer (a short write is a
 * failure of ours).
 */
#include "sim/watch/address.h"
#include "sim/watch/vantage.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define ANSWER_MAX 65536

struct talk {
    struct shot *shot;
    struct loop_io io;
    int fd;
    bool connected;
    size_t got_n, got_room;
    char *got; /* what came back, with `expect` */
};

static int tcp_check(const struct scenario *s, const void *params, struct err *err)
{
    const struct tcp_params *tcp = params;
    struct address a;
    return address_parse(s, tcp->address, true, &a, err);
}

static int tcp_open(struct prober *p, struct err *err)
{
    const struct tcp_params *tcp = p->probe->params;
    struct address *a = calloc(1, sizeof *a);
    if (!a)
        abort();
    p->state = a;
    return address_parse(p->vantage->scenario, tcp->address, true, a, err);
}

static void talk_close(struct talk *t)
{
    loop_io_remove(t->shot->prober->vantage->loop, &t->io);
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
    free(t->got);
    t->got = NULL;
}

static void talk_end(struct talk *t, enum why why, const char *detail)
{
    nsec end = nsec_now(CLOCK_MONOTONIC);
    talk_close(t);
    shot_end(t->shot, why, end, detail);
}

static void talk_errno(struct talk *t, int code, const char *doing)
{
    char words[256];
    snprintf(words, sizeof words, "%s: %s", doing, strerror(code));
    talk_end(t, why_of_errno(code), words);
}

static void talk_read(struct talk *t, const char *expect)
{
    if (!t->got) {
        t->got_room = ANSWER_MAX;
        t->got = malloc(t->got_room);
        if (!t->got)
            abort();
    }
    ssize_t n = recv(t->fd, t->got + t->got_n, t->got_room - t->got_n, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        talk_errno(t, errno, "reading the answer");
        return;
    }
    t->got_n += (size_t)n;
    if (memmem(t->got, t->got_n, expect, strlen(expect))) {
        talk_end(t, WHY_GOOD, NULL);
    } else if (n == 0) {
        if (t->got_n == 0)
            talk_end(t, WHY_RESET, "closed without an answer");
        else
            talk_end(t, WHY_BODY, "closed before what was expected came");
    } else if (t->got_n == t->got_room) {
        talk_end(t, WHY_BODY, "64 KiB came without what was expected");
    }
}

static void talk_connected(struct talk *t)
{
    const struct tcp_params *tcp = t->shot->prober->probe->params;
    t->connected = true;
    if (tcp->send) {
        size_t n = strlen(tcp->send);
        ssize_t sent = send(t->fd, tcp->send, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent != (ssize_t)n) {
            talk_errno(t, sent < 0 ? errno : EMSGSIZE, "sending");
            return;
        }
    }
    if (!tcp->expect) {
        talk_end(t, WHY_GOOD, NULL);
        return;
    }
    struct err err = ERR_INIT;
    if (loop_io_change(t->shot->prober->vantage->loop, &t->io, EPOLLIN, &err) < 0)
        talk_end(t, WHY_ERROR, err.text);
}

static void talk_ready(struct loop_io *io, uint32_t events, void *data)
{
    (void)io, (void)events;
    struct talk *t = data;
    const struct tcp_params *tcp = t->shot->prober->probe->params;
    if (t->connected) {
        talk_read(t, tcp->expect);
        return;
    }
    int code = 0;
    socklen_t len = sizeof code;
    if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
        code = errno;
    if (code)
        talk_errno(t, code, "connecting");
    else
        talk_connected(t);
}

static void tcp_start(struct shot *shot)
{
    const struct address *a = shot->prober->state;
    struct talk *t = calloc(1, sizeof *t);
    if (!t)
        abort();
    *t = (struct talk){.shot = shot, .io = {.fn = talk_ready, .data = t}};
    shot->state = t;
    t->fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (t->fd < 0) { /* out of descriptors, say: not the service's fault */
        char words[128];
        snprintf(words, sizeof words, "no socket: %s", strerror(errno));
        talk_end(t, WHY_ERROR, words);
        return;
    }
    struct err err = ERR_INIT;
    shot_starts(shot, nsec_now(CLOCK_MONOTONIC));
    if (connect(t->fd, (const struct sockaddr *)&a->ss, a->len) < 0 && errno != EINPROGRESS)
        talk_errno(t, errno, "connecting");
    else if (loop_io_add(shot->prober->vantage->loop, &t->io, t->fd, EPOLLOUT, &err) < 0)
        talk_end(t, WHY_ERROR, err.text);
}

static void tcp_cancel(struct shot *shot)
{
    talk_close(shot->state);
}

static void tcp_close(struct prober *p)
{
    free(p->state);
}

const struct probe_kind probe_tcp = {
    .check = tcp_check,
    .open = tcp_open,
    .start = tcp_start,
    .cancel = tcp_cancel,
    .close = tcp_close,
};
