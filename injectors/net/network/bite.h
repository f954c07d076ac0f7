/* Does an impairment bite? Packets of our own along the faulted paths, and what they met beside what
 * was asked for. Along BITE_WAYS paths at most: of more a seeded sample.
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
#define BITE_WAYS 8
/* Above, packets sent one at a time take no measurable part of it: the kernel's parameter must do. */
#define BITE_RATE_MAX (UINT64_C(1000000000) / 8)

struct bite_point {
    const struct reach *reach;
    const struct reach_point *at;
    struct impair_line *line; /* NULL: what others send through it is not known */
};

struct bite;
/* Draws the sample from env->rng. lasting: how long the fault will be in force (NSEC_INF: long). 0 ways (nobody at the other end): it
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
    /* Runs of lost packets that began and ended among ours, the sum of their lengths and of the
     * squares. Where others' packets came between ours, a chain moved on unseen. */
    size_t bursts;
    double in_bursts, in_bursts_squared;
    uint64_t others;
    bool others_known;
    size_t
        slots; /* times from one group of arrivals to the next, their sum and that of the squares, ns */
    double apart, apart_squared;
};
/* Of packets 0 to `sent` - 1; early: a smaller delay is none. Pure. */
void bite_sum(const struct tracer_seen *seen, size_t n, size_t sent, nsec early,
              struct bite_seen *ret);
/* Groups of arrivals, of packets that left so far apart: how far the groups are apart. Pure. */
void bite_groups(const struct tracer_seen *seen, size_t n, size_t sent, nsec every,
                 struct bite_seen *ret);
/* The mean time between slots that is asked for, and whether packets that leave so far apart show the
 * slots one by one. */
nsec bite_slot(const struct impairment *m);
bool bite_shows_slots(const struct impairment *m, nsec every);
/* The average loss that is asked for. */
double bite_loss(const struct impair_loss *l);
/* False: what was seen contradicts that it bites (by chance less than once in 10,000 times). */
bool bite_bites(const struct impairment *what, const struct bite_seen *s);
/* What stands for the chains of a loss model: "loss 4.8 %, in bursts of 5", or nothing. Appends. */
void bite_chain_text(const struct impairment *what, struct buf *out);
/* "delay 50.1 ms ± 4.9 ms, loss 0.98 % [0.4, 2.1]": appends; only what was asked for, and what of it
 * was not judged, with the reason. */
void bite_text(const struct impairment *what, const struct bite_seen *s, struct buf *out);

/* What has been seen up to now; false: it does not bite along at least one way. */
bool bite_tell(struct bite *b, struct bite_seen *ret);
