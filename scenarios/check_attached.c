/* Hosts that others made: what may be said of them, and which actions may touch them. */
#include "scenarios/check.h"

#include "injectors/injector.h"
#include "sim/attach/kind.h"

#include <string.h>

/* "'lab', 'here', 'netns' or 'process'" */
static void kinds_text(struct buf *out)
{
    buf_adds(out, "'lab'");
    for (const struct attached_kind *const *k = attached_kinds; *k; k++)
        buf_printf(out, "%s'%s'", k[1] ? ", " : " or ", (*k)->name);
}

static const struct attached_kind *only_kind(const struct scenario *s, const struct host *h,
                                             struct diags *diags)
{
    const struct attached_kind *kind = attached_kind_of(h);
    for (const struct attached_kind *const *k = attached_kinds; kind && *k; k++)
        if (*k != kind && (*k)->is(h)) {
            diags_error(diags, check_place(s, "hosts", h->name, (*k)->name, NULL),
                        "%s is of one kind: '%s' or '%s', not both", h->name, kind->name,
                        (*k)->name);
            return NULL;
        }
    return kind;
}

/* Keys that mean something on hosts of the lab alone. */
static void check_lab_keys(const struct scenario *s, const struct host *h,
                           const struct attached_kind *kind, struct diags *diags)
{
    static const char *const ours[] = {"files", "start", "ready", "env", NULL};
    const struct node *given = node_get(node_get(s->tree, "hosts"), h->name);
    for (const char *const *key = ours; *key; key++)
        if (node_get(given, *key) && (strcmp(*key, "start") || !kind->starts))
            diags_error(diags, node_get(given, *key)->place,
                        "'%s' is for hosts of the lab: %s is there already, and nothing is put "
                        "into it or started in it",
                        *key, h->name);
}

void check_host_kind(const struct scenario *s, const struct host *h, struct diags *diags)
{
    const struct attached_kind *kind = only_kind(s, h, diags);
    const char *key = NULL;
    struct err err = ERR_INIT;
    AUTO_BUF kinds = BUF_INIT;
    kinds_text(&kinds);
    if (!h->lab && !attached_kind_of(h))
        diags_error(diags, h->place, "this host needs %s", buf_text(&kinds));
    if (h->lab && kind)
        diags_error(diags, check_place(s, "hosts", h->name, kind->name, NULL),
                    "%s is made in the lab or was made by others ('%s'), not both", h->name,
                    kind->name);
    if (h->lab && node_get(node_get(node_get(s->tree, "hosts"), h->name), "allow"))
        diags_error(diags, check_place(s, "hosts", h->name, "allow", NULL),
                    "'allow' is for hosts that others made: those of the lab need no permission");
    if (h->lab && node_get(node_get(node_get(s->tree, "hosts"), h->name), "follow"))
        diags_error(diags, check_place(s, "hosts", h->name, "follow", NULL),
                    "'follow' is for hosts that others made: nobody replaces those of the lab");
    if (h->lab || !kind)
        return;
    check_lab_keys(s, h, kind, diags);
    if (kind->check && kind->check(h, &key, &err) < 0)
        diags_error(diags, check_place(s, "hosts", h->name, key, NULL), "%s", err.text);
}

/* Both are about what is not built afresh, and what is. */
void check_rebuilding(const struct scenario *s, struct diags *diags)
{
    size_t labs = 0;
    for (size_t i = 0; i < s->hosts.n; i++)
        labs += ((const struct host *)s->hosts.items[i])->lab != NULL;
    if (s->lab && !labs && node_get(s->tree, "lab"))
        diags_error(diags, node_get(s->tree, "lab")->place,
                    "'lab' is about hosts of the lab, and there is none");
    for (size_t i = 0; s->between && i < s->between->run.n; i++) {
        const struct between_run *r = s->between->run.items[i];
        const struct host *h = scenario_host(s, r->host);
        if (h && h->lab && !s->lab_reuse)
            diags_error(
                diags, node_get(s->tree, "between")->place,
                "%s is of the lab and built afresh for each trial: nothing of it is left to "
                "be put back (with 'lab: {reuse: true}' there is)",
                r->host);
    }
}

void check_loads(const struct scenario *s, struct diags *diags)
{
    for (size_t i = 0; i < s->load.n; i++) {
        const struct load *l = s->load.items[i];
        const struct host *h = scenario_host(s, l->host);
        if (h && host_is_attached(h) && !h->allow)
            diags_error(diags, check_place(s, "load", l->name, "host", NULL),
                        "%s was made by others: load comes from it only when it says 'allow: true' "
                        "(in 'hosts')",
                        l->host);
        if (l->command && !l->command[strspn(l->command, " \t\n")])
            diags_error(diags, check_place(s, "load", l->name, "command", NULL),
                        "'command' must not be empty");
    }
}

struct attached_check {
    const struct scenario *s;
    const struct step *step;
    struct diags *diags;
    bool said;
};

/* "link, partition and run" */
static void actions_for(const struct attached_kind *kind, struct buf *out)
{
    size_t n = 0, i = 0;
    for (const struct variant *const *a = injector_actions; *a; a++)
        n += (((const struct injector *)(*a)->impl)->attaches & kind->offers) != 0;
    for (const struct variant *const *a = injector_actions; *a; a++)
        if (((const struct injector *)(*a)->impl)->attaches & kind->offers) {
            buf_printf(out, "%s'%s'", i == 0 ? "" : i + 1 == n ? " and " : ", ", (*a)->name);
            i++;
        }
}

static void check_named(const char *name, bool peer, bool listed, void *data)
{
    struct attached_check *c = data;
    const struct host *h = scenario_host(c->s, name);
    const struct attached_kind *kind = h ? attached_kind_of(h) : NULL;
    const struct step *step = c->step;
    AUTO_BUF these = BUF_INIT;
    if (!kind || c->said)
        return;
    c->said = true;
    actions_for(kind, &these);
    const struct injector *i = injector_of(step);
    if (!i->attaches)
        diags_error(c->diags, step->action_place,
                    "'%s' is for hosts of the lab: %s is %s%s%s; there only %s can be done",
                    step->action->name, name, kind->noun, i->lab_alone ? ", and " : "",
                    i->lab_alone ? i->lab_alone : "", buf_text(&these));
    else if (!(i->attaches & kind->offers))
        diags_error(c->diags, step->action_place,
                    "'%s' cannot be done here: %s is %s%s; there only %s can be done",
                    step->action->name, name, kind->noun, kind->lacks ? kind->lacks : "",
                    buf_text(&these));
    else if (peer)
        diags_error(
            c->diags, step->action_place,
            "%s was made by others, its addresses are not known here: write them instead of "
            "its name",
            name);
    else if (listed)
        diags_error(c->diags, step->action_place,
                    "%s was made by others: it cannot be one of several, name it alone ('host: "
                    "%s')",
                    name, name);
    else if (step->fault && !h->allow)
        diags_error(c->diags, step->action_place,
                    "%s was made by others: a fault may touch it only when it says 'allow: true' "
                    "(line %d)",
                    name, h->place.line);
    else
        c->said = false;
}

bool check_attached(const struct scenario *s, const struct step *step, struct diags *diags)
{
    struct attached_check c = {.s = s, .step = step, .diags = diags};
    if (step->action->params && step->params)
        field_hosts(step->action->params, step->params, check_named, &c);
    return !c.said;
}
