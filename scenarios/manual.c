/* The tables of keys in docs/scenario.md, from the tables that the decoder uses. */
#include "scenarios/listing.h"

#include "injectors/injector.h"
#include "scenarios/tables.h"
#include "sim/watch/watch.h"

#include <inttypes.h>
#include <string.h>

#define MANUAL_RECORDS_MAX 128

struct manual {
    struct buf *out;
    const struct record *done[MANUAL_RECORDS_MAX]; /* in the order in which they are described */
    size_t n;
};

/* The name of a record without the quotes that it has in messages. */
static void record_name(struct buf *out, const struct record *r)
{
    for (const char *p = r->name; *p; p++)
        if (*p != '\'')
            buf_addc(out, *p);
}

static void cell(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            buf_addc(out, '\\');
        buf_addc(out, *text);
    }
}

static void type_cell(const struct field *f, struct buf *out)
{
    switch (f->type) {
    case FIELD_WORD:
        for (size_t i = 0; f->words[i]; i++)
            buf_printf(out, "%s`%s`", i ? ", " : "", f->words[i]);
        return;
    case FIELD_OBJECT:
        record_name(out, f->record);
        return;
    case FIELD_OBJECTS:
        record_name(out, f->record);
        buf_adds(out, ", one or a list");
        return;
    case FIELD_MAP:
        buf_adds(out, "names: ");
        record_name(out, f->record);
        return;
    case FIELD_SERIES:
        buf_adds(out, "list of names: ");
        record_name(out, f->record);
        return;
    case FIELD_GROUPS:
        buf_adds(out, "lists of lists: ");
        record_name(out, f->record);
        return;
    case FIELD_REFS:
        buf_adds(out, "name, one or a list");
        return;
    case FIELD_REF:
        buf_adds(out, "name");
        return;
    case FIELD_BOOL:
        buf_adds(out, "`true`, `false`");
        return;
    case FIELD_PAIRS:
        buf_adds(out, "words: texts");
        return;
    case FIELD_TEXT:
    case FIELD_TEXTS:
    case FIELD_NAME:
    case FIELD_INTEGER:
    case FIELD_DURATION:
    case FIELD_PERCENT:
    case FIELD_NUMBER:
    case FIELD_DURATIONS:
    case FIELD_RATE:
    case FIELD_SIZE:
    case FIELD_PORTS:
    case FIELD_PEERS:
        buf_adds(out, listing_scalar(f));
        break;
    }
    listing_bounds(f, out);
}

static void manual_meet(struct manual *m, const struct record *r)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->done[i] == r)
            return;
    if (m->n < MANUAL_RECORDS_MAX)
        m->done[m->n++] = r;
}

static void manual_record(struct manual *m, const struct record *r)
{
    struct buf *out = m->out;
    if (r->shorthand)
        buf_printf(out, "A lone value stands for `%s`.\n\n", r->shorthand);
    buf_adds(out, "| key | takes | default | meaning |\n|---|---|---|---|\n");
    for (const struct field *f = r->fields; f->key; f++) {
        buf_printf(out, "| `%s` | ", f->key);
        type_cell(f, out);
        buf_adds(out, " | ");
        if (f->flags & FIELD_REQUIRED)
            buf_adds(out, "required");
        else if (f->dflt && *f->dflt)
            buf_printf(out, "`%s`", f->dflt);
        buf_adds(out, " | ");
        cell(out, f->help ? f->help : "");
        if (f->example) {
            buf_adds(out, " Example: `");
            cell(out, f->example);
            buf_adds(out, "`");
        }
        buf_adds(out, " |\n");
        if (f->record)
            manual_meet(m, f->record);
    }
    if (r->variants)
        buf_printf(out, "\nAnd exactly one key that is %s.\n", r->variant_what);
    buf_addc(out, '\n');
}

static void manual_section(struct manual *m, const struct record *r)
{
    buf_adds(m->out, "### ");
    record_name(m->out, r);
    buf_adds(m->out, "\n\n");
    if (r->summary)
        buf_printf(m->out, "%s\n\n", r->summary);
    manual_record(m, r);
}

static void manual_variants(struct manual *m, const char *title, const struct variant *const *all)
{
    buf_printf(m->out, "### %s\n\n", title);
    for (size_t i = 0; all[i]; i++) {
        buf_printf(m->out, "#### %s\n\n%s\n\n", all[i]->name, all[i]->summary);
        if (all[i]->detail)
            buf_printf(m->out, "%s\n\n", all[i]->detail);
        manual_record(m, all[i]->params);
    }
}

void listing_manual(struct buf *out)
{
    struct manual m = {.out = out};
    manual_meet(&m, &scenario_record);
    size_t next = 0;
    for (; next < m.n; next++)
        manual_section(&m, m.done[next]);
    manual_variants(&m, "Actions", injector_actions);
    manual_variants(&m, "Steps of people", tables_people);
    manual_variants(&m, "Kinds of probes", watch_probe_kinds);
    manual_variants(&m, "Kinds of alarms", watch_alarm_kinds);
    for (; next < m.n; next++)
        manual_section(&m, m.done[next]);
}
