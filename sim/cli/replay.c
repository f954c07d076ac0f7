/* blackstart replay: what was recorded is played again, on the page or in an instant. Nothing is written. */
#include "sim/cli/command.h"

#include "reports/escape.h"
#include "reports/report.h"
#include "scenarios/scenario.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/cli/page.h"
#include "sim/drill/room_reel.h"
#include "sim/exercise/reel.h"
#include "sim/record/record.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINGER (500 * NSEC_MSEC) /* for the last answers */
#define PEM_MAX (1u << 20)

static const struct option_spec replay_options[] = {
    {"listen", 0, "ADDR", "plays it on the page there, like 8080 or 192.0.2.1:8080"},
    {"certificate", 0, "FILE", "PEM certificate of the page, for https"},
    {"key", 0, "FILE", "PEM private key of the page's certificate"},
    {"speed", 0, "X", "X times as fast to begin with (0.1 to 1000; default 1)"},
    {"quiet", 'q', NULL, "prints the sentence alone"},
    {NULL, 0, NULL, NULL},
};

struct replay_run {
    const struct args *args;
    const char *dir;
    int dirfd;
    struct scenario *scenario;
    struct reel *exercise; /* one of these; NULL: not that */
    struct room_reel *drill;
    json_t *end;
    const struct replay_reel *reel;
    double speed;
    struct loop *loop;
    struct loop_signal signals[3];
    size_t told; /* chapters that were printed */
};

/* --- What is played --------------------------------------------------------------------------- */

/* The first line is enough to know what this is; what reads all of it holds the chain. */
static int take_first(const json_t *event, const char *line, size_t n, void *data, struct err *err)
{
    (void)line;
    (void)n;
    (void)err;
    json_t **first = data;
    *first = json_deep_copy(event);
    return -ECANCELED;
}

/* What result.json says of a drill's end; NULL: it does not. A new reference. */
static json_t *replay_new_end(const struct replay_run *r)
{
    AUTO_FREE char *text = NULL;
    AUTO_JSON *result = NULL;
    AUTO_BUF sentence = BUF_INIT;
    size_t n = 0;
    if (file_read(r->dirfd, "result.json", 16 << 20, &text, &n, NULL) < 0 ||
        jsonx_parse(text, n, "result.json", &result, NULL) < 0)
        return NULL;
    const char *verdict = jsonx_str(result, "verdict", "");
    buf_printf(&sentence, "Verdict: %s. What it is made of stands in the report.", verdict);
    return json_pack("{s:o, s:o}", "sentence", jsonx_new_text(buf_text(&sentence)), "verdict",
                     jsonx_new_text(verdict));
}

static int replay_reel(struct replay_run *r, const char *mode, struct err *err)
{
    int rc;
    if (!strcmp(mode, "live")) {
        r->end = replay_new_end(r);
        rc = room_reel_open(r->dirfd, r->scenario, r->end, &r->drill, err);
        r->reel = rc < 0 ? NULL : room_reel_of(r->drill);
    } else {
        rc = reel_open(r->dirfd, r->scenario, &r->exercise, err);
        r->reel = rc < 0 ? NULL : reel_of(r->exercise);
    }
    return rc;
}

static int replay_load(struct replay_run *r)
{
    struct err err = ERR_INIT;
    struct record_head head;
    AUTO_JSON *first = NULL;
    r->dirfd = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->dirfd < 0)
        return say_error(EXIT_BAD_INPUT, "cannot open %s: %s", r->dir, strerror(errno));
    int rc = record_scan(r->dirfd, "record.ndjson", take_first, &first, &head, NULL, &err);
    if (!first)
        return say_error(EXIT_BAD_INPUT, "%s cannot be played again: %s", r->dir,
                         rc < 0 ? err.text : "record.ndjson is empty");
    err = ERR_INIT;
    rc = report_scenario(r->dirfd, r->dir, first, &r->scenario, &err);
    if (rc == 0)
        rc = replay_reel(r, jsonx_str(first, "mode", ""), &err);
    if (rc < 0)
        return say_error(EXIT_BAD_INPUT, "%s cannot be played again: %s", r->dir, err.text);
    return EXIT_MET;
}

/* --- Without a page: at once ------------------------------------------------------------------ */

static void replay_turned(size_t n, void *data)
{
    struct replay_run *r = data;
    r->reel->turn(n, r->reel->data);
    nsec at = n ? r->reel->moments[n - 1] : 0;
    for (; r->told < r->reel->n_chapters && r->reel->chapters[r->told].at <= at; r->told++) {
        AUTO_BUF text = BUF_INIT;
        if (args_has(r->args, "quiet"))
            continue;
        escape_terminal(r->reel->chapters[r->told].text, &text);
        buf_addc(&text, '\n');
        (void)say_result(EXIT_MET, buf_text(&text), text.len);
    }
}

static int replay_through(struct replay_run *r, struct err *err)
{
    int rc = loop_new(LOOP_VIRTUAL, &r->loop, err);
    if (rc < 0)
        return rc;
    struct playhead_spec spec = {.loop = r->loop,
                                 .moments = r->reel->moments,
                                 .n = r->reel->n,
                                 .speed = r->speed,
                                 .turned = replay_turned,
                                 .data = r};
    CLEANUP(playhead_free_p) struct playhead *head = playhead_new(&spec);
    playhead_play(head);
    return loop_run(r->loop, err);
}

