/* blackstart exercise: people play the incident; or answers play for them. */
#include "sim/cli/command.h"

#include "reports/handout.h"
#include "reports/report.h"
#include "scenarios/emit.h"
#include "scenarios/master.h"
#include "scenarios/scenario.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/base/units.h"
#include "sim/cli/functional.h"
#include "sim/cli/here.h"
#include "sim/cli/page.h"
#include "sim/cli/seats.h"
#include "sim/drill/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct option_spec exercise_options[] = {
    {"out", 'o', "DIR", "the folder of this exercise (default: exercises/TIME-NAME-ID)"},
    {"listen", 0, "ADDR", "serves the page that people join there, like 8080 or 192.0.2.1:8080"},
    {"certificate", 0, "FILE", "PEM certificate of the page, for https"},
    {"key", 0, "FILE", "PEM private key of the page's certificate"},
    {"answers", 0, "FILE", "plays without people, at once: a file of answers, or a record"},
    {"events-out", 0, "CSV", "writes the master scenario events list there, and plays nothing"},
    {"handouts", 0, "DIR", "writes the materials before the day there, and plays nothing"},
    {"speed", 0, "X", "the exercise clock goes X times as fast (0.1 to 1000; default 1)"},
    {"resume", 0, "DIR", "goes on with an exercise that was interrupted"},
    {"set", 0, "NAME=VALUE", "overrides a variable of the scenario; may be repeated"},
    {"seed", 's', "N", "of choices on hosts, in a functional exercise (default: a fresh one)"},
    {"yes", 'y', NULL, "confirms that hosts which others made may be touched"},
    {"verbose", 'v', NULL, "shows every event"},
    {"quiet", 'q', NULL, "prints the sentence alone"},
    {NULL, 0, NULL, NULL},
};

struct exercise_run {
    const struct command *self;
    const struct args *args;
    struct scenario *scenario;
    struct folder folder;
    struct loop *loop;
    struct conduct *conduct;
    struct answers *answers;
    struct seats seats;
    struct loop_signal signals[3];
    double speed;
    bool resumed, interrupted;
};

/* --- Beginning --- */

static json_t *exercise_start_line(const struct exercise_run *r)
{
    char iso[NSEC_TEXT_MAX];
    uid_t uid;
    nsec wall = nsec_now(CLOCK_REALTIME);
    AUTO_FREE char *operator_name = folder_operator(&uid);
    const char *answers = args_get(r->args, "answers");
    json_t *command = json_array();
    here_command_line(command);
    json_t *line = json_pack(
        "{s:i, s:s, s:s, s:s, s:{s:s, s:s*, s:s}, s:O, s:s, s:i, s:o, s:s, s:I, s:s, s:o, s:o}",
        "record", 1, "blackstart", BLACKSTART_VERSION, "id", r->folder.id, "mode",
        answers ? "replay" : "exercise", "scenario", "name", r->scenario->name, "title",
        r->scenario->title, "digest", r->folder.digest, "attempt", r->folder.attempt, "seed", "0",
        "trials", 1, "operator", jsonx_new_text(operator_name), "wall", nsec_iso(wall, iso),
        "wall_ns", (json_int_t)wall, "clock", answers ? "virtual" : "CLOCK_MONOTONIC", "command",
        command, "environment", folder_environment(geteuid() != 0));
    if (answers)
        json_object_set_new(line, "answers", jsonx_new_text(text_basename(answers)));
    return line;
}

static int exercise_load(struct exercise_run *r, const char *path)
{
    r->scenario = open_scenario(path, r->args);
    if (!r->scenario)
        return EXIT_BAD_INPUT;
    if (!scenario_is_exercise(r->scenario))
        return say_error(
            EXIT_BAD_INPUT,
            "%s: nobody plays in this scenario: its script has no step of people "
            "(tell, decide, expected …); use `blackstart run` or `blackstart forecast`",
            path);
    return EXIT_MET;
}

/* The folder of one that was interrupted, with the scenario as it was played. */
static int exercise_reopen(struct exercise_run *r, const char *dir)
{
    struct err err = ERR_INIT;
    AUTO_FREE char *text = NULL;
    AUTO_DIAGS diags = DIAGS_INIT;
    size_t n = 0;
    r->folder.path = strdup(dir);
    r->folder.dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->folder.dirfd < 0)
        return say_error(EXIT_BAD_INPUT, "cannot open %s: %s", dir, strerror(errno));
    if (file_read(r->folder.dirfd, "scenario.yaml", 16 << 20, &text, &n, &err) < 0)
        return say_error(EXIT_BAD_INPUT, "%s is not the folder of an exercise: %s", dir, err.text);
    if (scenario_load_as_run(text, n, "scenario.yaml", &diags, &r->scenario) < 0) {
        AUTO_BUF said = BUF_INIT;
        diags_render(&diags, &said);
        fputs(buf_text(&said), stderr);
        return EXIT_BAD_INPUT;
    }
    return EXIT_MET;
}

