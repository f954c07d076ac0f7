/* From the record of years to what it came to. See outlook.h. */
#include "reports/outlook.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/forecast.h"
#include "reports/sentence.h"
#include "sim/base/jsonx.h"
#include "sim/forecast/tally_line.h"

#define YEAR_HOURS 8760.0
#define HOUR_NS 3.6e12
#define CASCADES_MOST 1000

struct outlook *outlook_free(struct outlook *o)
{
    if (!o)
        return NULL;
    for (size_t i = 0; i < o->singles_n; i++)
        free(o->singles[i].services);
    free(o->singles);
    free(o->cascades);
    free(o->findings);
    tally_done(&o->tally);
    json_decref(o->start);
    estate_free(o->estate);
    arena_free(o->arena);
    free(o);
    return NULL;
}

double outlook_budget(double sla)
{
    return (1 - sla) * YEAR_HOURS;
}

/* ---- reading ---- */

struct reading {
    struct outlook *o;
    uint64_t next; /* mission */
    bool ended;
};

static int read_start(struct outlook *o, const json_t *e, struct err *err)
{
    const json_t *shard = json_object_get(e, "shard");
    if (shard)
        return err_set(err, EINVAL,
                       "this is part %" PRId64 " of %" PRId64
                       " of a forecast: name all parts together, blackstart report DIR DIR…",
                       (int64_t)json_integer_value(json_array_get(shard, 0)),
                       (int64_t)json_integer_value(json_array_get(shard, 1)));
    int64_t missions = jsonx_int(e, "trials", 0), years = jsonx_int(e, "years", 0);
    if (strcmp(jsonx_str(e, "question", ""), "years") != 0 || missions < 1 || years < 1)
        return err_set(err, EBADMSG, "this is not the record of a forecast of years");
    o->start = json_deep_copy(e);
    o->planned = (uint64_t)missions;
    o->years = (uint64_t)years;
    return 0;
}

static int read_block(struct reading *r, const json_t *e, struct err *err)
{
    uint64_t first, last;
    int rc = tally_line_read(e, r->o->catalogue, &r->o->tally, &first, &last, err);
    if (rc < 0)
        return rc;
    if (first != r->next || last > r->o->planned)
        return err_set(err, EBADMSG,
                       "trials %" PRIu64 " to %" PRIu64 " stand where trial %" PRIu64
                       " was expected",
                       first, last, r->next);
    r->next = last + 1;
    return 0;
}

static void read_pair(const json_t *e, const char *name, double pair[2])
{
    const json_t *v = json_object_get(e, name);
    for (size_t i = 0; i < 2; i++)
        pair[i] = json_number_value(json_array_get(v, i));
}

static int read_rare(struct outlook *o, const json_t *e, struct err *err)
{
    const char *name = jsonx_str(e, "service", ""), *refused = jsonx_str(e, "refused", NULL);
    for (size_t i = 0; i < o->services_n; i++) {
        struct outlook_rare *r = &o->services[i].rare;
        if (strcmp(o->services[i].service->name, name) != 0)
            continue;
        r->asked = true;
        r->refused = refused ? arena_strdup(o->arena, refused) : NULL;
        r->cycles = (uint64_t)jsonx_int(e, "cycles", 0);
        r->hits = (uint64_t)jsonx_int(e, "hits", 0);
        r->effective = json_number_value(json_object_get(e, "effective"));
        read_pair(e, "unavailability", r->unavailability);
        read_pair(e, "rate", r->rate);
        read_pair(e, "first_down", r->first_down);
        return 0;
    }
    return err_set(err, EBADMSG, "'%s' is no service", name);
}

static void read_end(struct reading *r, const json_t *e)
{
    struct outlook *o = r->o;
    const char *reason = jsonx_str(e, "reason", NULL);
    r->ended = true;
    o->status = forecast_status(e);
    o->status_reason = reason ? arena_strdup(o->arena, reason) : NULL;
}

