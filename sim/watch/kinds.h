/* What stands below a kind of probe or alarm in a scenario, decoded, and what stands behind a kind.
 *
 * Everything belongs to the scenario's arena. Texts are NULL when they were not given.
 */
#pragma once

#include "sim/model/model.h"
#include "sim/watch/payload.h"

struct expect_params {   /* of http: all that are given must hold */
    int64_t status;      /* 0: any from 200 to 299 */
    char *body;          /* the body contains this */
    char *match;         /* the body matches this extended regular expression, ^ and $ at lines */
    struct pairs header; /* each of these headers is there and contains its value */
};

struct tls_params {
    bool verify;
    char *ca, *server_name;
};

struct http_params {
    char *url, *method, *body;
    struct pairs headers;
    struct expect_params *expect; /* NULL: status from 200 to 299 */
    struct tls_params *tls;       /* NULL: verified by the system's authorities */
    bool reuse;
};

struct tcp_params {
    char *address, *send, *expect;
};

struct icmp_params {
    char *address;
};

struct exec_params {
    char *command;
};

enum journal_priority { /* of an entry, at least */
                        JOURNAL_DEBUG,
                        JOURNAL_INFO,
                        JOURNAL_NOTICE,
                        JOURNAL_WARNING,
                        JOURNAL_ERR,
                        JOURNAL_CRIT,
                        JOURNAL_ALERT,
                        JOURNAL_EMERG,
};
struct journal_params {
    char *host, *unit, *match, *directory;
    int priority;
};

struct log_params {
    char *host, *output, *file, *match; /* either output or file */
};

enum fires_on { FIRES_ON_FAILURE, FIRES_ON_SUCCESS };
struct check_params { /* of the alarm `exec` */
    char *host, *command;
    nsec every, timeout;
    int fires_on;
};

struct packets_params {
    char *host, *filter, *sender, *network;
};

enum webhook_format { WEBHOOK_ALERTMANAGER, WEBHOOK_GENERIC };
struct webhook_params {
    char *host;                   /* NULL: this machine */
    char *listen, *path;          /* "10.20.0.9:9099", "/" */
    int format;                   /* enum webhook_format */
    struct payload_paths *fields; /* of the generic format; else NULL */
    struct pairs auth;            /* bearer; or user and password */
    char *silences; /* URL of the Alertmanager whose silences are looked at; or NULL */
};

struct prometheus_params {
    char *host; /* NULL: this machine */
    char *url;
    char *query, *above; /* above: a number */
    char *alertname;     /* or this */
    int state;           /* PAYLOAD_FIRING or PAYLOAD_PENDING, as the words stand */
    nsec every, timeout;
    struct pairs headers;
    struct tls_params *tls; /* NULL: verified by the system's authorities */
};

/* The place of a vantage process on this machine: no host has an empty name. */
#define WATCH_HERE ""

/* variant->impl of the kinds of probes and alarms. */
struct prober;
struct shot;
struct probe_kind {
    /* What the tables cannot say (a URL, an address, a filter): -EINVAL with a sentence that has no
     * place. Touches nothing. May be NULL. */
    int (*check)(const struct scenario *s, const void *params, struct err *err);
    /* In the vantage process before it enters the host: what only the machine outside has (secrets;
     * files of theirs are relative to source_fd). May be NULL. */
    int (*outside)(struct prober *p, int source_fd, struct err *err);
    /* In the vantage process: once, before the first request. */
    int (*open)(struct prober *p, struct err *err);
    /* One request, ended by shot_end(), also from in here. */
    void (*start)(struct shot *shot);
    /* Gives up a request that has not ended; no shot_end() after that. */
    void (*cancel)(struct shot *shot);
    void (*close)(struct prober *p);
};

struct sentry;
struct alarm_kind {
    int (*check)(const struct scenario *s, const void *params, struct err *err); /* may be NULL */
    bool labelled; /* what it hears has labels: `where` may choose among it */
    /* The host whose vantage process it needs, or WATCH_HERE; NULL: none (then open and close are not
     * called). */
    const char *(*host)(const void *params);
    /* As of a probe: before the host is entered. May be NULL. */
    int (*outside)(struct sentry *sentry, int source_fd, struct err *err);
    int (*open)(struct sentry *sentry, struct err *err);
    void (*close)(struct sentry *sentry);
};

extern const struct probe_kind probe_exec, probe_http, probe_icmp, probe_tcp;
extern const struct alarm_kind alarm_exec, alarm_journal, alarm_log, alarm_packets,
    alarm_prometheus, alarm_webhook;
/* Their lines in the tables of `alarms:` (kinds_alerts.c). */
extern const struct variant kinds_prometheus, kinds_webhook;
/* (kinds_assumed.c) */
extern const struct variant kinds_assumed;
/* Of our own probes (kinds_own.c). */
extern const struct variant kinds_burn_rate, kinds_ratio, kinds_threshold;
extern const struct record kinds_tls;

/* The alarm of the scenario that has these params; NULL: none. */
const struct alarm *kinds_alarm_with(const struct scenario *s, const void *params);
