/* Lines: what both engines have in common. See impair.h.
 *
 * Devices of ours are named "bs" and a number that is never used twice by one struct impair; filters
 * have priorities from PREF_FIRST up, in the order of arming, before those that tc chooses itself
 * (49152 and below). clsact on a device is made with its first line, if nobody else has one there,
 * and taken away with its last, if nobody else has put a filter into it.
 */
#include "sim/impair/impair.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "sim/impair/engine/engine.h"
#include "sim/impair/kernel_line.h"
#include "sim/impair/scope.h"
#include "sim/impair/sweep.h"
#include "sim/kernel/netns.h"
#include "sim/kernel/rtnl.h"

#define PREF_FIRST 100
#define PREF_LAST 20000
#define RETIRE_LOOK (50 * NSEC_MSEC)
#define LABELS 512 /* a power of two */

struct impair_line {
    struct impair *m;
    struct impair_line *next;
    struct nl *nl;
    char device[IFNAMSIZ];
    bool ingress, on;
    bool shares; /* packets with another line of its point: one of them alone may be on */
    uint16_t pref;
    bool dead;                 /* the engine's process died under it */
    struct impair_scope scope; /* a copy */
    struct impairment what;    /* tables: copies */
    int16_t *tables[2];
    enum impair_engine engine;
    char why[IMPAIR_WHY_MAX];
    char *label;
    struct impair_line *namesake; /* the next whose label falls into the same place */
    struct kernel_line *kernel;   /* NETEM */
    struct engine_line *user;     /* USER */
    bool retired;
    nsec retired_until;
    struct loop_timer look; /* retired: is anything held? */
    nsec look_at;
};

/* clsact of a device of ours or not; one for each that has lines. */
struct hold {
    struct hold *next;
    struct nl *nl;
    char device[IFNAMSIZ];
    size_t lines;
    bool made;
};

struct impair {
    struct loop *loop;
    void (*died)(const char *reason, void *data);
    void *data;
    struct impair_line *lines;          /* oldest first */
    struct impair_line *labels[LABELS]; /* those that are not retired, oldest first */
    struct hold *holds;
    struct engine *engine; /* NULL before the first line of ours */
    struct impair_here here;
    bool tried; /* here is of this machine */
    unsigned made;
    const char *retiring; /* the label of the line whose retirement is coming to its end */
};

int impair_new(struct loop *loop, void (*died)(const char *reason, void *data), void *data,
               struct impair **ret, struct err *err)
{
    struct impair *m = calloc(1, sizeof *m);
    if (!m)
        return err_errno(err, ENOMEM, "impairing traffic");
    *m = (struct impair){.loop = loop, .died = died, .data = data};
    *ret = m;
    return 0;
}

struct impair *impair_free(struct impair *m)
{
    if (!m)
        return NULL;
    while (m->lines) {
        if (m->lines->user) /* what is left of it goes with the engine's process */
            engine_no_hurry(m->lines->user);
        impair_disarm(m->lines, NULL);
    }
    engine_free(m->engine);
    free(m);
    return NULL;
}

/* The path has healed: the filters are gone. The lines stay, to be disarmed. */
static void engine_died(const char *reason, void *data)
{
    struct impair *m = data;
    for (struct impair_line *l = m->lines; l; l = l->next)
        l->dead |= l->engine == IMPAIR_USER;
    if (m->died)
        m->died(reason, m->data);
}

/* --- clsact ----------------------------------------------------------------------------------- */

static struct hold **find_hold(struct impair *m, const struct nl *nl, const char *device)
{
    struct hold **h = &m->holds;
    while (*h && ((*h)->nl != nl || strcmp((*h)->device, device) != 0))
        h = &(*h)->next;
    return h;
}