static int read_line(const json_t *e, const char *line, size_t n, void *data, struct err *err)
{
    struct reading *r = data;
    const char *kind = jsonx_str(e, "kind", "");
    int rc = 0;
    if (!r->o->start)
        rc = read_start(r->o, e, err);
    else if (strcmp(kind, "years") == 0)
        rc = read_block(r, e, err);
    else if (strcmp(kind, "rare") == 0)
        rc = read_rare(r->o, e, err);
    else if (strcmp(kind, "run-end") == 0)
        read_end(r, e);
    if (rc < 0)
        return err_prefix(err, "record.ndjson, line %" PRId64, jsonx_int(e, "seq", 0) + 1);
    return 0;
}

/* ---- figures ---- */

static struct stats_interval around(struct tally_mean m, uint64_t missions, double scale)
{
    double half = stats_t_quantile(0.975, (double)(missions - 1)) * m.se, lo = m.mean - half;
    return (struct stats_interval){(lo > 0 ? lo : 0) * scale, (m.mean + half) * scale};
}

/* Of years in which the contract is kept. Years of one mission hang together, so that a mission counts as
 * one observation, whatever the number of its years. */
static void judge_contract(const struct outlook *o, struct outlook_service *s)
{
    const struct demonstrate *ask = o->scenario->demonstrate;
    double years = (double)o->tally.years, n = (double)o->tally.missions;
    s->asked = ask ? ask->reliability : OUTLOOK_SHARE;
    s->budget = outlook_budget(s->service->sla);
    s->used = s->unavailability * YEAR_HOURS;
    s->kept = years > 0 ? (double)s->tally->years_met.sum / years : 0;
    s->kept_in.lo = stats_share((size_t)floor(s->kept * n), (size_t)n, 0.95).lo;
    s->kept_in.hi = stats_share((size_t)ceil(s->kept * n), (size_t)n, 0.95).hi;
    s->verdict = s->kept_in.lo >= s->asked  ? VERDICT_MET
                 : s->kept_in.hi < s->asked ? VERDICT_NOT_MET
                                            : VERDICT_NOT_DEMONSTRATED;
    if (o->status != STATUS_COMPLETED && s->verdict == VERDICT_MET)
        s->verdict = VERDICT_INCONCLUSIVE;
}

static void figure(const struct outlook *o, size_t i)
{
    struct outlook_service *s = &o->services[i];
    uint64_t n = o->tally.missions;
    double years = (double)o->tally.observed / (double)TALLY_YEAR;
    s->tally = &o->tally.services[i];
    s->incidents = (uint64_t)s->tally->incidents.sum;
    struct tally_mean u = tally_unavailability(&o->tally, i), rate = tally_rate(&o->tally, i);
    s->unavailability = u.mean;
    s->per_year = rate.mean;
    s->unavailability_in = (struct stats_interval){(double)NAN, (double)NAN};
    if (s->incidents >= OUTLOOK_INCIDENTS && n >= 8) {
        s->unavailability_in = around(u, n, 1);
        s->per_year_in = around(rate, n, 1);
    } else {
        struct stats_interval k = stats_count((size_t)s->incidents, 0.95);
        s->per_year_in = (struct stats_interval){k.lo / years, k.hi / years};
    }
    s->verdict = VERDICT_NOT_APPLICABLE;
    if (s->service->sla > 0)
        judge_contract(o, s);
}

static int worst_cascade(const void *a, const void *b)
{
    const struct outlook_cascade *x = a, *y = b;
    if (x->hours_per_year != y->hours_per_year)
        return x->hours_per_year < y->hours_per_year ? 1 : -1;
    return x->service != y->service ? (x->service < y->service ? -1 : 1)
                                    : (x->component < y->component ? -1 : 1);
}