static int exercise_folder(struct exercise_run *r, const char *path)
{
    struct err err = ERR_INIT;
    AUTO_BUF yaml = BUF_INIT;
    AUTO_CLOSE int source = here_open_source(path);
    scenario_emit(r->scenario, &yaml);
    if (folder_open(args_get(r->args, "out"), r->scenario, source, buf_text(&yaml), &r->folder,
                    &err) < 0)
        return say_error(EXIT_BAD_INPUT, "%s", err.text);
    return EXIT_MET;
}

static int exercise_answers(struct exercise_run *r)
{
    const char *path = args_get(r->args, "answers");
    struct err err = ERR_INIT;
    AUTO_DIAGS diags = DIAGS_INIT;
    if (!path || answers_load(path, r->scenario, &diags, &r->answers, &err) == 0)
        return EXIT_MET;
    AUTO_BUF said = BUF_INIT;
    diags_render(&diags, &said);
    fputs(buf_text(&said), stderr);
    return said.len ? EXIT_BAD_INPUT : say_error(EXIT_BAD_INPUT, "%s", err.text);
}

static int exercise_events_out(const struct exercise_run *r, const char *path)
{
    struct err err = ERR_INIT;
    AUTO_BUF csv = BUF_INIT;
    master_export(r->scenario, &csv);
    if (!strcmp(path, "-"))
        return say_result(EXIT_MET, buf_text(&csv), csv.len);
    if (file_replace(AT_FDCWD, path, buf_text(&csv), csv.len, &err) < 0)
        return say_error(EXIT_ABORTED, "%s", err.text);
    return EXIT_MET;
}

/* --- Playing --- */

static void exercise_signal(struct loop_signal *s, int signo, void *data)
{
    struct exercise_run *r = data;
    r->interrupted = true;
    loop_stop(r->loop);
}

static int exercise_signals(struct exercise_run *r, struct err *err)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    int rc = 0;
    for (size_t i = 0; i < ARRAY_SIZE(numbers) && rc == 0; i++) {
        r->signals[i] = (struct loop_signal){.fn = exercise_signal, .data = r};
        rc = loop_signal_add(r->loop, &r->signals[i], numbers[i], err);
    }
    return rc;
}

static int exercise_conduct(struct exercise_run *r, struct err *err)
{
    struct conduct_spec spec = {.loop = r->loop,
                                .scenario = r->scenario,
                                .dirfd = r->folder.dirfd,
                                .speed = r->speed,
                                .on_virtual_clock = r->answers != NULL,
                                .alone = r->answers != NULL};
    int rc = exercise_signals(r, err);
    if (rc < 0)
        return rc;
    if (!r->resumed)
        spec.run_start = exercise_start_line(r);
    rc =
        r->resumed ? conduct_resume(&spec, &r->conduct, err) : conduct_new(&spec, &r->conduct, err);
    if (rc < 0)
        return rc;
    seats_watch(&r->seats, r->conduct);
    rc = seats_take(&r->seats, err);
    if (rc == 0 && !conduct_is_over(r->conduct))
        rc = loop_run(r->loop, err);
    seats_linger(&r->seats);
    return rc == 0 ? conduct_failure(r->conduct, err) : rc;
}

/* The after-action report, as `report` makes it. */
static int exercise_result(const struct exercise_run *r)
{
    struct err err = ERR_INIT;
    struct report_request q = {.dirfd = r->folder.dirfd, .path = r->folder.path};
    struct report_outcome out;
    AUTO_BUF text = BUF_INIT;
    if (report_write(&q, &out, &err) < 0)
        return say_error(EXIT_ABORTED, "it was played to its end, but not reported: %s", err.text);
    if (r->answers && answers_refused(r->answers))
        buf_printf(&text, "%zu of %zu answers were refused: the record says why.\n",
                   answers_refused(r->answers), answers_n(r->answers));
    buf_adds(&text, args_has(r->args, "quiet") ? out.sentence : out.terminal);
    if (text.text[text.len - 1] != '\n')
        buf_addc(&text, '\n');
    if (!args_has(r->args, "quiet"))
        buf_printf(&text, "\nreport: %s/report.html\n", r->folder.path);
    int code = say_result(out.exit_code, buf_text(&text), text.len);
    report_outcome_done(&out);
    return code;
}

static int exercise_play(struct exercise_run *r)
{
    struct err err = ERR_INIT;
    int rc = loop_new(r->answers ? LOOP_VIRTUAL : LOOP_REAL, &r->loop, &err);
    if (rc == 0)
        rc = exercise_conduct(r, &err);
    if (rc == -EALREADY)
        return say_error(EXIT_BAD_INPUT, "%s", err.text);
    if (rc < 0)
        return say_error(EXIT_ABORTED, "the exercise failed: %s", err.text);
    if (conduct_state(r->conduct)->stage == STAGE_ENDED)
        return exercise_result(r);
    return say_error(EXIT_ABORTED,
                     "the exercise was interrupted and nothing is lost: go on with `blackstart "
                     "exercise --resume %s`",
                     r->folder.path);
}

