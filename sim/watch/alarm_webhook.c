/* The alarm `webhook`: others' monitoring tells us, as it tells people.
 *
 * All webhooks of one vantage process that listen on the same address and port share one server, told
 * apart by their paths. What is refused is answered with an error and told as trouble, so that a
 * misconfigured sender is not taken for silence.
 *
 * An alarm is firing while at least one alert that `where` chooses is: its onset is the first of them,
 * its clear the end of the last. Senders repeat what fires: that is no onset. An alert that fires with
 * a new time of beginning had ended unseen (Alertmanager with send_resolved: false): that is a clear
 * and an onset.
 *
 * The onset lies between the moment its connection was taken and that at which the last byte had been
 * read.
 */
#include "sim/base/text.h"
#include "sim/http/server.h"
#include "sim/watch/address.h"
#include "sim/watch/silences.h"
#include "sim/watch/vantage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define CONNECTIONS_MAX 64
#define REQUEST_WITHIN (10 * NSEC_SEC)
#define FIRING_MAX 10000 /* alerts of one alarm that are told apart */

struct listener {
    struct listener *next;
    struct vantage *vantage;
    const char *listen;
    struct http_server *server;
    struct flood flood; /* of refusals */
};

struct hook {
    char *bearer, *user, *password; /* NULL: not asked for */
    json_t *firing;                 /* key → starts_at */
    bool strange_told;
    struct silences *silences; /* NULL: not looked at */
};

/* --- What the tables cannot say ---------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_words(const struct strv *a, const struct strv *b)
{
    for (size_t i = 0; a->n == b->n && i < a->n; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return a->n == b->n;
}

static bool same_paths(const struct payload_paths *a, const struct payload_paths *b)
{
    return a == b || (a && b && same_text(a->each, b->each) && same_text(a->name, b->name) &&
                      same_text(a->status, b->status) && same_text(a->start, b->start) &&
                      same_words(&a->firing, &b->firing) && same_words(&a->resolved, &b->resolved));
}

static bool same_auth(const struct pairs *a, const struct pairs *b)
{
    for (size_t i = 0; a->n == b->n && i < a->n; i++)
        if (strcmp(a->items[i].key, b->items[i].key) != 0 ||
            a->items[i].source != b->items[i].source ||
            strcmp(a->items[i].value, b->items[i].value) != 0)
            return false;
    return a->n == b->n;
}

static bool same_entrance(const struct webhook_params *a, const struct webhook_params *b)
{
    return same_text(a->host, b->host) && strcmp(a->listen, b->listen) == 0 &&
           strcmp(a->path, b->path) == 0;
}

static int check_shared(const struct scenario *s, const struct webhook_params *w, struct err *err)
{
    for (size_t i = 0; i < s->alarms.n; i++) {
        const struct alarm *a = s->alarms.items[i];
        const struct webhook_params *o = a->params;
        if (o == w)
            break; /* each pair is told once, by the later one */
        if (a->kind->impl == &alarm_webhook && same_entrance(o, w) &&
            (o->format != w->format || !same_paths(o->fields, w->fields) ||
             !same_auth(&o->auth, &w->auth)))
            return err_set(err, EINVAL,
                           "the alarm %s listens on %s%s as well, with another format, other "
                           "fields or other secrets: give one of them a 'path' of its own",
                           a->name, w->listen, w->path);
    }
    return 0;
}

static int check_auth(const struct webhook_params *w, struct err *err)
{
    bool bearer = false, user = false, password = false;
    for (size_t i = 0; i < w->auth.n; i++) {
        const struct pair *p = &w->auth.items[i];
        bearer |= strcmp(p->key, "bearer") == 0;
        user |= strcmp(p->key, "user") == 0;
        password |= strcmp(p->key, "password") == 0;
        if (p->source == PAIR_TEXT && strcmp(p->key, "user") != 0)
            return err_set(err, EINVAL,
                           "'auth' takes its secrets as {env: NAME} or {file: PATH}: what is "
                           "written here is copied into the run's files");
    }
    if (w->auth.n && !(bearer && w->auth.n == 1) && !(user && password && w->auth.n == 2))
        return err_set(err, EINVAL, "'auth' is either {bearer: …} or {user: …, password: …}");
    return 0;
}

