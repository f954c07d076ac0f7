/* The view of a drill. */
#include "sim/drill/room_view.h"

#include "sim/base/jsonx.h"
#include "sim/drill/control.h"
#include "sim/drill/milestone.h"

#include <stdlib.h>
#include <string.h>

#define LOG_MAX 200
#define ALARMS_MAX 50
#define STALE (5 * NSEC_SEC) /* clocks that go on by themselves are set right that often */

struct room_state {
    json_t *about; /* {name, title} */
    json_t *status, *log, *alarms, *end;
    json_t *faults; /* step → since (t, ns) */
    int64_t n;      /* of the log */
    nsec heard;     /* when the status came */
    nsec told;      /* when something changed last */
    char *shown;    /* what the status says but for times */
};

struct room_state *room_state_new(const char *name, const char *title)
{
    struct room_state *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    *s = (struct room_state){.about = json_pack("{s:o, s:o}", "name", jsonx_new_text(name), "title",
                                                jsonx_new_text(title ? title : name)),
                             .status = json_object(),
                             .log = json_array(),
                             .alarms = json_array(),
                             .faults = json_object()};
    return s;
}

struct room_state *room_state_free(struct room_state *s)
{
    if (!s)
        return NULL;
    json_decref(s->about);
    json_decref(s->status);
    json_decref(s->log);
    json_decref(s->alarms);
    json_decref(s->faults);
    json_decref(s->end);
    free(s->shown);
    free(s);
    return NULL;
}

static double seconds(int64_t ns)
{
    return (double)ns / 1e9;
}

static json_t *alarm_of(const struct room_state *s, const char *name)
{
    size_t i;
    json_t *x;
    json_array_foreach (s->alarms, i, x)
        if (strcmp(jsonx_str(x, "name", ""), name) == 0)
            return x;
    return NULL;
}

/* Alarms like to ring again and again: each stands once, since its first onset of this trial. True when
 * it is news. */
static bool apply_alarm(struct room_state *s, const json_t *e)
{
    const char *name = jsonx_str(e, "alarm", ""), *detail = jsonx_str(e, "detail", "");
    bool onset = strcmp(jsonx_str(e, "event", ""), "onset") == 0;
    json_t *known = alarm_of(s, name);
    if (known) {
        bool turned = jsonx_bool(known, "on", false) != onset;
        json_object_set_new(known, "on", json_boolean(onset));
        if (onset)
            json_object_set_new(known, "times", json_integer(jsonx_int(known, "times", 0) + 1));
        return turned;
    }
    if (!onset || json_array_size(s->alarms) == ALARMS_MAX)
        return false;
    AUTO_BUF text = BUF_INIT;
    buf_printf(&text, "%s%s%s%s", name, jsonx_bool(e, "suppressed", false) ? " (suppressed)" : "",
               *detail ? ": " : "", detail);
    json_array_append_new(s->alarms,
                          json_pack("{s:o, s:f, s:b, s:i, s:o}", "name", jsonx_new_text(name),
                                    "at_s", seconds(jsonx_int(e, "t", 0)), "on", 1, "times", 1,
                                    "text", jsonx_new_text(buf_text(&text))));
    return true;
}

static bool apply_event(struct room_state *s, const char *kind, const json_t *e)
{
    AUTO_BUF words = BUF_INIT;
    const char *by = jsonx_str(e, "by", NULL), *role = jsonx_str(e, "role", NULL);
    if (strcmp(kind, "trial-start") == 0) {
        json_array_clear(s->alarms);
        json_object_clear(s->faults);
    }
    if (strcmp(kind, "inject") == 0 && jsonx_bool(e, "ok", false))
        json_object_set_new(s->faults, jsonx_str(e, "step", ""),
                            json_integer(jsonx_int(e, "t", 0)));
    bool news = strcmp(kind, "alarm") != 0 || apply_alarm(s, e);
    if (!news || milestone_of(kind, e, &words) == MILESTONE_NONE)
        return news;
    if (strcmp(kind, "mark") == 0 && role)
        buf_printf(&words, " (%s)", role);
    json_t *line =
        json_pack("{s:I, s:f, s:o}", "id", (json_int_t)++s->n, "at_s",
                  seconds(jsonx_int(e, "t", 0)), "text", jsonx_new_text(buf_text(&words)));
    if (strcmp(kind, "mark") == 0 && by)
        json_object_set_new(line, "by", jsonx_new_text(by));
    json_array_append_new(s->log, line);
    if (json_array_size(s->log) > LOG_MAX)
        json_array_remove(s->log, 0);
    return true;
}

/* What of a status does not change by itself. */
static char *status_shown(const json_t *status)
{
    AUTO_BUF b = BUF_INIT;
    size_t i;
    json_t *x;
    buf_printf(&b, "%lld %s %d", (long long)jsonx_int(status, "trial", 0),
               jsonx_str(status, "state", ""), jsonx_bool(status, "stopping", false));
    json_array_foreach (json_object_get(status, "services"), i, x)
        buf_printf(&b, "|%s%d", jsonx_str(x, "name", ""), jsonx_bool(x, "down", false));
    json_array_foreach (json_object_get(status, "faults"), i, x)
        buf_printf(&b, "|%s", jsonx_str(x, "step", ""));
    return buf_steal(&b);
}

