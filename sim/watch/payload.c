/* JSON of others' monitoring. */
#include "sim/watch/payload.h"

#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/watch/pattern.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABELS_MAX 256
#define MILLISECONDS_FROM 100000000000.0 /* Unix times above this are in milliseconds */

void payload_done(struct payload *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->alerts[i].name);
        free(p->alerts[i].key);
    }
    free(p->alerts);
    json_decref(p->root);
    *p = PAYLOAD_INIT;
}

/* --- Times ----------------------------------------------------------------------------------- */

static bool digits(const char **p, size_t n, int *ret)
{
    int v = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isdigit((unsigned char)(*p)[i]))
            return false;
        v = v * 10 + ((*p)[i] - '0');
    }
    *p += n;
    *ret = v;
    return true;
}

static bool literal(const char **p, const char *one_of)
{
    if (!**p || !strchr(one_of, **p))
        return false;
    ++*p;
    return true;
}

/* ".123456789": any number of digits, as nanoseconds; what is finer is cut. */
static bool fraction(const char **p, nsec *ret)
{
    nsec v = 0, unit = NSEC_SEC / 10;
    *ret = 0;
    if (**p != '.')
        return true;
    ++*p;
    if (!isdigit((unsigned char)**p))
        return false;
    for (; isdigit((unsigned char)**p); ++*p, unit /= 10)
        v += (**p - '0') * unit;
    *ret = v;
    return true;
}

static bool offset(const char **p, int *ret_seconds)
{
    int hours, minutes, sign = **p == '-' ? -1 : 1;
    *ret_seconds = 0;
    if (literal(p, "Zz"))
        return true;
    if (!literal(p, "+-") || !digits(p, 2, &hours) || !literal(p, ":") || !digits(p, 2, &minutes) ||
        hours > 23 || minutes > 59)
        return false;
    *ret_seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

bool payload_time(const char *text, nsec *ret)
{
    struct tm tm = {0};
    nsec part;
    int away;
    const char *p = text;
    if (!digits(&p, 4, &tm.tm_year) || !literal(&p, "-") || !digits(&p, 2, &tm.tm_mon) ||
        !literal(&p, "-") || !digits(&p, 2, &tm.tm_mday) || !literal(&p, "Tt ") ||
        !digits(&p, 2, &tm.tm_hour) || !literal(&p, ":") || !digits(&p, 2, &tm.tm_min) ||
        !literal(&p, ":") || !digits(&p, 2, &tm.tm_sec) || !fraction(&p, &part) ||
        !offset(&p, &away) || *p)
        return false;
    if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
        tm.tm_min > 59 || tm.tm_sec > 60)
        return false;
    *ret = NSEC_UNSET;
    if (tm.tm_year < 1970 || tm.tm_year > 2200)
        return true;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *ret = ((nsec)timegm(&tm) - away) * NSEC_SEC + part;
    if (*ret < 0)
        *ret = NSEC_UNSET;
    return true;
}

/* --- Pointers -------------------------------------------------------------------------------- */

bool payload_is_pointer(const char *text)
{
    if (*text && *text != '/')
        return false;
    for (const char *p = text; (p = strchr(p, '~')); p++)
        if (p[1] != '0' && p[1] != '1')
            return false;
    return true;
}

/* One word of a pointer, unescaped (RFC 6901, 4). */
static char *pointer_word(const char *p, size_t n)
{
    char *word = malloc(n + 1);
    if (!word)
        abort();
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        bool escaped = p[i] == '~' && i + 1 < n;
        word[len++] = (char)(!escaped ? p[i] : p[i + 1] == '1' ? '/' : '~');
        i += escaped;
    }
    word[len] = '\0';
    return word;
}

static const json_t *pointed(const json_t *at, const char *pointer)
{
    while (at && *pointer == '/') {
        size_t n = strcspn(++pointer, "/");
        AUTO_FREE char *word = pointer_word(pointer, n);
        if (json_is_array(at)) {
            bool number = n > 0 && n < 7 && strspn(word, "0123456789") == strlen(word);
            at = number ? json_array_get(at, (size_t)atol(word)) : NULL;
        } else {
            at = json_object_get(at, word);
        }
        pointer += n;
    }
    return at;
}

