/* tree → decode → resolve → check. Each stage says what it can; the next one is only reached when
 * it has something sensible to work on.
 */
#include "scenarios/scenario.h"

#include "scenarios/check.h"
#include "scenarios/tables.h"
#include "scenarios/tree.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static const char *const *names_of(const struct scenario *s, const struct objects *v, size_t *ret_n)
{
    const char **names = arena_alloc(s->arena, (v->n + 1) * sizeof *names);
    size_t n = 0;
    for (size_t i = 0; i < v->n; i++)
        if (*(char *const *)v->items[i]) /* the name is the first member, NULL after an error */
            names[n++] = *(char *const *)v->items[i];
    *ret_n = n;
    return names;
}
static_assert(offsetof(struct step, id) == 0, "names_of() reads the first member");

/* Every host is a component. */
static const char *const *names_components(const struct scenario *s, size_t *ret_n)
{
    size_t n_hosts, n;
    const char *const *hosts = names_of(s, &s->hosts, &n_hosts);
    const char *const *components = names_of(s, &s->assumed.components, &n);
    const char **names = arena_alloc(s->arena, (n + n_hosts + 1) * sizeof *names);
    if (n)
        memcpy(names, components, n * sizeof *names);
    if (n_hosts)
        memcpy(names + n, hosts, n_hosts * sizeof *names);
    *ret_n = n + n_hosts;
    return names;
}

static const char *const *names_roles_and_alarms(const struct scenario *s, size_t *ret_n)
{
    size_t n, roles = 0;
    const char *const *alarms = names_of(s, &s->alarms, &n);
    while (role_words[roles])
        roles++;
    const char **names = arena_alloc(s->arena, (n + roles) * sizeof *names);
    memcpy(names, role_words, roles * sizeof *names);
    if (n)
        memcpy(names + roles, alarms, n * sizeof *names);
    *ret_n = n + roles;
    return names;
}

static const char *const *names_audience(const struct scenario *s, size_t *ret_n)
{
    size_t n;
    const char *const *roles = names_of(s, &s->assumed.roles, &n);
    const char **names = arena_alloc(s->arena, (n + 1) * sizeof *names);
    if (n)
        memcpy(names, roles, n * sizeof *names);
    names[n] = ROLE_ALL;
    *ret_n = n + 1;
    return names;
}

static const char *const *names_lookup(enum field_ref ref, size_t *ret_n, void *data)
{
    const struct scenario *s = data;
    switch (ref) {
    case REF_SERVICE:
        return names_of(s, &s->services, ret_n);
    case REF_NETWORK:
        return names_of(s, &s->networks, ret_n);
    case REF_HOST:
        return names_of(s, &s->hosts, ret_n);
    case REF_GROUP:
        return names_of(s, &s->groups, ret_n);
    case REF_PROBE:
        return names_of(s, &s->probes, ret_n);
    case REF_ALARM:
        return names_of(s, &s->alarms, ret_n);
    case REF_STEP:
        return names_of(s, &s->script, ret_n);
    case REF_ROLE_OR_ALARM:
        return names_roles_and_alarms(s, ret_n);
    case REF_COMPONENT:
        return names_components(s, ret_n);
    case REF_CREW:
        return names_of(s, &s->assumed.crews, ret_n);
    case REF_RESPONDER:
        return names_of(s, &s->assumed.roles, ret_n);
    case REF_AUDIENCE:
        return names_audience(s, ret_n);
    case REF_OBJECTIVE:
        return names_of(s, &s->exercise.objectives, ret_n);
    case REF_PHASE:
        return names_of(s, &s->exercise.phases, ret_n);
    case REF_RUNBOOK:
        return names_of(s, &s->exercise.runbooks, ret_n);
    case REF_NONE:
        break;
    }
    *ret_n = 0;
    return NULL;
}

/* Another version of the language would give nothing but misleading errors. */
static bool version_is_known(const struct node *root, struct diags *diags)
{
    const struct node *v = node_get(root, "blackstart");
    char what[DIAG_QUOTE_MAX + 8];
    if (!v || (v->kind == NODE_SCALAR && v->plain && !strcmp(v->text, "1")))
        return true;
    if (v->kind == NODE_SCALAR && !strcmp(v->text, "1"))
        diags_error(diags, v->place, "'blackstart' must be a number: remove the quotes");
    else
        diags_error(diags, v->place, "this blackstart reads version 1 of the language, not %s",
                    node_what(v, what));
    return false;
}

/* `vars:` was checked when it was used; what it says is kept for reports. */
static void load_vars(struct scenario *s, const struct node *root)
{
    const struct node *vars = node_get(root, "vars");
    if (!vars || vars->kind != NODE_MAP)
        return;
    s->vars.items = arena_alloc(s->arena, vars->n * sizeof *s->vars.items);
    for (size_t i = 0; i < vars->n; i++)
        if (vars->entries[i].value->kind == NODE_SCALAR)
            s->vars.items[s->vars.n++] = (struct pair){.key = vars->entries[i].key->text,
                                                       .value = vars->entries[i].value->text,
                                                       .place = vars->entries[i].key->place};
}

