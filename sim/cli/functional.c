/* What conduct asks of the machine goes to the drill, what the drill writes goes to conduct. */
#include "sim/cli/functional.h"

#include "sim/base/jsonx.h"
#include "sim/cli/run.h"
#include "sim/cli/seats.h"

#include <string.h>
#include <unistd.h>

struct functional {
    const struct args *args;
    const struct scenario *scenario;
    struct answers *answers;
    struct drill *drill; /* set while it runs */
    struct conduct *conduct;
    struct machine machine;
    struct seats seats;
    bool taken; /* the lobby is open */
};

/* --- Conduct asks --- */

static int functional_may_go(void *data, struct err *err)
{
    const struct functional *f = data;
    return drill_may_go(f->drill, err);
}

static void functional_go(nsec zero, void *data)
{
    const struct functional *f = data;
    drill_go(f->drill, zero);
}

static void functional_begin(size_t step, void *data)
{
    const struct functional *f = data;
    drill_step_begin(f->drill, step);
}

static void functional_end(size_t step, const char *cause, void *data)
{
    const struct functional *f = data;
    drill_step_end(f->drill, step, cause);
}

static void functional_close(void *data)
{
    const struct functional *f = data;
    drill_play_over(f->drill);
}

static void functional_stop(const char *reason, const char *detail, void *data)
{
    const struct functional *f = data;
    drill_abort_play(f->drill, reason, detail);
}

static void functional_finish(void *data)
{
    const struct functional *f = data;
    drill_part(f->drill);
}

/* --- The drill tells --- */

static int functional_open(struct drill *d, struct loop *loop, struct record *record,
                           json_t *run_start, void *data, struct err *err)
{
    struct functional *f = data;
    const char *answers = args_get(f->args, "answers");
    if (f->answers && answers)
        json_object_set_new(run_start, "answers", jsonx_new_text(text_basename(answers)));
    f->drill = d;
    f->machine = (struct machine){.may_go = functional_may_go,
                                  .go = functional_go,
                                  .begin = functional_begin,
                                  .end = functional_end,
                                  .close = functional_close,
                                  .stop = functional_stop,
                                  .finish = functional_finish,
                                  .data = f};
    struct conduct_spec spec = {.loop = loop,
                                .scenario = f->scenario,
                                .dirfd = f->seats.dirfd,
                                .run_start = run_start,
                                .speed = 1,
                                .alone = f->answers != NULL,
                                .machine = &f->machine,
                                .record = record};
    int rc = conduct_new(&spec, &f->conduct, err);
    if (rc == 0)
        seats_watch(&f->seats, f->conduct);
    return rc;
}

static int functional_line(const char *kind, nsec at, json_t *event, void *data, struct err *err)
{
    const struct functional *f = data;
    return conduct_machine_line(f->conduct, kind, at, event, err);
}

static void functional_ready(void *data)
{
    struct functional *f = data;
    struct err err = ERR_INIT;
    if (f->taken) /* another attempt */
        return;
    f->taken = true;
    if (seats_take(&f->seats, &err) < 0)
        drill_abort_play(f->drill, "operator", err.text);
}

static void functional_done(void *data)
{
    struct functional *f = data;
    seats_linger(&f->seats);
    seats_leave(&f->seats);
    if (f->answers)
        answers_leave(f->answers);
    f->conduct = conduct_free(f->conduct);
}

/* --- The whole --- */

static int functional_prepared(const struct folder *folder, void *data)
{
    struct functional *f = data;
    f->seats.dirfd = folder->dirfd;
    return 0;
}

static bool functional_has_terminal(void *data)
{
    const struct functional *f = data;
    return f->taken;
}

int functional_fits(const struct command *self, const struct args *a, const struct scenario *s)
{
    if (args_has(a, "speed"))
        return say_usage(self, "--speed: in this exercise real hosts take part, and their clock "
                               "cannot be hurried");
    if (args_has(a, "listen") && geteuid() != 0)
        return say_error(EXIT_CANNOT_RUN,
                         "--listen: without root the hosts of a functional exercise stand in a "
                         "network of their own, where no browser finds the page; run it as root, "
                         "or conduct it from this terminal");
    return EXIT_MET;
}

int functional_play(const struct command *self, const struct args *a, struct scenario *s,
                    const char *path, struct answers *answers)
{
    uint64_t seed;
    if (!pick_seed(self, a, &seed))
        return EXIT_BAD_INPUT;
    struct functional f = {.args = a,
                           .scenario = s,
                           .answers = answers,
                           .seats = {.args = a, .answers = answers, .dirfd = -1}};
    struct run_play play = {.people = {.open = functional_open,
                                       .line = functional_line,
                                       .ready = functional_ready,
                                       .done = functional_done,
                                       .data = &f},
                            .prepared = functional_prepared,
                            .has_terminal = functional_has_terminal,
                            .data = &f};
    return run_scenario(self, a, s, path, 1, seed, &play);
}
