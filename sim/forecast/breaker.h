/* A circuit breaker: calls to what has failed too often are refused for a while, then tried again.
 *
 * As Resilience4j's by count: the share of bad answers among the last `window` calls; at `threshold` it
 * opens, after `open_for` lets `half_open` calls through, and by their share closes or opens again.
 *
 * Values of their owner's; nothing is owned. Times of one clock, not decreasing.
 */
#pragma once

#include "sim/base/nsec.h"

enum { BREAKER_WINDOW_MAX = 1024 };

struct breaker_config {
    int64_t window, min_calls; /* 1 … BREAKER_WINDOW_MAX; it judges from min_calls answers on */
    double threshold;          /* share of bad answers: opens at it and above */
    nsec open_for;
    int64_t half_open; /* calls that try it again */
};
/* Resilience4j's defaults: 100, 100, 50 %, 60 s, 10. */
extern const struct breaker_config breaker_defaults;

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker {
    struct breaker_config config;
    enum breaker_state state;
    nsec opened;                            /* since when, in state open */
    int64_t tried;                          /* calls let through in state half open */
    int64_t calls, bad;                     /* answers in the window, and the bad ones among them */
    int64_t at;                             /* where the next goes */
    uint64_t bits[BREAKER_WINDOW_MAX / 64]; /* 1: bad */
};

struct breaker breaker_new(const struct breaker_config *config);
/* Whether a call at `at` goes through; then its answer must be told. */
bool breaker_lets(struct breaker *b, nsec at);
void breaker_answer(struct breaker *b, nsec at, bool bad);

/* The same as a fluid of `per_second` calls, of which a share is bad for a while, then another. It judges full
 * windows alone (min_calls is the window), and begins with one of good answers. Where old answers leave the
 * window meanwhile, good ones leave first as long as it gets worse, bad ones at once when it gets better. */
struct breaker_flow {
    const struct breaker_config *config; /* borrowed */
    double per_second;
    enum breaker_state state;
    nsec at;           /* up to here, all is known */
    double share;      /* bad since then */
    double calls, bad; /* in the window; in state half open: bad ones that tried */
    nsec until;        /* of the states open and half open */
};

struct breaker_flow breaker_flow_new(const struct breaker_config *config, double per_second,
                                     nsec at);
/* Moves on to `at`; from then on a share `bad` of what is asked for would fail. */
enum breaker_state breaker_flow_meets(struct breaker_flow *f, nsec at, double bad);
/* When the state changes next, if nothing else does; NSEC_INF. */
nsec breaker_flow_next(const struct breaker_flow *f);

/* As a fluid of `per_second` calls. How long after a share `bad` of the answers began to be bad, none before
 * and the window full, until it opens: ceil(threshold × window) bad ones; NSEC_INF: never. */
nsec breaker_opens_after(const struct breaker_config *c, double bad, double per_second);
/* How long calls are still refused after what it guards came back at `back` for good, when it opened at
 * `opened`; 0: it was trying just then. At most open_for. */
nsec breaker_refuses(const struct breaker_config *c, nsec opened, nsec back, double per_second);
