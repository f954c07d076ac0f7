/* Tables and sentences of what was found out about a forecast. */
#include "reports/forecast_why.h"

#include <math.h>
#include <string.h>

#include "reports/sentence.h"
#include "sim/base/jsonx.h"
#include "sim/base/text.h"

#define TABLES_MOST 96
#define ROWS_MOST 64

struct writer {
    const struct forecast *f;
    struct why_table *tables;
    size_t n;
};

/* ---- reading ---- */

const json_t *forecast_analysis(const struct forecast *f, const char *what, const json_t *after)
{
    bool passed = !after;
    size_t i;
    json_t *line;
    json_array_foreach (f->analyses, i, line) {
        if (passed && !strcmp(jsonx_str(line, "what", ""), what))
            return line;
        passed = passed || line == after;
    }
    return NULL;
}

struct estimate forecast_estimate(const json_t *j)
{
    if (json_array_size(j) != 3)
        return ESTIMATE_NONE;
    return (struct estimate){json_number_value(json_array_get(j, 0)),
                             json_number_value(json_array_get(j, 1)),
                             json_number_value(json_array_get(j, 2))};
}

static struct estimate estimate_in(const json_t *o, const char *a, const char *b)
{
    const json_t *j = json_object_get(o, a);
    return forecast_estimate(b ? json_object_get(j, b) : j);
}

struct estimate forecast_assumed(const struct forecast *f, const char *service)
{
    const json_t *line = forecast_analysis(f, "assumptions", NULL);
    return estimate_in(json_object_get(json_object_get(line, "services"), service), "within", NULL);
}

static double number_in(const json_t *o, const char *key)
{
    const json_t *j = json_object_get(o, key);
    return json_is_number(j) ? json_number_value(j) : (double)NAN;
}

/* ---- cells ---- */

static struct why_table *table_new(struct writer *w, const char *title, const char *hint,
                                   const char *const *heads, size_t columns)
{
    if (w->n == TABLES_MOST)
        w->n--; /* the last one is written over: nobody reads so many */
    struct why_table *t = &w->tables[w->n++];
    *t =
        (struct why_table){.title = title,
                           .hint = hint,
                           .heads = heads,
                           .columns = columns,
                           .words = 1,
                           .cells = arena_alloc(w->f->arena, ROWS_MOST * columns * sizeof(char *))};
    return t;
}

static char *keep(const struct forecast *f, const struct buf *b)
{
    return arena_strdup(f->arena, buf_text(b));
}

static void put(const struct forecast *f, struct why_table *t, size_t column, const struct buf *b)
{
    t->cells[t->rows * t->columns + column] = keep(f, b);
}

/* False when it is full. */
static bool row_done(const struct forecast *f, struct why_table *t)
{
    for (size_t c = 0; c < t->columns; c++)
        if (!t->cells[t->rows * t->columns + c])
            t->cells[t->rows * t->columns + c] = arena_strdup(f->arena, "");
    return ++t->rows < ROWS_MOST;
}

static void put_text(const struct forecast *f, struct why_table *t, size_t column, const char *text)
{
    t->cells[t->rows * t->columns + column] = arena_strdup(f->arena, text ? text : "");
}

/* Of an estimate that chance may have put outside. */
static double percent_of(double share)
{
    return fmin(100, fmax(0, 100 * share));
}

/* "31 % (28–34)": an estimate of a share. */
static void share_text(struct estimate e, struct buf *out)
{
    if (isnan(e.value)) {
        buf_adds(out, "–");
        return;
    }
    double wide = 100 * (e.hi - e.lo);
    int places = wide < 0.2 ? 2 : wide < 2 ? 1 : 0;
    buf_printf(out, "%.*f %%", places, percent_of(e.value));
    if (wide > 0)
        buf_printf(out, " (%.*f to %.*f)", places, percent_of(e.lo), places, percent_of(e.hi));
}

void forecast_points(struct estimate e, int places, struct buf *out)
{
    const double step = pow(10, places), v[] = {e.value, e.lo, e.hi};
    static const char *const between[] = {"", " points (", " to "};
    for (size_t i = 0; i < 3; i++) {
        double shown = rint(100 * v[i] * step) / step;
        buf_printf(out, "%s%+.*f", between[i], places, shown == 0 ? 0 : shown); /* no -0.0 */
    }
    buf_addc(out, ')');
}

