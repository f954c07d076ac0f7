/* A judge per probe, thresholds, and what they say now. */
#include "sim/drill/live.h"

#include "sim/base/buf.h"
#include "sim/judge/quorum.h"

#include <stdlib.h>
#include <string.h>

struct live_probe {
    struct live *live;
    const struct probe *probe;
    struct judge *judge;
    bool good, seen;     /* the last decided observation */
    bool down;           /* as it was told last */
    char why[160];       /* what was wrong with the last bad answer */
    uint64_t base, next; /* numbers: first of this vantage process; one after the highest seen */
    uint8_t *got;        /* by number: it has arrived */
    size_t got_room;
};

struct live_threshold { /* of one probe of an alarm */
    const struct alarm *alarm;
    const struct probe *probe;
    struct threshold state;
    struct quorum *quorum; /* of the alarm */
};

struct live {
    const struct scenario *scenario;
    struct live_handlers handlers;
    struct live_probe *probes;
    size_t n_probes;
    struct live_threshold *thresholds;
    size_t n_thresholds;
    struct quorum *quorums; /* by alarm */
};

/* What was seen at the probe that made the alarm fire. */
static void live_threshold_words(const struct live_threshold *t, char *buf, size_t size)
{
    char window[NSEC_TEXT_MAX];
    const struct own_params *own = t->alarm->params;
    int n;
    if (t->state.consecutive)
        n = snprintf(buf, size, "%lld bad answers of %s in a row", (long long)t->state.consecutive,
                     t->probe->name);
    else
        n = snprintf(buf, size, "%.3g%% of the answers of %s in %s bad",
                     100 * window_ratio(t->state.windows[0]), t->probe->name,
                     nsec_text(window_length(t->state.windows[0]), window));
    if (own->at_least > 1 && n > 0 && (size_t)n < size)
        snprintf(buf + n, size - (size_t)n, ", now at %lld of %zu probes", (long long)own->at_least,
                 own->probes.n);
}

static void live_threshold_feed(struct live *l, const struct live_probe *p,
                                const struct judge_event *e)
{
    for (size_t i = 0; i < l->n_thresholds; i++) {
        struct live_threshold *t = &l->thresholds[i];
        struct span at;
        if (t->probe != p->probe)
            continue;
        enum threshold_change change = quorum_feed(t->quorum, threshold_feed(&t->state, e, &at));
        if (change == THRESHOLD_CLEAR)
            l->handlers.alarm(t->alarm, false, at, NULL, l->handlers.data);
        if (change != THRESHOLD_ONSET)
            continue;
        char detail[200];
        live_threshold_words(t, detail, sizeof detail);
        l->handlers.alarm(t->alarm, true, at, detail, l->handlers.data);
    }
}

static void live_judged(const struct judge_event *e, void *data)
{
    struct live_probe *p = data;
    if (e->kind == JUDGE_DECIDED) {
        if (e->obs.verdict != JUDGE_UNKNOWN) {
            p->good = e->obs.verdict == JUDGE_GOOD;
            p->seen = true;
        }
        live_threshold_feed(p->live, p, e);
    } else if (e->kind == JUDGE_DOWN || e->kind == JUDGE_RESTORED) {
        p->down = e->kind == JUDGE_DOWN;
        p->live->handlers.probe(p->probe, e->kind == JUDGE_DOWN, p->live->handlers.data);
    }
}

/* A threshold at each probe of an alarm on our own probes. */
static void live_watch(struct live *l, const struct alarm *a, struct quorum *quorum)
{
    const struct own_params *own = a->params;
    quorum->at_least = own->at_least;
    l->thresholds =
        reallocarray(l->thresholds, l->n_thresholds + own->probes.n + 1, sizeof *l->thresholds);
    if (!l->thresholds)
        abort();
    for (size_t i = 0; i < own->probes.n; i++) {
        const struct probe *p = scenario_probe(l->scenario, own->probes.items[i]);
        l->thresholds[l->n_thresholds++] = (struct live_threshold){
            .alarm = a, .probe = p, .state = threshold_of_alarm(a, p->every), .quorum = quorum};
    }
}

struct live *live_new(const struct scenario *s, const struct live_handlers *handlers)
{
    struct live *l = calloc(1, sizeof *l);
    if (!l)
        abort();
    l->scenario = s;
    l->handlers = *handlers;
    l->n_probes = s->probes.n;
    l->probes = calloc(s->probes.n + 1, sizeof *l->probes);
    l->quorums = calloc(s->alarms.n + 1, sizeof *l->quorums);
    if (!l->probes || !l->quorums)
        abort();
    for (size_t i = 0; i < s->probes.n; i++) {
        const struct probe *p = s->probes.items[i];
        struct judge_config c = {.every = p->every,
                                 .down_after = p->down_after,
                                 .up_after = p->up_after,
                                 .stable = p->stable,
                                 .since = NSEC_UNSET};
        l->probes[i].live = l;
        l->probes[i].probe = p;
        l->probes[i].judge = judge_new(&c, live_judged, &l->probes[i]);
    }
    for (size_t i = 0; i < s->alarms.n; i++) {
        const struct alarm *a = s->alarms.items[i];
        if (alarm_is_own(a))
            live_watch(l, a, &l->quorums[i]);
    }
    return l;
}

