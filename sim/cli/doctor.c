/* blackstart doctor: what this machine can do, decided by trying. */
#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/cli/command.h"
#include "sim/kernel/hostcaps.h"

static const struct option_spec doctor_options[] = {
    {"json", 0, NULL, "as one JSON document"},
    {NULL, 0, NULL, NULL},
};

static int doctor_run(const struct command *self, struct args *a)
{
    CLEANUP(hostcaps_free_p) struct hostcaps *caps = NULL;
    struct err err = ERR_INIT;
    if (a->rest.n)
        return say_usage(self, "doctor takes no argument");
    if (hostcaps_probe(&caps, &err) < 0)
        return say_error(EXIT_CANNOT_RUN, "%s", err.text);
    AUTO_BUF text = BUF_INIT;
    AUTO_JSON *all = json_array();
    for (size_t i = 0; i < caps->n; i++) {
        const struct hostcap *c = &caps->items[i];
        json_array_append_new(all, json_pack("{s:s,s:b,s:s*,s:s*}", "name", c->name, "ok", c->ok,
                                             "detail", c->detail, "consequence",
                                             c->ok ? NULL : c->consequence));
        buf_printf(&text, "%-4s %-20s %s\n", c->ok ? "ok" : "NO", c->name,
                   c->detail ? c->detail : "");
        if (!c->ok && c->consequence)
            buf_printf(&text, "     %-20s → %s\n", "", c->consequence);
    }
    const char *lab = !caps->lab_possible ? "Lab drills cannot run here."
                      : caps->is_root     ? "Lab drills can run here, as root."
                                          : "Lab drills can run here, without root.";
    buf_printf(&text, "\n%s\n", lab);
    if (args_has(a, "json")) {
        buf_clear(&text);
        AUTO_JSON *doc =
            json_pack("{s:O,s:b,s:b,s:I}", "capabilities", all, "lab_possible", caps->lab_possible,
                      "root", caps->is_root, "ids", (json_int_t)caps->ids);
        jsonx_dump_pretty(doc, &text);
    }
    return say_result(EXIT_MET, buf_text(&text), text.len);
}

const struct command command_doctor = {
    .name = "doctor",
    .summary = "what this machine can do, decided by trying",
    .usage = "[--json]",
    .about = "Kernel features, privileges, tools, each with what follows when it is missing.",
    .options = doctor_options,
    .run = doctor_run,
};
