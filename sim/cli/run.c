/* blackstart run: the live drill. */
#include "sim/cli/run.h"
#include "sim/cli/progress.h"

#include "injectors/journal.h"
#include "reports/report.h"
#include "scenarios/emit.h"
#include "sim/base/buf.h"
#include "sim/base/cleanup.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/base/oom.h"
#include "sim/base/units.h"
#include "sim/cli/here.h"
#include "sim/cli/page.h"
#include "sim/cli/targets.h"
#include "sim/cli/tell.h"
#include "sim/drill/control.h"
#include "sim/drill/guard.h"
#include "sim/drill/plan.h"
#include "sim/drill/room.h"
#include "sim/lab/lab.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define END_NOTICES "end-notices.json"

static const struct option_spec run_options[] = {
    {"out", 'o', "DIR", "the folder of this run (default: drills/TIME-NAME-ID)"},
    {"trials", 'n', "N", "this many trials instead of the scenario's"},
    {"seed", 's', "N", "the seed of every choice and phase (default: a fresh one)"},
    {"set", 0, "NAME=VALUE", "overrides a variable of the scenario; may be repeated"},
    {"junit", 0, "FILE", "also writes the JUnit report there"},
    {"metrics", 0, "FILE", "also writes the OpenMetrics text there"},
    {"listen", 0, "ADDR", "serves the war room as a page there, like 8080 or 192.0.2.1:8080"},
    {"certificate", 0, "FILE", "PEM certificate of the page, for https"},
    {"key", 0, "FILE", "PEM private key of the page's certificate"},
    {"max-duration", 0, "D", "stops (and undoes) when the whole run takes longer, like 10m"},
    {"json", 0, NULL, "prints result.json on stdout instead of the sentences"},
    {"yes", 'y', NULL, "confirms that hosts which others made may be touched"},
    {"verbose", 'v', NULL, "shows every event"},
    {"quiet", 'q', NULL, "prints the sentence alone"},
    {NULL, 0, NULL, NULL},
};

struct run {
    const struct args *args;
    const struct run_play *play; /* NULL: nobody plays */
    struct scenario *scenario;
    const struct hostcaps *caps;
    struct folder folder;
    /* DIR, absolute. The lab's file system is mounted over it, in our own mount namespace: DIR was
     * empty, what we write there goes through folder.dirfd, below that mount, and nothing has to be
     * made on the disk that would remain after our death. */
    char *lab_folder;
    bool lab_mounted;
    struct progress progress;
    int source;
    uint64_t seed;
    int64_t trials;
    nsec max_duration;
    bool rootless;
    char *operator_name;
    uid_t operator_uid;
    int control;
    struct compare *before;
    struct attached *attached;
    char *journal_folder;
    struct herald *herald; /* NULL: nobody is told of the end */
    struct room *room;     /* NULL: no page */
    json_t *ended;         /* what the room is told of the end; NULL: nothing is known */
    json_t *known;         /* what is told of it: texts by name */
};

static bool run_shows_progress(const struct run *r)
{
    return !r->play || !r->play->has_terminal(r->play->data);
}

static void run_event(const char *kind, const json_t *event, void *data)
{
    struct run *r = data;
    if (run_shows_progress(r))
        progress_event(&r->progress, kind, event);
    room_event(r->room, kind, event);
}

static void run_tick(const json_t *status, void *data)
{
    struct run *r = data;
    if (run_shows_progress(r))
        progress_tick(&r->progress, status);
    room_tick(r->room, status);
}

/* The lab's file system goes: paths below DIR mean the files in it again. */
static void run_unmount(struct run *r)
{
    if (r->lab_mounted)
        lab_release_process(r->lab_folder);
    r->lab_mounted = false;
}

/* In the warden, after the runner died. */
static void run_after_death(void *data)
{
    struct run *r = data;
    struct report_outcome out;
    struct err err = ERR_INIT;
    struct report_request q = {.dirfd = r->folder.dirfd, .path = r->folder.path};
    run_unmount(r);
    if (report_write(&q, &out, &err) == 0)
        report_outcome_done(&out);
}

