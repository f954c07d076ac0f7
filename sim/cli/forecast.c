/* blackstart forecast: the same scenario on a virtual clock, many times. */
#include "sim/cli/analyses.h"
#include "sim/cli/command.h"
#include "sim/cli/here.h"
#include "sim/cli/tell.h"

#include "reports/report.h"
#include "scenarios/emit.h"
#include "sim/base/buf.h"
#include "sim/base/cleanup.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/base/units.h"
#include "sim/drill/folder.h"
#include "sim/forecast/estate.h"
#include "sim/forecast/pool.h"
#include "sim/forecast/simulate.h"
#include "sim/forecast/years_simulate.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRIALS_DEFAULT 100000
#define YEARS_TRIALS_DEFAULT 10000
#define TRIALS_MOST 1000000000
#define THREADS_MOST 1024
#define SHARDS_MOST 100000
#define PLAIN_EVERY (10 * NSEC_SEC) /* lines of progress where no terminal is */

static const struct option_spec forecast_options[] = {
    {"out", 'o', "DIR", "the folder of this forecast (default: forecasts/TIME-NAME-ID)"},
    {"trials", 'n', "N", "so many trials (default: 100000)"},
    {"seed", 's', "N", "the seed of everything that is drawn (default: a fresh one)"},
    {"threads", 't', "N", "so many threads (default: one for each processor)"},
    {"shard", 0, "K/N", "computes the K-th of N parts; blackstart report puts them together"},
    {"years", 0, "N",
     "what to expect of N years in which things fail by themselves (default of --trials: 10000)"},
    {"rare", 0, NULL,
     "how likely what hardly ever happens is, by importance sampling: missed RTOs, or incidents of "
     "--years"},
    {"set", 0, "NAME=VALUE", "overrides a variable, or a path into the file; may be repeated"},
    ANALYSES_OPTIONS,
    {"junit", 0, "FILE", "also writes the JUnit report there"},
    {"metrics", 0, "FILE", "also writes the OpenMetrics text there"},
    {"json", 0, NULL, "prints result.json on stdout instead of the sentences"},
    {"verbose", 'v', NULL, "tells how fast it was"},
    {"quiet", 'q', NULL, "prints the sentence alone"},
    {NULL, 0, NULL, NULL},
};

struct forecast_run {
    const struct args *args;
    const struct scenario *scenario;
    const struct system *system;
    const struct catalogue *catalogue; /* of years; NULL: of the script */
    struct folder folder;
    uint64_t seed;
    int64_t trials, threads, shard, shards, years;
    bool terminal, quiet, verbose, shown;
    nsec started, told, simulated; /* simulated: when all trials were; 0: not told */
    char *wall_started;
    struct analyses analyses;
};

/* ---- signals ---- */

static volatile sig_atomic_t forecast_stops; /* how often it was told to stop */

static void forecast_on_signal(int number)
{
    static const char last[] = "\nblackstart: stopped twice: no report was made\n";
    if (forecast_stops++ == 0)
        return;
    if (write(STDERR_FILENO, last, sizeof last - 1) < 0)
        _exit(EXIT_ABORTED);
    _exit(EXIT_ABORTED);
}

static void forecast_listen(void)
{
    struct sigaction sa = {.sa_handler = forecast_on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGHUP, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* ---- progress ---- */

static void forecast_count_text(uint64_t n, char text[32])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n);
    char *to = text;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
}

static void forecast_show(struct forecast_run *r, uint64_t done, uint64_t of, nsec now)
{
    char have[32], all[32], rate[32], left[NSEC_TEXT_MAX] = "";
    double took = (double)(now - r->started) / 1e9, speed = (double)done / (took > 0 ? took : 1);
    forecast_count_text(done, have);
    forecast_count_text(of, all);
    forecast_count_text((uint64_t)speed, rate);
    if (speed > 0)
        nsec_text(((nsec)((double)(of - done) / speed) + 1) * NSEC_SEC, left);
    fprintf(stderr, "%sforecast  %s of %s trials (%d %%)  %s/s%s%s%s%s", r->terminal ? "\r" : "",
            have, all, (int)(100 * done / (of ? of : 1)), rate, *left ? "  " : "", left,
            *left ? " left" : "", r->terminal ? "\033[K" : "\n");
    fflush(stderr);
    r->shown = true;
}

