/* blackstart shell: inside a host of a running lab. */
#include "sim/base/jsonx.h"
#include "sim/cli/command.h"
#include "sim/drill/control.h"
#include "sim/lab/lab.h"

#include <stdlib.h>
#include <unistd.h>

static const struct option_spec shell_options[] = {
    {"run", 0, "ID", "of this drill or lab, when several are running"},
    {NULL, 0, NULL, NULL},
};

static int shell_run(const struct command *self, struct args *a)
{
    struct err err = ERR_INIT;
    if (a->rest.n != 1)
        return say_usage(self, a->rest.n ? "one HOST; a command stands behind --" : "which HOST?");
    AUTO_JSON *answer = NULL;
    json_t *q = json_pack("{s:s,s:s}", "command", "where", "host", a->rest.items[0]);
    if (!q)
        return say_usage(self, "the name of the host is not UTF-8");
    if (control_ask(args_get(a, "run"), q, &answer, &err) < 0)
        return say_error(EXIT_CANNOT_RUN, "%s", err.text);
    /* A host is entered by a pid that its user names, and its programs are what that user put there. */
    if (jsonx_int(answer, "uid", -1) != (json_int_t)geteuid())
        return say_error(EXIT_CANNOT_RUN,
                         "that lab belongs to the user with uid %lld: enter it as that user",
                         (long long)jsonx_int(answer, "uid", -1));
    char bash[] = "/bin/bash", sh[] = "/bin/sh";
    AUTO_FREE char **argv = calloc(a->after.n + 2, sizeof *argv);
    if (!argv)
        abort();
    for (size_t i = 0; i < a->after.n; i++)
        argv[i] = a->after.items[i];
    if (!a->after.n)
        argv[0] = access(bash, X_OK) == 0 ? bash : sh;
    int code = lab_shell((pid_t)jsonx_int(answer, "pid", 0), a->rest.items[0], argv, &err);
    if (code < 0)
        return say_error(EXIT_CANNOT_RUN, "%s", err.text);
    return code;
}

const struct command command_shell = {
    .name = "shell",
    .summary = "a shell, or a command, inside a host of the running lab",
    .usage = "HOST [--run ID] [-- COMMAND...]",
    .about = "Exit code: the command's own; 3 when no lab is running.",
    .options = shell_options,
    .run = shell_run,
};
