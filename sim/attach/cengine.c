/* Asking a container engine. See cengine.h.
 *
 * Every request goes through the HTTP client: on a loop of the engine's own when we wait for it, on the
 * caller's when we do not. What comes back becomes 0, an outcome or an error in one place, judge().
 */
#include "sim/attach/cengine_ask.h"

#include "sim/base/jsonx.h"
#include "sim/http/http.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define QUERY_PATIENCE (5 * NSEC_SEC)
#define COMMAND_PATIENCE (30 * NSEC_SEC)
#define ANSWER_MAX ((size_t)16 << 20)
#define COME_BACK_EVERY 200 /* ms */
#define UNIX_SCHEME "unix://"

struct cengine {
    char *socket;
    char *name; /* "docker 20.10.24" */
    bool podman;
    nsec patience;   /* of queries */
    char server[64]; /* how it called itself in its last answer: "Docker/20.10.24 (linux)" */
    struct loop *loop;
    struct http *http;
};

/* --- Where it is ------------------------------------------------------------------------------ */

static const char *const docker_places[] = {"/run/docker.sock", "/var/run/docker.sock", NULL};
static const char *const podman_places[] = {"/run/podman/podman.sock", NULL};

static bool is_socket(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

int cengine_check_where(const char *where, struct err *err)
{
    if (strcmp(where, "docker") == 0 || strcmp(where, "podman") == 0)
        return 0;
    if (where[0] != '/')
        return err_set(err, EINVAL,
                       "'%s' is no engine: write docker, podman, or the path of its socket", where);
    if (strlen(where) >= sizeof((struct sockaddr_un *)0)->sun_path)
        return err_set(err, EINVAL, "'%s' is too long for the path of a socket", where);
    return 0;
}

/* What a variable like DOCKER_HOST says. 1: it is not set. */
static int place_of_variable(const char *variable, char **ret, struct err *err)
{
    const char *value = getenv(variable);
    if (!value || !*value)
        return 1;
    if (!text_starts(value, UNIX_SCHEME "/"))
        return err_set(err, EINVAL,
                       "%s is %s: containers can be reached through a unix socket of this machine "
                       "alone; name it in the scenario ('engine: /run/docker.sock')",
                       variable, value);
    *ret = strdup(value + strlen(UNIX_SCHEME));
    if (!*ret)
        abort();
    return 0;
}

static const char *first_place(const char *const *places)
{
    while (*places && !is_socket(*places))
        places++;
    return *places;
}

static int find_socket(const char *where, char **ret, struct err *err)
{
    bool docker = !where || strcmp(where, "docker") == 0;
    bool podman = !where || strcmp(where, "podman") == 0;
    const char *found = where;
    if (where && !docker && !podman) {
        int r = cengine_check_where(where, err);
        if (r < 0)
            return r;
    } else {
        int r = docker ? place_of_variable("DOCKER_HOST", ret, err) : 1;
        if (r == 1 && podman)
            r = place_of_variable("CONTAINER_HOST", ret, err);
        if (r <= 0)
            return r;
        found = docker ? first_place(docker_places) : NULL;
        if (!found && podman)
            found = first_place(podman_places);
    }
    if (!found)
        return err_set(err, ENOENT,
                       "no container engine was found: there is no socket at %s%s%s; start it, or "
                       "name its socket ('engine: PATH')",
                       docker ? docker_places[0] : "", docker && podman ? " nor at " : "",
                       podman ? podman_places[0] : "");
    *ret = strdup(found);
    if (!*ret)
        abort();
    return 0;
}

/* Precise about what is wrong with a socket, which an HTTP client is not. */
static int try_socket(const char *path, struct err *err)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof to.sun_path)
        return err_set(err, EINVAL, "'%s' is too long for the path of a socket", path);
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, errno, "cannot make a socket");
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return 0;
    switch (errno) {
    case ENOENT:
        return err_set(err, ENOENT, "no container engine: there is no socket %s", path);
    case ECONNREFUSED:
        return err_set(err, ECONNREFUSED,
                       "no container engine listens at %s: it has ended, or is being started "
                       "again",
                       path);
    case EACCES:
    case EPERM:
        return err_set(err, EACCES,
                       "the container engine at %s may not be asked by this user: run it with sudo",
                       path);
    case EAGAIN: /* its queue is full: it will be asked all the same, and waited for */
        return 0;
    default:
        return err_errno(err, errno, "the container engine at %s", path);
    }
}

/* --- What comes back -------------------------------------------------------------------------- */

/* Answers of failed requests: {"message": …}; podman adds the cause. */
static void reason_of(const struct http_answer *a, char *out, size_t size)
{
    AUTO_JSON *body = NULL;
    const char *text = "";
    if (jsonx_parse(a->body, a->body_n, "an answer", &body, NULL) == 0)
        text = jsonx_str(body, "message", jsonx_str(body, "cause", ""));
    snprintf(out, size, "%s%s", *text ? ": " : "", text);
    text_make_printable(out, strlen(out));
}

