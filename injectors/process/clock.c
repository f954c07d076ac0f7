/* clock: the programs of a host see another wall clock than the world. The host's commands are started
 * with libfaketime from the beginning, so that the offset can be set and taken back while they run.
 *
 * The kernel has one wall clock for the whole machine, and no namespace for it; so only programs that are
 * linked dynamically can be told a wrong time, and the machine's own clock is never touched.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "injectors/actions.h"
#include "injectors/injector.h"
#include "injectors/params.h"
#include "injectors/process/targets.h"
#include "sim/base/jsonx.h"
#include "sim/base/units.h"

#define LOOK_WITHIN (5 * NSEC_SEC)
#define CLOSE_ENOUGH NSEC_SEC
/* The time as a program there sees it, then the programs that do not follow; ours need not. */
#define LOOK                                                                                       \
    "date +%s; for p in /proc/[0-9]*; do read -r c <$p/comm || continue; case $c in bs-*) "        \
    "continue;; esac; [ $p = /proc/$$ ] && continue; if grep -q libfaketime $p/maps; then echo "   \
    "+$c; else echo -$c; fi; done 2>/dev/null"

struct clock_state {
    nsec offset;
    struct targets targets;
};

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
    int r = read_offset(p->offset, &offset, err);
    if (r == 0)
        r = inject_target_check(p->host, "host", err);
    if (r < 0)
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
    if (cap && !cap->ok)
        return err_set(err, EOPNOTSUPP,
                       "clock needs libfaketime, which is not installed here; on Debian: apt "
                       "install libfaketime");
    return 0;
}

static int clock_plan(const struct inject_env *env, const struct step *step, json_t *texts,
                      struct err *err)
{
    const struct clock_params *p = step->params;
    AUTO_FREE char *host = inject_target_text(p->host);
    json_array_append_new(
        texts, json_sprintf("host %s: the wall clock of its programs %s (libfaketime, loaded into "
                            "them from their start; programs that are linked statically see the "
                            "true time); undone by setting it right",
                            host, p->offset));
    return 0;
}

static void clock_done(void *state)
{
    struct clock_state *st = state;
    if (!st)
        return;
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
    int r = read_offset(p->offset, &st->offset, err);
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

static int clock_apply(struct inject_env *env, void *state, struct inject_result *ret,
                       struct err *err)
{
    struct clock_state *st = state;
    char text[NSEC_TEXT_MAX + 1];
    AUTO_JSON *changes = json_array();
    struct span at = {nsec_now(CLOCK_MONOTONIC), 0};
    for (size_t i = 0; i < st->targets.n; i++) {
        int r = lab_node_clock_set(lab_node(env->lab, st->targets.hosts[i]), st->offset, err);
        if (r < 0)
            return r;
        json_array_append_new(changes,
                              json_sprintf("host %s: the wall clock of its programs %s",
                                           st->targets.hosts[i], offset_text(st->offset, text)));
    }
    at.hi = nsec_now(CLOCK_MONOTONIC);
    *ret = targets_result(&st->targets, at, changes);
    return 0;
}

struct look {
    nsec off; /* of what a program there saw */
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
    AUTO_FREE char *said = NULL;
    int code = 0;
    *ret = (struct look){0};
    nsec before = nsec_now(CLOCK_REALTIME);
    int r = lab_node_run_wait(n, LOOK, LOOK_WITHIN, &code, &said, err);
    if (r < 0)
        return r;
    char *save = NULL, *line = strtok_r(said, "\n", &save);
    long long there = line ? strtoll(line, NULL, 10) : 0;
    /* `date` tells whole seconds. */
    ret->off = there * NSEC_SEC - before / NSEC_SEC * NSEC_SEC;
    while ((line = strtok_r(NULL, "\n", &save)))
        note(ret, line);
    return 0;
}

static int clock_verify(struct inject_env *env, void *state, struct inject_proof *ret,
                        struct err *err)
{
    struct clock_state *st = state;
    char text[NSEC_TEXT_MAX + 1];
    AUTO_BUF seen = BUF_INIT;
    struct inject_proof p = {.ok = true, .at = {nsec_now(CLOCK_MONOTONIC), 0}};
    for (size_t i = 0; i < st->targets.n; i++) {
        struct lab_node *n = lab_node(env->lab, st->targets.hosts[i]);
        struct look l;
        buf_printf(&seen, "%shost %s: ", i ? "; " : "", st->targets.hosts[i]);
        if (!lab_node_is_up(n)) {
            buf_adds(&seen, "is down");
            continue;
        }
        int r = look_at(n, &l, err);
        if (r < 0)
            return r;
        nsec apart = nsec_sub(l.off, st->offset);
        bool right = apart >= -CLOSE_ENOUGH && apart <= CLOSE_ENOUGH;
        p.ok = p.ok && right && (l.follow > 0 || l.others == 0);
        buf_printf(&seen, "a program sees %s, %zu running follow", offset_text(l.off, text),
                   l.follow);
        if (l.others)
            buf_printf(&seen, ", %zu do not (linked statically, or shielded): %s", l.others,
                       l.names);
    }
    p.at.hi = nsec_now(CLOCK_MONOTONIC);
    snprintf(p.asked, sizeof p.asked, "wall clock of programs %s", offset_text(st->offset, text));
    snprintf(p.seen, sizeof p.seen, "%s", buf_text(&seen));
    snprintf(p.how, sizeof p.how,
             "`date` in the host against our own clock; who has the library loaded");
    *ret = p;
    return 0;
}

static int clock_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                        struct err *err)
{
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
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct clock_params, offset),
     .help = "How far the wall clock goes ahead (`+`) or behind (`-`), all at once.",
     .example = "\"+2h\""},
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
    {NULL, {NULL}},
};

static const struct injector clock_injector = {
    .name = "clock",
    .is_fault = true,
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
    .summary = "Shifts the wall clock that a host's programs see.",
    .detail =
        "By libfaketime, loaded into every command of that host from its start. Programs that "
        "are linked statically (Go's) see the true time, and the proof names them. Monotonic "
        "clocks and the machine's own clock are not touched.",
    .params = &clock_record,
    .impl = &clock_injector,
};