/* ---- telling others of the end ---- */

static void run_know(struct run *r, const char *word, const char *text)
{
    if (!r->known)
        r->known = json_object();
    json_object_set_new(r->known, word, jsonx_new_text(text));
}

static void run_know_page(struct run *r)
{
    AUTO_BUF page = BUF_INIT;
    buf_printf(&page, "%s/report.html", r->lab_folder);
    run_know(r, "report", buf_text(&page));
}

/* The record is finished: how these notices went stands in a file beside it. */
static void run_keep_notices(struct run *r, const json_t *went)
{
    AUTO_BUF text = BUF_INIT;
    struct err err = ERR_INIT;
    jsonx_dump_pretty(went, &text);
    if (file_replace(r->folder.dirfd, END_NOTICES, buf_text(&text), text.len, &err) < 0)
        say_warning("what came of the notices of the end is not kept: %s", err.text);
}

static void run_tell_end(struct run *r, int code)
{
    char number[16];
    size_t i;
    json_t *n;
    if (!r->herald)
        return;
    snprintf(number, sizeof number, "%d", code);
    run_know(r, "exit_code", number);
    run_know(r, "folder", r->lab_folder);
    AUTO_JSON *went = herald_conclude(r->herald, r->known);
    json_array_foreach (went, i, n)
        if (!jsonx_bool(n, "ok", false))
            say_warning("the notice of the end FAILED (%s, %s): %s", jsonx_str(n, "what", ""),
                        jsonx_str(n, "target", ""), jsonx_str(n, "detail", ""));
    if (json_array_size(went))
        run_keep_notices(r, went);
    r->herald = herald_end(r->herald);
}

static int run_report(struct run *r)
{
    struct report_outcome out;
    struct err err = ERR_INIT;
    struct report_request q = {.dirfd = r->folder.dirfd, .path = r->folder.path};
    if (report_write(&q, &out, &err) < 0)
        return say_error(EXIT_ABORTED,
                         "the drill is over and undone, but not reported: %s; try "
                         "blackstart report %s",
                         err.text, r->folder.path);
    r->ended =
        json_pack("{s:o, s:s}", "sentence", jsonx_new_text(out.sentence), "verdict", out.verdict);
    run_know(r, "verdict", out.verdict);
    run_know(r, "sentence", out.sentence);
    run_know_page(r);
    int code = tell_report(r->args, r->folder.dirfd, r->folder.path, &out);
    report_outcome_done(&out);
    return code;
}