static int judge_outcome(const char *name, const char *socket, const char *request,
                         const struct http_answer *a, struct err *err)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wswitch-enum" /* the rest cannot be told apart */
    switch (a->outcome) {
    case HTTP_TIMEOUT:
        return err_set(err, ETIMEDOUT, "%s at %s does not answer (%s): %s", name, socket, request,
                       a->detail);
    case HTTP_REFUSED:
        return err_set(err, ECONNREFUSED, "%s does not listen at %s any more", name, socket);
    case HTTP_RESET:
        return err_set(err, EPIPE, "%s at %s cut its answer to %s short: %s", name, socket, request,
                       a->detail);
    case HTTP_GARBAGE:
        return err_set(err, EPROTO, "what listens at %s is no container engine: %s", socket,
                       a->detail);
    default:
        return err_set(err, EIO, "%s at %s cannot be asked (%s): %s", name, socket, request,
                       a->detail);
    }
#pragma GCC diagnostic pop
}

/* 0; 1: it was so already; or the error. */
static int judge(const char *name, const char *socket, const char *request,
                 const struct http_answer *a, struct err *err)
{
    char why[512];
    if (a->outcome != HTTP_ANSWERED)
        return judge_outcome(name, socket, request, a, err);
    if (a->body_cut)
        return err_set(err, EMSGSIZE, "%s at %s answers %s with more than %zu MiB", name, socket,
                       request, ANSWER_MAX >> 20);
    if (a->status == 304)
        return 1;
    if (a->status >= 200 && a->status < 300)
        return 0;
    reason_of(a, why, sizeof why);
    int code = a->status == 404   ? ENOENT
               : a->status == 409 ? EBUSY
               : a->status == 403 ? EACCES
               : a->status == 400 ? EINVAL
                                  : EIO;
    return err_set(err, code, "%s refused %s (status %ld)%s", name, request, a->status, why);
}

int cengine_odd(const struct cengine *e, const char *path, const char *what, struct err *err)
{
    return err_set(err, EPROTO, "%s at %s answers GET %s in a way that is not understood: %s",
                   e->name, e->socket, path, what);
}

/* --- Asking and waiting ----------------------------------------------------------------------- */

struct question {
    struct cengine *e;
    const char *request;
    bool over;
    int r;
    struct buf body;
    struct err *err;
};

static void question_over(struct http_request *r, const struct http_answer *a, void *data)
{
    struct question *q = data;
    const char *server;
    size_t n;
    q->over = true;
    if (http_answer_header(a, "server", &server, &n))
        snprintf(q->e->server, sizeof q->e->server, "%.*s", (int)(n < 60 ? n : 60), server);
    q->r = judge(q->e->name, q->e->socket, q->request, a, q->err);
    if (q->r >= 0)
        buf_add(&q->body, a->body, a->body_n);
}

static struct http_spec spec_of(const char *url, const char *socket, const char *method,
                                nsec patience)
{
    return (struct http_spec){.url = url,
                              .unix_socket = socket,
                              .method = method,
                              .body = strcmp(method, "GET") == 0 ? NULL : "",
                              .reuse = true,
                              .timeout = patience,
                              .body_max = ANSWER_MAX,
                              .stop_when_cut = true};
}

static int ask(struct cengine *e, const char *method, const char *path, nsec patience,
               struct buf *ret_body, struct err *err)
{
    AUTO_BUF url = BUF_INIT;
    AUTO_BUF request = BUF_INIT;
    buf_printf(&url, "http://engine%s", path);
    buf_printf(&request, "%s %.*s", method, (int)strcspn(path, "?"), path);
    struct question q = {.e = e, .request = buf_text(&request), .body = BUF_INIT, .err = err};
    struct http_spec spec = spec_of(buf_text(&url), e->socket, method, patience);
    struct http_request *asked;
    spec.on_done = question_over;
    spec.data = &q;
    int r = http_start(e->http, &spec, &asked, err);
    while (r == 0 && !q.over)
        r = loop_turn(e->loop, NSEC_INF, err);
    if (r < 0 && !q.over)
        return r;
    if (ret_body && q.r >= 0)
        *ret_body = q.body;
    else
        buf_done(&q.body);
    return q.r;
}

static int parse(const struct cengine *e, const char *path, const char *text, size_t n,
                 json_t **ret, struct err *err)
{
    struct err why = ERR_INIT;
    return jsonx_parse(text, n, "it", ret, &why) < 0 ? cengine_odd(e, path, why.text, err) : 0;
}

