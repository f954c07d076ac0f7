/* blackstart mark: stamps a human event into the drill that is running. */
#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/base/units.h"
#include "sim/cli/command.h"
#include "sim/drill/control.h"
#include "sim/drill/folder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct option_spec mark_options[] = {
    {"service", 0, "S", "of this service"},
    {"role", 0, "R", "in this role, like incident-commander"},
    {"ago", 0, "D", "it happened that long ago, like 90s"},
    {"run", 0, "ID", "of this drill, when several are running"},
    {NULL, 0, NULL, NULL},
};

static int mark_check(const struct command *self, const struct args *a)
{
    if (!a->rest.n)
        return say_usage(self,
                         "which mark? one of paged, acknowledged, declared, aware, classified, "
                         "diagnosed, mitigation_start, mitigated, resolved, note");
    const char *w = a->rest.items[0];
    size_t n = 0;
    for (; control_marks[n]; n++)
        if (!strcmp(control_marks[n], w))
            return 0;
    const char *near = text_nearest(w, control_marks, n);
    if (near)
        return say_usage(self, "'%s' is not a mark; did you mean '%s'?", w, near);
    return say_usage(self, "'%s' is not a mark", w);
}

static int mark_run(const struct command *self, struct args *a)
{
    nsec at = nsec_now(CLOCK_MONOTONIC), ago = 0; /* before anything else takes time */
    struct err err = ERR_INIT;
    int code = mark_check(self, a);
    if (code)
        return code;
    const char *ago_text = args_get(a, "ago");
    if (ago_text && units_duration(ago_text, &ago, &err) < 0)
        return say_usage(self, "--ago: %s", err.text);
    AUTO_BUF text = BUF_INIT;
    for (size_t i = 1; i < a->rest.n; i++)
        buf_printf(&text, "%s%s", i > 1 ? " " : "", a->rest.items[i]);
    uid_t uid;
    AUTO_FREE char *by = folder_operator(&uid);
    json_t *request =
        json_pack("{s:s,s:s,s:I,s:I,s:s*,s:s*,s:s}", "command", "mark", "mark", a->rest.items[0],
                  "at", (json_int_t)at, "ago_ns", (json_int_t)ago, "service",
                  args_get(a, "service"), "role", args_get(a, "role"), "by", by);
    if (!request)
        return say_usage(self, "the text is not UTF-8");
    if (text.len && json_object_set_new(request, "text", json_string(text.text)) < 0) {
        json_decref(request);
        return say_usage(self, "the text is not UTF-8");
    }
    AUTO_JSON *answer = NULL;
    if (control_ask(args_get(a, "run"), request, &answer, &err) < 0)
        return say_error(EXIT_CANNOT_RUN, "%s", err.text);
    printf("marked %s in %s\n", a->rest.items[0], jsonx_str(answer, "id", ""));
    return EXIT_MET;
}

const struct command command_mark = {
    .name = "mark",
    .summary = "stamps a human event into the drill that is running",
    .usage = "MARK [TEXT] [--service S] [--role R] [--ago D] [--run ID]",
    .about =
        "MARK is paged, acknowledged, declared, aware, classified, diagnosed, mitigation_start,\n"
        "mitigated, resolved or note. A note is also what `when: {operator: WORD}` waits for.\n"
        "The time is that of this command, not of its arrival.",
    .options = mark_options,
    .run = mark_run,
};
