/* blackstart undo: reverts whatever a killed or powered-off run left behind, from its journal. */
#include "injectors/journal.h"

#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/base/oom.h"
#include "sim/cli/command.h"
#include "sim/drill/compare.h"

#include <stdio.h>

static const struct option_spec undo_options[] = {
    {"list", 0, NULL, "only tells what would be undone"},
    {NULL, 0, NULL, NULL},
};

static int undo_list(const char *folder, const struct journal_world *world)
{
    struct journal_list all;
    struct err err = ERR_INIT;
    AUTO_BUF text = BUF_INIT;
    size_t k;
    json_t *e;
    if (journal_scan(folder, world, &all, &err) < 0)
        return say_error(EXIT_CANNOT_RUN, "%s", err.text);
    for (size_t i = 0; i < all.n; i++) {
        const struct journal_found *f = &all.items[i];
        if (f->live) {
            buf_printf(&text, "run %s is alive: blackstart status\n", f->run);
            continue;
        }
        buf_printf(&text, "run %s has died%s\n", f->run,
                   f->other_boot ? ", before this machine was started again" : "");
        json_array_foreach (f->entries, k, e)
            buf_printf(&text, "  step %s, %s\n", jsonx_str(e, "step", "?"),
                       jsonx_str(e, "injector", "?"));
        if (f->unreadable)
            buf_printf(&text, "  %zu lines cannot be read: %s\n", f->unreadable, f->path);
    }
    if (!all.n)
        buf_adds(&text, "nothing to undo\n");
    journal_list_done(&all);
    return say_result(EXIT_MET, buf_text(&text), text.len);
}

struct undoing {
    struct buf text;
    json_t *touches; /* of all that was undone */
};

static void undoing_done(struct undoing *u)
{
    buf_done(&u->text);
    json_decref(u->touches);
}

static void undo_told(const struct journal_undone *u, void *data)
{
    struct undoing *undoing = data;
    struct buf *text = &undoing->text;
    static const char *const words[] = {[JOURNAL_UNDONE] = "undone",
                                        [JOURNAL_VOID] = "gone already",
                                        [JOURNAL_FAILED] = "NOT UNDONE"};
    buf_printf(text, "run %s", u->run);
    if (u->step)
        buf_printf(text, ", step %s, %s", u->step, u->injector);
    buf_printf(text, ": %s", words[u->outcome]);
    if (u->text && u->outcome != JOURNAL_UNDONE)
        buf_printf(text, ": %s", u->text);
    size_t i;
    const json_t *change;
    if (u->result)
        json_array_foreach (u->result->changes, i, change)
            buf_printf(text, "%s%s", i ? "; " : ": ", json_string_value(change));
    buf_addc(text, '\n');
    if (u->touches)
        json_array_extend(undoing->touches, (json_t *)(uintptr_t)u->touches);
}

/* What was undone is looked at, as after a drill. *ret_n: how much is not as it was. */
static void undo_compare(struct undoing *u, size_t *ret_n)
{
    AUTO_JSON *left = json_array();
    size_t i;
    const json_t *one;
    compare_undone(u->touches, left);
    json_array_foreach (left, i, one)
        buf_printf(&u->text, "NOT BACK: %s\n", json_string_value(one));
    *ret_n = json_array_size(left);
}

static int undo_run(const struct command *self, struct args *a)
{
    AUTO_FREE char *folder = NULL;
    struct err err = ERR_INIT;
    struct journal_world world = {.actions = injector_actions};
    if (a->rest.n)
        return say_usage(self, "undo takes no argument");
    if (journal_folder(&folder, &err) < 0)
        return say_error(EXIT_CANNOT_RUN, "%s", err.text);
    if (args_has(a, "list"))
        return undo_list(folder, &world);
    oom_spare();
    struct undoing undoing
        __attribute__((cleanup(undoing_done))) = {.text = BUF_INIT, .touches = json_array()};
    size_t failed = 0, left = 0;
    if (journal_undo_all(folder, &world, undo_told, &undoing, &failed, &err) < 0)
        return say_error(EXIT_NOT_CLEAN, "%s", err.text);
    if (!undoing.text.len)
        buf_adds(&undoing.text, "nothing to undo\n");
    undo_compare(&undoing, &left);
    return say_result(failed || left ? EXIT_NOT_CLEAN : EXIT_MET, buf_text(&undoing.text),
                      undoing.text.len);
}

const struct command command_undo = {
    .name = "undo",
    .summary = "reverts what a killed or powered-off run left behind",
    .usage = "[--list]",
    .about = "Labs vanish with their processes and need no undo. Running drills are left alone.\n"
             "What was undone is looked at afterwards; what is not as it was before is told.\n"
             "Exit code: 0, or 6 when something could not be undone, or is not back, and what.",
    .options = undo_options,
    .run = undo_run,
};
