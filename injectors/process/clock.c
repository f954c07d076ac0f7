/* clock: the programs of a host see another wall clock than the world. The host's commands are started
 * with libfaketime from the beginning, so that the offset can be set and taken back while they run. (With
 * `uptime` it is their monotonic clocks: clock_uptime.h.)
 *
 * The kernel has one wall clock for the whole machine, and no namespace for it; so only programs that are
 * linked dynamically can be told a wrong time, and the machine's own clock is never touched.
 *
 * A wrong rate is an offset that grows in small steps. libfaketime's own (`x1.01`) counts from the start of
 * each program, so that no two would agree, and stretches their sleeps.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "injectors/actions.h"
#include "injectors/injector.h"
#include "injectors/params.h"
#include "injectors/process/clock_uptime.h"
#include "injectors/process/targets.h"
#include "sim/base/jsonx.h"
#include "sim/base/units.h"
#include "sim/lab/deed.h"

#define LOOK_WITHIN (5 * NSEC_SEC)
#define CLOSE_ENOUGH NSEC_SEC
#define RATE_STEP (20 * NSEC_MSEC)
#define RATE_CLOSE (2 * NSEC_MSEC)
#define RATE_SEEN (30 * NSEC_MSEC) /* so much is surely told from what a command takes to start */
#define RATE_WITHIN (20 * NSEC_SEC)
/* The programs that follow, and those that do not; ours need not. */
#define WHO                                                                                        \
    "for p in /proc/[0-9]*; do read -r c <$p/comm || continue; case $c in bs-*) "                  \
    "continue;; esac; [ $p = /proc/$$ ] && continue; if grep -q libfaketime $p/maps; then echo "   \
    "+$c; else echo -$c; fi; done 2>/dev/null"

struct clock_state {
    nsec offset;
    double rate; /* 1: right */
    struct loop *loop;
    struct lab *lab;
    struct loop_timer timer; /* of a wrong rate */
    nsec began, now;         /* now: the offset that the hosts have */
    struct err failed;
    struct targets targets;
    struct clock_uptime *uptime; /* it is about this and not about the wall clock */
};

static bool is_uptime(const struct clock_params *p)
{
    return p->uptime > 0;
}

static int read_offset(const char *text, nsec *ret, struct err *err)
{
    nsec abs;
    if (text[0] != '+' && text[0] != '-')
        return err_set(err, EINVAL, "'offset' needs a sign, as in +2h or -5m, not \"%s\"", text);
    int r = units_duration(text + 1, &abs, err);
    if (r < 0)
        return err_prefix(err, "'offset'");
    if (abs == 0)
        return err_set(err, EINVAL, "'offset' of nothing does nothing");
    *ret = text[0] == '-' ? -abs : abs;
    return 0;
}

static int read_rate(const char *text, double *ret, struct err *err)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || text[strspn(text, "0123456789.%")] || (*end && strcmp(end, "%") != 0))
        return err_set(err, EINVAL,
                       "'rate' is a share of the true one, as in 101%% or 0.99, not \"%s\"", text);
    v /= *end ? 100 : 1;
    if (v < 0.1 || v > 10 || (v > 0.9901 && v < 1.0099))
        return err_set(err, ERANGE, "'rate' goes from 10%% to 99%% and from 101%% to 1000%%");
    *ret = v;
    return 0;
}

struct preloads {
    const struct scenario *scenario;
    const char *host;
};

static void look_for_preload(const char *name, bool peer, bool listed, void *data)
{
    struct preloads *p = data;
    const struct host *h = scenario_host(p->scenario, name);
    for (size_t i = 0; h && i < h->env.n; i++)
        if (!strcmp(h->env.items[i].key, "LD_PRELOAD"))
            p->host = h->name;
}

