/* Missions into a record. See years_simulate.h. */
#include "sim/forecast/years_simulate.h"

#include "sim/base/jsonx.h"
#include "sim/forecast/pool.h"
#include "sim/forecast/tally_line.h"
#include "sim/forecast/years.h"
#include "sim/forecast/years_rare.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK 1024 /* missions */
#define LINE_T 0   /* of lines that belong to no instant */

struct simulation {
    const struct years_options *o;
    uint64_t first, until; /* missions, from 1 */
    uint64_t done;
};

struct worker {
    const struct simulation *sim;
    struct years *years;
};

struct slot {
    uint64_t missions;
    json_t *line;
};

static void *worker_begin(void *data)
{
    struct worker *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    w->sim = data;
    w->years = years_new(w->sim->o->catalogue);
    return w;
}

static void worker_end(void *worker)
{
    struct worker *w = worker;
    years_free(w->years);
    free(w);
}

static int worker_compute(void *worker, uint64_t piece, void **slot, const bool *stop,
                          struct err *err)
{
    struct worker *w = worker;
    const struct years_options *o = w->sim->o;
    struct slot *s = *slot ? *slot : calloc(1, sizeof *s);
    if (!s)
        abort();
    *slot = s;
    struct years_span span = {.length = (nsec)o->years * TALLY_YEAR, .until = CATALOGUE_NONE};
    struct tally t = tally_new(o->catalogue->services_n);
    uint64_t first = piece * BLOCK + 1, end = first + BLOCK;
    end = end < w->sim->until ? end : w->sim->until;
    for (uint64_t i = first; i < end && !__atomic_load_n(stop, __ATOMIC_RELAXED); i++)
        years_run(w->years, &span, o->seed, i, &t);
    s->missions = t.missions;
    s->line = tally_line_json(&t, o->catalogue, first);
    tally_done(&t);
    return 0;
}

static void slot_free(void *slot)
{
    struct slot *s = slot;
    if (!s)
        return;
    json_decref(s->line);
    free(s);
}

static int deliver(uint64_t piece, void *slot, void *data, struct err *err)
{
    struct simulation *sim = data;
    struct slot *s = slot;
    struct record *r = sim->o->record;
    int rc = record_write(r, "years", record_origin(r) + LINE_T, steal_ptr(s->line), err);
    if (rc == 0)
        sim->done += s->missions;
    return rc;
}

static bool tick(uint64_t delivered, void *data)
{
    const struct simulation *sim = data;
    const struct years_options *o = sim->o;
    return o->tick && o->tick(sim->done, sim->until - sim->first, o->data);
}

static json_t *start(const struct years_options *o)
{
    char seed[24];
    snprintf(seed, sizeof seed, "%" PRIu64, o->seed);
    json_t *scenario = json_object();
    json_object_set_new(scenario, "name", json_string(o->scenario->name));
    if (o->scenario->title)
        json_object_set_new(scenario, "title", json_string(o->scenario->title));
    json_object_set_new(scenario, "digest", json_string(o->digest));
    json_t *e = json_pack("{s:i,s:s,s:s,s:s,s:o,s:s,s:I,s:I,s:I,s:s}", "record", 1, "blackstart",
                          BLACKSTART_VERSION, "mode", "forecast", "question", "years", "scenario",
                          scenario, "seed", seed, "years", (json_int_t)o->years, "trials",
                          (json_int_t)o->missions, "block", (json_int_t)BLOCK, "clock", "virtual");
    if (o->shards > 1)
        json_object_set_new(e, "shard",
                            json_pack("[I,I]", (json_int_t)o->shard, (json_int_t)o->shards));
    return e;
}

static json_t *value_json(struct years_rare_value v)
{
    return json_pack("[f,f]", v.value, v.se);
}

/* What cannot be estimated is told with its reason; only being stopped ends it. */
static int write_rare(const struct years_options *o, size_t service, struct err *err)
{
    struct years_rare_plan plan = {.service = service,
                                   .seed = o->seed,
                                   .cycles = o->missions > YEARS_RARE_CYCLES ? o->missions
                                                                             : YEARS_RARE_CYCLES,
                                   .threads = o->threads,
                                   .tick = o->tick,
                                   .data = o->data};
    struct years_rare found;
    struct err why = ERR_INIT;
    int rc = years_rare(o->catalogue, &plan, &found, &why);
    if (rc == -EINTR) {
        *err = why;
        return rc;
    }
    const char *name = o->catalogue->services[service].name;
    json_t *e = rc < 0 ? json_pack("{s:s,s:s}", "service", name, "refused", why.text)
                       : json_pack("{s:s,s:I,s:I,s:f,s:o,s:o,s:o}", "service", name, "cycles",
                                   (json_int_t)found.cycles, "hits", (json_int_t)found.hits,
                                   "effective", found.effective, "unavailability",
                                   value_json(found.unavailability), "rate", value_json(found.rate),
                                   "first_down", value_json(found.first_down));
    return record_write(o->record, "rare", record_origin(o->record) + LINE_T, e, err);
}

static int run(struct simulation *sim, struct err *err)
{
    const struct years_options *o = sim->o;
    uint64_t blocks = (o->missions + BLOCK - 1) / BLOCK, pieces;
    uint64_t from = blocks * (o->shard - 1) / o->shards, to = blocks * o->shard / o->shards;
    sim->first = from * BLOCK + 1;
    sim->until = (to * BLOCK < o->missions ? to * BLOCK : o->missions) + 1;
    int rc = record_write(o->record, "run-start", record_origin(o->record) + LINE_T, start(o), err);
    if (rc < 0)
        return rc;
    struct pool_job job = {.first = from,
                           .end = to,
                           .threads = o->threads,
                           .data = sim,
                           .begin = worker_begin,
                           .end_worker = worker_end,
                           .compute = worker_compute,
                           .free_slot = slot_free,
                           .deliver = deliver,
                           .tick = tick};
    rc = pool_run(&job, &pieces, err);
    bool rare = o->rare && o->shard == o->shards && sim->done == sim->until - sim->first;
    for (size_t s = 0; rc == 0 && rare && s < o->catalogue->services_n; s++)
        rc = write_rare(o, s, err);
    return rc;
}

int years_simulate(const struct years_options *o, uint64_t *ret_done, struct err *err)
{
    struct simulation sim = {.o = o};
    struct err why = ERR_INIT;
    int rc = run(&sim, &why);
    bool whole = sim.done == sim.until - sim.first && rc != -EINTR;
    json_t *e = json_pack("{s:s}", "status",
                          rc < 0 && rc != -EINTR ? "failed"
                          : whole                ? "completed"
                                                 : "aborted");
    if (rc < 0 && rc != -EINTR)
        json_object_set_new(e, "reason", json_string(why.text));
    else if (!whole)
        json_object_set_new(e, "reason", json_string("stopped by the operator"));
    struct err late = ERR_INIT;
    int wrote = record_write(o->record, "run-end", record_origin(o->record) + LINE_T, e, &late);
    if (wrote == 0)
        wrote = record_sync(o->record, &late);
    if (rc < 0 && rc != -EINTR) {
        if (err)
            *err = why;
        return rc;
    }
    if (wrote < 0) {
        if (err)
            *err = late;
        return wrote;
    }
    *ret_done = sim.done;
    return 0;
}
