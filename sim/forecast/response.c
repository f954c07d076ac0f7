/* Stages are taken in the order in which they become ready: who is ready first pages first.
 *
 * Model. A stage is *over* when its end is known and what its failure needs too: it worked, or the last
 * stage of the branch of its `else` is over, or it never will be (NSEC_INF). A stage becomes ready when all
 * that it comes after is over; a stage of a branch when the stage whose branch it is has failed. Of those
 * that are ready the earliest is run next: whatever is not ready yet comes after one that is, and cannot be
 * earlier. Sets of stages are bits of a word, hence at most 64 of them.
 *
 * Invariants: at the end all stages are over, those of branches that were not needed at the end of the
 * stage that did not need them. Each quantity's stream is asked for once. */
#include "sim/forecast/response.h"

#include "sim/forecast/capacity.h"
#include "sim/forecast/draw.h"
#include "sim/forecast/propagation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONE SIZE_MAX
#define DAY (24 * 3600 * NSEC_SEC)
#define PAGES_MAX 10000 /* then nobody comes: nobody's patience is longer */
#define STEPS_MAX 64

struct node {
    const struct stage *stage;
    uint64_t after;  /* what must be over before it */
    uint64_t branch; /* what is done when it does not work */
    size_t of;       /* whose branch it belongs to; NONE: of nobody's */
    size_t call;     /* index of its role among the calls; NONE */
    size_t approval; /* its quantity; NONE */
};

struct step { /* of an escalation: a page to so many at once */
    const struct responder *role;
    size_t people;
};

struct call {
    const struct responder *role;
    size_t quantity;
    struct step steps[STEPS_MAX];
    size_t steps_n;
};

struct response {
    const struct service_model *model;
    const struct objects *freezes;
    struct node *nodes;
    size_t n;
    struct call *calls;
    size_t calls_n;
    struct response_quantity *quantities;
    size_t quantities_n;
};

static uint64_t bit(size_t i)
{
    return UINT64_C(1) << i;
}

/* --- Made ready ------------------------------------------------------------------------------ */

static size_t find_stage(const struct response *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++)
        if (!strcmp(r->nodes[i].stage->name, name))
            return i;
    return NONE;
}

static const struct responder *find_role(const struct objects *roles, const char *name)
{
    for (size_t i = 0; roles && i < roles->n; i++) {
        const struct responder *role = roles->items[i];
        if (!strcmp(role->name, name))
            return role;
    }
    return NULL;
}

static int wrong(const struct place *at, struct err *err)
{
    return at->file && at->line ? err_prefix(err, "%s:%d:%d", at->file, at->line, at->col)
                                : err_prefix(err, "the model");
}

/* The steps of a role's escalation: its people, its deputies one by one, then whom it escalates to. */
static int call_steps(struct call *c, const struct objects *roles, struct err *err)
{
    for (const struct responder *role = c->role; role;) {
        for (size_t i = 0; i < 1 + role->deputies.n; i++) {
            if (c->steps_n == STEPS_MAX) {
                err_set(err, E2BIG, "role %s has more than %d steps of escalation", c->role->name,
                        STEPS_MAX);
                return wrong(&c->role->place, err);
            }
            c->steps[c->steps_n++] = (struct step){role, i || !role->people.n ? 1 : role->people.n};
        }
        const char *next = role->escalate_to;
        if (!next)
            return 0;
        const struct responder *other = find_role(roles, next);
        if (!other) {
            err_set(err, EINVAL, "role %s escalates to %s, which is no role", role->name, next);
            return wrong(&role->place, err);
        }
        role = other;
        for (size_t i = 0; i < c->steps_n; i++)
            if (c->steps[i].role == other)
                role = NULL; /* a round: from the beginning again, `loops` times */
    }
    return 0;
}

