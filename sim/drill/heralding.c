/* The process that tells others: a loop with a socket, commands and requests.
 *
 * It holds no descriptor of the runner's but its socket and the scenario's folder, and hears no signal of
 * the terminal. End of file without a farewell: the runner died, and `abort` is told before the end; or
 * `end` as it was left with us, when all that remained was to compute the verdict.
 */
#include "sim/drill/heralding.h"

#include "sim/base/jsonx.h"
#include "sim/drill/notice.h"
#include "sim/http/http.h"
#include "sim/loop/child.h"
#include "sim/watch/headers.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define SOCK_FD 3
#define SOURCE_FD 4
#define OUTPUT_MAX 400

extern char **environ;

struct told { /* a notice with its secrets */
    const struct notice *notice;
    enum notice_moment moment;
    char *url, *token; /* of a webhook or of Grafana */
    struct headers headers;
    json_t *annotations; /* {"TRIAL STEP": id}: what Grafana called them */
};

struct heralding {
    const struct scenario *scenario;
    struct loop *loop;
    struct http *http;
    struct loop_io io;
    struct told *told;
    size_t told_n, out;
    bool bye;     /* nothing more will come */
    json_t *last; /* values of the last message, for an abort of our own */
    json_t *over; /* values of `end` without a verdict, from when all was undone; NULL: not yet */
};

struct errand { /* one notice on its way */
    struct heralding *all;
    struct told *told;
    enum notice_moment moment;
    nsec begun;
    json_t *values;
    struct child *child;
};

/* --- Answers --------------------------------------------------------------------------------- */

static void send_json(const json_t *j)
{
    AUTO_BUF text = BUF_INIT;
    jsonx_dump(j, &text);
    (void)send(SOCK_FD, text.text, text.len, MSG_NOSIGNAL);
}

static void errand_end(struct errand *e, bool ok, bool quiet, const char *detail)
{
    AUTO_BUF target = BUF_INIT;
    char cut[OUTPUT_MAX];
    notice_target(e->told->notice, &target);
    AUTO_JSON *j =
        json_pack("{s:s,s:s,s:o,s:b,s:I}", "on", notice_moment_words[e->moment], "what",
                  notice_kind(e->told->notice), "target", jsonx_new_text(buf_text(&target)), "ok",
                  ok, "took_ns", (json_int_t)(nsec_now(CLOCK_MONOTONIC) - e->begun));
    if (detail && *detail) {
        bool secret = (e->told->url && strlen(e->told->url) > 8 && strstr(detail, e->told->url)) ||
                      (e->told->token && strstr(detail, e->told->token)) ||
                      headers_hold_secret(&e->told->headers, detail, strlen(detail));
        snprintf(cut, sizeof cut, "%s", secret ? "not shown: it holds a secret" : detail);
        text_make_printable(cut, strlen(cut));
        json_object_set_new(j, "detail", jsonx_new_text(cut));
    }
    int64_t trial = atoll(jsonx_str(e->values, "trial", "0"));
    if (trial)
        json_object_set_new(j, "trial", json_integer(trial));
    if (quiet)
        json_object_set_new(j, "quiet", json_true());
    send_json(j);
    struct heralding *all = e->all;
    child_free(e->child);
    json_decref(e->values);
    free(e);
    if (--all->out == 0 && all->bye)
        loop_stop(all->loop);
}

/* --- Commands -------------------------------------------------------------------------------- */

static void command_ended(struct child *c, const struct child_exit *x, void *data)
{
    (void)c;
    struct errand *e = data;
    char words[OUTPUT_MAX];
    char limit[NSEC_TEXT_MAX];
    if (x->timed_out)
        snprintf(words, sizeof words, "it did not end within %s",
                 nsec_text(e->told->notice->timeout, limit));
    else if (x->signo)
        snprintf(words, sizeof words, "it was killed by signal %d", x->signo);
    else
        snprintf(words, sizeof words, "exit code %d%s%.*s", x->code, x->output_n ? ": " : "",
                 (int)(x->output_n < 300 ? x->output_n : 300), x->output);
    bool ok = x->code == 0 && !x->timed_out && !x->signo;
    errand_end(e, ok, false, ok ? NULL : words);
}