static int clock_check(const struct scenario *s, const struct step *step, struct err *err)
{
    const struct clock_params *p = step->params;
    struct preloads found = {.scenario = s};
    nsec offset;
    double rate;
    bool wall = p->offset || p->rate;
    if (wall == is_uptime(p))
        return err_set(
            err, EINVAL, "%s",
            wall ? "'uptime' is another fault than 'offset' and 'rate', of another clock; make "
                   "two steps of them"
                 : "clock needs 'offset' or 'rate' (the wall clock) or 'uptime' (the "
                   "monotonic clocks, of a host that is restarted for it)");
    int r = p->offset ? read_offset(p->offset, &offset, err) : 0;
    if (r == 0 && p->rate)
        r = read_rate(p->rate, &rate, err);
    if (r == 0)
        r = inject_target_check(p->host, "host", err);
    if (r < 0 || is_uptime(p))
        return r;
    field_hosts(step->action->params, p, look_for_preload, &found);
    if (found.host)
        return err_set(err, EINVAL,
                       "host %s sets LD_PRELOAD in its env, which the clock of its programs needs",
                       found.host);
    return 0;
}

static int clock_supported(const struct inject_env *env, const struct step *step, struct err *err)
{
    const struct hostcap *cap = env->caps ? hostcaps_find(env->caps, "faketime") : NULL;
    if (is_uptime(step->params))
        return clock_uptime_supported(env, err);
    if (cap && !cap->ok)
        return err_set(err, EOPNOTSUPP,
                       "clock needs libfaketime, which is not installed here; on Debian: apt "
                       "install libfaketime");
    return 0;
}

static void plan_set(const struct target *t, nsec offset, json_t *texts)
{
    AUTO_BUF text = BUF_INIT;
    deed_clock(offset, &text);
    for (size_t i = 0; inject_candidate(t, i); i++)
        inject_plan_deed(t, inject_candidate(t, i), "", buf_text(&text), texts);
}

static int clock_plan(const struct inject_env *env, const struct step *step, json_t *texts,
                      struct err *err)
{
    const struct clock_params *p = step->params;
    if (is_uptime(p))
        return clock_uptime_plan(env, p, texts, err);
    AUTO_FREE char *host = inject_target_text(p->host);
    json_array_append_new(
        texts, json_sprintf("host %s: the wall clock of its programs %s%s%s%s (libfaketime, loaded "
                            "into them from their start; programs that are linked statically see "
                            "the true time); undone by setting it right",
                            host, p->offset ? p->offset : "", p->offset && p->rate ? ", " : "",
                            p->rate ? "at a rate of " : "", p->rate ? p->rate : ""));
    nsec offset = 0;
    int r = p->offset ? read_offset(p->offset, &offset, err) : 0;
    if (r < 0)
        return r;
    if (p->rate) /* and again and again, as time goes */
        return 0;
    plan_set(p->host, offset, texts);
    json_array_append_new(texts, json_string(INJECT_PLAN_UNDO));
    plan_set(p->host, 0, texts);
    return 0;
}

static void clock_done(void *state)
{
    struct clock_state *st = state;
    if (!st)
        return;
    if (st->loop)
        loop_timer_cancel(st->loop, &st->timer);
    clock_uptime_done(st->uptime);
    targets_done(&st->targets);
    free(st);
}
DEFINE_CLEANUP(void, clock_done);

static int must_be_right(struct inject_env *env, const char *host, struct err *err)
{
    struct lab_node *n = lab_node(env->lab, host);
    nsec now = 0;
    if (!n || !lab_node_is_up(n))
        return err_set(err, ESRCH, "host '%s' is down: nothing there reads a clock", host);
    int r = lab_node_clock_get(n, &now, err);
    if (r == 0 && now != 0)
        r = err_set(err, EALREADY, "the clock of host '%s' is wrong already", host);
    return r;
}