static int node_role(struct response *r, struct node *node, const struct objects *roles,
                     struct err *err)
{
    const char *name = node->stage->by;
    node->call = node->approval = NONE;
    if (!name)
        return 0;
    const struct responder *role = find_role(roles, name);
    if (!role) {
        err_set(err, EINVAL, "stage %s is by %s, which is no role", node->stage->name, name);
        return wrong(&node->stage->place, err);
    }
    for (size_t i = 0; i < r->calls_n; i++)
        if (r->calls[i].role == role)
            node->call = i;
    if (node->call != NONE)
        return 0;
    node->call = r->calls_n++;
    r->calls[node->call].role = role;
    return call_steps(&r->calls[node->call], roles, err);
}

/* The stages that it names in `after`, or else the one before it. */
static int node_after(struct response *r, size_t i, struct err *err)
{
    struct node *node = &r->nodes[i];
    const struct stage *s = node->stage;
    for (size_t k = 0; k < s->after.n; k++) {
        size_t other = find_stage(r, s->after.items[k]);
        if (other == NONE || other == i) {
            err_set(err, EINVAL, "stage %s comes after %s, which is no other stage of service %s",
                    s->name, s->after.items[k], r->model->service);
            return wrong(&s->place, err);
        }
        node->after |= bit(other);
    }
    if (s->after.n || s->start != STAGE_AFTER || s->fallback)
        return 0;
    for (size_t k = i; k-- > 0;)
        if (!r->nodes[k].stage->fallback) {
            node->after = bit(k);
            break;
        }
    return 0;
}

static int node_else(struct response *r, size_t i, struct err *err)
{
    const struct stage *s = r->nodes[i].stage;
    if (!s->otherwise)
        return 0;
    size_t other = find_stage(r, s->otherwise);
    if (other == NONE || other == i)
        err_set(err, EINVAL, "the else of stage %s is %s, which is no other stage of service %s",
                s->name, s->otherwise, r->model->service);
    else if (!r->nodes[other].stage->fallback)
        err_set(
            err, EINVAL,
            "the else of stage %s is %s, which is taken in any case; write `only: fallback` there",
            s->name, s->otherwise);
    else if (r->nodes[other].of != NONE)
        err_set(err, EINVAL,
                "the else of stage %s is %s, which is the else of %s already; give each its own",
                s->name, s->otherwise, r->nodes[r->nodes[other].of].stage->name);
    else {
        r->nodes[other].of = i;
        r->nodes[i].branch |= bit(other);
        return 0;
    }
    return wrong(&s->place, err);
}

/* Fallbacks that no `else` names belong to the branch of one that they come after. */
static int join_branches(struct response *r, struct err *err)
{
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < r->n; i++)
            for (size_t k = 0; k < r->n; k++)
                if (r->nodes[i].stage->fallback && r->nodes[i].of == NONE &&
                    (r->nodes[i].after & bit(k)) && r->nodes[k].of != NONE) {
                    r->nodes[i].of = r->nodes[k].of;
                    r->nodes[r->nodes[k].of].branch |= bit(i);
                    more = true;
                }
    }
    for (size_t i = 0; i < r->n; i++)
        if (r->nodes[i].stage->fallback && r->nodes[i].of == NONE) {
            err_set(err, EINVAL, "stage %s is a fallback, and no stage's `else` leads to it",
                    r->nodes[i].stage->name);
            return wrong(&r->nodes[i].stage->place, err);
        }
    return 0;
}

/* All stages must come to be over, at worst with every branch taken. */
static int check_order(const struct response *r, struct err *err)
{
    uint64_t ended = 0, over = 0, all = r->n == 64 ? ~UINT64_C(0) : bit(r->n) - 1;
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < r->n; i++) {
            const struct node *node = &r->nodes[i];
            if (!(ended & bit(i)) && !(node->after & ~over) &&
                (node->of == NONE || (ended & bit(node->of)))) {
                ended |= bit(i);
                more = true;
            }
            if (!(over & bit(i)) && (ended & bit(i)) && !(node->branch & ~over)) {
                over |= bit(i);
                more = true;
            }
        }
    }
    for (size_t i = 0; i < r->n; i++)
        if (all & ~over & bit(i)) {
            err_set(err, EINVAL, "stage %s of service %s waits for itself, by way of others",
                    r->nodes[i].stage->name, r->model->service);
            return wrong(&r->nodes[i].stage->place, err);
        }
    return 0;
}