static bool apply_tick(struct room_state *s, json_t *status, nsec now)
{
    char *shown = status_shown(status);
    bool changed = !s->shown || strcmp(s->shown, shown) != 0;
    free(s->shown);
    s->shown = shown;
    json_decref(s->status);
    s->status = json_incref(status);
    s->heard = now;
    return changed;
}

bool room_state_apply(struct room_state *s, const json_t *line, nsec now)
{
    json_t *tick = json_object_get(line, "tick"), *end = json_object_get(line, "end");
    bool changed = false;
    if (json_is_object(tick))
        changed = apply_tick(s, tick, now);
    else if (end) {
        json_decref(s->end);
        s->end = json_incref(end);
        changed = true;
    } else
        changed = apply_event(s, jsonx_str(line, "kind", ""), json_object_get(line, "event"));
    if (now - s->told > STALE)
        changed = true;
    if (changed)
        s->told = now;
    return changed;
}

/* --- The view --------------------------------------------------------------------------------- */

static json_t *new_services(const struct room_state *s, nsec age)
{
    size_t i;
    json_t *x, *list = json_array();
    json_array_foreach (json_object_get(s->status, "services"), i, x) {
        bool down = jsonx_bool(x, "down", false);
        int64_t since = jsonx_int(x, "down_ns", -1), target = jsonx_int(x, "rto_ns", -1);
        json_t *o = json_pack("{s:O, s:s}", "name", json_object_get(x, "name"), "state",
                              down ? "down" : "up");
        if (target >= 0)
            json_object_set_new(o, "target_s", json_real(seconds(target)));
        if (down && since >= 0) {
            json_object_set_new(o, "since_s", json_real(seconds(since + age)));
            if (target >= 0)
                json_object_set_new(o, "left_s", json_real(seconds(target - since - age)));
        }
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *new_faults(const struct room_state *s)
{
    size_t i;
    json_t *x, *list = json_array();
    json_array_foreach (json_object_get(s->status, "faults"), i, x) {
        const char *step = jsonx_str(x, "step", "");
        json_array_append_new(list, json_pack("{s:o, s:f, s:o}", "step", jsonx_new_text(step),
                                              "at_s", seconds(jsonx_int(s->faults, step, 0)),
                                              "text", jsonx_new_text(jsonx_str(x, "words", ""))));
    }
    return list;
}

static json_t *new_marks(const struct room_state *s, const char *kind)
{
    json_t *list = json_array();
    bool may = !s->end && strcmp(kind, "observer") != 0;
    for (size_t i = 0; may && control_marks[i]; i++)
        json_array_append_new(list, json_string(control_marks[i]));
    return list;
}

/* "trial 2 of 5: observe" */
static void words_of(const struct room_state *s, struct buf *words)
{
    long long trial = jsonx_int(s->status, "trial", 0);
    if (s->end)
        buf_printf(words, "the drill is over%s%s", json_object_get(s->end, "verdict") ? ": " : "",
                   jsonx_str(s->end, "verdict", ""));
    else if (trial)
        buf_printf(words, "trial %lld of %lld: %s%s", trial,
                   (long long)jsonx_int(s->status, "trials", 0), jsonx_str(s->status, "state", ""),
                   jsonx_bool(s->status, "stopping", false) ? ", stopping" : "");
    else
        buf_adds(words, "beginning");
}

void room_state_view(const struct room_state *s, const struct page_person *who, nsec now,
                     struct buf *out)
{
    AUTO_BUF words = BUF_INIT;
    nsec age = s->heard && !s->end ? now - s->heard : 0;
    bool operates = strcmp(who->seat->kind, "operator") == 0;
    words_of(s, &words);
    json_t *drill = json_pack(
        "{s:O, s:O, s:s, s:o, s:I, s:I}", "name", json_object_get(s->about, "name"), "title",
        json_object_get(s->about, "title"), "state", s->end ? "ended" : "running", "words",
        jsonx_new_text(buf_text(&words)), "trial", (json_int_t)jsonx_int(s->status, "trial", 0),
        "trials", (json_int_t)jsonx_int(s->status, "trials", 0));
    if (s->heard)
        json_object_set_new(drill, "clock_s",
                            json_real(seconds(jsonx_int(s->status, "running_ns", 0) + age)));
    AUTO_JSON *view =
        json_pack("{s:o, s:{s:o, s:s, s:s}, s:o, s:o, s:O, s:O, s:o, s:{s:b}, s:O*}", "drill",
                  drill, "me", "person", jsonx_new_text(who->name), "role", who->seat->role, "kind",
                  who->seat->kind, "services", new_services(s, age), "faults", new_faults(s),
                  "alarms", s->alarms, "log", s->log, "marks", new_marks(s, who->seat->kind), "may",
                  "abort", operates && !s->end, "result", s->end);
    jsonx_dump(view, out);
}