/* A single value as text; NULL of an object, a list, null, and what is absent. */
static char *value_text(const json_t *v)
{
    struct buf b = BUF_INIT;
    if (json_is_string(v))
        buf_adds(&b, json_string_value(v));
    else if (json_is_boolean(v))
        buf_adds(&b, json_is_true(v) ? "true" : "false");
    else if (json_is_number(v))
        jsonx_dump(v, &b);
    else
        return NULL;
    if (b.len > PAYLOAD_NAME_MAX)
        b.text[PAYLOAD_NAME_MAX] = '\0';
    if (!b.text)
        buf_adds(&b, "");
    return buf_steal(&b);
}

/* --- Alerts ---------------------------------------------------------------------------------- */

static int list_of_alerts(const json_t *list, struct payload *p, struct err *err)
{
    size_t n = json_array_size(list);
    if (n > PAYLOAD_ALERTS_MAX)
        return err_set(err, EINVAL, "%zu alerts in one message; at most %d are taken", n,
                       PAYLOAD_ALERTS_MAX);
    p->alerts = calloc(n + 1, sizeof *p->alerts);
    if (!p->alerts)
        abort();
    p->n = n;
    return 0;
}

static char *alert_key(const struct payload_alert *a, const char *fingerprint)
{
    struct buf b = BUF_INIT;
    if (fingerprint && *fingerprint)
        buf_adds(&b, fingerprint);
    else if (a->labels)
        jsonx_dump(a->labels, &b);
    else
        buf_adds(&b, a->name);
    return buf_steal(&b);
}

static int labels_check(const json_t *labels, size_t i, struct err *err)
{
    const char *name;
    json_t *value;
    if (!json_is_object(labels))
        return err_set(err, EINVAL, "alert %zu has no object 'labels'", i);
    if (json_object_size(labels) > LABELS_MAX)
        return err_set(err, EINVAL, "alert %zu has more than %d labels", i, LABELS_MAX);
    json_object_foreach ((json_t *)(uintptr_t)labels, name, value)
        if (!json_is_string(value))
            return err_set(err, EINVAL, "the label '%s' of alert %zu is not a text", name, i);
    return 0;
}

/* What Alertmanager and Prometheus call an alert: labels, and when it began. */
static int alert_labelled(const json_t *j, const char *start_key, size_t i, struct payload_alert *a,
                          struct err *err)
{
    if (!json_is_object(j))
        return err_set(err, EINVAL, "alert %zu is not an object", i);
    a->source = j;
    a->labels = json_object_get(j, "labels");
    int r = labels_check(a->labels, i, err);
    if (r < 0)
        return r;
    a->name = value_text(json_object_get(a->labels, "alertname"));
    if (!a->name)
        a->name = strdup("");
    a->starts_at = NSEC_UNSET;
    const json_t *start = json_object_get(j, start_key);
    if (start && (!json_is_string(start) || !payload_time(json_string_value(start), &a->starts_at)))
        return err_set(err, EINVAL, "the %s of alert %zu is not a time (RFC 3339)", start_key, i);
    a->key = alert_key(a, jsonx_str(j, "fingerprint", NULL));
    return 0;
}

static int alertmanager_alert(const json_t *j, size_t i, struct payload_alert *a, struct err *err)
{
    int r = alert_labelled(j, "startsAt", i, a, err);
    if (r < 0)
        return r;
    a->status_word = jsonx_str(j, "status", "");
    if (strcmp(a->status_word, "firing") == 0)
        a->status = PAYLOAD_FIRING;
    else if (strcmp(a->status_word, "resolved") == 0)
        a->status = PAYLOAD_RESOLVED;
    else
        return err_set(err, EINVAL, "the status of alert %zu is neither firing nor resolved", i);
    return 0;
}

static int alertmanager_read(struct payload *p, struct err *err)
{
    const char *version = jsonx_str(p->root, "version", NULL);
    const json_t *list = json_object_get(p->root, "alerts");
    if (!version || strcmp(version, "4") != 0)
        return err_set(err, EINVAL,
                       "not an Alertmanager's message of version 4 (is `format: generic` meant?)");
    if (!json_is_array(list))
        return err_set(err, EINVAL, "there is no list 'alerts'");
    int r = list_of_alerts(list, p, err);
    for (size_t i = 0; r == 0 && i < p->n; i++)
        r = alertmanager_alert(json_array_get(list, i), i, &p->alerts[i], err);
    return r;
}