static void find_cascades(struct outlook *o)
{
    size_t n;
    AUTO_FREE struct tally_blame *all = tally_blames(&o->tally, &n);
    double years = (double)o->tally.observed / (double)TALLY_YEAR;
    o->cascades_n = n < CASCADES_MOST ? n : CASCADES_MOST;
    o->cascades = calloc(n + 1, sizeof *o->cascades);
    if (!o->cascades)
        abort();
    for (size_t i = 0; i < o->cascades_n; i++)
        o->cascades[i] = (struct outlook_cascade){
            .component = all[i].component,
            .service = all[i].service,
            .per_year = (double)all[i].incidents / years,
            .hours_per_year = (double)all[i].down / HOUR_NS / years,
            .share = (double)all[i].down / (double)o->tally.services[all[i].service].down};
    qsort(o->cascades, o->cascades_n, sizeof *o->cascades, worst_cascade);
}

static int worst_single(const void *a, const void *b)
{
    const struct outlook_single *x = a, *y = b;
    if (x->hours_per_year != y->hours_per_year)
        return x->hours_per_year < y->hours_per_year ? 1 : -1;
    return x->component < y->component ? -1 : x->component > y->component;
}

static void find_singles(struct outlook *o)
{
    const struct catalogue *c = o->catalogue;
    AUTO_FREE bool *down = calloc(c->services_n + 1, sizeof *down);
    o->singles = calloc(c->components_n + 1, sizeof *o->singles);
    if (!down || !o->singles)
        abort();
    for (size_t i = 0; i < c->components_n; i++) {
        if (!c->components[i].fails)
            continue;
        size_t n = catalogue_single(c, i, down), k = 0;
        if (n == 0)
            continue;
        struct outlook_single *s = &o->singles[o->singles_n++];
        *s = (struct outlook_single){.component = i, .services_n = n};
        s->services = calloc(n, sizeof *s->services);
        if (!s->services)
            abort();
        for (size_t j = 0; j < c->services_n; j++)
            if (down[j])
                s->services[k++] = j;
        for (size_t j = 0; j < o->cascades_n; j++)
            if (o->cascades[j].component == i)
                s->hours_per_year += o->cascades[j].hours_per_year;
    }
    qsort(o->singles, o->singles_n, sizeof *o->singles, worst_single);
}

static void find(struct outlook *o, const char *code, enum weight weight,
                 const struct service *service, const struct buf *text)
{
    if (o->findings_n == o->findings_room) {
        o->findings_room = o->findings_room ? 2 * o->findings_room : 16;
        o->findings = reallocarray(o->findings, o->findings_room, sizeof *o->findings);
        if (!o->findings)
            abort();
    }
    o->findings[o->findings_n++] =
        (struct outlook_finding){code, weight, service, arena_strdup(o->arena, buf_text(text))};
}

static void find_for(struct outlook *o, struct outlook_service *s)
{
    AUTO_BUF text = BUF_INIT;
    const char *name = s->service->name;
    bool rare = s->rare.asked && !s->rare.refused;
    if (s->never) {
        buf_printf(
            &text,
            "Nothing that takes %s down ever fails in this model, so it was never down: that "
            "says nothing of the service",
            name);
        find(o, "never_down", WEIGHT_WARNING, s->service, &text);
        return;
    }
    if (s->rare.refused) {
        buf_printf(&text, "Rare incidents of %s could not be estimated: %s", name, s->rare.refused);
        find(o, "rare_refused", WEIGHT_WARNING, s->service, &text);
    }
    if (s->incidents < OUTLOOK_INCIDENTS && !rare) {
        buf_clear(&text);
        buf_printf(&text,
                   "%s had %" PRIu64
                   " incidents in all simulated years, too few for an interval of "
                   "its availability: ask for --rare, or for more --trials",
                   name, s->incidents);
        find(o, "few_incidents", WEIGHT_WARNING, s->service, &text);
    }
    if (s->service->sla > 0 && s->used > s->budget) {
        buf_clear(&text);
        buf_printf(&text, "%s is down for ", name);
        outlook_hours(s->used, &text);
        buf_adds(&text, " of a mean year; its contract leaves ");
        outlook_hours(s->budget, &text);
        find(o, "budget_spent", WEIGHT_FAILURE, s->service, &text);
    }
}

