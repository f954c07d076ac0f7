/* Tornados and sweeps, drawn by gnuplot. */
#include "reports/forecast_why.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "sim/base/jsonx.h"

#define BARS_MOST 16 /* drawn */
#define BARS_ROOM 64
#define PLOTS_MOST 24

static double number_in(const json_t *o, const char *key)
{
    const json_t *j = json_object_get(o, key);
    return json_is_number(j) ? json_number_value(j) : (double)NAN;
}

static void terminal(int height, struct buf *script)
{
    buf_printf(script,
               "set terminal svg size 900,%d dynamic noenhanced font 'system-ui,Segoe UI,Roboto,"
               "Helvetica,Arial,sans-serif,13' lw 1\n%s",
               height, plots_style);
}

/* For gnuplot's single quotes; the name of a tic is a format for its value too. */
static void quoted(const char *s, bool tic, struct buf *out)
{
    buf_addc(out, '\'');
    for (; *s; s++)
        if (*s == '\'')
            buf_adds(out, "''");
        else if (*s == '%' && tic)
            buf_adds(out, "%%");
        else if ((unsigned char)*s >= 0x20)
            buf_addc(out, *s);
    buf_addc(out, '\'');
}

/* ---- tornado ---- */

struct bar {
    const char *name;
    double low, high;
};

static int by_width(const void *a, const void *b)
{
    const struct bar *x = a, *y = b;
    double p = fabs(x->high - x->low), q = fabs(y->high - y->low);
    return p != q ? (p < q ? 1 : -1) : strcmp(x->name, y->name);
}

static void tornado_draw(struct plots *p, const char *service, struct bar *bars, size_t n,
                         double middle, bool within, bool ranges)
{
    AUTO_BUF script = BUF_INIT, names = BUF_INIT, low = BUF_INIT, high = BUF_INIT;
    AUTO_BUF name = BUF_INIT, title = BUF_INIT, desc = BUF_INIT;
    qsort(bars, n, sizeof *bars, by_width);
    n = n > BARS_MOST ? BARS_MOST : n;
    double scale = within ? 100 : 1;
    size_t longest = 6;
    for (size_t i = 0; i < n; i++) {
        longest = strlen(bars[i].name) > longest ? strlen(bars[i].name) : longest;
        buf_adds(&names, i ? ", " : "");
        quoted(bars[i].name, true, &names);
        buf_printf(&names, " %zu", i + 1);
        buf_printf(&low, "%.9g %zu %.9g %.9g %.2f %.2f\n", scale * middle, i + 1,
                   scale * fmin(middle, bars[i].low), scale * fmax(middle, bars[i].low),
                   (double)i + 0.7, (double)i + 1.3);
        buf_printf(&high, "%.9g %zu %.9g %.9g %.2f %.2f\n", scale * middle, i + 1,
                   scale * fmin(middle, bars[i].high), scale * fmax(middle, bars[i].high),
                   (double)i + 0.7, (double)i + 1.3);
    }
    terminal((int)n * 28 + 130, &script);
    buf_printf(&script,
               "set lmargin %zu\nset key below\nset ytics (%s)\nset yrange [%zu.6:0.4]\nset xlabel "
               "'%s'\nset offsets graph 0.03, "
               "graph 0.03, 0, 0\nset arrow from %.9g, graph 0 to %.9g, graph 1 nohead ls 5 front\n"
               "$low << EOD\n%sEOD\n$high << EOD\n%sEOD\n"
               "plot $low using 1:2:3:4:5:6 with boxxyerror lc rgb '#56B4E9' fs solid 0.8 noborder "
               "title '%s', $high using 1:2:3:4:5:6 with boxxyerror lc rgb '#D55E00' fs pattern 4 "
               "border lc rgb '#D55E00' title '%s'\n",
               longest + 3, buf_text(&names), n,
               within ? "within the promise, % of trials" : "mean time to restore, seconds",
               scale * middle, scale * middle, buf_text(&low), buf_text(&high),
               ranges ? "lower end" : "a quarter less", ranges ? "upper end" : "a quarter more");
    buf_printf(&name, "forecast-tornado-%s", service);
    buf_printf(&title, "Forecast: what assumptions can change for %s", service);
    buf_printf(&desc,
               "Each bar is one assumption, the others in the middle: filled at its %s, hatched at "
               "its %s. The line is all of them in the middle.",
               ranges ? "lower end" : "value less a quarter",
               ranges ? "upper end" : "value and a quarter");
    plots_draw(p, buf_text(&script), buf_text(&name), buf_text(&title), buf_text(&desc));
}

/* Those that change anything. */
static size_t bars_of(const json_t *list, const json_t *names, const char *const ends[2],
                      const char *key, struct bar bars[static BARS_ROOM])
{
    size_t n = 0, i;
    json_t *one;
    json_array_foreach (list, i, one) {
        struct bar b = {jsonx_str(names ? json_array_get(names, i) : one, "name", "?"),
                        number_in(json_object_get(one, ends[0]), key),
                        number_in(json_object_get(one, ends[1]), key)};
        if (n < BARS_ROOM && !isnan(b.low) && !isnan(b.high) && b.low != b.high)
            bars[n++] = b;
    }
    return n;
}