static int clock_prepare(struct inject_env *env, const struct step *step, void **ret_state,
                         json_t **ret_undo, struct err *err)
{
    const struct clock_params *p = step->params;
    struct clock_state *st = calloc(1, sizeof *st);
    if (!st)
        return err_errno(err, ENOMEM, "preparing clock");
    CLEANUP(clock_done_p) void *owner = st;
    AUTO_JSON *hosts = json_array();
    int r;
    if (is_uptime(p)) {
        r = clock_uptime_prepare(env, p, &st->uptime, ret_undo, err);
        if (r == 0)
            *ret_state = steal_ptr(owner);
        return r;
    }
    st->rate = 1;
    r = p->offset ? read_offset(p->offset, &st->offset, err) : 0;
    if (r == 0 && p->rate)
        r = read_rate(p->rate, &st->rate, err);
    if (r == 0)
        r = targets_choose(env, p->host, &st->targets, err);
    for (size_t i = 0; r == 0 && i < st->targets.n; i++) {
        r = must_be_right(env, st->targets.hosts[i], err);
        json_array_append_new(hosts, json_pack("{s:s}", "host", st->targets.hosts[i]));
    }
    if (r < 0)
        return r;
    *ret_undo = json_pack("{s:O}", "hosts", hosts);
    *ret_state = steal_ptr(owner);
    return 0;
}

static const char *offset_text(nsec offset, char buf[NSEC_TEXT_MAX + 1])
{
    buf[0] = offset < 0 ? '-' : '+';
    nsec_text(offset < 0 ? -offset : offset, buf + 1);
    return buf;
}

static int set_all(struct clock_state *st, struct lab *lab, nsec offset, struct err *err)
{
    for (size_t i = 0; i < st->targets.n; i++) {
        int r = lab_node_clock_set(lab_node(lab, st->targets.hosts[i]), offset, err);
        if (r < 0)
            return r;
    }
    st->now = offset;
    return 0;
}

static void next_step(struct loop_timer *t, void *data)
{
    struct clock_state *st = data;
    nsec now = loop_fresh(st->loop);
    nsec drift = (nsec)((double)(now - st->began) * (st->rate - 1));
    if (set_all(st, st->lab, nsec_add(st->offset, drift), &st->failed) == 0)
        loop_timer_set(st->loop, t, nsec_add(now, RATE_STEP));
}

/* "+2 h, at a rate of 101 %" */
static void wrong_text(const struct clock_state *st, struct buf *out)
{
    char text[NSEC_TEXT_MAX + 1];
    if (st->offset)
        buf_adds(out, offset_text(st->offset, text));
    if (st->rate != 1)
        buf_printf(out, "%sat a rate of %.4g %%", st->offset ? ", " : "", st->rate * 100);
}

static int clock_apply(struct inject_env *env, void *state, struct inject_result *ret,
                       struct err *err)
{
    struct clock_state *st = state;
    if (st->uptime)
        return clock_uptime_apply(env, st->uptime, ret, err);
    AUTO_JSON *changes = json_array();
    AUTO_BUF how = BUF_INIT;
    wrong_text(st, &how);
    struct span at = {nsec_now(CLOCK_MONOTONIC), 0};
    st->began = at.lo;
    int r = set_all(st, env->lab, st->offset, err);
    if (r < 0)
        return r;
    at.hi = nsec_now(CLOCK_MONOTONIC);
    for (size_t i = 0; i < st->targets.n; i++)
        json_array_append_new(changes, json_sprintf("host %s: the wall clock of its programs %s",
                                                    st->targets.hosts[i], buf_text(&how)));
    if (st->rate != 1) {
        st->loop = env->loop;
        st->lab = env->lab;
        st->timer = (struct loop_timer){.fn = next_step, .data = st};
        loop_timer_set(st->loop, &st->timer, nsec_add(at.hi, RATE_STEP));
    }
    *ret = targets_result(&st->targets, at, changes);
    return 0;
}

struct look {
    struct span off; /* what a program there saw is so far from the true time */
    size_t follow, others;
    char names[120]; /* of those who do not follow */
};

static void note(struct look *l, const char *line)
{
    size_t n = strlen(l->names);
    if (line[0] == '+') {
        l->follow++;
    } else if (line[0] == '-') {
        l->others++;
        if (n + strlen(line) + 2 < sizeof l->names && !strstr(l->names, line + 1))
            snprintf(l->names + n, sizeof l->names - n, "%s%s", n ? ", " : "", line + 1);
    }
}

