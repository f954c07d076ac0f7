/* The improvement plan: a row for each area for improvement and for each corrective action, which people said at
 * the debrief or wrote into a file later. Nothing is made up: what nobody gave is a blank. */
#include "reports/after_action.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sim/base/digest.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/exercise/corrective.h"

#define PLAN_MAX ((size_t)1 << 20)
#define PLAN_FILE "actions.yaml"

/* --- Where they come from --- */

static const char *said(const struct after_action *a, const json_t *note, const char *key)
{
    const char *text = jsonx_str(note, key, NULL);
    return text ? arena_strdup(a->arena, text) : NULL;
}

/* Those of the debrief, into `room`; how many. */
static size_t from_record(const struct after_action *a, struct corrective *room)
{
    size_t n = 0, i;
    const json_t *e;
    json_array_foreach (a->events, i, e) {
        if (strcmp(jsonx_str(e, "kind", ""), "note") != 0 ||
            strcmp(jsonx_str(e, "what", ""), "corrective") != 0)
            continue;
        if (room)
            room[n] = (struct corrective){
                .area = said(a, e, "area"),
                .objective = scenario_objective(a->scenario, jsonx_str(e, "objective", NULL)),
                .action = said(a, e, "text"),
                .element = said(a, e, "element"),
                .owner = said(a, e, "owner"),
                .contact = said(a, e, "contact"),
                .start = said(a, e, "start"),
                .due = said(a, e, "due"),
                .by = said(a, e, "by")};
        n++;
    }
    return n;
}

static int load(struct after_action *a, const char *text, size_t n, const char *name,
                struct corrective **ret, size_t *ret_n, struct err *err)
{
    AUTO_DIAGS diags = DIAGS_INIT;
    AUTO_BUF all = BUF_INIT;
    char digest[DIGEST_HEX];
    if (corrective_load(a->arena, text, n, name, a->scenario, a->n_areas, &diags, ret, ret_n) < 0) {
        diags_render(&diags, &all);
        while (all.len && all.text[all.len - 1] == '\n')
            all.text[--all.len] = '\0';
        return err_set(err, EINVAL, "%s", buf_text(&all));
    }
    digest_sha256(text, n, digest);
    a->plan_digest = arena_strdup(a->arena, digest);
    return 0;
}

/* From the file that was given, which then stays with the record; else from the one that did. */
static int from_file(struct after_action *a, const struct report_request *q,
                     struct corrective **ret, size_t *ret_n, struct err *err)
{
    AUTO_FREE char *text = NULL;
    AUTO_BUF name = BUF_INIT;
    size_t n = 0;
    bool single = q->html || q->md || q->junit || q->metrics;
    if (!q->actions && faccessat(q->dirfd, PLAN_FILE, F_OK, 0) < 0 && errno == ENOENT)
        return 0;
    int rc = file_read(q->actions ? AT_FDCWD : q->dirfd, q->actions ? q->actions : PLAN_FILE,
                       PLAN_MAX, &text, &n, err);
    if (rc < 0)
        return rc;
    if (q->actions)
        buf_adds(&name, q->actions);
    else
        buf_printf(&name, "%s/%s", q->path, PLAN_FILE);
    rc = load(a, text, n, buf_text(&name), ret, ret_n, err);
    if (rc == 0 && q->actions && !single)
        rc = file_replace(q->dirfd, PLAN_FILE, text, n, err);
    return rc;
}

int after_action_read_plan(struct after_action *a, const struct report_request *q, struct err *err)
{
    struct corrective *given = NULL;
    size_t n_given = 0, n_said = from_record(a, NULL);
    int rc = from_file(a, q, &given, &n_given, err);
    if (rc < 0)
        return rc;
    a->plan = arena_alloc(a->arena, (n_said + n_given + 1) * sizeof *a->plan);
    a->n_plan = from_record(a, a->plan);
    for (size_t i = 0; i < n_given; i++)
        a->plan[a->n_plan++] = given[i];
    return 0;
}

/* --- What is made of them --- */

