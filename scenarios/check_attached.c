/* Hosts that others made: what may be said of them, and which actions may touch them. */
#include "scenarios/check.h"

#include "injectors/injector.h"

#include <string.h>

void check_host_kind(const struct scenario *s, const struct host *h, struct diags *diags)
{
    static const char *const ours[] = {"files", "start", "ready", "env", NULL};
    char quoted[DIAG_QUOTE_MAX];
    if (!h->lab && !h->netns)
        diags_error(diags, h->place, "this host needs 'lab' or 'netns'");
    if (h->lab && h->netns)
        diags_error(diags, check_place(s, "hosts", h->name, "netns", NULL),
                    "%s is made in the lab or was made by others ('netns'), not both", h->name);
    if (h->lab && node_get(node_get(node_get(s->tree, "hosts"), h->name), "allow"))
        diags_error(diags, check_place(s, "hosts", h->name, "allow", NULL),
                    "'allow' is for hosts that others made ('netns'): those of the lab need no "
                    "permission");
    if (h->lab || !h->netns)
        return;
    const struct node *given = node_get(node_get(s->tree, "hosts"), h->name);
    for (const char *const *key = ours; *key; key++)
        if (node_get(given, *key))
            diags_error(diags, node_get(given, *key)->place,
                        "'%s' is for hosts of the lab: %s is there already, and nothing is put "
                        "into it or started in it",
                        *key, h->name);
    bool path = strchr(h->netns, '/');
    if ((path && h->netns[0] != '/') || !strcmp(h->netns, ".") || !strcmp(h->netns, ".."))
        diags_error(diags, check_place(s, "hosts", h->name, "netns", NULL),
                    "'%s' is neither a name as in `ip netns` nor a path that begins with '/'",
                    diag_quote(h->netns, quoted));
}

struct attached_check {
    const struct scenario *s;
    const struct step *step;
    struct diags *diags;
    bool said;
};

/* "link, partition and run" */
static void actions_for_attached(struct buf *out)
{
    size_t n = 0, i = 0;
    for (const struct variant *const *a = injector_actions; *a; a++)
        n += ((const struct injector *)(*a)->impl)->attaches;
    for (const struct variant *const *a = injector_actions; *a; a++)
        if (((const struct injector *)(*a)->impl)->attaches) {
            buf_printf(out, "%s'%s'", i == 0 ? "" : i + 1 == n ? " and " : ", ", (*a)->name);
            i++;
        }
}

static void check_named(const char *name, bool peer, bool listed, void *data)
{
    struct attached_check *c = data;
    const struct host *h = scenario_host(c->s, name);
    const struct step *step = c->step;
    AUTO_BUF these = BUF_INIT;
    if (!h || !h->netns || c->said)
        return;
    c->said = true;
    actions_for_attached(&these);
    if (!injector_of(step)->attaches)
        diags_error(c->diags, step->action_place,
                    "'%s' is for hosts of the lab: %s is a network namespace that others made; "
                    "there only %s can be done",
                    step->action->name, name, buf_text(&these));
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