static void points_text(struct estimate e, struct buf *out)
{
    if (isnan(e.value)) {
        buf_adds(out, "–");
        return;
    }
    int places = 100 * (e.hi - e.lo) < 0.5 ? 2 : 1;
    forecast_points(e, places, out);
}

static void put_share(const struct forecast *f, struct why_table *t, size_t column,
                      struct estimate e)
{
    AUTO_BUF text = BUF_INIT;
    share_text(e, &text);
    put(f, t, column, &text);
}

/* Seconds, "never", or nothing. */
static void time_text(const json_t *j, struct buf *out)
{
    if (json_is_string(j))
        buf_adds(out, "never");
    else if (json_is_number(j))
        sentence_time((nsec)llround(json_number_value(j) * 1e9), out);
    else
        buf_adds(out, "–");
}

static void put_time(const struct forecast *f, struct why_table *t, size_t column, const json_t *j)
{
    AUTO_BUF text = BUF_INIT;
    time_text(j, &text);
    put(f, t, column, &text);
}

static void percent_or_dash(double v, struct buf *out)
{
    if (isnan(v))
        buf_adds(out, "–");
    else
        buf_printf(out, "%.1f %%", 100 * v);
}

/* ---- luck ---- */

/* "51 % alone, 63 % with others" */
static void index_text(struct estimate first, struct estimate total, struct buf *out)
{
    if (isnan(first.value)) {
        buf_adds(out, "–");
        return;
    }
    buf_printf(out, "%.0f %% ±%.0f; %.0f %% ±%.0f", percent_of(first.value),
               50 * (first.hi - first.lo), percent_of(total.value), 50 * (total.hi - total.lo));
}

static void luck_row(const struct forecast *f, struct why_table *t, const char *service,
                     const json_t *part)
{
    AUTO_BUF name = BUF_INIT, time = BUF_INIT, path = BUF_INIT, ttr = BUF_INIT, miss = BUF_INIT;
    struct estimate on = estimate_in(part, "on_path", NULL);
    forecast_quantity(jsonx_str(part, "name", "?"), service, &name);
    put(f, t, 0, &name);
    percent_or_dash(number_in(part, "time_share"), &time);
    put(f, t, 1, &time);
    percent_or_dash(on.value, &path);
    put(f, t, 2, &path);
    index_text(estimate_in(part, "first", "ttr"), estimate_in(part, "total", "ttr"), &ttr);
    put(f, t, 3, &ttr);
    index_text(estimate_in(part, "first", "missed"), estimate_in(part, "total", "missed"), &miss);
    put(f, t, 4, &miss);
    put_share(f, t, 5, estimate_in(part, "no_time", "missed"));
    put_share(f, t, 6, estimate_in(part, "sure", "missed"));
}

/* Quantities that have no part in it are left out. */
static bool matters(const json_t *part)
{
    struct estimate total = estimate_in(part, "total", "ttr"),
                    miss = estimate_in(part, "total", "missed"),
                    on = estimate_in(part, "on_path", NULL);
    return on.value > 0.0005 || total.value > 0.0005 || miss.value > 0.0005;
}

static void luck(struct writer *w)
{
    static const char *const heads[] = {"",
                                        "of the time",
                                        "on the critical path",
                                        "of the time's variation",
                                        "of the misses' variation",
                                        "missed, if it took no time",
                                        "missed, if it never failed"};
    const struct forecast *f = w->f;
    const json_t *line = forecast_analysis(f, "luck", NULL);
    const char *name;
    json_t *s, *part;
    size_t i;
    json_object_foreach (json_object_get(line, "services"), name, s) {
        AUTO_BUF missed = BUF_INIT, rest = BUF_INIT, rest_miss = BUF_INIT;
        struct estimate m = estimate_in(s, "missed", NULL);
        if (isnan(estimate_in(s, "interaction", "ttr").value))
            continue;
        if (isnan(m.value))
            buf_adds(&missed, "never: nothing is promised");
        else
            share_text(m, &missed);
        struct why_table *t = table_new(
            w, arena_printf(f->arena, "Where the luck of %s comes from", name),
            arena_printf(
                f->arena,
                "Over %lld trials; missed as things are: %s. Of the variation: what is gone once "
                "this alone is known, then what stays when all else is known; ± half of a 95 %% "
                "interval. What chance puts below 0 or above 100 %% is shown as that (result.json "
                "has "
                "it as it came). Nothing is made to add up: what is left is interaction.",
                (long long)jsonx_int(line, "trials", 0), buf_text(&missed)),
            heads, ARRAY_SIZE(heads));
        json_array_foreach (json_object_get(s, "parts"), i, part) {
            if (!matters(part))
                continue;
            luck_row(f, t, name, part);
            if (!row_done(f, t))
                break;
        }
        if (t->rows == ROWS_MOST)
            continue;
        put_text(f, t, 0, "interaction");
        share_text(estimate_in(s, "interaction", "ttr"), &rest);
        put(f, t, 3, &rest);
        share_text(estimate_in(s, "interaction", "missed"), &rest_miss);
        put(f, t, 4, &rest_miss);
        row_done(f, t);
    }
}

