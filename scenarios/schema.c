/* One definition for each record; fields become properties. */
#include "scenarios/schema.h"

#include "scenarios/tables.h"
#include "sim/base/jsonx.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#define DURATION_PATTERN "^([0-9]+(\\.[0-9]+)?(ns|us|ms|s|m|h|d))+$"
#define PERCENT_PATTERN "^[0-9]+(\\.[0-9]+)?%$"
#define RATE_PATTERN "^[0-9]+(\\.[0-9]+)?(bit|kbit|mbit|gbit|tbit)$"
#define SIZE_PATTERN "^-?[0-9]+(\\.[0-9]+)?(B|kB|MB|GB|KiB|MiB|GiB)$"
#define PORTS_PATTERN "^[0-9]{1,5}(-[0-9]{1,5})?$"
#define NAME_PATTERN "^[A-Za-z][A-Za-z0-9_.-]{0,62}$"
#define VARIABLE_PATTERN "\\$\\{"
#define SCHEMA_RECORDS_MAX 128

struct schema {
    json_t *defs;
    const struct record
        *records[SCHEMA_RECORDS_MAX]; /* that have a definition, or are getting one */
    char *names[SCHEMA_RECORDS_MAX];
    size_t n;
};

/* {"$ref": "#/$defs/NAME"}, making the definition first. */
static json_t *schema_ref(struct schema *c, const struct record *r);
static json_t *field_schema(struct schema *c, const struct field *f);

static json_t *pattern_schema(const char *pattern)
{
    return json_pack("{s:s, s:s}", "type", "string", "pattern", pattern);
}

/* Where a number or a word is asked for, a text with a variable in it may stand too. */
static json_t *or_variable(json_t *schema)
{
    return json_pack("{s:[o, o]}", "anyOf", schema, pattern_schema(VARIABLE_PATTERN));
}

static json_t *either(json_t *a, json_t *b)
{
    return json_pack("{s:[o, o]}", "anyOf", a, b);
}

static json_t *text_schema(const struct field *f)
{
    /* YAML makes numbers and booleans of some texts (80, true); to us they are texts */
    json_t *j = json_pack("{s:[s, s, s]}", "type", "string", "number", "boolean");
    if (f->flags & (FIELD_NON_EMPTY | FIELD_COMMAND | FIELD_FILE))
        json_object_set_new(j, "minLength", json_integer(1));
    return j;
}

static json_t *word_schema(const struct field *f)
{
    json_t *words = json_array();
    for (size_t i = 0; f->words[i]; i++)
        json_array_append_new(words, json_string(f->words[i]));
    return or_variable(json_pack("{s:o}", "enum", words));
}

static json_t *integer_schema(const struct field *f)
{
    json_t *j = json_pack("{s:s}", "type", "integer");
    if (f->min || f->max) {
        json_object_set_new(j, "minimum", json_integer(f->min));
        json_object_set_new(j, "maximum", json_integer(f->max));
    }
    return or_variable(j);
}

static json_t *array_schema(const struct field *f, json_t *items)
{
    json_t *j = json_pack("{s:s, s:o}", "type", "array", "items", items);
    if (f->flags & FIELD_NON_EMPTY)
        json_object_set_new(j, "minItems", json_integer(1));
    return j;
}

static json_t *pairs_schema(const struct field *f)
{
    static const struct field any = {.type = FIELD_TEXT};
    json_t *value = text_schema(&any);
    if (f->flags & FIELD_SECRETS)
        value = either(value,
                       json_pack("{s:s, s:{s:{s:s, s:i}, s:{s:s, s:i}}, s:b, s:i, s:i}", "type",
                                 "object", "properties", "env", "type", "string", "minLength", 1,
                                 "file", "type", "string", "minLength", 1, "additionalProperties",
                                 0, "minProperties", 1, "maxProperties", 1));
    json_t *j = json_pack("{s:s, s:o}", "type", "object", "additionalProperties", value);
    if (f->flags & FIELD_NON_EMPTY)
        json_object_set_new(j, "minProperties", json_integer(1));
    return j;
}

static json_t *map_schema(struct schema *c, const struct field *f)
{
    json_t *j = json_pack("{s:s, s:{s:s}, s:o}", "type", "object", "propertyNames", "pattern",
                          NAME_PATTERN, "additionalProperties", schema_ref(c, f->record));
    if (f->flags & FIELD_NON_EMPTY)
        json_object_set_new(j, "minProperties", json_integer(1));
    return j;
}

static json_t *groups_schema(struct schema *c, const struct field *f)
{
    json_t *group = json_pack("{s:s, s:o, s:i}", "type", "array", "items", schema_ref(c, f->record),
                              "minItems", 1);
    return array_schema(f, group);
}

