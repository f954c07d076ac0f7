/* Bars of stages, and the graph of services. The graph is layered: a service stands left of all that it
 * needs, in the scenario's order from the top. */
#include "reports/forecast_part.h"

#include <string.h>

#include "reports/html_part.h"
#include "reports/sentence.h"

#define DRAWN_MAX 60 /* services */
#define BOX_WIDTH 178.0
#define BOX_HEIGHT 50.0
#define COLUMN 250.0
#define ROW 66.0

/* ---- stages ---- */

static void stage_row(const struct forecast_stage *s, const char *of, double most, struct buf *out)
{
    AUTO_BUF name = BUF_INIT;
    AUTO_BUF mean = BUF_INIT;
    forecast_quantity(s->quantity, of, &name);
    sentence_time((nsec)(s->mean * 1e9 + 0.5), &mean);
    buf_adds(out, "<tr><td>");
    html_text(out, buf_text(&name));
    buf_printf(out,
               "</td><td class=\"bar\"><svg viewBox=\"0 0 300 14\" preserveAspectRatio=\"none\" "
               "aria-hidden=\"true\"><rect class=\"%s\" width=\"%.1f\" height=\"14\"/></svg></td>"
               "<td class=\"n\">%s</td><td class=\"n\">%.1f %%</td></tr>\n",
               s->quantity ? "stage" : "rest", most > 0 ? 300 * s->mean / most : 0, buf_text(&mean),
               100 * s->share);
}

/* The names of those whose stages a service waits for, when it has none of its own. */
static void waits_for(const struct forecast_service *s, struct buf *out)
{
    AUTO_BUF one = BUF_INIT;
    AUTO_BUF before = BUF_INIT;
    for (size_t i = 0; i < s->stages_n; i++) {
        const char *quantity = s->stages[i].quantity;
        bool known = false;
        if (!quantity || !strchr(quantity, '/'))
            continue;
        if (!forecast_waits(quantity, s->service->name, &one)) {
            buf_clear(out);
            return;
        }
        for (size_t k = 0; k < i && !known; k++)
            known = forecast_waits(s->stages[k].quantity, s->service->name, &before) &&
                    strcmp(buf_text(&before), buf_text(&one)) == 0;
        if (!known)
            buf_printf(out, "%s%s", out->len ? ", " : " waits for ", buf_text(&one));
    }
}

void forecast_stages_html(const struct forecast *f, struct buf *out)
{
    bool any = false;
    for (size_t k = 0; k < f->services_n; k++) {
        const struct forecast_service *s = &f->services[k];
        double most = 0;
        if (!s->stages_n)
            continue;
        if (!any)
            buf_adds(out, "<section id=\"made\">\n<h2>What restoring is made of</h2>\n<p "
                          "class=\"hint\">Mean over the simulated trials in which the service was "
                          "restored, along the critical path: what a trial waited for.</p>\n");
        any = true;
        for (size_t i = 0; i < s->stages_n; i++)
            most = s->stages[i].mean > most ? s->stages[i].mean : most;
        buf_adds(out, "<h3>");
        AUTO_BUF waits = BUF_INIT;
        waits_for(s, &waits);
        html_text(out, s->service->name);
        html_text(out, buf_text(&waits));
        buf_adds(out,
                 "</h3>\n<table class=\"stages\">\n<thead><tr><th>stage</th><th></th>"
                 "<th class=\"n\">mean</th><th class=\"n\">share</th></tr></thead>\n<tbody>\n");
        for (size_t i = 0; i < s->stages_n; i++)
            stage_row(&s->stages[i], s->service->name, most, out);
        buf_adds(out, "</tbody></table>\n");
    }
    if (any)
        buf_adds(out, "</section>\n");
}

/* ---- graph ---- */

struct graph {
    const struct forecast *f;
    size_t n;
    bool *shown;
    size_t *column, *row;
    size_t columns, rows;
};

static size_t index_of(const struct graph *g, const char *service)
{
    size_t i = 0;
    while (i < g->n && strcmp(g->f->services[i].service->name, service) != 0)
        i++;
    return i;
}

/* Whom a need may be met by: one, or several of which so many are enough. */
static size_t met_by_n(const struct need *need)
{
    return need->service ? 1 : need->of.n;
}

static size_t met_by(const struct graph *g, const struct need *need, size_t i)
{
    return index_of(g, need->service ? need->service : need->of.items[i]);
}

/* The worst of its promises; NULL: it has none. */
static const struct forecast_objective *worst_of(const struct forecast *f, size_t service)
{
    const struct forecast_objective *worst = NULL;
    for (size_t i = 0; i < f->objectives_n; i++) {
        const struct forecast_objective *o = &f->objectives[i];
        if (o->service_index == service && o->verdict != VERDICT_NOT_APPLICABLE &&
            (!worst || o->verdict > worst->verdict))
            worst = o;
    }
    return worst;
}

/* `to` stands right of `from`, wherever that is now; true: it was moved. */
static bool push(struct graph *g, size_t from, size_t to)
{
    if (to == g->n || !g->shown[to] || g->column[to] > g->column[from] ||
        g->column[from] + 1 >= g->n)
        return false;
    g->column[to] = g->column[from] + 1;
    return true;
}

/* Needs in columns to the right. A cycle ends after as many rounds as there are services. */
static void layers(struct graph *g)
{
    bool moved = true;
    for (size_t round = 0; moved && round < g->n; round++) {
        moved = false;
        for (size_t i = 0; i < g->n; i++) {
            const struct objects *needs = &g->f->services[i].service->needs;
            for (size_t k = 0; g->shown[i] && k < needs->n; k++) {
                const struct need *need = needs->items[k];
                for (size_t of = 0; of < met_by_n(need); of++)
                    moved |= push(g, i, met_by(g, need, of));
            }
        }
    }
}

