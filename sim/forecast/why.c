/* Pick-freeze over the random quantities of a system. */
#include "sim/forecast/why.h"

#include "sim/base/cleanup.h"
#include "sim/base/rng.h"
#include "sim/forecast/sobol.h"

#include <stdlib.h>
#include <string.h>

#define REPLICATES ESTIMATE_REPLICATES

static const char rest_name[] = "everything else";

/* What is summed up for one service: time to restore (in seconds, less the first trial's) and misses. */
struct sums {
    struct sobol_whole *ttr, *miss;    /* [replicate] */
    struct sobol_part *ttr_p, *miss_p; /* [replicate * parts + part] */
};
struct work {
    const struct why_request *q;
    struct why *why;
    size_t each; /* trials of a replicate */
    struct sample a, b;
    struct sums *sums; /* by service */
    unsigned char *kind;
    uint64_t other;
};

static void *zeroed(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (!p)
        abort();
    return p;
}

/* ns as it counts: what was not seen to end ends with the observation. */
static nsec counted(const struct why_request *q, const struct outcome *o)
{
    if (o->kind == OUTCOME_IS_UNAFFECTED || o->kind == OUTCOME_IS_VOID)
        return 0;
    if (o->kind == OUTCOME_IS_CENSORED || !nsec_is_set(o->ttr) || o->ttr > q->horizon)
        return q->horizon;
    return o->ttr;
}

static double seconds(nsec t, nsec shift)
{
    return (double)(t - shift) / 1e9;
}

static int play(const struct work *w, uint64_t seed, bool paths, bool whatif, struct sample *ret,
                struct err *err)
{
    const struct whatif what = {.other_seed = w->other, .kind = w->kind};
    struct sample_request q = {.player = w->q->player,
                               .services = w->q->services,
                               .services_n = w->q->services_n,
                               .threads = w->q->threads,
                               .seed = seed,
                               .first = 1,
                               .n = w->why->trials,
                               .whatif = whatif ? &what : NULL,
                               .paths = paths,
                               .promises = w->q->promises,
                               .stop = w->q->stop,
                               .stop_data = w->q->stop_data};
    return sample_play(&q, ret, err);
}

/* --- parts --- */

struct weight {
    size_t quantity;
    sample_time time;
    uint64_t in;
};

static int by_weight(const void *a, const void *b)
{
    const struct weight *x = a, *y = b;
    if (x->time != y->time)
        return x->time < y->time ? 1 : -1;
    if (x->in != y->in)
        return x->in < y->in ? 1 : -1;
    return x->quantity < y->quantity ? -1 : 1;
}

/* Each quantity is a part; of too many those that critical paths owe least to are one together. */
static void parts_choose(struct work *w)
{
    const struct player *p = w->q->player;
    size_t n = p->quantities_n;
    size_t *part_of = zeroed(n, sizeof *part_of);
    AUTO_FREE struct weight *weights = zeroed(n, sizeof *weights);
    for (size_t k = 0; k < n; k++) {
        weights[k].quantity = k;
        for (size_t s = 0; s < w->q->services_n; s++) {
            weights[k].time += w->a.paths[s].time[k];
            weights[k].in += w->a.paths[s].in_affected[k];
        }
    }
    bool together = n > WHY_PARTS_MAX;
    if (together)
        qsort(weights, n, sizeof *weights, by_weight);
    size_t own = together ? WHY_PARTS_MAX - 1 : n;
    w->why->parts_n = own + together;
    w->why->names = zeroed(w->why->parts_n, sizeof *w->why->names);
    for (size_t i = 0; i < n; i++) {
        size_t part = i < own ? i : own;
        part_of[weights[i].quantity] = part;
        w->why->names[part] = i < own ? p->quantities[weights[i].quantity].name : rest_name;
    }
    w->why->part_of = part_of;
}

static void parts_set(struct work *w, size_t part, enum whatif_kind kind)
{
    for (size_t k = 0; k < w->q->player->quantities_n; k++)
        w->kind[k] = w->why->part_of[k] == part ? (unsigned char)kind : WHATIF_AS_IS;
}

/* --- sums --- */