/* The number, from 1, of the area that it is about; 0: of none of the report's. */
static size_t area_of(const struct after_action *a, const struct corrective *c)
{
    if (c->area_n)
        return (size_t)c->area_n;
    for (size_t i = 0; c->area && i < a->n_areas; i++)
        if (!strcmp(a->areas[i].text, c->area))
            return i + 1;
    return 0;
}

static void blank_cell(struct document *d, const char *text)
{
    document_cell(d, text && *text ? text : DOCUMENT_BLANK);
}

/* `n`: of the area; 0: it is not one of the report's. Either of the others may be NULL. */
static void plan_row(const struct after_action *a, size_t n, const struct corrective *c,
                     struct document *d)
{
    static const struct corrective nothing;
    const struct after_finding *f = n ? &a->areas[n - 1] : NULL;
    const struct exercise_objective *o = f && f->objective ? f->objective : c ? c->objective : NULL;
    char number[24] = "";
    c = c ? c : &nothing;
    if (n)
        snprintf(number, sizeof number, "%zu", n);
    document_row(d);
    document_cell(d, number);
    blank_cell(d, o ? o->capability : NULL);
    blank_cell(d, f ? f->text : c->area);
    blank_cell(d, c->action);
    blank_cell(d, c->element);
    blank_cell(d, c->owner);
    blank_cell(d, c->contact);
    blank_cell(d, c->start);
    blank_cell(d, c->due);
    document_row_end(d);
}

void after_action_plan(const struct after_action *a, struct document *d)
{
    static const char *const heads[] = {"no.",
                                        "core capability",
                                        "area for improvement",
                                        "corrective action",
                                        "capability element",
                                        "responsible organisation",
                                        "point of contact",
                                        "start date",
                                        "completion date"};
    document_section(
        d, "improvement", "Improvement plan",
        "A row for each area for improvement and each corrective action. What nobody gave is blank "
        "(" DOCUMENT_BLANK "): people decide on the corrective action, its element (planning, "
        "organisation, equipment, training or exercise), who does it, and by when.");
    if (!a->n_areas && !a->n_plan)
        document_paragraph(d, NULL,
                           "No area for improvement was noted; the row is for what the "
                           "after-action meeting finds.");
    document_table(d, heads, ARRAY_SIZE(heads));
    for (size_t n = 1; n <= a->n_areas; n++) {
        size_t rows = 0;
        for (size_t i = 0; i < a->n_plan; i++)
            if (area_of(a, &a->plan[i]) == n) {
                plan_row(a, n, &a->plan[i], d);
                rows++;
            }
        if (!rows)
            plan_row(a, n, NULL, d);
    }
    for (size_t i = 0; i < a->n_plan; i++)
        if (!area_of(a, &a->plan[i]))
            plan_row(a, 0, &a->plan[i], d);
    if (!a->n_areas && !a->n_plan)
        plan_row(a, 0, NULL, d);
    document_table_end(d);
}

static void put(json_t *o, const char *key, const char *text)
{
    json_object_set_new(o, key, text ? jsonx_new_text(text) : json_null());
}

json_t *after_action_plan_json(const struct after_action *a)
{
    json_t *list = json_array();
    for (size_t i = 0; i < a->n_plan; i++) {
        const struct corrective *c = &a->plan[i];
        size_t n = area_of(a, c);
        const struct exercise_objective *o = n ? a->areas[n - 1].objective : c->objective;
        json_t *j = json_object();
        json_object_set_new(j, "area", n ? json_integer((json_int_t)n) : json_null());
        put(j, "text", n ? a->areas[n - 1].text : c->area);
        put(j, "objective", o ? o->id : NULL);
        put(j, "capability", o ? o->capability : NULL);
        put(j, "action", c->action);
        put(j, "element", c->element);
        put(j, "owner", c->owner);
        put(j, "contact", c->contact);
        put(j, "start", c->start);
        put(j, "due", c->due);
        put(j, "by", c->by);
        json_array_append_new(list, j);
    }
    return list;
}
