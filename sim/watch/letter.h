/* What a vantage process tells the runner: messages over a SEQPACKET socket pair, sent in order and
 * never lost.
 *
 * Both ends are one program image, so a message is a struct and a text. The sender keeps what the
 * runner does not take yet in an outbox of its own, so that a slow runner does not hold up probes.
 *
 * Ownership: embed `struct outbox` by value; outbox_init() … outbox_done(). The socket is borrowed.
 */
#pragma once

#include "sim/http/http.h"
#include "sim/loop/loop.h"
#include <stdint.h>

enum letter_kind {
    LETTER_READY,   /* everything was opened; text: nothing */
    LETTER_FAILED,  /* instead: n is the errno, the text says why */
    LETTER_OBS,     /* of probe `index`: n, a scheduled, b start, c end, why; text: detail */
    LETTER_ALARM,   /* of alarm `index`: flag onset, [a, b], c starts_at; text: detail */
    LETTER_SILENCE, /* of alarm `index`: flag active, [a, b]; text: which */
    LETTER_TROUBLE, /* text: WHAT NUL DETAIL */
    LETTER_IDLE,    /* quiesced, and everything that was outstanding has been sent */
};

enum why {
    WHY_GOOD,
    WHY_REFUSED,
    WHY_TIMEOUT,
    WHY_RESET,
    WHY_UNREACHABLE,
    WHY_DNS,
    WHY_TLS,
    WHY_STATUS,
    WHY_BODY,
    WHY_HEADER,
    WHY_SLOW,
    WHY_EXIT,
    WHY_ERROR,
};
extern const char *const why_words[]; /* indexed by enum why; NULL for WHY_GOOD */
/* Of an errno of a socket; WHY_ERROR for those that are about us. */
enum why why_of_errno(int code);
/* Of how a request ended; WHY_GOOD: an answer came, which is yet to be judged. */
enum why why_of_http(enum http_outcome outcome);

#define LETTER_TEXT_MAX 800

struct letter {
    uint8_t kind, why;
    bool flag;
    uint32_t index;
    uint64_t n;
    nsec a, b, c;
    uint32_t text_n;
    char text[LETTER_TEXT_MAX]; /* with NUL at text[text_n] */
};

/* Takes one message. 1: the other end is gone; -EAGAIN: none is there. */
int letter_recv(int sock, struct letter *ret);

struct outbox_item;
struct outbox {
    struct loop *loop;
    struct loop_io io;
    int sock;
    struct outbox_item *first, **last;
    size_t n;
    nsec blocked_since; /* NSEC_UNSET: the runner takes everything */
    size_t blocked_n;
};
void outbox_init(struct outbox *o, struct loop *loop, int sock);
void outbox_done(struct outbox *o);
/* text may be NULL; it is cut at LETTER_TEXT_MAX - 1 bytes, and control characters become '?'. */
void outbox_put(struct outbox *o, struct letter *w, const char *text);
/* Waits until everything was taken, or the other end is gone. */
void outbox_flush(struct outbox *o);
