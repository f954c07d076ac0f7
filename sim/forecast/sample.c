/* The outcomes of many trials. */
#include "sim/forecast/sample.h"

#include "sim/base/cleanup.h"

#include "sim/forecast/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 256 /* trials that a thread takes at a time */

struct piece { /* BATCH trials */
    size_t n;
    struct outcome *outcomes;
    struct sample_path *paths; /* NULL without `paths` */
};
struct seat { /* one thread's */
    const struct sample_request *q;
    void *worker;
    struct outcome *all;
    nsec *times;
};
struct work {
    const struct sample_request *q;
    struct sample s;
    bool stopped;
};

bool sample_missed(const struct outcome *o, const struct service *promise)
{
    if (!promise || !nsec_is_set(promise->rto))
        return false;
    enum outcome_share share = outcome_judge(promise, OUTCOME_RTO, o);
    return share == OUTCOME_MISSED || share == OUTCOME_OPEN;
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
    size_t n = q->player->quantities_n, one = sizeof(sample_time) + 2 * sizeof(uint64_t);
    struct sample_path *p = zeroed(q->services_n, sizeof *p);
    char *at = zeroed(q->services_n * n, one); /* paths_free() frees it by the first `time` */
    for (size_t i = 0; i < q->services_n; i++, at += n * one) {
        p[i].time = (void *)at;
        p[i].in_affected = (void *)(at + n * sizeof(sample_time));
        p[i].in_missed = p[i].in_affected + n;
    }
    return p;
}

static void paths_free(struct sample_path *p)
{
    if (p)
        free(p->time);
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

static void path_take(const struct sample_request *q, void *worker, size_t at,
                      const struct outcome *o, nsec *times, struct sample_path *p)
{
    if (o->kind != OUTCOME_IS_RESTORED && o->kind != OUTCOME_IS_CENSORED)
        return;
    bool missed = sample_missed(o, q->promises ? q->promises[at] : NULL),
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

static void *seat_begin(void *data)
{
    struct work *w = data;
    const struct player *p = w->q->player;
    struct seat *s = zeroed(1, sizeof *s);
    *s = (struct seat){.q = w->q,
                       .worker = p->begin(p->data),
                       .all = zeroed(p->services_n, sizeof *s->all),
                       .times = zeroed(p->quantities_n, sizeof *s->times)};
    return s;
}

static void seat_end(void *worker)
{
    struct seat *s = worker;
    s->q->player->end(s->worker);
    free(s->all);
    free(s->times);
    free(s);
}

static void paths_clear(struct sample_path *p, size_t services, size_t quantities)
{
    for (size_t i = 0; i < services; i++) {
        p[i].affected = p[i].missed = 0;
        p[i].total_time = 0;
        memset(p[i].in_affected, 0, quantities * sizeof *p[i].in_affected);
        memset(p[i].in_missed, 0, quantities * sizeof *p[i].in_missed);
        memset(p[i].time, 0, quantities * sizeof *p[i].time);
    }
}

static int piece_compute(void *worker, uint64_t number, void **slot, const bool *stop,
                         struct err *err)
{
    struct seat *seat = worker;
    const struct sample_request *q = seat->q;
    size_t from = (size_t)number * BATCH, services = q->services_n;
    struct piece *p = *slot;
    if (!p) {
        *slot = p = zeroed(1, sizeof *p);
        p->outcomes = zeroed(BATCH * services, sizeof *p->outcomes);
        p->paths = q->paths ? paths_new(q) : NULL;
    } else if (p->paths) {
        paths_clear(p->paths, services, q->player->quantities_n);
    }
    p->n = q->n - from < BATCH ? q->n - from : BATCH;
    for (size_t i = 0; i < p->n && !__atomic_load_n(stop, __ATOMIC_RELAXED); i++) {
        int r =
            q->player->play(seat->worker, q->seed, q->first + from + i, q->whatif, seat->all, err);
        if (r < 0)
            return r;
        for (size_t k = 0; k < services; k++) {
            p->outcomes[i * services + k] = seat->all[q->services[k]];
            if (p->paths)
                path_take(q, seat->worker, k, &seat->all[q->services[k]], seat->times,
                          &p->paths[k]);
        }
    }
    return 0;
}

static void piece_free(void *slot)
{
    struct piece *p = slot;
    if (!p)
        return;
    free(p->outcomes);
    paths_free(p->paths);
    free(p);
}

static int piece_deliver(uint64_t number, void *slot, void *data, struct err *err)
{
    struct work *w = data;
    struct piece *p = slot;
    memcpy(w->s.outcomes + (size_t)number * BATCH * w->s.services_n, p->outcomes,
           p->n * w->s.services_n * sizeof *p->outcomes);
    if (p->paths)
        paths_add(w->s.paths, p->paths, w->s.services_n, w->s.quantities_n);
    return 0;
}

static bool work_tick(uint64_t delivered, void *data)
{
    struct work *w = data;
    w->stopped = w->stopped || (w->q->stop && w->q->stop(w->q->stop_data));
    return w->stopped;
}

int sample_play(const struct sample_request *q, struct sample *ret, struct err *err)
{
    struct work w = {
        .q = q,
        .s = {.n = q->n, .services_n = q->services_n, .quantities_n = q->player->quantities_n}};
    w.s.outcomes = zeroed(q->n * q->services_n, sizeof *w.s.outcomes);
    w.s.paths = q->paths ? paths_new(q) : NULL;
    const struct pool_job job = {.end = (q->n + BATCH - 1) / BATCH,
                                 .threads = q->threads ? q->threads : 1,
                                 .data = &w,
                                 .begin = seat_begin,
                                 .end_worker = seat_end,
                                 .compute = piece_compute,
                                 .free_slot = piece_free,
                                 .deliver = piece_deliver,
                                 .tick = work_tick};
    uint64_t delivered = 0;
    int r = pool_run(&job, &delivered, err);
    if (r == 0 && w.stopped)
        r = err_set(err, EINTR, "stopped before it was done");
    if (r < 0) {
        sample_done(&w.s);
        return r;
    }
    *ret = w.s;
    return 0;
}

void sample_done(struct sample *s)
{
    free(s->outcomes);
    paths_free(s->paths);
    *s = (struct sample){0};
}