static void exercise_done(struct exercise_run *r)
{
    seats_leave(&r->seats);
    answers_free(r->answers);
    conduct_free(r->conduct);
    for (size_t i = 0; i < ARRAY_SIZE(r->signals); i++)
        loop_signal_remove(r->loop, &r->signals[i]);
    loop_free(r->loop);
    folder_done(&r->folder);
    scenario_free(r->scenario);
}

static int exercise_prepare(struct exercise_run *r, const char *dir, const char *path)
{
    int code = dir ? exercise_reopen(r, dir) : exercise_load(r, path);
    if (code == EXIT_MET)
        code = exercise_answers(r);
    if (code == EXIT_MET && r->answers && args_has(r->args, "listen"))
        code = say_usage(r->self, "--listen is for people, --answers plays without them");
    if (code == EXIT_MET && !dir && scenario_is_functional(r->scenario))
        return functional_fits(r->self, r->args, r->scenario);
    if (code == EXIT_MET && !dir)
        code = exercise_folder(r, path);
    r->seats = (struct seats){.args = r->args, .answers = r->answers, .dirfd = r->folder.dirfd};
    return code;
}

static int exercise_handouts(const struct exercise_run *r, const char *dir)
{
    struct err err = ERR_INIT;
    AUTO_BUF said = BUF_INIT;
    int rc = file_make_dirs(AT_FDCWD, dir, 0777, &err);
    AUTO_CLOSE int fd = rc < 0 ? -1 : open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (rc == 0 && fd < 0)
        return say_error(EXIT_BAD_INPUT, "cannot open %s: %s", dir, strerror(errno));
    if (rc == 0)
        rc = handout_write(r->scenario, fd, &err);
    if (rc < 0)
        return say_error(EXIT_ABORTED, "the materials were not written: %s", err.text);
    for (size_t i = 0; i < HANDOUTS; i++)
        buf_printf(&said, "%s/%s.html\n", dir, handout_names[i]);
    return say_result(EXIT_MET, buf_text(&said), said.len);
}

static int exercise_run(const struct command *self, struct args *a)
{
    struct exercise_run r = {.self = self,
                             .args = a,
                             .folder = {.dirfd = -1},
                             .speed = 1,
                             .resumed = args_has(a, "resume")};
    const char *speed = args_get(a, "speed"), *dir = args_get(a, "resume"), *path = NULL;
    char *end = NULL;
    if (speed && (r.speed = strtod(speed, &end), *end || !(r.speed >= 0.1 && r.speed <= 1000)))
        return say_usage(self, "--speed takes a number from 0.1 to 1000, not '%s'", speed);
    if (dir &&
        (a->rest.n || args_has(a, "out") || args_has(a, "events-out") || args_has(a, "handouts")))
        return say_usage(self, "--resume goes on with the scenario of its folder: no FILE, no "
                               "--out, no --events-out, no --handouts");
    if (!page_options_fit(self, a))
        return EXIT_BAD_INPUT;
    if (!dir && !(path = only_file(self, a)))
        return EXIT_BAD_INPUT;
    const char *list = args_get(a, "events-out"), *handouts = args_get(a, "handouts");
    int code = list || handouts ? exercise_load(&r, path) : exercise_prepare(&r, dir, path);
    if (code == EXIT_MET && list)
        code = exercise_events_out(&r, list);
    if (code == EXIT_MET && handouts)
        code = exercise_handouts(&r, handouts);
    bool plays = code == EXIT_MET && !list && !handouts;
    if (plays && !dir && scenario_is_functional(r.scenario))
        code = functional_play(self, a, r.scenario, path, r.answers);
    else if (plays)
        code = exercise_play(&r);
    exercise_done(&r);
    return code;
}

const struct command command_exercise = {
    .name = "exercise",
    .summary = "people play the incident; blackstart keeps the clock",
    .usage = "FILE [--out DIR] [--speed X] [--listen ADDR] [--answers FILE] [...]\n"
             "       blackstart exercise --resume DIR [--listen ADDR] [--answers FILE]",
    .about =
        "Without answers the terminal is the facilitator's console: 'help' tells its commands.\n"
        "Everything is on the disk before anybody sees it, so what was interrupted goes on with\n"
        "--resume. Where the script does something to hosts the exercise is a functional one: "
        "real\n"
        "faults, on the same clock, undone at the end, after an abort, and when blackstart dies;\n"
        "all others touch no system.\n\n"
        "Exit code: 0 all objectives met (of answers: played to its end), 1 not met, 2 bad "
        "scenario\n"
        "or usage, 3 cannot be played here, 4 not demonstrated, 5 interrupted or failed, 6 not\n"
        "everything undone.",
    .options = exercise_options,
    .run = exercise_run,
};
