/* Trials into a record. See simulate.h. */
#include "sim/forecast/simulate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/jsonx.h"
#include "sim/forecast/block.h"
#include "sim/forecast/pool.h"

#define TRACED_TRIALS 3    /* event by event */
#define TRACED_LINES 20000 /* after so many no further trial is */
#define PATHS_MOST 32      /* services whose restoring is told by quantity */
#define LINE_T 0           /* of lines that belong to no instant of a trial */

void simulate_range(uint64_t trials, size_t services, uint64_t shard, uint64_t shards,
                    uint64_t *ret_first, uint64_t *ret_end)
{
    uint64_t size = block_size(services), blocks = (trials + size - 1) / size;
    uint64_t first = blocks / shards * (shard - 1) + blocks % shards * (shard - 1) / shards;
    uint64_t end = blocks / shards * shard + blocks % shards * shard / shards;
    *ret_first = first * size + 1;
    *ret_end = (end * size < trials ? end * size : trials) + 1;
}

/* ---- what a worker does ---- */

struct simulation {
    const struct simulate_options *o;
    const struct quantity *quantities;
    const char **names; /* of the quantities */
    size_t quantities_n, services, block;
    bool *told;    /* services whose restoring is told by quantity */
    uint64_t done; /* trials written */
    uint64_t shard_trials, lines;
};

struct worker {
    const struct simulation *sim;
    struct trial *trial;
    nsec *path;
};

struct slot {
    struct block *block;
    json_t *line;
};

static void *worker_begin(void *data)
{
    const struct simulation *sim = data;
    struct worker *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    *w = (struct worker){.sim = sim, .trial = trial_new(sim->o->system)};
    w->path = calloc(sim->quantities_n + 1, sizeof *w->path);
    if (!w->path)
        abort();
    return w;
}

static void worker_end(void *worker)
{
    struct worker *w = worker;
    trial_free(w->trial);
    free(w->path);
    free(w);
}

static void add_paths(struct worker *w, struct block *b, const struct outcome *out)
{
    for (size_t k = 0; k < b->services; k++) {
        if (!b->path[k] || out[k].kind != OUTCOME_IS_RESTORED)
            continue;
        trial_path(w->trial, k, w->path);
        for (size_t q = 0; q < b->quantities; q++)
            b->path[k][q] += w->path[q];
    }
}

static int worker_compute(void *worker, uint64_t piece, void **slot, const bool *stop,
                          struct err *err)
{
    struct worker *w = worker;
    const struct simulation *sim = w->sim;
    struct slot *s = *slot;
    if (!s) {
        s = calloc(1, sizeof *s);
        if (!s)
            abort();
        s->block = block_new(sim->block, sim->services, sim->quantities_n, sim->told);
        *slot = s;
    }
    struct block *b = s->block;
    uint64_t left = sim->o->trials - piece * sim->block;
    b->first = piece * sim->block + 1;
    b->trials = left < sim->block ? (size_t)left : sim->block;
    for (size_t k = 0; k < b->services; k++)
        if (b->path[k])
            memset(b->path[k], 0, b->quantities * sizeof **b->path);
    for (size_t i = 0; i < b->trials; i++) {
        struct outcome *out = &b->outcomes[i * b->services];
        if (__atomic_load_n(stop, __ATOMIC_RELAXED))
            return 0;
        int rc = trial_run(w->trial, sim->o->seed, b->first + i, NULL, NULL, NULL, out, err);
        if (rc < 0)
            return err_prefix(err, "trial %" PRIu64, b->first + i);
        add_paths(w, b, out);
    }
    s->line = block_json(b, sim->o->scenario, sim->names);
    return 0;
}

static void slot_free(void *slot)
{
    struct slot *s = slot;
    if (!s)
        return;
    block_free(s->block);
    json_decref(s->line);
    free(s);
}

/* ---- what the caller does ---- */

static int deliver(uint64_t piece, void *slot, void *data, struct err *err)
{
    struct simulation *sim = data;
    struct slot *s = slot;
    int rc = record_write(sim->o->record, "outcomes", record_origin(sim->o->record) + LINE_T,
                          steal_ptr(s->line), err);
    if (rc == 0)
        sim->done += s->block->trials;
    return rc;
}

static bool tick(uint64_t delivered, void *data)
{
    struct simulation *sim = data;
    const struct simulate_options *o = sim->o;
    return o->tick && o->tick(sim->done, sim->shard_trials, o->data);
}

struct trace {
    struct simulation *sim;
    uint64_t trial;
};

static int trace_event(nsec at, const char *kind, json_t *json, void *data, struct err *err)
{
    struct trace *t = data;
    json_t *event = json_object();
    json_object_set_new(event, "trial", json_integer((json_int_t)t->trial));
    json_object_update(event, json);
    t->sim->lines++;
    return record_write(t->sim->o->record, kind, record_origin(t->sim->o->record) + at, event, err);
}