static void find_all(struct outlook *o)
{
    for (size_t i = 0; i < o->services_n; i++)
        find_for(o, &o->services[i]);
    for (size_t i = 0; i < o->singles_n && i < 10; i++) {
        AUTO_BUF text = BUF_INIT;
        const struct outlook_single *s = &o->singles[i];
        buf_printf(&text, "%s alone takes down ", o->catalogue->components[s->component].name);
        for (size_t k = 0; k < s->services_n && k < 5; k++)
            buf_printf(&text, "%s%s", k ? ", " : "", o->services[s->services[k]].service->name);
        if (s->services_n > 5)
            buf_printf(&text, " and %zu more", s->services_n - 5);
        find(o, "single_point", WEIGHT_NOTE, NULL, &text);
    }
}

static void find_never(struct outlook *o)
{
    AUTO_FREE bool *down = calloc(o->services_n + 1, sizeof *down);
    if (!down)
        abort();
    catalogue_worst(o->catalogue, down);
    for (size_t i = 0; i < o->services_n; i++)
        o->services[i].never = !down[i];
}

static void conclude(struct outlook *o)
{
    double years = (double)o->tally.years;
    tally_wide lost = 0;
    for (size_t i = 0; i < o->services_n; i++) {
        struct outlook_service *s = &o->services[i];
        figure(o, i);
        lost += s->tally->lost;
        o->priced |= s->service->costs != NULL;
        if (s->verdict > o->verdict)
            o->verdict = s->verdict;
    }
    o->lost_per_year = years > 0 ? (double)lost / 100 / years : 0;
    if (o->verdict == VERDICT_NOT_APPLICABLE) /* no contract: figures, and nothing to be judged */
        o->verdict = VERDICT_INCONCLUSIVE;
    find_cascades(o);
    find_singles(o);
    find_never(o);
    find_all(o);
}

static int new_outlook(const struct scenario *scenario, struct outlook **ret, struct err *err)
{
    CLEANUP(outlook_free_p) struct outlook *o = calloc(1, sizeof *o);
    if (!o)
        abort();
    o->arena = arena_new();
    o->scenario = scenario;
    int rc = estate_new(scenario, &o->estate, err);
    if (rc < 0)
        return rc;
    o->catalogue = estate_catalogue(o->estate);
    o->tally = tally_new(o->catalogue->services_n);
    o->services_n = scenario->services.n;
    o->services = arena_alloc(o->arena, (o->services_n + 1) * sizeof *o->services);
    for (size_t i = 0; i < o->services_n; i++)
        o->services[i].service = scenario->services.items[i];
    o->left_out = estate_left_out(scenario, o->arena);
    *ret = steal_ptr(o);
    return 0;
}

int outlook_read(int dirfd, const struct scenario *scenario, struct outlook **ret, struct err *err)
{
    CLEANUP(outlook_free_p) struct outlook *o = NULL;
    int rc = new_outlook(scenario, &o, err);
    struct reading r = {.o = o, .next = 1};
    if (rc == 0)
        rc = record_scan(dirfd, "record.ndjson", read_line, &r, &o->head, &o->torn, err);
    if (rc < 0)
        return rc;
    if (!r.ended) {
        o->status = STATUS_FAILED;
        o->status_reason = "the record has no end: its writer was killed";
    } else if (o->status == STATUS_COMPLETED && o->tally.missions != o->planned) {
        return err_set(err, EBADMSG,
                       "record.ndjson says completed, and has %" PRIu64 " of %" PRIu64 " trials",
                       o->tally.missions, o->planned);
    }
    if (o->tally.missions == 0)
        return err_set(err, EBADMSG, "not one block of years was finished");
    conclude(o);
    *ret = steal_ptr(o);
    return 0;
}

int outlook_exit_code(const struct outlook *o)
{
    if (o->status != STATUS_COMPLETED)
        return 5;
    return o->verdict == VERDICT_MET ? 0 : o->verdict == VERDICT_NOT_MET ? 1 : 4;
}
