/* What every room asks of a scenario; it is made in scenarios/. */
#include "sim/model/model.h"

#include "sim/base/file.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

int scenario_can_run(const struct scenario *s, struct err *err)
{
    for (size_t i = 0; i < s->script.n; i++) {
        const struct step *step = s->script.items[i];
        if (step_people(step) != PEOPLE_NONE)
            return err_set(err, ENOTSUP,
                           "%s:%d:%d: the step '%s' (%s) is played by people: use `blackstart "
                           "exercise`",
                           step->place.file, step->place.line, step->place.col, step->id,
                           step->action->name);
        if (!strcmp(step->action->name, "outage"))
            return err_set(
                err, ENOTSUP,
                "%s:%d:%d: the step '%s' is an outage that is only assumed, which can be "
                "forecast but not rehearsed: use `blackstart forecast`, or a fault",
                step->place.file, step->place.line, step->place.col, step->id);
    }
    for (size_t i = 0; i < s->alarms.n; i++) {
        const struct alarm *a = s->alarms.items[i];
        if (alarm_is_assumed(a))
            return err_set(
                err, ENOTSUP,
                "%s:%d:%d: the alarm '%s' is only assumed, so nothing would raise it: use "
                "`blackstart forecast`, or say what it is (log, webhook, packets, ...)",
                a->place.file, a->place.line, a->place.col, a->name);
    }
    if (!s->hosts.n || !s->probes.n)
        return err_set(err, ENOTSUP,
                       "%s has no %s, so it can be forecast but not rehearsed: use `blackstart "
                       "forecast`, or write where things happen and how they are measured",
                       s->file, s->hosts.n ? "probes" : "hosts");
    return 0;
}

const char *const role_words[] = {
    [ROLE_PAGE] = "page",
    [ROLE_MONITOR] = "monitor",
    [ROLE_AUTOMATION] = "automation",
    [ROLE_OWN] = "own",
    NULL,
};
static_assert(ARRAY_SIZE(role_words) == ROLE_OWN + 2, "a word for each role");

const char *const rto_clock_words[] = {
    [CLOCK_IMPACT] = "impact",
    [CLOCK_FAULT] = "fault",
    [CLOCK_DETECTION] = "detection",
    [CLOCK_DECLARATION] = "declaration",
    NULL,
};
static_assert(ARRAY_SIZE(rto_clock_words) == CLOCK_DECLARATION + 2, "a word for each clock");

const char *const expectation_words[] = {
    [EXPECT_UNSET] = "unset",
    [EXPECT_AFFECTED] = "affected",
    [EXPECT_UNAFFECTED] = "unaffected",
    [EXPECT_EITHER] = "either",
    NULL,
};
static_assert(ARRAY_SIZE(expectation_words) == EXPECT_EITHER + 2, "a word for each expectation");

static const struct field target_fields[] = {
    {.key = "host",
     .type = FIELD_REF,
     .ref = REF_HOST,
     .offset = offsetof(struct target, host),
     .help = "The host itself.",
     .example = "lb1"},
    {.key = "any",
     .type = FIELD_INTEGER,
     .min = 1,
     .max = 4096,
     .offset = offsetof(struct target, any),
     .help = "So many of `of`, drawn anew from the seed in each trial.",
     .example = "1"},
    {.key = "leader",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct target, leader),
     .help = "A command, given to /bin/sh -c on each host of `of` when the step is due; the host "
             "where it exits with 0 is taken.",
     .example = "./is-leader.sh"},
    {.key = "of",
     .type = FIELD_REFS,
     .ref = REF_HOST,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct target, of),
     .help = "The candidates for `any` or `leader`.",
     .example = "[db1, db2, db3]"},
    {.key = "group",
     .type = FIELD_REF,
     .ref = REF_GROUP,
     .offset = offsetof(struct target, group),
     .help = "Instead of `of`: the hosts of this group.",
     .example = "web"},
    {.key = "timeout",
     .type = FIELD_DURATION,
     .dflt = "5s",
     .min = NSEC_MSEC,
     .max = 600 * NSEC_SEC,
     .offset = offsetof(struct target, timeout),
     .help = "How long the command of `leader` may take on each host."},
    {0},
};

const struct record target_record = {
    .name = "target",
    .summary = "A host by its name, or a rule that chooses hosts when the step is due.",
    .size = sizeof(struct target),
    .fields = target_fields,
    .shorthand = "host",
    .name_offset = SIZE_MAX,
    .place_offset = offsetof(struct target, place),
    .variant_place_offset = SIZE_MAX,
};

