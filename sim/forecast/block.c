/* Blocks of outcomes as lines of the record, and back. The format stands in block.h. */
#include "sim/forecast/block.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/buf.h"
#include "sim/base/jsonx.h"

#define OUTCOMES_MOST 131072 /* of a block: 14 MB */
#define TOKEN_MAX 32

size_t block_size(size_t services)
{
    size_t n = BLOCK_MOST;
    while (n > 1 && n * services > OUTCOMES_MOST)
        n /= 2;
    return n;
}

struct block *block_new(size_t trials, size_t services, size_t quantities, const bool *told)
{
    struct block *b = calloc(1, sizeof *b);
    if (!b)
        abort();
    *b = (struct block){.trials = trials, .services = services, .quantities = quantities};
    b->outcomes = calloc(trials * services + 1, sizeof *b->outcomes);
    b->path = calloc(services + 1, sizeof *b->path);
    if (!b->outcomes || !b->path)
        abort();
    for (size_t k = 0; k < services; k++)
        if (told[k] && !(b->path[k] = calloc(quantities + 1, sizeof **b->path)))
            abort();
    return b;
}

struct block *block_free(struct block *b)
{
    if (!b)
        return NULL;
    free(b->outcomes);
    for (size_t k = 0; k < b->services; k++)
        free(b->path[k]);
    free(b->path);
    free(b);
    return NULL;
}

/* ---- columns ---- */

enum column { KIND, BY, TIMES, EPISODES = TIMES + OUTCOME_TIMES, BLIPS, FALSE_ALARMS, WEIGHT, END };
#define DOWN_IS_TTR "ttr"

static const char kind_letters[] = "vurc"; /* of enum outcome_kind */
static const char by_letters[] = "nrh";    /* of enum outcome_by */

static const char *column_name(enum column c)
{
    switch (c) {
    case KIND:
        return "kind";
    case BY:
        return "by";
    case EPISODES:
        return "episodes";
    case BLIPS:
        return "blips";
    case FALSE_ALARMS:
        return "false_alarms";
    case WEIGHT:
        return "weight";
    case TIMES:
    case END:
        break;
    }
    return outcome_time_words[c - TIMES];
}

static bool is_hit(const struct outcome *o)
{
    return o->kind == OUTCOME_IS_RESTORED || o->kind == OUTCOME_IS_CENSORED;
}

/* What a service that was not hit has in these columns says nothing. */
static nsec time_kept(const struct outcome *o, enum outcome_time t)
{
    bool of_outage = t == OUTCOME_TTR || t == OUTCOME_DOWN || t == OUTCOME_DRAINED;
    if (o->kind == OUTCOME_IS_VOID || (of_outage && !is_hit(o)))
        return NSEC_UNSET;
    return outcome_time(o, t);
}

static struct outcome plain(enum outcome_kind kind)
{
    struct outcome o = {.kind = (unsigned char)kind, .weight = 1};
    o.by = kind == OUTCOME_IS_RESTORED ? OUTCOME_BY_RECOVERY : OUTCOME_BY_NOBODY;
    o.episodes = is_hit(&o);
    for (size_t i = 0; i < OUTCOME_TIMES; i++)
        outcome_set_time(&o, (enum outcome_time)i, NSEC_UNSET);
    return o;
}

struct outcome block_unhit(void)
{
    return plain(OUTCOME_IS_UNAFFECTED);
}

/* Value of a column as text; returns its length. */
static size_t number(uint64_t v, char *to)
{
    char digits[24];
    size_t n = 0, len;
    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    for (len = 0; n; len++)
        to[len] = digits[--n];
    return len;
}

static size_t time_text(nsec t, char *to)
{
    if (!nsec_is_set(t)) {
        to[0] = '-';
        return 1;
    }
    if (t == NSEC_INF) {
        memcpy(to, "inf", 3);
        return 3;
    }
    size_t sign = t < 0;
    to[0] = '-';
    return sign + number(t < 0 ? (uint64_t)-t : (uint64_t)t, to + sign);
}