/* ---- assumptions ---- */

static void change_text(const json_t *from, const json_t *to, const char *what, struct buf *out)
{
    double x = number_in(from, what), y = number_in(to, what);
    if (isnan(x) || isnan(y)) {
        buf_adds(out, "–");
        return;
    }
    if (!strcmp(what, "within"))
        buf_printf(out, "%.1f → %.1f %%", 100 * x, 100 * y);
    else
        buf_printf(out, "%.4g → %.4g s", x, y);
}

static void put_change(const struct forecast *f, struct why_table *t, size_t column,
                       const json_t *from, const json_t *to, const char *what)
{
    AUTO_BUF text = BUF_INIT;
    change_text(from, to, what, &text);
    put(f, t, column, &text);
}

static void group_row(const struct forecast *f, struct why_table *t, const json_t *group,
                      const json_t *named)
{
    AUTO_BUF range = BUF_INIT, within = BUF_INIT, ttr = BUF_INIT;
    size_t i;
    json_t *p;
    json_array_foreach (json_object_get(named, "parameters"), i, p)
        buf_printf(&range, "%s%s to %s", i ? "; " : "", jsonx_str(p, "low", "?"),
                   jsonx_str(p, "high", "?"));
    put_text(f, t, 0, jsonx_str(named, "name", "?"));
    put(f, t, 1, &range);
    index_text(estimate_in(group, "first", "within"), estimate_in(group, "total", "within"),
               &within);
    put(f, t, 2, &within);
    index_text(estimate_in(group, "first", "ttr"), estimate_in(group, "total", "ttr"), &ttr);
    put(f, t, 3, &ttr);
    put_change(f, t, 4, json_object_get(group, "low"), json_object_get(group, "high"), "within");
    put_change(f, t, 5, json_object_get(group, "low"), json_object_get(group, "high"), "ttr_s");
}

static void assumptions(struct writer *w)
{
    static const char *const heads[] = {"",
                                        "assumed",
                                        "of what is open about P(within)",
                                        "of what is open about the mean time",
                                        "within, from end to end",
                                        "mean time, from end to end"};
    const struct forecast *f = w->f;
    const json_t *line = forecast_analysis(f, "assumptions", NULL);
    const char *name;
    json_t *s, *group;
    size_t i;
    json_object_foreach (json_object_get(line, "services"), name, s) {
        AUTO_BUF within = BUF_INIT;
        share_text(estimate_in(s, "within", NULL), &within);
        struct why_table *t = table_new(
            w, arena_printf(f->arena, "What is assumed about %s", name),
            arena_printf(f->arena,
                         "Over %lld draws from the ranges, %lld trials each: within its promise in "
                         "%s of trials, the median and what 95 %% of the draws span. Ends: the "
                         "others in the middle of theirs. Parameters of one distribution are "
                         "together.",
                         (long long)jsonx_int(line, "draws", 0),
                         (long long)jsonx_int(line, "trials", 0), buf_text(&within)),
            heads, ARRAY_SIZE(heads));
        t->words = 2;
        json_array_foreach (json_object_get(s, "groups"), i, group) {
            group_row(f, t, group, json_array_get(json_object_get(line, "groups"), i));
            if (!row_done(f, t))
                break;
        }
    }
}