const char *const load_stop_words[] = {"TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "KILL", NULL};
const int load_stop_signals[LOAD_STOP_WORDS] = {SIGTERM, SIGINT,  SIGHUP, SIGQUIT,
                                                SIGUSR1, SIGUSR2, SIGKILL};
const char *const notice_moment_words[] = {
    [NOTICE_START] = "start", [NOTICE_INJECTION] = "injection", [NOTICE_END] = "end",
    [NOTICE_ABORT] = "abort", [NOTICE_UNDONE] = "undone",       NULL};
static_assert(ARRAY_SIZE(notice_moment_words) == NOTICE_UNDONE + 2, "a word for each moment");

const char *const notice_words[] = {"event",    "scenario", "title",   "id",      "trial",
                                    "step",     "action",   "targets", "status",  "reason",
                                    "time",     "operator", "text",    "verdict", "exit_code",
                                    "sentence", "report",   "folder",  NULL};

const struct objects *notices_at(const struct notices *n, enum notice_moment moment)
{
    const struct objects *const lists[] = {&n->start, &n->injection, &n->end, &n->abort};
    return lists[moment];
}

struct scenario *scenario_free(struct scenario *s)
{
    if (s)
        arena_free(s->arena); /* the scenario itself lives in it */
    return NULL;
}

/* By the name that stands as first member of each of these. */
static const void *objects_named(const struct objects *v, const char *name)
{
    for (size_t i = 0; name && i < v->n; i++)
        if (!strcmp(*(char *const *)v->items[i], name))
            return v->items[i];
    return NULL;
}
static_assert(offsetof(struct service, name) == 0 && offsetof(struct network, name) == 0 &&
                  offsetof(struct host, name) == 0 && offsetof(struct probe, name) == 0 &&
                  offsetof(struct alarm, name) == 0 && offsetof(struct host_group, name) == 0,
              "objects_named() reads the first member");

const struct service *scenario_service(const struct scenario *s, const char *name)
{
    return objects_named(&s->services, name);
}

const struct network *scenario_network(const struct scenario *s, const char *name)
{
    return objects_named(&s->networks, name);
}

const struct host *scenario_host(const struct scenario *s, const char *name)
{
    return objects_named(&s->hosts, name);
}

const struct host_group *scenario_group(const struct scenario *s, const char *name)
{
    return objects_named(&s->groups, name);
}

const struct probe *scenario_probe(const struct scenario *s, const char *name)
{
    return objects_named(&s->probes, name);
}

const struct alarm *scenario_alarm(const struct scenario *s, const char *name)
{
    return objects_named(&s->alarms, name);
}

struct attached_walk {
    const struct scenario *s;
    const struct host **hosts;
    size_t n, max;
};

static void add_attached(const char *name, bool peer, bool listed, void *data)
{
    struct attached_walk *w = data;
    const struct host *h = peer ? NULL : scenario_host(w->s, name);
    if (!h || !host_is_attached(h) || w->n == w->max)
        return;
    for (size_t i = 0; i < w->n; i++)
        if (w->hosts[i] == h)
            return;
    w->hosts[w->n++] = h;
}

size_t step_attached(const struct scenario *s, const struct step *step, const struct host **ret,
                     size_t max)
{
    struct attached_walk w = {.s = s, .hosts = ret, .max = max};
    if (step->action && step->action->params && step->params)
        field_hosts(step->action->params, step->params, add_attached, &w);
    return w.n;
}

bool alarm_is_assumed(const struct alarm *a)
{
    return a->kind && !strcmp(a->kind->name, "assumed");
}

bool service_is_told_by(const struct service *s, const struct alarm *a)
{
    bool own = strcmp(a->service, s->name) == 0;
    if (!s->detect || s->detect->by.n == 0)
        return own && (a->role == ROLE_PAGE || a->role == ROLE_MONITOR);
    if (strv_has(&s->detect->by, a->name))
        return true;
    return own && strv_has(&s->detect->by, role_words[a->role]);
}

bool alarm_is_momentary(const struct alarm *a)
{
    static const char *const kinds[] = {"journal", "log", "packets"};
    for (size_t i = 0; a->kind && i < ARRAY_SIZE(kinds); i++)
        if (!strcmp(a->kind->name, kinds[i]))
            return true;
    return false;
}

bool alarm_is_own(const struct alarm *a)
{
    static const char *const kinds[] = {"burn_rate", "ratio", "threshold"};
    for (size_t i = 0; a->kind && i < ARRAY_SIZE(kinds); i++)
        if (!strcmp(a->kind->name, kinds[i]))
            return true;
    return false;
}

bool maintenance_concerns(const struct maintenance *m, const struct alarm *a)
{
    if (m->alarm)
        return !strcmp(m->alarm, a->name);
    return m->service && a->service && !strcmp(m->service, a->service);
}

const struct maintenance *scenario_maintenance(const struct scenario *s, const struct alarm *a,
                                               nsec since_zero)
{
    for (size_t i = 0; i < s->maintenance.n; i++) {
        const struct maintenance *m = s->maintenance.items[i];
        if (maintenance_concerns(m, a) && since_zero >= m->from &&
            since_zero < nsec_add(m->from, m->lasting))
            return m;
    }
    return NULL;
}

bool scenario_has_fault(const struct scenario *s)
{
    for (size_t i = 0; i < s->script.n; i++) {
        const struct step *step = s->script.items[i];
        if (step->fault)
            return true;
    }
    return false;
}

nsec probe_resolution(const struct probe *p)
{
    nsec slowest = nsec_is_set(p->slow_after) ? p->slow_after : p->timeout;
    if (p->every > NSEC_INF / (p->down_after ? p->down_after : 1))
        return NSEC_INF;
    return nsec_add(p->every * p->down_after, slowest);
}

int pair_resolve(const struct pair *p, int dirfd, char **ret, struct err *err)
{
    const char *text = p->value;
    if (p->source == PAIR_FILE) {
        size_t n;
        char *value;
        int r = file_read(dirfd, p->value, 65536, &value, &n, err);
        if (r < 0)
            return err_prefix(err, "the value of '%s'", p->key);
        if (n && value[n - 1] == '\n')
            value[n - 1] = '\0';
        *ret = value;
        return 0;
    }
    if (p->source == PAIR_ENV) {
        text = getenv(p->value);
        if (!text)
            return err_set(err, ENOENT,
                           "the value of '%s' is the environment variable '%s', which is not set",
                           p->key, p->value);
    }
    char *copy = strdup(text);
    if (!copy)
        abort();
    *ret = copy;
    return 0;
}