static int hold_take(struct impair *m, struct nl *nl, const char *device, struct err *err)
{
    struct hold *h = *find_hold(m, nl, device);
    char kind[TC_KIND_MAX];
    if (h) {
        h->lines++;
        return 0;
    }
    int r = tc_clsact_find(nl, device, kind, err);
    if (r < 0)
        return r;
    if (kind[0] && strcmp(kind, "clsact") != 0)
        return err_set(err, EBUSY, "%s: somebody else's '%s' qdisc holds the place of clsact on %s",
                       nl_where(nl), kind, device);
    if (!kind[0]) {
        tc_clsact_add(nl, device);
        r = nl_flush(nl, err);
        if (r < 0)
            return r;
    }
    h = calloc(1, sizeof *h);
    if (!h)
        return err_errno(err, ENOMEM, "impairing traffic");
    *h = (struct hold){.next = m->holds, .nl = nl, .lines = 1, .made = !kind[0]};
    snprintf(h->device, sizeof h->device, "%s", device);
    m->holds = h;
    return 0;
}

static bool hook_is_empty(struct nl *nl, const char *device, enum tc_hook hook)
{
    AUTO_FREE struct tc_filter_seen *seen = NULL;
    size_t n = 0;
    return tc_filters(nl, device, hook, &seen, &n, NULL) == 0 && n == 0;
}

/* gone: the namespace or the device is not there any more. */
static int hold_release(struct impair *m, const struct nl *nl, const char *device, bool gone,
                        struct err *err)
{
    struct hold **at = find_hold(m, nl, device), *h = *at;
    int r = 0;
    if (!h || --h->lines > 0)
        return 0;
    if (!gone && h->made && hook_is_empty(h->nl, device, TC_EGRESS) &&
        hook_is_empty(h->nl, device, TC_INGRESS)) {
        tc_clsact_delete(h->nl, device);
        nl_forgive(h->nl, ENODEV); /* it went with the device */
        r = nl_flush(h->nl, err);
        if (r == -ENOENT || r == -EINVAL)
            r = 0;
    }
    *at = h->next;
    free(h);
    return r;
}

/* --- Lines ------------------------------------------------------------------------------------ */

static int16_t *copy_table(struct impair_table *t)
{
    int16_t *copy = t->n ? malloc(t->n * sizeof *copy) : NULL;
    if (t->n && !copy)
        abort(); /* as the buffers of sim/base do */
    if (copy)
        memcpy(copy, t->values, t->n * sizeof *copy);
    t->values = copy;
    return copy;
}

static void set_what(struct impair_line *line, const struct impairment *what)
{
    free(line->tables[0]);
    free(line->tables[1]);
    line->what = *what;
    line->tables[0] = copy_table(&line->what.table);
    line->tables[1] = copy_table(&line->what.slot.table);
}

static struct impair_line **label_place(struct impair *m, const char *label)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (const char *c = label; *c; c++)
        h = (h ^ (unsigned char)*c) * 16777619u;
    return &m->labels[h & (LABELS - 1)];
}

static void label_add(struct impair_line *line)
{
    struct impair_line **at = label_place(line->m, line->label);
    while (*at)
        at = &(*at)->namesake;
    *at = line;
}

static void label_remove(struct impair_line *line)
{
    struct impair_line **at = label_place(line->m, line->label);
    while (*at && *at != line)
        at = &(*at)->namesake;
    if (*at)
        *at = line->namesake;
    line->namesake = NULL;
}

static void unlink_line(struct impair_line *line)
{
    label_remove(line);
    struct impair_line **at = &line->m->lines;
    while (*at && *at != line)
        at = &(*at)->next;
    if (*at)
        *at = line->next;
}

static void line_free(struct impair_line *line)
{
    if (line->m->loop)
        loop_timer_cancel(line->m->loop, &line->look);
    unlink_line(line);
    scope_done(&line->scope);
    free(line->tables[0]);
    free(line->tables[1]);
    free(line->label);
    free(line);
}