static void run_command(struct errand *e)
{
    const char *argv[] = {"/bin/sh", "-c", e->told->notice->command, NULL};
    const char *name;
    json_t *value;
    size_t n = 0, given = 0;
    while (environ[given])
        given++;
    char **env = calloc(given + json_object_size(e->values) + 1, sizeof *env);
    if (!env)
        abort();
    for (size_t i = 0; i < given; i++)
        if (strncmp(environ[i], "BLACKSTART_", 11) != 0)
            env[n++] = strdup(environ[i]);
    json_object_foreach (e->values, name, value) {
        struct buf b = BUF_INIT;
        buf_adds(&b, "BLACKSTART_");
        for (const char *p = name; *p; p++)
            buf_addc(&b, (char)toupper((unsigned char)*p));
        buf_printf(&b, "=%s", json_string_value(value));
        env[n++] = buf_steal(&b);
    }
    struct child_spec spec = {.argv = argv,
                              .env = (const char *const *)(uintptr_t)env,
                              .stdin_fd = -1,
                              .stdout_fd = -1,
                              .output_max = 4096,
                              .timeout = e->told->notice->timeout,
                              .on_exit = command_ended,
                              .data = e};
    struct err err = ERR_INIT;
    if (child_start(e->all->loop, &spec, &e->child, &err) < 0)
        errand_end(e, false, false, err.text);
    for (size_t i = 0; i < n; i++)
        free(env[i]);
    free(env);
}

/* --- Requests -------------------------------------------------------------------------------- */

static void annotation_key(const struct errand *e, struct buf *out)
{
    buf_printf(out, "%s %s", jsonx_str(e->values, "trial", ""), jsonx_str(e->values, "step", ""));
}

static void remember_annotation(struct errand *e, const struct http_answer *a)
{
    json_t *j = NULL;
    AUTO_BUF key = BUF_INIT;
    if (e->moment != NOTICE_INJECTION || jsonx_parse(a->body, a->body_n, "Grafana", &j, NULL) < 0)
        return;
    annotation_key(e, &key);
    if (json_is_integer(json_object_get(j, "id")))
        json_object_set(e->told->annotations, buf_text(&key), json_object_get(j, "id"));
    json_decref(j);
}

static void request_ended(struct http_request *r, const struct http_answer *a, void *data)
{
    (void)r;
    struct errand *e = data;
    char words[OUTPUT_MAX];
    bool ok = a->outcome == HTTP_ANSWERED && a->status >= 200 && a->status <= 299;
    if (a->outcome == HTTP_ANSWERED)
        snprintf(words, sizeof words, "status %ld%s%.200s", a->status, *a->body ? ": " : "",
                 a->body);
    else
        snprintf(words, sizeof words, "%s", a->detail);
    if (ok && e->told->annotations)
        remember_annotation(e, a);
    errand_end(e, ok, false, ok ? NULL : words);
}

static void ask(struct errand *e, const char *url, const char *method, const char *body)
{
    AUTO_BUF token = BUF_INIT;
    size_t n = 0;
    while (e->told->headers.lines && e->told->headers.lines[n])
        n++;
    const char **headers = calloc(n + 3, sizeof *headers);
    if (!headers)
        abort();
    for (size_t i = 0; i < n; i++)
        headers[i] = e->told->headers.lines[i];
    headers[n++] = "Content-Type: application/json";
    if (e->told->token) {
        buf_printf(&token, "Authorization: Bearer %s", e->told->token);
        headers[n++] = buf_text(&token);
    }
    struct http_spec spec = {.url = url,
                             .method = method,
                             .headers = headers,
                             .body = body,
                             .timeout = e->told->notice->timeout,
                             .on_done = request_ended,
                             .data = e};
    struct http_request *request;
    struct err err = ERR_INIT;
    if (http_start(e->all->http, &spec, &request, &err) < 0)
        errand_end(e, false, false, err.text);
    free(headers);
}

