/* Plots of a forecast, by gnuplot: how the durations are spread, and how many are still waiting. */
#include "reports/forecast.h"

#include <math.h>
#include <string.h>

#include "reports/forecast_why.h"
#include "reports/sentence.h"

#define BINS 80
#define POINTS 240
#define PLOTS_MOST 24
#define FEW_SERVICES 6 /* of more only those that promise something */

struct axis {
    double unit; /* ns */
    const char *word;
    nsec most;
};

static struct axis axis_of(const struct outcome_times *t, nsec target)
{
    nsec far = outcome_times_quantile(t, 0.995);
    if (far == NSEC_INF || !nsec_is_set(far))
        far = t->n ? t->most : 0;
    if (nsec_is_set(target) && target < 20 * far && target > far * 9 / 10)
        far = target / 10 * 11;
    far = far < NSEC_MSEC ? NSEC_MSEC : far;
    struct axis a = {1e9, "seconds", far + far / 50};
    if (far > 3 * 3600 * NSEC_SEC)
        a.unit = 3600e9, a.word = "hours";
    else if (far > 600 * NSEC_SEC)
        a.unit = 60e9, a.word = "minutes";
    return a;
}

static void begin(const struct axis *a, nsec target, struct buf *script)
{
    buf_printf(script,
               "set terminal svg size 900,340 dynamic noenhanced font 'system-ui,Segoe UI,Roboto,"
               "Helvetica,Arial,sans-serif,13' lw 1\n%s"
               "set xrange [0:%.9g]\nset xlabel '%s'\nset format y '%%g %%%%'\n",
               plots_style, (double)a->most / a->unit, a->word);
    if (!nsec_is_set(target) || target > a->most)
        return;
    char words[NSEC_TEXT_MAX];
    double at = (double)target / a->unit;
    buf_printf(script,
               "set arrow from %.9g, graph 0 to %.9g, graph 1 nohead ls 4 front\n"
               "set label '%s promised' at %.9g, graph 1 %s offset 0,0.6\n",
               at, at, sentence_target(target, words), at,
               target > a->most / 4 * 3 ? "right" : "left");
}

static void rows(const char *name, const struct buf *data, struct buf *script)
{
    buf_printf(script, "$%s << EOD\n%sEOD\n", name, buf_text(data));
}

static void histogram(const struct outcome_times *t, const struct axis *a, nsec target,
                      struct buf *script)
{
    AUTO_BUF within = BUF_INIT;
    AUTO_BUF beyond = BUF_INIT;
    double all = (double)(t->n + t->never), wide = (double)a->most / BINS;
    uint64_t before = 0;
    for (int i = 0; i < BINS; i++) {
        nsec end = (nsec)(wide * (i + 1));
        uint64_t upto = outcome_times_upto(t, end);
        bool missed = nsec_is_set(target) && (nsec)(wide * (i + 0.5)) > target;
        if (upto > before)
            buf_printf(missed ? &beyond : &within, "%.9g %.9g %.9g\n", wide * (i + 0.5) / a->unit,
                       100 * (double)(upto - before) / all, wide / a->unit);
        before = upto;
    }
    if (within.len)
        rows("within", &within, script);
    if (beyond.len)
        rows("beyond", &beyond, script);
    buf_adds(script, "set yrange [0:*]\nset grid ytics lw 0.4 dt 3\nplot ");
    if (within.len)
        buf_adds(script, "$within using 1:2:3 with boxes lc rgb '#0072B2' fs solid 0.75 noborder "
                         "notitle");
    if (beyond.len)
        buf_printf(script,
                   "%s$beyond using 1:2:3 with boxes lc rgb '#D55E00' fs pattern 4 border "
                   "lc rgb '#D55E00' notitle",
                   within.len ? ", " : "");
    buf_addc(script, '\n');
}

