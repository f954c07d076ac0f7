/* When things happen: conditions that can come true, steps that fit into the horizon, and a horizon
 * that is long enough to see every promise kept or broken.
 */
#include "scenarios/check.h"

#include "injectors/injector.h"

#include <stdlib.h>
#include <string.h>

static void check_condition(const struct condition *c, const struct step *step, const char *key,
                            struct place at, struct diags *diags)
{
    if (!c->alarm && !c->probe && !c->operator_word && !c->step && !c->decision && !c->done &&
        !c->not_done && !c->phase && !c->any.n && !c->all.n)
        diags_error(diags, at, "the condition of '%s' names nothing", key);
    const char *const waits_for[] = {c->step, c->decision, c->done, c->not_done};
    for (size_t i = 0; i < ARRAY_SIZE(waits_for); i++)
        if (waits_for[i] && !strcmp(waits_for[i], step->id) && !strcmp(key, "when"))
            diags_error(diags, at, "the step '%s' waits for itself", step->id);
    for (size_t i = 0; i < c->any.n; i++)
        check_condition(c->any.items[i], step, key, at, diags);
    for (size_t i = 0; i < c->all.n; i++)
        check_condition(c->all.items[i], step, key, at, diags);
}

static const struct step *step_named(const struct scenario *s, const char *id)
{
    for (size_t i = 0; i < s->script.n; i++)
        if (!strcmp(((const struct step *)s->script.items[i])->id, id))
            return s->script.items[i];
    return NULL;
}

static const struct node *step_node(const struct scenario *s, size_t i, const char *key)
{
    const struct node *list = node_get(s->tree, "script");
    if (list && list->kind == NODE_LIST)
        list = list->items[i];
    return node_get(list, key);
}

static struct place step_place(const struct scenario *s, size_t i, const char *key)
{
    const struct node *node = step_node(s, i, key);
    return node ? node->place : ((const struct step *)s->script.items[i])->place;
}

static void check_action(const struct scenario *s, size_t i, struct diags *diags)
{
    const struct step *step = s->script.items[i];
    struct err err = ERR_INIT;
    const struct node *node = step_node(s, i, step->action->name);
    if (!check_attached(s, step, diags))
        return;
    int r = injector_of(step)->check ? injector_of(step)->check(s, step, &err) : 0;
    if (r < 0)
        diags_error(diags, check_sentence_place(node, err.text, step->action_place), "%s",
                    err.text);
    else if (r > 0)
        diags_warning(diags, check_sentence_place(node, err.text, step->action_place), "%s",
                      err.text);
}

static void check_step(const struct scenario *s, size_t i, struct diags *diags)
{
    const struct step *step = s->script.items[i];
    const struct step *first = step_named(s, step->id);
    char a[NSEC_TEXT_MAX], b[NSEC_TEXT_MAX];
    bool at = nsec_is_set(step->at);

    if (first != step)
        diags_error(diags, step->place, "a step '%s' stands already at line %d, column %d",
                    step->id, first->place.line, first->place.col);
    if (at == !!step->when)
        diags_error(diags, step->place,
                    at ? "a step takes 'at' or 'when', not both"
                       : "this step needs 'at' or 'when'");
    if (!step->when && step_node(s, i, "after"))
        diags_error(diags, step_place(s, i, "after"), "'after' belongs to 'when'; use 'at' alone");
    if (!step->lasts)
        for (int k = 0; k < 2; k++) {
            const char *key = k ? "until" : "for";
            if (step_node(s, i, key))
                diags_error(diags, step_place(s, i, key),
                            "'%s' ends by itself: '%s' is for actions that last",
                            step->action->name, key);
        }
    nsec start = at ? step->at : step->after;
    nsec end = nsec_is_set(step->lasting) ? nsec_add(start, step->lasting) : start;
    if (end > s->horizon || start >= s->horizon)
        diags_error(diags,
                    step_place(s, i,
                               at                       ? "at"
                               : step_node(s, i, "for") ? "for"
                                                        : "after"),
                    "the step '%s' reaches to %s, but the horizon is %s", step->id,
                    nsec_text(end, a), nsec_text(s->horizon, b));
    check_action(s, i, diags);
    if (step->when)
        check_condition(step->when, step, "when", step_place(s, i, "when"), diags);
    if (step->until)
        check_condition(step->until, step, "until", step_place(s, i, "until"), diags);
}

