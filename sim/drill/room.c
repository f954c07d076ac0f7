/* The war room's process, and what the runner tells it. See room.h.
 *
 * Lines of JSON go down the socket, one line comes up: how the listening went. The runner writes without
 * waiting: what does not fit into the socket waits in `unsent` up to UNSENT_MAX; then the room is lost,
 * which the drill does not mind.
 */
#include "sim/drill/room.h"

#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/drill/control.h"
#include "sim/drill/room_view.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNSENT_MAX (4u << 20)
#define PEM_MAX (1u << 20)
#define READY_WITHIN 5000    /* ms, for its first line */
#define LAST_VIEW (NSEC_SEC) /* how long the page stands when the drill is over */
#define GONE_WITHIN 2000     /* ms */

static const struct page_seat all_seats[] = {
    {"operator", "Operator: may stamp marks, and abort", "operator", true, false},
    {"responder", "Responder: may stamp marks", "player", false, true},
    {"viewer", "Viewer", "observer", false, true},
};

/* --- The page's process ----------------------------------------------------------------------- */

struct guest { /* what the process of the page has */
    const struct room_spec *spec;
    struct loop *loop;
    struct page *page;
    struct room_state *state;
    struct loop_io io;
    struct loop_timer last;
    struct buf heard;
    int fd;
};

static void guest_view(const struct page_person *p, struct buf *json, void *data)
{
    const struct guest *g = data;
    room_state_view(g->state, p, loop_now(g->loop), json);
}

static int guest_ask(const struct guest *g, json_t *request, struct err *err)
{
    AUTO_JSON *answer = NULL;
    int r = control_ask(g->spec->id, request, &answer, err);
    return r < 0 ? -EALREADY : 0; /* with the sentence of the drill */
}

static int guest_mark(const struct guest *g, const struct page_person *p, const json_t *c,
                      struct err *err)
{
    const char *mark = jsonx_str(c, "mark", ""), *service = jsonx_str(c, "service", NULL);
    size_t i = 0;
    while (control_marks[i] && strcmp(control_marks[i], mark) != 0)
        i++;
    if (!control_marks[i])
        return err_set(err, EINVAL, "'%s' is not a mark", mark);
    return guest_ask(g,
                     json_pack("{s:s, s:s, s:I, s:o*, s:o*, s:s, s:o}", "command", "mark", "mark",
                               mark, "at", (json_int_t)nsec_now(CLOCK_MONOTONIC), "text",
                               jsonx_new_text(jsonx_str(c, "text", NULL)), "service",
                               jsonx_new_text(service), "role", p->seat->role, "by",
                               jsonx_new_text(p->name)),
                     err);
}

static int guest_act(const struct page_person *p, const json_t *c, struct err *err, void *data)
{
    const struct guest *g = data;
    const char *what = jsonx_str(c, "do", "");
    AUTO_BUF by = BUF_INIT;
    if (strcmp(what, "mark") != 0 && strcmp(what, "abort") != 0)
        return err_set(err, EINVAL, "a drill knows no '%s': only mark and abort", what);
    if (strcmp(p->seat->kind, "observer") == 0)
        return err_set(err, EPERM, "who only views does not act: join as responder");
    if (strcmp(what, "mark") == 0)
        return guest_mark(g, p, c, err);
    if (strcmp(p->seat->kind, "operator") != 0)
        return err_set(err, EPERM, "only the operator may abort");
    buf_printf(&by, "%s in the war room", p->name);
    return guest_ask(
        g, json_pack("{s:s, s:o}", "command", "abort", "by", jsonx_new_text(buf_text(&by))), err);
}

static void guest_lines(struct guest *g)
{
    char *at = g->heard.text, *end = at + g->heard.len, *newline;
    while (at < end && (newline = memchr(at, '\n', (size_t)(end - at)))) {
        AUTO_JSON *line = NULL;
        if (jsonx_parse(at, (size_t)(newline - at), "a line", &line, NULL) == 0 &&
            room_state_apply(g->state, line, loop_now(g->loop)))
            page_changed(g->page);
        at = newline + 1;
    }
    size_t rest = (size_t)(end - at);
    memmove(g->heard.text, at, rest);
    g->heard.len = rest;
    g->heard.text[rest] = '\0';
}

static void guest_over(struct loop_timer *t, void *data)
{
    (void)t;
    struct guest *g = data;
    loop_stop(g->loop);
}