static void lever(struct writer *w)
{
    static const char *const heads[] = {"", "assumed", "within, a quarter less → more",
                                        "mean time, a quarter less → more"};
    const struct forecast *f = w->f;
    const json_t *line = forecast_analysis(f, "lever", NULL);
    const char *name;
    json_t *s, *one;
    size_t i;
    json_object_foreach (json_object_get(line, "services"), name, s) {
        struct why_table *t = table_new(
            w, arena_printf(f->arena, "If %s's assumptions were a quarter off", name),
            "No range is given for any of them, so nothing is known of how far they can be off: "
            "each is taken a quarter less and a quarter more, alone; of probabilities, that of "
            "failing.",
            heads, ARRAY_SIZE(heads));
        t->words = 2;
        json_array_foreach (json_object_get(s, "levers"), i, one) {
            const json_t *less = json_object_get(one, "less"), *more = json_object_get(one, "more");
            if (json_equal(less, more))
                continue; /* it has no part in this service */
            put_text(f, t, 0, jsonx_str(one, "name", "?"));
            put_text(f, t, 1, jsonx_str(one, "now", ""));
            put_change(f, t, 2, less, more, "within");
            put_change(f, t, 3, less, more, "ttr_s");
            if (!row_done(f, t))
                break;
        }
        w->n -= t->rows == 0;
    }
}

/* ---- variants and sweeps ---- */

static void numbers_row(const struct forecast *f, struct why_table *t, const json_t *s)
{
    AUTO_BUF change = BUF_INIT, ratio = BUF_INIT, noticed = BUF_INIT, false_alarms = BUF_INIT;
    const json_t *n = json_object_get(s, "noticed"), *mean = json_object_get(s, "ttd_mean_s");
    struct estimate r = estimate_in(s, "ttr_ratio", NULL), e = estimate_in(s, "false_alarm", NULL);
    put_share(f, t, 1, estimate_in(s, "within", NULL));
    points_text(estimate_in(s, "change", NULL), &change);
    put(f, t, 2, &change);
    put_time(f, t, 3, json_object_get(s, "ttr_median_s"));
    if (isnan(r.value))
        buf_adds(&ratio, "–");
    else
        buf_printf(&ratio, "× %.3g (%.3g to %.3g)", r.value, r.lo, r.hi);
    put(f, t, 4, &ratio);
    put_time(f, t, 5, json_object_get(s, "ttr_p90_s"));
    put_time(f, t, 6, mean);
    double of = json_number_value(json_array_get(n, 1));
    percent_or_dash(of > 0 ? json_number_value(json_array_get(n, 0)) / of : (double)NAN, &noticed);
    put(f, t, 7, &noticed);
    share_text(e, &false_alarms);
    put(f, t, 8, &false_alarms);
}

static const char *const compared_heads[] = {"",
                                             "within",
                                             "against as it is",
                                             "half by",
                                             "median against as it is",
                                             "90 % by",
                                             "noticed after, mean",
                                             "noticed",
                                             "trials with a false alarm"};

/* The names of the services of a comparison are those of its first side. */
static void compared(struct writer *w, const json_t *line, const json_t *base, const json_t *others,
                     const char *what, const char *key)
{
    const struct forecast *f = w->f;
    const char *name;
    json_t *s, *one;
    size_t i;
    json_object_foreach (json_object_get(base, "services"), name, s) {
        struct why_table *t = table_new(
            w, arena_printf(f->arena, "%s: %s", what, name),
            arena_printf(f->arena,
                         "%lld trials of each, with the same random numbers, so differences are "
                         "known much better than either side.",
                         (long long)jsonx_int(line, "trials", 0)),
            compared_heads, ARRAY_SIZE(compared_heads));
        put_text(f, t, 0, "as it is");
        numbers_row(f, t, s);
        if (!row_done(f, t))
            continue;
        json_array_foreach (others, i, one) {
            const json_t *its = json_object_get(json_object_get(one, "services"), name);
            if (one == base || !its)
                continue;
            put_text(f, t, 0, jsonx_str(one, "title", jsonx_str(one, key, "?")));
            numbers_row(f, t, its);
            if (!row_done(f, t))
                break;
        }
    }
}

static void comparisons(struct writer *w)
{
    const json_t *line = forecast_analysis(w->f, "variants", NULL),
                 *list = json_object_get(line, "variants");
    if (line)
        compared(w, line, json_array_get(list, 0), list, "Variants", "name");
    for (const json_t *sweep = NULL; (sweep = forecast_analysis(w->f, "sweep", sweep));)
        compared(w, sweep, sweep, json_object_get(sweep, "values"),
                 arena_printf(w->f->arena, "Values of %s", jsonx_str(sweep, "path", "?")), "value");
}

/* ---- drills ---- */

