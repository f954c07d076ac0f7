/* Plots over trials, drawn by gnuplot. */
#include "reports/plot.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/escape.h"
#include "reports/sentence.h"
#include "sim/loop/child.h"

#define ECDF_FROM 20 /* more trials than that: a curve beside the dots */
#define ROWS_MAX 400

/* One style for all plots: Okabe and Ito's colours, a shape for each state. */
const char plots_style[] =
    "set encoding utf8\n"
    "set border 1 lw 0.8\n"
    "set xtics nomirror out\n"
    "set ytics nomirror scale 0\n"
    "set grid xtics lw 0.4 dt 3\n"
    "set style line 1 lc rgb '#0072B2' lw 2 pt 7 ps 0.7\n"  /* within: a dot */
    "set style line 2 lc rgb '#D55E00' lw 2 pt 13 ps 1.0\n" /* missed: a diamond */
    "set style line 3 lc rgb '#E69F00' lw 2 pt 6 ps 0.8\n"  /* open: a ring */
    "set style line 4 lc rgb '#D55E00' lw 1.6 dt 2\n"       /* the target */
    "set style line 5 lc rgb '#009E73' lw 1.6\n"            /* the median */
    "set lmargin 9\nset rmargin 4\nset tmargin 2\n";

static double seconds(nsec t)
{
    return (double)t / 1e9;
}

/* --- the filter ----------------------------------------------------------------------------- */

/* Copies from *p up to `end`, changing what stands for black, ids, references. */
static void filter_body(const char *p, const char *end, const char *prefix, struct buf *out)
{
    static const struct {
        const char *from, *to;
    } swaps[] = {{" color=\"black\"", ""},
                 {" color=\"white\"", ""},
                 {"\"black\"", "\"currentColor\""},
                 {"'black'", "'currentColor'"},
                 {"\"rgb(  0,   0,   0)\"", "\"currentColor\""},
                 {"'rgb(  0,   0,   0)'", "'currentColor'"},
                 {"flood-color='white'", "flood-color='transparent'"}};
    static const char *const names[] = {" id='", " id=\"", "href='#", "href=\"#", "url(#"};
    while (p < end) {
        bool done = false;
        for (size_t i = 0; i < ARRAY_SIZE(swaps) && !done; i++) {
            size_t n = strlen(swaps[i].from);
            if (strncmp(p, swaps[i].from, n) == 0) {
                buf_adds(out, swaps[i].to);
                p += n;
                done = true;
            }
        }
        for (size_t i = 0; i < ARRAY_SIZE(names) && !done; i++) {
            size_t n = strlen(names[i]);
            if (strncmp(p, names[i], n) == 0) {
                buf_adds(out, names[i]);
                buf_adds(out, prefix);
                p += n;
                done = true;
            }
        }
        if (!done)
            buf_addc(out, *p++);
    }
}

bool plot_filter(const char *raw, const char *prefix, const char *title, const char *desc,
                 struct buf *out)
{
    const char *svg = strstr(raw, "<svg"), *close = strstr(raw, "</svg>");
    const char *box = svg ? strstr(svg, "viewBox=\"") : NULL;
    const char *box_end = box ? strchr(box + 9, '"') : NULL;
    const char *body = svg ? strchr(svg, '>') : NULL;
    if (!close || !body || !box_end || body > close || box_end > body)
        return false;
    body++;
    /* gnuplot's own title and description tell of its version. */
    const char *desc_end = strstr(body, "</desc>");
    if (desc_end && desc_end < close)
        body = desc_end + strlen("</desc>");
    buf_printf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" "
                    "xmlns:xlink=\"http://www.w3.org/1999/xlink\" ");
    buf_add(out, box, (size_t)(box_end - box) + 1);
    buf_printf(out, " role=\"img\" aria-labelledby=\"%stitle %sdesc\">\n<title id=\"%stitle\">",
               prefix, prefix, prefix);
    escape_xml(title, out);
    buf_printf(out, "</title>\n<desc id=\"%sdesc\">", prefix);
    escape_xml(desc, out);
    buf_adds(out, "</desc>");
    filter_body(body, close, prefix, out);
    buf_adds(out, "</svg>\n");
    return true;
}

/* --- running gnuplot ------------------------------------------------------------------------ */