static int look_at(struct lab_node *n, struct look *ret, struct err *err)
{
    AUTO_FREE char *said = NULL, *who = NULL;
    int code = 0;
    *ret = (struct look){0};
    nsec before = nsec_now(CLOCK_REALTIME);
    int r = lab_node_run_wait(n, "date +%s.%N", LOOK_WITHIN, &code, &said, err);
    nsec after = nsec_now(CLOCK_REALTIME);
    if (r == 0)
        r = lab_node_run_wait(n, WHO, LOOK_WITHIN, &code, &who, err);
    if (r < 0)
        return r;
    char *part;
    nsec there = strtoll(said, &part, 10) * NSEC_SEC;
    there += *part == '.' ? strtoll(part + 1, NULL, 10) : 0;
    ret->off = (struct span){there - after, there - before};
    char *save = NULL;
    for (char *line = strtok_r(who, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        note(ret, line);
    return 0;
}

/* What was seen is what the hosts were given between `from` and now; with a wrong rate also that it has
 * moved. */
static bool is_right(const struct clock_state *st, nsec from, struct span off)
{
    nsec least = from < st->now ? from : st->now, most = from < st->now ? st->now : from;
    nsec close = st->rate == 1 ? CLOSE_ENOUGH : RATE_CLOSE;
    bool moved = st->rate == 1 || (st->rate > 1 ? off.lo > st->offset : off.hi < st->offset);
    return moved && off.hi >= least - close && off.lo <= most + close;
}

static nsec rounded(struct span off, nsec unit)
{
    nsec middle = off.lo + (off.hi - off.lo) / 2;
    return (middle + (middle < 0 ? -unit : unit) / 2) / unit * unit;
}

static int clock_verify(struct inject_env *env, void *state, struct inject_proof *ret,
                        struct err *err)
{
    struct clock_state *st = state;
    if (st->uptime)
        return clock_uptime_verify(env, st->uptime, ret, err);
    char text[NSEC_TEXT_MAX + 1];
    AUTO_BUF seen = BUF_INIT;
    AUTO_BUF asked = BUF_INIT;
    nsec moved = nsec_sub(st->now, st->offset);
    bool in_time = !env->decide && nsec_now(CLOCK_MONOTONIC) - st->began < RATE_WITHIN;
    if (st->rate != 1 && in_time && !st->failed.code && moved < RATE_SEEN && moved > -RATE_SEEN)
        return INJECT_AGAIN;
    struct inject_proof p = {.ok = true, .at = {nsec_now(CLOCK_MONOTONIC), 0}};
    for (size_t i = 0; i < st->targets.n; i++) {
        struct lab_node *n = lab_node(env->lab, st->targets.hosts[i]);
        struct look l;
        buf_printf(&seen, "%shost %s: ", i ? "; " : "", st->targets.hosts[i]);
        if (!lab_node_is_up(n)) {
            buf_adds(&seen, "is down");
            continue;
        }
        nsec from = st->now;
        int r = look_at(n, &l, err);
        if (r < 0)
            return r;
        bool right = is_right(st, from, l.off);
        if (!right && st->rate != 1 && in_time && !st->failed.code)
            return INJECT_AGAIN;
        p.ok = p.ok && right && (l.follow > 0 || l.others == 0);
        buf_printf(&seen, "a program sees %s, %zu running follow",
                   offset_text(rounded(l.off, st->rate == 1 ? NSEC_SEC : NSEC_MSEC), text),
                   l.follow);
        if (l.others)
            buf_printf(&seen, ", %zu do not (linked statically, or shielded): %s", l.others,
                       l.names);
    }
    p.at.hi = nsec_now(CLOCK_MONOTONIC);
    if (st->failed.code) {
        p.ok = false;
        buf_printf(&seen, "; it was not moved on: %s", st->failed.text);
    }
    wrong_text(st, &asked);
    snprintf(p.asked, sizeof p.asked, "wall clock of programs %s", buf_text(&asked));
    snprintf(p.seen, sizeof p.seen, "%s", buf_text(&seen));
    snprintf(p.how, sizeof p.how,
             "`date` in the host against our own clock; who has the library loaded");
    *ret = p;
    return 0;
}

static int clock_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                        struct err *err)
{
    if (json_object_get(json_array_get(json_object_get(undo, "hosts"), 0), "uptime"))
        return clock_uptime_revert(env, undo, ret, err);
    AUTO_JSON *changes = json_array();
    struct span at = {nsec_now(CLOCK_MONOTONIC), 0};
    size_t i;
    const json_t *entry;
    json_array_foreach (json_object_get(undo, "hosts"), i, entry) {
        const char *host = jsonx_str(entry, "host", "");
        struct lab_node *n = env->lab ? lab_node(env->lab, host) : NULL;
        nsec now = 0;
        int r = n ? lab_node_clock_get(n, &now, err) : 0;
        if (r == 0 && now != 0)
            r = lab_node_clock_set(n, 0, err);
        if (r < 0)
            return r;
        if (now != 0)
            json_array_append_new(
                changes, json_sprintf("host %s: the wall clock of its programs set right", host));
    }
    at.hi = nsec_now(CLOCK_MONOTONIC);
    *ret = (struct inject_result){.at = at, .changes = json_incref(changes)};
    return 0;
}

static const struct field clock_fields[] = {
    {.key = "host",
     .type = FIELD_OBJECT,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct clock_params, host),
     .record = &target_record,
     .help = "The host, or how to choose it when the step happens.",
     .example = "api1"},
    {.key = "offset",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct clock_params, offset),
     .help = "How far the wall clock goes ahead (`+`) or behind (`-`), all at once.",
     .example = "\"+2h\""},
    {.key = "rate",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct clock_params, rate),
     .help = "How fast the wall clock goes from then on, of its true rate: `101%` gains 10 ms each "
             "second. From 10% to 99%, and from 101% to 1000%.",
     .example = "101%"},
    {.key = "uptime",
     .type = FIELD_DURATION,
     .min = NSEC_SEC,
     .max = 3650 * 86400 * NSEC_SEC,
     .offset = offsetof(struct clock_params, uptime),
     .help = "Instead: the host loses its power and comes back at once, and its programs find that "
             "the machine has been up for so long. A host that runs cannot be shifted.",
     .example = "49d"},
    {.key = NULL},
};