static const char *plain(const struct pairs *pairs, const char *key)
{
    const struct pair *p = notice_pair(pairs, key);
    return p ? p->value : NULL;
}

static void annotate(struct errand *e)
{
    const struct notice *n = e->told->notice;
    int64_t wall_ms = nsec_now(CLOCK_REALTIME) / NSEC_MSEC;
    size_t len = strlen(e->told->url);
    AUTO_BUF url = BUF_INIT, body = BUF_INIT, key = BUF_INIT;
    buf_add(&url, e->told->url, len && e->told->url[len - 1] == '/' ? len - 1 : len);
    buf_adds(&url, "/api/annotations");
    if (e->moment != NOTICE_UNDONE) {
        notice_annotation(e->values, plain(&n->grafana, "dashboard"), plain(&n->grafana, "tags"),
                          wall_ms, &body);
        ask(e, buf_text(&url), "POST", buf_text(&body));
        return;
    }
    annotation_key(e, &key);
    const json_t *id = json_object_get(e->told->annotations, buf_text(&key));
    if (!id) { /* it was never taken there, and that was said */
        errand_end(e, true, true, NULL);
        return;
    }
    buf_printf(&url, "/%lld", (long long)json_integer_value(id));
    buf_printf(&body, "{\"timeEnd\":%lld}", (long long)wall_ms);
    ask(e, buf_text(&url), "PATCH", buf_text(&body));
}

/* --- Messages -------------------------------------------------------------------------------- */

static void run_errand(struct heralding *h, struct told *t, enum notice_moment moment,
                       json_t *values)
{
    struct errand *e = calloc(1, sizeof *e);
    if (!e)
        abort();
    *e = (struct errand){.all = h,
                         .told = t,
                         .moment = moment,
                         .begun = nsec_now(CLOCK_MONOTONIC),
                         .values = json_incref(values)};
    h->out++;
    if (t->notice->command) {
        run_command(e);
    } else if (t->notice->grafana.n) {
        annotate(e);
    } else {
        AUTO_BUF body = BUF_INIT;
        notice_body(values, plain(&t->notice->webhook, "format"),
                    plain(&t->notice->webhook, "template"), &body);
        ask(e, t->url, "POST", buf_text(&body));
    }
}

static void tell_all(struct heralding *h, enum notice_moment moment, json_t *values)
{
    for (size_t i = 0; i < h->told_n; i++) {
        struct told *t = &h->told[i];
        bool ends =
            moment == NOTICE_UNDONE && t->moment == NOTICE_INJECTION && t->notice->grafana.n;
        if (t->moment == moment || ends)
            run_errand(h, t, moment, values);
    }
}

/* The runner is gone without a word. */
static void orphaned(struct heralding *h)
{
    const char *last = jsonx_str(h->last, "event", "");
    h->bye = true;
    if (!strcmp(last, "abort") || !strcmp(last, "end"))
        return;
    if (h->over) {
        tell_all(h, NOTICE_END, h->over);
        return;
    }
    AUTO_JSON *values = h->last ? json_deep_copy(h->last) : json_object();
    static const char why[] = "the runner died; its warden undoes what it did";
    json_object_set_new(values, "event", json_string("abort"));
    json_object_set_new(values, "scenario", json_string(h->scenario->name));
    json_object_set_new(values, "reason", json_string(why));
    json_object_set_new(values, "status", json_string("aborted"));
    AUTO_BUF text = BUF_INIT;
    notice_sentence(values, &text);
    json_object_set_new(values, "text", jsonx_new_text(buf_text(&text)));
    tell_all(h, NOTICE_ABORT, values);
}

static void take_message(struct heralding *h, const char *text, size_t n)
{
    json_t *parsed = NULL;
    if (jsonx_parse(text, n, "message", &parsed, NULL) < 0)
        return;
    AUTO_JSON *m = parsed;
    if (jsonx_bool(m, "bye", false)) {
        h->bye = true;
        return;
    }
    if (json_object_get(m, "over")) {
        h->over = json_incref(json_object_get(m, "over"));
        return;
    }
    json_t *values = json_object_get(m, "values");
    enum notice_moment moment = (enum notice_moment)jsonx_int(m, "moment", NOTICE_END);
    json_decref(h->last);
    h->last = json_incref(values);
    tell_all(h, moment, values);
}

