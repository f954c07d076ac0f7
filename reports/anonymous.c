/* People and hosts under other names. */
#include "reports/anonymous.h"

#include <ctype.h>
#include <string.h>

#include "sim/base/buf.h"
#include "sim/base/jsonx.h"

struct names {
    struct arena *arena;
    struct {
        const char *from, *to;
    } items[256];
    size_t n;
};

static void add(struct names *v, const char *from, const char *to)
{
    if (!from || !*from || v->n == ARRAY_SIZE(v->items))
        return;
    for (size_t i = 0; i < v->n; i++)
        if (strcmp(v->items[i].from, from) == 0)
            return;
    v->items[v->n].from = arena_strdup(v->arena, from);
    v->items[v->n++].to = arena_strdup(v->arena, to);
}

static bool in_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-';
}

/* The text with every known name replaced where it stands as a whole word. NULL: none occurred. */
static char *replaced(const struct names *v, const char *s)
{
    AUTO_BUF out = BUF_INIT;
    bool any = false;
    for (const char *p = s; *p;) {
        size_t i = v->n, len = 0;
        if (p == s || !in_word(p[-1]))
            for (i = 0; i < v->n; i++) {
                len = strlen(v->items[i].from);
                if (strncmp(p, v->items[i].from, len) == 0 && !in_word(p[len]))
                    break;
            }
        if (i < v->n) {
            buf_adds(&out, v->items[i].to);
            p += len;
            any = true;
        } else {
            buf_addc(&out, *p++);
        }
    }
    return any ? buf_steal(&out) : NULL;
}

/* Members whose text is a word of ours or a name that stays. */
static bool stays(const char *key)
{
    static const char *const keys[] = {
        "kind", "event",  "state",  "outcome", "cause", "probe",   "alarm",
        "step", "action", "role",   "service", "mark",  "why",     "what",
        "hash", "prev",   "status", "mode",    "clock", "digest",  "seed",
        "wall", "id",     "kernel", "machine", "unit",  "version", NULL};
    for (size_t i = 0; keys[i]; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

static void walk(const struct names *v, json_t *j);

static json_t *renamed(const struct names *v, json_t *value)
{
    if (!json_is_string(value)) {
        walk(v, value);
        return NULL;
    }
    AUTO_FREE char *text = replaced(v, json_string_value(value));
    return text ? json_string(text) : NULL;
}

static void walk(const struct names *v, json_t *j)
{
    if (json_is_array(j)) {
        for (size_t i = 0; i < json_array_size(j); i++) {
            json_t *other = renamed(v, json_array_get(j, i));
            if (other)
                json_array_set_new(j, i, other);
        }
    } else if (json_is_object(j)) {
        const char *key;
        json_t *value;
        void *next;
        json_object_foreach_safe(j, next, key, value)
        {
            if (json_is_string(value) && stays(key))
                continue;
            json_t *other = renamed(v, value);
            if (other)
                json_object_set_new(j, key, other);
        }
    }
}

static void rename_text(const struct names *v, char **text)
{
    AUTO_FREE char *other = *text ? replaced(v, *text) : NULL;
    if (other)
        *text = arena_strdup(v->arena, other);
}

void anonymous_apply(struct scenario *s, json_t *events)
{
    struct names v = {.arena = s->arena};
    size_t people = 0;
    for (size_t i = 0; i < s->hosts.n; i++)
        add(&v, ((struct host *)s->hosts.items[i])->name,
            arena_printf(s->arena, "host-%zu", i + 1));
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *e = json_array_get(events, i);
        const char *kind = jsonx_str(e, "kind", "");
        if (strcmp(kind, "run-start") == 0) {
            add(&v, jsonx_str(e, "operator", NULL), arena_printf(s->arena, "person-%zu", ++people));
            add(&v, jsonx_str(json_object_get(e, "environment"), "hostname", NULL), "machine");
        } else if (strcmp(kind, "mark") == 0) {
            size_t before = v.n;
            add(&v, jsonx_str(e, "by", NULL), arena_printf(s->arena, "person-%zu", people + 1));
            people += v.n > before;
        }
    }
    for (size_t i = 0; i < s->services.n; i++) {
        struct service *service = s->services.items[i];
        if (service->owner)
            service->owner = arena_printf(s->arena, "owner-%zu", i + 1);
    }
    walk(&v, events);
    rename_text(&v, &s->title);
    rename_text(&v, &s->why);
    for (size_t i = 0; i < s->hosts.n; i++)
        rename_text(&v, &((struct host *)s->hosts.items[i])->name);
    for (size_t i = 0; i < s->probes.n; i++)
        rename_text(&v, &((struct probe *)s->probes.items[i])->host);
}