int cengine_get(struct cengine *e, const char *path, json_t **ret, struct err *err)
{
    AUTO_BUF body = BUF_INIT;
    int r = ask(e, "GET", path, e->patience, &body, err);
    if (r < 0)
        return r;
    return parse(e, path, buf_text(&body), body.len, ret, err);
}

int cengine_get_lines(struct cengine *e, const char *path, json_t **ret, struct err *err)
{
    AUTO_BUF body = BUF_INIT;
    AUTO_JSON *all = json_array();
    int r = ask(e, "GET", path, e->patience, &body, err);
    for (const char *line = buf_text(&body); r >= 0 && *line;) {
        size_t n = strcspn(line, "\n");
        json_t *one = NULL;
        if (n > 0)
            r = parse(e, path, line, n, &one, err);
        if (one)
            json_array_append_new(all, one);
        line += n + (line[n] == '\n');
    }
    if (r < 0)
        return r;
    *ret = json_incref(all);
    return 0;
}

void cengine_escape(const char *text, struct buf *out)
{
    for (; *text; text++)
        if (isalnum((unsigned char)*text) || strchr("-._~", *text))
            buf_addc(out, *text);
        else
            buf_printf(out, "%%%02X", (unsigned char)*text);
}

/* --- Opening ---------------------------------------------------------------------------------- */

static void call_it(struct cengine *e, bool podman, const char *number, size_t n)
{
    AUTO_BUF name = BUF_INIT;
    buf_printf(&name, "%s %.*s", podman ? "podman" : "docker", (int)n, number);
    free(e->name);
    e->name = buf_steal(&name);
    e->podman = podman;
    text_make_printable(e->name, strlen(e->name));
}

/* "Podman Engine" stands among the components of podman's answer; Docker's own is "Engine". */
static int ask_version(struct cengine *e, struct err *err)
{
    AUTO_JSON *version = NULL;
    bool podman = false;
    const char *path = "/version";
    int r = cengine_get(e, path, &version, err);
    if (r < 0)
        return r;
    const char *number = jsonx_str(version, "Version", NULL);
    if (!number || !jsonx_str(version, "ApiVersion", NULL))
        return cengine_odd(e, path, "it names no version", err);
    size_t i;
    const json_t *part;
    json_array_foreach (json_object_get(version, "Components"), i, part)
        podman |= strstr(jsonx_str(part, "Name", ""), "Podman") != NULL;
    call_it(e, podman, number, strlen(number));
    return 0;
}

/* Each answer names the engine and its version in its head. Docker runs programs to tell its versions in
 * full (milliseconds), so that is asked only of one that does not. */
static int ask_who(struct cengine *e, struct err *err)
{
    static const char *const words[] = {"Docker/", "Libpod/"};
    struct err why = ERR_INIT;
    int r = ask(e, "GET", "/_ping", e->patience, NULL, &why);
    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(words); i++) {
        const char *number = e->server + strlen(words[i]);
        if (text_starts(e->server, words[i])) {
            call_it(e, i == 1, number, strcspn(number, " "));
            return 0;
        }
    }
    if (r >= 0 || why.code == ENOENT)
        return ask_version(e, err);
    if (err)
        *err = why;
    return r;
}

int cengine_open(const char *where, struct cengine **ret, struct err *err)
{
    CLEANUP(cengine_free_p) struct cengine *e = calloc(1, sizeof *e);
    if (!e || !(e->name = strdup("the container engine")))
        abort();
    e->patience = QUERY_PATIENCE;
    int r = find_socket(where, &e->socket, err);
    if (r == 0)
        r = try_socket(e->socket, err);
    if (r == 0)
        r = loop_new(LOOP_REAL, &e->loop, err);
    if (r == 0)
        r = http_new(e->loop, &e->http, err);
    if (r == 0)
        r = ask_who(e, err);
    if (r < 0)
        return r;
    *ret = steal_ptr(e);
    return 0;
}

int cengine_open_patiently(const char *where, nsec patience, struct cengine **ret, struct err *err)
{
    nsec until = nsec_add(nsec_now(CLOCK_MONOTONIC), patience);
    struct err why = ERR_INIT;
    int r = cengine_open(where, ret, &why);
    while ((r == -ECONNREFUSED || r == -ENOENT || r == -EPIPE) &&
           nsec_now(CLOCK_MONOTONIC) < until) {
        (void)poll(NULL, 0, COME_BACK_EVERY); /* nothing tells of a socket that is not there yet */
        r = cengine_open(where, ret, &why);
    }
    if (r < 0 && err)
        *err = why;
    return r;
}

struct cengine *cengine_free(struct cengine *e)
{
    if (!e)
        return NULL;
    http_free(e->http);
    loop_free(e->loop);
    free(e->socket);
    free(e->name);
    free(e);
    return NULL;
}

