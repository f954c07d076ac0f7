/* One table says which members a service has, both for writing and for reading. */
#include "sim/forecast/tally_line.h"

#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/forecast/block.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

enum type { COUNT, TOTAL, HISTOGRAM };

struct member {
    const char *name;
    enum type type;
    size_t offset;
};

#define AT(m) offsetof(struct tally_service, m)
static const struct member members[] = {
    {"down", TOTAL, AT(down)},
    {"down_units", TOTAL, AT(down_units.sum)},
    {"down_squares", TOTAL, AT(down_units.squares)},
    {"incidents", TOTAL, AT(incidents.sum)},
    {"incidents_squares", TOTAL, AT(incidents.squares)},
    {"begun_broken", COUNT, AT(incidents_of[TALLY_BROKEN])},
    {"begun_maintained", COUNT, AT(incidents_of[TALLY_MAINTAINED])},
    {"begun_switched", COUNT, AT(incidents_of[TALLY_SWITCHED])},
    {"down_broken", TOTAL, AT(down_of[TALLY_BROKEN])},
    {"down_maintained", TOTAL, AT(down_of[TALLY_MAINTAINED])},
    {"down_switched", TOTAL, AT(down_of[TALLY_SWITCHED])},
    {"incident_lasted", HISTOGRAM, AT(incident_lasted)},
    {"year_down", HISTOGRAM, AT(year_down)},
    {"years_met", TOTAL, AT(years_met.sum)},
    {"years_met_squares", TOTAL, AT(years_met.squares)},
    {"first_down", TOTAL, AT(first_down.sum)},
    {"first_down_squares", TOTAL, AT(first_down.squares)},
    {"missions_down", COUNT, AT(missions_down)},
    {"missions_ending_down", COUNT, AT(missions_ending_down)},
    {"lost", TOTAL, AT(lost)},
};

/* -- writing -- */

static json_t *total_json(tally_wide v)
{
    char text[48];
    block_total_text((outcome_total)v, text);
    return json_string(text);
}

/* NULL: nothing in it but zeros. */
static json_t *histogram_json(const struct histogram *h, bool with_zeros)
{
    AUTO_BUF bins = BUF_INIT;
    for (size_t i = with_zeros ? 0 : 1; i < h->n; i++)
        if (h->bins[i])
            buf_printf(&bins, "%s%zu:%" PRIu64, bins.len ? " " : "", i, h->bins[i]);
    if (bins.len == 0)
        return NULL;
    return json_pack("{s:I,s:I,s:s}", "least", (json_int_t)h->least, "most", (json_int_t)h->most,
                     "bins", buf_text(&bins));
}

static json_t *member_json(const struct tally_service *s, const struct member *m)
{
    const void *at = (const char *)s + m->offset;
    uint64_t count;
    tally_wide total;
    switch (m->type) {
    case COUNT:
        memcpy(&count, at, sizeof count);
        return count ? json_integer((json_int_t)count) : NULL;
    case TOTAL:
        memcpy(&total, at, sizeof total);
        return total ? total_json(total) : NULL;
    case HISTOGRAM:
        break;
    }
    return histogram_json(at, m->offset != AT(year_down));
}

static json_t *services_json(const struct tally *t, const struct catalogue *c)
{
    json_t *services = json_object();
    for (size_t i = 0; i < t->services_n; i++) {
        json_t *service = json_object();
        for (size_t k = 0; k < ARRAY_SIZE(members); k++) {
            json_t *v = member_json(&t->services[i], &members[k]);
            if (v)
                json_object_set_new(service, members[k].name, v);
        }
        if (json_object_size(service))
            json_object_set_new(services, c->services[i].name, service);
        else
            json_decref(service);
    }
    return services;
}

static json_t *blames_json(const struct tally *t, const struct catalogue *c)
{
    size_t n;
    AUTO_FREE struct tally_blame *all = tally_blames(t, &n);
    json_t *services = json_object();
    for (size_t i = 0; i < n; i++) {
        const char *name = c->services[all[i].service].name;
        json_t *service = json_object_get(services, name);
        if (!service) {
            service = json_object();
            json_object_set_new(services, name, service);
        }
        json_object_set_new(
            service, c->components[all[i].component].name,
            json_pack("[I,o]", (json_int_t)all[i].incidents, total_json(all[i].down)));
    }
    return services;
}

json_t *tally_line_json(const struct tally *t, const struct catalogue *c, uint64_t first)
{
    json_t *line = json_pack("{s:[I,I],s:I,s:o,s:I,s:I}", "missions", (json_int_t)first,
                             (json_int_t)(first + t->missions - 1), "years", (json_int_t)t->years,
                             "observed", total_json(t->observed), "events", (json_int_t)t->events,
                             "broken", (json_int_t)t->broken);
    json_t *lost = histogram_json(&t->year_lost, true);
    if (lost)
        json_object_set_new(line, "year_lost", lost);
    json_object_set_new(line, "services", services_json(t, c));
    json_object_set_new(line, "blames", blames_json(t, c));
    return line;
}

/* -- reading -- */

static int bad(struct err *err, const char *what)
{
    return err_set(err, EBADMSG, "a block of years has a damaged '%s'", what);
}

static int read_total(const json_t *v, tally_wide *add, const char *what, struct err *err)
{
    outcome_total total;
    const char *text = json_string_value(v);
    if (!text || block_total(text, &total) < 0 || total < 0)
        return bad(err, what);
    *add += (tally_wide)total;
    return 0;
}

