/* See rare.h. Weights are floating point: blocks of trials are summed each by itself, and added in order. */
#include "sim/forecast/rare.h"

#include "sim/forecast/pool.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 512

struct sums {
    double w, squares;
    uint64_t missed;
};

struct job {
    const struct rare_plan *plan;
    double *edges;
    size_t services_n;
    struct sums *all;
};

struct worker {
    const struct job *job;
    struct trial *trial;
    struct tilt tilt;
    struct outcome *out;
};

static void *need_memory(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (!p)
        abort();
    return p;
}

static const struct stage *stage_of(const struct scenario *s, const char *quantity)
{
    char name[512];
    for (size_t i = 0; i < s->assumptions->services.n; i++) {
        const struct service_model *m = s->assumptions->services.items[i];
        for (size_t k = 0; k < m->restore.n; k++) {
            const struct stage *stage = m->restore.items[k];
            snprintf(name, sizeof name, "stage:%s/%s", m->service, stage->name);
            if (strcmp(name, quantity) == 0)
                return stage;
        }
    }
    return NULL;
}

/* Stages by whether they work and how long they take, people by whether they answer and when. */
static double edge_of(const struct scenario *s, const struct quantity *q)
{
    const struct stage *stage = q->is_stage ? stage_of(s, q->name) : NULL;
    if (stage)
        return stage->works;
    if (strncmp(q->name, "ack:", 4) == 0) {
        const struct responder *r = assumed_responder(s->assumptions, q->name + 4);
        return r ? r->responds : 1;
    }
    return -1;
}

static void *worker_begin(void *data)
{
    struct worker *w = need_memory(1, sizeof *w);
    w->job = data;
    w->trial = trial_new(w->job->plan->system);
    w->out = need_memory(w->job->services_n, sizeof *w->out);
    return w;
}

static void worker_end(void *worker)
{
    struct worker *w = worker;
    trial_free(w->trial);
    free(w->out);
    free(w);
}

static void add_trial(const struct worker *w, struct sums *s)
{
    const struct scenario *sc = w->job->plan->scenario;
    double weight = tilt_weight(&w->tilt);
    for (size_t i = 0; i < w->job->services_n; i++) {
        if (outcome_judge(sc->services.items[i], OUTCOME_RTO, &w->out[i]) != OUTCOME_MISSED)
            continue;
        s[i].w += weight;
        s[i].squares += weight * weight;
        s[i].missed++;
    }
}

static int worker_compute(void *worker, uint64_t block, void **slot, const bool *stop,
                          struct err *err)
{
    struct worker *w = worker;
    const struct rare_plan *plan = w->job->plan;
    struct sums *s = *slot ? *slot : need_memory(w->job->services_n, sizeof *s);
    struct whatif whatif = {.tilt = &w->tilt};
    *slot = s;
    memset(s, 0, w->job->services_n * sizeof *s);
    for (uint64_t i = block * BLOCK + 1; i <= (block + 1) * BLOCK && i <= plan->trials; i++) {
        if (__atomic_load_n(stop, __ATOMIC_RELAXED))
            return 0;
        tilt_begin(&w->tilt, w->job->edges, plan->seed, i);
        int rc = trial_run(w->trial, plan->seed, i, &whatif, NULL, NULL, w->out, err);
        if (rc < 0)
            return rc;
        add_trial(w, s);
    }
    return 0;
}

static int deliver(uint64_t block, void *slot, void *data, struct err *err)
{
    struct job *j = data;
    const struct sums *s = slot;
    for (size_t i = 0; i < j->services_n; i++) {
        j->all[i].w += s[i].w;
        j->all[i].squares += s[i].squares;
        j->all[i].missed += s[i].missed;
    }
    return 0;
}

static bool tick(uint64_t delivered, void *data)
{
    const struct rare_plan *plan = ((struct job *)data)->plan;
    return plan->stop && plan->stop(plan->data);
}

int rare_run(const struct rare_plan *plan, struct rare *ret, struct err *err)
{
    const struct quantity *quantities;
    size_t n = system_quantities(plan->system, &quantities), services = plan->scenario->services.n;
    AUTO_FREE double *edges = need_memory(n, sizeof *edges);
    AUTO_FREE struct sums *all = need_memory(services, sizeof *all);
    for (size_t i = 0; i < n; i++)
        edges[i] = edge_of(plan->scenario, &quantities[i]);
    struct job j = {.plan = plan, .edges = edges, .services_n = services, .all = all};
    uint64_t blocks = (plan->trials + BLOCK - 1) / BLOCK, done;
    struct pool_job job = {.end = blocks,
                           .threads = plan->threads,
                           .data = &j,
                           .begin = worker_begin,
                           .end_worker = worker_end,
                           .compute = worker_compute,
                           .free_slot = free,
                           .deliver = deliver,
                           .tick = tick};
    int rc = pool_run(&job, &done, err);
    if (rc < 0)
        return rc;
    if (done < blocks)
        return err_set(err, EINTR, "stopped by the operator");
    double trials = (double)plan->trials;
    for (size_t i = 0; i < services; i++) {
        double p = all[i].w / trials, variance = all[i].squares / trials - p * p;
        ret[i] =
            (struct rare){.p = p,
                          .se = sqrt((variance > 0 ? variance : 0) / trials),
                          .effective = all[i].missed ? all[i].w * all[i].w / all[i].squares : 0,
                          .missed = all[i].missed};
    }
    return 0;
}
