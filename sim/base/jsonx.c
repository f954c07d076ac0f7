/* Helpers over jansson. */
#include "sim/base/jsonx.h"

#include "sim/base/text.h"

#include <errno.h>
#include <string.h>

json_t *jsonx_new_textn(const char *s, size_t n)
{
    json_t *j = memchr(s, '\0', n) ? NULL : json_stringn(s, n);
    if (j)
        return j;
    AUTO_BUF b = BUF_INIT;
    buf_add(&b, s, n);
    text_make_printable(b.text, b.len);
    for (char *nul; (nul = memchr(b.text, '\0', b.len));) /* jansson writes but never reads it */
        *nul = '?';
    return json_stringn(b.text, b.len);
}

json_t *jsonx_new_text(const char *s)
{
    return s ? jsonx_new_textn(s, strlen(s)) : NULL;
}

json_t *jsonx_new_span(struct span s)
{
    if (!span_is_set(s))
        return json_null();
    json_t *a = json_array();
    json_array_append_new(a, json_integer(s.lo));
    json_array_append_new(a, s.hi == NSEC_INF ? json_null() : json_integer(s.hi));
    return a;
}

struct span jsonx_span(const json_t *j)
{
    if (!json_is_array(j) || json_array_size(j) != 2 || !json_is_integer(json_array_get(j, 0)))
        return SPAN_UNSET;
    const json_t *hi = json_array_get(j, 1);
    return (struct span){json_integer_value(json_array_get(j, 0)),
                         json_is_integer(hi) ? json_integer_value(hi) : NSEC_INF};
}

json_t *jsonx_new_seconds(nsec t)
{
    if (t == NSEC_INF || t == NSEC_UNSET)
        return json_null();
    return json_real((double)t / 1e9);
}

json_t *jsonx_new_span_seconds(struct span s)
{
    if (!span_is_set(s))
        return json_null();
    json_t *a = json_array();
    json_array_append_new(a, jsonx_new_seconds(s.lo));
    json_array_append_new(a, jsonx_new_seconds(s.hi));
    return a;
}

const char *jsonx_str(const json_t *obj, const char *key, const char *dflt)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_string(v) ? json_string_value(v) : dflt;
}

int64_t jsonx_int(const json_t *obj, const char *key, int64_t dflt)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_integer(v) ? json_integer_value(v) : dflt;
}

bool jsonx_bool(const json_t *obj, const char *key, bool dflt)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_boolean(v) ? json_is_true(v) : dflt;
}

nsec jsonx_nsec(const json_t *obj, const char *key)
{
    return jsonx_int(obj, key, NSEC_UNSET);
}

static int jsonx_sink(const char *data, size_t n, void *user)
{
    buf_add(user, data, n);
    return 0;
}

void jsonx_dump(const json_t *j, struct buf *out)
{
    json_dump_callback(j, jsonx_sink, out,
                       JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));
}

void jsonx_dump_pretty(const json_t *j, struct buf *out)
{
    json_dump_callback(j, jsonx_sink, out,
                       JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));
    buf_addc(out, '\n');
}

int jsonx_parse(const char *text, size_t n, const char *what, json_t **ret, struct err *err)
{
    json_error_t je;
    json_t *j = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
    if (!j)
        return err_set(err, EINVAL, "%s:%d:%d: not JSON: %s", what, je.line, je.column, je.text);
    *ret = j;
    return 0;
}