static bool run(const char *script, struct plots *p, char **ret_raw)
{
    /* No start-up files of the user's: the same plot everywhere. */
    static const char *const argv[] = {"gnuplot", "-d", "-", NULL};
    struct err err = ERR_INIT;
    int code = -1;
    AUTO_FREE char *raw = NULL;
    if (child_run(argv, script, 20 * NSEC_SEC, &code, &raw, &err) < 0) {
        AUTO_BUF why = BUF_INIT;
        buf_printf(&why,
                   "No plots: %s. Install gnuplot (Debian: gnuplot-nox) and run "
                   "`blackstart report` again.",
                   err.text);
        free(p->missing);
        p->missing = buf_steal(&why);
        return false;
    }
    if (code != 0) {
        free(p->missing);
        p->missing = strdup("No plots: gnuplot failed to draw them.");
        return false;
    }
    *ret_raw = steal_ptr(raw);
    return true;
}

void plots_draw(struct plots *p, const char *script, const char *name, const char *title,
                const char *desc)
{
    AUTO_FREE char *raw = NULL;
    if (p->missing || !run(script, p, &raw))
        return;
    AUTO_BUF svg = BUF_INIT;
    AUTO_BUF prefix = BUF_INIT;
    buf_printf(&prefix, "plot%zu-", p->n + 1);
    if (!plot_filter(raw, buf_text(&prefix), title, desc, &svg)) {
        p->missing = strdup("No plots: what gnuplot wrote is no SVG.");
        return;
    }
    p->items = reallocarray(p->items, p->n + 1, sizeof *p->items);
    if (!p->items)
        abort();
    p->items[p->n++] = (struct plot){
        .name = strdup(name), .title = strdup(title), .desc = strdup(desc), .svg = buf_steal(&svg)};
}

/* Rows of trials: high enough to read, not endless; each named by its number where there is room.
 */
static int height_of(size_t rows)
{
    return rows <= 15 ? (int)rows * 24 + 96 : rows <= 40 ? (int)rows * 14 + 90 : 640;
}

static void row_names(const struct buf *names, size_t n, struct buf *script)
{
    if (n <= 40)
        buf_printf(script, "set ytics (%s)\n", buf_text(names));
    else
        buf_adds(script, "unset ytics\n");
    buf_printf(script, "set yrange [%zu.7:0.3]\n", n);
}

/* --- what is drawn -------------------------------------------------------------------------- */

static void data_rows(struct buf *script, const char *name, const struct buf *rows)
{
    buf_printf(script, "$%s << EOD\n%sEOD\n", name, buf_text(rows));
}