static int run_drill(struct run *r)
{
    struct err err = ERR_INIT;
    AUTO_JSON *plan = NULL, *described = NULL, *steps = json_array(),
              *environment = folder_environment(r->rootless);
    AUTO_JSON *command = json_array();
    if (plan_make(r->scenario, r->caps, r->seed, r->trials, &plan, &err) < 0)
        return say_error(EXIT_BAD_INPUT, "%s", err.text);
    if (targets_describe(r->scenario, r->attached, &described, &err) < 0)
        return say_error(EXIT_CANNOT_RUN, "%s", err.text);
    json_object_set(plan, "attached", described);
    AUTO_BUF text = BUF_INIT;
    plan_text(plan, &text);
    for (char *line = text.text, *end; line && *line; line = end ? end + 1 : NULL) {
        end = strchr(line, '\n');
        json_array_append_new(steps, json_stringn(line, end ? (size_t)(end - line) : strlen(line)));
    }
    here_command_line(command);
    struct drill_options o = {
        .scenario = r->scenario,
        .digest = r->folder.digest,
        .dirfd = r->folder.dirfd,
        .source_dirfd = r->source,
        .lab_folder = r->lab_folder,
        .id = r->folder.id,
        .seed = r->seed,
        .trials = r->trials,
        .max_duration = r->max_duration,
        .operator_name = r->operator_name,
        .control_fd = r->control,
        .journal_folder = r->journal_folder,
        .before = r->before,
        .attached = r->attached->n ? r->attached : NULL,
        .command = command,
        .attempt = r->folder.attempt,
        .environment = environment,
        .plan = steps,
        .handlers = {.event = run_event,
                     .tick = run_tick,
                     .after_death = run_after_death,
                     .data = r},
        .people = r->play ? &r->play->people : NULL,
        .herald = &r->herald,
    };
    struct drill_outcome out;
    progress_begin(&r->progress, args_has(r->args, "verbose") && !r->play,
                   args_has(r->args, "quiet"));
    int rc = drill_run(&o, &out, &err);
    progress_end(&r->progress);
    run_unmount(r);
    if (rc < 0) {
        say_error(EXIT_ABORTED, "%s", err.text);
        int code = run_report(r);
        code = code == EXIT_NOT_CLEAN ? code : EXIT_ABORTED;
        run_tell_end(r, code);
        return code;
    }
    int code;
    if (out.end == DRILL_CANNOT_RUN) {
        run_know(r, "reason", out.why);
        code = say_error(out.clean ? EXIT_CANNOT_RUN : EXIT_NOT_CLEAN,
                         "the lab did not come up: %s\nwhat was captured is in %s/logs", out.why,
                         r->folder.path);
    } else if (out.end == DRILL_NO_REPORT)
        code = say_error(out.clean ? EXIT_ABORTED : EXIT_NOT_CLEAN,
                         "stopped twice: everything was undone, no report was made; "
                         "blackstart report %s makes it",
                         r->folder.path);
    else
        code = run_report(r);
    run_tell_end(r, code);
    drill_outcome_done(&out);
    return code;
}

/* From the first thing that is made until the loop listens to them, signals wait: they stop the drill
 * in its order. They wait again while reports are written. */
static void run_hold_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static int run_open_room(struct run *r)
{
    struct err err = ERR_INIT;
    struct room_spec spec = {.listen = args_get(r->args, "listen"),
                             .certificate = args_get(r->args, "certificate"),
                             .key = args_get(r->args, "key"),
                             .scenario = r->scenario,
                             .id = r->folder.id};
    if (!spec.listen || r->play)
        return 0;
    if (room_open(&spec, &r->room, &err) < 0)
        return say_error(EXIT_CANNOT_RUN, "the page for --listen %s: %s", spec.listen, err.text);
    if (guard_page(r->attached, room_address(r->room), &err) < 0)
        return say_error(EXIT_CANNOT_RUN, "the page for --listen %s: %s", spec.listen, err.text);
    say_page(room_url(r->room), room_codes(r->room));
    return 0;
}

static int run_prepared(struct run *r)
{
    struct err err = ERR_INIT;
    AUTO_BUF yaml = BUF_INIT;
    scenario_emit(r->scenario, &yaml);
    if (folder_open(args_get(r->args, "out"), r->scenario, r->source, buf_text(&yaml), &r->folder,
                    &err) < 0)
        return say_error(EXIT_BAD_INPUT, "%s", err.text);
    if (!args_has(r->args, "quiet"))
        fprintf(stderr, "blackstart: %s %s of %s, seed %llu, into %s\n",
                r->play ? "exercise" : "drill", r->folder.id, r->scenario->name,
                (unsigned long long)r->seed, r->folder.path);
    unsigned ids;
    r->lab_folder = realpath(r->folder.path, NULL);
    if (!r->lab_folder)
        return say_error(EXIT_CANNOT_RUN, "cannot find the way to %s: %s", r->folder.path,
                         strerror(errno));
    if (journal_folder(&r->journal_folder, &err) < 0 ||
        control_listen(r->operator_uid, r->folder.id, &r->control, &err) < 0)
        return say_error(EXIT_CANNOT_RUN, "%s", err.text);
    int code = r->play ? r->play->prepared(&r->folder, r->play->data) : run_open_room(r);
    if (code)
        return code;
    if (compare_new(r->attached, r->folder.id, &r->before, &err) < 0)
        return say_error(EXIT_CANNOT_RUN, "cannot note how everything is now: %s", err.text);
    if (lab_prepare_process(r->lab_folder, &r->rootless, &ids, &err) < 0)
        return say_error(EXIT_CANNOT_RUN, "%s", err.text);
    if (r->rootless)
        compare_not_here(r->before);
    r->lab_mounted = true;
    return run_drill(r);
}

