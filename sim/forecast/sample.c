/* The outcomes of many trials. */
#include "sim/forecast/sample.h"

#include "sim/base/cleanup.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define BATCH 64 /* trials that a thread takes at a time */
#define THREADS_MAX 256

struct crew_work { /* what the threads of one call share */
    const struct sample_request *q;
    struct sample *s;
    atomic_size_t next;
    atomic_bool failed;
};
struct hand { /* one thread */
    struct crew_work *work;
    pthread_t thread;
    struct sample_path *paths; /* its own sums */
    int rc;
    struct err err;
};

bool sample_missed(const struct outcome *o, nsec target)
{
    if (!nsec_is_set(target))
        return false;
    return o->kind == OUTCOME_IS_CENSORED ||
           (o->kind == OUTCOME_IS_RESTORED && (!nsec_is_set(o->ttr) || o->ttr > target));
}

static void *zeroed(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (!p)
        abort();
    return p;
}

static struct sample_path *paths_new(const struct sample_request *q)
{
    struct sample_path *p = zeroed(q->services_n, sizeof *p);
    for (size_t i = 0; i < q->services_n; i++) {
        p[i].in_affected = zeroed(q->player->quantities_n, sizeof *p[i].in_affected);
        p[i].in_missed = zeroed(q->player->quantities_n, sizeof *p[i].in_missed);
        p[i].time = zeroed(q->player->quantities_n, sizeof *p[i].time);
    }
    return p;
}

static void paths_free(struct sample_path *p, size_t n)
{
    for (size_t i = 0; p && i < n; i++) {
        free(p[i].in_affected);
        free(p[i].in_missed);
        free(p[i].time);
    }
    free(p);
}

static void paths_add(struct sample_path *to, const struct sample_path *from, size_t services,
                      size_t quantities)
{
    for (size_t i = 0; i < services; i++) {
        to[i].affected += from[i].affected;
        to[i].missed += from[i].missed;
        to[i].total_time += from[i].total_time;
        for (size_t k = 0; k < quantities; k++) {
            to[i].in_affected[k] += from[i].in_affected[k];
            to[i].in_missed[k] += from[i].in_missed[k];
            to[i].time[k] += from[i].time[k];
        }
    }
}

static void path_take(const struct sample_request *q, const void *worker, size_t at,
                      const struct outcome *o, nsec *times, struct sample_path *p)
{
    if (o->kind != OUTCOME_IS_RESTORED && o->kind != OUTCOME_IS_CENSORED)
        return;
    bool missed = sample_missed(o, q->targets ? q->targets[at] : NSEC_UNSET),
         ended = o->kind == OUTCOME_IS_RESTORED && nsec_is_set(o->ttr) && o->ttr > 0;
    p->affected++;
    p->missed += missed;
    p->total_time += ended ? (uint64_t)o->ttr : 0;
    q->player->path(worker, q->services[at], times);
    for (size_t k = 0; k < q->player->quantities_n; k++) {
        if (times[k] <= 0)
            continue;
        p->in_affected[k]++;
        p->in_missed[k] += missed;
        if (ended)
            p->time[k] += (uint64_t)(times[k] < o->ttr ? times[k] : o->ttr);
    }
}

static int hand_play(struct hand *h, void *worker, struct outcome *all, nsec *times)
{
    const struct sample_request *q = h->work->q;
    for (;;) {
        size_t from = atomic_fetch_add(&h->work->next, BATCH);
        if (from >= q->n || atomic_load(&h->work->failed))
            return 0;
        if (q->stop && atomic_load(q->stop))
            return err_set(&h->err, EINTR, "stopped before it was done");
        for (size_t i = from; i < q->n && i < from + BATCH; i++) {
            int r = q->player->play(worker, q->seed, q->first + i, q->whatif, all, &h->err);
            if (r < 0)
                return r;
            for (size_t k = 0; k < q->services_n; k++) {
                h->work->s->outcomes[i * q->services_n + k] = all[q->services[k]];
                if (h->paths)
                    path_take(q, worker, k, &all[q->services[k]], times, &h->paths[k]);
            }
        }
    }
}

static void *hand_work(void *data)
{
    struct hand *h = data;
    const struct player *p = h->work->q->player;
    AUTO_FREE struct outcome *all = zeroed(p->services_n, sizeof *all);
    AUTO_FREE nsec *times = zeroed(p->quantities_n, sizeof *times);
    void *worker = p->begin(p->data);
    h->rc = hand_play(h, worker, all, times);
    if (h->rc < 0)
        atomic_store(&h->work->failed, true);
    p->end(worker);
    return NULL;
}

/* Runs all hands, the first in this thread; a thread that cannot be had is done without. */
static void hands_run(struct hand *hands, size_t n)
{
    size_t started = 1;
    for (; started < n; started++)
        if (pthread_create(&hands[started].thread, NULL, hand_work, &hands[started]) != 0)
            break;
    hand_work(&hands[0]);
    for (size_t i = 1; i < started; i++)
        pthread_join(hands[i].thread, NULL);
}

int sample_play(const struct sample_request *q, struct sample *ret, struct err *err)
{
    size_t threads = q->threads ? q->threads : 1;
    if (threads > THREADS_MAX)
        threads = THREADS_MAX;
    struct sample s = {
        .n = q->n, .services_n = q->services_n, .quantities_n = q->player->quantities_n};
    s.outcomes = zeroed(q->n * q->services_n, sizeof *s.outcomes);
    struct crew_work work = {.q = q, .s = &s};
    AUTO_FREE struct hand *hands = zeroed(threads, sizeof *hands);
    for (size_t i = 0; i < threads; i++)
        hands[i] = (struct hand){.work = &work, .paths = q->paths ? paths_new(q) : NULL};
    hands_run(hands, threads);
    if (q->paths)
        s.paths = paths_new(q);
    int rc = 0;
    for (size_t i = 0; i < threads; i++) {
        if (s.paths)
            paths_add(s.paths, hands[i].paths, s.services_n, s.quantities_n);
        paths_free(hands[i].paths, s.services_n);
        if (rc == 0 && hands[i].rc < 0)
            rc = err_set(err, -hands[i].rc, "%s", hands[i].err.text);
    }
    if (rc < 0) {
        sample_done(&s);
        return rc;
    }
    *ret = s;
    return 0;
}

void sample_done(struct sample *s)
{
    free(s->outcomes);
    paths_free(s->paths, s->services_n);
    *s = (struct sample){0};
}
