/* Words and bodies of notices. */
#include "sim/drill/notice.h"

#include "sim/base/jsonx.h"

#include <string.h>

const struct pair *notice_pair(const struct pairs *pairs, const char *key)
{
    for (size_t i = 0; i < pairs->n; i++)
        if (!strcmp(pairs->items[i].key, key))
            return &pairs->items[i];
    return NULL;
}

const char *notice_kind(const struct notice *n)
{
    return n->command ? "command" : n->webhook.n ? "webhook" : "grafana";
}

void notice_target(const struct notice *n, struct buf *out)
{
    if (n->command) {
        buf_adds(out, n->command);
        return;
    }
    const struct pair *url = notice_pair(n->webhook.n ? &n->webhook : &n->grafana, "url");
    if (!url)
        return;
    if (url->source != PAIR_TEXT) {
        buf_printf(out, "the URL of the %s %s",
                   url->source == PAIR_ENV ? "environment variable" : "file", url->value);
        return;
    }
    /* user:password@ before the host is a secret, too, and so may be a query. */
    const char *host = strstr(url->value, "://"), *at = strchr(url->value, '@');
    size_t end = strcspn(url->value, "?#");
    host = host ? host + 3 : url->value;
    if (at && at > host && at < host + strcspn(host, "/")) {
        buf_add(out, url->value, (size_t)(host - url->value));
        buf_add(out, at + 1, end - (size_t)(at + 1 - url->value));
    } else {
        buf_add(out, url->value, end);
    }
}

/* The verdict in words; without one (it was not computed) how the run ended, and why none is known. */
static void end_sentence(const json_t *values, struct buf *out)
{
    const char *verdict = jsonx_str(values, "verdict", ""),
               *code = jsonx_str(values, "exit_code", "");
    const char *sentence = jsonx_str(values, "sentence", ""),
               *reason = jsonx_str(values, "reason", "");
    const char *report = jsonx_str(values, "report", "");
    buf_adds(out, " is over: ");
    if (*verdict)
        for (const char *p = verdict; *p; p++)
            buf_addc(out, *p == '_' ? ' ' : *p);
    else
        buf_adds(out, jsonx_str(values, "status", "?"));
    if (*code)
        buf_printf(out, " (exit code %s)", code);
    if (*sentence || *reason)
        buf_printf(out, ". %s", *sentence ? sentence : reason);
    if (*report)
        buf_printf(out, " Report: %s", report);
}

void notice_sentence(const json_t *values, struct buf *out)
{
    const char *event = jsonx_str(values, "event", ""), *reason = jsonx_str(values, "reason", "");
    const char *targets = jsonx_str(values, "targets", "");
    buf_printf(out, "blackstart, drill %s of %s", jsonx_str(values, "id", "?"),
               jsonx_str(values, "scenario", "?"));
    if (!strcmp(event, "start"))
        buf_printf(out, " begins: %s (operator %s)", jsonx_str(values, "title", ""),
                   jsonx_str(values, "operator", "?"));
    else if (!strcmp(event, "injection"))
        buf_printf(out, ", trial %s: %s%s%s is in force (step %s)", jsonx_str(values, "trial", "?"),
                   jsonx_str(values, "action", "?"), *targets ? " of " : "", targets,
                   jsonx_str(values, "step", "?"));
    else if (!strcmp(event, "end"))
        end_sentence(values, out);
    else
        buf_printf(out, " is stopped: %s", *reason ? reason : "no reason was given");
}

/* As JSON writes it, without the quotes around it. */
static void inside_quotes(const char *value, struct buf *out)
{
    AUTO_JSON *text = jsonx_new_text(value);
    AUTO_BUF quoted = BUF_INIT;
    AUTO_JSON *list = json_pack("[O]", text);
    jsonx_dump(list, &quoted); /* ["…"] */
    if (quoted.len > 4)
        buf_add(out, quoted.text + 2, quoted.len - 4);
}

static void fill(const json_t *values, const char *template, struct buf *out)
{
    while (*template) {
        const char *open = strstr(template, "{{"), *close = open ? strstr(open, "}}") : NULL;
        if (!close) {
            buf_adds(out, template);
            return;
        }
        buf_add(out, template, (size_t)(open - template));
        AUTO_FREE char *word = strndup(open + 2, (size_t)(close - open - 2));
        inside_quotes(jsonx_str(values, word, ""), out);
        template = close + 2;
    }
}

void notice_body(const json_t *values, const char *format, const char *template, struct buf *out)
{
    if (template) {
        fill(values, template, out);
    } else if (format && !strcmp(format, "slack")) {
        AUTO_JSON *body = json_object();
        json_object_set(body, "text", json_object_get(values, "text"));
        jsonx_dump(body, out);
    } else {
        jsonx_dump(values, out);
    }
}

void notice_annotation(const json_t *values, const char *dashboard, const char *tags,
                       int64_t wall_ms, struct buf *out)
{
    AUTO_JSON *list = json_pack("[s,s,s]", "blackstart", jsonx_str(values, "scenario", "?"),
                                jsonx_str(values, "event", "?"));
    while (tags && *(tags += strspn(tags, " "))) {
        size_t n = strcspn(tags, " ");
        json_array_append_new(list, jsonx_new_textn(tags, n));
        tags += n;
    }
    AUTO_JSON *body = json_object();
    if (dashboard)
        json_object_set_new(body, "dashboardUID", jsonx_new_text(dashboard));
    json_object_set_new(body, "time", json_integer(wall_ms));
    json_object_set(body, "tags", list);
    json_object_set(body, "text", json_object_get(values, "text"));
    jsonx_dump(body, out);
}