static void guest_ready(struct loop_io *io, uint32_t events, void *data)
{
    struct guest *g = data;
    char part[65536];
    (void)events;
    for (;;) {
        ssize_t n = recv(g->fd, part, sizeof part, MSG_DONTWAIT);
        if (n > 0) {
            buf_add(&g->heard, part, (size_t)n);
            continue;
        }
        bool open = n < 0 && (errno == EAGAIN || errno == EINTR);
        if (g->heard.len)
            guest_lines(g);
        if (open)
            return;
        loop_io_remove(g->loop, io);
        loop_timer_set(g->loop, &g->last, nsec_add(loop_now(g->loop), LAST_VIEW));
        return;
    }
}

/* All signals but those that cannot be: Ctrl-C is for the drill, which lets this process go. */
static void guest_signals(void)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT, SIGTSTP};
    sigset_t none;
    sigemptyset(&none);
    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
        signal(ignored[i], SIG_IGN);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int guest_open(struct guest *g, struct err *err)
{
    const struct room_spec *spec = g->spec;
    AUTO_FREE char *certificate = NULL, *key = NULL;
    unsigned char secret[DOOR_KEY];
    size_t n;
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (getrandom(secret, sizeof secret, 0) != sizeof secret)
        return err_errno(err, errno, "no random numbers can be had");
    struct page_spec page = {.title = spec->scenario->title ? spec->scenario->title
                                                            : spec->scenario->name,
                             .seats = all_seats,
                             .n_seats = ARRAY_SIZE(all_seats),
                             .key = secret,
                             .handlers = {.view = guest_view, .act = guest_act, .data = g}};
    int r = page_address(spec->listen, &page.address, &page.address_n, err);
    if (r == 0 && spec->certificate)
        r = file_read(AT_FDCWD, spec->certificate, PEM_MAX, &certificate, &n, err);
    if (r == 0 && spec->key)
        r = file_read(AT_FDCWD, spec->key, PEM_MAX, &key, &n, err);
    page.certificate = certificate;
    page.key_of_certificate = key;
    if (r == 0)
        r = loop_new(LOOP_REAL, &g->loop, err);
    if (r == 0)
        r = page_open(g->loop, &page, &g->page, err);
    return r;
}

/* The one line that goes up. */
static json_t *guest_codes(const struct guest *g)
{
    char url[PAGE_URL_MAX];
    page_url(g->page, url);
    return json_pack("{s:s, s:o}", "url", url, "codes", page_new_codes(g->page));
}

static void guest_say(const struct guest *g, json_t *line)
{
    AUTO_JSON *mine = line;
    AUTO_BUF text = BUF_INIT;
    jsonx_dump(mine, &text);
    buf_addc(&text, '\n');
    (void)!send(g->fd, text.text, text.len, MSG_NOSIGNAL);
}

static void guest_main(const struct room_spec *spec, int fd)
{
    struct err err = ERR_INIT;
    struct guest g = {.spec = spec, .fd = fd};
    int keep[] = {fd};
    file_close_others(keep, ARRAY_SIZE(keep));
    guest_signals();
    g.state = room_state_new(spec->scenario->name, spec->scenario->title);
    if (guest_open(&g, &err) < 0) {
        guest_say(&g, json_pack("{s:o}", "error", jsonx_new_text(err.text)));
        return;
    }
    g.io = (struct loop_io){.fn = guest_ready, .data = &g};
    g.last = (struct loop_timer){.fn = guest_over, .data = &g};
    if (loop_io_add(g.loop, &g.io, fd, EPOLLIN, &err) < 0) {
        guest_say(&g, json_pack("{s:o}", "error", jsonx_new_text(err.text)));
        return;
    }
    guest_say(&g, guest_codes(&g));
    (void)loop_run(g.loop, &err);
    page_close(g.page);
}

/* --- The runner's side ------------------------------------------------------------------------ */

struct room {
    int fd;
    pid_t pid;
    json_t *codes;
    char url[PAGE_URL_MAX], address[PAGE_URL_MAX];
    struct buf unsent;
    bool lost;
};

static void room_done(struct room *r)
{
    if (r->fd >= 0)
        close(r->fd);
    json_decref(r->codes);
    buf_done(&r->unsent);
    free(r);
}

