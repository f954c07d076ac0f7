/* What others' monitoring says over HTTP, from bytes to alerts: Alertmanager's webhook, any other
 * webhook by paths into its JSON, and the answers of Prometheus' and Alertmanager's HTTP APIs.
 *
 * The bytes are a stranger's: whatever they are, the answer is alerts or -EINVAL with a sentence.
 * No clock and no I/O. Sources: prometheus.io/docs/alerting/latest/configuration (webhook_config),
 * prometheus.io/docs/prometheus/latest/querying/api, Alertmanager's api/v2/openapi.yaml; RFC 6901.
 *
 * Ownership: payload_read_*() … payload_done(); texts in it are borrowed from it.
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/base/nsec.h"
#include "sim/model/field.h"

#include <jansson.h>

#define PAYLOAD_BYTES_MAX (1 << 20)
#define PAYLOAD_ALERTS_MAX 1000
#define PAYLOAD_NAME_MAX 512

enum payload_status { PAYLOAD_FIRING, PAYLOAD_PENDING, PAYLOAD_RESOLVED, PAYLOAD_OTHER };

struct payload_alert {
    enum payload_status status;
    const char *status_word; /* as it came; NULL: none was looked for */
    const json_t *labels;    /* texts by name; NULL: of the generic kind */
    const json_t *source;    /* its object */
    char *name;              /* its name, of the generic kind; else its alertname, or "" */
    char *key;               /* tells it from other alerts: its fingerprint, else name and labels */
    nsec starts_at;          /* CLOCK_REALTIME, as its sender says; NSEC_UNSET: it does not */
};

struct payload {
    json_t *root;
    struct payload_alert *alerts;
    size_t n;
};
#define PAYLOAD_INIT ((struct payload){0})
void payload_done(struct payload *p);
#define AUTO_PAYLOAD CLEANUP(payload_done) struct payload

/* Where things stand in a webhook of another make: JSON pointers (RFC 6901). */
struct payload_paths {
    char *each; /* the list of alerts, from the top; NULL: the whole is one */
    /* From an alert on: */
    char *name, *status;          /* status NULL: each is firing */
    char *start;                  /* NULL: not looked for */
    struct strv firing, resolved; /* the words of `status` */
};

/* Alertmanager's webhook, version 4. */
int payload_read_alertmanager(const char *text, size_t n, struct payload *ret, struct err *err);
int payload_read_generic(const char *text, size_t n, const struct payload_paths *paths,
                         struct payload *ret, struct err *err);
/* Prometheus' /api/v1/alerts. An answer that says error is an error here, with its words. */
int payload_read_active(const char *text, size_t n, struct payload *ret, struct err *err);

/* Prometheus' /api/v1/query: is it firing? With `above`: a value is greater than that; without: the
 * vector has an element. `words` says what was found. */
int payload_read_query(const char *text, size_t n, const double *above, bool *ret_firing,
                       char *words, size_t size, struct err *err);
/* Alertmanager's /api/v2/silences: is there an active one that concerns alerts with these labels? It
 * does when it has a matcher for one of them, and none that excludes one. `words`: which it is. */
int payload_read_silences(const char *text, size_t n, const struct pairs *labels,
                          bool *ret_silenced, char *words, size_t size, struct err *err);

/* Do its labels have these values? Of the generic kind the keys are `name` and JSON pointers. */
bool payload_alert_has(const struct payload_alert *a, const struct pairs *labels);
/* `Name {label="value", …}` for people. */
void payload_alert_text(const struct payload_alert *a, char *buf, size_t size);

/* "", or begins with '/', and ~ stands only in ~0 and ~1. */
bool payload_is_pointer(const char *text);
/* "2026-01-31T23:59:59.123Z" (RFC 3339). False: it is none. Years that CLOCK_REALTIME cannot tell
 * (before 1970, which is also how "never" is written) are NSEC_UNSET. */
bool payload_time(const char *text, nsec *ret);