/* Fates at several points are not to be the same ones. */
static struct impairment with_seed(const struct impair_order *o)
{
    struct impairment what = *o->what;
    what.seed += what.has_seed ? o->number : 0;
    return what;
}

/* Another line that is on and may meet the same packets. */
static int refuse_overlap(struct impair_line *line, struct err *err)
{
    for (struct impair_line *l = line->m->lines; l; l = l->next) {
        if (l == line || l->retired || l->nl != line->nl || l->ingress != line->ingress ||
            strcmp(l->device, line->device) != 0 || !impair_scopes_overlap(&l->scope, &line->scope))
            continue;
        line->shares = l->shares = true;
        if (l->on)
            return err_set(err, EBUSY,
                           "%s impairs some of these packets already (%s, %s): give both scopes "
                           "that share none",
                           l->label, nl_where(l->nl), l->device);
    }
    return 0;
}

void impair_expect(struct impair *m, const struct impair_here *here)
{
    m->here = *here;
    m->tried = true;
}

/* In a namespace for nothing else: the point's may be somebody else's, and outlive us. */
static void try_here(struct impair *m)
{
    AUTO_CLOSE int own = -1;
    if (m->tried || netns_new(&own, NULL) < 0)
        return;
    impair_here_try(own, &m->here);
    m->tried = true;
}

static int choose(struct impair *m, const struct impair_order *o, struct impair_line *line,
                  struct err *err)
{
    if (!nl_is_recording(o->point.nl))
        try_here(m);
    if (!m->tried)
        impair_here_of(NULL, &m->here);
    return impair_choose(o->engine, &m->here, &line->engine, line->why, err);
}

int impair_ready(struct impair *m, enum impair_engine asked, struct err *err)
{
    enum impair_engine engine;
    char why[IMPAIR_WHY_MAX];
    try_here(m);
    int r = impair_choose(asked, &m->here, &engine, why, err);
    if (r < 0 || engine != IMPAIR_USER)
        return r;
    if (!m->engine)
        r = engine_new(m->loop, ENGINE_ANY, engine_died, m, &m->engine, err);
    return r < 0 ? r : engine_start(m->engine, err);
}

static enum engine_intake intake_of(const struct impair *m, const struct nl *nl)
{
    return !nl_is_recording(nl) ? ENGINE_ANY : m->here.tap ? ENGINE_TAP : ENGINE_VETH;
}

static int arm_user(struct impair_line *line, const struct line_spec *spec,
                    const struct impairment *what, struct err *err)
{
    struct impair *m = line->m;
    struct engine_spec e = {.point = *spec->point,
                            .scope = &line->scope,
                            .ops = spec->ops,
                            .n_ops = spec->n_ops,
                            .pref = spec->pref,
                            .tag = spec->tag};
    int r = 0;
    if (!m->engine)
        r = engine_new(m->loop, intake_of(m, spec->point->nl), engine_died, m, &m->engine, err);
    return r < 0 ? r : engine_arm(m->engine, &e, what, &line->user, err);
}

unsigned impair_next(const struct impair *m)
{
    return m->made;
}

void impair_name(unsigned number, char ret_tag[IMPAIR_TAG_MAX], uint16_t *ret_pref)
{
    snprintf(ret_tag, IMPAIR_TAG_MAX, "bs%u", number);
    *ret_pref = (uint16_t)(PREF_FIRST + number % (PREF_LAST - PREF_FIRST));
}

bool impair_stands(const struct impair *m, const struct nl *nl, const char *device)
{
    const struct impair_line *l = m ? m->lines : NULL;
    while (l && (l->retired || l->nl != nl || strcmp(l->device, device) != 0))
        l = l->next;
    return l;
}

bool impair_lives(const struct impair *m, uint16_t pref)
{
    const struct impair_line *l = m ? m->lines : NULL;
    while (l && (l->retired || l->pref != pref))
        l = l->next;
    return l;
}

