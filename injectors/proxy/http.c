/* http: a proxy of ours in front of a port of a server: requests are delayed, ended, or answered with a
 * status of our choice, all of them or a share; everything else passes byte for byte. */
#include <errno.h>
#include <string.h>

#include "injectors/actions.h"
#include "injectors/effects.h"
#include "injectors/proxy/way.h"

#define ANSWER_WITHIN (3 * NSEC_SEC)

static int http_check(const struct scenario *s, const struct step *step, struct err *err)
{
    const struct http_params *p = step->params;
    if (p->abort + (p->status != 0) + nsec_is_set(p->delay) != 1)
        return err_set(err, EINVAL, "give one of 'delay', 'abort: true' and 'status'");
    for (size_t i = 0; i < p->paths.n; i++) {
        const char *path = p->paths.items[i], *star = strchr(path, '*');
        if ((path[0] != '/' && path[0] != '*') || (star && star[1]) || strchr(path, '?'))
            return err_set(err, EINVAL,
                           "'paths': \"%s\" must begin with '/', may end with one '*', and has no "
                           "query ('?')",
                           path);
    }
    int r = way_share_check(p->share, err);
    return r < 0 ? r : way_check(s, p->host, err);
}

static int http_supported(const struct inject_env *env, const struct step *step, struct err *err)
{
    return way_supported(env, PROXY_HTTP, err);
}

static void http_text(const struct http_params *p, struct buf *out)
{
    char delay[NSEC_TEXT_MAX];
    if (p->abort)
        buf_adds(out, "connection reset");
    else if (p->status)
        buf_printf(out, "answered with status %lld", (long long)p->status);
    else
        buf_printf(out, "delayed by %s", nsec_text(p->delay, delay));
    buf_adds(out, ": ");
    way_share_text(p->share, out);
    if (p->methods.n) {
        way_list_text(&p->methods, out);
        buf_addc(out, ' ');
    }
    buf_adds(out, "requests");
    if (p->paths.n) {
        buf_adds(out, " to ");
        way_list_text(&p->paths, out);
    }
}

static int http_fill(const struct step *step, struct way *w, struct err *err)
{
    const struct http_params *p = step->params;
    AUTO_BUF text = BUF_INIT;
    http_text(p, &text);
    snprintf(w->text, sizeof w->text, "%s", buf_text(&text));
    nsec delay = nsec_is_set(p->delay) ? p->delay : 0;
    w->within = nsec_add(delay, ANSWER_WITHIN);
    w->spec = (struct proxy_spec){.kind = PROXY_HTTP,
                                  .port = (uint16_t)p->port,
                                  .share = p->share,
                                  .http = {.delay = delay,
                                           .abort = p->abort,
                                           .status = (int)p->status,
                                           .methods = &p->methods,
                                           .paths = &p->paths}};
    return 0;
}

static int http_plan(const struct inject_env *env, const struct step *step, json_t *texts,
                     struct err *err)
{
    const struct http_params *p = step->params;
    return way_plan(env, step, p->host, http_fill, texts, err);
}

static int http_prepare(struct inject_env *env, const struct step *step, void **ret_state,
                        json_t **ret_undo, struct err *err)
{
    const struct http_params *p = step->params;
    struct way *w;
    int r = way_prepare(env, step, p->host, http_fill, &w, ret_undo, err);
    if (r == 0)
        *ret_state = w;
    return r;
}

static const struct field http_fields[] = {
    WAY_HOST_FIELD(http_params, "api1", "The host whose server is asked."),
    WAY_PORT_FIELD(http_params, "8080", "Its port: HTTP/1 without TLS."),
    {.key = "delay",
     .type = FIELD_DURATION,
     .flags = FIELD_ONE_OF,
     .offset = offsetof(struct http_params, delay),
     .min = NSEC_MSEC,
     .max = 3600 * NSEC_SEC,
     .help = "Requests reach the server so much later.",
     .example = "2s"},
    {.key = "abort",
     .type = FIELD_BOOL,
     .flags = FIELD_ONE_OF,
     .offset = offsetof(struct http_params, abort),
     .help = "true: instead of an answer the connection is reset.",
     .example = "true"},
    {.key = "status",
     .type = FIELD_INTEGER,
     .flags = FIELD_ONE_OF,
     .offset = offsetof(struct http_params, status),
     .min = 200,
     .max = 599,
     .help = "They are answered with this status and never reach the server.",
     .example = "503"},
    {.key = "paths",
     .type = FIELD_TEXTS,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct http_params, paths),
     .help = "Only requests for these paths (without the query), `/api/*` for what begins so; "
             "without it all.",
     .example = "[/checkout, \"/api/*\"]"},
    {.key = "methods",
     .type = FIELD_TEXTS,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct http_params, methods),
     .help = "Only requests with these methods; without it all.",
     .example = "[POST, PUT]"},
    WAY_SHARE_FIELD(http_params,
                    "Of the requests that match, so many meet it: drawn from the seed, "
                    "one by one."),
    {.key = NULL},
};

static const struct record http_record =
    WAY_RECORD(http_params, "http", "Requests to a server go wrong.", http_fields);

static int http_effect(struct inject_env *env, const struct step *step, struct effects *ret,
                       struct err *err)
{
    const struct http_params *p = step->params;
    struct effect one = {.kind = EFFECT_BAD, .refused = true, .share = p->share};
    if (nsec_is_set(p->delay)) {
        one.kind = EFFECT_SLOW;
        one.delay = p->delay;
    }
    return effects_at(env, p->host, &one, ret, err);
}

static const struct injector http_injector = {
    .name = "http",
    .is_fault = true,
    .lasts = true,
    .holds = true,
    .attaches = ATTACH_NETWORK,
    .means = way_port_means,
    .check = http_check,
    .supported = http_supported,
    .plan = http_plan,
    .prepare = http_prepare,
    .apply = way_apply,
    .verify = way_verify,
    .revert = way_revert,
    .touches = way_touches,
    .done = way_done,
    .effect = http_effect,
};

const struct variant inject_http = {
    .name = "http",
    .summary = "Delays, resets or answers with an error requests to a server.",
    .detail = "A proxy of ours is given what comes to the port. It reads the heads of requests and "
              "passes everything else on as it came: kept connections, bodies of any size, "
              "upgrades. TLS, HTTP/2 and what is not HTTP passes unread. The server sees its "
              "clients come from its own address. Connections from before the fault stay as they "
              "were; those through the proxy end with it.",
    .params = &http_record,
    .impl = &http_injector,
};