static int check_pointer(const char *pointer, struct err *err)
{
    if (!pointer || payload_is_pointer(pointer))
        return 0;
    return err_set(err, EINVAL,
                   "'%s' is not a JSON pointer; write /labels/alertname for labels.alertname",
                   pointer);
}

static int check_fields(const struct webhook_params *w, const struct pairs *where, struct err *err)
{
    if (w->format != WEBHOOK_GENERIC)
        return w->fields ? err_set(err, EINVAL,
                                   "'fields' are of `format: generic`; Alertmanager's are known")
                         : 0;
    const struct payload_paths *f = w->fields;
    if (!f)
        return err_set(err, EINVAL,
                       "`format: generic` needs 'fields': where the name of an alert stands, and "
                       "its status");
    const char *const pointers[] = {f->each, f->name, f->status, f->start};
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(pointers); i++)
        r = check_pointer(pointers[i], err);
    for (size_t i = 0; r == 0 && i < where->n; i++)
        if (strcmp(where->items[i].key, "name") != 0)
            r = check_pointer(where->items[i].key, err);
    return r;
}

/* A lab host has the addresses that the scenario gives it; what an address of others is, they know. */
static int check_listen(const struct scenario *s, const struct webhook_params *w, struct err *err)
{
    struct address a;
    const struct host *h = w->host ? scenario_host(s, w->host) : NULL;
    int r = address_parse(s, w->listen, true, &a, err);
    if (r < 0 || !h || !h->lab)
        return r;
    char text[INET6_ADDRSTRLEN] = "", own[INET6_ADDRSTRLEN + 8];
    bool v6 = a.ss.ss_family == AF_INET6;
    const struct sockaddr_in *v4_at = (const struct sockaddr_in *)&a.ss;
    const struct sockaddr_in6 *v6_at = (const struct sockaddr_in6 *)&a.ss;
    if (v6 ? IN6_IS_ADDR_UNSPECIFIED(&v6_at->sin6_addr) || IN6_IS_ADDR_LOOPBACK(&v6_at->sin6_addr)
           : v4_at->sin_addr.s_addr == 0 || (ntohl(v4_at->sin_addr.s_addr) >> 24) == 127)
        return 0;
    inet_ntop(a.ss.ss_family, v6 ? (const void *)&v6_at->sin6_addr : &v4_at->sin_addr, text,
              sizeof text);
    for (size_t i = 0; i < h->lab->addresses.n; i++) {
        unsigned char mine[16], theirs[16];
        snprintf(own, sizeof own, "%s", h->lab->addresses.items[i]);
        own[strcspn(own, "/")] = '\0';
        if (inet_pton(a.ss.ss_family, own, mine) == 1 &&
            inet_pton(a.ss.ss_family, text, theirs) == 1 && memcmp(mine, theirs, v6 ? 16 : 4) == 0)
            return 0;
    }
    return err_set(err, EINVAL,
                   "host %s has no address %s; it listens on one of its own, or on 0.0.0.0",
                   w->host, text);
}

static int check_silences(const struct webhook_params *w, const struct pairs *where,
                          struct err *err)
{
    int r = http_check_url(w->silences, err);
    if (r == 0 && (w->format != WEBHOOK_ALERTMANAGER || !where->n))
        r = err_set(
            err, EINVAL,
            "'silences' are Alertmanager's, and compared with 'where': say which labels the "
            "alert has");
    return r;
}

static int webhook_check(const struct scenario *s, const void *params, struct err *err)
{
    const struct webhook_params *w = params;
    const struct alarm *a = kinds_alarm_with(s, params);
    int r = check_listen(s, w, err);
    if (r == 0 && (*w->path != '/' || strpbrk(w->path, "?# ")))
        r = err_set(err, EINVAL, "the path '%s' must begin with / and have no ?, # or blank",
                    w->path);
    if (r == 0 && w->silences)
        r = check_silences(w, &a->where, err);
    if (r == 0)
        r = check_auth(w, err);
    if (r == 0)
        r = check_fields(w, &a->where, err);
    return r < 0 ? r : check_shared(s, w, err);
}

/* --- An alert comes ---------------------------------------------------------------------------- */

static void tell(struct sentry *s, bool onset, struct span at, const struct payload_alert *a)
{
    char words[256];
    payload_alert_text(a, words, sizeof words);
    sentry_tell_since(s, onset, at, a->starts_at, words);
}

