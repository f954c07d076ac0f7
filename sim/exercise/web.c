/* The page of an exercise. See web.h. */
#include "sim/exercise/web.h"

#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/base/units.h"
#include "sim/exercise/view.h"
#include "sim/model/assumption.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define KEY_FILE "join.key"
#define LINGER (700 * NSEC_MSEC)
#define PEM_MAX (1u << 20)
#define ATTACHMENT_MAX (64u << 20)

struct web {
    struct conduct *conduct;
    struct page *page;
    struct page_seat *seats;
    size_t n_seats;
    int dirfd;
    struct conduct_listener listener;
};

/* --- What the page asks ----------------------------------------------------------------------- */

static struct viewer viewer_of(const struct page_person *p)
{
    return (struct viewer){.person = p->name, .role = p->seat->role};
}

static void web_view(const struct page_person *p, struct buf *json, void *data)
{
    const struct web *w = data;
    struct viewer who = viewer_of(p);
    AUTO_JSON *view = view_new(conduct_state(w->conduct), &who, conduct_clock(w->conduct));
    jsonx_dump(view, json);
}

static int web_act(const struct page_person *p, const json_t *command, struct err *err, void *data)
{
    const struct web *w = data;
    struct viewer who = viewer_of(p);
    return command_do(w->conduct, &who, command, err);
}

static int web_came(const struct page_person *p, enum page_coming what, struct err *err, void *data)
{
    const struct web *w = data;
    const char *recorded;
    if (what == PAGE_JOINED)
        return command_join(w->conduct, p->name, p->seat->role, &recorded, err);
    return command_presence(w->conduct, p->name,
                            what == PAGE_AWAY   ? "away"
                            : what == PAGE_BACK ? "back"
                                                : "leave",
                            err);
}

/* What browsers may show in place; everything else is saved to a file. */
static const char *type_of(const char *path)
{
    static const char *const types[][2] = {{".txt", "text/plain; charset=utf-8"},
                                           {".md", "text/plain; charset=utf-8"},
                                           {".log", "text/plain; charset=utf-8"},
                                           {".csv", "text/csv; charset=utf-8"},
                                           {".png", "image/png"},
                                           {".jpg", "image/jpeg"},
                                           {".pdf", "application/pdf"}};
    size_t n = strlen(path);
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (n > strlen(types[i][0]) && strcmp(path + n - strlen(types[i][0]), types[i][0]) == 0)
            return types[i][1];
    return "application/octet-stream";
}

