/* Seats, the presenter, and what they may ask for. */
#include "sim/page/replay.h"

#include "sim/base/jsonx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define PRESENTER "replay:presenter" /* no role of a scenario has a colon */

struct replay {
    struct replay_spec spec;
    const struct replay_reel *reel;
    struct playhead *head;
    struct page *page;
    struct page_seat *seats; /* the presenter's, then the reel's */
    size_t looks;            /* through the eyes of this seat of the reel */
    json_t *presenters;      /* names of those who are here, as a set */
    bool over;
};

static bool presents(const struct page_person *p)
{
    return strcmp(p->seat->role, PRESENTER) == 0;
}

/* Whose view this person has. */
static const struct page_seat *seat_for(const struct replay *r, const struct page_person *p)
{
    return presents(p) ? &r->reel->seats[r->looks] : p->seat;
}

static void look_whether_over(struct replay *r, bool closed)
{
    bool end = playhead_was_played(r->head) && playhead_is_at_end(r->head) &&
               json_object_size(r->presenters) == 0;
    if (r->over || !(closed || end))
        return;
    r->over = true;
    r->spec.over(r->spec.data);
}

static void turned(size_t n, void *data)
{
    struct replay *r = data;
    r->reel->turn(n, r->reel->data);
    if (!r->page)
        return; /* it is being opened */
    page_changed(r->page);
    look_whether_over(r, false);
}

/* --- Views ------------------------------------------------------------------------------------ */

static double seconds(nsec t)
{
    return (double)t / 1e9;
}

static void add_presenter(const struct replay *r, json_t *about)
{
    json_t *seats = json_array(), *chapters = json_array();
    for (size_t i = 0; i < r->reel->n_seats; i++)
        json_array_append_new(seats, json_pack("{s:s, s:o}", "role", r->reel->seats[i].role,
                                               "title", jsonx_new_text(r->reel->seats[i].title)));
    for (size_t i = 0; i < r->reel->n_chapters; i++)
        json_array_append_new(chapters,
                              json_pack("{s:f, s:o}", "at_s", seconds(r->reel->chapters[i].at),
                                        "text", jsonx_new_text(r->reel->chapters[i].text)));
    json_object_set_new(about, "as", json_string(r->reel->seats[r->looks].role));
    json_object_set_new(about, "seats", seats);
    json_object_set_new(about, "chapters", chapters);
}

static void replay_view(const struct page_person *p, struct buf *json, void *data)
{
    const struct replay *r = data;
    nsec at = playhead_at(r->head);
    AUTO_JSON *about = json_pack("{s:f, s:f, s:b, s:b, s:f, s:b}", "at_s", seconds(at), "length_s",
                                 seconds(playhead_length(r->head)), "playing",
                                 playhead_is_playing(r->head), "ended", playhead_is_at_end(r->head),
                                 "speed", playhead_speed_now(r->head), "may", presents(p));
    if (presents(p))
        add_presenter(r, about);
    r->reel->view(seat_for(r, p), at, json, r->reel->data);
    json->text[--json->len] = '\0'; /* the brace: one more member follows */
    buf_adds(json, ",\"replay\":");
    jsonx_dump(about, json);
    buf_addc(json, '}');
}

static int replay_file(const struct page_person *p, const char *name, struct buf *content,
                       const char **ret_type, void *data)
{
    const struct replay *r = data;
    return r->reel->file ? r->reel->file(seat_for(r, p), name, content, ret_type, r->reel->data)
                         : -ENOENT;
}

/* --- What they may ask for -------------------------------------------------------------------- */

/* False: it is no number within these. */
static bool number_of(const json_t *command, const char *key, double min, double max, double *ret)
{
    const json_t *value = json_object_get(command, key);
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= min && number <= max))
        return false;
    *ret = number;
    return true;
}

static int look(struct replay *r, const char *role, struct err *err)
{
    for (size_t i = 0; i < r->reel->n_seats; i++)
        if (strcmp(r->reel->seats[i].role, role) == 0) {
            r->looks = i;
            return 0;
        }
    return err_set(err, ENOENT, "nobody had the role '%.80s'", role);
}

