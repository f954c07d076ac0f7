/* blackstart list, schema, new: what the tables of the language say. */
#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/cli/command.h"
#include "sim/kernel/hostcaps.h"

#include "scenarios/listing.h"
#include "scenarios/master.h"
#include "scenarios/new.h"
#include "scenarios/scenario.h"
#include "scenarios/schema.h"
#include "sim/base/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option_spec no_options[] = {{NULL, 0, NULL, NULL}};

static const struct option_spec list_options[] = {
    {"json", 0, NULL, "as one JSON document"},
    {NULL, 0, NULL, NULL},
};

static int list_run(const struct command *self, struct args *a)
{
    struct err err = ERR_INIT;
    AUTO_BUF text = BUF_INIT;
    if (a->rest.n < 1 || a->rest.n > 2)
        return say_usage(self, "list what: injectors, probes or alarms?");
    const char *name = a->rest.n > 1 ? a->rest.items[1] : NULL;
    size_t kind = 0, kinds = 0;
    while (listing_words[kinds])
        kinds++;
    while (kind < kinds && strcmp(listing_words[kind], a->rest.items[0]))
        kind++;
    if (kind == kinds) {
        const char *near = text_nearest(a->rest.items[0], listing_words, kinds);
        return say_usage(self, "there is no list of '%s'; did you mean '%s'?", a->rest.items[0],
                         near ? near : "injectors");
    }
    AUTO_JSON *all = NULL;
    CLEANUP(hostcaps_free_p) struct hostcaps *caps = NULL;
    bool json = args_has(a, "json");
    int rc = 0;
    if (kind == LISTING_INJECTORS && (name || json)) /* a mere list of names needs no trying */
        rc = hostcaps_probe(&caps, &err);
    if (rc == 0)
        rc = json ? listing_json((enum listing_kind)kind, name, caps, &all, &err)
                  : listing_text((enum listing_kind)kind, name, caps, &text, &err);
    if (rc < 0)
        return say_usage(self, "%s", err.text);
    if (all)
        jsonx_dump_pretty(all, &text);
    return say_result(EXIT_MET, buf_text(&text), text.len);
}

const struct command command_list = {
    .name = "list",
    .summary = "the catalogue of injectors, probes or alarms, with every parameter",
    .usage = "injectors|probes|alarms [NAME] [--json]",
    .about = NULL,
    .options = list_options,
    .run = list_run,
};

static int schema_run(const struct command *self, struct args *a)
{
    AUTO_BUF text = BUF_INIT;
    if (a->rest.n)
        return say_usage(self, "schema takes no argument");
    AUTO_JSON *schema = schema_new();
    jsonx_dump_pretty(schema, &text);
    return say_result(EXIT_MET, buf_text(&text), text.len);
}

const struct command command_schema = {
    .name = "schema",
    .summary = "the JSON Schema of the scenario language, for editors",
    .usage = "",
    .about = NULL,
    .options = no_options,
    .run = schema_run,
};

static const struct option_spec new_options[] = {
    {"events", 0, "CSV", "an exercise whose script is this master scenario events list"},
    {"from", 0, "FILE", "with --events: takes roles, objectives and the like from this exercise"},
    {NULL, 0, NULL, NULL},
};

static void new_say(struct diags *diags)
{
    AUTO_BUF said = BUF_INIT;
    diags_render(diags, &said);
    fputs(buf_text(&said), stderr);
}

static int new_of_events(const struct args *a, const char *path)
{
    struct err err = ERR_INIT;
    AUTO_DIAGS diags = DIAGS_INIT;
    AUTO_FREE char *csv = NULL;
    AUTO_BUF yaml = BUF_INIT;
    CLEANUP(scenario_free_p) struct scenario *base = NULL;
    CLEANUP(scenario_free_p) struct scenario *made = NULL;
    size_t n = 0;
    if (args_has(a, "from") && !(base = open_scenario_as_it_is(args_get(a, "from"), a)))
        return EXIT_BAD_INPUT;
    if (file_read(AT_FDCWD, path, 16 << 20, &csv, &n, &err) < 0)
        return say_error(EXIT_BAD_INPUT, "%s", err.text);
    if (master_import(csv, n, path, base, &diags, &yaml) < 0 ||
        scenario_load_text(yaml.text, yaml.len, "what came of it", NULL, &diags, &made) < 0) {
        new_say(&diags);
        return EXIT_BAD_INPUT;
    }
    new_say(&diags);
    return say_result(EXIT_MET, buf_text(&yaml), yaml.len);
}

static int new_run(const struct command *self, struct args *a)
{
    AUTO_BUF text = BUF_INIT;
    if (a->rest.n)
        return say_usage(self, "new takes no argument: redirect its output into a file");
    if (args_has(a, "from") && !args_has(a, "events"))
        return say_usage(self, "--from belongs to --events");
    if (args_has(a, "events"))
        return new_of_events(a, args_get(a, "events"));
    new_make(&text);
    return say_result(EXIT_MET, buf_text(&text), text.len);
}

const struct command command_new = {
    .name = "new",
    .summary = "a first scenario, commented, on stdout",
    .usage = "[--events CSV [--from FILE]] > FILE",
    .about = NULL,
    .options = new_options,
    .run = new_run,
};