static int trace_first(struct simulation *sim, struct err *err)
{
    const struct simulate_options *o = sim->o;
    CLEANUP(trial_free_p) struct trial *t = trial_new(o->system);
    AUTO_FREE struct outcome *out = calloc(sim->services + 1, sizeof *out);
    if (!out)
        abort();
    int rc = 0;
    for (uint64_t n = 1; rc == 0 && n <= TRACED_TRIALS && n <= o->trials; n++) {
        struct trace trace = {sim, n};
        if (sim->lines < TRACED_LINES)
            rc = trial_run(t, o->seed, n, NULL, trace_event, &trace, out, err);
    }
    return rc;
}

json_t *simulate_start(const struct simulate_options *o)
{
    char seed[24];
    snprintf(seed, sizeof seed, "%" PRIu64, o->seed);
    json_t *scenario = json_object();
    json_object_set_new(scenario, "name", json_string(o->scenario->name));
    if (o->scenario->title)
        json_object_set_new(scenario, "title", json_string(o->scenario->title));
    json_object_set_new(scenario, "digest", json_string(o->digest));
    json_t *start = json_pack("{s:i,s:s,s:s,s:o,s:s,s:I,s:I,s:s}", "record", 1, "blackstart",
                              BLACKSTART_VERSION, "mode", "forecast", "scenario", scenario, "seed",
                              seed, "trials", (json_int_t)o->trials, "block",
                              (json_int_t)block_size(o->scenario->services.n), "clock", "virtual");
    if (o->shards > 1)
        json_object_set_new(start, "shard",
                            json_pack("[I,I]", (json_int_t)o->shard, (json_int_t)o->shards));
    return start;
}

static int end(const struct simulation *sim, const char *status, const char *reason,
               struct err *err)
{
    json_t *e = json_pack("{s:s}", "status", status);
    if (reason)
        json_object_set_new(e, "reason", json_string(reason));
    struct record *r = sim->o->record;
    int rc = record_write(r, "run-end", record_origin(r) + LINE_T, e, err);
    return rc < 0 ? rc : record_sync(r, err);
}

/* Those that promise something about being down. */
static void choose_paths(struct simulation *sim)
{
    size_t chosen = 0;
    for (size_t k = 0; k < sim->services && chosen < PATHS_MOST; k++) {
        const struct service *s = sim->o->scenario->services.items[k];
        sim->told[k] = nsec_is_set(s->rto) || nsec_is_set(s->max_downtime) || nsec_is_set(s->mtpd);
        chosen += sim->told[k];
    }
}

static int run(struct simulation *sim, struct err *err)
{
    const struct simulate_options *o = sim->o;
    uint64_t first, until, pieces;
    simulate_range(o->trials, sim->services, o->shard, o->shards, &first, &until);
    sim->shard_trials = until - first;
    int rc = record_write(o->record, "run-start", record_origin(o->record) + LINE_T,
                          simulate_start(o), err);
    if (rc == 0 && first == 1 && until > 1)
        rc = trace_first(sim, err);
    if (rc < 0)
        return rc;
    struct pool_job job = {.first = (first - 1) / sim->block,
                           .end = (until - 1 + sim->block - 1) / sim->block,
                           .threads = o->threads,
                           .data = sim,
                           .begin = worker_begin,
                           .end_worker = worker_end,
                           .compute = worker_compute,
                           .free_slot = slot_free,
                           .deliver = deliver,
                           .tick = tick};
    return pool_run(&job, &pieces, err);
}

int simulate(const struct simulate_options *o, uint64_t *ret_done, struct err *err)
{
    struct simulation sim = {
        .o = o, .services = o->scenario->services.n, .block = block_size(o->scenario->services.n)};
    sim.quantities_n = system_quantities(o->system, &sim.quantities);
    sim.names = calloc(sim.quantities_n + 1, sizeof *sim.names);
    sim.told = calloc(sim.services + 1, sizeof *sim.told);
    if (!sim.names || !sim.told)
        abort();
    for (size_t q = 0; q < sim.quantities_n; q++)
        sim.names[q] = sim.quantities[q].name;
    choose_paths(&sim);
    struct err why = ERR_INIT;
    int rc = run(&sim, &why);
    bool last = o->shard == o->shards, stopped = false;
    if (rc == 0 && sim.done == sim.shard_trials && last && o->analyse) {
        rc = o->analyse(o->record, o->data, &why);
        stopped = rc == -EINTR;
    }
    if (stopped) {
        rc = end(&sim, "aborted", "stopped by the operator before all was analysed", err);
    } else if (rc < 0) {
        (void)end(&sim, "failed", why.text, NULL);
        if (err)
            *err = why;
    } else if (sim.done < sim.shard_trials) {
        rc = end(&sim, "aborted", "stopped by the operator", err);
    } else {
        rc = end(&sim, "completed", NULL, err);
    }
    free(sim.names);
    free(sim.told);
    if (rc == 0)
        *ret_done = sim.done;
    return rc;
}