enum load_how { LOAD_FILE, LOAD_TEXT, LOAD_AS_RUN };

/* Durations that stand in files of their own. */
static void read_values(struct decode *d, const char *file, enum load_how how)
{
    const char *slash = strrchr(file, '/');
    AUTO_FREE char *folder = slash ? strndup(file, (size_t)(slash - file)) : strdup(".");
    decode_read_values(d, how == LOAD_FILE ? folder : NULL);
}

static int load_tree(struct arena *arena, struct node *root, const char *file, enum load_how how,
                     struct diags *diags, struct scenario **ret)
{
    struct decode d = {.arena = arena, .diags = diags};
    if (!root || !version_is_known(root, diags))
        return -EINVAL;
    struct scenario *s = arena_alloc(arena, sizeof *s);
    decode_record(&d, &scenario_record, root, root->place, s);
    s->arena = arena;
    s->file = arena_strdup(arena, file);
    s->tree = root;
    s->assumptions = &s->assumed;
    load_vars(s, root);
    d.places_miss = !check_places_exist(s, diags);
    check_resolve(s, diags);
    decode_resolve(&d, names_lookup, s);
    if (how == LOAD_FILE)
        check_files(s, &d, diags);
    if (!diags->n_errors)
        read_values(&d, file, how);
    if (!diags->n_errors)
        check_resolve_assumed(s, &d, diags);
    decode_done(&d);
    if (!diags->n_errors && how != LOAD_AS_RUN)
        check_scenario(s, diags);
    if (diags->n_errors)
        return -EINVAL;
    *ret = s;
    return 0;
}

/* Each variant is a scenario that is right as well. */
static void try_variants(const struct scenario *s, const char *path, struct diags *diags)
{
    for (size_t i = 0; i < s->assumptions->variants.n && !diags_is_full(diags); i++) {
        const struct variant_set *v = s->assumptions->variants.items[i];
        CLEANUP(arena_free_p) struct arena *arena = arena_new();
        AUTO_DIAGS wrong = DIAGS_INIT;
        struct scenario *as = NULL;
        struct strv sets = {.items = arena_alloc(arena, v->set.n * sizeof(char *))};
        for (size_t k = 0; k < v->set.n; k++)
            sets.items[sets.n++] =
                arena_printf(arena, "%s=%s", v->set.items[k].key, v->set.items[k].value);
        struct node *root = tree_load(arena, path, &sets, &wrong);
        if (load_tree(arena, root, path, LOAD_FILE, &wrong, &as) == 0)
            continue;
        for (size_t k = 0; k < wrong.n; k++)
            if (!wrong.items[k].warning) {
                diags_error(diags, v->place, "with the variant '%s': %s", v->name,
                            wrong.items[k].text);
                break;
            }
    }
}

int scenario_load(const char *path, const struct strv *sets, struct diags *diags,
                  struct scenario **ret)
{
    CLEANUP(arena_free_p) struct arena *arena = arena_new();
    struct node *root = tree_load(arena, path, sets, diags);
    struct scenario *s = NULL;
    int r = load_tree(arena, root, path, LOAD_FILE, diags, &s);
    if (r < 0)
        return r;
    size_t before = diags->n_errors;
    if (!sets || !sets->n) /* who sets something asks for that, and perhaps a thousand times */
        try_variants(s, path, diags);
    if (diags->n_errors != before)
        return -EINVAL;
    steal_ptr(arena); /* it is s->arena */
    *ret = s;
    return 0;
}

static int load_text(const char *text, size_t n, const char *name, const struct strv *sets,
                     enum load_how how, struct diags *diags, struct scenario **ret)
{
    CLEANUP(arena_free_p) struct arena *arena = arena_new();
    struct node *root = tree_load_text(arena, text, n, name, sets, diags);
    int r = load_tree(arena, root, name, how, diags, ret);
    if (r < 0)
        return r;
    steal_ptr(arena);
    return 0;
}

int scenario_load_text(const char *text, size_t n, const char *name, const struct strv *sets,
                       struct diags *diags, struct scenario **ret)
{
    return load_text(text, n, name, sets, LOAD_TEXT, diags, ret);
}

int scenario_load_as_run(const char *text, size_t n, const char *name, struct diags *diags,
                         struct scenario **ret)
{
    return load_text(text, n, name, NULL, LOAD_AS_RUN, diags, ret);
}

int scenario_set_trials(struct scenario *s, int64_t trials, struct diags *diags)
{
    size_t before = diags->n_errors;
    check_trials(s, trials, diags);
    if (diags->n_errors != before)
        return -EINVAL;
    s->trials = trials;
    return 0;
}
