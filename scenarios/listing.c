/* Tables to words: for the terminal, as JSON, and as the manual's tables. */
#include "scenarios/listing.h"

#include "injectors/injector.h"
#include "scenarios/decode.h"
#include "sim/base/jsonx.h"
#include "sim/watch/watch.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define LISTING_WIDTH 80
#define LISTING_MAX 128

const char *const listing_words[] = {
    [LISTING_INJECTORS] = "injectors",
    [LISTING_PROBES] = "probes",
    [LISTING_ALARMS] = "alarms",
    NULL,
};
static_assert(ARRAY_SIZE(listing_words) == LISTING_ALARMS + 2, "a word for each kind");

static const struct variant *const *listing_registry(enum listing_kind kind)
{
    return kind == LISTING_INJECTORS ? injector_actions
           : kind == LISTING_PROBES  ? watch_probe_kinds
                                     : watch_alarm_kinds;
}

static int listing_find(enum listing_kind kind, const char *name, const struct variant **ret,
                        struct err *err)
{
    const struct variant *const *all = listing_registry(kind);
    const char *names[LISTING_MAX];
    char quoted[DIAG_QUOTE_MAX], hint[DIAG_QUOTE_MAX + 24];
    size_t n = 0;
    for (; all[n] && n < LISTING_MAX; n++) {
        names[n] = all[n]->name;
        if (!strcmp(name, names[n])) {
            *ret = all[n];
            return 0;
        }
    }
    return err_set(err, ENOENT, "there is no '%s' among the %s%s", diag_quote(name, quoted),
                   listing_words[kind], diag_nearest(name, names, n, hint));
}

/* --- What a field takes, in words --- */

/* "1 to 1000", "at least 1ms": bounds that say something; "" when there are none. */
void listing_bounds(const struct field *f, struct buf *out)
{
    char lo[FIELD_NUMBER_MAX], hi[FIELD_NUMBER_MAX];
    if ((!f->min && !f->max) || f->type == FIELD_PORTS || f->type == FIELD_DURATIONS)
        return;
    buf_printf(out, ", %s", field_number_text(f, f->min, lo));
    if (f->min != f->max)
        buf_printf(out, " to %s", field_number_text(f, f->max, hi));
}

const char *listing_scalar(const struct field *f)
{
    static const char *const words[] = {
        [FIELD_TEXT] = "text",
        [FIELD_NAME] = "name",
        [FIELD_INTEGER] = "whole number",
        [FIELD_DURATION] = "duration",
        [FIELD_PERCENT] = "percentage",
        [FIELD_NUMBER] = "number",
        [FIELD_RATE] = "rate",
        [FIELD_SIZE] = "size",
        [FIELD_DURATIONS] = "list of durations",
        [FIELD_PORTS] = "port or range, one or a list",
        [FIELD_PEERS] = "host, address or prefix, one or a list",
        [FIELD_TEXTS] = "text, one or a list",
    };
    return f->flags & FIELD_COMMAND ? "command"
           : f->flags & FIELD_REGEX ? "regular expression"
                                    : words[f->type];
}

static const char *ref_words(enum field_ref ref)
{
    static const char *const words[] = {
        [REF_NONE] = "name",
        [REF_SERVICE] = "service",
        [REF_NETWORK] = "network",
        [REF_HOST] = "host",
        [REF_GROUP] = "group",
        [REF_PROBE] = "probe",
        [REF_ALARM] = "alarm",
        [REF_STEP] = "step",
        [REF_ROLE_OR_ALARM] = "alarm or role",
        [REF_COMPONENT] = "component or host",
        [REF_CREW] = "crew",
        [REF_RESPONDER] = "role of people",
    };
    return words[ref];
}