static void strange(struct sentry *s, struct hook *h, const struct payload_alert *a)
{
    if (!h->strange_told)
        vantage_trouble(s->vantage, "alert-unknown",
                        "alarm %s: the status '%s' of %s is neither firing nor resolved",
                        s->alarm->name, a->status_word, a->name);
    h->strange_told = true;
}

static void hook_fires(struct sentry *s, struct hook *h, const struct payload_alert *a,
                       struct span at)
{
    const json_t *since = json_object_get(h->firing, a->key);
    bool first = json_object_size(h->firing) == 0;
    bool again = since && nsec_is_set(a->starts_at) && json_integer_value(since) < a->starts_at &&
                 nsec_is_set(json_integer_value(since));
    if (again && json_object_size(h->firing) == 1) {
        sentry_tell(s, false, at, "it fires with a new beginning: its end was not told");
        first = true;
    }
    if (json_object_size(h->firing) < FIRING_MAX || since)
        json_object_set_new(h->firing, a->key, json_integer(a->starts_at));
    if (first)
        tell(s, true, at, a);
}

static void hook_hears(struct sentry *s, const struct payload *p, struct span at)
{
    struct hook *h = s->state;
    for (size_t i = 0; i < p->n; i++) {
        const struct payload_alert *a = &p->alerts[i];
        if (!payload_alert_has(a, &s->alarm->where))
            continue;
        if (a->status == PAYLOAD_FIRING) {
            hook_fires(s, h, a, at);
        } else if (a->status == PAYLOAD_RESOLVED) {
            if (json_object_del(h->firing, a->key) == 0 && json_object_size(h->firing) == 0)
                tell(s, false, at, a);
        } else {
            strange(s, h, a);
        }
    }
}

/* --- A request comes --------------------------------------------------------------------------- */

static void refuse(struct listener *l, const char *peer, const char *path, unsigned status,
                   const char *why)
{
    unsigned kept;
    bool say = flood_admits(&l->flood, nsec_now(CLOCK_MONOTONIC), &kept);
    if (kept)
        vantage_trouble(l->vantage, "webhook-refused",
                        "%s: %u more within half a second were counted, not told", l->listen, kept);
    if (say)
        vantage_trouble(l->vantage, "webhook-refused", "%s%s from %s: %u, %s", l->listen, path,
                        peer, status, why);
}

/* The alarms that listen here on this path, one after the other. */
static struct sentry *next_hook(const struct listener *l, const char *path, size_t *i)
{
    struct vantage *v = l->vantage;
    while (*i < v->n_sentries) {
        struct sentry *s = &v->sentries[(*i)++];
        const struct webhook_params *w = s->alarm->params;
        if (s->kind == &alarm_webhook && strcmp(w->listen, l->listen) == 0 &&
            (!path || strcmp(w->path, path) == 0))
            return s;
    }
    return NULL;
}

static bool is_allowed(const struct hook *h, const struct http_asked *a)
{
    if (h->bearer)
        return http_asked_is_bearer(a, h->bearer);
    return !h->user || http_asked_is_basic(a, h->user, h->password);
}

static int read_payload(const struct sentry *s, const struct http_asked *a, struct payload *ret,
                        struct err *err)
{
    const struct webhook_params *w = s->alarm->params;
    return w->format == WEBHOOK_ALERTMANAGER
               ? payload_read_alertmanager(a->body, a->body_n, ret, err)
               : payload_read_generic(a->body, a->body_n, w->fields, ret, err);
}

/* All alarms of one path take the same (check_shared()), so the first speaks for them. */
static unsigned request_status(struct listener *l, const struct http_asked *a, struct payload *ret,
                               struct err *err)
{
    size_t i = 0;
    const struct sentry *s = next_hook(l, a->path, &i);
    if (!s) {
        err_set(err, ENOENT, "no alarm listens on this path");
        return 404;
    }
    if (!is_allowed(s->state, a)) {
        err_set(err, EACCES, "the secret is missing or wrong");
        return 401;
    }
    if (strcmp(a->method, "POST") != 0) {
        err_set(err, EINVAL, "the method is %s, not POST", a->method);
        return 405;
    }
    if (a->body_too_large) {
        err_set(err, EFBIG, "the body is larger than %d bytes", PAYLOAD_BYTES_MAX);
        return 413;
    }
    return read_payload(s, a, ret, err) < 0 ? 400 : 200;
}

