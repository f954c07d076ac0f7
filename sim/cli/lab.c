/* blackstart lab: brings the scenario's lab up and holds it, without faults. */
#include "sim/lab/lab.h"

#include "sim/base/cleanup.h"
#include "sim/base/rng.h"
#include "sim/cli/command.h"
#include "sim/cli/here.h"
#include "sim/drill/control.h"
#include "sim/drill/folder.h"
#include "sim/drill/hold.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static const struct option_spec lab_options[] = {
    {"set", 0, "NAME=VALUE", "overrides a variable of the scenario; may be repeated"},
    {NULL, 0, NULL, NULL},
};

static void lab_say(const char *text, void *data)
{
    fprintf(stderr, "blackstart: %s\n", text);
}

static int lab_run(const struct command *self, struct args *a)
{
    struct err err = ERR_INIT;
    const char *path = only_file(self, a);
    CLEANUP(scenario_free_p) struct scenario *s = path ? open_scenario(path, a) : NULL;
    if (!s)
        return EXIT_BAD_INPUT;
    if (!s->hosts.n)
        return say_error(EXIT_BAD_INPUT, "%s has no hosts: there is nothing to build", path);
    int code = here_check(s, NULL);
    if (code)
        return code;
    AUTO_CLOSE int source = here_open_source(path);
    struct hold_options o = {
        .scenario = s, .source_dirfd = source, .lab_folder = "/tmp", .say = lab_say};
    uid_t uid;
    free(folder_operator(&uid));
    char id[16];
    snprintf(id, sizeof id, "lab%06llx", (unsigned long long)(rng_fresh_seed() & 0xffffff));
    o.id = id;
    signal(SIGPIPE, SIG_IGN); /* a closed pipe must not end the lab */
    bool rootless;
    unsigned ids;
    AUTO_CLOSE int control = -1;
    if (control_listen(uid, id, &control, &err) < 0)
        return say_error(EXIT_CANNOT_RUN, "%s", err.text);
    o.control_fd = control;
    /* Covered in our own mount namespace only; nothing has to be made or removed on the disk. */
    if (lab_prepare_process(o.lab_folder, &rootless, &ids, &err) < 0)
        return say_error(EXIT_CANNOT_RUN, "%s", err.text);
    fprintf(stderr, "blackstart: lab %s of %s\n", id, s->name);
    if (hold_run(&o, &err) < 0)
        return say_error(EXIT_CANNOT_RUN, "%s", err.text);
    return EXIT_MET;
}

const struct command command_lab = {
    .name = "lab",
    .summary = "brings a scenario's lab up and holds it, without faults",
    .usage = "FILE [--set NAME=VALUE]",
    .about =
        "Ctrl-C ends it; nothing stays behind. Exit code: 0, 2 bad scenario, 3 cannot run here.",
    .options = lab_options,
    .run = lab_run,
};
