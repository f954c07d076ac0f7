/* The runner's end of the herald; its process is in heralding.c.
 *
 * Messages are JSON texts, one a packet. Each notice that a message asks for is answered by one.
 */
#include "sim/drill/herald.h"

#include "sim/base/jsonx.h"
#include "sim/drill/heralding.h"
#include "sim/drill/notice.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define READY_WITHIN (10 * NSEC_SEC)
#define LOOK_EVERY_MS 50 /* whether the operator is in a hurry */

struct herald {
    struct herald_spec spec;
    struct loop *loop;
    struct loop_io io;
    pid_t pid;
    int sock;
    size_t out; /* notices that were asked for and not answered */
    bool lost, aborted;
    const char *over; /* the status it parted with; NULL: not yet */
};

static void herald_lost(struct herald *h)
{
    if (h->loop)
        loop_io_remove(h->loop, &h->io);
    if (!h->lost && h->out) {
        AUTO_JSON *went = json_pack("{s:s,s:s,s:s,s:b,s:I,s:s}", "on", "end", "what", "hooks",
                                    "target", "all", "ok", 0, "took_ns", (json_int_t)0, "detail",
                                    "the process that tells others has ended");
        h->spec.went(went, h->spec.data);
    }
    h->lost = true;
    h->out = 0;
}

/* Everything that was answered by now. */
static void herald_hear(struct herald *h)
{
    for (;;) {
        char text[HERALD_MESSAGE_MAX];
        ssize_t n = recv(h->sock, text, sizeof text, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            herald_lost(h);
            return;
        }
        json_t *m = NULL;
        if (jsonx_parse(text, (size_t)n, "herald", &m, NULL) < 0)
            continue;
        AUTO_JSON *went = m;
        h->out -= h->out > 0;
        if (!json_object_get(went, "quiet"))
            h->spec.went(went, h->spec.data);
    }
}

static void herald_heard(struct loop_io *io, uint32_t events, void *data)
{
    (void)io, (void)events;
    herald_hear(data);
}

/* True: it was taken. */
static bool herald_send(struct herald *h, const json_t *message)
{
    AUTO_BUF text = BUF_INIT;
    jsonx_dump(message, &text);
    return !h->lost && text.len < HERALD_MESSAGE_MAX &&
           send(h->sock, text.text, text.len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)text.len;
}

/* What everybody is told of a moment, beside what is given; `given` is taken. */
static json_t *herald_values(const struct herald *h, enum notice_moment moment, json_t *given)
{
    json_t *values = given;
    char iso[NSEC_TEXT_MAX];
    json_object_set_new(values, "event", json_string(notice_moment_words[moment]));
    json_object_set_new(values, "scenario", json_string(h->spec.scenario->name));
    json_object_set_new(values, "title", jsonx_new_text(h->spec.scenario->title));
    json_object_set_new(values, "id", json_string(h->spec.id));
    json_object_set_new(values, "operator", jsonx_new_text(h->spec.operator_name));
    json_object_set_new(values, "time", json_string(nsec_iso(nsec_now(CLOCK_REALTIME), iso)));
    AUTO_BUF sentence = BUF_INIT;
    notice_sentence(values, &sentence);
    json_object_set_new(values, "text", jsonx_new_text(buf_text(&sentence)));
    return values;
}

/* `given` is taken. */
static void herald_tell(struct herald *h, enum notice_moment moment, size_t n, json_t *given)
{
    AUTO_JSON *words = given;
    if (!n)
        return;
    AUTO_JSON *values = herald_values(h, moment, json_incref(words));
    AUTO_JSON *message = json_pack("{s:i,s:O}", "moment", (int)moment, "values", values);
    if (herald_send(h, message)) {
        h->out += n;
        return;
    }
    AUTO_JSON *went = json_pack("{s:s,s:s,s:s,s:b,s:I,s:s}", "on", notice_moment_words[moment],
                                "what", "hooks", "target", "all", "ok", 0, "took_ns", (json_int_t)0,
                                "detail", "the process that tells others does not listen");
    h->spec.went(went, h->spec.data);
}