static void sums_whole(struct work *w)
{
    size_t parts = w->why->parts_n;
    w->sums = zeroed(w->q->services_n, sizeof *w->sums);
    for (size_t s = 0; s < w->q->services_n; s++) {
        struct sums *u = &w->sums[s];
        u->ttr = zeroed(REPLICATES, sizeof *u->ttr);
        u->miss = zeroed(REPLICATES, sizeof *u->miss);
        u->ttr_p = zeroed(REPLICATES * parts, sizeof *u->ttr_p);
        u->miss_p = zeroed(REPLICATES * parts, sizeof *u->miss_p);
        nsec shift = counted(w->q, sample_at(&w->a, 0, s));
        for (size_t i = 0; i < w->why->trials; i++) {
            const struct outcome *a = sample_at(&w->a, i, s), *b = sample_at(&w->b, i, s);
            sobol_add_whole(&u->ttr[i / w->each], seconds(counted(w->q, a), shift),
                            seconds(counted(w->q, b), shift));
            sobol_add_whole(&u->miss[i / w->each], sample_missed(a, w->q->promises[s]),
                            sample_missed(b, w->q->promises[s]));
        }
    }
}

static void sums_part(struct work *w, size_t part, const struct sample *ab)
{
    for (size_t s = 0; s < w->q->services_n; s++) {
        struct sums *u = &w->sums[s];
        const struct service *target = w->q->promises[s];
        nsec shift = counted(w->q, sample_at(&w->a, 0, s));
        for (size_t i = 0; i < w->why->trials; i++) {
            size_t at = i / w->each * w->why->parts_n + part;
            const struct outcome *a = sample_at(&w->a, i, s), *b = sample_at(&w->b, i, s),
                                 *x = sample_at(ab, i, s);
            sobol_add_part(&u->ttr_p[at], seconds(counted(w->q, a), shift),
                           seconds(counted(w->q, b), shift), seconds(counted(w->q, x), shift));
            sobol_add_part(&u->miss_p[at], sample_missed(a, target), sample_missed(b, target),
                           sample_missed(x, target));
        }
    }
}

static void sums_free(struct work *w)
{
    for (size_t s = 0; w->sums && s < w->q->services_n; s++) {
        free(w->sums[s].ttr);
        free(w->sums[s].miss);
        free(w->sums[s].ttr_p);
        free(w->sums[s].miss_p);
    }
    free(w->sums);
}

/* --- what becomes of misses --- */

static struct why_effect effect_of(const struct work *w, size_t s, const struct sample *x)
{
    size_t missed = 0, only_before = 0, only_now = 0;
    bool differs = false;
    for (size_t i = 0; i < w->why->trials; i++) {
        differs =
            differs || counted(w->q, sample_at(&w->a, i, s)) != counted(w->q, sample_at(x, i, s));
        bool before = sample_missed(sample_at(&w->a, i, s), w->q->promises[s]),
             now = sample_missed(sample_at(x, i, s), w->q->promises[s]);
        missed += now;
        only_before += before && !now;
        only_now += now && !before;
    }
    return (struct why_effect){.differs = differs,
                               .missed = estimate_share(missed, w->why->trials),
                               .change = estimate_paired(w->why->trials, only_before, only_now)};
}

static int effects_play(struct work *w, size_t part, enum whatif_kind kind, struct err *err)
{
    struct sample x;
    parts_set(w, part, kind);
    int r = play(w, w->q->seed, false, true, &x, err);
    if (r < 0)
        return r;
    for (size_t s = 0; s < w->q->services_n; s++) {
        struct why_part *p = &w->why->services[s].parts[part];
        *(kind == WHATIF_SURE ? &p->sure : &p->no_time) = effect_of(w, s, &x);
    }
    sample_done(&x);
    return 0;
}

static int part_play(struct work *w, size_t part, struct err *err)
{
    struct sample ab;
    parts_set(w, part, WHATIF_OTHER);
    int r = play(w, w->q->seed, false, true, &ab, err);
    if (r < 0)
        return r;
    sums_part(w, part, &ab);
    sample_done(&ab);
    r = effects_play(w, part, WHATIF_NO_TIME, err);
    return r < 0 ? r : effects_play(w, part, WHATIF_SURE, err);
}

/* --- results --- */

static double share_of(sample_time part, sample_time all)
{
    return all ? (double)part / (double)all : (double)NAN;
}