static bool forecast_tick(uint64_t done, uint64_t of, void *data)
{
    struct forecast_run *r = data;
    nsec now = nsec_now(CLOCK_MONOTONIC);
    if (!r->quiet && (r->terminal || now - r->told >= PLAIN_EVERY)) {
        r->told = now;
        forecast_show(r, done, of, now);
    }
    return forecast_stops > 0;
}

static bool forecast_is_stopped(void *data)
{
    return forecast_stops > 0;
}

static void forecast_wipe(struct forecast_run *r)
{
    if (r->shown && r->terminal)
        fputs("\r\033[K", stderr);
    r->shown = false;
}

/* ---- the run ---- */

/* Who computed it, when and how fast: no part of the record, which would not be the same again. */
static int forecast_keep_about(const struct forecast_run *r, uint64_t done, nsec took,
                               struct err *err)
{
    uid_t uid;
    char ended[NSEC_TEXT_MAX];
    AUTO_FREE char *operator_name = folder_operator(&uid);
    json_t *command = json_array();
    here_command_line(command);
    double seconds = (double)took / 1e9;
    AUTO_JSON *about = json_object();
    json_object_set_new(about, "started", json_string(r->wall_started));
    json_object_set_new(about, "ended", json_string(nsec_iso(nsec_now(CLOCK_REALTIME), ended)));
    json_object_set_new(about, "took_s", json_real(seconds));
    json_object_set_new(about, "trials", json_integer((json_int_t)done));
    json_object_set_new(about, "threads", json_integer(r->threads));
    json_object_set_new(about, "operator", jsonx_new_text(operator_name));
    json_object_set_new(about, "command", command);
    json_object_set_new(about, "environment", folder_environment(false));
    AUTO_BUF text = BUF_INIT;
    jsonx_dump_pretty(about, &text);
    return file_replace(r->folder.dirfd, "computed.json", buf_text(&text), text.len, err);
}

static int forecast_report(const struct forecast_run *r)
{
    struct report_outcome out;
    struct err err = ERR_INIT;
    struct report_request q = {.dirfd = r->folder.dirfd, .path = r->folder.path};
    if (report_write(&q, &out, &err) < 0)
        return say_error(EXIT_ABORTED,
                         "the forecast is computed, but not reported: %s; try "
                         "blackstart report %s",
                         err.text, r->folder.path);
    int code = tell_report(r->args, r->folder.dirfd, r->folder.path, &out);
    report_outcome_done(&out);
    return code;
}

static int forecast_part(const struct forecast_run *r, uint64_t done)
{
    AUTO_BUF text = BUF_INIT;
    char trials[32];
    forecast_count_text(done, trials);
    bool stopped = forecast_stops > 0;
    buf_printf(&text, "part %" PRId64 " of %" PRId64 ": %s trials%s into %s\n", r->shard, r->shards,
               trials, stopped ? ", stopped before its end," : "", r->folder.path);
    if (!stopped && !args_has(r->args, "quiet"))
        buf_adds(&text, "A part is no forecast: name all parts to `blackstart report`.\n");
    return say_result(stopped ? EXIT_ABORTED : EXIT_MET, buf_text(&text), text.len);
}

static int forecast_analyse(struct record *record, void *data, struct err *err)
{
    struct forecast_run *r = data;
    r->simulated = nsec_now(CLOCK_MONOTONIC);
    if (r->terminal && !r->quiet) {
        fputs("\r\033[Kwhy, and what if", stderr);
        fflush(stderr);
        r->shown = true;
    }
    return analyses_write(record, &r->analyses, err);
}

static int forecast_years(struct forecast_run *r, struct record *record, uint64_t *ret_done,
                          struct err *err)
{
    struct years_options o = {.scenario = r->scenario,
                              .catalogue = r->catalogue,
                              .digest = r->folder.digest,
                              .seed = r->seed,
                              .missions = (uint64_t)r->trials,
                              .years = (uint64_t)r->years,
                              .shard = (uint64_t)r->shard,
                              .shards = (uint64_t)r->shards,
                              .threads = (size_t)r->threads,
                              .rare = args_has(r->args, "rare"),
                              .record = record,
                              .tick = forecast_tick,
                              .data = r};
    return years_simulate(&o, ret_done, err);
}

