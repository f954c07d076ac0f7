/* The probe `http`: a request and what a good answer looks like. */
#include "sim/watch/headers.h"
#include "sim/watch/pattern.h"
#include "sim/watch/vantage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct http_probe {
    struct http *http;
    struct pattern match;
    struct headers headers;
};

struct asked {
    struct http_request *request;
};

static int http_probe_check(const struct scenario *s, const void *params, struct err *err)
{
    (void)s;
    const struct http_params *h = params;
    AUTO_PATTERN match = PATTERN_INIT;
    int r = http_check_url(h->url, err);
    if (r == 0 && h->expect && h->expect->match)
        r = pattern_compile(&match, h->expect->match, err);
    return r;
}

static int http_probe_outside(struct prober *p, int source_fd, struct err *err)
{
    const struct http_params *h = p->probe->params;
    struct http_probe *state = calloc(1, sizeof *state);
    if (!state)
        abort();
    p->state = state;
    return headers_resolve(&h->headers, source_fd, &state->headers, err);
}

static int http_probe_open(struct prober *p, struct err *err)
{
    const struct http_params *h = p->probe->params;
    struct http_probe *state = p->state;
    int r = 0;
    if (h->expect && h->expect->match)
        r = pattern_compile(&state->match, h->expect->match, err);
    return r < 0 ? r : vantage_http(p->vantage, &state->http, err);
}

static void http_probe_close(struct prober *p)
{
    struct http_probe *state = p->state;
    if (!state)
        return;
    pattern_done(&state->match);
    headers_done(&state->headers);
    free(state);
}

static enum why answer_header(const struct http_probe *state, const struct http_answer *a,
                              const struct pairs *wanted, char *words, size_t size)
{
    for (size_t i = 0; i < wanted->n; i++) {
        const struct pair *w = &wanted->items[i];
        const char *value;
        size_t n;
        if (!http_answer_header(a, w->key, &value, &n)) {
            snprintf(words, size, "no header %s", w->key);
            return WHY_HEADER;
        }
        if (!memmem(value, n, w->value, strlen(w->value))) {
            bool hidden = headers_hold_secret(&state->headers, value, n);
            snprintf(words, size, "header %s: %.*s", w->key, hidden ? 3 : (int)n,
                     hidden ? "***" : value);
            return WHY_HEADER;
        }
    }
    return WHY_GOOD;
}

/* Of a whole answer. */
static enum why answer_judge(const struct prober *p, const struct http_answer *a, char *words,
                             size_t size)
{
    const struct http_params *h = p->probe->params;
    const struct http_probe *state = p->state;
    const struct expect_params *e = h->expect;
    if (e && e->status ? a->status != e->status : a->status < 200 || a->status > 299) {
        snprintf(words, size, "status %ld", a->status);
        return WHY_STATUS;
    }
    if (!e)
        return WHY_GOOD;
    if ((e->body && !memmem(a->body, a->body_n, e->body, strlen(e->body))) ||
        (e->match && !pattern_matches(&state->match, a->body, a->body_n))) {
        if (headers_hold_secret(&state->headers, a->body, a->body_n))
            snprintf(words, size,
                     "status %ld, body not shown: it holds the value of a secret header",
                     a->status);
        else
            snprintf(words, size, "status %ld, body %.*s", a->status, 200, a->body);
        return WHY_BODY;
    }
    return answer_header(state, a, &e->header, words, size);
}

static void http_probe_done(struct http_request *r, const struct http_answer *a, void *data)
{
    (void)r;
    struct shot *shot = data;
    char words[512] = "";
    enum why why = why_of_http(a->outcome);
    if (a->outcome == HTTP_ANSWERED)
        why = answer_judge(shot->prober, a, words, sizeof words);
    else
        snprintf(words, sizeof words, "%s", a->detail);
    shot_end(shot, why, a->end, *words ? words : NULL);
}

static void http_probe_start(struct shot *shot)
{
    const struct http_params *h = shot->prober->probe->params;
    const struct http_probe *state = shot->prober->state;
    struct asked *asked = calloc(1, sizeof *asked);
    if (!asked)
        abort();
    shot->state = asked;
    struct http_spec spec = {
        .url = h->url,
        .method = h->method,
        .headers = (const char *const *)(uintptr_t)state->headers.lines,
        .body = h->body,
        .reuse = h->reuse,
        .on_done = http_probe_done,
        .data = shot,
    };
    if (h->tls)
        spec.tls = (struct http_tls){
            .no_verify = !h->tls->verify, .ca = h->tls->ca, .server_name = h->tls->server_name};
    struct err err = ERR_INIT;
    if (http_start(state->http, &spec, &asked->request, &err) < 0)
        shot_end(shot, WHY_ERROR, nsec_now(CLOCK_MONOTONIC), err.text);
    else
        shot_starts(shot, http_request_start(asked->request));
}

static void http_probe_cancel(struct shot *shot)
{
    struct asked *asked = shot->state;
    http_cancel(asked->request);
}

const struct probe_kind probe_http = {
    .check = http_probe_check,
    .outside = http_probe_outside,
    .open = http_probe_open,
    .start = http_probe_start,
    .cancel = http_probe_cancel,
    .close = http_probe_close,
};
