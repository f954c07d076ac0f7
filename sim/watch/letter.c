/* Messages from vantage processes to the runner.
 *
 * Invariant: first is NULL, or the socket was full and the source waits for EPOLLOUT; what was put
 * first is sent first. Above OUTBOX_MAX messages the sender blocks: better late than lost.
 */
#include "sim/watch/letter.h"

#include "sim/base/text.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define OUTBOX_MAX 100000
#define RUNNER_LATE (500 * NSEC_MSEC) /* worth a word */

const char *const why_words[] = {
    [WHY_GOOD] = NULL,
    [WHY_REFUSED] = "refused",
    [WHY_TIMEOUT] = "timeout",
    [WHY_RESET] = "reset",
    [WHY_UNREACHABLE] = "unreachable",
    [WHY_DNS] = "dns",
    [WHY_TLS] = "tls",
    [WHY_STATUS] = "status",
    [WHY_BODY] = "body",
    [WHY_HEADER] = "header",
    [WHY_SLOW] = "slow",
    [WHY_EXIT] = "exit",
    [WHY_ERROR] = "error",
};
static_assert(ARRAY_SIZE(why_words) == WHY_ERROR + 1, "a word for each");

enum why why_of_http(enum http_outcome outcome)
{
    static const enum why whys[] = {
        [HTTP_ANSWERED] = WHY_GOOD,
        [HTTP_TIMEOUT] = WHY_TIMEOUT,
        [HTTP_REFUSED] = WHY_REFUSED,
        [HTTP_RESET] = WHY_RESET,
        [HTTP_UNREACHABLE] = WHY_UNREACHABLE,
        [HTTP_DNS] = WHY_DNS,
        [HTTP_TLS] = WHY_TLS,
        [HTTP_GARBAGE] = WHY_STATUS,
        [HTTP_ERROR] = WHY_ERROR,
    };
    return whys[outcome];
}

enum why why_of_errno(int code)
{
    return why_of_http(http_outcome_of_errno(code));
}

int letter_recv(int sock, struct letter *ret)
{
    ssize_t n;
    while ((n = recv(sock, ret, sizeof *ret, MSG_DONTWAIT)) < 0 && errno == EINTR)
        ;
    if (n < 0)
        return errno == ECONNRESET ? 1 : -errno;
    if (n == 0)
        return 1;
    if ((size_t)n < offsetof(struct letter, text) || ret->text_n >= LETTER_TEXT_MAX)
        return -EPROTO;
    ret->text[ret->text_n] = '\0';
    /* Servers wrote it, and it may be cut in the middle of a character. */
    text_make_printable(ret->text, ret->text_n);
    return 0;
}

struct outbox_item {
    struct outbox_item *next;
    size_t n;
    char bytes[];
};

static void outbox_ready(struct loop_io *io, uint32_t events, void *data);

void outbox_init(struct outbox *o, struct loop *loop, int sock)
{
    *o = (struct outbox){.loop = loop, .sock = sock, .blocked_since = NSEC_UNSET};
    o->last = &o->first;
    o->io = (struct loop_io){.fn = outbox_ready, .data = o};
}

void outbox_done(struct outbox *o)
{
    loop_io_remove(o->loop, &o->io);
    while (o->first) {
        struct outbox_item *next = o->first->next;
        free(o->first);
        o->first = next;
    }
    o->last = &o->first;
    o->n = 0;
}

/* False when the socket is full. A runner that is gone takes everything: our own end is near. */
static bool outbox_send(struct outbox *o, const void *bytes, size_t n)
{
    ssize_t sent;
    while ((sent = send(o->sock, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL)) < 0 && errno == EINTR)
        ;
    return sent >= 0 || (errno != EAGAIN && errno != ENOBUFS);
}

static void outbox_late(struct outbox *o)
{
    nsec waited = nsec_now(CLOCK_MONOTONIC) - o->blocked_since;
    size_t n = o->blocked_n;
    o->blocked_since = NSEC_UNSET;
    o->blocked_n = 0;
    if (waited < RUNNER_LATE)
        return;
    char text[LETTER_TEXT_MAX], span[NSEC_TEXT_MAX];
    int len = snprintf(text, sizeof text,
                       "runner-late%cthe runner took no messages for %s; %zu waited, none was lost",
                       '\0', nsec_text(waited, span), n);
    struct letter w = {.kind = LETTER_TROUBLE, .n = n, .text_n = (uint32_t)len};
    memcpy(w.text, text, (size_t)len + 1);
    outbox_put(o, &w, NULL);
}

static void outbox_push(struct outbox *o)
{
    while (o->first && outbox_send(o, o->first->bytes, o->first->n)) {
        struct outbox_item *next = o->first->next;
        free(o->first);
        o->first = next;
        o->n--;
    }
    if (o->first)
        return;
    o->last = &o->first;
    loop_io_remove(o->loop, &o->io);
    if (nsec_is_set(o->blocked_since))
        outbox_late(o);
}

static void outbox_ready(struct loop_io *io, uint32_t events, void *data)
{
    (void)io, (void)events;
    outbox_push(data);
}

static void outbox_wait(struct outbox *o)
{
    struct pollfd p = {.fd = o->sock, .events = POLLOUT};
    poll(&p, 1, -1);
    outbox_push(o);
}

void outbox_put(struct outbox *o, struct letter *w, const char *text)
{
    if (text) {
        w->text_n = (uint32_t)strnlen(text, LETTER_TEXT_MAX - 1);
        for (size_t i = 0; i < w->text_n; i++)
            w->text[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
    }
    w->text[w->text_n] = '\0';
    size_t n = offsetof(struct letter, text) + w->text_n + 1;
    if (!o->first && outbox_send(o, w, n))
        return;
    struct outbox_item *item = malloc(sizeof *item + n);
    if (!item)
        abort();
    item->next = NULL;
    item->n = n;
    memcpy(item->bytes, w, n);
    if (!o->first) {
        o->blocked_since = nsec_now(CLOCK_MONOTONIC);
        loop_io_add(o->loop, &o->io, o->sock, EPOLLOUT, NULL);
    }
    *o->last = item;
    o->last = &item->next;
    o->n++;
    o->blocked_n++;
    while (o->n > OUTBOX_MAX)
        outbox_wait(o);
}

void outbox_flush(struct outbox *o)
{
    while (o->first)
        outbox_wait(o);
}
