/* What tables say about values, in words. See field.h. */
#include "sim/model/field.h"

#include "sim/base/units.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

_Static_assert(FIELD_NUMBER_MAX >= NSEC_TEXT_MAX && FIELD_NUMBER_MAX >= UNITS_TEXT_MAX,
               "every number fits");

bool field_peer_is_address(const char *text)
{
    return isdigit((unsigned char)*text) || strpbrk(text, ":/") != NULL;
}

const char *field_number_text(const struct field *f, int64_t v, char buf[FIELD_NUMBER_MAX])
{
    if (f->type == FIELD_DURATION)
        return nsec_yaml(v, buf);
    if (f->type == FIELD_RATE)
        return units_rate_text(v, buf);
    if (f->type == FIELD_SIZE)
        return units_size_text(v, buf);
    snprintf(buf, FIELD_NUMBER_MAX, "%" PRId64, v);
    return buf;
}

/* --- Hosts ------------------------------------------------------------------------------------ */

struct hosts_walk {
    field_host_fn *fn;     /* NULL: hosts are not asked for */
    field_object_fn *each; /* NULL: objects are not */
    void *data;
};

static void say_host(const struct hosts_walk *w, const char *host, bool peer, bool listed)
{
    if (w->fn)
        w->fn(host, peer, listed, w->data);
}

static void walk_object(const struct record *r, const void *object, const struct hosts_walk *w);

static void walk_texts(const struct field *f, const struct strv *v, const struct hosts_walk *w)
{
    bool peers = f->type == FIELD_PEERS;
    for (size_t i = 0; i < v->n; i++)
        if (!peers || !field_peer_is_address(v->items[i]))
            say_host(w, v->items[i], peers, true);
}

static void walk_objects(const struct field *f, const struct objects *v, const struct hosts_walk *w)
{
    for (size_t i = 0; i < v->n; i++) {
        if (f->type == FIELD_GROUPS) {
            const struct objects *group = v->items[i];
            for (size_t k = 0; k < group->n; k++)
                walk_object(f->record, group->items[k], w);
            continue;
        }
        if (f->type == FIELD_MAP && f->ref == REF_HOST)
            say_host(
                w,
                *(char *const *)(const void *)((const char *)v->items[i] + f->record->name_offset),
                false, true);
        walk_object(f->record, v->items[i], w);
    }
}

static void walk_object(const struct record *r, const void *object, const struct hosts_walk *w)
{
    if (object && w->each)
        w->each(r, (void *)(uintptr_t)object, w->data);
    for (const struct field *f = r->fields; object && f->key; f++) {
        const void *m = (const char *)object + f->offset;
        if (f->type == FIELD_REF && f->ref == REF_HOST && *(char *const *)m)
            say_host(w, *(char *const *)m, false, false);
        else if ((f->type == FIELD_REFS && f->ref == REF_HOST) || f->type == FIELD_PEERS)
            walk_texts(f, m, w);
        else if (f->type == FIELD_OBJECT)
            walk_object(f->record, *(void *const *)m, w);
        else if (f->type == FIELD_OBJECTS || f->type == FIELD_MAP || f->type == FIELD_GROUPS ||
                 f->type == FIELD_SERIES)
            walk_objects(f, m, w);
    }
}

void field_hosts(const struct record *r, const void *object, field_host_fn *fn, void *data)
{
    const struct hosts_walk w = {.fn = fn, .data = data};
    walk_object(r, object, &w);
}

void field_objects(const struct record *r, void *object, field_object_fn *fn, void *data)
{
    const struct hosts_walk w = {.each = fn, .data = data};
    walk_object(r, object, &w);
}

const struct variant *field_variant(const struct record *r, size_t i)
{
    size_t n = 0;
    for (; r->variants && r->variants[n]; n++)
        if (n == i)
            return r->variants[n];
    for (size_t k = 0; r->more && r->more[k]; k++)
        if (n + k == i)
            return r->more[k];
    return NULL;
}