static size_t value_text(const struct outcome *o, enum column c, char to[TOKEN_MAX])
{
    switch (c) {
    case KIND:
        to[0] = kind_letters[o->kind];
        return 1;
    case BY:
        to[0] = by_letters[o->by];
        return 1;
    case EPISODES:
        return number(o->episodes, to);
    case BLIPS:
        return number(o->blips, to);
    case FALSE_ALARMS:
        return number(o->false_alarms, to);
    case WEIGHT:
        return (size_t)snprintf(to, TOKEN_MAX, "%.17g", o->weight);
    case TIMES:
    case END:
        break;
    }
    return time_text(time_kept(o, (enum outcome_time)(c - TIMES)), to);
}

/* The columns, as bits, that are not wholly what is meant where they are left out. */
static unsigned needed(const struct block *b, size_t service)
{
    unsigned bits = 0;
    for (size_t i = 0; i < b->trials; i++) {
        const struct outcome *o = &b->outcomes[i * b->services + service];
        bool recovery = o->kind == OUTCOME_IS_RESTORED;
        bits |= (unsigned)(o->kind != OUTCOME_IS_UNAFFECTED) << KIND;
        bits |= (unsigned)(o->by != (recovery ? OUTCOME_BY_RECOVERY : OUTCOME_BY_NOBODY)) << BY;
        bits |= (unsigned)(o->episodes != is_hit(o)) << EPISODES;
        bits |= (unsigned)(o->blips != 0) << BLIPS;
        bits |= (unsigned)(o->false_alarms != 0) << FALSE_ALARMS;
        bits |= (unsigned)(o->weight < 1 || o->weight > 1) << WEIGHT;
        for (unsigned t = 0; t < OUTCOME_TIMES; t++)
            bits |= (unsigned)nsec_is_set(time_kept(o, (enum outcome_time)t)) << (TIMES + t);
    }
    return bits;
}

static bool down_is_ttr(const struct block *b, size_t service)
{
    for (size_t i = 0; i < b->trials; i++) {
        const struct outcome *o = &b->outcomes[i * b->services + service];
        if (time_kept(o, OUTCOME_DOWN) != time_kept(o, OUTCOME_TTR))
            return false;
    }
    return true;
}

static void put(const char *token, size_t len, size_t times, struct buf *out)
{
    char many[TOKEN_MAX];
    if (out->len)
        buf_addc(out, ' ');
    buf_add(out, token, len);
    if (times > 1) {
        many[0] = '*';
        buf_add(out, many, 1 + number(times, many + 1));
    }
}

static json_t *column_json(const struct block *b, size_t service, enum column c)
{
    AUTO_BUF text = BUF_INIT;
    char last[TOKEN_MAX], now[TOKEN_MAX];
    size_t last_len = 0, times = 0;
    if (c == (enum column)(TIMES + OUTCOME_DOWN) && down_is_ttr(b, service))
        return json_string(DOWN_IS_TTR);
    for (size_t i = 0; i < b->trials; i++) {
        size_t len = value_text(&b->outcomes[i * b->services + service], c, now);
        if (times && len == last_len && memcmp(now, last, len) == 0) {
            times++;
            continue;
        }
        if (times)
            put(last, last_len, times, &text);
        memcpy(last, now, len);
        last_len = len;
        times = 1;
    }
    if (times)
        put(last, last_len, times, &text);
    return json_stringn_nocheck(buf_text(&text), text.len);
}

void block_total_text(outcome_total t, char text[48])
{
    char digits[48];
    size_t n = 0, len = 0;
    bool negative = t < 0;
    do {
        int d = (int)(t % 10);
        digits[n++] = (char)('0' + (d < 0 ? -d : d));
        t /= 10;
    } while (t);
    if (negative)
        text[len++] = '-';
    while (n)
        text[len++] = digits[--n];
    text[len] = '\0';
}

