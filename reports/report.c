/* From a run's folder to its reports. */
#include "reports/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "reports/after_action.h"
#include "reports/anonymous.h"
#include "reports/forecast.h"
#include "reports/html.h"
#include "reports/junit.h"
#include "reports/markdown.h"
#include "reports/measure.h"
#include "reports/metrics.h"
#include "reports/outlook.h"
#include "reports/result_json.h"
#include "reports/sentence.h"
#include "reports/terminal.h"
#include "scenarios/scenario.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"

#define SCENARIO_MAX ((size_t)16 << 20)

int report_scenario(int dirfd, const char *path, const json_t *start, struct scenario **ret,
                    struct err *err)
{
    AUTO_FREE char *text = NULL;
    size_t n;
    int rc = file_read(dirfd, "scenario.yaml", SCENARIO_MAX, &text, &n, err);
    if (rc < 0)
        return rc;
    char digest[DIGEST_HEX];
    digest_sha256(text, n, digest);
    const json_t *scenario = json_object_get(start, "scenario");
    const char *run = jsonx_str(scenario, "digest", NULL);
    if (run && strcmp(run, digest) != 0)
        return err_set(err, EBADMSG,
                       "scenario.yaml is not the one that was run: its SHA-256 is %s, the record "
                       "says %s",
                       digest, run);
    AUTO_DIAGS diags = DIAGS_INIT;
    AUTO_BUF name = BUF_INIT;
    buf_printf(&name, "%s/scenario.yaml", path);
    rc = scenario_load_text(text, n, buf_text(&name), NULL, &diags, ret);
    if (rc < 0) {
        AUTO_BUF said = BUF_INIT;
        diags_render(&diags, &said);
        while (said.len && said.text[said.len - 1] == '\n')
            said.text[--said.len] = '\0';
        return err_set(err, -rc, "%s", buf_text(&said));
    }
    return 0;
}

/* The first line of the record; NULL when there is none that can be read: who reads it all says why. */
static json_t *first_line(int dirfd)
{
    AUTO_CLOSE int fd = openat(dirfd, "record.ndjson", O_RDONLY | O_CLOEXEC);
    AUTO_FCLOSE FILE *f = fd < 0 ? NULL : fdopen(steal_fd(&fd), "r");
    AUTO_FREE char *line = NULL;
    size_t room = 0;
    ssize_t n = f ? getline(&line, &room, f) : -1;
    json_t *o = NULL;
    if (n > 0)
        (void)jsonx_parse(line, (size_t)n, "record.ndjson", &o, NULL);
    return o;
}

/* ---- of years ---- */

static void outlook_result(const struct outlook *o, struct buf *out)
{
    AUTO_JSON *j = outlook_json(o);
    jsonx_dump_pretty(j, out);
}

static int outlook_files(const struct report_request *q, const struct outlook *o, struct err *err)
{
    bool single = q->html || q->md || q->junit || q->metrics;
    const struct {
        const char *name;
        void (*fn)(const struct outlook *, struct buf *);
    } files[] = {{single ? NULL : "result.json", outlook_result},
                 {single ? q->md : "report.md", outlook_markdown},
                 {single ? q->html : "report.html", outlook_html},
                 {single ? q->junit : "junit.xml", outlook_junit},
                 {single ? q->metrics : "metrics.prom", outlook_metrics}};
    int rc = 0;
    for (size_t i = 0; i < ARRAY_SIZE(files) && rc == 0; i++) {
        AUTO_BUF text = BUF_INIT;
        if (!files[i].name)
            continue;
        files[i].fn(o, &text);
        rc = file_replace(single ? AT_FDCWD : q->dirfd, files[i].name, buf_text(&text), text.len,
                          err);
    }
    return rc;
}

static int write_outlook(const struct report_request *q, const struct scenario *scenario,
                         struct report_outcome *ret, struct err *err)
{
    CLEANUP(outlook_free_p) struct outlook *o = NULL;
    int rc = outlook_read(q->dirfd, scenario, &o, err);
    if (rc == 0)
        rc = outlook_files(q, o, err);
    if (rc < 0)
        return rc;
    AUTO_BUF sentence = BUF_INIT;
    AUTO_BUF terminal = BUF_INIT;
    outlook_sentences(o, &sentence);
    outlook_terminal(o, &terminal);
    *ret = (struct report_outcome){.exit_code = outlook_exit_code(o),
                                   .verdict = verdict_words[o->verdict],
                                   .sentence = buf_steal(&sentence),
                                   .terminal = buf_steal(&terminal)};
    return 0;
}