static void heard(struct loop_io *io, uint32_t events, void *data)
{
    (void)events;
    struct heralding *h = data;
    char text[HERALD_MESSAGE_MAX];
    ssize_t n = recv(SOCK_FD, text, sizeof text, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        take_message(h, text, (size_t)n);
    } else {
        loop_io_remove(h->loop, io);
        if (!h->bye)
            orphaned(h);
        if (!h->out)
            loop_stop(h->loop);
    }
}

/* --- Beginning ------------------------------------------------------------------------------- */

static int secret(const struct pairs *pairs, const char *key, char **ret, struct err *err)
{
    const struct pair *p = notice_pair(pairs, key);
    return p ? pair_resolve(p, SOURCE_FD, ret, err) : 0;
}

static int gather(struct heralding *h, struct err *err)
{
    const struct notices *all = h->scenario->hooks;
    size_t n = 0;
    for (int m = 0; m < NOTICE_UNDONE; m++)
        n += notices_at(all, (enum notice_moment)m)->n;
    h->told = calloc(n + 1, sizeof *h->told);
    if (!h->told)
        abort();
    for (int m = 0; m < NOTICE_UNDONE; m++) {
        const struct objects *list = notices_at(all, (enum notice_moment)m);
        for (size_t i = 0; i < list->n; i++) {
            struct told *t = &h->told[h->told_n++];
            *t = (struct told){.notice = list->items[i], .moment = (enum notice_moment)m};
            const struct pairs *to =
                t->notice->webhook.n ? &t->notice->webhook : &t->notice->grafana;
            int r = secret(to, "url", &t->url, err);
            if (r == 0)
                r = secret(to, "token", &t->token, err);
            if (r == 0)
                r = headers_resolve(&t->notice->headers, SOURCE_FD, &t->headers, err);
            if (r == 0 && t->url)
                r = http_check_url(t->url, err) < 0
                        ? err_set(err, EINVAL, "the URL of a %s notice is not http:// or https://",
                                  notice_moment_words[m])
                        : 0;
            if (r < 0)
                return r;
            t->annotations = t->notice->grafana.n ? json_object() : NULL;
        }
    }
    return 0;
}

static void detach(int source_dirfd, int sock)
{
    sigset_t all;
    prctl(PR_SET_NAME, "bs-herald");
    sigfillset(&all);
    sigdelset(&all, SIGTERM);
    signal(SIGTERM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &all, NULL);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
    }
    int a = fcntl(sock, F_DUPFD_CLOEXEC, 10), b = fcntl(source_dirfd, F_DUPFD_CLOEXEC, 10);
    dup3(a, SOCK_FD, O_CLOEXEC);
    dup3(b, SOURCE_FD, O_CLOEXEC);
    close_range(SOURCE_FD + 1, ~0u, 0);
}

void heralding_main(const struct scenario *s, int source_dirfd, int sock)
{
    struct heralding h = {.scenario = s};
    struct err err = ERR_INIT;
    detach(source_dirfd, sock);
    h.io = (struct loop_io){.fn = heard, .data = &h};
    if (fchdir(SOURCE_FD) < 0 || loop_new(LOOP_REAL, &h.loop, &err) < 0 ||
        http_new(h.loop, &h.http, &err) < 0 || gather(&h, &err) < 0 ||
        loop_io_add(h.loop, &h.io, SOCK_FD, EPOLLIN, &err) < 0) {
        AUTO_JSON *j = json_pack("{s:o,s:i}", "error", jsonx_new_text(err.text), "code", err.code);
        send_json(j);
        _exit(1);
    }
    AUTO_JSON *ready = json_pack("{s:b}", "ready", 1);
    send_json(ready);
    loop_run(h.loop, NULL);
    _exit(0);
}