/* Of P(within); where nothing is promised, or nothing changes it, of the mean time. */
static void tornado(const struct forecast *f, const char *what, const char *list_key,
                    const char *const ends[2], struct plots *p)
{
    const json_t *line = forecast_analysis(f, what, NULL), *names = json_object_get(line, "groups");
    const char *service;
    json_t *s;
    json_object_foreach (json_object_get(line, "services"), service, s) {
        struct bar bars[BARS_ROOM];
        const json_t *list = json_object_get(s, list_key);
        const char *key = "within";
        size_t n = bars_of(list, names, ends, key, bars);
        if (!n)
            n = bars_of(list, names, ends, key = "ttr_s", bars);
        if (n && p->n < PLOTS_MOST)
            tornado_draw(p, service, bars, n, number_in(json_object_get(s, "middle"), key),
                         !strcmp(key, "within"), names != NULL);
    }
}

/* ---- sweeps ---- */

static void sweep_draw(const json_t *line, const char *service, struct plots *p)
{
    AUTO_BUF script = BUF_INIT, data = BUF_INIT, name = BUF_INIT, title = BUF_INIT, tics = BUF_INIT;
    const json_t *values = json_object_get(line, "values");
    const char *path = jsonx_str(line, "path", "?");
    double least = HUGE_VAL, most = -HUGE_VAL, alarms = 0, noticed = 0;
    bool numbers = true;
    size_t i;
    json_t *one;
    json_array_foreach (values, i, one) {
        double x = number_in(one, "number");
        numbers = numbers && !isnan(x);
        least = fmin(least, x);
        most = fmax(most, x);
    }
    json_array_foreach (values, i, one) {
        const json_t *s = json_object_get(json_object_get(one, "services"), service);
        struct estimate within = forecast_estimate(json_object_get(s, "within")),
                        alarm = forecast_estimate(json_object_get(s, "false_alarm"));
        double ttd = number_in(s, "ttd_mean_s"),
               x = numbers ? number_in(one, "number") : (double)(i + 1);
        alarms += isnan(alarm.value) ? 0 : alarm.value;
        noticed += isnan(ttd) ? 0 : 1;
        buf_printf(&data, "%.9g %.9g %.9g %.9g %.9g %.9g %.9g %.9g\n", x, ttd, 1000 * alarm.value,
                   1000 * alarm.lo, 1000 * alarm.hi, 100 * within.value, 100 * within.lo,
                   100 * within.hi);
        buf_adds(&tics, i ? ", " : "");
        quoted(jsonx_str(one, "value", "?"), true, &tics);
        buf_printf(&tics, " %.9g", x);
    }
    terminal(380, &script);
    if (numbers && least > 0 && most / least >= 20)
        buf_adds(&script, "set logscale x\n");
    buf_printf(&script,
               "set rmargin 10\nset datafile missing 'nan'\nset key below\nset xtics (%s)\nset "
               "offsets graph 0.04, "
               "graph 0.04, 0, 0\nset xlabel ",
               buf_text(&tics));
    AUTO_BUF label = BUF_INIT;
    buf_adds(&label, path);
    quoted(buf_text(&label), false, &script);
    buf_printf(&script,
               "\nset border 11\nset yrange [0:*]\nset y2range [0:*]\nset ytics nomirror\n"
               "set y2tics\n$sweep << EOD\n%sEOD\n",
               buf_text(&data));
    if (noticed > 0)
        buf_printf(
            &script,
            "set ylabel 'mean time to detect, seconds'\nset y2label '%s'\n"
            "plot $sweep using 1:2 with linespoints lc rgb '#0072B2' pt 7 title 'mean time to "
            "detect (left)', ",
            alarms > 0 ? "of 1,000 trials, with a false alarm" : "within the promise, %");
    else
        buf_adds(&script, "set y2label 'within the promise, %'\nunset ytics\nplot ");
    if (alarms > 0)
        buf_adds(&script,
                 "$sweep using 1:3:4:5 axes x1y2 with yerrorlines lc rgb '#D55E00' pt 9 dt "
                 "2 title 'of 1,000 trials, with a false alarm (right)'\n");
    else
        buf_adds(&script,
                 "$sweep using 1:6:7:8 axes x1y2 with yerrorlines lc rgb '#009E73' pt 5 dt "
                 "2 title 'within the promise, % (right)'\n");
    buf_printf(&name, "forecast-sweep-%s", service);
    buf_addc(&name, '-');
    for (const char *c = path; *c; c++)
        buf_addc(&name, isalnum((unsigned char)*c) ? *c : '-');
    buf_printf(&title, "Forecast: %s by %s", service, path);
    plots_draw(p, buf_text(&script), buf_text(&name), buf_text(&title),
               "Each value was computed over the same simulated trials; bars are 95 % intervals of "
               "simulation error.");
}

void forecast_why_plots(const struct forecast *f, struct plots *p)
{
    static const char *const ends[] = {"low", "high"}, *const off[] = {"less", "more"};
    tornado(f, "assumptions", "groups", ends, p);
    tornado(f, "lever", "levers", off, p);
    for (const json_t *sweep = NULL; (sweep = forecast_analysis(f, "sweep", sweep));) {
        const char *service;
        json_t *s;
        json_object_foreach (json_object_get(sweep, "services"), service, s)
            if (p->n < PLOTS_MOST)
                sweep_draw(sweep, service, p);
    }
}