int run_scenario(const struct command *self, const struct args *a, struct scenario *s,
                 const char *path, int64_t trials, uint64_t seed, const struct run_play *play)
{
    struct run r = {.args = a,
                    .play = play,
                    .scenario = s,
                    .source = -1,
                    .control = -1,
                    .seed = seed,
                    .trials = trials,
                    .max_duration = NSEC_UNSET,
                    .folder = {.dirfd = -1}};
    struct err err = ERR_INIT;
    const char *most = args_get(a, "max-duration");
    if (most && units_duration(most, &r.max_duration, &err) < 0)
        return say_usage(self, "--max-duration: %s", err.text);
    if (nsec_is_set(s->max_duration) &&
        (!nsec_is_set(r.max_duration) || r.max_duration > s->max_duration))
        r.max_duration = s->max_duration;
    CLEANUP(hostcaps_free_p) struct hostcaps *caps = NULL;
    int code = here_check(s, &caps);
    if (code)
        return code;
    r.caps = caps;
    code = targets_agreed(self, s, r.seed, args_has(a, "yes"), &r.attached);
    if (code) {
        attached_free(r.attached);
        return code;
    }
    r.source = here_open_source(path);
    /* Who closed the pipe that progress goes to wanted less to read, not the drill to die. */
    signal(SIGPIPE, SIG_IGN);
    run_hold_signals();
    oom_spare();
    r.operator_name = folder_operator(&r.operator_uid);
    code = run_prepared(&r);
    if (r.room && room_is_lost(r.room))
        say_warning("the page was lost during the drill: what it showed last is old");
    room_close(r.room, r.ended);
    json_decref(r.ended);
    herald_end(r.herald);
    json_decref(r.known);
    free(r.operator_name);
    compare_free(r.before);
    attached_free(r.attached);
    free(r.journal_folder);
    if (r.control >= 0)
        close(r.control);
    free(r.lab_folder);
    folder_done(&r.folder);
    if (r.source >= 0)
        close(r.source);
    return code;
}

static int run_run(const struct command *self, struct args *a)
{
    struct err err = ERR_INIT;
    const char *path = only_file(self, a);
    uint64_t seed;
    int64_t trials;
    if (!path || !pick_seed(self, a, &seed))
        return EXIT_BAD_INPUT;
    if (!page_options_fit(self, a))
        return EXIT_BAD_INPUT;
    CLEANUP(scenario_free_p) struct scenario *s = open_scenario(path, a);
    if (!s || !pick_trials(self, a, s, &trials))
        return EXIT_BAD_INPUT;
    if (scenario_can_run(s, &err) < 0)
        return say_error(EXIT_BAD_INPUT, "%s", err.text);
    return run_scenario(self, a, s, path, trials, seed, NULL);
}

const struct command command_run = {
    .name = "run",
    .summary = "the live drill: breaks things, measures, undoes, judges",
    .usage = "FILE [--out DIR] [--trials N] [--seed N] [--set NAME=VALUE] [...]",
    .about =
        "Exit code: 0 every target met, 1 a target missed, 2 bad scenario or usage, 3 cannot run\n"
        "here, 4 not demonstrated or inconclusive, 5 aborted or failed, 6 not everything undone.\n"
        "Ctrl-C once: undo, then report. Twice: undo, no report.",
    .options = run_options,
    .run = run_run,
};