static int read_histogram(const json_t *v, struct histogram *add, const char *what, struct err *err)
{
    struct histogram h = {0};
    int64_t least = jsonx_int(v, "least", -1), most = jsonx_int(v, "most", -1);
    const char *p = jsonx_str(v, "bins", "");
    int r = least < 0 || most < least ? bad(err, what) : 0;
    while (r == 0 && *p) {
        char *end;
        uint64_t bin = strtoull(p, &end, 10), lo, hi;
        uint64_t count = *end == ':' ? strtoull(end + 1, &end, 10) : 0;
        if (bin > 2048 || count == 0 || (*end && *end != ' ')) {
            r = bad(err, what);
            break;
        }
        histogram_bin((size_t)bin, &lo, &hi);
        histogram_add_times(&h, lo, count);
        p = *end ? end + 1 : end;
    }
    if (r == 0 && h.count) { /* bins know their ends only roughly */
        h.least = (uint64_t)least;
        h.most = (uint64_t)most;
        histogram_merge(add, &h);
    }
    histogram_done(&h);
    return r;
}

static int read_member(const json_t *v, const struct member *m, struct tally_service *s,
                       struct err *err)
{
    void *at = (char *)s + m->offset;
    tally_wide total;
    uint64_t count;
    switch (m->type) {
    case COUNT:
        if (!json_is_integer(v) || json_integer_value(v) < 0)
            return bad(err, m->name);
        memcpy(&count, at, sizeof count);
        count += (uint64_t)json_integer_value(v);
        memcpy(at, &count, sizeof count);
        return 0;
    case TOTAL:
        memcpy(&total, at, sizeof total);
        if (read_total(v, &total, m->name, err) < 0)
            return -EBADMSG;
        memcpy(at, &total, sizeof total);
        return 0;
    case HISTOGRAM:
        break;
    }
    return read_histogram(v, at, m->name, err);
}

static size_t service_index(const struct catalogue *c, const char *name, size_t from)
{
    for (size_t i = 0; i < c->services_n; i++) {
        size_t k = (from + i) % c->services_n;
        if (!strcmp(c->services[k].name, name))
            return k;
    }
    return CATALOGUE_NONE;
}

static size_t component_index(const struct catalogue *c, const char *name)
{
    for (size_t i = 0; i < c->components_n; i++)
        if (!strcmp(c->components[i].name, name))
            return i;
    return CATALOGUE_NONE;
}

static int read_services(const json_t *services, const struct catalogue *c, struct tally *t,
                         struct err *err)
{
    const char *name;
    json_t *service;
    size_t at = 0;
    json_object_foreach ((json_t *)(uintptr_t)services, name, service) {
        at = service_index(c, name, at);
        if (at == CATALOGUE_NONE)
            return err_set(err, EBADMSG, "a block of years knows '%s', which is no service", name);
        for (size_t k = 0; k < ARRAY_SIZE(members); k++) {
            const json_t *v = json_object_get(service, members[k].name);
            int r = v ? read_member(v, &members[k], &t->services[at], err) : 0;
            if (r < 0)
                return r;
        }
    }
    return 0;
}

static int read_blames(const json_t *services, const struct catalogue *c, struct tally *t,
                       struct err *err)
{
    const char *name, *component;
    json_t *blames, *v;
    size_t s = 0;
    json_object_foreach ((json_t *)(uintptr_t)services, name, blames) {
        s = service_index(c, name, s);
        if (s == CATALOGUE_NONE)
            return bad(err, "blames");
        json_object_foreach (blames, component, v) {
            size_t i = component_index(c, component);
            json_int_t incidents = json_integer_value(json_array_get(v, 0));
            if (i == CATALOGUE_NONE || incidents < 1)
                return bad(err, "blames");
            struct tally_blame *b = tally_blame_times(t, s, i, (uint64_t)incidents);
            int r = read_total(json_array_get(v, 1), &b->down, "blames", err);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

int tally_line_read(const json_t *line, const struct catalogue *c, struct tally *t,
                    uint64_t *ret_first, uint64_t *ret_last, struct err *err)
{
    const json_t *missions = json_object_get(line, "missions");
    json_int_t first = json_integer_value(json_array_get(missions, 0)),
               last = json_integer_value(json_array_get(missions, 1));
    int64_t years = jsonx_int(line, "years", -1), events = jsonx_int(line, "events", -1),
            broken = jsonx_int(line, "broken", -1);
    if (first < 1 || last < first || years < 0 || events < 0 || broken < 0)
        return bad(err, "missions");
    AUTO_FREE uint64_t *before = calloc(c->services_n + 1, sizeof *before);
    if (!before)
        abort();
    for (size_t i = 0; i < c->services_n; i++)
        before[i] = t->services[i].year_down.count;
    int r = read_total(json_object_get(line, "observed"), &t->observed, "observed", err);
    const json_t *lost = json_object_get(line, "year_lost");
    if (r == 0 && lost)
        r = read_histogram(lost, &t->year_lost, "year_lost", err);
    if (r == 0)
        r = read_services(json_object_get(line, "services"), c, t, err);
    if (r == 0)
        r = read_blames(json_object_get(line, "blames"), c, t, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < c->services_n; i++) {
        uint64_t told = t->services[i].year_down.count - before[i];
        if (told > (uint64_t)years)
            return bad(err, "year_down");
        histogram_add_times(&t->services[i].year_down, 0, (uint64_t)years - told);
    }
    t->missions += (uint64_t)(last - first + 1);
    t->years += (uint64_t)years;
    t->events += (uint64_t)events;
    t->broken += (uint64_t)broken;
    *ret_first = (uint64_t)first;
    *ret_last = (uint64_t)last;
    return 0;
}