/* How long after a fault we must watch to judge this service: 0 without a promise or a probe. */
static nsec service_watch(const struct scenario *s, const struct service *service)
{
    nsec target = 0, slowest = -1;
    if (nsec_is_set(service->rto))
        target = service->rto;
    if (service->detect && service->detect->within > target)
        target = service->detect->within;
    if (nsec_is_set(service->max_downtime) && service->max_downtime > target)
        target = service->max_downtime;
    for (size_t i = 0; i < s->probes.n; i++) {
        const struct probe *p = s->probes.items[i];
        if (!p->service || strcmp(p->service, service->name))
            continue;
        nsec after = nsec_add(nsec_add(p->stable, p->every * p->up_after), p->timeout);
        if (after > slowest)
            slowest = after;
    }
    return target && slowest >= 0 ? nsec_add(target, slowest) : 0;
}

static void check_horizon(const struct scenario *s, struct diags *diags)
{
    const struct step *last = NULL;
    nsec last_at = 0, longest = 0;
    const char *service = NULL;
    char h[NSEC_TEXT_MAX], a[NSEC_TEXT_MAX], b[NSEC_TEXT_MAX], need[NSEC_TEXT_MAX];

    for (size_t i = 0; i < s->script.n; i++) {
        const struct step *step = s->script.items[i];
        nsec at = nsec_is_set(step->at) ? step->at : step->after;
        if (step->fault && (!last || at > last_at)) {
            last = step;
            last_at = at;
        }
    }
    for (size_t i = 0; i < s->services.n; i++) {
        nsec watch = service_watch(s, s->services.items[i]);
        if (watch > longest) {
            longest = watch;
            service = ((const struct service *)s->services.items[i])->name;
        }
    }
    if (!last || !service || nsec_add(last_at, longest) <= s->horizon)
        return;
    diags_error(diags, check_place(s, "horizon", NULL),
                "the horizon of %s is too short: the last fault comes at %s, and to judge %s takes "
                "%s more (its target + stable + up_after x every + timeout): at least %s",
                nsec_text(s->horizon, h), nsec_text(last_at, a), service, nsec_text(longest, b),
                nsec_text(nsec_add(last_at, longest), need));
}

/* Steps that wait for each other in a ring never happen. waits_for[i] is the step that step i waits
 * for and nothing else, or n; a ring is told once, at its first step. */
static void check_rings(const struct scenario *s, struct diags *diags)
{
    size_t n = s->script.n;
    AUTO_FREE size_t *waits_for = calloc(n + 1, sizeof *waits_for);
    AUTO_FREE size_t *walk =
        calloc(n + 1, sizeof *walk); /* in which walk it was seen; 0: in none */
    if (!waits_for || !walk)
        abort();
    for (size_t i = 0; i < n; i++) {
        const struct step *step = s->script.items[i];
        waits_for[i] = n;
        for (size_t k = 0; step->when && step->when->step && k < n && waits_for[i] == n; k++)
            if (!strcmp(((const struct step *)s->script.items[k])->id, step->when->step))
                waits_for[i] = k;
    }
    for (size_t i = 0; i < n; i++) {
        size_t at = i;
        for (; at < n && !walk[at]; at = waits_for[at])
            walk[at] = i + 1;
        if (at == n || walk[at] != i + 1 || waits_for[at] == at)
            continue;
        const struct step *step = s->script.items[at];
        diags_error(diags, step->place, "the step '%s' waits for steps that wait for it", step->id);
    }
}

void check_script(const struct scenario *s, struct diags *diags)
{
    size_t before = diags->n_errors;
    for (size_t i = 0; i < s->script.n && !diags_is_full(diags); i++)
        check_step(s, i, diags);
    check_rings(s, diags);
    if (diags->n_errors == before)
        check_horizon(s, diags);
}
