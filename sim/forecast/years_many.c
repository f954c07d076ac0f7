/* Missions are handed out in small blocks; each thread has a run and a tally of its own, and tallies add up
 * to the same whole numbers whoever did which. */
#include "sim/forecast/years.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define BLOCK 16

struct shared {
    const struct catalogue *c;
    const struct years_many *m;
    atomic_ullong taken;
};

struct hand {
    struct shared *shared;
    struct tally tally;
    pthread_t thread;
    bool runs;
};

static void *work(void *data)
{
    struct hand *h = data;
    const struct years_many *m = h->shared->m;
    CLEANUP(years_free_p) struct years *y = years_new(h->shared->c);
    for (;;) {
        uint64_t from = atomic_fetch_add(&h->shared->taken, BLOCK);
        for (uint64_t i = from; i < from + BLOCK; i++) {
            if (i >= m->n || (m->stop && atomic_load_explicit(m->stop, memory_order_relaxed)))
                return NULL;
            years_run(y, &m->span, m->seed, m->first + i, &h->tally);
            if (m->done)
                atomic_fetch_add_explicit(m->done, 1, memory_order_relaxed);
        }
    }
}

void years_many(const struct catalogue *c, const struct years_many *m, struct tally *t)
{
    struct shared shared = {.c = c, .m = m};
    size_t n = m->threads ? m->threads : 1;
    AUTO_FREE struct hand *hands = calloc(n, sizeof *hands);
    if (!hands)
        abort();
    for (size_t i = 0; i < n; i++)
        hands[i] = (struct hand){.shared = &shared, .tally = tally_new(c->services_n)};
    /* A thread that cannot be had leaves its missions to the others; this one always works. */
    for (size_t i = 1; i < n; i++)
        hands[i].runs = pthread_create(&hands[i].thread, NULL, work, &hands[i]) == 0;
    work(&hands[0]);
    for (size_t i = 0; i < n; i++) {
        if (hands[i].runs)
            pthread_join(hands[i].thread, NULL);
        tally_merge(t, &hands[i].tally);
        tally_done(&hands[i].tally);
    }
}