static int room_first_line(struct room *r, struct err *err)
{
    char text[8192];
    size_t n = 0;
    AUTO_JSON *line = NULL;
    struct pollfd p = {.fd = r->fd, .events = POLLIN};
    while (n < sizeof text - 1 && !memchr(text, '\n', n)) {
        if (poll(&p, 1, READY_WITHIN) != 1)
            return err_set(err, ETIMEDOUT, "the page did not begin in time");
        ssize_t got = recv(r->fd, text + n, sizeof text - 1 - n, 0);
        if (got <= 0)
            return err_set(err, EIO, "the page's process ended at once");
        n += (size_t)got;
    }
    if (jsonx_parse(text, n, "the page's answer", &line, err) < 0)
        return -EIO;
    if (json_object_get(line, "error"))
        return err_set(err, EINVAL, "%s", jsonx_str(line, "error", ""));
    snprintf(r->url, sizeof r->url, "%s", jsonx_str(line, "url", ""));
    const char *host = strstr(r->url, "//");
    snprintf(r->address, sizeof r->address, "%.*s", host ? (int)strcspn(host + 2, "/") : 0,
             host ? host + 2 : "");
    r->codes = json_incref(json_object_get(line, "codes"));
    return 0;
}

int room_open(const struct room_spec *spec, struct room **ret, struct err *err)
{
    int fds[2];
    struct room *r = calloc(1, sizeof *r);
    if (!r)
        abort();
    r->fd = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        room_done(r);
        return err_errno(err, errno, "cannot make the page's socket");
    }
    r->fd = fds[0];
    pid_t parent = getpid();
    r->pid = fork();
    if (r->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NAME, "blackstart-page");
        if (getppid() == parent)
            guest_main(spec, fds[1]);
        _exit(0);
    }
    close(fds[1]);
    int rc = r->pid < 0 ? err_errno(err, errno, "cannot start the page's process")
                        : room_first_line(r, err);
    if (rc < 0) {
        if (r->pid > 0) {
            kill(r->pid, SIGKILL);
            waitpid(r->pid, NULL, 0);
        }
        room_done(r);
        return rc;
    }
    *ret = r;
    return 0;
}

static void room_send(struct room *r, json_t *line, bool may_wait)
{
    AUTO_JSON *mine = line;
    if (r->lost || (!may_wait && r->unsent.len))
        return;
    jsonx_dump(mine, &r->unsent);
    buf_addc(&r->unsent, '\n');
    ssize_t n = send(r->fd, r->unsent.text, r->unsent.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        r->lost = true;
    if (n > 0) {
        memmove(r->unsent.text, r->unsent.text + n, r->unsent.len - (size_t)n);
        r->unsent.len -= (size_t)n;
    }
    r->lost = r->lost || r->unsent.len > UNSENT_MAX;
}

const struct page_seat *room_seats(size_t *ret_n)
{
    *ret_n = ARRAY_SIZE(all_seats);
    return all_seats;
}

bool room_tells(const char *kind)
{
    static const char *const told[] = {"trial-start", "state", "inject", "undo",     "alarm",
                                       "notice",      "stop",  "mark",   "trial-end"};
    for (size_t i = 0; i < ARRAY_SIZE(told); i++)
        if (strcmp(told[i], kind) == 0)
            return true;
    return false;
}

void room_event(struct room *r, const char *kind, const json_t *event)
{
    if (r && room_tells(kind))
        room_send(r, json_pack("{s:s, s:O}", "kind", kind, "event", event), true);
}

void room_tick(struct room *r, const json_t *status)
{
    if (r)
        room_send(r, json_pack("{s:O}", "tick", status), false);
}

void room_close(struct room *r, const json_t *end)
{
    if (!r)
        return;
    room_send(r, end ? json_pack("{s:O}", "end", end) : json_pack("{s:{}}", "end"), true);
    shutdown(r->fd, SHUT_WR);
    /* It closes its end when it goes: that can be waited for. */
    struct pollfd p = {.fd = r->fd, .events = POLLIN};
    if (r->lost || poll(&p, 1, GONE_WITHIN) != 1)
        kill(r->pid, SIGKILL);
    while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    room_done(r);
}

const char *room_url(const struct room *r)
{
    return r->url;
}

const char *room_address(const struct room *r)
{
    return r->address;
}

const json_t *room_codes(const struct room *r)
{
    return r->codes;
}

bool room_is_lost(const struct room *r)
{
    return r->lost;
}
