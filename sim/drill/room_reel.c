/* From the lines of a record to what the war room was told, line by line. */
#include "sim/drill/room_reel.h"

#include "sim/base/jsonx.h"
#include "sim/drill/live.h"
#include "sim/drill/milestone.h"
#include "sim/drill/room.h"
#include "sim/drill/room_view.h"
#include "sim/record/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OBSERVATIONS_MAX 10000000 /* of one probe in a trial: far above any drill's */

struct room_reel {
    const struct scenario *scenario;
    json_t *told; /* what the room was told: {"kind", "event"}, {"tick"}, {"end"} */
    nsec *moments;
    size_t room;
    struct replay_chapter *chapters;
    size_t chapters_room;
    struct room_state *state; /* after n of them */
    size_t n;
    struct replay_reel shown;
    /* while it is read */
    struct live *live;
    json_t *status, *faults;
    const json_t *end;
    nsec last;
    bool live_mode;
};

/* --- Asked by the replay ---------------------------------------------------------------------- */

static void reel_turn(size_t n, void *data)
{
    struct room_reel *r = data;
    if (!r->state || n < r->n) {
        room_state_free(r->state);
        r->state = room_state_new(r->scenario->name, r->scenario->title);
        r->n = 0;
    }
    for (; r->n < n; r->n++)
        room_state_apply(r->state, json_array_get(r->told, r->n), r->moments[r->n]);
}

static void reel_view(const struct page_seat *seat, nsec at, struct buf *json, void *data)
{
    const struct room_reel *r = data;
    struct page_person who = {.name = seat->role, .seat = seat};
    room_state_view(r->state, &who, at, json);
}

/* --- Reading ---------------------------------------------------------------------------------- */

static void add(struct room_reel *r, json_t *line)
{
    size_t n = json_array_size(r->told);
    if (n == r->room) {
        r->room = r->room ? 2 * r->room : 256;
        r->moments = realloc(r->moments, r->room * sizeof *r->moments);
        if (!r->moments)
            abort();
    }
    r->moments[n] = r->last;
    json_array_append_new(r->told, line);
}

static void add_chapter(struct room_reel *r, const char *words)
{
    if (r->shown.n_chapters == r->chapters_room) {
        r->chapters_room = r->chapters_room ? 2 * r->chapters_room : 64;
        r->chapters = realloc(r->chapters, r->chapters_room * sizeof *r->chapters);
        if (!r->chapters)
            abort();
    }
    AUTO_BUF text = BUF_INIT;
    long s = (long)(r->last / NSEC_SEC);
    buf_printf(&text, "%ld:%02ld:%02ld  %s", s / 3600, s / 60 % 60, s % 60, words);
    r->chapters[r->shown.n_chapters++] = (struct replay_chapter){r->last, buf_steal(&text)};
}

static json_t *new_services(const struct room_reel *r)
{
    json_t *services = json_array();
    for (size_t i = 0; i < r->scenario->services.n; i++) {
        const struct service *s = r->scenario->services.items[i];
        nsec since = NSEC_UNSET;
        bool down = r->live && live_service_is_down(r->live, s, &since);
        json_t *o = json_pack("{s:s,s:b}", "name", s->name, "down", down);
        if (down && nsec_is_set(since))
            json_object_set_new(o, "down_ns", json_integer(r->last - since));
        if (nsec_is_set(s->rto))
            json_object_set_new(o, "rto_ns", json_integer(s->rto));
        json_array_append_new(services, o);
    }
    return services;
}

/* What the status line of the drill said then. */
static void add_tick(struct room_reel *r)
{
    json_t *tick = json_copy(r->status);
    json_object_set_new(tick, "running_ns", json_integer(r->last));
    json_object_set_new(tick, "services", new_services(r));
    json_object_set_new(tick, "faults", json_copy(r->faults));
    add(r, json_pack("{s:o}", "tick", tick));
}

/* One bit each: whether they differ is asked. */
static uint64_t services_down(const struct room_reel *r)
{
    uint64_t down = 0;
    for (size_t i = 0; i < r->scenario->services.n; i++)
        down = (down << 1 | down >> 63) ^
               live_service_is_down(r->live, r->scenario->services.items[i], NULL);
    return down;
}

static void take_probe(struct room_reel *r, const json_t *e)
{
    const struct objects *probes = &r->scenario->probes;
    const char *name = jsonx_str(e, "probe", "");
    int64_t n = jsonx_int(e, "n", -1);
    size_t i = 0;
    while (i < probes->n && strcmp(((const struct probe *)probes->items[i])->name, name) != 0)
        i++;
    if (i == probes->n || n < 0 || n >= OBSERVATIONS_MAX || !r->live)
        return;
    struct watch_obs o = {.probe = probes->items[i],
                          .n = (uint64_t)n,
                          .scheduled = jsonx_int(e, "sched", 0),
                          .start = jsonx_int(e, "start", 0),
                          .end = jsonx_int(e, "end", 0),
                          .ok = jsonx_bool(e, "ok", false),
                          .why = jsonx_str(e, "why", NULL),
                          .detail = jsonx_str(e, "detail", NULL)};
    uint64_t before = services_down(r);
    live_feed(r->live, &o, jsonx_bool(e, "unknown", false));
    if (services_down(r) != before)
        add_tick(r);
}

