/* The comparison after the death of a run: of before only what its journal kept is known. See compare.h. */
#include "sim/drill/compare.h"

#include "injectors/touch.h"
#include "sim/base/jsonx.h"
#include "sim/drill/difference.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* What no snapshot shows. One that cannot be looked at is not known to be back. */
void compare_things(const json_t *touches, json_t *left)
{
    nsec until = nsec_add(nsec_now(CLOCK_MONOTONIC), COMPARE_PATIENCE);
    size_t i;
    const json_t *touch;
    json_array_foreach (touches, i, touch) {
        struct err why = ERR_INIT;
        int r = touch_netns(touch) ? 1 : touch_is_back(touch, &why);
        while (r == 0 && nsec_now(CLOCK_MONOTONIC) < until) {
            (void)poll(NULL, 0, COMPARE_AGAIN);
            r = touch_is_back(touch, &why);
        }
        if (r < 1)
            json_array_append_new(left, jsonx_new_text(why.text));
    }
}

/* Lines without their texts, each of them once. */
struct borrowed {
    struct snapshot lines;
};

static void borrowed_done(struct borrowed *b)
{
    free(b->lines.lines);
}
#define AUTO_BORROWED __attribute__((cleanup(borrowed_done))) struct borrowed

static void borrow(struct borrowed *b, const char *line)
{
    struct snapshot *s = &b->lines;
    if ((s->n & (s->n - 1)) == 0 &&
        !(s->lines = realloc(s->lines, (s->n ? 2 * s->n : 1) * sizeof(char *))))
        abort();
    s->lines[s->n++] = (char *)(uintptr_t)line;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void borrow_once(struct borrowed *b)
{
    struct snapshot *s = &b->lines;
    size_t n = 0;
    if (s->n)
        qsort(s->lines, s->n, sizeof(char *), by_text);
    for (size_t i = 0; i < s->n; i++)
        if (n == 0 || strcmp(s->lines[n - 1], s->lines[i]) != 0)
            s->lines[n++] = s->lines[i];
    s->n = n;
}

/* Of a snapshot what these touches mean. */
static void borrow_touched(struct borrowed *b, const struct snapshot *s, const json_t *touches)
{
    for (size_t i = 0; i < s->n; i++) {
        bool meant = false;
        size_t k;
        const json_t *touch;
        json_array_foreach (touches, k, touch)
            meant = meant || touch_concerns(touch, s->lines[i]);
        if (meant)
            borrow(b, s->lines[i]);
    }
    borrow_once(b);
}

/* The same of before, as the journal kept it. */
static void borrow_was(struct borrowed *b, const json_t *touches)
{
    size_t i, k;
    const json_t *touch, *line;
    json_array_foreach (touches, i, touch)
        json_array_foreach (touch_was(touch), k, line)
            borrow(b, json_string_value(line));
    borrow_once(b);
}

static bool undone_now(int fd, const json_t *touches, json_t *left)
{
    CLEANUP(snapshot_free_p) struct snapshot *all = NULL;
    AUTO_BORROWED before = {0};
    AUTO_BORROWED after = {0};
    struct err err = ERR_INIT;
    if (snapshot_take(fd, &all, &err) < 0) {
        json_array_append_new(left, jsonx_new_text(err.text));
        return true;
    }
    borrow_was(&before, touches);
    borrow_touched(&after, all, touches);
    AUTO_JSON *others = json_array(); /* nothing: the rest is not looked at */
    AUTO_FREE const json_t **each = calloc(json_array_size(touches) + 1, sizeof(json_t *));
    if (!each)
        abort();
    for (size_t i = 0; i < json_array_size(touches); i++)
        each[i] = json_array_get(touches, i);
    const struct difference d = {.host = touch_host(each[0]),
                                 .before = &before.lines,
                                 .after = &after.lines,
                                 .all = all,
                                 .touches = each,
                                 .n_touches = json_array_size(touches)};
    difference_tell(&d, left, others);
    return !json_array_size(left);
}

/* All of one network. */
static void compare_undone_lines(const json_t *touches, json_t *left)
{
    nsec until = nsec_add(nsec_now(CLOCK_MONOTONIC), COMPARE_PATIENCE);
    AUTO_CLOSE int fd = -1;
    struct err err = ERR_INIT;
    if (attached_find(touch_netns(json_array_get(touches, 0)), &fd, &err) < 0)
        json_array_append_new(left, jsonx_new_text(err.text));
    while (fd >= 0) { /* else it has gone, with all that was in it */
        AUTO_JSON *now = json_array();
        if (undone_now(fd, touches, now) || nsec_now(CLOCK_MONOTONIC) > until) {
            json_array_extend(left, now);
            return;
        }
        (void)poll(NULL, 0, COMPARE_AGAIN);
    }
}

void compare_undone(const json_t *touches, json_t *left)
{
    AUTO_JSON *rest = json_array();
    size_t i;
    json_t *touch;
    json_array_foreach (touches, i, touch)
        if (touch_netns(touch))
            json_array_append(rest, touch);
    while (json_array_size(rest)) {
        AUTO_JSON *these = json_array(), *others = json_array();
        json_array_foreach (rest, i, touch)
            json_array_append(json_equal(touch_netns(touch), touch_netns(json_array_get(rest, 0)))
                                  ? these
                                  : others,
                              touch);
        compare_undone_lines(these, left);
        json_decref(rest);
        rest = json_incref(others);
    }
    compare_things(touches, left);
}