static size_t notices_of(const struct herald *h, enum notice_moment moment)
{
    const struct notices *all = h->spec.scenario->hooks;
    size_t n = 0;
    if (moment != NOTICE_UNDONE)
        return notices_at(all, moment)->n;
    for (size_t i = 0; i < all->injection.n; i++)
        n += ((const struct notice *)all->injection.items[i])->grafana.n > 0;
    return n;
}

static json_t *words_of(const json_t *event)
{
    char trial[24];
    AUTO_BUF targets = BUF_INIT;
    size_t i;
    json_t *v;
    snprintf(trial, sizeof trial, "%lld", (long long)jsonx_int(event, "trial", 0));
    json_array_foreach (json_object_get(event, "targets"), i, v)
        buf_printf(&targets, "%s%s", i ? ", " : "", json_string_value(v));
    return json_pack("{s:s,s:o,s:o,s:o}", "trial", trial, "step",
                     jsonx_new_text(jsonx_str(event, "step", "")), "action",
                     jsonx_new_text(jsonx_str(event, "action", "")), "targets",
                     jsonx_new_text(buf_text(&targets)));
}

void herald_event(struct herald *h, const char *kind, const json_t *event)
{
    if (!h)
        return;
    bool ok = jsonx_bool(event, "ok", false);
    if (!strcmp(kind, "run-start")) {
        herald_tell(h, NOTICE_START, notices_of(h, NOTICE_START), json_object());
    } else if (!strcmp(kind, "inject") && ok) {
        herald_tell(h, NOTICE_INJECTION, notices_of(h, NOTICE_INJECTION), words_of(event));
    } else if (!strcmp(kind, "undo") && ok) {
        herald_tell(h, NOTICE_UNDONE, notices_of(h, NOTICE_UNDONE), words_of(event));
    } else if (!strcmp(kind, "stop")) {
        h->aborted = true;
        herald_tell(
            h, NOTICE_ABORT, notices_of(h, NOTICE_ABORT),
            json_pack("{s:o,s:s}", "reason",
                      jsonx_new_text(jsonx_str(event, "detail", jsonx_str(event, "reason", ""))),
                      "status", "aborted"));
    }
}

static void nobody_asks(const json_t *notice, void *data)
{
    (void)notice, (void)data;
}

static void collect(const json_t *notice, void *data)
{
    json_t *all = data;
    if (!strcmp(jsonx_str(notice, "on", ""), notice_moment_words[NOTICE_END]))
        json_array_append_new(all, json_deep_copy(notice));
}

void herald_part(struct herald *h, const char *status)
{
    static const char why[] =
        "the program ended before it gave the verdict: `blackstart report` gives it";
    if (!h || h->over)
        return;
    h->over = status;
    loop_io_remove(h->loop, &h->io);
    h->loop = NULL;
    h->spec.went = nobody_asks;
    if (h->aborted)
        return;
    /* What the process tells should we die before the verdict. */
    AUTO_JSON *message = json_pack(
        "{s:o}", "over",
        herald_values(h, NOTICE_END, json_pack("{s:s,s:s}", "status", status, "reason", why)));
    (void)herald_send(h, message);
}

static bool in_a_hurry(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 ||
            sigismember(&pending, SIGHUP) == 1);
}