/* Seconds, or milliseconds, since 1970; or a text. */
static bool generic_time(const json_t *v, nsec *ret)
{
    if (json_is_string(v))
        return payload_time(json_string_value(v), ret);
    if (!json_is_number(v))
        return false;
    double t = json_number_value(v);
    if (t >= MILLISECONDS_FROM)
        t /= 1000;
    if (!(t >= 0 && t < 7e9))
        return false;
    *ret = (nsec)(t * 1e9);
    return true;
}

static int generic_alert(const json_t *j, const struct payload_paths *paths, size_t i,
                         struct payload_alert *a, struct err *err)
{
    a->source = j;
    a->starts_at = NSEC_UNSET;
    a->name = value_text(pointed(j, paths->name));
    if (!a->name)
        return err_set(err, EINVAL, "alert %zu has no name at %s", i, paths->name);
    const json_t *start = paths->start ? pointed(j, paths->start) : NULL;
    if (start && !json_is_null(start) && !generic_time(start, &a->starts_at))
        return err_set(err, EINVAL,
                       "what stands at %s of alert %zu is neither a time (RFC 3339) nor seconds "
                       "since 1970",
                       paths->start, i);
    a->key = alert_key(a, NULL);
    if (!paths->status)
        return 0;
    const json_t *status = pointed(j, paths->status);
    AUTO_FREE char *word = value_text(status);
    if (!word)
        return err_set(err, EINVAL, "alert %zu has no status at %s", i, paths->status);
    a->status_word = json_is_string(status) ? json_string_value(status) : "a number or a boolean";
    a->status = strv_has(&paths->firing, word)     ? PAYLOAD_FIRING
                : strv_has(&paths->resolved, word) ? PAYLOAD_RESOLVED
                                                   : PAYLOAD_OTHER;
    return 0;
}

static int generic_read(struct payload *p, const struct payload_paths *paths, struct err *err)
{
    const json_t *list = p->root;
    if (paths->each) {
        list = pointed(p->root, paths->each);
        if (!json_is_array(list))
            return err_set(err, EINVAL, "there is no list at '%s'", paths->each);
        int r = list_of_alerts(list, p, err);
        for (size_t i = 0; r == 0 && i < p->n; i++)
            r = generic_alert(json_array_get(list, i), paths, i, &p->alerts[i], err);
        return r;
    }
    p->alerts = calloc(1, sizeof *p->alerts);
    if (!p->alerts)
        abort();
    p->n = 1;
    return generic_alert(list, paths, 0, &p->alerts[0], err);
}

/* The data of a Prometheus' answer, or its error. */
static int answer_data(const json_t *root, const json_t **ret, struct err *err)
{
    const char *status = jsonx_str(root, "status", "");
    if (strcmp(status, "error") == 0)
        return err_set(err, EINVAL, "Prometheus says %s: %s", jsonx_str(root, "errorType", "error"),
                       jsonx_str(root, "error", "?"));
    *ret = json_object_get(root, "data");
    if (strcmp(status, "success") != 0 || !json_is_object(*ret))
        return err_set(err, EINVAL, "this is not an answer of Prometheus' HTTP API");
    return 0;
}

static int active_read(struct payload *p, struct err *err)
{
    const json_t *data;
    int r = answer_data(p->root, &data, err);
    if (r < 0)
        return r;
    const json_t *list = json_object_get(data, "alerts");
    if (!json_is_array(list))
        return err_set(err, EINVAL, "there is no list 'alerts'");
    r = list_of_alerts(list, p, err);
    for (size_t i = 0; r == 0 && i < p->n; i++) {
        struct payload_alert *a = &p->alerts[i];
        r = alert_labelled(json_array_get(list, i), "activeAt", i, a, err);
        if (r < 0)
            break;
        a->status_word = jsonx_str(a->source, "state", "");
        a->status = strcmp(a->status_word, "firing") == 0    ? PAYLOAD_FIRING
                    : strcmp(a->status_word, "pending") == 0 ? PAYLOAD_PENDING
                                                             : PAYLOAD_OTHER;
    }
    return r;
}