int web_attachment(const struct state *st, const char *role, int dirfd, const char *name,
                   struct buf *content, const char **ret_type)
{
    char id_text[24];
    int64_t id, n;
    const char *slash = strchr(name, '/');
    if (!slash || (size_t)(slash - name) >= sizeof id_text)
        return -ENOENT;
    snprintf(id_text, sizeof id_text, "%.*s", (int)(slash - name), name);
    if (units_integer(id_text, &id, NULL) < 0 || units_integer(slash + 1, &n, NULL) < 0)
        return -ENOENT;
    const char *path = view_attachment(st, role, id, n);
    AUTO_CLOSE int files =
        path ? openat(dirfd, "files/_scenario", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    AUTO_FREE char *text = NULL;
    size_t size;
    if (files < 0 || file_read(files, path, ATTACHMENT_MAX, &text, &size, NULL) < 0)
        return -ENOENT;
    buf_add(content, text, size);
    *ret_type = type_of(path);
    return 0;
}

static int web_file(const struct page_person *p, const char *name, struct buf *content,
                    const char **ret_type, void *data)
{
    const struct web *w = data;
    return web_attachment(conduct_state(w->conduct), p->seat->role, w->dirfd, name, content,
                          ret_type);
}

static void web_told(const json_t *event, void *data)
{
    struct web *w = data;
    const char *kind = jsonx_str(event, "kind", "");
    bool measures = !strcmp(kind, "probe") || !strcmp(kind, "lab"); /* many, and nobody sees them */
    if (strcmp(jsonx_str(event, "event", ""), "tick") != 0 && !measures)
        page_changed(w->page);
}

/* --- Beginning and end ------------------------------------------------------------------------ */

struct page_seat *web_new_seats(const struct scenario *s, size_t *ret_n)
{
    const struct objects *roles = &s->assumptions->roles;
    struct page_seat *seats = calloc(roles->n ? roles->n : 1, sizeof *seats);
    if (!seats)
        abort();
    for (size_t i = 0; i < roles->n; i++) {
        const struct responder *r = roles->items[i];
        seats[i] =
            (struct page_seat){.role = r->name,
                               .title = r->title,
                               .kind = role_kind_words[r->kind],
                               .admits = r->kind == ROLE_FACILITATOR,
                               .by_room = r->kind == ROLE_PLAYER || r->kind == ROLE_OBSERVER};
    }
    *ret_n = roles->n;
    return seats;
}

/* The key that is there, or a fresh one. */
static int web_key(const struct web *w, unsigned char key[DOOR_KEY], struct err *err)
{
    AUTO_CLOSE int fd = openat(w->dirfd, KEY_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(err, errno, "cannot keep the key of the codes in " KEY_FILE);
    if (read(fd, key, DOOR_KEY) == DOOR_KEY)
        return 0;
    if (getrandom(key, DOOR_KEY, 0) != DOOR_KEY)
        return err_errno(err, errno, "no random numbers can be had");
    if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return err_errno(err, errno, "cannot keep the key of the codes in " KEY_FILE);
    return file_write_all(fd, key, DOOR_KEY, err);
}

int web_open(const struct web_spec *spec, struct web **ret, struct err *err)
{
    CLEANUP(web_close_p) struct web *w = calloc(1, sizeof *w);
    AUTO_FREE char *certificate = NULL, *key = NULL;
    unsigned char secret[DOOR_KEY];
    const struct scenario *s = conduct_state(spec->conduct)->scenario;
    size_t n;
    if (!w)
        abort();
    *w = (struct web){.conduct = spec->conduct, .dirfd = spec->dirfd};
    w->seats = web_new_seats(s, &w->n_seats);
    struct page_spec page = {.title = s->title ? s->title : s->name,
                             .seats = w->seats,
                             .n_seats = w->n_seats,
                             .key = secret,
                             .handlers = {web_view, web_act, web_came, web_file, w}};
    int r = page_address(spec->listen, &page.address, &page.address_n, err);
    if (r == 0 && spec->certificate)
        r = file_read(AT_FDCWD, spec->certificate, PEM_MAX, &certificate, &n, err);
    if (r == 0 && spec->key)
        r = file_read(AT_FDCWD, spec->key, PEM_MAX, &key, &n, err);
    page.certificate = certificate;
    page.key_of_certificate = key;
    if (r == 0)
        r = web_key(w, secret, err);
    if (r == 0)
        r = page_open(conduct_loop(spec->conduct), &page, &w->page, err);
    if (r < 0)
        return r;
    w->listener = (struct conduct_listener){.fn = web_told, .data = w};
    conduct_listen(spec->conduct, &w->listener);
    *ret = steal_ptr(w);
    return 0;
}

struct web *web_close(struct web *w)
{
    if (!w)
        return NULL;
    conduct_unlisten(w->conduct, &w->listener);
    page_close(w->page);
    if (conduct_is_over(w->conduct))
        unlinkat(w->dirfd, KEY_FILE, 0);
    free(w->seats);
    free(w);
    return NULL;
}

void web_linger(struct web *w)
{
    if (!w || !page_connected(w->page))
        return;
    struct loop *loop = conduct_loop(w->conduct);
    nsec until = nsec_add(loop_fresh(loop), LINGER);
    page_changed(w->page);
    while (loop_fresh(loop) < until)
        if (loop_turn(loop, until, NULL) < 0)
            return;
}

void web_url(const struct web *w, char url[PAGE_URL_MAX])
{
    page_url(w->page, url);
}

json_t *web_new_codes(const struct web *w)
{
    return page_new_codes(w->page);
}
