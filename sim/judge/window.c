/* A short window is a ring of answers, each with its time; one of more than WINDOW_PARTS answers a ring of
 * counts, each of a part of time: part number at / width.
 *
 * Invariants: `good` and `bad` are the sums of the ring. Of answers: all in it are later than
 * last - length. Of counts: the parts in it are (newest - parts, newest]; all outside are 0. */
#include "sim/judge/window.h"

#include <stdlib.h>
#include <string.h>

struct part {
    uint32_t good, bad;
};

struct answer {
    nsec at;
    bool bad;
};

struct window {
    nsec length, every, width;
    int64_t parts, newest;
    nsec first, last; /* NSEC_UNSET: no answer yet */
    uint64_t good, bad;
    struct part *ring;       /* NULL: of answers */
    struct answer *answers;  /* room is a power of two */
    size_t room, from, held; /* answers[from & (room - 1)] is the oldest */
};

struct window *window_new(nsec length, nsec every)
{
    struct window *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    w->length = length;
    w->every = every;
    if (length / every < WINDOW_PARTS) {
        w->room = 8;
        w->answers = calloc(w->room, sizeof *w->answers);
    } else {
        w->width = (length + WINDOW_PARTS - 1) / WINDOW_PARTS;
        w->parts = (length + w->width - 1) / w->width;
        w->ring = calloc((size_t)w->parts, sizeof *w->ring);
    }
    if (!w->ring && !w->answers)
        abort();
    window_reset(w);
    return w;
}

struct window *window_free(struct window *w)
{
    if (w) {
        free(w->ring);
        free(w->answers);
    }
    free(w);
    return NULL;
}

void window_reset(struct window *w)
{
    if (w->ring)
        memset(w->ring, 0, (size_t)w->parts * sizeof *w->ring);
    w->from = w->held = 0;
    w->first = w->last = NSEC_UNSET;
    w->good = w->bad = 0;
    w->newest = 0;
}

static struct answer *answer_of(struct window *w, size_t n)
{
    return &w->answers[(w->from + n) & (w->room - 1)];
}

static void widen(struct window *w)
{
    struct answer *more = calloc(2 * w->room, sizeof *more);
    if (!more)
        abort();
    for (size_t i = 0; i < w->held; i++)
        more[i] = *answer_of(w, i);
    free(w->answers);
    w->answers = more;
    w->room *= 2;
    w->from = 0;
}

static void add_answer(struct window *w, nsec at, bool bad)
{
    for (; w->held && answer_of(w, 0)->at <= nsec_sub(at, w->length); w->held--, w->from++) {
        bool was_bad = answer_of(w, 0)->bad;
        w->bad -= was_bad;
        w->good -= !was_bad;
    }
    if (w->held == w->room)
        widen(w);
    *answer_of(w, w->held++) = (struct answer){at, bad};
    w->bad += bad;
    w->good += !bad;
}

/* Where the ring's part of that number is. */
static struct part *part_of(struct window *w, int64_t number)
{
    int64_t at = number % w->parts;
    return &w->ring[at < 0 ? at + w->parts : at];
}

static void forget(struct window *w, int64_t number)
{
    struct part *p = part_of(w, number);
    w->good -= p->good;
    w->bad -= p->bad;
    *p = (struct part){0};
}

static void add_to_part(struct window *w, nsec at, bool bad)
{
    int64_t number = at / w->width - (at % w->width < 0);
    if (!nsec_is_set(w->first))
        w->newest = number;
    for (int64_t gone = 0; w->newest < number && gone < w->parts; gone++)
        forget(w, ++w->newest);
    w->newest = number;
    struct part *p = part_of(w, number);
    p->bad += bad;
    p->good += !bad;
    w->bad += bad;
    w->good += !bad;
}

void window_add(struct window *w, nsec at, bool bad)
{
    if (w->ring)
        add_to_part(w, at, bad);
    else
        add_answer(w, at, bad);
    if (!nsec_is_set(w->first))
        w->first = at;
    w->last = at;
}

nsec window_length(const struct window *w)
{
    return w->length;
}

double window_ratio(const struct window *w)
{
    if (!w->bad)
        return 0;
    nsec before = nsec_sub(w->first, nsec_sub(w->last, w->length)); /* of it, before the first */
    uint64_t missing = before > 0 ? (uint64_t)((before - 1) / w->every) : 0;
    return (double)w->bad / (double)(w->good + w->bad + missing);
}
