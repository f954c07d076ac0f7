/* The tables of the alarms that come from others' monitoring: webhook and prometheus. */
#include "sim/watch/kinds.h"

#include <assert.h>

#define NOWHERE SIZE_MAX

/* --- webhook --- */

static const struct field paths_fields[] = {
    {.key = "each",
     .type = FIELD_TEXT,
     .offset = offsetof(struct payload_paths, each),
     .help = "Where the list of alerts stands; without it a message is one alert.",
     .example = "/events"},
    {.key = "name",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct payload_paths, name),
     .help = "Where the name of an alert stands, from the alert on.",
     .example = "/check/name"},
    {.key = "status",
     .type = FIELD_TEXT,
     .offset = offsetof(struct payload_paths, status),
     .help = "Where it says whether it fires; without it every alert does, and none ever ends.",
     .example = "/check/state"},
    {.key = "start",
     .type = FIELD_TEXT,
     .offset = offsetof(struct payload_paths, start),
     .help = "Where it says when it began: a time as RFC 3339 has it, or seconds or milliseconds "
             "since 1970. Kept beside our own stamp, never instead of it.",
     .example = "/since"},
    {.key = "firing",
     .type = FIELD_TEXTS,
     .flags = FIELD_NON_EMPTY,
     .dflt = "firing",
     .offset = offsetof(struct payload_paths, firing),
     .help = "The words of `status` that mean that it fires.",
     .example = "[critical, warning]"},
    {.key = "resolved",
     .type = FIELD_TEXTS,
     .flags = FIELD_NON_EMPTY,
     .dflt = "resolved",
     .offset = offsetof(struct payload_paths, resolved),
     .help = "The words of `status` that mean that it has ended; what is neither is told as "
             "trouble and changes nothing.",
     .example = "[ok]"},
    {0},
};
static const struct record paths_record = {
    .name = "fields",
    .summary = "Where things stand in a message: JSON pointers (RFC 6901), like /alerts or "
               "/labels/severity.",
    .size = sizeof(struct payload_paths),
    .fields = paths_fields,
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const char *const format_words[] = {
    [WEBHOOK_ALERTMANAGER] = "alertmanager", [WEBHOOK_GENERIC] = "generic", NULL};

static const struct field webhook_fields[] = {
    {.key = "host",
     .type = FIELD_REF,
     .ref = REF_HOST,
     .offset = offsetof(struct webhook_params, host),
     .help = "Where it listens; without it on this machine. An Alertmanager in a lab reaches only "
             "hosts of the lab.",
     .example = "client"},
    {.key = "listen",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct webhook_params, listen),
     .help = "ADDRESS:PORT or [IPV6]:PORT. Several alarms may share one.",
     .example = "10.20.0.9:9099"},
    {.key = "path",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .dflt = "/",
     .offset = offsetof(struct webhook_params, path),
     .help = "The path of its URL, exactly.",
     .example = "/alerts"},
    {.key = "format",
     .type = FIELD_WORD,
     .words = format_words,
     .dflt = "alertmanager",
     .offset = offsetof(struct webhook_params, format),
     .help =
         "`alertmanager`: its webhook, version 4, as Grafana's alerting and others send it too; "
         "`generic`: any JSON, by `fields`.",
     .example = "generic"},
    {.key = "fields",
     .type = FIELD_OBJECT,
     .record = &paths_record,
     .offset = offsetof(struct webhook_params, fields),
     .help = "Of `format: generic`: where things stand.",
     .example = "{name: /check, status: /state, firing: [down], resolved: [up]}"},
    {.key = "auth",
     .type = FIELD_PAIRS,
     .flags = FIELD_SECRETS | FIELD_NON_EMPTY,
     .offset = offsetof(struct webhook_params, auth),
     .help = "What a sender must show: `bearer`, or `user` and `password`; secrets are written "
             "`{env: NAME}` or `{file: PATH}`. Others are answered 401 and recorded.",
     .example = "{bearer: {env: HOOK_TOKEN}}"},
    {.key = "silences",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct webhook_params, silences),
     .help = "Where the Alertmanager stands that sends: once a second its active silences are "
             "compared with `where` and recorded; one that is active at the end is a finding.",
     .example = "http://10.20.0.5:9093"},
    {0},
};
static const struct record webhook_record = {
    .name = "webhook",
    .summary = "A message over HTTP from others' monitoring.",
    .size = sizeof(struct webhook_params),
    .fields = webhook_fields,
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};
const struct variant kinds_webhook = {
    .name = "webhook",
    .summary = "a message over HTTP: what your Alertmanager sends to people, sent to us",
    .detail =
        "The onset is when the message had come whole, stamped here; what the sender says of its "
        "beginning is kept beside it. The alarm fires while at least one alert that `where` "
        "chooses "
        "does; repeats are no onsets. A message that cannot be read is answered 400, one above 1 "
        "MiB "
        "413, one without its secret 401, and each is in the record. One request a connection, "
        "within 10 s, at most 64 connections at once.",
    .params = &webhook_record,
    .impl = &alarm_webhook,
};