static const struct record clock_record = {
    .name = "clock",
    .summary = "The programs of a host see a wrong time.",
    .size = sizeof(struct clock_params),
    .fields = clock_fields,
    .name_offset = SIZE_MAX,
    .place_offset = SIZE_MAX,
    .variant_place_offset = SIZE_MAX,
};

static const struct inject_means clock_means[] = {
    {"libfaketime", {"faketime", NULL}},
    {"time namespace", {"time-namespaces", NULL}},
    {NULL, {NULL}},
};

static const struct injector clock_injector = {
    .name = "clock",
    .is_fault = true,
    .lab_alone =
        "a program that runs already cannot be given another clock (the kernel has one for "
        "the whole machine, which is never touched)",
    .lasts = true,
    .holds = true,
    .means = clock_means,
    .check = clock_check,
    .supported = clock_supported,
    .plan = clock_plan,
    .prepare = clock_prepare,
    .apply = clock_apply,
    .verify = clock_verify,
    .revert = clock_revert,
    .done = clock_done,
};

const struct variant inject_clock = {
    .name = "clock",
    .summary =
        "Shifts the wall clock that a host's programs see, or restarts it with another uptime.",
    .detail =
        "The wall clock by libfaketime, loaded into every command of that host from its start. "
        "Programs that are linked statically (Go's) see the true time, and the proof names them. "
        "Monotonic clocks by a time namespace, for all programs. The machine's own clocks are not "
        "touched.",
    .params = &clock_record,
    .impl = &clock_injector,
};