static int arm_engine(struct impair_line *line, const struct impair_order *o, struct err *err)
{
    AUTO_FREE struct sock_filter *ops = NULL;
    char tag[IMPAIR_TAG_MAX];
    struct impair *m = line->m;
    struct line_spec spec = {.point = &o->point, .tag = tag};
    int r = scope_program(o->scope, o->point.ingress, &ops, &spec.n_ops, err);
    if (r < 0)
        return r;
    impair_name(m->made, tag, &spec.pref);
    spec.ops = ops;
    line->pref = spec.pref;
    m->made++;
    return line->engine == IMPAIR_USER ? arm_user(line, &spec, &line->what, err)
                                       : kernel_line_arm(&spec, &line->what, &line->kernel, err);
}

int impair_arm(struct impair *m, const struct impair_order *o, struct impair_line **ret,
               struct err *err)
{
    struct impair_line *line = calloc(1, sizeof *line);
    if (!line || !(line->label = strdup(o->label))) {
        free(line);
        return err_errno(err, ENOMEM, "arming an impairment");
    }
    line->m = m;
    line->nl = o->point.nl;
    line->ingress = o->point.ingress;
    snprintf(line->device, sizeof line->device, "%s", o->point.device);
    line->scope = scope_copy(o->scope);
    struct impairment what = with_seed(o);
    set_what(line, &what);
    int r = refuse_overlap(line, err);
    if (r == 0)
        r = choose(m, o, line, err);
    if (r == 0 && (r = hold_take(m, line->nl, line->device, err)) == 0 &&
        (r = arm_engine(line, o, err)) < 0)
        (void)hold_release(m, line->nl, line->device, false, NULL);
    if (r < 0) {
        line_free(line);
        return r;
    }
    struct impair_line **last = &m->lines;
    while (*last)
        last = &(*last)->next;
    *last = line;
    label_add(line);
    *ret = line;
    return 0;
}

static int refuse_dead(const struct impair_line *line, struct err *err)
{
    return line->dead ? err_set(err, ESRCH,
                                "the process of blackstart's own engine has died: "
                                "nothing is impaired by it any more")
                      : 0;
}

int impair_set(struct impair_line *line, bool on, struct span *ret_at, struct err *err)
{
    int r = on ? refuse_dead(line, err) : 0;
    if (r == 0 && on && line->shares)
        r = refuse_overlap(line, err);
    if (r == 0)
        r = line->user ? engine_set(line->user, on, ret_at, err)
                       : kernel_line_set(line->kernel, on, ret_at, err);
    if (r == 0)
        line->on = on;
    return r;
}

int impair_change(struct impair_line *line, const struct impairment *what, struct err *err)
{
    int r = refuse_dead(line, err);
    if (r == 0)
        r = line->user ? engine_change(line->user, what, err)
                       : kernel_line_change(line->kernel, what, err);
    if (r == 0)
        set_what(line, what);
    return r;
}

int impair_disarm(struct impair_line *line, struct err *err)
{
    struct err why = ERR_INIT;
    int r = line->user ? engine_disarm(line->user, &why) : kernel_line_disarm(line->kernel, &why);
    int released = hold_release(line->m, line->nl, line->device, false, r < 0 ? NULL : &why);
    line_free(line);
    r = r < 0 ? r : released;
    if (r < 0 && err)
        *err = why;
    return r;
}

int impair_count(struct impair_line *line, struct impair_counts *ret, struct err *err)
{
    return line->user ? engine_count(line->user, ret, err)
                      : kernel_line_count(line->kernel, ret, err);
}