static char *quantity_name(const char *kind, const char *service, const char *name)
{
    char *text = NULL;
    int r = service ? asprintf(&text, "%s:%s/%s", kind, service, name)
                    : asprintf(&text, "%s:%s", kind, name);
    if (r < 0)
        abort();
    return text;
}

static void make_quantities(struct response *r)
{
    const char *service = r->model->service;
    r->quantities = calloc(2 * r->n + r->calls_n + 1, sizeof *r->quantities);
    if (!r->quantities)
        abort();
    for (size_t i = 0; i < r->n; i++)
        r->quantities[r->quantities_n++] = (struct response_quantity){
            .name = quantity_name("stage", service, r->nodes[i].stage->name),
            .stage = r->nodes[i].stage};
    for (size_t i = 0; i < r->calls_n; i++) {
        r->calls[i].quantity = r->quantities_n;
        r->quantities[r->quantities_n++] = (struct response_quantity){
            .name = quantity_name("ack", NULL, r->calls[i].role->name), .role = r->calls[i].role};
    }
    for (size_t i = 0; i < r->n; i++) {
        struct node *node = &r->nodes[i];
        if (node->call == NONE || node->stage->approvals <= 0)
            continue;
        node->approval = r->quantities_n;
        r->quantities[r->quantities_n++] = (struct response_quantity){
            .name = quantity_name("approval", service, node->stage->name),
            .stage = node->stage,
            .role = r->calls[node->call].role};
    }
}

int response_new(const struct service_model *model, const struct objects *roles,
                 const struct objects *freezes, struct response **ret, struct err *err)
{
    size_t n = model->restore.n;
    if (n > RESPONSE_STAGES_MAX) {
        err_set(err, E2BIG, "service %s has %zu stages of restoring, more than %d", model->service,
                n, RESPONSE_STAGES_MAX);
        return wrong(&model->place, err);
    }
    CLEANUP(response_free_p) struct response *r = calloc(1, sizeof *r);
    if (!r)
        abort();
    r->model = model;
    r->freezes = freezes;
    r->nodes = calloc(n + 1, sizeof *r->nodes);
    r->calls = calloc(n + 1, sizeof *r->calls);
    if (!r->nodes || !r->calls)
        abort();
    for (; r->n < n; r->n++)
        r->nodes[r->n] = (struct node){.stage = model->restore.items[r->n], .of = NONE};
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = node_role(r, &r->nodes[i], roles, err);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = node_else(r, i, err);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = node_after(r, i, err);
    if (rc == 0)
        rc = join_branches(r, err);
    if (rc == 0)
        rc = check_order(r, err);
    if (rc < 0)
        return rc;
    make_quantities(r);
    *ret = steal_ptr(r);
    return 0;
}

struct response *response_free(struct response *r)
{
    if (!r)
        return NULL;
    for (size_t i = 0; i < r->quantities_n; i++)
        free(r->quantities[i].name);
    free(r->quantities);
    free(r->calls);
    free(r->nodes);
    free(r);
    return NULL;
}

size_t response_stages(const struct response *r)
{
    return r->n;
}

size_t response_calls(const struct response *r)
{
    return r->calls_n;
}

size_t response_quantities(const struct response *r, const struct response_quantity **ret)
{
    *ret = r->quantities;
    return r->quantities_n;
}

/* --- People ---------------------------------------------------------------------------------- */