/* 80, "8000-8010". */
static json_t *port_schema(void)
{
    return either(json_pack("{s:s, s:i, s:i}", "type", "integer", "minimum", 1, "maximum", 65535),
                  or_variable(pattern_schema(PORTS_PATTERN)));
}

static json_t *ports_schema(const struct field *f)
{
    json_t *j =
        json_pack("{s:s, s:o, s:i}", "type", "array", "items", port_schema(), "minItems", 1);
    if (f->max)
        json_object_set_new(j, "maxItems", json_integer(f->max));
    return either(port_schema(), j);
}

/* {between: [A, B]} instead of a value. */
static json_t *or_range(const struct field *f, json_t *value)
{
    if (!(f->flags & FIELD_UNCERTAIN))
        return value;
    json_t *ends = json_pack("{s:s, s:O, s:i, s:i}", "type", "array", "items", value, "minItems", 2,
                             "maxItems", 2);
    return either(value,
                  json_pack("{s:s, s:{s:o}, s:[s], s:b}", "type", "object", "properties", "between",
                            ends, "required", "between", "additionalProperties", 0));
}

static json_t *durations_schema(const struct field *f)
{
    json_t *j = json_pack("{s:s, s:o}", "type", "array", "items",
                          or_range(f, or_variable(pattern_schema(DURATION_PATTERN))));
    json_object_set_new(j, "minItems", json_integer(f->min));
    json_object_set_new(j, "maxItems", json_integer(f->max));
    return f->flags & FIELD_FILE ? either(j, pattern_schema("^.")) : j;
}

/* A plain number; bounds that are not 0 hold. */
static json_t *number_schema(const struct field *f)
{
    json_t *j = json_pack("{s:s, s:i}", "type", "number", "minimum", f->min);
    if (f->max)
        json_object_set_new(j, "maximum", json_integer(f->max));
    return or_variable(j);
}

/* [{fetch: 3s}, {build: 1m}] */
static json_t *series_schema(struct schema *c, const struct field *f)
{
    json_t *item = json_pack("{s:s, s:{s:s}, s:o, s:i, s:i}", "type", "object", "propertyNames",
                             "pattern", NAME_PATTERN, "additionalProperties",
                             schema_ref(c, f->record), "minProperties", 1, "maxProperties", 1);
    return array_schema(f, item);
}

static json_t *type_schema(struct schema *c, const struct field *f)
{
    switch (f->type) {
    case FIELD_TEXT:
        return text_schema(f);
    case FIELD_NAME:
        return or_variable(pattern_schema(NAME_PATTERN));
    case FIELD_REF:
        return pattern_schema("^.");
    case FIELD_BOOL:
        return or_variable(json_pack("{s:s}", "type", "boolean"));
    case FIELD_INTEGER:
        return integer_schema(f);
    case FIELD_DURATION:
        return or_range(f, or_variable(pattern_schema(DURATION_PATTERN)));
    case FIELD_DURATIONS:
        return durations_schema(f);
    case FIELD_PERCENT:
        return or_range(f, or_variable(pattern_schema(PERCENT_PATTERN)));
    case FIELD_NUMBER:
        return or_range(f, number_schema(f));
    case FIELD_RATE:
        return or_variable(pattern_schema(RATE_PATTERN));
    case FIELD_SIZE:
        return or_variable(pattern_schema(SIZE_PATTERN));
    case FIELD_PORTS:
        return ports_schema(f);
    case FIELD_WORD:
        return word_schema(f);
    case FIELD_TEXTS:
        return either(text_schema(f), array_schema(f, text_schema(f)));
    case FIELD_REFS:
    case FIELD_PEERS:
        return either(pattern_schema("^."), array_schema(f, pattern_schema("^.")));
    case FIELD_PAIRS:
        return pairs_schema(f);
    case FIELD_OBJECT:
        return schema_ref(c, f->record);
    case FIELD_OBJECTS:
        return either(array_schema(f, schema_ref(c, f->record)), schema_ref(c, f->record));
    case FIELD_MAP:
        return map_schema(c, f);
    case FIELD_SERIES:
        return series_schema(c, f);
    case FIELD_GROUPS:
        return groups_schema(c, f);
    }
    return json_true();
}

static json_t *field_schema(struct schema *c, const struct field *f)
{
    json_t *j = type_schema(c, f);
    if (f->help)
        json_object_set_new(j, "description", json_string(f->help));
    if (f->dflt && *f->dflt) {
        char *end;
        long long v = strtoll(f->dflt, &end, 10);
        json_t *dflt = f->type == FIELD_INTEGER && !*end ? json_integer(v)
                       : f->type == FIELD_BOOL           ? json_boolean(!strcmp(f->dflt, "true"))
                                                         : json_string(f->dflt);
        json_object_set_new(j, "default", dflt);
    }
    return j;
}

