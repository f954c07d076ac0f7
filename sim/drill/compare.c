/* The final comparison. */
#include "sim/drill/compare.h"

#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/lab/lab.h"

#include <string.h>

#define COMPARE_OURS "blackstart" /* stands in every name that we give to the kernel */

void compare_network(const struct snapshot *before, json_t *left, json_t *others)
{
    CLEANUP(snapshot_free_p) struct snapshot *after = NULL;
    struct err err = ERR_INIT;
    if (!before)
        return;
    if (snapshot_take(-1, &after, &err) < 0) {
        AUTO_BUF text = BUF_INIT;
        buf_printf(&text, "this machine's network could not be compared: %s", err.text);
        json_array_append_new(others, jsonx_new_text(buf_text(&text)));
        return;
    }
    struct snapshot_diff d;
    snapshot_compare(before, after, &d);
    for (size_t i = 0; i < d.n_added; i++) {
        AUTO_BUF text = BUF_INIT;
        buf_printf(&text, "new: %s", d.added[i]);
        json_array_append_new(strstr(d.added[i], COMPARE_OURS) ? left : others,
                              jsonx_new_text(buf_text(&text)));
    }
    for (size_t i = 0; i < d.n_gone; i++) {
        AUTO_BUF text = BUF_INIT;
        buf_printf(&text, "gone: %s", d.gone[i]);
        json_array_append_new(others, jsonx_new_text(buf_text(&text)));
    }
    snapshot_diff_done(&d);
}

/* Borrowed texts of a JSON array; the caller frees the array of them. */
static const char **compare_ids(const json_t *ids, size_t *ret_n)
{
    const char **texts = calloc(json_array_size(ids) + 1, sizeof *texts);
    size_t i, n = 0;
    json_t *v;
    if (!texts)
        abort();
    json_array_foreach (ids, i, v)
        if (json_is_string(v))
            texts[n++] = json_string_value(v);
    *ret_n = n;
    return texts;
}

void compare_processes(const json_t *ids, json_t *left)
{
    size_t n;
    AUTO_FREE const char **texts = compare_ids(ids, &n);
    AUTO_JSON *found = NULL;
    struct err err = ERR_INIT;
    if (!n)
        return;
    if (lab_leftovers(texts, n, &found, &err) < 0)
        json_array_append_new(left, jsonx_new_text(err.text));
    else
        json_array_extend(left, found);
}

void compare_kill_processes(const json_t *ids)
{
    size_t n;
    AUTO_FREE const char **texts = compare_ids(ids, &n);
    if (n)
        lab_kill_leftovers(texts, n);
}

const char *compare_network_words(const struct snapshot *before)
{
    return before ? "this machine's network, before and after"
                  : "this machine's network: out of reach, this ran without root";
}
