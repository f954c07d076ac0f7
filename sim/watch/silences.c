/* GET /api/v2/silences, once a second.
 *
 * A change lies between the start of the last answer that said otherwise (or of our watching) and the
 * end of this one. No answer is no news, and told as trouble.
 */
#include "sim/watch/silences.h"

#include "sim/base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_EVERY NSEC_SEC
#define LOOK_TIMEOUT (5 * NSEC_SEC)

struct silences {
    struct sentry *sentry;
    struct http *http;
    struct http_request *request; /* NULL: none is out */
    struct loop_timer timer;
    char *url;
    nsec other; /* start of the last answer in the present state */
    bool active, failing;
};

static void look_fails(struct silences *q, const char *why)
{
    if (!q->failing)
        vantage_trouble(q->sentry->vantage, "silences-unknown", "alarm %s: %s",
                        q->sentry->alarm->name, why);
    q->failing = true;
}

static void look_done(struct http_request *request, const struct http_answer *a, void *data)
{
    (void)request;
    struct silences *q = data;
    struct err err = ERR_INIT;
    char words[512] = "", status[64];
    bool active;
    q->request = NULL;
    if (a->outcome != HTTP_ANSWERED || a->body_cut || a->status != 200) {
        snprintf(status, sizeof status, a->body_cut ? "a very long list" : "status %ld", a->status);
        look_fails(q, a->outcome == HTTP_ANSWERED ? status : a->detail);
        return;
    }
    if (payload_read_silences(a->body, a->body_n, &q->sentry->alarm->where, &active, words,
                              sizeof words, &err) < 0) {
        look_fails(q, err.text);
        return;
    }
    q->failing = false;
    if (active != q->active)
        sentry_silenced(q->sentry, active, (struct span){q->other, a->end}, words);
    q->active = active;
    q->other = a->start;
}

static void look_due(struct loop_timer *t, void *data)
{
    struct silences *q = data;
    struct err err = ERR_INIT;
    loop_timer_set(q->sentry->vantage->loop, t,
                   nsec_add(loop_now(q->sentry->vantage->loop), LOOK_EVERY));
    if (q->request)
        return;
    struct http_spec spec = {.url = q->url,
                             .timeout = LOOK_TIMEOUT,
                             .body_max = PAYLOAD_BYTES_MAX,
                             .on_done = look_done,
                             .data = q};
    if (http_start(q->http, &spec, &q->request, &err) < 0)
        look_fails(q, err.text);
}

int silences_new(struct sentry *s, const char *url, struct silences **ret, struct err *err)
{
    struct http *http;
    struct buf whole = BUF_INIT;
    size_t n = strlen(url);
    int r = vantage_http(s->vantage, &http, err);
    if (r < 0)
        return r;
    struct silences *q = calloc(1, sizeof *q);
    if (!q)
        abort();
    buf_add(&whole, url, n && url[n - 1] == '/' ? n - 1 : n);
    buf_adds(&whole, "/api/v2/silences");
    *q = (struct silences){.sentry = s,
                           .http = http,
                           .timer = {.fn = look_due, .data = q},
                           .url = buf_steal(&whole),
                           .other = nsec_now(CLOCK_MONOTONIC)};
    loop_timer_set(s->vantage->loop, &q->timer, q->other);
    *ret = q;
    return 0;
}

struct silences *silences_free(struct silences *q)
{
    if (!q)
        return NULL;
    loop_timer_cancel(q->sentry->vantage->loop, &q->timer);
    if (q->request)
        http_cancel(q->request);
    free(q->url);
    free(q);
    return NULL;
}
