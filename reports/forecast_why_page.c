/* Sentences of what was found out, and its tables as HTML and Markdown. */
#include "reports/forecast_why.h"

#include <math.h>
#include <string.h>

#include "reports/html_part.h"
#include "reports/sentence.h"
#include "sim/base/jsonx.h"
#include "sim/forecast/held.h"

#define SENTENCES_MOST 64

struct sentences {
    const struct forecast *f;
    const char *service; /* of which alone it is told; NULL: of all */
    const char **items;
    size_t n;
};

static bool is_told(const struct sentences *all, const char *service)
{
    return !all->service || !strcmp(all->service, service);
}

static void say(struct sentences *s, const struct buf *b)
{
    if (s->n < SENTENCES_MOST)
        s->items[s->n++] = arena_strdup(s->f->arena, buf_text(b));
}

/* ---- sentences ---- */

static void say_cheapest(struct sentences *all)
{
    const json_t *line = forecast_analysis(all->f, "cheapest", NULL);
    const char *name;
    json_t *s;
    json_object_foreach (json_object_get(line, "services"), name, s) {
        if (!is_told(all, name))
            continue;
        AUTO_BUF text = BUF_INIT;
        double required = 100 * json_number_value(json_object_get(s, "required"));
        struct estimate e = forecast_estimate(json_object_get(s, "within"));
        if (!json_is_true(json_object_get(s, "found"))) {
            buf_printf(&text,
                       "No change of one duration or probability alone would bring %s within its "
                       "promise in %g %% of trials.",
                       name, required);
        } else {
            double change = 100 * json_number_value(json_object_get(s, "change"));
            bool chance = !strcmp(jsonx_str(s, "kind", ""), "chance");
            buf_printf(
                &text,
                "The smallest change that would bring %s within its promise in %g %% of "
                "trials%s: %s %.0f %% %s, %s instead of %s; then %.1f %% (%.1f–%.1f), computed "
                "anew with other random numbers.",
                name, required,
                isnan(forecast_assumed(all->f, name).value)
                    ? ""
                    : ", other assumptions in the middle of their ranges",
                jsonx_str(s, "name", "?"), change, chance ? "less failing" : "shorter",
                jsonx_str(s, "then", "?"), jsonx_str(s, "now", "?"), 100 * e.value,
                floor(1000 * e.lo) / 10, ceil(1000 * e.hi) / 10);
        }
        say(all, &text);
    }
}

static void say_held(struct sentences *all, const char *service, const char *what, const json_t *h)
{
    AUTO_BUF text = BUF_INIT;
    const char *verdict = jsonx_str(h, "verdict", "");
    long long n = (long long)jsonx_int(h, "drills", 0);
    double power = json_number_value(json_object_get(h, "power_twice"));
    if (!json_is_object(h))
        return;
    if (!strcmp(verdict, "too few"))
        buf_printf(&text,
                   "Held against drills, %s of %s: too few, %lld of the %d trials that could "
                   "contradict a forecast.",
                   what, service, n, HELD_LEAST);
    else if (!strcmp(verdict, "not contradicted"))
        buf_printf(&text,
                   "Held against drills, %s of %s: not contradicted by %lld trials; a truth twice "
                   "as slow would have been noticed with probability %s%.0f %%.",
                   what, service, n, power > 0.99 ? "above " : "", power > 0.99 ? 99 : 100 * power);
    else
        buf_printf(&text,
                   "Held against drills, the forecast is %s about %s of %s: %lld of %lld trials "
                   "above its median, %lld above its 90 %% quantile.",
                   verdict, what, service, (long long)jsonx_int(h, "above_median", 0), n,
                   (long long)jsonx_int(h, "above_p90", 0));
    say(all, &text);
}

static void say_drawn(struct sentences *all)
{
    const json_t *drills = json_object_get(forecast_analysis(all->f, "drawn", NULL), "drills");
    long long trials = 0;
    size_t i, n = json_array_size(drills);
    json_t *d;
    AUTO_BUF text = BUF_INIT;
    json_array_foreach (drills, i, d)
        trials += (long long)jsonx_int(d, "trials", 0);
    buf_printf(&text, "The model draws from %lld trials of %zu drill%s:", trials, n,
               n == 1 ? "" : "s");
    json_array_foreach (drills, i, d)
        buf_printf(&text, "%s %s (%.12s…)", i ? "," : "", jsonx_str(d, "dir", "?"),
                   jsonx_str(d, "digest", "?"));
    buf_addc(&text, '.');
    if (n)
        say(all, &text);
}

static void say_against(struct sentences *all)
{
    const json_t *line = forecast_analysis(all->f, "against", NULL);
    const char *name;
    json_t *s;
    json_object_foreach (json_object_get(line, "services"), name, s) {
        say_held(all, name, "the time to restore", json_object_get(s, "ttr"));
        say_held(all, name, "the time to detect", json_object_get(s, "ttd"));
    }
}

static void say_variants(struct sentences *all)
{
    const json_t *list = json_object_get(forecast_analysis(all->f, "variants", NULL), "variants");
    const char *name;
    json_t *v, *s;
    size_t i;
    json_array_foreach (list, i, v) {
        if (i == 0)
            continue;
        json_object_foreach (json_object_get(v, "services"), name, s) {
            AUTO_BUF text = BUF_INIT;
            struct estimate c = forecast_estimate(json_object_get(s, "change")),
                            w = forecast_estimate(json_object_get(s, "within"));
            if (isnan(c.value) || !is_told(all, name))
                continue;
            buf_printf(&text, "%s: %s within its promise in ",
                       jsonx_str(v, "title", jsonx_str(v, "name", "?")), name);
            forecast_percent(w.value, &text);
            buf_adds(&text, ", ");
            forecast_points(c, 1, &text);
            buf_adds(&text, c.lo > 0   ? ", better than as it is."
                            : c.hi < 0 ? ", worse than as it is."
                                       : ", no change shown.");
            say(all, &text);
        }
    }
}

