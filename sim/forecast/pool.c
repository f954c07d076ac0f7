/* Threads that compute pieces, and one that takes them in order. See pool.h.
 *
 * Places are a ring: piece i stands in place i modulo their number. A worker takes the next piece as soon
 * as its place is free, so nobody runs far ahead. One mutex guards everything but the slots: a piece is
 * thousands of trials, so nobody waits for it.
 */
#include "sim/forecast/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/cleanup.h"

#define PLACES_PER_THREAD 3
#define TICK (100 * NSEC_MSEC)

enum place_state { PLACE_FREE, PLACE_COMPUTING, PLACE_DONE };
struct place {
    enum place_state state;
    void *slot;
    int rc;
    struct err err;
};

struct pool {
    const struct pool_job *job;
    pthread_mutex_t mutex;
    pthread_cond_t freed, done;
    struct place *places;
    size_t places_n;
    uint64_t next; /* piece to be taken */
    bool stop;     /* read by workers without the mutex too, by __atomic */
};

static bool is_stopped(const struct pool *p)
{
    return __atomic_load_n(&p->stop, __ATOMIC_RELAXED);
}

static struct place *place_of(struct pool *p, uint64_t piece)
{
    return &p->places[piece % p->places_n];
}

/* The next piece, or false when there is none for us. */
static bool take(struct pool *p, uint64_t *ret_piece)
{
    pthread_mutex_lock(&p->mutex);
    while (!is_stopped(p) && p->next < p->job->end && place_of(p, p->next)->state != PLACE_FREE)
        pthread_cond_wait(&p->freed, &p->mutex);
    bool got = !is_stopped(p) && p->next < p->job->end;
    if (got) {
        *ret_piece = p->next++;
        place_of(p, *ret_piece)->state = PLACE_COMPUTING;
    }
    pthread_mutex_unlock(&p->mutex);
    return got;
}

static void *work(void *data)
{
    struct pool *p = data;
    uint64_t piece;
    void *worker = p->job->begin(p->job->data);
    while (take(p, &piece)) {
        struct place *at = place_of(p, piece);
        struct err err = ERR_INIT;
        int rc = p->job->compute(worker, piece, &at->slot, &p->stop, &err);
        pthread_mutex_lock(&p->mutex);
        at->rc = rc;
        if (rc < 0)
            at->err = err;
        /* What was thrown away halfway is as if it had never been taken. */
        at->state = is_stopped(p) && rc == 0 ? PLACE_COMPUTING : PLACE_DONE;
        pthread_cond_signal(&p->done);
        pthread_mutex_unlock(&p->mutex);
    }
    p->job->end_worker(worker);
    return NULL;
}

/* Waits until the piece is done, ticking; false: stopped before. */
static bool await(struct pool *p, uint64_t piece, uint64_t delivered)
{
    bool done = false;
    pthread_mutex_lock(&p->mutex);
    while (!(done = place_of(p, piece)->state == PLACE_DONE) && !is_stopped(p)) {
        struct timespec until = nsec_to_timespec(nsec_now(CLOCK_MONOTONIC) + TICK);
        if (pthread_cond_timedwait(&p->done, &p->mutex, &until) != ETIMEDOUT)
            continue;
        pthread_mutex_unlock(&p->mutex);
        bool stop = p->job->tick && p->job->tick(delivered, p->job->data);
        pthread_mutex_lock(&p->mutex);
        if (stop)
            __atomic_store_n(&p->stop, true, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&p->mutex);
    return done;
}

static int deliver_all(struct pool *p, uint64_t *ret_delivered, struct err *err)
{
    nsec ticked = nsec_now(CLOCK_MONOTONIC);
    *ret_delivered = 0;
    for (uint64_t piece = p->job->first; piece < p->job->end; piece++) {
        if (!await(p, piece, *ret_delivered))
            return 0;
        struct place *at = place_of(p, piece);
        if (at->rc < 0) {
            if (err)
                *err = at->err;
            return at->rc;
        }
        int rc = p->job->deliver(piece, at->slot, p->job->data, err);
        if (rc < 0)
            return rc;
        ++*ret_delivered;
        pthread_mutex_lock(&p->mutex);
        at->state = PLACE_FREE;
        pthread_cond_broadcast(&p->freed);
        pthread_mutex_unlock(&p->mutex);
        nsec now = nsec_now(CLOCK_MONOTONIC);
        if (now - ticked >= TICK) {
            ticked = now;
            if (p->job->tick && p->job->tick(*ret_delivered, p->job->data))
                return 0;
        }
    }
    return 0;
}

/* Workers take no signals: whoever waits for them does. */
static int start(struct pool *p, pthread_t *threads, size_t *ret_n, struct err *err)
{
    sigset_t all, before;
    int rc = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    for (*ret_n = 0; *ret_n < p->job->threads && rc == 0; *ret_n += rc == 0)
        rc = pthread_create(&threads[*ret_n], NULL, work, p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    /* Fewer threads than asked for do the same work. */
    return rc && *ret_n == 0 ? err_errno(err, rc, "cannot start a thread") : 0;
}

static void prepare(struct pool *p)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->done, &attr);
    pthread_cond_init(&p->freed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&p->mutex, NULL);
}

int pool_run(const struct pool_job *job, uint64_t *ret_delivered, struct err *err)
{
    struct pool p = {.job = job, .places_n = PLACES_PER_THREAD * job->threads, .next = job->first};
    AUTO_FREE pthread_t *threads = calloc(job->threads, sizeof *threads);
    p.places = calloc(p.places_n, sizeof *p.places);
    if (!threads || !p.places)
        abort();
    size_t n;
    uint64_t delivered = 0;
    prepare(&p);
    int rc = start(&p, threads, &n, err);
    if (rc == 0)
        rc = deliver_all(&p, &delivered, err);
    pthread_mutex_lock(&p.mutex);
    __atomic_store_n(&p.stop, true, __ATOMIC_RELAXED);
    pthread_cond_broadcast(&p.freed);
    pthread_mutex_unlock(&p.mutex);
    for (size_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < p.places_n; i++)
        job->free_slot(p.places[i].slot);
    free(p.places);
    pthread_cond_destroy(&p.done);
    pthread_cond_destroy(&p.freed);
    pthread_mutex_destroy(&p.mutex);
    *ret_delivered = delivered;
    return rc;
}

size_t pool_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return 1;
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : (size_t)n;
}
