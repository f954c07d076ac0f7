/* The control socket: server in the runner, client in other commands. */
#include "sim/drill/control.h"

#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/base/text.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define CONTROL_MAX 65536 /* a request or an answer */
#define CONTROL_PREFIX "blackstart."

const char *const control_marks[] = {
    "paged",     "acknowledged", "declared", "aware", "classified", "diagnosed", "mitigation_start",
    "mitigated", "resolved",     "note",     NULL};

struct control {
    struct loop *loop;
    control_fn *fn;
    void *data;
    int fd;
    struct loop_io io;
};

static socklen_t control_address(struct sockaddr_un *sun, uid_t uid, const char *run_id)
{
    memset(sun, 0, sizeof *sun);
    sun->sun_family = AF_UNIX;
    int n = snprintf(sun->sun_path + 1, sizeof sun->sun_path - 1, CONTROL_PREFIX "%u.%s",
                     (unsigned)uid, run_id);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

/* Uids are as this user namespace sees them: the operator is 0 inside a rootless run. */
static bool control_may_speak(int fd)
{
    struct ucred cred;
    socklen_t n = sizeof cred;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
        return false;
    if (cred.uid == 0 || cred.uid == geteuid())
        return true;
    const char *sudo = getenv("SUDO_UID");
    return sudo && *sudo && cred.uid == (uid_t)strtoul(sudo, NULL, 10);
}

static void control_answer(int fd, const json_t *answer)
{
    AUTO_BUF text = BUF_INIT;
    jsonx_dump(answer, &text);
    (void)!send(fd, text.text, text.len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* A client has connected: its request is one packet, sent right after connect(); a client that is
 * slower than that is not waited for longer than 200 ms, so that nobody can hold the drill up. */
static void control_serve(struct loop_io *io, uint32_t events, void *data)
{
    struct control *c = data;
    AUTO_CLOSE int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    AUTO_JSON *answer = NULL;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    AUTO_FREE char *text = malloc(CONTROL_MAX);
    if (!text)
        return;
    if (!control_may_speak(fd)) { /* answered before it says anything: not waited for at all */
        answer = json_pack("{s:b,s:s}", "ok", 0, "error",
                           "this drill belongs to another user: ask as that user or as root");
        control_answer(fd, answer);
        return;
    }
    if (poll(&p, 1, 200) <= 0)
        return;
    ssize_t n = recv(fd, text, CONTROL_MAX, MSG_DONTWAIT);
    if (n <= 0)
        return;
    AUTO_JSON *request = NULL;
    struct err err = ERR_INIT;
    if (jsonx_parse(text, (size_t)n, "request", &request, &err) < 0)
        answer = json_pack("{s:b,s:s}", "ok", 0, "error", err.text);
    else
        answer = c->fn(request, c->data);
    control_answer(fd, answer);
}

int control_listen(uid_t uid, const char *run_id, int *ret_fd, struct err *err)
{
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un sun;
    socklen_t n = control_address(&sun, uid, run_id);
    if (fd < 0 || bind(fd, (struct sockaddr *)&sun, n) < 0 || listen(fd, 8) < 0)
        return err_errno(err, errno, "cannot open the control socket");
    *ret_fd = steal_fd(&fd);
    return 0;
}

int control_open(struct loop *loop, int fd, control_fn *fn, void *data, struct control **ret,
                 struct err *err)
{
    CLEANUP(control_close_p) struct control *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    c->loop = loop;
    c->fn = fn;
    c->data = data;
    c->fd = fd;
    c->io.fn = control_serve;
    c->io.data = c;
    int rc = loop_io_add(loop, &c->io, c->fd, EPOLLIN, err);
    if (rc < 0)
        return rc;
    *ret = steal_ptr(c);
    return 0;
}

struct control *control_close(struct control *c)
{
    if (!c)
        return NULL;
    loop_io_remove(c->loop, &c->io);
    free(c);
    return NULL;
}

/* Names of listening sockets, from /proc/net/unix: "… 00010000 0005 01 inode @blackstart.0.ab12".
 */
int control_list(json_t **ret_ids, struct err *err)
{
    AUTO_FCLOSE FILE *f = fopen("/proc/net/unix", "re");
    if (!f)
        return err_errno(err, errno, "cannot read /proc/net/unix");
    AUTO_JSON *ids = json_array();
    char line[512];
    while (fgets(line, sizeof line, f)) {
        char *at = strstr(line, " @" CONTROL_PREFIX), *flags = strstr(line, " 00010000 ");
        if (!at || !flags)
            continue;
        at += 2;
        at[strcspn(at, "\n")] = '\0';
        bool have = false;
        for (size_t i = 0; i < json_array_size(ids); i++)
            have = have || !strcmp(json_string_value(json_array_get(ids, i)), at);
        if (!have)
            json_array_append_new(ids, json_string(at));
    }
    *ret_ids = steal_ptr(ids);
    return 0;
}

static int control_pick(const char *id, char name[108], struct err *err)
{
    AUTO_JSON *all = NULL;
    int rc = control_list(&all, err);
    if (rc < 0)
        return rc;
    const char *found = NULL;
    size_t i, n = 0;
    json_t *v;
    AUTO_BUF names = BUF_INIT;
    json_array_foreach (all, i, v) {
        const char *full = json_string_value(v), *last = strrchr(full, '.');
        if (id && strcmp(last + 1, id))
            continue;
        found = full;
        n++;
        buf_printf(&names, "%s%s", names.len ? ", " : "", last + 1);
    }
    if (!n && id)
        return err_set(err, ESRCH, "no drill with the id %s is running here", id);
    if (!n)
        return err_set(err, ESRCH, "no drill is running here");
    if (n > 1)
        return err_set(err, ESRCH, "several drills are running (%s): name one with --run ID",
                       buf_text(&names));
    snprintf(name, 108, "%s", found);
    return 0;
}

/* Anybody may bind any abstract name: the uid in it counts only if the kernel says the same. */
static int control_peer(int fd, const char *name, uid_t *ret, struct err *err)
{
    struct ucred cred;
    socklen_t n = sizeof cred;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
        return err_errno(err, errno, "cannot see who serves the drill %s", name);
    if (cred.uid != (uid_t)strtoul(name + strlen(CONTROL_PREFIX), NULL, 10))
        return err_set(err, EPERM, "the drill %s is served by another user (uid %u)", name,
                       (unsigned)cred.uid);
    *ret = cred.uid;
    return 0;
}

int control_ask(const char *id, json_t *request, json_t **ret_answer, struct err *err)
{
    AUTO_JSON *req = request;
    char name[108];
    int rc = control_pick(id, name, err);
    if (rc < 0)
        return rc;
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    if (len > sizeof sun.sun_path - 1)
        len = sizeof sun.sun_path - 1;
    memcpy(sun.sun_path + 1, name, len);
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
    if (fd < 0 || connect(fd, (struct sockaddr *)&sun, n) < 0)
        return err_errno(err, errno, "cannot reach the drill %s", name);
    uid_t uid = 0;
    if ((rc = control_peer(fd, name, &uid, err)) < 0)
        return rc;
    AUTO_BUF text = BUF_INIT;
    jsonx_dump(req, &text);
    if (text.len > CONTROL_MAX)
        return err_set(err, EMSGSIZE, "that is too long (at most %d bytes)", CONTROL_MAX);
    /* EPIPE: it has refused us and gone; what it said can still be read. */
    if (send(fd, text.text, text.len, MSG_NOSIGNAL) < 0 && errno != EPIPE)
        return err_errno(err, errno, "cannot reach the drill");
    AUTO_FREE char *answer = malloc(CONTROL_MAX);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (!answer || poll(&p, 1, 10000) <= 0)
        return err_set(err, ETIMEDOUT, "the drill does not answer");
    ssize_t got = recv(fd, answer, CONTROL_MAX, 0);
    /* unix(7): closed with our request unread is reported once, before what was sent to us. */
    if (got < 0 && errno == ECONNRESET)
        got = recv(fd, answer, CONTROL_MAX, MSG_DONTWAIT);
    if (got <= 0)
        return err_set(err, EPIPE, "the drill has ended");
    AUTO_JSON *a = NULL;
    rc = jsonx_parse(answer, (size_t)got, "answer", &a, err);
    if (rc < 0)
        return rc;
    if (!jsonx_bool(a, "ok", false))
        return err_set(err, EPERM, "%s", jsonx_str(a, "error", "the drill refused"));
    json_object_set_new(a, "uid", json_integer((json_int_t)uid));
    *ret_answer = steal_ptr(a);
    return 0;
}