static void type_text(const struct field *f, struct buf *out)
{
    const char *record = f->record ? f->record->name : "";
    int quoted = *record == '\''; /* 'settle': as messages need it */
    switch (f->type) {
    case FIELD_WORD:
        for (size_t i = 0; f->words[i]; i++)
            buf_printf(out, "%s%s", i ? " | " : "", f->words[i]);
        break;
    case FIELD_REF:
        buf_printf(out, "name of a %s", ref_words(f->ref));
        break;
    case FIELD_REFS:
        buf_printf(out, "names of a %s, one or a list", ref_words(f->ref));
        break;
    case FIELD_OBJECT:
        buf_printf(out, "%.*s", (int)strlen(record) - 2 * quoted, record + quoted);
        break;
    case FIELD_OBJECTS:
        buf_printf(out, "%s, one or a list", record);
        break;
    case FIELD_MAP:
        buf_printf(out, "mapping from names to %ss", record);
        break;
    case FIELD_SERIES:
        buf_printf(out, "list of names with a %s each", record);
        break;
    case FIELD_GROUPS:
        buf_printf(out, "list of lists of %ss", record);
        break;
    case FIELD_PAIRS:
        buf_adds(out, "mapping from words to texts");
        break;
    case FIELD_BOOL:
        buf_adds(out, "true | false");
        break;
    case FIELD_TEXT:
    case FIELD_TEXTS:
    case FIELD_NAME:
    case FIELD_INTEGER:
    case FIELD_DURATION:
    case FIELD_PERCENT:
    case FIELD_DURATIONS:
    case FIELD_NUMBER:
    case FIELD_RATE:
    case FIELD_SIZE:
    case FIELD_PORTS:
    case FIELD_PEERS:
        buf_adds(out, listing_scalar(f));
        break;
    }
    listing_bounds(f, out);
}

/* --- Text --- */

/* Adds words wrapped at LISTING_WIDTH; the first line begins at column `col`. */
static void wrap(struct buf *out, const char *text, size_t indent, size_t col)
{
    bool fresh = true; /* nothing of ours stands on this line */
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, " \n"), width = 0;
        for (size_t i = 0; i < n; i++)
            width += ((unsigned char)p[i] & 0xc0) != 0x80;
        if (!fresh && col + 1 + width > LISTING_WIDTH) {
            buf_printf(out, "\n%*s", (int)indent, "");
            col = indent;
            fresh = true;
        }
        if (!fresh) {
            buf_addc(out, ' ');
            col++;
        }
        buf_add(out, p, n);
        fresh = false;
        col += width;
        p += n;
        p += strspn(p, " \n");
    }
    buf_addc(out, '\n');
}

static void field_text(const struct field *f, size_t indent, struct buf *out);

/* A nested record's own keys, one level deeper; a record that holds itself stops there. */
static void record_text(const struct record *r, size_t indent, struct buf *out)
{
    for (const struct field *f = r->fields; f->key; f++)
        field_text(f, indent, out);
}

static void field_text(const struct field *f, size_t indent, struct buf *out)
{
    AUTO_BUF head = BUF_INIT;
    buf_printf(&head, "%s: ", f->key);
    type_text(f, &head);
    if (f->flags & FIELD_REQUIRED)
        buf_adds(&head, "; required");
    if (f->dflt && *f->dflt)
        buf_printf(&head, "; default %s", f->dflt);
    buf_printf(out, "%*s", (int)indent, "");
    wrap(out, buf_text(&head), indent + 4, indent);
    if (f->help) {
        buf_printf(out, "%*s", (int)indent + 4, "");
        wrap(out, f->help, indent + 4, indent + 4);
    }
    if (f->example) {
        AUTO_BUF example = BUF_INIT;
        buf_printf(&example, "Example: %s", f->example);
        buf_printf(out, "%*s", (int)indent + 4, "");
        wrap(out, buf_text(&example), indent + 4, indent + 4);
    }
    if (f->record && indent < 12)
        record_text(f->record, indent + 4, out);
}

/* --- Does it work here? --- */

/* The first that is missing; NULL: none. */
static const struct hostcap *missing(const struct hostcaps *caps, const char *const *names)
{
    for (; *names; names++) {
        const struct hostcap *cap = hostcaps_find(caps, *names);
        if (cap && !cap->ok)
            return cap;
    }
    return NULL;
}

static json_t *one_way(const char *by, const struct hostcap *lacks)
{
    return json_pack("{s:s*, s:b, s:o*, s:s*}", "by", by, "works", lacks == NULL, "why",
                     lacks ? json_sprintf("%s: %s", lacks->name, lacks->detail) : NULL, "cure",
                     lacks ? lacks->consequence : NULL);
}

