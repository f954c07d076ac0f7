/* The alarm `prometheus`: Prometheus is asked again and again, from inside the host, whether it fires:
 * by a query, or for an alert of a name among its active ones.
 *
 * One request at a time, on an absolute schedule; a slot that comes while one is out is left out. Only
 * a change is told: the onset lies between the start of the last quiet answer (or of our watching) and
 * the end of the first firing one. An answer that is an error, or none, says nothing, and that is told
 * as trouble: Prometheus being down is not silence.
 */
#include "sim/base/buf.h"
#include "sim/watch/headers.h"
#include "sim/watch/vantage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum ask_state { ASK_UNKNOWN, ASK_QUIET, ASK_FIRING };

struct ask {
    struct sentry *sentry;
    struct http *http;
    struct http_request *request; /* NULL: none is out */
    struct loop_timer timer;
    struct schedule schedule;
    struct headers headers;
    char *url;
    double above;
    nsec other; /* start of the last answer in the present state: the change is later */
    enum ask_state state;
};

static bool number(const char *text, double *ret)
{
    char *end;
    *ret = strtod(text, &end);
    return *text && *end == '\0' && *ret > -1e300 && *ret < 1e300;
}

static int prometheus_check(const struct scenario *s, const void *params, struct err *err)
{
    const struct prometheus_params *p = params;
    const struct alarm *a = kinds_alarm_with(s, params);
    double above;
    int r = http_check_url(p->url, err);
    if (r < 0)
        return r;
    if (strpbrk(p->url, "?#"))
        return err_set(err, EINVAL,
                       "the 'url' is where Prometheus stands (http://HOST:9090), "
                       "without a query");
    if (!p->query == !p->alertname)
        return err_set(err, EINVAL,
                       "a prometheus alarm has either a 'query' or an 'alertname' to look for");
    if (p->above && !p->query)
        return err_set(err, EINVAL, "'above' is of a 'query'");
    if (p->above && !number(p->above, &above))
        return err_set(err, EINVAL, "'above' must be a number, not '%s'", p->above);
    if (p->state >= 0 && !p->alertname)
        return err_set(err, EINVAL, "'state' is of an 'alertname'");
    if (a->where.n && !p->alertname)
        return err_set(err, EINVAL, "'where' is of an 'alertname'; a 'query' chooses by itself");
    return 0;
}

/* --- An answer --------------------------------------------------------------------------------- */

static int active_fires(const struct ask *k, const struct http_answer *a, bool *ret_firing,
                        nsec *ret_since, char *words, size_t size, struct err *err)
{
    const struct alarm *alarm = k->sentry->alarm;
    const struct prometheus_params *p = alarm->params;
    AUTO_PAYLOAD payload = PAYLOAD_INIT;
    int r = payload_read_active(a->body, a->body_n, &payload, err);
    if (r < 0)
        return r;
    *ret_firing = false;
    for (size_t i = 0; i < payload.n && !*ret_firing; i++) {
        const struct payload_alert *alert = &payload.alerts[i];
        bool state = alert->status == PAYLOAD_FIRING ||
                     (p->state == PAYLOAD_PENDING && alert->status == PAYLOAD_PENDING);
        if (!state || strcmp(alert->name, p->alertname) != 0 ||
            !payload_alert_has(alert, &alarm->where))
            continue;
        *ret_firing = true;
        *ret_since = alert->starts_at;
        payload_alert_text(alert, words, size);
    }
    return 0;
}

static int answer_fires(const struct ask *k, const struct http_answer *a, bool *ret_firing,
                        nsec *ret_since, char *words, size_t size, struct err *err)
{
    const struct prometheus_params *p = k->sentry->alarm->params;
    int r;
    if (a->outcome != HTTP_ANSWERED)
        return err_set(err, EIO, "%s", a->detail);
    if (a->body_cut)
        return err_set(err, EFBIG, "the answer is larger than %d bytes", PAYLOAD_BYTES_MAX);
    if (p->alertname)
        r = active_fires(k, a, ret_firing, ret_since, words, size, err);
    else
        r = payload_read_query(a->body, a->body_n, p->above ? &k->above : NULL, ret_firing, words,
                               size, err);
    /* Errors of the API come with a body that says why (4xx, 5xx); a proxy's with one that does not. */
    if (r < 0 && (a->status < 200 || a->status > 299))
        err_prefix(err, "status %ld", a->status);
    else if (r == 0 && (a->status < 200 || a->status > 299))
        r = err_set(err, EIO, "status %ld", a->status);
    return r;
}

