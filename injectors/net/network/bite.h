/* Does an impairment bite? Packets of our own along the faulted paths, and what they met beside what
 * was asked for.
 *
 *   bite_begin ─ (packets leave and arrive while the loop turns) ─ bite_is_over ─ bite_end
 *
 * How many packets, how fast: enough to see the smallest share that was asked for, in at most
 * BITE_LONGEST, and never more than a fifth of a rate that was asked for; then, where there is a rate,
 * one burst that takes it for a twentieth of a second.
 *
 * Ownership: bite_begin() … bite_free(); the loop and the lab must outlive it.
 */
#pragma once

#include "injectors/injector.h"
#include "injectors/net/network/tracer.h"

#define BITE_LONGEST (1200 * NSEC_MSEC)
#define BITE_WAYS 8 /* of a fault with more points, that many are looked at */

struct bite_point {
    const struct reach *reach;
    const struct reach_point *at;
};

struct bite;
/* lasting: how long the fault will be in force (NSEC_INF: long). 0 ways (nobody at the other end): it
 * is over at once. */
int bite_begin(struct inject_env *env, const struct bite_point *points, size_t n,
               const struct impairment *what, nsec lasting, struct bite **ret, struct err *err);
bool bite_is_over(const struct bite *b);
struct bite *bite_free(struct bite *b); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct bite, bite_free);

/* What was seen along one way, or along all together. */
struct bite_seen {
    size_t ways, sent, arrived; /* different packets */
    size_t lost, doubled, damaged;
    size_t at_once;    /* not delayed: by less than half of what was asked */
    nsec mean, median; /* delay; NSEC_UNSET: nothing arrived, or the clock was set meanwhile */
    double spread;     /* standard deviation, ns */
    uint64_t rate;     /* bytes per second in the burst; 0: not measured */
};
/* Of packets 0 to `sent` - 1; early: a smaller delay is none. Pure. */
void bite_sum(const struct tracer_seen *seen, size_t n, size_t sent, nsec early,
              struct bite_seen *ret);
/* The average loss that is asked for. */
double bite_loss(const struct impair_loss *l);
/* False: what was seen contradicts that it bites (by chance less than once in 10,000 times). */
bool bite_bites(const struct impairment *what, const struct bite_seen *s);
/* "delay 50.1 ms ± 4.9 ms, loss 0.98 % [0.4, 2.1]": appends; only what was asked for. */
void bite_text(const struct impairment *what, const struct bite_seen *s, struct buf *out);

/* What has been seen up to now; false: it does not bite along at least one way. */
bool bite_tell(struct bite *b, struct bite_seen *ret);
