/* blackstart check: reads scenarios and tells everything that is wrong. */
#include "sim/cli/command.h"

#include "sim/cli/here.h"
#include "sim/cli/look.h"

#include <stdio.h>

static const struct option_spec check_options[] = {
    {"here", 0, NULL, "also: can this machine run it?"},
    {"set", 0, "NAME=VALUE", "overrides a variable of the scenario; may be repeated"},
    {"trials", 'n', "N", "as if it were run with this many trials"},
    {NULL, 0, NULL, NULL},
};

static int check_here(const struct scenario *s, const char *path)
{
    CLEANUP(hostcaps_free_p) struct hostcaps *caps = NULL;
    int code = here_check(s, &caps);
    AUTO_CLOSE int source = here_open_source(path);
    if (caps && source >= 0)
        look_into_files(s, source, caps, here_find);
    return code;
}

static int check_run(const struct command *self, struct args *a)
{
    int code = EXIT_MET;
    if (!a->rest.n)
        return say_usage(self, "which FILE?");
    for (size_t i = 0; i < a->rest.n; i++) {
        CLEANUP(scenario_free_p) struct scenario *s = open_scenario(a->rest.items[i], a);
        int64_t trials;
        if (!s || !pick_trials(self, a, s, &trials)) {
            code = EXIT_BAD_INPUT;
            continue;
        }
        int here = args_has(a, "here") ? check_here(s, a->rest.items[i]) : 0;
        if (here && code == EXIT_MET)
            code = here;
        if (!here)
            printf("%s: ok: %zu service%s, %zu host%s, %zu step%s, %lld trial%s\n",
                   a->rest.items[i], s->services.n, s->services.n == 1 ? "" : "s", s->hosts.n,
                   s->hosts.n == 1 ? "" : "s", s->script.n, s->script.n == 1 ? "" : "s",
                   (long long)trials, trials == 1 ? "" : "s");
    }
    return code;
}

const struct command command_check = {
    .name = "check",
    .summary = "reads scenarios and tells everything that is wrong",
    .usage = "FILE... [--here] [--set NAME=VALUE] [--trials N]",
    .about = "Every error is FILE:LINE:COL: error: what is wrong, with the nearest valid word.\n"
             "--here warns of scripts whose programs it cannot see.\n"
             "Exit code: 0 all good, 2 errors, 3 (with --here) this machine cannot run it.",
    .options = check_options,
    .run = check_run,
};