/* When somebody of the role who is paged at `at` is within its hours; `at` itself when it is. */
static nsec within_hours(const struct responder *role, nsec at, nsec day_offset)
{
    if (!nsec_is_set(role->from) || !nsec_is_set(role->to))
        return at;
    nsec day = (at % DAY + day_offset % DAY + 2 * DAY) % DAY;
    bool inside = role->from <= role->to ? day >= role->from && day < role->to
                                         : day >= role->from || day < role->to;
    return inside ? at : nsec_add(at, (role->from - day + DAY) % DAY);
}

/* The first answer of `people` paged at `at`; NSEC_INF: none. */
static nsec first_answer(const struct step *step, nsec at, nsec day_offset, bool sure,
                         struct rng *rng)
{
    const struct responder *role = step->role;
    nsec first = NSEC_INF, from = within_hours(role, at, day_offset);
    const struct distribution *takes = role->acknowledges;
    if (from != at && role->otherwise) {
        takes = role->otherwise;
        from = at;
    }
    for (size_t i = 0; i < step->people; i++) {
        if (rng_unit(rng) >= role->responds && !sure)
            continue;
        nsec t = takes ? nsec_add(from, draw(takes, rng)) : from;
        if (t < first)
            first = t;
    }
    return first;
}

/* A page at `at` with all its escalation. `alone`: to one of the people, not to all of them. */
static nsec acknowledged(const struct call *c, nsec at, nsec day_offset, bool alone, bool sure,
                         struct rng *rng)
{
    int64_t loops = c->role->loops;
    for (int pages = 0, round = 0; pages < PAGES_MAX && (loops <= 0 || round < loops); round++)
        for (size_t i = 0; i < c->steps_n; i++, pages++) {
            struct step step = c->steps[i];
            if (alone)
                step.people = 1;
            nsec t = first_answer(&step, at, day_offset, sure, rng);
            if (!nsec_is_set(step.role->escalate_after))
                return t;
            nsec until = nsec_add(at, step.role->escalate_after);
            if (t <= until)
                return t;
            at = until;
        }
    return NSEC_INF;
}

/* --- One trial ------------------------------------------------------------------------------- */

struct run {
    const struct response *r;
    const struct response_input *in;
    const struct response_draws *draws;
    struct response_stage *stages;
    struct response_call *calls;
    uint64_t over, failed; /* over; ended without having worked, and not over yet */
    nsec over_at[RESPONSE_STAGES_MAX];
    size_t over_by[RESPONSE_STAGES_MAX]; /* the stage that ended then */
};

static struct rng quantity_stream(const struct run *run, size_t quantity, bool *ret_no_time,
                                  bool *ret_sure)
{
    *ret_no_time = *ret_sure = false;
    return run->draws->stream(quantity, ret_no_time, ret_sure, run->draws->data);
}

/* Marks it as over, with what follows from that: branches not needed, and the stage whose branch this was
 * the last of. */
static void stage_over(struct run *run, size_t i, nsec at, size_t by)
{
    const struct node *nodes = run->r->nodes;
    run->over |= bit(i);
    run->over_at[i] = at;
    run->over_by[i] = by;
    for (uint64_t left = nodes[i].branch & ~run->over; left; left = nodes[i].branch & ~run->over) {
        size_t k = (size_t)__builtin_ctzll(left);
        run->stages[k] = (struct response_stage){.ready = NSEC_UNSET,
                                                 .approved = NSEC_UNSET,
                                                 .begin = NSEC_UNSET,
                                                 .end = NSEC_UNSET,
                                                 .call = NONE,
                                                 .before = NONE};
        stage_over(run, k, at, by);
    }
    size_t of = nodes[i].of;
    if (of == NONE || (run->over & bit(of)) || (nodes[of].branch & ~run->over))
        return;
    nsec last = -NSEC_INF;
    size_t last_by = NONE;
    for (uint64_t left = nodes[of].branch; left; left &= left - 1) {
        size_t k = (size_t)__builtin_ctzll(left);
        if (run->over_at[k] > last) {
            last = run->over_at[k];
            last_by = run->over_by[k];
        }
    }
    stage_over(run, of, last, last_by);
}