struct live *live_free(struct live *l)
{
    if (!l)
        return NULL;
    for (size_t i = 0; i < l->n_probes; i++) {
        judge_free(l->probes[i].judge);
        free(l->probes[i].got);
    }
    for (size_t i = 0; i < l->n_thresholds; i++)
        threshold_done(&l->thresholds[i].state);
    free(l->probes);
    free(l->thresholds);
    free(l->quorums);
    free(l);
    return NULL;
}

static struct live_probe *live_find(const struct live *l, const char *name)
{
    for (size_t i = 0; i < l->n_probes; i++)
        if (!strcmp(l->probes[i].probe->name, name))
            return &l->probes[i];
    return NULL;
}

static void live_mark(struct live_probe *p, uint64_t n)
{
    if (n >= p->got_room) {
        size_t room = p->got_room ? p->got_room : 256;
        while (room <= n)
            room *= 2;
        p->got = realloc(p->got, room);
        if (!p->got)
            abort();
        memset(p->got + p->got_room, 0, room - p->got_room);
        p->got_room = room;
    }
    p->got[n] = 1;
    if (n >= p->next)
        p->next = n + 1;
}

uint64_t live_number(const struct live *l, const struct probe *probe, uint64_t n)
{
    const struct live_probe *p = live_find(l, probe->name);
    return p->base + n;
}

void live_feed(struct live *l, const struct watch_obs *o, bool unknown)
{
    struct live_probe *p = live_find(l, o->probe->name);
    struct judge_obs obs = {.n = p->base + o->n,
                            .scheduled = o->scheduled,
                            .start = o->start,
                            .end = o->end,
                            .verdict = unknown && !o->ok ? JUDGE_UNKNOWN
                                       : o->ok           ? JUDGE_GOOD
                                                         : JUDGE_BAD};
    if (!o->ok)
        snprintf(p->why, sizeof p->why, "%s%s%s", o->why ? o->why : "",
                 o->why && o->detail ? ": " : "", o->detail ? o->detail : "");
    live_mark(p, obs.n);
    judge_feed(p->judge, &obs);
}

void live_restart(struct live *l, const char *host)
{
    for (size_t i = 0; i < l->n_probes; i++) {
        struct live_probe *p = &l->probes[i];
        if (strcmp(p->probe->host, host))
            continue;
        for (uint64_t n = p->base; n < p->next; n++)
            if (!p->got[n]) {
                struct judge_obs obs = {.n = n, .verdict = JUDGE_UNKNOWN};
                judge_feed(p->judge, &obs);
            }
        p->base = p->next;
    }
}

void live_arm(struct live *l)
{
    for (size_t i = 0; i < l->n_probes; i++) {
        judge_reset(l->probes[i].judge);
        l->probes[i].down = false;
    }
    for (size_t i = 0; i < l->n_thresholds; i++)
        threshold_reset(&l->thresholds[i].state);
}

nsec live_good_since(const struct live *l)
{
    nsec since = -NSEC_INF;
    for (size_t i = 0; i < l->n_probes; i++) {
        nsec t = judge_good_since(l->probes[i].judge);
        if (!nsec_is_set(t))
            return NSEC_UNSET;
        if (t > since)
            since = t;
    }
    return since;
}

char *live_not_good(const struct live *l)
{
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < l->n_probes; i++)
        if (!l->probes[i].seen || !l->probes[i].good) {
            buf_printf(&b, "%s%s", b.len ? ", " : "", l->probes[i].probe->name);
            if (*l->probes[i].why)
                buf_printf(&b, " (%s)", l->probes[i].why);
        }
    return buf_steal(&b);
}

bool live_probe_is_down(const struct live *l, const char *probe)
{
    const struct live_probe *p = live_find(l, probe);
    return p && judge_is_down(p->judge);
}

nsec live_probe_down_since(const struct live *l, const char *probe)
{
    const struct live_probe *p = live_find(l, probe);
    bool down = p && judge_is_down(p->judge) && !judge_is_recovering(p->judge);
    return down ? judge_down_since(p->judge) : NSEC_UNSET;
}

bool live_is_recovering(const struct live *l)
{
    for (size_t i = 0; i < l->n_probes; i++)
        if (l->probes[i].probe->service && judge_is_recovering(l->probes[i].judge))
            return true;
    return false;
}

bool live_service_is_down(const struct live *l, const struct service *s, nsec *ret_since)
{
    int64_t down = 0;
    nsec since = NSEC_INF;
    for (size_t i = 0; i < l->n_probes; i++) {
        const struct live_probe *p = &l->probes[i];
        if (!p->probe->service || strcmp(p->probe->service, s->name) || !p->down)
            continue;
        down++;
        nsec t = judge_down_since(p->judge);
        if (nsec_is_set(t) && t < since)
            since = t;
    }
    if (!down || down < s->down_at_least)
        return false;
    if (ret_since)
        *ret_since = since;
    return true;
}