/* What leads its packets aside. */
static int check_filter(const struct impair_line *line, struct err *err)
{
    AUTO_FREE struct tc_filter_seen *seen = NULL;
    size_t n = 0;
    int r =
        tc_filters(line->nl, line->device, line->ingress ? TC_INGRESS : TC_EGRESS, &seen, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        if (seen[i].pref == line->pref && strcmp(seen[i].kind, "bpf") == 0)
            return 0;
    return r < 0 ? r : err_set(err, ENOENT, "the filter on %s is not there any more", line->device);
}

int impair_check(struct impair_line *line, struct err *err)
{
    struct impair_counts c;
    int r = refuse_dead(line, err);
    if (r == 0)
        r = line->user ? engine_count(line->user, &c, err)
                       : kernel_line_check(line->kernel, &line->what, err);
    if (r == 0 && line->on)
        r = check_filter(line, err);
    return r;
}

/* --- Retiring --------------------------------------------------------------------------------- */

static void retire_end(struct impair_line *line)
{
    struct impair *m = line->m;
    AUTO_FREE char *label = strdup(line->label);
    m->retiring = label;
    impair_disarm(line, NULL);
    m->retiring = NULL;
}

static void retire_later(struct impair_line *line, nsec at)
{
    line->look_at = at;
    loop_timer_set(line->m->loop, &line->look, at);
}

static void retire_look(struct loop_timer *t, void *data)
{
    struct impair_line *line = data;
    struct impair_counts c = {0};
    struct impair *m = line->m;
    nsec now = loop_now(m->loop);
    if (now < line->retired_until && impair_count(line, &c, NULL) == 0 && c.held > 0) {
        retire_later(line, nsec_add(now, RETIRE_LOOK));
        return;
    }
    retire_end(line);
    /* One in a turn of the loop, for the kernel takes its time for each (README.md): what was set in this turn
     * ends it, and begins the next one. */
    struct impair_line *next = m->lines;
    while (next && (!next->retired || next->look_at > now))
        next = next->next;
    if (next)
        retire_later(next, 0);
}

int impair_retire(struct impair_line *line, struct span *ret_at, struct err *err)
{
    struct impair *m = line->m;
    if (line->kernel)
        kernel_line_uncounted(line->kernel);
    int r = impair_set(line, false, ret_at, err);
    if (r < 0)
        return r;
    line->retired = true;
    label_remove(line);
    if (line->user)
        engine_no_hurry(line->user);
    if (!m->loop)
        return impair_disarm(line, err);
    nsec now = loop_fresh(m->loop);
    line->retired_until = nsec_add(now, IMPAIR_RETIRE);
    line->look = (struct loop_timer){.fn = retire_look, .data = line};
    retire_later(line, nsec_add(now, RETIRE_LOOK));
    return 0;
}

const char *impair_retiring(const struct impair *m)
{
    return m->retiring;
}

struct impair_line *impair_find(struct impair *m, const char *label)
{
    struct impair_line *l = *label_place(m, label);
    while (l && strcmp(l->label, label) != 0)
        l = l->namesake;
    return l;
}

void impair_gone(struct impair *m, const struct nl *nl, const char *device)
{
    struct impair_line *next;
    for (struct impair_line *l = m->lines; l; l = next) {
        next = l->next;
        if (l->nl != nl || (device && strcmp(l->device, device) != 0))
            continue;
        /* Nothing is asked of what has gone; failures tell that alone. */
        if (l->user && device)
            (void)engine_disarm(l->user, NULL);
        else if (l->user)
            engine_forget(l->user);
        else if (device)
            (void)kernel_line_disarm(l->kernel, NULL);
        else
            kernel_line_forget(l->kernel);
        (void)hold_release(m, nl, l->device, true, NULL);
        line_free(l);
    }
}

/* --- For people ------------------------------------------------------------------------------- */

pid_t impair_engine_pid(const struct impair *m)
{
    return m->engine ? engine_pid(m->engine) : 0;
}

enum impair_engine impair_line_engine(const struct impair_line *line)
{
    return line->engine;
}

const char *impair_line_why(const struct impair_line *line)
{
    return line->why;
}

void impair_line_text(const struct impair_line *line, struct buf *out)
{
    buf_printf(out, "%s, %s %s", nl_where(line->nl), line->device,
               line->ingress ? "ingress" : "egress");
}