int block_total(const char *text, outcome_total *ret)
{
    const char *p = text;
    bool negative = *p == '-';
    outcome_total t = 0;
    p += negative;
    size_t digits = strspn(p, "0123456789");
    if (digits == 0 || digits > 36 || p[digits])
        return -EBADMSG;
    for (; *p; p++)
        t = t * 10 + (*p - '0');
    *ret = negative ? -t : t;
    return 0;
}

static json_t *path_json(const struct block *b, size_t service, const char *const *quantities)
{
    json_t *o = NULL;
    char text[48];
    for (size_t q = 0; b->path[service] && q < b->quantities; q++) {
        outcome_total t = b->path[service][q];
        if (t == 0)
            continue;
        o = o ? o : json_object();
        block_total_text(t, text);
        json_object_set_new_nocheck(o, quantities[q], json_string(text));
    }
    return o;
}

json_t *block_json(const struct block *b, const struct scenario *s, const char *const *quantities)
{
    json_t *services = json_object(), *path = json_object();
    for (size_t k = 0; k < b->services; k++) {
        const char *name = ((const struct service *)s->services.items[k])->name;
        json_t *columns = NULL;
        unsigned columns_needed = needed(b, k);
        for (enum column c = KIND; c < END; c++) {
            if (!(columns_needed & 1u << c))
                continue;
            columns = columns ? columns : json_object();
            json_object_set_new(columns, column_name(c), column_json(b, k, c));
        }
        if (columns)
            json_object_set_new(services, name, columns);
        json_t *p = path_json(b, k, quantities);
        if (p)
            json_object_set_new(path, name, p);
    }
    json_t *line = json_pack("{s:[I,I],s:o}", "trials", (json_int_t)b->first,
                             (json_int_t)(b->first + b->trials - 1), "services", services);
    if (json_object_size(path))
        json_object_set(line, "path", path);
    json_decref(path);
    return line;
}

/* ---- reading ---- */

/* One token with its repetition; false when there is none, or it is not one. */
static bool token(const char **p, char ret_text[TOKEN_MAX], size_t *ret_times)
{
    size_t len = strcspn(*p, " *");
    *ret_times = 1;
    if (len == 0 || len >= TOKEN_MAX)
        return false;
    memcpy(ret_text, *p, len);
    ret_text[len] = '\0';
    *p += len;
    if (**p == '*') {
        char *end;
        unsigned long long n = strtoull(*p + 1, &end, 10);
        if ((*p)[1] < '1' || (*p)[1] > '9' || n > BLOCK_MOST)
            return false;
        *ret_times = (size_t)n;
        *p = end;
    }
    if (**p == ' ')
        ++*p;
    else if (**p)
        return false;
    return true;
}

static bool whole(const char *text, uint64_t *ret)
{
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n > 19 || text[n])
        return false;
    *ret = strtoull(text, NULL, 10);
    return *ret <= INT64_MAX;
}

static bool read_time(const char *text, nsec *ret)
{
    uint64_t v;
    *ret = NSEC_UNSET;
    if (strcmp(text, "-") == 0)
        return true;
    *ret = NSEC_INF;
    if (strcmp(text, "inf") == 0)
        return true;
    bool negative = *text == '-';
    if (!whole(text + negative, &v))
        return false;
    *ret = negative ? -(nsec)v : (nsec)v;
    return true;
}

static bool read_letter(const char *text, const char *letters, unsigned char *ret)
{
    const char *at = *text && !text[1] ? strchr(letters, *text) : NULL;
    if (at)
        *ret = (unsigned char)(at - letters);
    return at;
}