/* Of a part of several quantities: of the one that is oftenest on it (they may be on it together). */
static void paths_of(const struct work *w, size_t s, struct why_part *p, size_t part)
{
    const struct sample_path *path = &w->a.paths[s];
    uint64_t affected = 0, missed = 0;
    sample_time time = 0;
    for (size_t k = 0; k < w->q->player->quantities_n; k++) {
        if (w->why->part_of[k] != part)
            continue;
        affected = path->in_affected[k] > affected ? path->in_affected[k] : affected;
        missed = path->in_missed[k] > missed ? path->in_missed[k] : missed;
        time += path->time[k];
    }
    p->on_path = estimate_share(affected, path->affected);
    p->on_missed_path = estimate_share(missed, path->missed);
    p->time_share = share_of(time, path->total_time);
}

static void services_finish(struct work *w)
{
    size_t parts = w->why->parts_n;
    AUTO_FREE struct estimate *first = zeroed(parts, sizeof *first);
    AUTO_FREE struct estimate *total = zeroed(parts, sizeof *total);
    for (size_t s = 0; s < w->q->services_n; s++) {
        struct why_service *v = &w->why->services[s];
        struct sums *u = &w->sums[s];
        size_t missed = 0;
        for (size_t i = 0; i < w->why->trials; i++)
            missed += sample_missed(sample_at(&w->a, i, s), w->q->promises[s]);
        v->missed = estimate_share(missed, w->why->trials);
        v->affected = w->a.paths[s].affected;
        v->rest_ttr = v->rest_miss = ESTIMATE_NONE;
        for (size_t k = 0; k < parts; k++) {
            struct why_part *p = &v->parts[k];
            p->first_ttr = p->total_ttr = p->first_miss = p->total_miss = ESTIMATE_NONE;
            paths_of(w, s, p, k);
        }
        v->ttr_varies = sobol_indices(u->ttr, u->ttr_p, parts, first, total, &v->rest_ttr);
        for (size_t k = 0; v->ttr_varies && k < parts; k++) {
            v->parts[k].first_ttr = first[k];
            v->parts[k].total_ttr = total[k];
        }
        v->miss_varies = sobol_indices(u->miss, u->miss_p, parts, first, total, &v->rest_miss);
        for (size_t k = 0; v->miss_varies && k < parts; k++) {
            v->parts[k].first_miss = first[k];
            v->parts[k].total_miss = total[k];
        }
    }
}

static int luck(struct work *w, struct err *err)
{
    int r = play(w, w->q->seed, true, false, &w->a, err);
    if (r < 0)
        return r;
    /* B is a trial of another seed as a whole: what no quantity names differs too, and is told as
     * interaction, not as somebody's. */
    r = play(w, w->other, false, false, &w->b, err);
    if (r < 0)
        return r;
    parts_choose(w);
    sums_whole(w);
    for (size_t s = 0; s < w->q->services_n; s++) {
        w->why->services[s].service = w->q->services[s];
        w->why->services[s].parts = zeroed(w->why->parts_n, sizeof *w->why->services[s].parts);
    }
    for (size_t k = 0; k < w->why->parts_n; k++) {
        r = part_play(w, k, err);
        if (r < 0)
            return r;
    }
    services_finish(w);
    return 0;
}

int why_luck(const struct why_request *q, struct why *ret, struct err *err)
{
    struct why why = {.services_n = q->services_n};
    struct rng other = rng_stream(q->seed, "luck", 0, 0);
    struct work w = {.q = q, .why = &why, .other = rng_next(&other)};
    w.each = q->trials / REPLICATES > 20 ? q->trials / REPLICATES : 20;
    why.trials = w.each * REPLICATES;
    why.services = zeroed(q->services_n, sizeof *why.services);
    w.kind = zeroed(q->player->quantities_n, 1);
    int r = luck(&w, err);
    sums_free(&w);
    sample_done(&w.a);
    sample_done(&w.b);
    free(w.kind);
    if (r < 0)
        why_done(&why);
    else
        *ret = why;
    return r;
}

void why_done(struct why *w)
{
    for (size_t s = 0; w->services && s < w->services_n; s++)
        free(w->services[s].parts);
    free(w->services);
    free(w->names);
    free((void *)w->part_of);
    *w = (struct why){0};
}