static void held_row(const struct forecast *f, struct why_table *t, const char *service,
                     const char *what, const json_t *h)
{
    AUTO_BUF name = BUF_INIT, above = BUF_INIT, above90 = BUF_INIT, below = BUF_INIT,
             power = BUF_INIT;
    double p = number_in(h, "power_twice"), factor = number_in(h, "factor");
    buf_printf(&name, "%s, %s", service, what);
    put(f, t, 0, &name);
    put_text(f, t, 1, jsonx_str(h, "verdict", "?"));
    put_text(f, t, 2, arena_printf(f->arena, "%lld", (long long)jsonx_int(h, "drills", 0)));
    buf_printf(&above, "%lld (p %.3g)", (long long)jsonx_int(h, "above_median", 0),
               json_number_value(json_object_get(h, "p_above_median")));
    put(f, t, 3, &above);
    buf_printf(&above90, "%lld (p %.3g)", (long long)jsonx_int(h, "above_p90", 0),
               json_number_value(json_object_get(h, "p_above_p90")));
    put(f, t, 4, &above90);
    buf_printf(&below, "%lld (p %.3g)", (long long)jsonx_int(h, "below_median", 0),
               json_number_value(json_object_get(h, "p_below_median")));
    put(f, t, 5, &below);
    percent_or_dash(p, &power);
    if (factor > 0)
        buf_printf(&power, "; %.3g × slower: 80 %%", factor);
    put(f, t, 6, &power);
}

static void against(struct writer *w)
{
    static const char *const heads[] = {"",
                                        "the forecast is",
                                        "trials of drills",
                                        "above its median",
                                        "above its 90 % quantile",
                                        "below its median",
                                        "twice as slow would have been noticed with"};
    static const char *const fit_heads[] = {"", "proposed", "trials", "not seen to end"};
    const struct forecast *f = w->f;
    const json_t *line = forecast_analysis(f, "against", NULL);
    const char *name;
    json_t *s;
    if (!line)
        return;
    struct why_table *t = table_new(
        w, "Held against drills",
        "Exact binomial tests, 5 % in total. A drill whose interval straddles a quantile counts in "
        "favour of the forecast, one that was not seen to end by what was seen. Drills say what "
        "happened in their environment, on their day.",
        heads, ARRAY_SIZE(heads));
    t->words = 2;
    json_object_foreach (json_object_get(line, "services"), name, s) {
        static const char *const keys[] = {"ttr", "ttd"}, *const what[] = {"time to restore",
                                                                           "time to detect"};
        for (size_t i = 0; i < 2; i++) {
            const json_t *h = json_object_get(s, keys[i]);
            if (!json_is_object(h))
                continue;
            held_row(f, t, name, what[i], h);
            if (!row_done(f, t))
                return;
        }
    }
    t = table_new(w, "What the drills would have the model say",
                  "The best of a lognormal, a Weibull and an exponential distribution for what was "
                  "measured, its parameters as the ranges in which they are known at 95 %. Of the "
                  "whole outage: a model by stages says more.",
                  fit_heads, ARRAY_SIZE(fit_heads));
    t->words = 2;
    json_object_foreach (json_object_get(line, "services"), name, s) {
        static const char *const keys[] = {"fit_outage", "fit_ttd"}, *const what[] = {
                                                                         "from impact to restored",
                                                                         "time to detect"};
        for (size_t i = 0; i < 2; i++) {
            const json_t *fit = json_object_get(s, keys[i]);
            if (!json_is_object(fit))
                continue;
            put_text(f, t, 0, arena_printf(f->arena, "%s, %s", name, what[i]));
            put_text(f, t, 1, jsonx_str(fit, "yaml", ""));
            put_text(f, t, 2, arena_printf(f->arena, "%lld", (long long)jsonx_int(fit, "n", 0)));
            put_text(f, t, 3,
                     arena_printf(f->arena, "%lld", (long long)jsonx_int(fit, "censored", 0)));
            if (!row_done(f, t))
                return;
        }
    }
    w->n -= t->rows == 0;
}

size_t forecast_why_tables(const struct forecast *f, const struct why_table **ret)
{
    struct writer w = {.f = f, .tables = arena_alloc(f->arena, TABLES_MOST * sizeof *w.tables)};
    against(&w);
    comparisons(&w);
    luck(&w);
    assumptions(&w);
    lever(&w);
    *ret = w.tables;
    return w.n;
}