/* [{by, works, why, cure}…]: one for each means of the injector. */
static json_t *here_json(const struct injector *injector, const struct hostcaps *caps)
{
    json_t *list = json_array();
    const struct hostcap *no_lab = NULL;
    for (size_t i = 0; !caps->lab_possible && i < caps->n && !no_lab; i++)
        if (!caps->items[i].ok && strstr(caps->items[i].consequence, "o lab is possible"))
            no_lab = &caps->items[i];
    if (no_lab || !injector->means)
        json_array_append_new(list, one_way(NULL, no_lab));
    for (const struct inject_means *m = injector->means; !no_lab && m && m->name; m++)
        json_array_append_new(list, one_way(m->name, missing(caps, m->caps)));
    return list;
}

static void here_text(const struct injector *injector, const struct hostcaps *caps, struct buf *out)
{
    AUTO_JSON *list = here_json(injector, caps);
    size_t i;
    const json_t *way;
    json_array_foreach (list, i, way) {
        AUTO_BUF line = BUF_INIT;
        const char *by = jsonx_str(way, "by", NULL);
        buf_printf(&line, "Here%s%s: ", by ? ", by " : "", by ? by : "");
        if (json_is_true(json_object_get(way, "works")))
            buf_adds(&line, "works.");
        else
            buf_printf(&line, "not possible: %s. %s", jsonx_str(way, "why", ""),
                       jsonx_str(way, "cure", ""));
        wrap(out, buf_text(&line), 4, 0);
    }
}

int listing_text(enum listing_kind kind, const char *name, const struct hostcaps *caps,
                 struct buf *out, struct err *err)
{
    const struct variant *const *all = listing_registry(kind), *one = NULL;
    size_t width = 0;
    if (name) {
        int r = listing_find(kind, name, &one, err);
        if (r < 0)
            return r;
        buf_printf(out, "%s: ", one->name);
        wrap(out, one->summary, 0, strlen(one->name) + 2);
        if (one->detail) {
            buf_addc(out, '\n');
            wrap(out, one->detail, 0, 0);
        }
        if (caps && kind == LISTING_INJECTORS) {
            buf_addc(out, '\n');
            here_text(one->impl, caps, out);
        }
        buf_addc(out, '\n');
        record_text(one->params, 2, out);
        return 0;
    }
    for (size_t i = 0; all[i]; i++)
        if (strlen(all[i]->name) > width)
            width = strlen(all[i]->name);
    for (size_t i = 0; all[i]; i++) {
        buf_printf(out, "%-*s ", (int)width, all[i]->name);
        wrap(out, all[i]->summary, width + 2, width + 1);
    }
    return 0;
}

/* --- JSON --- */

static json_t *record_json(const struct record *r, unsigned depth)
{
    json_t *list = json_array();
    for (const struct field *f = r->fields; f->key; f++) {
        AUTO_BUF type = BUF_INIT;
        type_text(f, &type);
        json_t *j = json_pack("{s:s, s:s, s:b}", "key", f->key, "type", buf_text(&type), "required",
                              (f->flags & FIELD_REQUIRED) != 0);
        if (f->dflt && *f->dflt)
            json_object_set_new(j, "default", json_string(f->dflt));
        if (f->help)
            json_object_set_new(j, "help", json_string(f->help));
        if (f->example)
            json_object_set_new(j, "example", json_string(f->example));
        if (f->record && depth < 3)
            json_object_set_new(j, "parameters", record_json(f->record, depth + 1));
        json_array_append_new(list, j);
    }
    return list;
}

static json_t *variant_json(const struct variant *v, const struct hostcaps *caps)
{
    json_t *j = json_pack("{s:s, s:s}", "name", v->name, "summary", v->summary);
    if (v->detail)
        json_object_set_new(j, "detail", json_string(v->detail));
    if (caps)
        json_object_set_new(j, "here", here_json(v->impl, caps));
    json_object_set_new(j, "parameters", record_json(v->params, 0));
    return j;
}

int listing_json(enum listing_kind kind, const char *name, const struct hostcaps *caps,
                 json_t **ret, struct err *err)
{
    const struct variant *const *all = listing_registry(kind), *one = NULL;
    if (name) {
        int r = listing_find(kind, name, &one, err);
        if (r < 0)
            return r;
    }
    json_t *list = json_array();
    for (size_t i = 0; all[i]; i++)
        if (!one || all[i] == one)
            json_array_append_new(list,
                                  variant_json(all[i], kind == LISTING_INJECTORS ? caps : NULL));
    *ret = list;
    return 0;
}
