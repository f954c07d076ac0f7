/* The shape of a partition. See shape.h.
 *
 * cut, bridge and random-halves are groups (bridge and random-halves: two); a grudge and the ring
 * are ways between single hosts; isolate is one group against everybody who is not named.
 */
#include "injectors/net/partition/shape.h"

#include <errno.h>
#include <string.h>

#include "injectors/process/targets.h"

enum shape_kind { SHAPE_CUT, SHAPE_ISOLATE, SHAPE_GRUDGE, SHAPE_BRIDGE, SHAPE_RING, SHAPE_HALVES };

void shape_done(struct shape *s)
{
    free(s->hosts);
    grudge_done(&s->ways);
    buf_done(&s->how);
    buf_done(&s->text);
}

/* The number of shapes given; *ret is the last of them. */
static size_t shapes_given(const struct partition_params *p, enum shape_kind *ret)
{
    const bool given[] = {
        [SHAPE_CUT] = p->cut.n > 0,       [SHAPE_ISOLATE] = p->isolate.n > 0,
        [SHAPE_GRUDGE] = p->grudge.n > 0, [SHAPE_BRIDGE] = p->bridge != NULL,
        [SHAPE_RING] = p->ring != NULL,   [SHAPE_HALVES] = p->halves != NULL,
    };
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(given); i++)
        if (given[i]) {
            *ret = (enum shape_kind)i;
            n++;
        }
    return n;
}

static enum shape_kind kind_of(const struct partition_params *p)
{
    enum shape_kind kind = SHAPE_CUT;
    shapes_given(p, &kind);
    return kind;
}

/* --- Check ------------------------------------------------------------------------------------ */

/* A host stands in one group only; one that is chosen when the step happens leaves the others. */
static int check_twice(const struct objects *groups, const char *host, struct err *err)
{
    size_t seen = 0;
    for (size_t g = 0; g < groups->n; g++) {
        const struct objects *group = groups->items[g];
        for (size_t i = 0; i < group->n; i++) {
            const struct target *t = group->items[i];
            seen += t->host && strcmp(t->host, host) == 0;
        }
    }
    if (seen > 1)
        return err_set(err, EINVAL, "host '%s' stands in 'cut' more than once", host);
    return 0;
}