/* What weighs most, of those that have a name. */
static void say_luck(struct sentences *all)
{
    const json_t *line = forecast_analysis(all->f, "luck", NULL);
    const char *name;
    json_t *s, *part;
    size_t i;
    json_object_foreach (json_object_get(line, "services"), name, s) {
        bool misses = json_is_array(json_object_get(json_object_get(s, "interaction"), "missed"));
        const char *key = misses ? "missed" : "ttr";
        const json_t *most = NULL;
        struct estimate top = {-1, 0, 0};
        json_array_foreach (json_object_get(s, "parts"), i, part) {
            struct estimate e =
                forecast_estimate(json_object_get(json_object_get(part, "total"), key));
            if (e.value > top.value) {
                top = e;
                most = part;
            }
        }
        if (!most || top.lo < 0.05 || !is_told(all, name))
            continue;
        AUTO_BUF text = BUF_INIT;
        buf_printf(&text, "What decides most %s of %s is ",
                   misses ? "the misses" : "the time to restore", name);
        forecast_quantity(jsonx_str(most, "name", "?"), name, &text);
        buf_printf(&text, ": %.0f %% (%.0f–%.0f) of %s variation goes with it.",
                   fmin(100, 100 * top.value), fmax(0, 100 * top.lo), fmin(100, 100 * top.hi),
                   misses ? "their" : "its");
        say(all, &text);
    }
}

const char **forecast_why_sentences(const struct forecast *f, const char *service)
{
    struct sentences all = {.f = f,
                            .service = service,
                            .items =
                                arena_alloc(f->arena, (SENTENCES_MOST + 1) * sizeof *all.items)};
    say_drawn(&all);
    say_against(&all);
    say_luck(&all);
    say_cheapest(&all);
    say_variants(&all);
    return all.items;
}

/* ---- tables ---- */

static void table_html(const struct why_table *t, struct buf *out)
{
    buf_adds(out, "<h3>");
    html_text(out, t->title);
    buf_adds(out, "</h3>\n<p class=\"hint\">");
    html_text(out, t->hint);
    buf_adds(out, "</p>\n<div class=\"scroll\"><table>\n<thead><tr>");
    for (size_t c = 0; c < t->columns; c++) {
        buf_adds(out, c < t->words ? "<th>" : "<th class=\"n\">");
        html_text(out, t->heads[c]);
        buf_adds(out, "</th>");
    }
    buf_adds(out, "</tr></thead>\n<tbody>\n");
    for (size_t r = 0; r < t->rows; r++) {
        buf_adds(out, "<tr>");
        for (size_t c = 0; c < t->columns; c++) {
            buf_adds(out, c < t->words ? "<td>" : "<td class=\"n\">");
            html_text(out, t->cells[r * t->columns + c]);
            buf_adds(out, "</td>");
        }
        buf_adds(out, "</tr>\n");
    }
    buf_adds(out, "</tbody></table></div>\n");
}

void forecast_why_html(const struct forecast *f, struct buf *out)
{
    const struct why_table *tables;
    size_t n = forecast_why_tables(f, &tables);
    const char **sentences = forecast_why_sentences(f, NULL);
    if (!n && !*sentences)
        return;
    buf_adds(out, "<section id=\"why\">\n<h2>Why, and what if</h2>\n");
    if (*sentences)
        buf_adds(out, "<ul>\n");
    for (const char **s = sentences; *s; s++) {
        buf_adds(out, "<li>");
        html_text(out, *s);
        buf_adds(out, "</li>\n");
    }
    if (*sentences)
        buf_adds(out, "</ul>\n");
    for (size_t i = 0; i < n; i++)
        table_html(&tables[i], out);
    buf_adds(out, "</section>\n");
}

static void table_markdown(const struct why_table *t, struct buf *out)
{
    buf_adds(out, "\n### ");
    escape_markdown(t->title, out);
    buf_adds(out, "\n\n");
    escape_markdown(t->hint, out);
    buf_adds(out, "\n\n|");
    for (size_t c = 0; c < t->columns; c++) {
        buf_addc(out, ' ');
        escape_markdown(t->heads[c], out);
        buf_adds(out, " |");
    }
    buf_adds(out, "\n|");
    for (size_t c = 0; c < t->columns; c++)
        buf_adds(out, "---|");
    buf_addc(out, '\n');
    for (size_t r = 0; r < t->rows; r++) {
        buf_addc(out, '|');
        for (size_t c = 0; c < t->columns; c++) {
            buf_addc(out, ' ');
            escape_markdown(t->cells[r * t->columns + c], out);
            buf_adds(out, " |");
        }
        buf_addc(out, '\n');
    }
}

void forecast_why_markdown(const struct forecast *f, struct buf *out)
{
    const struct why_table *tables;
    size_t n = forecast_why_tables(f, &tables);
    const char **sentences = forecast_why_sentences(f, NULL);
    if (!n && !*sentences)
        return;
    buf_adds(out, "\n## Why, and what if\n\n");
    for (const char **s = sentences; *s; s++) {
        buf_adds(out, "- ");
        escape_markdown(*s, out);
        buf_addc(out, '\n');
    }
    for (size_t i = 0; i < n; i++)
        table_markdown(&tables[i], out);
}