static void take_fault(struct room_reel *r, const json_t *e, bool begins)
{
    const char *step = jsonx_str(e, "step", "");
    size_t i;
    json_t *known, *target;
    if (!jsonx_bool(e, "ok", false))
        return;
    json_array_foreach (r->faults, i, known)
        if (!strcmp(jsonx_str(known, "step", ""), step)) {
            json_array_remove(r->faults, i);
            break;
        }
    if (!begins)
        return;
    AUTO_BUF words = BUF_INIT;
    buf_adds(&words, jsonx_str(e, "action", ""));
    json_array_foreach (json_object_get(e, "targets"), i, target)
        buf_printf(&words, "%s%s", i ? ", " : " ", json_string_value(target));
    json_array_append_new(r->faults, json_pack("{s:s, s:o}", "step", step, "words",
                                               jsonx_new_text(buf_text(&words))));
}

/* Alarms and milestones stand in the record by themselves. */
static void no_alarm(const struct alarm *a, bool onset, struct span at, const char *detail,
                     void *data)
{
}

static void no_probe(const struct probe *p, bool down, void *data)
{
}

static void trial_begins(struct room_reel *r, const json_t *e)
{
    struct live_handlers nobody = {.alarm = no_alarm, .probe = no_probe};
    live_free(r->live);
    r->live = live_new(r->scenario, &nobody);
    json_array_clear(r->faults);
    json_object_set_new(r->status, "trial", json_integer(jsonx_int(e, "trial", 0)));
}

/* What is not of the observations: told as it is, and what the status says changes with some of it. */
static void take_event(struct room_reel *r, const char *kind, const json_t *e)
{
    AUTO_BUF words = BUF_INIT;
    bool tick = true;
    if (!strcmp(kind, "trial-start"))
        trial_begins(r, e);
    else if (!strcmp(kind, "state")) {
        json_object_set_new(r->status, "state", jsonx_new_text(jsonx_str(e, "state", "")));
        if (!strcmp(jsonx_str(e, "state", ""), "arm") && r->live)
            live_arm(r->live);
    } else if (!strcmp(kind, "inject") || !strcmp(kind, "undo"))
        take_fault(r, e, !strcmp(kind, "inject"));
    else if (!strcmp(kind, "stop"))
        json_object_set_new(r->status, "stopping", json_true());
    else
        tick = false;
    if (room_tells(kind))
        add(r, json_pack("{s:s, s:O}", "kind", kind, "event", e));
    if (room_tells(kind) && milestone_of(kind, e, &words) != MILESTONE_NONE)
        add_chapter(r, buf_text(&words));
    if (tick)
        add_tick(r);
    if (!strcmp(kind, "run-end")) {
        add(r, r->end ? json_pack("{s:O}", "end", r->end) : json_pack("{s:{}}", "end"));
        add_chapter(r, "the drill is over");
    }
}

static int on_line(const json_t *e, const char *line, size_t n, void *data, struct err *err)
{
    struct room_reel *r = data;
    const char *kind = jsonx_str(e, "kind", "");
    nsec t = jsonx_int(e, "t", 0);
    r->last = t > r->last ? t : r->last;
    if (!strcmp(kind, "run-start")) {
        if (strcmp(jsonx_str(e, "mode", ""), "live") != 0)
            return err_set(err, EINVAL, "this is the record of a %.40s, not of a drill",
                           jsonx_str(e, "mode", "?"));
        r->live_mode = true;
        json_object_set_new(r->status, "trials", json_integer(jsonx_int(e, "trials", 0)));
        add_tick(r);
    } else if (!strcmp(kind, "probe")) {
        take_probe(r, e);
    } else {
        take_event(r, kind, e);
    }
    return 0;
}

int room_reel_open(int dirfd, const struct scenario *s, const json_t *end, struct room_reel **ret,
                   struct err *err)
{
    CLEANUP(room_reel_close_p) struct room_reel *r = calloc(1, sizeof *r);
    struct record_head head;
    if (!r)
        abort();
    *r = (struct room_reel){.scenario = s,
                            .told = json_array(),
                            .status = json_object(),
                            .faults = json_array(),
                            .end = end};
    int rc = record_scan(dirfd, "record.ndjson", on_line, r, &head, NULL, err);
    if (rc == 0 && !r->live_mode)
        rc = err_set(err, EINVAL, "record.ndjson has no beginning: it has no line run-start");
    if (rc < 0)
        return rc;
    r->shown.title = s->title ? s->title : s->name;
    r->shown.seats = room_seats(&r->shown.n_seats);
    r->shown.moments = r->moments;
    r->shown.n = json_array_size(r->told);
    r->shown.chapters = r->chapters;
    r->shown.turn = reel_turn;
    r->shown.view = reel_view;
    r->shown.data = r;
    *ret = steal_ptr(r);
    return 0;
}

struct room_reel *room_reel_close(struct room_reel *r)
{
    if (!r)
        return NULL;
    for (size_t i = 0; i < r->shown.n_chapters; i++)
        free(r->chapters[i].text);
    free(r->chapters);
    free(r->moments);
    room_state_free(r->state);
    live_free(r->live);
    json_decref(r->told);
    json_decref(r->status);
    json_decref(r->faults);
    free(r);
    return NULL;
}

const struct replay_reel *room_reel_of(const struct room_reel *r)
{
    return &r->shown;
}