/* --- On the page ------------------------------------------------------------------------------ */

static void replay_over(void *data)
{
    struct replay_run *r = data;
    loop_stop(r->loop);
}

static void replay_signal(struct loop_signal *s, int signo, void *data)
{
    (void)s;
    (void)signo;
    replay_over(data);
}

static int replay_signals(struct replay_run *r, struct err *err)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    int rc = 0;
    for (size_t i = 0; i < ARRAY_SIZE(numbers) && rc == 0; i++) {
        r->signals[i] = (struct loop_signal){.fn = replay_signal, .data = r};
        rc = loop_signal_add(r->loop, &r->signals[i], numbers[i], err);
    }
    return rc;
}

static void replay_linger(struct replay_run *r)
{
    nsec until = nsec_add(loop_fresh(r->loop), LINGER);
    while (loop_fresh(r->loop) < until)
        if (loop_turn(r->loop, until, NULL) < 0)
            return;
}

/* ret_played: to its end. */
static int replay_listen(struct replay_run *r, bool *ret_played, struct err *err)
{
    const char *listen = args_get(r->args, "listen"),
               *certificate = args_get(r->args, "certificate"), *key = args_get(r->args, "key");
    AUTO_FREE char *certificate_pem = NULL, *key_pem = NULL;
    CLEANUP(replay_close_p) struct replay *page = NULL;
    char url[PAGE_URL_MAX];
    size_t n;
    struct replay_spec spec = {.reel = r->reel, .speed = r->speed, .over = replay_over, .data = r};
    int rc = loop_new(LOOP_REAL, &r->loop, err);
    if (rc == 0)
        rc = replay_signals(r, err);
    if (rc == 0)
        rc = page_address(listen, &spec.address, &spec.address_n, err);
    if (rc == 0 && certificate)
        rc = file_read(AT_FDCWD, certificate, PEM_MAX, &certificate_pem, &n, err);
    if (rc == 0 && key)
        rc = file_read(AT_FDCWD, key, PEM_MAX, &key_pem, &n, err);
    spec.loop = r->loop;
    spec.certificate = certificate_pem;
    spec.key_of_certificate = key_pem;
    if (rc == 0)
        rc = replay_open(&spec, &page, err);
    if (rc < 0)
        return err_prefix(err, "the page for --listen %s", listen);
    AUTO_JSON *codes = replay_new_codes(page);
    replay_url(page, url);
    say_page(url, codes);
    rc = loop_run(r->loop, err);
    *ret_played = replay_was_played(page);
    replay_linger(r);
    return rc;
}

/* --- The command ------------------------------------------------------------------------------ */

static int replay_play(struct replay_run *r)
{
    struct err err = ERR_INIT;
    AUTO_BUF text = BUF_INIT;
    bool listens = args_has(r->args, "listen"), played = !listens;
    int rc = listens ? replay_listen(r, &played, &err) : replay_through(r, &err);
    if (rc < 0)
        return say_error(listens ? EXIT_CANNOT_RUN : EXIT_ABORTED, "the replay failed: %s",
                         err.text);
    if (!played)
        return say_error(EXIT_ABORTED, "the replay was closed before its end; nothing was changed");
    buf_printf(&text, "played to its end: %zu lines of %s, nothing was changed\n", r->reel->n,
               r->dir);
    return say_result(EXIT_MET, buf_text(&text), text.len);
}

static void replay_done(struct replay_run *r)
{
    for (size_t i = 0; i < ARRAY_SIZE(r->signals); i++)
        loop_signal_remove(r->loop, &r->signals[i]);
    loop_free(r->loop);
    reel_close(r->exercise);
    room_reel_close(r->drill);
    json_decref(r->end);
    scenario_free(r->scenario);
    if (r->dirfd >= 0)
        close(r->dirfd);
}

static int replay_run(const struct command *self, struct args *a)
{
    struct replay_run r = {.args = a, .dirfd = -1, .speed = 1};
    const char *speed = args_get(a, "speed");
    char *end = NULL;
    if (speed && (r.speed = strtod(speed, &end),
                  *end || !(r.speed >= PLAYHEAD_SPEED_MIN && r.speed <= PLAYHEAD_SPEED_MAX)))
        return say_usage(self, "--speed takes a number from 0.1 to 1000, not '%s'", speed);
    if (!page_options_fit(self, a))
        return EXIT_BAD_INPUT;
    if (a->rest.n != 1)
        return say_usage(self, "which one? Name the folder (DIR) of one that was recorded");
    r.dir = a->rest.items[0];
    int code = replay_load(&r);
    if (code == EXIT_MET)
        code = replay_play(&r);
    replay_done(&r);
    return code;
}

const struct command command_replay = {
    .name = "replay",
    .summary = "an exercise or a drill that was recorded is played again, on the page",
    .usage = "DIR [--listen ADDR] [--speed X] [...]",
    .about =
        "With --listen everybody who joins sees what their role saw then; the presenter plays,\n"
        "pauses, sets the speed, jumps, and looks through the eyes of any role. Without it, all\n"
        "of it is played at once, and told. Nothing can be changed, and nothing is written.\n\n"
        "Exit code: 0 played to its end, 2 no record that can be played, or bad usage,\n"
        "3 cannot listen there, 5 closed before its end.",
    .options = replay_options,
    .run = replay_run,
};