static bool read_value(const char *text, enum column c, struct outcome *o)
{
    uint64_t v = 0;
    nsec t;
    unsigned char kind;
    switch (c) {
    case KIND:
        if (!read_letter(text, kind_letters, &kind))
            return false;
        *o = plain((enum outcome_kind)kind);
        return true;
    case BY:
        return read_letter(text, by_letters, &o->by);
    case EPISODES:
    case BLIPS:
    case FALSE_ALARMS:
        if (!whole(text, &v) || v > UINT32_MAX)
            return false;
        *(c == EPISODES ? &o->episodes : c == BLIPS ? &o->blips : &o->false_alarms) = (uint32_t)v;
        return true;
    case WEIGHT: {
        char *end;
        o->weight = strtod(text, &end);
        return !*end && o->weight >= 0;
    }
    case TIMES:
    case END:
        break;
    }
    if (!read_time(text, &t))
        return false;
    outcome_set_time(o, (enum outcome_time)(c - TIMES), t);
    return true;
}

static bool read_column(const char *text, enum column c, struct outcome *out, size_t n)
{
    size_t done = 0, times;
    char value[TOKEN_MAX];
    if (c == (enum column)(TIMES + OUTCOME_DOWN) && strcmp(text, DOWN_IS_TTR) == 0) {
        for (size_t i = 0; i < n; i++)
            out[i].down = out[i].ttr;
        return true;
    }
    while (*text) {
        if (!token(&text, value, &times) || times > n - done || !read_value(value, c, &out[done]))
            return false;
        for (size_t i = 1; i < times; i++) {
            if (c == KIND)
                out[done + i] = out[done];
            else
                (void)read_value(value, c, &out[done + i]);
        }
        done += times;
    }
    return done == n;
}

static int read_service(const char *name, const json_t *columns, struct outcome *out, size_t n,
                        struct err *err)
{
    size_t known = 0;
    for (size_t i = 0; i < n; i++)
        out[i] = plain(OUTCOME_IS_UNAFFECTED);
    for (enum column c = KIND; c < END; c++) {
        const char *text = jsonx_str(columns, column_name(c), NULL);
        if (!text)
            continue;
        known++;
        if (!read_column(text, c, out, n))
            return err_set(err, EBADMSG, "the column %s of %s does not hold %zu values",
                           column_name(c), name, n);
    }
    if (known != json_object_size(columns))
        return err_set(err, EBADMSG, "the outcomes of %s have a column that is not known", name);
    return 0;
}

/* They stand in the scenario's order, so the next one is found soon. */
static size_t service_index(const struct scenario *s, const char *name, size_t from)
{
    for (size_t i = 0; i < s->services.n; i++) {
        size_t k = (from + i) % s->services.n;
        if (strcmp(((const struct service *)s->services.items[k])->name, name) == 0)
            return k;
    }
    return s->services.n;
}

int block_read(const json_t *line, const struct scenario *s, block_service_fn *fn, void *data,
               uint64_t *ret_first, uint64_t *ret_last, struct err *err)
{
    const json_t *trials = json_object_get(line, "trials");
    json_int_t first = json_integer_value(json_array_get(trials, 0));
    json_int_t last = json_integer_value(json_array_get(trials, 1));
    const char *name;
    json_t *columns;
    if (first < 1 || last < first || last - first >= BLOCK_MOST)
        return err_set(err, EBADMSG, "a block of outcomes does not say of which trials it is");
    size_t n = (size_t)(last - first) + 1, k = 0;
    AUTO_FREE struct outcome *out = calloc(n, sizeof *out);
    if (!out)
        abort();
    json_object_foreach (json_object_get(line, "services"), name, columns) {
        k = service_index(s, name, k);
        if (k == s->services.n)
            return err_set(err, EBADMSG, "there are outcomes of '%s', which is no service", name);
        int rc = read_service(name, columns, out, n, err);
        if (rc == 0)
            rc = fn(k, out, n, data, err);
        if (rc < 0)
            return rc;
    }
    *ret_first = (uint64_t)first;
    *ret_last = (uint64_t)last;
    return 0;
}