static void ask_done(struct http_request *request, const struct http_answer *a, void *data)
{
    (void)request;
    struct ask *k = data;
    struct err err = ERR_INIT;
    char words[256] = "";
    bool firing = false;
    nsec since = NSEC_UNSET;
    k->request = NULL;
    if (answer_fires(k, a, &firing, &since, words, sizeof words, &err) < 0) {
        bool hide = headers_hold_secret(&k->headers, err.text, strlen(err.text));
        sentry_fails(k->sentry,
                     hide ? "the answer is not shown: it holds a secret header" : err.text);
        return;
    }
    enum ask_state now = firing ? ASK_FIRING : ASK_QUIET;
    sentry_looks(k->sentry);
    if (headers_hold_secret(&k->headers, words, strlen(words)))
        snprintf(words, sizeof words, "not shown: it holds a secret header");
    if (now != k->state && (firing || k->state == ASK_FIRING))
        sentry_tell_since(k->sentry, firing, (struct span){k->other, a->end}, since, words);
    k->state = now;
    k->other = a->start;
}

static void ask_due(struct loop_timer *t, void *data)
{
    struct ask *k = data;
    const struct prometheus_params *p = k->sentry->alarm->params;
    struct err err = ERR_INIT;
    int64_t skipped;
    schedule_take(&k->schedule, nsec_now(CLOCK_MONOTONIC), &skipped);
    loop_timer_set(k->sentry->vantage->loop, t, schedule_next(&k->schedule));
    if (k->request)
        return;
    struct http_spec spec = {
        .url = k->url,
        .headers = (const char *const *)(uintptr_t)k->headers.lines,
        .reuse = true,
        .timeout = p->timeout,
        .body_max = PAYLOAD_BYTES_MAX,
        .on_done = ask_done,
        .data = k,
    };
    if (p->tls)
        spec.tls = (struct http_tls){
            .no_verify = !p->tls->verify, .ca = p->tls->ca, .server_name = p->tls->server_name};
    if (http_start(k->http, &spec, &k->request, &err) < 0)
        sentry_fails(k->sentry, err.text);
}

/* --- Beginning and end ------------------------------------------------------------------------- */

static int prometheus_outside(struct sentry *s, int source_fd, struct err *err)
{
    const struct prometheus_params *p = s->alarm->params;
    struct ask *k = calloc(1, sizeof *k);
    if (!k)
        abort();
    *k = (struct ask){.sentry = s, .timer = {.fn = ask_due, .data = k}};
    s->state = k;
    return headers_resolve(&p->headers, source_fd, &k->headers, err);
}

static int prometheus_open(struct sentry *s, struct err *err)
{
    const struct prometheus_params *p = s->alarm->params;
    struct ask *k = s->state;
    struct buf url = BUF_INIT;
    size_t n = strlen(p->url);
    int r = vantage_http(s->vantage, &k->http, err);
    if (r < 0)
        return r;
    if (p->above)
        (void)number(p->above, &k->above);
    buf_add(&url, p->url, n && p->url[n - 1] == '/' ? n - 1 : n);
    buf_adds(&url, p->query ? "/api/v1/query?query=" : "/api/v1/alerts");
    if (p->query)
        http_escape(p->query, &url);
    k->url = buf_steal(&url);
    k->other = nsec_now(CLOCK_MONOTONIC);
    k->schedule = (struct schedule){.first = k->other, .every = p->every};
    loop_timer_set(s->vantage->loop, &k->timer, k->other);
    return 0;
}

static void prometheus_close(struct sentry *s)
{
    struct ask *k = s->state;
    if (!k)
        return;
    loop_timer_cancel(s->vantage->loop, &k->timer);
    if (k->request)
        http_cancel(k->request);
    headers_done(&k->headers);
    free(k->url);
    free(k);
}

static const char *prometheus_host(const void *params)
{
    const struct prometheus_params *p = params;
    return p->host ? p->host : WATCH_HERE;
}

const struct alarm_kind alarm_prometheus = {.check = prometheus_check,
                                            .labelled = true,
                                            .host = prometheus_host,
                                            .outside = prometheus_outside,
                                            .open = prometheus_open,
                                            .close = prometheus_close};