/* --- prometheus --- */

static const char *const state_words[] = {"firing", "pending", NULL};
static_assert(PAYLOAD_FIRING == 0 && PAYLOAD_PENDING == 1, "the words above are these");

static const struct field prometheus_fields[] = {
    {.key = "host",
     .type = FIELD_REF,
     .ref = REF_HOST,
     .offset = offsetof(struct prometheus_params, host),
     .help = "Where we ask from; without it from this machine.",
     .example = "client"},
    {.key = "url",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct prometheus_params, url),
     .help = "Where Prometheus stands, http:// or https://, without /api.",
     .example = "http://10.20.0.5:9090"},
    {.key = "query",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct prometheus_params, query),
     .help = "It fires while the answer to this query has an element; this or `alertname`.",
     .example = "probe_success{job=\"checkout\"} == 0"},
    {.key = "above",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct prometheus_params, above),
     .help = "Of a query: it fires while a value of the answer is greater than this number.",
     .example = "0.05"},
    {.key = "alertname",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct prometheus_params, alertname),
     .help = "It fires while an alert of this name is among the active ones (of those, `where` may "
             "choose by labels).",
     .example = "CheckoutDown"},
    {.key = "state",
     .type = FIELD_WORD,
     .words = state_words,
     .dflt = "",
     .offset = offsetof(struct prometheus_params, state),
     .help = "Of an alertname: `pending` takes an alert whose `for` is not over yet as firing too; "
             "without it only `firing` does.",
     .example = "pending"},
    {.key = "every",
     .type = FIELD_DURATION,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct prometheus_params, every),
     .min = 10 * NSEC_MSEC,
     .max = 3600 * NSEC_SEC,
     .help = "How often it is asked.",
     .example = "1s"},
    {.key = "timeout",
     .type = FIELD_DURATION,
     .dflt = "5s",
     .offset = offsetof(struct prometheus_params, timeout),
     .min = NSEC_MSEC,
     .max = 600 * NSEC_SEC,
     .help = "No whole answer by then says nothing, and is recorded.",
     .example = "2s"},
    {.key = "headers",
     .type = FIELD_PAIRS,
     .flags = FIELD_SECRETS,
     .offset = offsetof(struct prometheus_params, headers),
     .help = "Headers to send; a secret is written `{env: NAME}` or `{file: PATH}` and is kept out "
             "of every file of the run.",
     .example = "{Authorization: {file: prometheus.secret}}"},
    {.key = "tls",
     .type = FIELD_OBJECT,
     .offset = offsetof(struct prometheus_params, tls),
     .record = &kinds_tls,
     .help = "How far a certificate is trusted; without it, fully verified.",
     .example = "{ca: ca.pem}"},
    {0},
};
static const struct record prometheus_record = {
    .name = "prometheus",
    .summary = "What Prometheus answers, asked again and again.",
    .size = sizeof(struct prometheus_params),
    .fields = prometheus_fields,
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};
const struct variant kinds_prometheus = {
    .name = "prometheus",
    .summary = "a query to Prometheus, or one of its active alerts",
    .detail = "The onset lies between the start of the last quiet answer and the end of the first "
              "firing one. An answer that is an error, or none, is neither: it is told in the "
              "record as trouble.",
    .params = &prometheus_record,
    .impl = &alarm_prometheus,
};