static int style_of(enum share s)
{
    return s == SHARE_MISSED ? 2 : s == SHARE_OPEN ? 3 : 1;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Dots with intervals, one row a trial from the top; with many trials the curve beside them. */
static void distribution(const struct result *r, struct plots *p, const struct service *service,
                         const struct summary *m, enum objective_kind kind, nsec target)
{
    struct buf rows[3] = {BUF_INIT, BUF_INIT, BUF_INIT};
    AUTO_BUF open = BUF_INIT;
    AUTO_BUF labels = BUF_INIT;
    double *points = calloc(r->trials_n + 1, sizeof *points);
    if (!points)
        abort();
    size_t n = 0, timed = 0;
    double most = nsec_is_set(target) ? seconds(target) * 1.1 : 0, least = 0;
    for (size_t i = 0; i < r->trials_n && n < ROWS_MAX; i++) {
        const struct trial *t = &r->trials[i];
        const struct service_seen *s = t->counted ? result_seen(r, t, service) : NULL;
        if (!s || s->outcome == OUTCOME_VOID)
            continue;
        struct span span = kind == OBJECTIVE_RTO ? s->ttr : s->ttd;
        if (!span_is_set(span) || (kind == OBJECTIVE_RTO && s->outcome == OUTCOME_UNAFFECTED))
            continue;
        n++;
        buf_printf(&labels, "%s'trial %" PRId64 "' %zu", n > 1 ? ", " : "", t->n, n);
        double lo = seconds(span.lo), hi = span.hi == NSEC_INF ? lo : seconds(span.hi);
        most = fmax(most, hi * 1.05);
        least = fmin(least, lo);
        enum share share = nsec_is_set(target) ? s->shares[kind] : SHARE_WITHIN;
        if (span.hi == NSEC_INF) {
            buf_printf(&open, "%.6f %zu\n", lo, n);
        } else {
            buf_printf(&rows[style_of(share) - 1], "%.6f %zu %.6f %.6f\n", (lo + hi) / 2, n, lo,
                       hi);
            points[timed++] = (lo + hi) / 2;
        }
    }
    if (n == 0) {
        free(points);
        return;
    }
    bool curve = n > ECDF_FROM;
    AUTO_BUF script = BUF_INIT;
    int height = curve && height_of(n) < 420 ? 420 : height_of(n);
    buf_printf(&script,
               "set terminal svg size 900,%d dynamic noenhanced font 'system-ui,Segoe UI,Roboto,"
               "Helvetica,Arial,sans-serif,13' lw 1\n%s",
               height, plots_style);
    row_names(&labels, n, &script);
    buf_printf(&script, "set xrange [%.6f:%.6f]\nset xlabel 'seconds'\n", least * 1.05,
               most > 0 ? most : 1);
    if (nsec_is_set(target)) {
        char words[NSEC_TEXT_MAX];
        bool right = seconds(target) > 0.75 * most;
        buf_printf(&script,
                   "set arrow from %.6f, graph 0 to %.6f, graph 1 nohead ls 4\n"
                   "set label '%s promised' at %.6f, graph 1 %s offset 0,0.6\n",
                   seconds(target), seconds(target), sentence_target(target, words),
                   seconds(target), right ? "right" : "left");
    }
    if (m->has_ci && !m->ci_censored)
        buf_printf(&script,
                   "set object rect from %.6f, graph 0 to %.6f, graph 1 fc rgb '#009E73' fs "
                   "transparent solid 0.12 noborder behind\n",
                   m->ci.lo, m->ci.hi);
    if (m->has_median && !m->median_censored)
        buf_printf(&script, "set arrow from %.6f, graph 0 to %.6f, graph 1 nohead ls 5\n",
                   m->median, m->median);
    static const char *const names[] = {"within", "missed", "open"};
    AUTO_BUF plot = BUF_INIT;
    for (size_t k = 0; k < 3; k++) {
        if (rows[k].len) {
            data_rows(&script, names[k], &rows[k]);
            buf_printf(&plot, "%s$%s using 1:2:3:4 with xerrorbars ls %zu notitle",
                       plot.len ? ", " : "", names[k], k + 1);
        }
        buf_done(&rows[k]);
    }
    if (open.len) {
        data_rows(&script, "censored", &open);
        buf_printf(&plot,
                   "%s$censored using 1:2:(%.6f-$1):(0) with vectors head filled ls 2 notitle",
                   plot.len ? ", " : "", most);
    }
    if (curve) {
        AUTO_BUF steps = BUF_INIT;
        qsort(points, timed, sizeof *points, by_size);
        buf_printf(&steps, "%.6f %zu.7\n", least, n);
        for (size_t i = 0; i < timed; i++)
            buf_printf(&steps, "%.6f %.6f\n", points[i],
                       (double)n + 0.7 - (double)(i + 1) / (double)n * ((double)n + 0.4));
        data_rows(&script, "curve", &steps);
        buf_printf(&plot, ", $curve using 1:2 with steps lc rgb '#56B4E9' lw 1.6 notitle");
    }
    free(points);
    buf_printf(&script, "plot %s\n", buf_text(&plot));

    AUTO_BUF title = BUF_INIT;
    AUTO_BUF desc = BUF_INIT;
    AUTO_BUF name = BUF_INIT;
    const char *what = kind == OBJECTIVE_RTO ? "restore" : "detect";
    buf_printf(&name, "%s-%s", what, service->name);
    buf_printf(&title, "Time to %s %s%s", what, kind == OBJECTIVE_RTO ? "" : "the outage of ",
               service->name);
    buf_printf(&desc, "Each trial is a mark with its interval: a dot is within the target, a "
                      "diamond missed it, a ring is open, an arrow was not seen to end.");
    if (nsec_is_set(target)) {
        char words[NSEC_TEXT_MAX];
        buf_printf(&desc, " The dashed line is the target of %s.", sentence_target(target, words));
    }
    if (m->has_median && !m->median_censored) {
        buf_printf(&desc, " The solid line is the median, %.3g s", m->median);
        if (m->has_ci && !m->ci_censored)
            buf_printf(&desc, ", the band its %.3g %% interval, %.3g to %.3g s", 100 * m->ci_level,
                       m->ci.lo, m->ci.hi);
        buf_addc(&desc, '.');
    }
    if (curve)
        buf_adds(&desc, " The rising curve is the share of trials done by then.");
    plots_draw(p, buf_text(&script), buf_text(&name), buf_text(&title), buf_text(&desc));
}

/* When each service was down in each trial: all trials under each other. */
static void overview(const struct result *r, struct plots *p)
{
    AUTO_BUF down = BUF_INIT;
    AUTO_BUF alarms = BUF_INIT;
    AUTO_BUF script = BUF_INIT;
    AUTO_BUF labels = BUF_INIT;
    size_t n = 0;
    double most = 0;
    for (size_t i = 0; i < r->trials_n && n < ROWS_MAX; i++) {
        const struct trial *t = &r->trials[i];
        if (!t->counted || t->why_void || !span_is_set(t->fault_start))
            continue;
        n++;
        buf_printf(&labels, "%s'trial %" PRId64 "' %zu", n > 1 ? ", " : "", t->n, n);
        most = fmax(most, seconds(t->watched - t->fault_start.lo));
        for (size_t k = 0; k < t->services_n; k++) {
            const struct service_seen *s = &t->services[k];
            for (size_t e = 0; e < s->episodes_n; e++) {
                if (s->episodes[e].undo)
                    continue;
                nsec end = s->episodes[e].restored.hi == NSEC_INF ? t->watched
                                                                  : s->episodes[e].restored.hi;
                double a = seconds(s->episodes[e].impact.lo - t->fault_start.lo);
                double b = seconds(end - t->fault_start.lo);
                buf_printf(&down, "%.6f %zu %.6f %.6f %.2f %.2f\n", (a + b) / 2, n, a, b,
                           (double)n - 0.28, (double)n + 0.28);
            }
            for (size_t a = 0; a < s->alarms_n; a++)
                if (s->alarms[a].counts && span_is_set(s->alarms[a].onset))
                    buf_printf(&alarms, "%.6f %zu\n",
                               seconds(s->alarms[a].onset.lo - t->fault_start.lo), n);
        }
    }
    if (n < 2 || !down.len)
        return;
    buf_printf(&script,
               "set terminal svg size 900,%d dynamic noenhanced font 'system-ui,Segoe UI,Roboto,"
               "Helvetica,Arial,sans-serif,13' lw 1\n%s",
               height_of(n), plots_style);
    row_names(&labels, n, &script);
    buf_printf(&script, "set xrange [0:%.6f]\nset xlabel 'seconds since the fault'\n",
               most > 0 ? most : 1);
    data_rows(&script, "down", &down);
    buf_adds(&script, "set style fill solid 0.45 noborder\nplot $down using 1:2:3:4:5:6 with "
                      "boxxyerror lc rgb '#D55E00' notitle");
    if (alarms.len)
        buf_adds(&script, ", $alarms using 1:2 with points pt 9 ps 1.0 lc rgb '#0072B2' notitle");
    buf_addc(&script, '\n');
    if (alarms.len) {
        AUTO_BUF whole = BUF_INIT;
        data_rows(&whole, "alarms", &alarms);
        buf_adds(&whole, buf_text(&script));
        buf_clear(&script);
        buf_adds(&script, buf_text(&whole));
    }
    plots_draw(
        p, buf_text(&script), "trials", "When it was down, trial by trial",
        "Each row is a trial, from the fault on: a bar is an outage, a triangle the onset of an "
        "alarm that counts.");
}

void plots_make(const struct result *r, struct plots *ret)
{
    struct plots p = {0};
    overview(r, &p);
    for (size_t i = 0; i < r->services_n; i++) {
        const struct service_summary *s = &r->services[i];
        if (s->ttr.n > 0)
            distribution(r, &p, s->service, &s->ttr, OBJECTIVE_RTO, s->service->rto);
        if (s->ttd.n > 0)
            distribution(r, &p, s->service, &s->ttd, OBJECTIVE_DETECT,
                         s->service->detect ? s->service->detect->within : NSEC_UNSET);
    }
    *ret = p;
}

void plots_done(struct plots *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->items[i].name);
        free(p->items[i].title);
        free(p->items[i].desc);
        free(p->items[i].svg);
    }
    free(p->items);
    free(p->missing);
    *p = (struct plots){0};
}