/* When what it comes after is over, and who was last. */
static nsec stage_ready(const struct run *run, size_t i, size_t *ret_before)
{
    const struct node *node = &run->r->nodes[i];
    nsec at = run->in->impact;
    if (node->stage->start == STAGE_AT_DETECTION && run->in->detected > at)
        at = run->in->detected;
    size_t before = NONE;
    if (node->of != NONE && run->stages[node->of].end >= at) {
        at = run->stages[node->of].end;
        before = node->of;
    }
    for (uint64_t left = node->after; left; left &= left - 1) {
        size_t k = (size_t)__builtin_ctzll(left);
        if (run->over_at[k] >= at) {
            at = run->over_at[k];
            before = run->over_by[k];
        }
    }
    *ret_before = before;
    return at;
}

/* Somebody of its role is there, and so many others agreed. */
static nsec stage_approved(struct run *run, size_t i)
{
    const struct node *node = &run->r->nodes[i];
    const struct response_stage *s = &run->stages[i];
    if (node->call == NONE)
        return s->ready;
    const struct call *c = &run->r->calls[node->call];
    struct response_call *page = &run->calls[node->call];
    bool no_time, sure;
    if (!nsec_is_set(page->paged)) {
        bool by_alarm = run->in->detected >= s->ready;
        page->paged = by_alarm ? run->in->detected : s->ready;
        page->before = by_alarm ? NONE : s->before;
        struct rng rng = quantity_stream(run, c->quantity, &no_time, &sure);
        page->acknowledged =
            no_time || page->paged == NSEC_INF
                ? page->paged
                : acknowledged(c, page->paged, run->in->day_offset, false, sure, &rng);
    }
    nsec there = page->acknowledged > s->ready ? page->acknowledged : s->ready, last = there;
    if (node->approval == NONE || there == NSEC_INF)
        return there;
    struct rng rng = quantity_stream(run, node->approval, &no_time, &sure);
    for (int64_t k = 0; k < node->stage->approvals && !no_time; k++) {
        nsec t = acknowledged(c, there, run->in->day_offset, true, sure, &rng);
        if (t > last)
            last = t;
    }
    return last;
}

static nsec after_freezes(const struct objects *freezes, nsec at)
{
    for (bool moved = true; moved && freezes;) {
        moved = false;
        for (size_t i = 0; i < freezes->n; i++) {
            const struct freeze *f = freezes->items[i];
            nsec to = nsec_add(f->from, f->lasting);
            if (at >= f->from && at < to) {
                at = to;
                moved = true;
            }
        }
    }
    return at;
}

static nsec backlog(const struct run *run, nsec until)
{
    const struct service_model *m = run->r->model;
    double share = run->in->capacity > 0 ? run->in->capacity : 1;
    return capacity_drain(nsec_sub(until, run->in->down_since), capacity_load(m->load, share),
                          m->retries);
}

static nsec stage_takes(const struct run *run, const struct stage *stage, nsec begin,
                        struct rng *rng)
{
    if (stage->drain)
        return backlog(run, begin);
    if (nsec_is_set(stage->ttl))
        return propagation_until(stage->ttl, stage->clients);
    return stage->takes ? draw(stage->takes, rng) : 0;
}

static void stage_run(struct run *run, size_t i, nsec ready, size_t before)
{
    const struct node *node = &run->r->nodes[i];
    struct response_stage *s = &run->stages[i];
    *s = (struct response_stage){.ready = ready,
                                 .approved = NSEC_INF,
                                 .begin = NSEC_INF,
                                 .end = NSEC_INF,
                                 .call = node->call,
                                 .before = before};
    if (ready < NSEC_INF)
        s->approved = stage_approved(run, i);
    s->begin = node->stage->is_change && s->approved < NSEC_INF
                   ? after_freezes(run->r->freezes, s->approved)
                   : s->approved;
    if (s->begin == NSEC_INF) {
        stage_over(run, i, NSEC_INF, i);
        return;
    }
    bool no_time, sure;
    struct rng rng = quantity_stream(run, i, &no_time, &sure);
    s->taken = true;
    s->worked = rng_unit(&rng) < node->stage->works || sure;
    s->end = no_time ? s->begin : nsec_add(s->begin, stage_takes(run, node->stage, s->begin, &rng));
    if (s->worked)
        stage_over(run, i, s->end, i);
    else if (!node->branch)
        stage_over(run, i, NSEC_INF, i);
    else
        run->failed |= bit(i);
}

