/* Guard rails that a scenario alone can tell of: shares of groups, marks of production, durations. */
#include "scenarios/check.h"

#include "sim/model/share.h"

#include <string.h>

static void check_group(const struct scenario *s, const struct host_group *g, struct diags *diags)
{
    for (size_t i = 0; i < g->hosts.n; i++)
        for (size_t k = 0; k < i; k++)
            if (!strcmp(g->hosts.items[i], g->hosts.items[k]))
                diags_error(diags, check_place(s, "groups", g->name, "hosts", NULL),
                            "the group %s lists %s twice", g->name, g->hosts.items[i]);
    if (share_limit(g) == 0)
        diags_error(
            diags, check_place(s, "groups", g->name, "at_most", NULL),
            "%g%% of the %zu hosts of %s is less than one: no fault could touch any of them",
            g->at_most * 100, g->hosts.n, g->name);
}

static void check_marked(const struct scenario *s, const struct step *step, struct diags *diags)
{
    const struct host *hosts[64];
    size_t n = step_attached(s, step, hosts, ARRAY_SIZE(hosts));
    for (size_t i = 0; i < n; i++)
        if (hosts[i]->production)
            diags_error(diags, step->action_place,
                        "%s is marked as production (line %d): no step may touch it; rehearse on a "
                        "host that serves nobody",
                        hosts[i]->name, hosts[i]->place.line);
}

/* Each trial lasts at least as long as it is observed. */
static void check_duration(const struct scenario *s, struct diags *diags)
{
    char least[NSEC_TEXT_MAX], most[NSEC_TEXT_MAX];
    if (!nsec_is_set(s->max_duration) || !nsec_is_set(s->horizon))
        return;
    nsec one = nsec_add(s->horizon, s->settle->lasting);
    nsec all = one > NSEC_INF / (s->trials ? s->trials : 1) ? NSEC_INF : one * s->trials;
    if (all > s->max_duration)
        diags_error(diags, check_place(s, "max_duration", NULL),
                    "%d trial%s settle and are observed for at least %s, longer than the whole run "
                    "may take (%s): fewer trials, a shorter horizon, or a larger 'max_duration'",
                    (int)s->trials, s->trials == 1 ? "" : "s", nsec_yaml(all, least),
                    nsec_yaml(s->max_duration, most));
}

void check_rails(const struct scenario *s, struct diags *diags)
{
    const struct step *step = NULL;
    struct err err = ERR_INIT;
    for (size_t i = 0; i < s->hosts.n; i++) {
        const struct host *h = s->hosts.items[i];
        if (h->lab && node_get(node_get(node_get(s->tree, "hosts"), h->name), "production"))
            diags_error(
                diags, check_place(s, "hosts", h->name, "production", NULL),
                "'production' is for hosts that others made: those of the lab serve nobody");
    }
    for (size_t i = 0; i < s->groups.n; i++)
        check_group(s, s->groups.items[i], diags);
    for (size_t i = 0; i < s->script.n; i++)
        check_marked(s, s->script.items[i], diags);
    if (share_check(s, &step, &err) < 0)
        diags_error(diags, step->action_place, "%s", err.text);
    check_duration(s, diags);
}
