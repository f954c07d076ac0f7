/* One line for each scalar; places are left out, because they are what differs. */
#include "tests/support/model_dump.h"

#include <inttypes.h>

static void dump_object(const struct record *r, const void *obj, unsigned depth, struct buf *out);

static const void *member_at(const void *obj, size_t offset)
{
    return (const char *)obj + offset;
}

static void dump_list(const struct field *f, const struct objects *v, unsigned depth,
                      struct buf *out)
{
    buf_printf(out, "%zu\n", v->n);
    for (size_t i = 0; i < v->n; i++)
        dump_object(f->record, v->items[i], depth + 1, out);
}

static void dump_texts(const struct strv *v, struct buf *out)
{
    for (size_t i = 0; i < v->n; i++)
        buf_printf(out, "[%s]", v->items[i]);
}

static void dump_pairs(const struct pairs *v, struct buf *out)
{
    for (size_t i = 0; i < v->n; i++)
        buf_printf(out, "[%s=%d:%s]", v->items[i].key, v->items[i].source, v->items[i].value);
}

static void dump_field(const struct field *f, const void *obj, unsigned depth, struct buf *out)
{
    const void *m = member_at(obj, f->offset);
    if (f->flags & FIELD_ELSEWHERE)
        return;
    buf_printf(out, "%*s%s: ", (int)depth * 2, "", f->key);
    switch (f->type) {
    case FIELD_TEXT:
    case FIELD_NAME:
    case FIELD_REF:
        buf_adds(out, *(char *const *)m ? *(char *const *)m : "(none)");
        break;
    case FIELD_BOOL:
        buf_adds(out, *(const bool *)m ? "true" : "false");
        break;
    case FIELD_INTEGER:
    case FIELD_DURATION:
    case FIELD_RATE:
    case FIELD_SIZE:
        buf_printf(out, "%" PRId64, *(const int64_t *)m);
        break;
    case FIELD_DURATIONS:
        for (size_t i = 0; i < ((const struct durations *)m)->n; i++)
            buf_printf(out, "[%" PRId64 "]", ((const struct durations *)m)->items[i]);
        break;
    case FIELD_NUMBER:
    case FIELD_PERCENT:
        buf_printf(out, "%.17g", *(const double *)m);
        break;
    case FIELD_WORD:
        buf_printf(out, "%d", *(const int *)m);
        break;
    case FIELD_TEXTS:
    case FIELD_REFS:
    case FIELD_PEERS:
        dump_texts(m, out);
        break;
    case FIELD_PORTS:
        for (size_t i = 0; i < ((const struct port_ranges *)m)->n; i++)
            buf_printf(out, "[%u-%u]", ((const struct port_ranges *)m)->items[i].lo,
                       ((const struct port_ranges *)m)->items[i].hi);
        break;
    case FIELD_PAIRS:
        dump_pairs(m, out);
        break;
    case FIELD_OBJECT:
        buf_addc(out, '\n');
        if (*(void *const *)m)
            dump_object(f->record, *(void *const *)m, depth + 1, out);
        return;
    case FIELD_OBJECTS:
    case FIELD_MAP:
    case FIELD_SERIES:
        dump_list(f, m, depth, out);
        return;
    case FIELD_GROUPS:
        for (size_t i = 0; i < ((const struct objects *)m)->n; i++)
            dump_list(f, ((const struct objects *)m)->items[i], depth + 1, out);
        return;
    }
    buf_addc(out, '\n');
}

static void dump_object(const struct record *r, const void *obj, unsigned depth, struct buf *out)
{
    if (r->name_offset != SIZE_MAX)
        buf_printf(out, "%*sname %s\n", (int)depth * 2, "",
                   *(char *const *)member_at(obj, r->name_offset));
    for (const struct field *f = r->fields; f->key; f++)
        dump_field(f, obj, depth, out);
    if (!r->variants)
        return;
    const struct variant *v = *(const struct variant *const *)member_at(obj, r->variant_offset);
    buf_printf(out, "%*s%s:\n", (int)depth * 2, "", v->name);
    dump_object(v->params, *(void *const *)member_at(obj, r->params_offset), depth + 1, out);
}

void model_dump(const struct record *r, const void *obj, struct buf *out)
{
    dump_object(r, obj, 0, out);
}
