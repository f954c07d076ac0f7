/* blackstart status: what is running, since when, which faults are in force. */
#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/base/text.h"
#include "sim/cli/command.h"
#include "sim/drill/control.h"

#include <errno.h>
#include <string.h>

static const struct option_spec status_options[] = {
    {"json", 0, NULL, "as one JSON document"},
    {NULL, 0, NULL, NULL},
};

static void status_text(const json_t *st, struct buf *b)
{
    char t[NSEC_TEXT_MAX];
    size_t i;
    json_t *v;
    const char *name;
    buf_printf(b, "%s  %s, by %s, running for %s\n", jsonx_str(st, "id", ""),
               jsonx_str(st, "scenario", ""), jsonx_str(st, "operator", ""),
               nsec_text(jsonx_int(st, "running_ns", 0), t));
    if (!json_object_get(st, "state"))
        return;
    buf_printf(b, "  trial %lld of %lld, %s", (long long)jsonx_int(st, "trial", 0),
               (long long)jsonx_int(st, "trials", 0), jsonx_str(st, "state", ""));
    if (json_object_get(st, "since_zero_ns"))
        buf_printf(b, ", %s after settling", nsec_text(jsonx_int(st, "since_zero_ns", 0), t));
    buf_adds(b, "\n");
    json_array_foreach (json_object_get(st, "services"), i, v)
        buf_printf(b, "  service %s: %s\n", jsonx_str(v, "name", ""),
                   jsonx_bool(v, "down", false) ? "DOWN" : "up");
    json_object_foreach (json_object_get(st, "alarms"), name, v)
        buf_printf(b, "  alarm %s: fired at %s\n", name, nsec_text(json_integer_value(v), t));
    json_array_foreach (json_object_get(st, "faults"), i, v)
        buf_printf(b, "  in force: %s (step %s)\n", jsonx_str(v, "words", ""),
                   jsonx_str(v, "step", ""));
    if (!json_array_size(json_object_get(st, "faults")))
        buf_adds(b, "  no fault in force\n");
}

static int status_run(const struct command *self, struct args *a)
{
    AUTO_JSON *ids = NULL, *all = json_array();
    struct err err = ERR_INIT;
    size_t i;
    json_t *v;
    if (a->rest.n)
        return say_usage(self, "status takes no argument");
    if (control_list(&ids, &err) < 0)
        return say_error(EXIT_CANNOT_RUN, "%s", err.text);
    AUTO_BUF text = BUF_INIT;
    json_array_foreach (ids, i, v) {
        json_t *answer = NULL;
        const char *id = strrchr(json_string_value(v), '.') + 1;
        if (control_ask(id, json_pack("{s:s}", "command", "status"), &answer, &err) < 0) {
            buf_printf(&text, "%s  %s\n", id, err.text);
            continue;
        }
        status_text(answer, &text);
        json_array_append_new(all, answer);
    }
    if (text.len) /* other users' drills say what they like */
        text_make_printable(text.text, text.len);
    if (args_has(a, "json")) {
        buf_clear(&text);
        jsonx_dump_pretty(all, &text);
    }
    if (!json_array_size(ids)) {
        say_error(EXIT_CANNOT_RUN, "no drill is running here");
        return args_has(a, "json") ? say_result(EXIT_CANNOT_RUN, buf_text(&text), text.len)
                                   : EXIT_CANNOT_RUN;
    }
    return say_result(EXIT_MET, buf_text(&text), text.len);
}

const struct command command_status = {
    .name = "status",
    .summary = "what is running here, since when, which faults are in force",
    .usage = "[--json]",
    .about = "Exit code: 0, or 3 when no drill is running.",
    .options = status_options,
    .run = status_run,
};
