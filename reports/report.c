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
#include "reports/output.h"
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

static int outlook_files(const struct report_request *q, const struct outlook *o, struct err *err)
{
    AUTO_OUTPUT out = output_of(q, q->dirfd);
    AUTO_JSON *j = outlook_json(o);
    jsonx_dump_pretty(j, &out.result.text);
    outlook_markdown(o, &out.md.text);
    outlook_html(o, &out.html.text);
    outlook_junit(o, &out.junit.text);
    outlook_metrics(o, &out.metrics.text);
    return output_write(&out, err);
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

static int forecast_files(const struct report_request *q, const struct forecast *f, struct err *err)
{
    AUTO_OUTPUT out = output_of(q, q->dirfd);
    AUTO_JSON *j = forecast_json(f);
    struct plots plots = {0};
    jsonx_dump_pretty(j, &out.result.text);
    forecast_markdown(f, &out.md.text);
    forecast_junit(f, &out.junit.text);
    forecast_metrics(f, &out.metrics.text);
    if (out.html.name) {
        forecast_plots(f, &plots);
        forecast_html(f, &plots, &out.html.text);
    }
    int rc = output_write(&out, err);
    if (rc == 0 && !output_is_single(q))
        rc = write_plots(out.dirfd, &plots, err);
    plots_done(&plots);
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

/* The folder of a run that is told under other names. */
static int open_anonymous(const struct report_request *q, int *ret, struct err *err)
{
    int rc = file_make_dirs(q->dirfd, "anonymous", 0777, err);
    if (rc < 0)
        return rc;
    *ret = openat(q->dirfd, "anonymous", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret < 0 ? err_errno(err, errno, "cannot open %s/anonymous", q->path) : 0;
}

static int drill_files(const struct report_request *q, const struct result *r, struct err *err)
{
    AUTO_CLOSE int own = -1;
    bool single = output_is_single(q);
    int rc = q->anonymous && !single ? open_anonymous(q, &own, err) : 0;
    if (rc < 0)
        return rc;
    AUTO_OUTPUT out = output_of(q, own >= 0 ? own : q->dirfd);
    AUTO_JSON *j = result_json(r);
    struct plots plots = {0};
    jsonx_dump_pretty(j, &out.result.text);
    markdown_write(r, &out.md.text);
    junit_write(r, &out.junit.text);
    metrics_write(r, &out.metrics.text);
    if (out.html.name) {
        plots_make(r, &plots);
        html_write(r, &plots, &out.html.text);
    }
    rc = output_write(&out, err);
    if (rc == 0 && !single)
        rc = write_plots(out.dirfd, &plots, err);
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
    if (strcmp(jsonx_str(start, "mode", ""), "forecast") == 0 && !q->actions)
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
    if (q->actions)
        return err_set(err, EINVAL, "corrective actions are of an exercise: nobody played here");
    if (q->anonymous)
        anonymous_apply(scenario, events);
    CLEANUP(result_free_p) struct result *r = NULL;
    rc = measure_run(scenario, events, &head, torn, &r, err);
    if (rc < 0)
        return rc;
    rc = drill_files(q, r, err);
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