static int forecast_trials(struct forecast_run *r, struct record *record, uint64_t *ret_done,
                           struct err *err)
{
    struct simulate_options o = {.scenario = r->scenario,
                                 .system = r->system,
                                 .digest = r->folder.digest,
                                 .seed = r->seed,
                                 .trials = (uint64_t)r->trials,
                                 .shard = (uint64_t)r->shard,
                                 .shards = (uint64_t)r->shards,
                                 .threads = (size_t)r->threads,
                                 .record = record,
                                 .tick = forecast_tick,
                                 .analyse = forecast_analyse,
                                 .data = r};
    return simulate(&o, ret_done, err);
}

static void forecast_speed(const struct forecast_run *r, uint64_t done, nsec took)
{
    double trials = (double)(r->simulated ? r->simulated - r->started : took) / 1e9;
    fprintf(stderr, "blackstart: %" PRIu64 " trials in %.3f s, %.0f a second, %" PRId64 " threads",
            done, trials, (double)done / trials, r->threads);
    if (r->simulated)
        fprintf(stderr, "; why, and what if: %.3f s", (double)took / 1e9 - trials);
    fputc('\n', stderr);
}

static int forecast_compute(struct forecast_run *r)
{
    struct err err = ERR_INIT;
    CLEANUP(record_free_p) struct record *record = NULL;
    uint64_t done = 0;
    if (record_create(r->folder.dirfd, "record.ndjson", 0, &record, &err) < 0)
        return say_error(EXIT_BAD_INPUT, "%s", err.text);
    r->started = r->told = nsec_now(CLOCK_MONOTONIC);
    int rc = r->catalogue ? forecast_years(r, record, &done, &err)
                          : forecast_trials(r, record, &done, &err);
    nsec took = nsec_now(CLOCK_MONOTONIC) - r->started;
    forecast_wipe(r);
    if (rc == 0)
        rc = forecast_keep_about(r, done, took, &err);
    if (rc < 0)
        return say_error(EXIT_ABORTED, "the forecast failed: %s", err.text);
    if (r->verbose)
        forecast_speed(r, done, took);
    record = record_free(record);
    return r->shards > 1 ? forecast_part(r, done) : forecast_report(r);
}

static int forecast_prepared(struct forecast_run *r)
{
    struct err err = ERR_INIT;
    AUTO_BUF yaml = BUF_INIT;
    char wall[NSEC_TEXT_MAX];
    scenario_emit(r->scenario, &yaml);
    if (folder_make(args_get(r->args, "out"), "forecasts", r->scenario->name, buf_text(&yaml),
                    &r->folder, &err) < 0)
        return say_error(EXIT_BAD_INPUT, "%s", err.text);
    r->wall_started = (char *)(uintptr_t)nsec_iso(nsec_now(CLOCK_REALTIME), wall);
    if (!r->quiet) {
        char trials[32];
        forecast_count_text((uint64_t)r->trials, trials);
        fprintf(stderr, "blackstart: forecast of %s, %s trials, seed %" PRIu64 ", into %s\n",
                r->scenario->name, trials, r->seed, r->folder.path);
    }
    forecast_listen();
    int code = forecast_compute(r);
    folder_done(&r->folder);
    return code;
}

/* ---- options ---- */

static bool forecast_number(const struct command *c, const struct args *a, const char *option,
                            int64_t dflt, int64_t most, int64_t *ret)
{
    const char *text = args_get(a, option);
    *ret = dflt;
    if (text && (units_integer(text, ret, NULL) < 0 || *ret < 1 || *ret > most)) {
        say_usage(c, "--%s takes a whole number from 1 to %" PRId64 ", not '%s'", option, most,
                  text);
        return false;
    }
    return true;
}

static bool forecast_shard(const struct command *c, const struct args *a, struct forecast_run *r)
{
    const char *text = args_get(a, "shard"), *slash = text ? strchr(text, '/') : NULL;
    char first[16] = "";
    r->shard = r->shards = 1;
    if (!text)
        return true;
    if (slash && (size_t)(slash - text) < sizeof first)
        memcpy(first, text, (size_t)(slash - text));
    if (!slash || units_integer(first, &r->shard, NULL) < 0 ||
        units_integer(slash + 1, &r->shards, NULL) < 0 || r->shard < 1 || r->shards < r->shard ||
        r->shards > SHARDS_MOST) {
        say_usage(c,
                  "--shard takes K/N, the K-th of N parts, with K from 1 to N and N up to %d, "
                  "not '%s'",
                  SHARDS_MOST, text);
        return false;
    }
    /* Each part with a seed of its own would be no part. */
    if (r->shards > 1 && !args_has(a, "seed")) {
        say_usage(c, "--shard needs --seed: all parts must have the same");
        return false;
    }
    return true;
}

