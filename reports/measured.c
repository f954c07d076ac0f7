/* The trials of a drill as a forecast sees them. */
#include "reports/measured.h"

#include "reports/measure.h"
#include "reports/report.h"
#include "sim/base/cleanup.h"
#include "sim/base/jsonx.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* The longest judged outage, by its impact; that of a trial that was not restored has no end. */
static struct span outage_of(const struct service_seen *s)
{
    struct span longest = SPAN_UNSET;
    for (size_t i = 0; i < s->episodes_n; i++) {
        const struct episode *e = &s->episodes[i];
        struct span t = span_between(e->impact, e->restored);
        if (e->undo || !span_is_set(e->impact))
            continue;
        if (e->restored.hi == NSEC_INF)
            t.hi = NSEC_INF;
        if (!span_is_set(longest) || t.lo > longest.lo)
            longest = t;
    }
    return longest;
}

static void take_service(struct measured *m, const struct service *service,
                         const struct service_seen *s, struct measured_trial *t)
{
    if (!s || s->outcome == OUTCOME_VOID || s->probes_n == 0)
        return;
    struct measured_service *v = &t->services[t->services_n++];
    *v = (struct measured_service){.name = arena_strdup(m->arena, service->name),
                                   .ttd = s->ttd,
                                   .outage = outage_of(s),
                                   .unaffected = s->outcome == OUTCOME_UNAFFECTED,
                                   .heal = s->by == BY_HEAL};
    memcpy(v->ttr_clock, s->ttr_clock, sizeof v->ttr_clock);
}

static void take(struct measured *m, const struct result *r)
{
    const struct objects *services = &r->scenario->services;
    m->trials = arena_alloc(m->arena, (r->trials_n + 1) * sizeof *m->trials);
    for (size_t i = 0; i < r->trials_n; i++) {
        const struct trial *t = &r->trials[i];
        if (!t->counted || !t->run || t->why_void)
            continue;
        struct measured_trial *to = &m->trials[m->trials_n++];
        *to = (struct measured_trial){
            .n = t->n, .services = arena_alloc(m->arena, (services->n + 1) * sizeof *to->services)};
        for (size_t k = 0; k < services->n; k++)
            take_service(m, services->items[k], result_seen(r, t, services->items[k]), to);
    }
}

int measured_read(const char *dir, struct measured **ret, struct err *err)
{
    AUTO_CLOSE int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0)
        return err_errno(err, errno, "cannot open %s", dir);
    AUTO_JSON *events = NULL;
    struct record_head head;
    size_t torn = 0;
    int rc = record_read(dirfd, "record.ndjson", &events, &head, &torn, err);
    if (rc < 0)
        return err_prefix(err, "%s", dir);
    const json_t *start = json_array_get(events, 0);
    const char *mode = jsonx_str(start, "mode", "");
    if (strcmp(mode, "live") && strcmp(mode, "functional"))
        return err_set(err, EINVAL, "%s is no drill: its mode is '%s'", dir, mode);
    CLEANUP(scenario_free_p) struct scenario *s = NULL;
    CLEANUP(result_free_p) struct result *r = NULL;
    rc = report_scenario(dirfd, dir, start, &s, err);
    if (rc == 0)
        rc = measure_run(s, events, &head, torn, &r, err);
    if (rc < 0)
        return err_prefix(err, "%s", dir);
    struct arena *arena = arena_new();
    struct measured *m = arena_alloc(arena, sizeof *m);
    *m = (struct measured){.arena = arena,
                           .dir = arena_strdup(arena, dir),
                           .name = arena_strdup(arena, s->name),
                           .seed = strtoull(jsonx_str(start, "seed", "0"), NULL, 10)};
    memcpy(m->digest, head.hash, sizeof m->digest);
    take(m, r);
    *ret = m;
    return 0;
}

struct measured *measured_free(struct measured *m)
{
    if (m)
        arena_free(m->arena);
    return NULL;
}