static void survival(const struct outcome_times *t, const struct axis *a, double asked,
                     struct buf *script)
{
    AUTO_BUF data = BUF_INIT;
    double all = (double)(t->n + t->never);
    for (int i = 0; i <= POINTS; i++) {
        double at = (double)a->most * i / POINTS;
        double left = 100 * (1 - (double)outcome_times_upto(t, (nsec)at) / all);
        buf_printf(&data, "%.9g %.9g\n", at / a->unit, left);
    }
    rows("left", &data, script);
    buf_adds(script, "set yrange [0:104]\nset grid ytics lw 0.4 dt 3\n");
    if (asked > 0)
        buf_printf(script,
                   "set arrow from graph 0, first %.9g to graph 1, first %.9g nohead lw "
                   "0.8 dt 3\n",
                   100 * (1 - asked), 100 * (1 - asked));
    buf_adds(script, "plot $left using 1:2 with lines lc rgb '#0072B2' lw 2 notitle\n");
}

static void draw(const struct forecast_service *s, const struct outcome_times *t, nsec target,
                 double asked, const char *what, const char *title, struct plots *p)
{
    if (t->n < 2)
        return;
    struct axis a = axis_of(t, target);
    AUTO_BUF script = BUF_INIT;
    AUTO_BUF name = BUF_INIT;
    AUTO_BUF words = BUF_INIT;
    AUTO_BUF desc = BUF_INIT;
    char text[NSEC_TEXT_MAX];
    begin(&a, target, &script);
    histogram(t, &a, target, &script);
    buf_printf(&name, "forecast-%s-%s", what, s->service->name);
    buf_printf(&words, "Forecast: %s %s", title, s->service->name);
    buf_adds(&desc, "Share of simulated trials by duration");
    if (nsec_is_set(target))
        buf_printf(&desc, "; filled: within the target of %s, hatched: longer",
                   sentence_target(target, text));
    if (t->never) {
        buf_adds(&desc, "; ");
        forecast_percent((double)t->never / (double)(t->n + t->never), &desc);
        buf_adds(&desc, " came to no end within the trial and are not drawn");
    }
    buf_adds(&desc, ". What is longer than the axis is counted and not drawn.");
    plots_draw(p, buf_text(&script), buf_text(&name), buf_text(&words), buf_text(&desc));
    buf_clear(&script);
    buf_clear(&desc);
    begin(&a, target, &script);
    survival(t, &a, nsec_is_set(target) ? asked : 0, &script);
    buf_adds(&name, "-survival");
    buf_printf(&desc, "Share of simulated trials in which it takes longer than that%s.",
               nsec_is_set(target) ? "; the dotted line is the share that may miss the target"
                                   : "");
    buf_adds(&words, ", still waiting");
    plots_draw(p, buf_text(&script), buf_text(&name), buf_text(&words), buf_text(&desc));
}

void forecast_plots(const struct forecast *f, struct plots *ret)
{
    struct plots p = {0};
    const struct demonstrate *ask = f->scenario->demonstrate;
    double asked = ask ? ask->reliability : FORECAST_SHARE;
    for (size_t k = 0; k < f->services_n && p.n < PLOTS_MOST; k++) {
        const struct forecast_service *s = &f->services[k];
        const struct service *v = s->service;
        bool promises = nsec_is_set(v->rto) || nsec_is_set(v->max_downtime) ||
                        nsec_is_set(v->mtpd) || nsec_is_set(v->rpo) || v->detect;
        if (!promises && f->services_n > FEW_SERVICES)
            continue;
        draw(s, &s->sums.times[OUTCOME_TTR], v->rto, asked, "restore", "time to restore", &p);
        draw(s, &s->sums.times[OUTCOME_TTD], v->detect ? v->detect->within : NSEC_UNSET, asked,
             "detect", "time to detect the outage of", &p);
        if (nsec_is_set(v->rpo))
            draw(s, &s->sums.times[OUTCOME_LOSS], v->rpo, asked, "loss", "data lost by", &p);
    }
    forecast_why_plots(f, &p);
    *ret = p;
}