static int forecast_of_years(struct forecast_run *r)
{
    struct err err = ERR_INIT;
    CLEANUP(estate_free_p) struct estate *estate = NULL;
    int code = analyses_prepare(&r->analyses); /* what takeovers draw from drills */
    if (code == EXIT_MET && estate_new(r->scenario, &estate, &err) < 0)
        code = say_error(EXIT_BAD_INPUT, "%s", err.text);
    r->catalogue = estate ? estate_catalogue(estate) : NULL;
    if (code == EXIT_MET)
        code = forecast_prepared(r);
    analyses_done(&r->analyses);
    return code;
}

static int forecast_run(const struct command *self, struct args *a)
{
    const char *no_color_term = getenv("TERM");
    struct forecast_run r = {.args = a,
                             .folder = {.dirfd = -1},
                             .quiet = args_has(a, "quiet"),
                             .verbose = args_has(a, "verbose")};
    struct err err = ERR_INIT;
    const char *path = a->rest.n && args_has(a, "against") ? a->rest.items[0] : only_file(self, a);
    r.terminal = isatty(STDERR_FILENO) && no_color_term && strcmp(no_color_term, "dumb") != 0;
    if (!path || !pick_seed(self, a, &r.seed) ||
        !forecast_number(self, a, "years", 0, YEARS_MOST, &r.years) ||
        !forecast_number(self, a, "trials", r.years ? YEARS_TRIALS_DEFAULT : TRIALS_DEFAULT,
                         TRIALS_MOST, &r.trials) ||
        !forecast_number(self, a, "threads", (int64_t)pool_processors(), THREADS_MOST,
                         &r.threads) ||
        !forecast_shard(self, a, &r))
        return EXIT_BAD_INPUT;
    if (r.years && (args_has(a, "sweep") || args_has(a, "against")))
        return say_usage(self, "--sweep and --against ask about the script, --years does not");
    CLEANUP(scenario_free_p) struct scenario *s = open_scenario_as_it_is(path, a);
    if (!s)
        return EXIT_BAD_INPUT;
    r.scenario = s;
    r.analyses = (struct analyses){.args = a,
                                   .path = path,
                                   .scenario = s,
                                   .seed = r.seed,
                                   .trials = (uint64_t)r.trials,
                                   .threads = (size_t)r.threads,
                                   .stop = forecast_is_stopped};
    if (r.years)
        return forecast_of_years(&r);
    int code = analyses_prepare(&r.analyses);
    CLEANUP(system_free_p) struct system *system = NULL;
    if (code == EXIT_MET && system_new(s, &system, &err) < 0)
        code = say_error(EXIT_BAD_INPUT, "%s", err.text);
    r.system = r.analyses.system = system;
    if (code == EXIT_MET)
        code = forecast_prepared(&r);
    analyses_done(&r.analyses);
    return code;
}

const struct command command_forecast = {
    .name = "forecast",
    .summary = "what to expect: the scenario on a virtual clock, many times",
    .usage =
        "FILE [--out DIR] [--trials N] [--seed N] [--threads N] [--shard K/N] [--set NAME=VALUE]\n"
        "                           [--years N [--rare]] [--sweep PATH=A,B,...] [--against DIR...] "
        "[...]",
    .about =
        "Breaks and touches nothing. The same seed gives the same bytes of record.ndjson and\n"
        "result.json with any number of threads and parts.\n\n"
        "Besides: which luck and which assumptions decide, the cheapest change that keeps the "
        "RTO,\n"
        "the scenario's variants, and whether drills (--against DIR DIR...) agree.\n\n"
        "Exit code: 0 every target met as a forecast, 1 a target not met, 2 bad scenario or\n"
        "usage, 4 more trials are needed, 5 stopped or failed. Ctrl-C once: a report of what was\n"
        "computed. Twice: no report.",
    .options = forecast_options,
    .run = forecast_run,
};
