/* What differs, and whose it is. See difference.h. */
#include "sim/drill/difference.h"

#include "injectors/touch.h"
#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/base/text.h"
#include "sim/impair/sweep.h"

#include <stdlib.h>
#include <string.h>

#define OURS "blackstart" /* stands in every name of ours that has room for it */

struct view {
    const struct difference *of;
    struct snapshot_diff lines;
    bool *marked; /* lines.added[i] bears our name */
};

static bool is_marked(const struct difference *d, const char *line)
{
    /* Others, too, may mount what has our name, and another drill groups. */
    if (text_starts(line, "mount ") || text_starts(line, "cgroup "))
        return d->run && strstr(line, d->run);
    return strstr(line, OURS) != NULL;
}

static void look(struct view *v)
{
    snapshot_compare(v->of->before, v->of->after, &v->lines);
    v->marked = calloc(v->lines.n_added + 1, sizeof *v->marked);
    if (!v->marked)
        abort();
    impair_mark(v->lines.added, v->lines.n_added, v->marked);
    for (size_t i = 0; i < v->lines.n_added; i++)
        v->marked[i] = v->marked[i] || is_marked(v->of, v->lines.added[i]);
}

static bool went_with_its_device(const struct view *v, const char *line)
{
    const char *dev = strstr(line, text_starts(line, "link ") ? " name=" : " dev=");
    AUTO_BUF words = BUF_INIT;
    if (!dev)
        return false;
    dev = strchr(dev, '=') + 1;
    buf_printf(&words, "link name=%.*s", (int)strcspn(dev, " "), dev);
    for (size_t i = 0; i < v->of->all->n; i++)
        if (touch_line_has(v->of->all->lines[i], buf_text(&words)))
            return false;
    return true;
}

/* Do others use what we made? */
static bool yields(const struct view *v, const json_t *touch)
{
    const struct snapshot *all = v->of->all;
    AUTO_FREE const char **users = calloc(all->n + 1, sizeof *users);
    AUTO_FREE bool *ours = calloc(all->n + 1, sizeof *ours);
    size_t n = 0, theirs = 0;
    if (!users || !ours)
        abort();
    for (size_t i = 0; i < all->n; i++)
        if (touch_yields_to(touch, all->lines[i]))
            users[n++] = all->lines[i];
    impair_mark(users, n, ours);
    for (size_t i = 0; i < n; i++)
        theirs += !ours[i];
    return theirs > 0;
}

static bool is_touched(const struct view *v, const char *line, bool gone)
{
    for (size_t i = 0; i < v->of->n_touches; i++)
        if (touch_means(v->of->touches[i], line, gone) &&
            !(gone ? went_with_its_device(v, line) : yields(v, v->of->touches[i])))
            return true;
    return false;
}

/* "host edge: new: …" */
static void tell(const struct view *v, const char *what, const char *line, json_t *list)
{
    AUTO_BUF text = BUF_INIT;
    if (v->of->host)
        buf_printf(&text, "host %s: ", v->of->host);
    buf_printf(&text, "%s: %s", what, line);
    json_array_append_new(list, jsonx_new_text(buf_text(&text)));
}

bool difference_tell(const struct difference *d, json_t *left, json_t *others)
{
    struct view v = {.of = d};
    look(&v);
    for (size_t i = 0; i < v.lines.n_added; i++)
        tell(&v, "new", v.lines.added[i],
             v.marked[i] || is_touched(&v, v.lines.added[i], false) ? left : others);
    for (size_t i = 0; i < v.lines.n_gone; i++) {
        bool ours = is_touched(&v, v.lines.gone[i], true);
        tell(&v, ours ? "not back" : "gone", v.lines.gone[i], ours ? left : others);
    }
    bool same = !v.lines.n_added && !v.lines.n_gone;
    free(v.marked);
    snapshot_diff_done(&v.lines);
    return same;
}