const char *cengine_socket(const struct cengine *e)
{
    return e->socket;
}

const char *cengine_name(const struct cengine *e)
{
    return e->name;
}

void cengine_set_patience(struct cengine *e, nsec queries)
{
    e->patience = queries;
}

bool cengine_is_podman(const struct cengine *e)
{
    return e->podman;
}

/* --- Commands --------------------------------------------------------------------------------- */

static const char *const verb_words[] = {
    [CENGINE_PAUSE] = "pause", [CENGINE_UNPAUSE] = "unpause", [CENGINE_KILL] = "kill",
    [CENGINE_STOP] = "stop",   [CENGINE_START] = "start",     [CENGINE_RESTART] = "restart",
};

/* What follows the id. */
static nsec command_rest(const struct cengine_command *c, struct buf *path)
{
    bool waits = c->verb == CENGINE_STOP || c->verb == CENGINE_RESTART;
    nsec grace = nsec_is_set(c->grace) && c->grace > 0 ? c->grace : 0;
    long long seconds = (grace + NSEC_SEC - 1) / NSEC_SEC;
    buf_printf(path, "/%s", verb_words[c->verb]);
    char between = '?';
    if (waits && nsec_is_set(c->grace)) {
        buf_printf(path, "%ct=%lld", between, seconds);
        between = '&';
    }
    if (c->signal && (c->verb == CENGINE_KILL || c->verb == CENGINE_STOP))
        buf_printf(path, "%csignal=SIG%s", between, sigabbrev_np(c->signal));
    return nsec_add(COMMAND_PATIENCE, seconds * NSEC_SEC);
}

static nsec command_path(const struct cengine_command *c, struct buf *path)
{
    buf_adds(path, "/containers/");
    cengine_escape(c->id, path);
    return command_rest(c, path);
}

void cengine_command_text(const struct cengine_command *c, const char *id, struct buf *out)
{
    buf_printf(out, "POST /containers/%s", id ? id : c->id);
    (void)command_rest(c, out);
}

int cengine_do(struct cengine *e, const struct cengine_command *c, struct err *err)
{
    AUTO_BUF path = BUF_INIT;
    nsec patience = command_path(c, &path);
    return ask(e, "POST", buf_text(&path), patience, NULL, err);
}

struct cengine_call {
    struct loop *loop;
    struct http *http;
    char *name, *socket, *request;
    struct loop_timer tell; /* from outside of the HTTP client, so that it may be freed then */
    int r;
    struct err err;
    struct span at;
    cengine_done_fn *fn;
    void *data;
};

static void call_tell(struct loop_timer *t, void *data)
{
    (void)t;
    struct cengine_call *call = data;
    struct err err = call->err;
    call->fn(call->r, call->r < 0 ? &err : NULL, call->at, call->data);
}

static void call_over(struct http_request *r, const struct http_answer *a, void *data)
{
    struct cengine_call *call = data;
    call->r = judge(call->name, call->socket, call->request, a, &call->err);
    call->at = (struct span){a->start, a->end};
    loop_timer_set(call->loop, &call->tell, loop_now(call->loop));
}

int cengine_call_start(const struct cengine *e, struct loop *loop, const struct cengine_command *c,
                       cengine_done_fn *fn, void *data, struct cengine_call **ret, struct err *err)
{
    CLEANUP(cengine_call_free_p) struct cengine_call *call = calloc(1, sizeof *call);
    AUTO_BUF path = BUF_INIT;
    AUTO_BUF url = BUF_INIT;
    AUTO_BUF request = BUF_INIT;
    nsec patience = command_path(c, &path);
    struct http_request *asked;
    if (!call || !(call->name = strdup(e->name)) || !(call->socket = strdup(e->socket)))
        abort();
    buf_printf(&url, "http://engine%s", buf_text(&path));
    buf_printf(&request, "POST %.*s", (int)strcspn(buf_text(&path), "?"), buf_text(&path));
    call->request = buf_steal(&request);
    call->loop = loop;
    call->tell = (struct loop_timer){.fn = call_tell, .data = call};
    call->fn = fn;
    call->data = data;
    struct http_spec spec = spec_of(buf_text(&url), call->socket, "POST", patience);
    spec.reuse = false;
    spec.on_done = call_over;
    spec.data = call;
    int r = http_new(loop, &call->http, err);
    if (r == 0)
        r = http_start(call->http, &spec, &asked, err);
    if (r < 0)
        return r;
    *ret = steal_ptr(call);
    return 0;
}

struct cengine_call *cengine_call_free(struct cengine_call *call)
{
    if (!call)
        return NULL;
    if (call->loop)
        loop_timer_cancel(call->loop, &call->tell);
    http_free(call->http);
    free(call->name);
    free(call->socket);
    free(call->request);
    free(call);
    return NULL;
}