json_t *herald_conclude(struct herald *h, const json_t *known)
{
    json_t *all = json_array();
    if (!h || h->aborted || !h->over)
        return all;
    size_t n = notices_of(h, NOTICE_END);
    json_t *values = json_deep_copy(known);
    json_object_set_new(values, "status", json_string(h->over));
    h->spec.went = collect;
    h->spec.data = all;
    h->out = 0; /* what is out from before is not waited for again */
    herald_tell(h, NOTICE_END, n, values);
    bool sent = h->out > 0;
    nsec until = nsec_add(nsec_now(CLOCK_MONOTONIC), nsec_add(herald_patience(h), NSEC_SEC));
    while (sent && !h->lost && json_array_size(all) < n && !in_a_hurry() &&
           nsec_now(CLOCK_MONOTONIC) < until) {
        struct pollfd fd = {.fd = h->sock, .events = POLLIN};
        if (poll(&fd, 1, LOOK_EVERY_MS) > 0)
            herald_hear(h);
    }
    if (sent && !h->lost && json_array_size(all) < n)
        json_array_append_new(
            all, json_pack("{s:s,s:s,s:s,s:b,s:I,s:s}", "on", notice_moment_words[NOTICE_END],
                           "what", "hooks", "target", "all", "ok", 0, "took_ns", (json_int_t)0,
                           "detail", "not all of them came to an end; they were given up"));
    h->spec.went = nobody_asks;
    return all;
}

bool herald_is_idle(const struct herald *h)
{
    return !h || h->lost || h->out == 0;
}

nsec herald_patience(const struct herald *h)
{
    nsec longest = 0;
    for (int m = 0; h && m < NOTICE_UNDONE; m++) {
        const struct objects *list = notices_at(h->spec.scenario->hooks, (enum notice_moment)m);
        for (size_t i = 0; i < list->n; i++) {
            const struct notice *n = list->items[i];
            longest = n->timeout > longest ? n->timeout : longest;
        }
    }
    return longest;
}

static int herald_await_ready(struct herald *h, struct err *err)
{
    char text[HERALD_MESSAGE_MAX];
    struct timeval within = {.tv_sec = READY_WITHIN / NSEC_SEC};
    setsockopt(h->sock, SOL_SOCKET, SO_RCVTIMEO, &within, sizeof within);
    ssize_t n = recv(h->sock, text, sizeof text, 0);
    AUTO_JSON *m = NULL;
    if (n <= 0 || jsonx_parse(text, (size_t)n, "herald", &m, NULL) < 0)
        return err_set(err, ECHILD, "hooks: the process that tells others did not start");
    if (jsonx_bool(m, "ready", false))
        return 0;
    return err_set(err, (int)jsonx_int(m, "code", EINVAL), "hooks: %s",
                   jsonx_str(m, "error", "it did not start"));
}

int herald_start(const struct herald_spec *spec, struct loop *loop, struct herald **ret,
                 struct err *err)
{
    int fds[2];
    *ret = NULL;
    if (!spec->scenario->hooks)
        return 0;
    CLEANUP(herald_end_p) struct herald *h = calloc(1, sizeof *h);
    if (!h)
        abort();
    *h = (struct herald){
        .spec = *spec, .loop = loop, .sock = -1, .io = {.fn = herald_heard, .data = h}};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return err_errno(err, errno, "hooks: cannot make a socket pair");
    h->sock = fds[0];
    AUTO_CLOSE int theirs = fds[1];
    fflush(NULL);
    h->pid = fork();
    if (h->pid < 0)
        return err_errno(err, errno, "hooks: cannot start a process");
    if (h->pid == 0)
        heralding_main(spec->scenario, spec->source_dirfd, theirs);
    int r = herald_await_ready(h, err);
    if (r == 0)
        r = loop_io_add(loop, &h->io, h->sock, EPOLLIN, err);
    if (r < 0)
        return r;
    *ret = steal_ptr(h);
    return 0;
}

struct herald *herald_end(struct herald *h)
{
    if (!h)
        return NULL;
    if (h->loop)
        loop_io_remove(h->loop, &h->io);
    AUTO_JSON *bye = json_pack("{s:b}", "bye", 1);
    if (h->sock >= 0) {
        (void)herald_send(h, bye);
        close(h->sock);
    }
    if (h->pid > 0) {
        kill(h->pid, SIGTERM); /* it takes its commands with it (child.h) */
        while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    free(h);
    return NULL;
}