static int check_cut(const struct partition_params *p, struct err *err)
{
    if (p->cut.n < 2)
        return err_set(err, EINVAL, "'cut' needs at least two groups: cut: [[a], [b, c]]");
    if (p->cut.n > 2 && p->direction != CUT_BOTH)
        return err_set(err, EINVAL,
                       "'direction: %s' goes from the first group to the second; there are %zu",
                       p->direction == CUT_FORWARD ? "forward" : "backward", p->cut.n);
    for (size_t g = 0; g < p->cut.n; g++) {
        const struct objects *group = p->cut.items[g];
        if (group->n == 0)
            return err_set(err, EINVAL, "group %zu of 'cut' is empty", g + 1);
        for (size_t i = 0; i < group->n; i++) {
            const struct target *t = group->items[i];
            int r = inject_target_check(t, "cut", err);
            if (r == 0 && t->host)
                r = check_twice(&p->cut, t->host, err);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

static int check_isolate(const struct partition_params *p, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < p->isolate.n; i++)
        r = inject_target_check(p->isolate.items[i], "isolate", err);
    return r;
}

static int check_list(const struct strv *of, const char *key, size_t least, const char *why,
                      struct err *err)
{
    for (size_t i = 0; i < of->n; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(of->items[i], of->items[k]) == 0)
                return err_set(err, EINVAL, "'%s' lists '%s' twice", key, of->items[i]);
    if (of->n < least)
        return err_set(err, EINVAL, "'%s' needs at least %zu hosts%s: there %s %zu", key, least,
                       why, of->n == 1 ? "is" : "are", of->n);
    return 0;
}

static int check_grudge(const struct partition_params *p, struct err *err)
{
    for (size_t i = 0; i < p->grudge.n; i++) {
        const struct partition_grudge *g = p->grudge.items[i];
        for (size_t k = 0; k < g->from.n; k++) {
            if (strcmp(g->from.items[k], g->host) == 0)
                return err_set(err, EINVAL, "'grudge': '%s' cannot refuse itself", g->host);
            for (size_t j = 0; j < k; j++)
                if (strcmp(g->from.items[k], g->from.items[j]) == 0)
                    return err_set(err, EINVAL, "'grudge' lists '%s' twice for '%s'",
                                   g->from.items[k], g->host);
        }
    }
    return 0;
}

static bool lists(const struct strv *of, const char *host)
{
    for (size_t i = 0; i < of->n; i++)
        if (strcmp(of->items[i], host) == 0)
            return true;
    return false;
}

/* True when one of `of` may turn out to be the bridge, which stands in no half. */
static bool may_be_bridge(const struct target *through, const struct strv *of)
{
    bool may = through->host && lists(of, through->host);
    for (size_t i = 0; !through->host && i < through->of.n; i++)
        may = may || lists(of, through->of.items[i]);
    return may;
}

static int check_bridge(const struct partition_params *p, struct err *err)
{
    const struct partition_bridge *b = p->bridge;
    if (!b->through) /* that the key is missing was said */
        return 0;
    int r = inject_target_check(b->through, "through", err);
    if (r == 0 && inject_target_count(b->through) != 1)
        return err_set(err, EINVAL, "one host is the bridge: 'through' asks for %zu",
                       inject_target_count(b->through));
    if (r == 0 && may_be_bridge(b->through, &b->of))
        r = check_list(&b->of, "bridge", 3, ", the bridge and one on each side", err);
    else if (r == 0)
        r = check_list(&b->of, "bridge", 2, ", one on each side", err);
    return r;
}

/* `direction` needs a first and a second. */
static int check_undirected(const struct partition_params *p, const char *why, struct err *err)
{
    if (p->direction == CUT_BOTH)
        return 0;
    return err_set(err, EINVAL, "%s: leave 'direction' out", why);
}

int shape_check(const struct partition_params *p, struct err *err)
{
    enum shape_kind kind = SHAPE_CUT;
    size_t n = shapes_given(p, &kind);
    if (n != 1)
        return err_set(
            err, EINVAL,
            "%s: give one of 'cut: [[a], [b]]' (groups), 'isolate: [a]' (from all others), "
            "'grudge', 'bridge', 'majorities-ring' and 'random-halves'",
            n ? "a partition has one shape" : "who is cut from whom");
    int r = 0;
    if (kind == SHAPE_GRUDGE)
        r = check_undirected(p, "'grudge' says itself who refuses whom", err);
    else if (kind == SHAPE_RING)
        r = check_undirected(p, "'majorities-ring' knows no first and second", err);
    if (r < 0)
        return r;
    switch (kind) {
    case SHAPE_CUT:
        return check_cut(p, err);
    case SHAPE_ISOLATE:
        return check_isolate(p, err);
    case SHAPE_GRUDGE:
        return check_grudge(p, err);
    case SHAPE_BRIDGE:
        return check_bridge(p, err);
    case SHAPE_RING:
        return check_list(&p->ring->of, "majorities-ring", 3, ", or all would see all", err);
    case SHAPE_HALVES:
        return check_list(&p->halves->of, "random-halves", 2, "", err);
    }
    return 0;
}

static bool all_plain(const struct objects *targets)
{
    for (size_t i = 0; i < targets->n; i++)
        if (!((const struct target *)targets->items[i])->host)
            return false;
    return true;
}

bool shape_is_fixed(const struct partition_params *p)
{
    enum shape_kind kind = kind_of(p);
    bool fixed = kind != SHAPE_HALVES && all_plain(&p->isolate);
    for (size_t g = 0; g < p->cut.n; g++)
        fixed = fixed && all_plain(p->cut.items[g]);
    return fixed && (kind != SHAPE_BRIDGE || (p->bridge->through && p->bridge->through->host));
}

/* --- Words ------------------------------------------------------------------------------------ */

static void add_names(struct buf *out, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s%s", i ? ", " : "", names[i]);
}

static void add_list(struct buf *out, const struct strv *of)
{
    add_names(out, (const char *const *)of->items, of->n);
}

static void write_groups(const struct partition_params *p, struct buf *out)
{
    size_t groups = p->isolate.n ? 1 : p->cut.n;
    for (size_t g = 0; g < groups; g++) {
        const struct objects *group = p->isolate.n ? &p->isolate : p->cut.items[g];
        buf_adds(out, g ? " | " : "");
        for (size_t i = 0; i < group->n; i++) {
            AUTO_FREE char *text = inject_target_text(group->items[i]);
            buf_printf(out, "%s%s", i ? ", " : "", text);
        }
    }
    if (p->isolate.n)
        buf_adds(out, " | all others");
}

static void write_grudge(const struct partition_params *p, struct buf *out)
{
    for (size_t i = 0; i < p->grudge.n; i++) {
        const struct partition_grudge *g = p->grudge.items[i];
        buf_printf(out, "%s%s hears nothing of ", i ? "; " : "", g->host);
        add_list(out, &g->from);
    }
}

static void write_ring(const struct partition_params *p, struct buf *out)
{
    buf_adds(out, "a ring of majorities: ");
    add_list(out, &p->ring->of);
}

void shape_written(const struct partition_params *p, struct buf *out)
{
    AUTO_FREE char *through = NULL;
    switch (kind_of(p)) {
    case SHAPE_CUT:
    case SHAPE_ISOLATE:
        write_groups(p, out);
        return;
    case SHAPE_GRUDGE:
        write_grudge(p, out);
        return;
    case SHAPE_BRIDGE:
        through = inject_target_text(p->bridge->through);
        buf_adds(out, "the two halves of ");
        add_list(out, &p->bridge->of);
        buf_printf(out, ", joined by %s alone", through);
        return;
    case SHAPE_RING:
        write_ring(p, out);
        return;
    case SHAPE_HALVES:
        buf_adds(out, "two halves of ");
        add_list(out, &p->halves->of);
        buf_adds(out, ", drawn from the seed");
        return;
    }
}

const char *shape_direction(const struct partition_params *p)
{
    static const char *const texts[] = {
        [CUT_BOTH] = "in both directions",
        [CUT_FORWARD] = "only what the first send",
        [CUT_BACKWARD] = "only what the first are sent",
    };
    return kind_of(p) == SHAPE_GRUDGE ? "" : texts[p->direction];
}

/* "a, b | c" by the groups of the hosts. */
static void groups_text(const struct shape *s, const size_t *group, size_t groups, struct buf *out)
{
    for (size_t g = 0; g < groups; g++) {
        size_t seen = 0;
        buf_adds(out, g ? " | " : "");
        for (size_t i = 0; i < s->n; i++)
            if (group[i] == g)
                buf_printf(out, "%s%s", seen++ ? ", " : "", s->hosts[i]);
    }
}

/* --- Who is cut from whom --------------------------------------------------------------------- */

/* A shape that is being found; group[i] is that of hosts[i]. */
struct finding {
    struct inject_env *env;
    struct shape *shape;
    size_t *group;
};

static void finding_done(struct finding *f)
{
    free(f->group);
}

static size_t find_host(const struct shape *s, const char *host)
{
    size_t i = 0;
    while (i < s->n && strcmp(s->hosts[i], host) != 0)
        i++;
    return i;
}

/* Its number; one that is there already keeps its group. */
static size_t add_host(struct finding *f, const char *host, size_t group)
{
    struct shape *s = f->shape;
    size_t i = find_host(s, host);
    if (i < s->n)
        return i;
    const char **hosts = realloc(s->hosts, (s->n + 1) * sizeof *hosts);
    if (hosts)
        s->hosts = hosts;
    size_t *groups = realloc(f->group, (s->n + 1) * sizeof *groups);
    if (!hosts || !groups)
        abort(); /* as the buffers of sim/base do */
    f->group = groups;
    hosts[s->n] = host;
    groups[s->n] = group;
    return s->n++;
}

static int add_named(struct finding *f, const char *name, size_t *ret, struct err *err)
{
    const struct host *h = scenario_host(f->env->scenario, name);
    if (!h)
        return err_set(err, ENOENT, "there is no host '%s' in this scenario", name);
    *ret = add_host(f, h->name, 0); /* the scenario's own copy of the name */
    return 0;
}

static void add_how(struct shape *s, const char *how)
{
    if (how)
        buf_printf(&s->how, "%s%s", s->how.len ? "; " : "", how);
}

static int add_target(struct finding *f, const struct target *t, size_t group, struct err *err)
{
    AUTO_TARGETS got = {0};
    int r = targets_choose(f->env, t, &got, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < got.n; i++)
        add_host(f, got.hosts[i], group);
    add_how(f->shape, got.how);
    return 0;
}

/* First those that are chosen now, then the plainly named, so that a chosen one leaves other
 * groups. */
static int add_group(struct finding *f, const struct objects *group, size_t number, bool chosen,
                     struct err *err)
{
    for (size_t i = 0; i < group->n; i++) {
        const struct target *t = group->items[i];
        if (chosen == (t->host != NULL))
            continue;
        int r = add_target(f, t, number, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int find_groups(struct finding *f, const struct partition_params *p, struct err *err)
{
    struct shape *s = f->shape;
    for (int chosen = 1; chosen >= 0; chosen--) {
        int r = p->isolate.n ? add_group(f, &p->isolate, 0, chosen, err) : 0;
        for (size_t g = 0; r == 0 && g < p->cut.n; g++)
            r = add_group(f, p->cut.items[g], g, chosen, err);
        if (r < 0)
            return r;
    }
    s->around = p->isolate.n > 0;
    groups_text(s, f->group, s->around ? 1 : p->cut.n, &s->text);
    if (s->around)
        buf_adds(&s->text, " | all others");
    else
        grudge_between(f->group, s->n, s->forward, s->backward, &s->ways);
    return 0;
}

static int find_grudge(struct finding *f, const struct partition_params *p, struct err *err)
{
    for (size_t i = 0; i < p->grudge.n; i++) {
        const struct partition_grudge *g = p->grudge.items[i];
        size_t from = 0, to = 0;
        int r = add_named(f, g->host, &to, err);
        for (size_t k = 0; r == 0 && k < g->from.n; k++) {
            r = add_named(f, g->from.items[k], &from, err);
            if (r == 0)
                grudge_add(&f->shape->ways, from, to);
        }
        if (r < 0)
            return r;
    }
    write_grudge(p, &f->shape->text);
    return 0;
}

/* All of `of` but `except` (which may be NULL), in that order. */
static int add_all(struct finding *f, const struct strv *of, const char *except, struct err *err)
{
    size_t at = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < of->n; i++)
        if (!except || strcmp(of->items[i], except) != 0)
            r = add_named(f, of->items[i], &at, err);
    return r;
}

/* The hosts as they stand: the first half is group 0. */
static void halve(struct finding *f)
{
    struct shape *s = f->shape;
    for (size_t i = 0; i < s->n; i++)
        f->group[i] = i >= grudge_half(s->n);
    grudge_between(f->group, s->n, s->forward, s->backward, &s->ways);
    groups_text(s, f->group, 2, &s->text);
}

static int find_bridge(struct finding *f, const struct partition_params *p, struct err *err)
{
    AUTO_TARGETS through = {0};
    int r = targets_choose(f->env, p->bridge->through, &through, err);
    if (r == 0)
        r = add_all(f, &p->bridge->of, through.hosts[0], err);
    if (r < 0)
        return r;
    add_how(f->shape, through.how);
    halve(f);
    buf_printf(&f->shape->text, ", joined by %s", through.hosts[0]);
    return 0;
}

static int find_halves(struct finding *f, const struct partition_params *p, struct err *err)
{
    struct shape *s = f->shape;
    int r = add_all(f, &p->halves->of, NULL, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i + 1 < s->n; i++) {
        size_t k = i + (size_t)rng_below(f->env->rng, s->n - i);
        const char *drawn = s->hosts[k];
        s->hosts[k] = s->hosts[i];
        s->hosts[i] = drawn;
    }
    halve(f);
    buf_adds(&s->how, "halves of ");
    add_list(&s->how, &p->halves->of);
    buf_printf(&s->how, ": drawn %s", buf_text(&s->text));
    return 0;
}

int shape_find(struct inject_env *env, const struct partition_params *p, struct shape *ret,
               struct err *err)
{
    __attribute__((cleanup(finding_done))) struct finding f = {.env = env, .shape = ret};
    ret->forward = p->direction != CUT_BACKWARD;
    ret->backward = p->direction != CUT_FORWARD;
    int r = 0;
    switch (kind_of(p)) {
    case SHAPE_CUT:
    case SHAPE_ISOLATE:
        return find_groups(&f, p, err);
    case SHAPE_GRUDGE:
        return find_grudge(&f, p, err);
    case SHAPE_BRIDGE:
        return find_bridge(&f, p, err);
    case SHAPE_HALVES:
        return find_halves(&f, p, err);
    case SHAPE_RING:
        r = add_all(&f, &p->ring->of, NULL, err);
        if (r < 0)
            return r;
        grudge_majorities_ring(ret->n, &ret->ways);
        write_ring(p, &ret->text);
        break;
    }
    return 0;
}

void shape_cut(const struct topo *topo, const struct shape *s, struct cut *ret)
{
    if (s->around)
        cut_around(topo, s->hosts, s->n, s->forward, s->backward, ret);
    else
        cut_along(topo, s->hosts, s->n, &s->ways, ret);
}