static void rows(struct graph *g, size_t *used)
{
    for (size_t i = 0; i < g->n; i++) {
        if (!g->shown[i])
            continue;
        g->row[i] = used[g->column[i]]++;
        g->columns = g->column[i] + 1 > g->columns ? g->column[i] + 1 : g->columns;
        g->rows = g->row[i] + 1 > g->rows ? g->row[i] + 1 : g->rows;
    }
}

static void arrow(const struct graph *g, size_t from, size_t to, const struct need *need,
                  struct buf *out)
{
    double x1 = COLUMN * (double)g->column[from] + BOX_WIDTH;
    double y1 = ROW * (double)g->row[from] + BOX_HEIGHT / 2;
    double x2 = COLUMN * (double)g->column[to] - 7, y2 = ROW * (double)g->row[to] + BOX_HEIGHT / 2;
    double half = (x2 - x1) / 2;
    buf_printf(out,
               "<path class=\"need%s\" d=\"M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f\"/>"
               "<path class=\"tip\" d=\"M%.1f %.1fl-8 -4v8z\"/>\n",
               !need->service    ? " any-need"
               : need->kind == 1 ? " soft-need"
                                 : "",
               x1, y1, x1 + half, y1, x2 - half, y2, x2, y2, x2 + 7, y2);
}

static void box(const struct graph *g, size_t i, struct buf *out)
{
    const struct forecast_service *s = &g->f->services[i];
    const struct forecast_objective *o = worst_of(g->f, i);
    const uint64_t *kinds = s->sums.kinds;
    uint64_t hit = kinds[OUTCOME_IS_RESTORED] + kinds[OUTCOME_IS_CENSORED];
    double x = COLUMN * (double)g->column[i], y = ROW * (double)g->row[i];
    AUTO_BUF words = BUF_INIT;
    if (o) {
        buf_printf(&words, "%s ", html_sign(o->verdict));
        forecast_percent(o->p, &words);
        buf_printf(&words, " %s",
                   o->kind == OUTCOME_DETECT ? "noticed in time"
                   : o->kind == OUTCOME_RPO  ? "lose no more"
                                             : "within");
    } else if (s->sums.trials) {
        buf_adds(&words, "hit in ");
        forecast_percent((double)hit / (double)s->sums.trials, &words);
    }
    AUTO_BUF name = BUF_INIT;
    buf_add(&name, s->service->name, strnlen(s->service->name, 24));
    buf_printf(out,
               "<g class=\"node %s\"><rect x=\"%.1f\" y=\"%.1f\" width=\"%.0f\" height=\"%.0f\" "
               "rx=\"8\"/><text class=\"strong\" x=\"%.1f\" y=\"%.1f\">",
               o ? verdict_words[o->verdict] : "not_applicable", x, y, BOX_WIDTH, BOX_HEIGHT,
               x + 10, y + 20);
    html_text(out, buf_text(&name));
    buf_printf(out, "</text><text x=\"%.1f\" y=\"%.1f\">", x + 10, y + 38);
    html_text(out, buf_text(&words));
    buf_adds(out, "</text></g>\n");
}

static void draw(struct graph *g, size_t left_out, struct buf *out)
{
    buf_printf(out,
               "<section id=\"graph\">\n<h2>Who needs whom</h2>\n<p class=\"hint\">An arrow leads "
               "to what a service needs; dashed: it can do without; dotted: so many of several are "
               "enough. Each is marked by the worst "
               "that is forecast of its promises.</p>\n<div class=\"scroll\"><svg class=\"graph\" "
               "style=\"width:%.0fpx\" viewBox=\"-2 -2 %.0f %.0f\" role=\"img\" "
               "aria-label=\"Services and what they need\">\n",
               COLUMN * (double)(g->columns - 1) + BOX_WIDTH + 4,
               COLUMN * (double)(g->columns - 1) + BOX_WIDTH + 4,
               ROW * (double)(g->rows - 1) + BOX_HEIGHT + 4);
    for (size_t i = 0; i < g->n; i++) {
        const struct objects *needs = &g->f->services[i].service->needs;
        for (size_t k = 0; g->shown[i] && k < needs->n; k++) {
            const struct need *need = needs->items[k];
            for (size_t of = 0; of < met_by_n(need); of++) {
                size_t to = met_by(g, need, of);
                if (to < g->n && g->shown[to])
                    arrow(g, i, to, need, out);
            }
        }
    }
    for (size_t i = 0; i < g->n; i++)
        if (g->shown[i])
            box(g, i, out);
    buf_adds(out, "</svg></div>\n");
    if (left_out)
        buf_printf(out,
                   "<p class=\"hint\">%zu more services are not drawn; all stand in "
                   "result.json.</p>\n",
                   left_out);
    buf_adds(out, "</section>\n");
}

void forecast_graph_html(const struct forecast *f, struct buf *out)
{
    struct graph g = {.f = f, .n = f->services_n};
    AUTO_FREE bool *shown = calloc(g.n + 1, sizeof *shown);
    AUTO_FREE size_t *places = calloc(3 * (g.n + 1), sizeof *places);
    size_t drawn = 0, left_out = 0, needs = 0;
    if (!shown || !places)
        abort();
    g.shown = shown;
    g.column = places;
    g.row = places + g.n + 1;
    for (size_t i = 0; i < g.n; i++) {
        g.shown[i] = drawn < DRAWN_MAX;
        drawn += g.shown[i];
        left_out += !g.shown[i];
        needs += f->services[i].service->needs.n;
    }
    if (!needs) /* nothing that a graph would tell */
        return;
    layers(&g);
    rows(&g, places + 2 * (g.n + 1));
    draw(&g, left_out, out);
}