/* ---- of a forecast ---- */

static void forecast_result(const struct forecast *f, struct buf *out)
{
    AUTO_JSON *j = forecast_json(f);
    jsonx_dump_pretty(j, out);
}

typedef void forecast_writer(const struct forecast *f, struct buf *out);

static int forecast_one(int dirfd, const char *name, forecast_writer *fn, const struct forecast *f,
                        struct err *err)
{
    AUTO_BUF text = BUF_INIT;
    if (!name)
        return 0;
    fn(f, &text);
    return file_replace(dirfd, name, buf_text(&text), text.len, err);
}

static int write_plots(int dirfd, const struct plots *plots, struct err *err)
{
    int rc = plots->n ? file_make_dirs(dirfd, "plots", 0777, err) : 0;
    for (size_t i = 0; i < plots->n && rc == 0; i++) {
        AUTO_BUF name = BUF_INIT;
        buf_printf(&name, "plots/%s.svg", plots->items[i].name);
        rc = file_replace(dirfd, buf_text(&name), plots->items[i].svg, strlen(plots->items[i].svg),
                          err);
    }
    return rc;
}

static int forecast_page(int dirfd, const char *name, const struct forecast *f, bool plots_too,
                         struct err *err)
{
    struct plots plots;
    AUTO_BUF text = BUF_INIT;
    forecast_plots(f, &plots);
    forecast_html(f, &plots, &text);
    int rc = file_replace(dirfd, name, buf_text(&text), text.len, err);
    if (rc == 0 && plots_too)
        rc = write_plots(dirfd, &plots, err);
    plots_done(&plots);
    return rc;
}

static int forecast_files(const struct report_request *q, const struct forecast *f, struct err *err)
{
    bool single = q->html || q->md || q->junit || q->metrics;
    int at = single ? AT_FDCWD : q->dirfd;
    int rc = single ? 0 : forecast_one(at, "result.json", forecast_result, f, err);
    if (rc == 0)
        rc = forecast_one(at, single ? q->md : "report.md", forecast_markdown, f, err);
    if (rc == 0)
        rc = forecast_one(at, single ? q->junit : "junit.xml", forecast_junit, f, err);
    if (rc == 0)
        rc = forecast_one(at, single ? q->metrics : "metrics.prom", forecast_metrics, f, err);
    if (rc == 0 && (!single || q->html))
        rc = forecast_page(at, single ? q->html : "report.html", f, !single, err);
    return rc;
}

static int write_forecast(const struct report_request *q, const json_t *start,
                          struct report_outcome *ret, struct err *err)
{
    CLEANUP(scenario_free_p) struct scenario *scenario = NULL;
    CLEANUP(forecast_free_p) struct forecast *f = NULL;
    if (q->anonymous)
        return err_set(
            err, EINVAL,
            "a forecast was made by nobody and nowhere: there is nothing to rename in it");
    int rc = report_scenario(q->dirfd, q->path, start, &scenario, err);
    if (rc == 0 && strcmp(jsonx_str(start, "question", ""), "years") == 0)
        return write_outlook(q, scenario, ret, err);
    if (rc == 0)
        rc = forecast_read(q->dirfd, scenario, &f, err);
    if (rc == 0)
        rc = forecast_files(q, f, err);
    if (rc < 0)
        return rc;
    AUTO_BUF sentence = BUF_INIT;
    AUTO_BUF terminal = BUF_INIT;
    forecast_sentences(f, &sentence);
    forecast_terminal(f, &terminal);
    *ret = (struct report_outcome){.exit_code = forecast_exit_code(f),
                                   .verdict = verdict_words[f->verdict],
                                   .sentence = buf_steal(&sentence),
                                   .terminal = buf_steal(&terminal)};
    return 0;
}

/* ---- of a drill ---- */

typedef void writer(const struct result *r, struct buf *out);

static void write_result(const struct result *r, struct buf *out)
{
    AUTO_JSON *j = result_json(r);
    jsonx_dump_pretty(j, out);
}

static int write_one(int dirfd, const char *name, writer *fn, const struct result *r,
                     struct err *err)
{
    AUTO_BUF text = BUF_INIT;
    fn(r, &text);
    return file_replace(dirfd, name, buf_text(&text), text.len, err);
}