static int root_read(const char *text, size_t n, struct payload *p, struct err *err)
{
    return n > PAYLOAD_BYTES_MAX ? err_set(err, EINVAL, "more than %d bytes", PAYLOAD_BYTES_MAX)
                                 : jsonx_parse(text, n, "body", &p->root, err);
}

int payload_read_alertmanager(const char *text, size_t n, struct payload *ret, struct err *err)
{
    AUTO_PAYLOAD p = PAYLOAD_INIT;
    int r = root_read(text, n, &p, err);
    if (r == 0)
        r = alertmanager_read(&p, err);
    if (r == 0) {
        *ret = p;
        p = PAYLOAD_INIT;
    }
    return r;
}

int payload_read_generic(const char *text, size_t n, const struct payload_paths *paths,
                         struct payload *ret, struct err *err)
{
    AUTO_PAYLOAD p = PAYLOAD_INIT;
    int r = root_read(text, n, &p, err);
    if (r == 0)
        r = generic_read(&p, paths, err);
    if (r == 0) {
        *ret = p;
        p = PAYLOAD_INIT;
    }
    return r;
}

int payload_read_active(const char *text, size_t n, struct payload *ret, struct err *err)
{
    AUTO_PAYLOAD p = PAYLOAD_INIT;
    int r = root_read(text, n, &p, err);
    if (r == 0)
        r = active_read(&p, err);
    if (r == 0) {
        *ret = p;
        p = PAYLOAD_INIT;
    }
    return r;
}

/* --- A query --------------------------------------------------------------------------------- */

/* [time, "value"]; Prometheus writes values as texts, "NaN" and "+Inf" among them. */
static bool sample(const json_t *pair, double *ret)
{
    const char *text = json_string_value(json_array_get(pair, 1));
    char *end = NULL;
    if (!text || !*text)
        return false;
    *ret = strtod(text, &end);
    return *end == '\0';
}

static int vector_read(const json_t *list, const double *above, bool *ret_firing, char *words,
                       size_t size, struct err *err)
{
    size_t n = json_array_size(list), over = 0;
    double largest = -HUGE_VAL;
    for (size_t i = 0; i < n; i++) {
        double v;
        if (!sample(json_object_get(json_array_get(list, i), "value"), &v))
            return err_set(err, EINVAL, "an element of the answer has no value");
        if (v > largest)
            largest = v;
        over += above && v > *above;
    }
    *ret_firing = above ? over > 0 : n > 0;
    if (above && n)
        snprintf(words, size, "%zu of %zu above %g, the largest %g", over, n, *above, largest);
    else
        snprintf(words, size, "%zu %s", n, n == 1 ? "element" : "elements");
    return 0;
}

static int query_read(const json_t *root, const double *above, bool *ret_firing, char *words,
                      size_t size, struct err *err)
{
    const json_t *data, *warnings = json_object_get(root, "warnings");
    int r = answer_data(root, &data, err);
    if (r < 0)
        return r;
    const char *type = jsonx_str(data, "resultType", "");
    const json_t *result = json_object_get(data, "result");
    bool firing = false;
    double v;
    if (strcmp(type, "vector") == 0 && json_is_array(result)) {
        r = vector_read(result, above, &firing, words, size, err);
    } else if (strcmp(type, "scalar") == 0 && above && sample(result, &v)) {
        firing = v > *above;
        snprintf(words, size, "%g", v);
    } else if (strcmp(type, "scalar") == 0 && !above) {
        r = err_set(err, EINVAL, "the query gives one number: say `above`");
    } else {
        r = err_set(err, EINVAL, "the query gives neither a vector nor a number");
    }
    if (r < 0)
        return r;
    /* Prometheus answers with what it has when part of it cannot be had: no silence then. */
    if (!firing && json_array_size(warnings) > 0) {
        const char *first = json_string_value(json_array_get(warnings, 0));
        return err_set(err, EINVAL, "Prometheus warns: %s", first ? first : "?");
    }
    *ret_firing = firing;
    return 0;
}

int payload_read_query(const char *text, size_t n, const double *above, bool *ret_firing,
                       char *words, size_t size, struct err *err)
{
    AUTO_PAYLOAD p = PAYLOAD_INIT;
    int r = root_read(text, n, &p, err);
    return r < 0 ? r : query_read(p.root, above, ret_firing, words, size, err);
}