static void on_request(const struct http_asked *a, struct http_reply *reply, void *data)
{
    struct listener *l = data;
    AUTO_PAYLOAD payload = PAYLOAD_INIT;
    struct err err = ERR_INIT;
    reply->status = request_status(l, a, &payload, &err);
    if (reply->status != 200) {
        refuse(l, a->peer, a->path, reply->status, err.text);
        reply->text = reply->status == 400 ? "this is not understood; the drill's record says why\n"
                                           : "refused\n";
        reply->authenticate = reply->status == 401 ? "Bearer, Basic realm=\"blackstart\"" : NULL;
        return;
    }
    size_t i = 0;
    for (struct sentry *s; (s = next_hook(l, a->path, &i));)
        hook_hears(s, &payload, (struct span){a->accepted, a->complete});
}

static void on_slow(const char *peer, void *data)
{
    struct listener *l = data;
    char limit[NSEC_TEXT_MAX], words[80];
    snprintf(words, sizeof words, "no whole request within %s", nsec_text(REQUEST_WITHIN, limit));
    refuse(l, peer, "", 408, words);
}

/* --- Beginning and end ------------------------------------------------------------------------- */

static int secret_of(const struct pairs *auth, const char *key, int source_fd, char **ret,
                     struct err *err)
{
    for (size_t i = 0; i < auth->n; i++) {
        if (strcmp(auth->items[i].key, key) != 0)
            continue;
        int r = pair_resolve(&auth->items[i], source_fd, ret, err);
        if (r == 0 && !**ret)
            r = err_set(err, EINVAL, "the secret '%s' is empty", key);
        return r;
    }
    return 0;
}

static int webhook_outside(struct sentry *s, int source_fd, struct err *err)
{
    const struct webhook_params *w = s->alarm->params;
    struct hook *h = calloc(1, sizeof *h);
    if (!h)
        abort();
    h->firing = json_object();
    s->state = h;
    int r = secret_of(&w->auth, "bearer", source_fd, &h->bearer, err);
    if (r == 0)
        r = secret_of(&w->auth, "user", source_fd, &h->user, err);
    return r < 0 ? r : secret_of(&w->auth, "password", source_fd, &h->password, err);
}

/* It is there already when another alarm listens on the same. */
static int listener_open(struct vantage *v, const struct webhook_params *w, struct err *err)
{
    for (const struct listener *l = v->listeners; l; l = l->next)
        if (strcmp(l->listen, w->listen) == 0)
            return 0;
    struct address a;
    int r = address_parse(v->scenario, w->listen, true, &a, err);
    if (r < 0)
        return r;
    struct listener *l = calloc(1, sizeof *l);
    if (!l)
        abort();
    *l = (struct listener){.next = v->listeners, .vantage = v, .listen = w->listen};
    struct http_server_spec spec = {.address = (const struct sockaddr *)&a.ss,
                                    .address_n = a.len,
                                    .body_max = PAYLOAD_BYTES_MAX,
                                    .connections = CONNECTIONS_MAX,
                                    .within = REQUEST_WITHIN,
                                    .on_request = on_request,
                                    .on_slow = on_slow,
                                    .data = l};
    r = http_server_new(v->loop, &spec, &l->server, err);
    if (r < 0) {
        free(l);
        return err_prefix(err, "listening on %s", w->listen);
    }
    v->listeners = l;
    return 0;
}

static int webhook_open(struct sentry *s, struct err *err)
{
    const struct webhook_params *w = s->alarm->params;
    struct hook *h = s->state;
    int r = listener_open(s->vantage, w, err);
    return r < 0 || !w->silences ? r : silences_new(s, w->silences, &h->silences, err);
}

static void wipe(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

static void webhook_close(struct sentry *s)
{
    struct hook *h = s->state;
    if (!h)
        return;
    silences_free(h->silences);
    json_decref(h->firing);
    wipe(h->bearer);
    wipe(h->user);
    wipe(h->password);
    free(h);
}

static const char *webhook_host(const void *params)
{
    const struct webhook_params *p = params;
    return p->host ? p->host : WATCH_HERE;
}

const struct alarm_kind alarm_webhook = {.check = webhook_check,
                                         .labelled = true,
                                         .host = webhook_host,
                                         .outside = webhook_outside,
                                         .open = webhook_open,
                                         .close = webhook_close};
