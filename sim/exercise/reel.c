/* Lines, moments, and the state after so many of them. */
#include "sim/exercise/reel.h"

#include "sim/base/jsonx.h"
#include "sim/exercise/console.h"
#include "sim/exercise/view.h"
#include "sim/exercise/web.h"
#include "sim/record/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STANDSTILL (2 * NSEC_SEC) /* between two lines, while the exercise clock stands */

struct reel {
    const struct scenario *scenario;
    int dirfd;
    json_t *lines;
    nsec *moments;
    struct state *state; /* after n lines */
    size_t n;
    struct page_seat *seats;
    struct replay_chapter *chapters;
    struct replay_reel shown;
};

/* --- Asked by the replay ---------------------------------------------------------------------- */

static int turn_to(struct reel *r, size_t n, struct err *err)
{
    if (!r->state || n < r->n) {
        state_free(r->state);
        r->state = state_new(r->scenario);
        r->n = 0;
    }
    for (; r->n < n; r->n++) {
        int rc = state_apply(r->state, json_array_get(r->lines, r->n), err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void reel_turn(size_t n, void *data)
{
    (void)turn_to(data, n, NULL); /* all of them fitted when it was opened */
}

/* Of the exercise, when the replay stands there. */
static nsec clock_at(const struct reel *r, nsec at)
{
    nsec clock = r->state->clock;
    if (r->n == 0 || r->n == json_array_size(r->lines) || r->state->stage != STAGE_RUNNING)
        return clock;
    nsec passed = at - r->moments[r->n - 1], gap = r->moments[r->n] - r->moments[r->n - 1];
    return nsec_add(clock, passed < 0 ? 0 : passed < gap ? passed : gap);
}

const char *reel_person(const struct state *st, const char *role)
{
    const char *had = NULL;
    for (size_t i = 0; i < st->n_people; i++) {
        const struct state_person *p = &st->people[i];
        if (p->role && !strcmp(p->role, role))
            return p->name;
        if (!had && strv_has(&p->roles, role))
            had = p->name;
    }
    return had ? had : role;
}

static void reel_view(const struct page_seat *seat, nsec at, struct buf *json, void *data)
{
    const struct reel *r = data;
    struct viewer who = {reel_person(r->state, seat->role), seat->role};
    AUTO_JSON *view = view_new(r->state, &who, clock_at(r, at));
    jsonx_dump(view, json);
}

static int reel_file(const struct page_seat *seat, const char *name, struct buf *content,
                     const char **ret_type, void *data)
{
    const struct reel *r = data;
    return web_attachment(r->state, seat->role, r->dirfd, name, content, ret_type);
}

/* --- Making ----------------------------------------------------------------------------------- */

static void make_moments(struct reel *r)
{
    size_t n = json_array_size(r->lines);
    nsec moment = 0, clock = 0, real = 0;
    r->moments = calloc(n, sizeof *r->moments);
    if (!r->moments)
        abort();
    for (size_t i = 0; i < n; i++) {
        const json_t *line = json_array_get(r->lines, i);
        nsec c = jsonx_int(line, "clock", clock), t = jsonx_int(line, "t", real);
        if (c > clock)
            moment = nsec_add(moment, c - clock);
        else if (t > real)
            moment = nsec_add(moment, t - real < STANDSTILL ? t - real : STANDSTILL);
        clock = c > clock ? c : clock;
        real = t > real ? t : real;
        r->moments[i] = moment;
    }
}

/* To what people want to jump: what was said, asked, decided and declared, and how the clock went. */
static bool is_chapter(const json_t *line)
{
    static const char *const kinds[] = {"phase",    "deliver", "question",
                                        "decision", "mark",    "run-end"};
    const char *kind = jsonx_str(line, "kind", ""), *event = jsonx_str(line, "event", "");
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (!strcmp(kinds[i], kind))
            return true;
    return (!strcmp(kind, "pace") && strcmp(event, "tick") != 0) ||
           (!strcmp(kind, "page") && !strcmp(event, "paged")) ||
           (!strcmp(kind, "trouble") && !strcmp(jsonx_str(line, "what", ""), "interrupted"));
}

static void add_chapter(struct reel *r, size_t i)
{
    const json_t *line = json_array_get(r->lines, i);
    AUTO_BUF text = BUF_INIT;
    if (!is_chapter(line))
        return;
    console_event(r->state, line, &text);
    char *first = buf_steal(&text);
    first[strcspn(first, "\n")] = '\0';
    r->chapters[r->shown.n_chapters++] = (struct replay_chapter){r->moments[i], first};
}

/* Each line is applied once, so that a replay never meets one that does not fit. */
static int make_chapters(struct reel *r, struct err *err)
{
    size_t n = json_array_size(r->lines);
    r->chapters = calloc(n, sizeof *r->chapters);
    if (!r->chapters)
        abort();
    for (size_t i = 0; i < n; i++) {
        int rc = turn_to(r, i + 1, err);
        if (rc < 0)
            return err_prefix(err, "record.ndjson, line %zu", i + 1);
        add_chapter(r, i);
    }
    return turn_to(r, 0, err);
}

static int look_at_mode(const struct reel *r, struct err *err)
{
    static const char *const modes[] = {"exercise", "functional", "replay"};
    const json_t *first = json_array_get(r->lines, 0);
    const char *mode = jsonx_str(first, "mode", "");
    if (strcmp(jsonx_str(first, "kind", ""), "run-start") != 0)
        return err_set(err, EINVAL,
                       "record.ndjson has no beginning: its first line is no run-start");
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
        if (!strcmp(modes[i], mode))
            return 0;
    return err_set(err, EINVAL, "this is the record of a %.40s, not of an exercise", mode);
}

int reel_open(int dirfd, const struct scenario *s, struct reel **ret, struct err *err)
{
    CLEANUP(reel_close_p) struct reel *r = calloc(1, sizeof *r);
    struct record_head head;
    size_t torn = 0; /* a line that was being written: it is left out */
    if (!r)
        abort();
    *r = (struct reel){.scenario = s, .dirfd = dirfd};
    int rc = record_read(dirfd, "record.ndjson", &r->lines, &head, &torn, err);
    if (rc == 0)
        rc = look_at_mode(r, err);
    if (rc < 0)
        return rc;
    make_moments(r);
    rc = make_chapters(r, err);
    if (rc < 0)
        return rc;
    size_t n_seats = 0, n_chapters = r->shown.n_chapters;
    r->seats = web_new_seats(s, &n_seats);
    r->shown = (struct replay_reel){.title = s->title ? s->title : s->name,
                                    .seats = r->seats,
                                    .n_seats = n_seats,
                                    .moments = r->moments,
                                    .n = json_array_size(r->lines),
                                    .chapters = r->chapters,
                                    .n_chapters = n_chapters,
                                    .turn = reel_turn,
                                    .view = reel_view,
                                    .file = reel_file,
                                    .data = r};
    *ret = steal_ptr(r);
    return 0;
}

struct reel *reel_close(struct reel *r)
{
    if (!r)
        return NULL;
    for (size_t i = 0; i < r->shown.n_chapters; i++)
        free(r->chapters[i].text);
    free(r->chapters);
    free(r->seats);
    free(r->moments);
    state_free(r->state);
    json_decref(r->lines);
    free(r);
    return NULL;
}

const struct replay_reel *reel_of(const struct reel *r)
{
    return &r->shown;
}