void response_run(const struct response *r, const struct response_input *in,
                  const struct response_draws *draws, struct response_stage *stages,
                  struct response_call *calls, struct response_output *ret)
{
    struct run run; /* a kilobyte, of which most responses need few bytes */
    run.r = r;
    run.in = in;
    run.draws = draws;
    run.stages = stages;
    run.calls = calls;
    run.over = run.failed = 0;
    for (size_t i = 0; i < r->n; i++)
        run.over_at[i] = 0;
    for (size_t i = 0; i < r->n; i++)
        run.over_by[i] = 0;
    for (size_t i = 0; i < r->calls_n; i++)
        calls[i] = (struct response_call){NSEC_UNSET, NSEC_UNSET, NONE};
    uint64_t done = 0;
    for (;;) {
        size_t next = NONE, before = NONE;
        nsec at = NSEC_INF;
        for (size_t i = 0; i < r->n; i++) {
            const struct node *node = &r->nodes[i];
            if (((done | run.over) & bit(i)) || (node->after & ~run.over) ||
                (node->of != NONE && !(run.failed & bit(node->of))))
                continue;
            size_t last;
            nsec ready = stage_ready(&run, i, &last);
            if (next == NONE || ready < at) {
                next = i;
                at = ready;
                before = last;
            }
        }
        if (next == NONE)
            break;
        done |= bit(next);
        stage_run(&run, next, at, before);
    }
    struct response_output out = {
        .restored = NSEC_INF, .acknowledged = NSEC_UNSET, .drained = NSEC_UNSET, .last = NONE};
    for (size_t i = 0; i < r->n; i++)
        if (out.last == NONE || run.over_at[i] > out.restored) {
            out.restored = run.over_at[i];
            out.last = run.over_by[i];
        }
    for (size_t i = 0; i < r->calls_n; i++)
        if (nsec_is_set(calls[i].paged) &&
            (!nsec_is_set(out.acknowledged) || calls[i].acknowledged < out.acknowledged))
            out.acknowledged = calls[i].acknowledged;
    if (r->model->load > 0)
        out.drained = out.restored;
    if (r->model->load > 0 && out.restored < NSEC_INF) {
        nsec drained = NSEC_UNSET;
        for (size_t i = 0; i < r->n; i++)
            if (stages[i].taken && stages[i].worked && r->nodes[i].stage->drain)
                drained = stages[i].end > drained ? stages[i].end : drained;
        out.drained =
            nsec_is_set(drained) ? drained : nsec_add(out.restored, backlog(&run, out.restored));
    }
    *ret = out;
}

void response_path(const struct response *r, const struct response_stage *stages,
                   const struct response_call *calls, const struct response_output *out, nsec *ret)
{
    for (size_t i = 0; i < r->quantities_n; i++)
        ret[i] = 0;
    if (out->restored == NSEC_INF)
        return;
    for (size_t i = out->last; i != NONE;) {
        const struct response_stage *s = &stages[i];
        const struct node *node = &r->nodes[i];
        ret[i] += s->end - s->begin;
        const struct response_call *page = node->call == NONE ? NULL : &calls[node->call];
        bool waited = page && page->acknowledged > s->ready;
        nsec there = waited ? page->acknowledged : s->ready;
        if (node->approval != NONE)
            ret[node->approval] += s->approved - there;
        if (waited)
            ret[r->calls[node->call].quantity] += page->acknowledged - page->paged;
        i = waited ? page->before : s->before;
    }
}
