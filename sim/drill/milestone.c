/* Events of a drill in words. See milestone.h. */
#include "sim/drill/milestone.h"

#include "sim/base/jsonx.h"

#include <string.h>

/* "lb1, lb2" */
static void targets_add(const json_t *list, struct buf *b)
{
    size_t i;
    json_t *v;
    json_array_foreach (list, i, v)
        buf_printf(b, "%s%s", i ? ", " : "", json_string_value(v));
}

enum milestone milestone_of(const char *kind, const json_t *e, struct buf *b)
{
    long long trial = jsonx_int(e, "trial", 0);
    const char *state = jsonx_str(e, "state", "");
    if (!strcmp(kind, "state") && (!strcmp(state, "build") || !strcmp(state, "settle") ||
                                   !strcmp(state, "inject") || !strcmp(state, "undo"))) {
        buf_printf(b, "trial %lld  %s", trial,
                   !strcmp(state, "build")    ? "building the lab"
                   : !strcmp(state, "settle") ? "settling"
                   : !strcmp(state, "inject") ? "the clock of the script starts"
                                              : "undoing");
        return MILESTONE_PLAIN;
    }
    if (!strcmp(kind, "inject")) {
        bool ok = jsonx_bool(e, "ok", false);
        buf_printf(b, "trial %lld  %s %s: ", trial, ok ? "injected" : "NOT injected",
                   jsonx_str(e, "step", ""));
        buf_adds(b, jsonx_str(e, "action", ""));
        buf_adds(b, " ");
        targets_add(json_object_get(e, "targets"), b);
        if (!ok)
            buf_printf(b, " (%s)", jsonx_str(e, "error", ""));
        return ok ? MILESTONE_WARNING : MILESTONE_BAD;
    }
    if (!strcmp(kind, "undo")) {
        bool ok = jsonx_bool(e, "ok", false);
        buf_printf(b, "trial %lld  %s %s%s%s", trial, ok ? "undone" : "NOT UNDONE",
                   jsonx_str(e, "step", ""), ok ? "" : ": ", ok ? "" : jsonx_str(e, "error", ""));
        return ok ? MILESTONE_GOOD : MILESTONE_BAD;
    }
    if (!strcmp(kind, "alarm") && !strcmp(jsonx_str(e, "event", ""), "onset")) {
        buf_printf(b, "trial %lld  alarm %s%s", trial, jsonx_str(e, "alarm", ""),
                   jsonx_bool(e, "suppressed", false) ? " (suppressed)" : "");
        return MILESTONE_WARNING;
    }
    if (!strcmp(kind, "notice") && !jsonx_bool(e, "ok", false)) {
        buf_printf(b, "notice FAILED (%s, %s): %s", jsonx_str(e, "on", ""),
                   jsonx_str(e, "what", ""), jsonx_str(e, "detail", ""));
        return MILESTONE_WARNING;
    }
    if (!strcmp(kind, "stop") || (!strcmp(kind, "trial-end") && json_object_get(e, "reason"))) {
        buf_printf(b, "%s", jsonx_str(e, "detail", jsonx_str(e, "reason", "")));
        return MILESTONE_BAD;
    }
    if (!strcmp(kind, "mark")) {
        buf_printf(b, "mark: %s %s", jsonx_str(e, "mark", ""), jsonx_str(e, "text", ""));
        return MILESTONE_PLAIN;
    }
    return MILESTONE_NONE;
}