static void add_required(json_t *object, const struct record *r)
{
    AUTO_JSON *keys = json_array();
    bool includes = false;
    for (const struct field *f = r->fields; f->key; f++) {
        if (f->flags & FIELD_REQUIRED)
            json_array_append_new(keys, json_string(f->key));
        includes = includes || ((f->flags & FIELD_ELSEWHERE) && !strcmp(f->key, "include"));
    }
    if (!json_array_size(keys))
        return;
    if (includes) /* the rest may come from what is included */
        json_object_set_new(object, "anyOf",
                            json_pack("[{s:O}, {s:[s]}]", "required", keys, "required", "include"));
    else
        json_object_set(object, "required", keys);
}

/* [{required: [lab]}, {required: [netns]}]; NULL: this record has no such choice. */
static json_t *kinds_of(const struct record *r)
{
    json_t *one = NULL;
    for (const struct field *f = r->fields; f->key; f++)
        if (f->flags & FIELD_ONE_OF) {
            one = one ? one : json_array();
            json_array_append_new(one, json_pack("{s:[s]}", "required", f->key));
        }
    return one;
}

static json_t *record_schema(struct schema *c, const struct record *r)
{
    json_t *properties = json_object();
    json_t *object = json_pack("{s:s}", "type", "object");
    for (const struct field *f = r->fields; f->key; f++)
        json_object_set_new(properties, f->key, field_schema(c, f));
    json_t *one = r->variants ? json_array() : kinds_of(r);
    const struct variant *v;
    for (size_t i = 0; (v = field_variant(r, i)); i++) {
        json_t *j = json_pack("{s:[o]}", "allOf", schema_ref(c, v->params));
        if (v->summary)
            json_object_set_new(j, "description", json_string(v->summary));
        json_object_set_new(properties, v->name, j);
        json_array_append_new(one, json_pack("{s:[s]}", "required", v->name));
    }
    json_object_set_new(object, "properties", properties);
    json_object_set_new(object, "additionalProperties", json_false());
    add_required(object, r);
    if (one)
        json_object_set_new(object, "oneOf", one);
    const struct field *shorthand = r->fields;
    while (r->shorthand && strcmp(shorthand->key, r->shorthand))
        shorthand++;
    if (!r->shorthand)
        return object;
    return either(object, type_schema(c, shorthand));
}

/* "lab host" → "lab-host"; another record of the same name gets a number. */
static char *definition_name(const struct schema *c, const struct record *r)
{
    AUTO_BUF name = BUF_INIT;
    for (const char *p = r->name; *p; p++)
        if (isalnum((unsigned char)*p) || *p == '_')
            buf_addc(&name, *p);
        else if (*p == ' ' && name.len)
            buf_addc(&name, '-');
    size_t same = 0, n = name.len;
    for (size_t i = 0; i < c->n; i++)
        same += !strncmp(c->names[i], buf_text(&name), n) &&
                (!c->names[i][n] || isdigit((unsigned char)c->names[i][n]));
    if (same)
        buf_printf(&name, "%zu", same + 1);
    return buf_steal(&name);
}

static json_t *schema_ref(struct schema *c, const struct record *r)
{
    size_t i = 0;
    while (i < c->n && c->records[i] != r)
        i++;
    if (i == c->n) {
        if (c->n == SCHEMA_RECORDS_MAX)
            return json_object();
        c->names[i] = definition_name(c, r);
        c->records[i] = r;
        c->n++;
        /* the place of the definition is taken before its parts are made: they may need it */
        json_object_set_new(c->defs, c->names[i], json_null());
        json_t *def = record_schema(c, r);
        if (r->summary)
            json_object_set_new(def, "description", json_string(r->summary));
        json_object_set_new(c->defs, c->names[i], def);
    }
    AUTO_BUF ref = BUF_INIT;
    buf_printf(&ref, "#/$defs/%s", c->names[i]);
    return json_pack("{s:s}", "$ref", buf_text(&ref));
}

json_t *schema_new(void)
{
    struct schema c = {.defs = json_object()};
    json_t *root =
        json_pack("{s:s, s:s}", "$schema", "https://json-schema.org/draft/2020-12/schema", "title",
                  "blackstart scenario, version 1");
    json_t *top = record_schema(&c, &scenario_record);
    json_object_update(root, top);
    json_decref(top);
    json_object_set_new(root, "description", json_string(scenario_record.summary));
    json_object_set_new(root, "$defs", c.defs);
    for (size_t i = 0; i < c.n; i++)
        free(c.names[i]);
    return root;
}