/* --- Silences -------------------------------------------------------------------------------- */

static const char *label_value(const struct pairs *labels, const char *name)
{
    for (size_t i = 0; i < labels->n; i++)
        if (strcmp(labels->items[i].key, name) == 0)
            return labels->items[i].value;
    return NULL;
}

/* Regular expressions of Alertmanager are anchored (its docs: "fully anchored"). They are RE2's;
 * one that POSIX does not know says nothing here. */
static bool expression_matches(const char *expression, const char *value)
{
    AUTO_PATTERN pattern = PATTERN_INIT;
    AUTO_BUF anchored = BUF_INIT;
    /* Nested repetitions make the C library's compiler explode. */
    if (strlen(expression) > PAYLOAD_NAME_MAX || strchr(expression, '{'))
        return false;
    buf_printf(&anchored, "^(%s)$", expression);
    return pattern_compile(&pattern, buf_text(&anchored), NULL) == 0 &&
           pattern_matches(&pattern, value, strlen(value));
}

static bool silence_concerns(const json_t *silence, const struct pairs *labels)
{
    const json_t *matchers = json_object_get(silence, "matchers");
    size_t n = json_array_size(matchers), concerned = 0;
    for (size_t i = 0; i < n && i < LABELS_MAX; i++) {
        const json_t *m = json_array_get(matchers, i);
        const char *wanted = jsonx_str(m, "value", "");
        const char *given = label_value(labels, jsonx_str(m, "name", ""));
        if (!given)
            continue;
        bool same = jsonx_bool(m, "isRegex", false) ? expression_matches(wanted, given)
                                                    : strcmp(wanted, given) == 0;
        if (same != jsonx_bool(m, "isEqual", true))
            return false;
        concerned++;
    }
    return concerned > 0;
}

int payload_read_silences(const char *text, size_t n, const struct pairs *labels,
                          bool *ret_silenced, char *words, size_t size, struct err *err)
{
    AUTO_PAYLOAD p = PAYLOAD_INIT;
    int r = root_read(text, n, &p, err);
    if (r < 0)
        return r;
    if (!json_is_array(p.root))
        return err_set(err, EINVAL, "this is not Alertmanager's list of silences");
    *ret_silenced = false;
    for (size_t i = 0; i < json_array_size(p.root) && !*ret_silenced; i++) {
        const json_t *s = json_array_get(p.root, i);
        const char *state = jsonx_str(json_object_get(s, "status"), "state", "");
        if (strcmp(state, "active") != 0 || !silence_concerns(s, labels))
            continue;
        *ret_silenced = true;
        snprintf(words, size, "silence %s until %s: %s", jsonx_str(s, "id", "?"),
                 jsonx_str(s, "endsAt", "?"), jsonx_str(s, "comment", ""));
    }
    return 0;
}

/* --- What an alarm asks of an alert ---------------------------------------------------------- */

static bool alert_has_one(const struct payload_alert *a, const char *key, const char *value)
{
    if (a->labels)
        return strcmp(jsonx_str(a->labels, key, ""), value) == 0;
    if (strcmp(key, "name") == 0)
        return strcmp(a->name, value) == 0;
    AUTO_FREE char *given = value_text(pointed(a->source, key));
    return given && strcmp(given, value) == 0;
}

bool payload_alert_has(const struct payload_alert *a, const struct pairs *labels)
{
    for (size_t i = 0; i < labels->n; i++)
        if (!alert_has_one(a, labels->items[i].key, labels->items[i].value))
            return false;
    return true;
}

void payload_alert_text(const struct payload_alert *a, char *buf, size_t size)
{
    AUTO_BUF b = BUF_INIT;
    const char *name;
    json_t *value;
    size_t n = 0;
    buf_adds(&b, a->name);
    if (a->labels)
        json_object_foreach ((json_t *)(uintptr_t)a->labels, name, value)
            if (strcmp(name, "alertname") != 0)
                buf_printf(&b, "%s%s=\"%s\"", n++ ? ", " : " {", name, json_string_value(value));
    if (n)
        buf_addc(&b, '}');
    snprintf(buf, size, "%s", buf_text(&b));
}