static int write_page(int dirfd, const char *name, const struct result *r,
                      const struct plots *plots, struct err *err)
{
    AUTO_BUF text = BUF_INIT;
    html_write(r, plots, &text);
    return file_replace(dirfd, name, buf_text(&text), text.len, err);
}

/* The page, and its plots as files of their own. */
static int write_page_and_plots(int dirfd, const struct result *r, struct err *err)
{
    struct plots plots;
    plots_make(r, &plots);
    int rc = write_page(dirfd, "report.html", r, &plots, err);
    if (rc == 0)
        rc = write_plots(dirfd, &plots, err);
    plots_done(&plots);
    return rc;
}

static int write_all(const struct report_request *q, const struct result *r, struct err *err)
{
    static const struct {
        const char *name;
        writer *fn;
    } files[] = {{"result.json", write_result},
                 {"report.md", markdown_write},
                 {"junit.xml", junit_write},
                 {"metrics.prom", metrics_write}};
    AUTO_CLOSE int own = -1;
    int dirfd = q->dirfd;
    if (q->anonymous) {
        int rc = file_make_dirs(q->dirfd, "anonymous", 0777, err);
        if (rc < 0)
            return rc;
        own = openat(q->dirfd, "anonymous", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (own < 0)
            return err_errno(err, errno, "cannot open %s/anonymous", q->path);
        dirfd = own;
    }
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        int rc = write_one(dirfd, files[i].name, files[i].fn, r, err);
        if (rc < 0)
            return rc;
    }
    return write_page_and_plots(dirfd, r, err);
}

static int write_single(const struct report_request *q, const struct result *r, struct err *err)
{
    const struct {
        const char *name;
        writer *fn;
    } files[] = {{q->md, markdown_write}, {q->junit, junit_write}, {q->metrics, metrics_write}};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        int rc = files[i].name ? write_one(AT_FDCWD, files[i].name, files[i].fn, r, err) : 0;
        if (rc < 0)
            return rc;
    }
    if (!q->html)
        return 0;
    struct plots plots;
    plots_make(r, &plots);
    int rc = write_page(AT_FDCWD, q->html, r, &plots, err);
    plots_done(&plots);
    return rc;
}

/* Played by people, or by answers for them. */
static bool is_played(const json_t *start)
{
    const char *mode = jsonx_str(start, "mode", "");
    return !strcmp(mode, "exercise") || !strcmp(mode, "functional") || !strcmp(mode, "replay");
}

int report_write(const struct report_request *q, struct report_outcome *ret, struct err *err)
{
    AUTO_JSON *events = NULL, *start = first_line(q->dirfd);
    struct record_head head;
    size_t torn = 0;
    if (strcmp(jsonx_str(start, "mode", ""), "forecast") == 0)
        return write_forecast(q, start, ret, err);
    int rc = record_read(q->dirfd, "record.ndjson", &events, &head, &torn, err);
    if (rc < 0)
        return rc;
    CLEANUP(scenario_free_p) struct scenario *scenario = NULL;
    rc = report_scenario(q->dirfd, q->path, json_array_get(events, 0), &scenario, err);
    if (rc < 0)
        return rc;
    if (is_played(json_array_get(events, 0)) && scenario_is_exercise(scenario))
        return after_action_write(q, scenario, events, &head, ret, err);
    if (q->anonymous)
        anonymous_apply(scenario, events);
    CLEANUP(result_free_p) struct result *r = NULL;
    rc = measure_run(scenario, events, &head, torn, &r, err);
    if (rc < 0)
        return rc;
    bool single = q->html || q->md || q->junit || q->metrics;
    rc = single ? write_single(q, r, err) : write_all(q, r, err);
    if (rc < 0)
        return rc;
    AUTO_BUF sentence = BUF_INIT;
    AUTO_BUF terminal = BUF_INIT;
    sentence_run(r, &sentence);
    terminal_write(r, &terminal);
    *ret = (struct report_outcome){.exit_code = result_exit_code(r),
                                   .verdict = verdict_words[r->verdict],
                                   .sentence = buf_steal(&sentence),
                                   .terminal = buf_steal(&terminal)};
    return 0;
}

void report_outcome_done(struct report_outcome *o)
{
    free(o->sentence);
    free(o->terminal);
    *o = (struct report_outcome){0};
}