static int replay_act(const struct page_person *p, const json_t *command, struct err *err,
                      void *data)
{
    struct replay *r = data;
    const char *what = jsonx_str(command, "do", "");
    double number = 0;
    int rc = 0;
    if (!presents(p))
        return err_set(err, EPERM,
                       "this is a replay: nothing in it can be changed, and who presents it keeps "
                       "its clock");
    if (!strcmp(what, "play"))
        playhead_play(r->head);
    else if (!strcmp(what, "pause"))
        playhead_pause(r->head);
    else if (!strcmp(what, "speed") &&
             number_of(command, "speed", PLAYHEAD_SPEED_MIN, PLAYHEAD_SPEED_MAX, &number))
        playhead_speed(r->head, number);
    else if (!strcmp(what, "speed"))
        rc = err_set(err, EINVAL, "the speed is a number from 0.1 to 1000");
    else if (!strcmp(what, "jump") && number_of(command, "to_s", 0, 1e9, &number))
        playhead_jump(r->head, (nsec)(number * 1e9));
    else if (!strcmp(what, "jump"))
        rc = err_set(err, EINVAL, "jump to so many seconds from the beginning: to_s");
    else if (!strcmp(what, "look"))
        rc = look(r, jsonx_str(command, "role", ""), err);
    else if (!strcmp(what, "close"))
        look_whether_over(r, true);
    else
        rc = err_set(err, EPERM,
                     "this is a replay: nothing in it can be changed, it can only be played (play, "
                     "pause, speed, jump, look, close)");
    page_changed(r->page);
    return rc;
}

static int replay_came(const struct page_person *p, enum page_coming what, struct err *err,
                       void *data)
{
    (void)err;
    struct replay *r = data;
    if (!presents(p))
        return 0;
    if (what == PAGE_JOINED || what == PAGE_BACK)
        json_object_set_new(r->presenters, p->name, json_true());
    else
        json_object_del(r->presenters, p->name);
    look_whether_over(r, false);
    return 0;
}

/* --- Beginning and end ------------------------------------------------------------------------ */

static void make_seats(struct replay *r)
{
    r->seats = calloc(r->reel->n_seats + 1, sizeof *r->seats);
    if (!r->seats)
        abort();
    r->seats[0] = (struct page_seat){.role = PRESENTER,
                                     .title = "Presenter: plays, pauses, jumps, sees every view",
                                     .kind = "presenter",
                                     .admits = true};
    for (size_t i = 0; i < r->reel->n_seats; i++) {
        r->seats[i + 1] = r->reel->seats[i];
        r->seats[i + 1].admits = false;
    }
}

int replay_open(const struct replay_spec *spec, struct replay **ret, struct err *err)
{
    CLEANUP(replay_close_p) struct replay *r = calloc(1, sizeof *r);
    unsigned char key[DOOR_KEY];
    if (!r)
        abort();
    *r = (struct replay){.spec = *spec, .reel = spec->reel, .presenters = json_object()};
    if (getrandom(key, sizeof key, 0) != sizeof key)
        return err_errno(err, errno, "no random numbers can be had");
    make_seats(r);
    struct playhead_spec head = {.loop = spec->loop,
                                 .moments = r->reel->moments,
                                 .n = r->reel->n,
                                 .speed = spec->speed,
                                 .turned = turned,
                                 .data = r};
    r->head = playhead_new(&head);
    struct page_spec page = {.title = r->reel->title,
                             .seats = r->seats,
                             .n_seats = r->reel->n_seats + 1,
                             .key = key,
                             .address = spec->address,
                             .address_n = spec->address_n,
                             .certificate = spec->certificate,
                             .key_of_certificate = spec->key_of_certificate,
                             .handlers = {.view = replay_view,
                                          .act = replay_act,
                                          .came = replay_came,
                                          .file = replay_file,
                                          .data = r}};
    int rc = page_open(spec->loop, &page, &r->page, err);
    if (rc < 0)
        return rc;
    *ret = steal_ptr(r);
    return 0;
}

struct replay *replay_close(struct replay *r)
{
    if (!r)
        return NULL;
    page_close(r->page);
    playhead_free(r->head);
    json_decref(r->presenters);
    free(r->seats);
    free(r);
    return NULL;
}

void replay_url(const struct replay *r, char url[PAGE_URL_MAX])
{
    page_url(r->page, url);
}

json_t *replay_new_codes(const struct replay *r)
{
    return page_new_codes(r->page);
}

bool replay_was_played(const struct replay *r)
{
    return playhead_was_played(r->head);
}

nsec replay_at(const struct replay *r)
{
    return playhead_at(r->head);
}
