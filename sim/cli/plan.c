/* blackstart plan: the dry run. */
#include "sim/drill/plan.h"

#include "sim/base/jsonx.h"
#include "sim/cli/command.h"
#include "sim/cli/targets.h"
#include "sim/drill/guard.h"
#include "sim/exercise/events.h"
#include "sim/kernel/hostcaps.h"

static const struct option_spec plan_options[] = {
    {"seed", 's', "N", "the seed, as for run"},
    {"trials", 'n', "N", "this many trials instead of the scenario's"},
    {"set", 0, "NAME=VALUE", "overrides a variable of the scenario; may be repeated"},
    {"json", 0, NULL, "as one JSON document"},
    {NULL, 0, NULL, NULL},
};

/* What people play: the events in the order of their times. `machine`: what is really done beside it; NULL:
 * nothing is. */
static int plan_exercise(const struct scenario *s, const struct args *a, json_t *machine)
{
    AUTO_JSON *plan = events_new_plan(s);
    AUTO_BUF text = BUF_INIT;
    if (args_has(a, "json")) {
        if (machine)
            json_object_set(plan, "machine", machine);
        jsonx_dump_pretty(plan, &text);
    } else {
        events_plan_text(plan, &text);
        if (machine) {
            buf_addc(&text, '\n');
            plan_text(machine, &text);
        }
    }
    return say_result(EXIT_MET, buf_text(&text), text.len);
}

static int plan_say(const struct args *a, const json_t *plan)
{
    AUTO_BUF text = BUF_INIT;
    if (args_has(a, "json"))
        jsonx_dump_pretty(plan, &text);
    else
        plan_text(plan, &text);
    return say_result(EXIT_MET, buf_text(&text), text.len);
}

static int plan_run(const struct command *self, struct args *a)
{
    uint64_t seed;
    int64_t trials;
    struct err err = ERR_INIT;
    const char *path = only_file(self, a);
    if (!path || !pick_seed(self, a, &seed))
        return EXIT_BAD_INPUT;
    CLEANUP(scenario_free_p) struct scenario *s = open_scenario(path, a);
    if (!s || !pick_trials(self, a, s, &trials))
        return EXIT_BAD_INPUT;
    bool played = scenario_is_exercise(s);
    if (played && !scenario_is_functional(s))
        return plan_exercise(s, a, NULL);
    if (!played && scenario_can_run(s, &err) < 0)
        return say_error(EXIT_BAD_INPUT, "%s", err.text);
    AUTO_JSON *plan = NULL;
    CLEANUP(hostcaps_free_p) struct hostcaps *caps = NULL;
    if (hostcaps_probe(&caps, &err) < 0 || plan_make(s, caps, seed, trials, &plan, &err) < 0)
        return say_error(EXIT_CANNOT_RUN, "%s", err.text);
    CLEANUP(attached_free_p) struct attached *attached = NULL;
    AUTO_JSON *described = NULL;
    if (attached_open(s, seed, &attached, &err) < 0 || exempt_find(attached, &err) < 0 ||
        guard_listeners(s, attached, &err) < 0)
        return say_error(EXIT_CANNOT_RUN, "%s", err.text);
    if (targets_describe(s, attached, &described, &err) < 0)
        return say_error(EXIT_CANNOT_RUN, "%s", err.text);
    json_object_set(plan, "attached", described);
    int code = played ? plan_exercise(s, a, plan) : plan_say(a, plan);
    int guarded = targets_guarded(s, attached); /* what run would refuse */
    return code ? code : guarded;
}

const struct command command_plan = {
    .name = "plan",
    .summary = "prints exactly what run would do; changes nothing",
    .usage = "FILE [--seed N] [--trials N] [--set NAME=VALUE] [--json]",
    .about =
        "Blast radius, every change the lab and each step make, how each is verified and undone.\n"
        "For targets that are chosen at run time: the rule and the candidates.",
    .options = plan_options,
    .run = plan_run,
};
