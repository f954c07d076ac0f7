/* Forecasts of shipped drills against what those drills measured (tests/twins, made by collect.py there).
 *
 * Equivalence: the 90 % interval of median(measured) / median(forecast) lies within [1/1.25, 1.25]; the
 * interval of the measured median is that of order statistics, by the low ends and the high ends of what
 * was measured. Band: with M times measured each must meet [least, most] of 2000 M trials of the forecast,
 * which a further trial of it leaves with a probability of 2 in 2000 M + 1: 0.001 for all of them together.
 */
#include "tests/support/test.h"

#include "reports/stats.h"
#include "scenarios/scenario.h"
#include "sim/base/file.h"
#include "sim/forecast/trial.h"

#include <fcntl.h>

#define SEED 20261123
#define FACTOR 1.25
#define LEVEL 0.9
#define LIVE_MAX 64

struct live { /* of one service, one kind of time */
    double lows[LIVE_MAX], highs[LIVE_MAX];
    size_t n;
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The lines of the table about a service. which: 0 restored, 1 noticed. In seconds. */
static void live_read(const char *table, const char *service, int which, struct live *ret)
{
    AUTO_FREE char *text = NULL;
    char path[300];
    struct err err = ERR_INIT;
    snprintf(path, sizeof path, TEST_ROOT "/tests/twins/%s.csv", table);
    if (file_read(AT_FDCWD, path, 1 << 20, &text, NULL, &err) < 0)
        fail_msg("%s", err.text);
    *ret = (struct live){.n = 0};
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *word = NULL, *name = *line == '#' ? NULL : strtok_r(line, ",", &word);
        double at[4] = {0};
        int n = 0;
        for (char *p; name && n < 4 && (p = strtok_r(NULL, ",", &word)); n++)
            at[n] = strtod(p, NULL) / 1000;
        if (!name || strcmp(name, service) != 0 || n < 2 * which + 2)
            continue;
        assert_true(ret->n < LIVE_MAX);
        ret->lows[ret->n] = at[2 * which];
        ret->highs[ret->n++] = at[2 * which + 1];
    }
}

struct twin {
    const char *table, *scenario, *service;
    double later; /* so long after the drill's fault the forecast's begins to count */
    bool noticed; /* its detection was measured too */
};

static void one_time(const struct twin *w, int which, const double *times, size_t n,
                     struct live *live)
{
    const char *what = which ? "noticed" : "restored";
    if (live->n < 8)
        fail_msg("%s: %zu trials are too few", w->service, live->n);
    for (size_t i = 0; i < live->n; i++)
        if (live->highs[i] < times[0] || live->lows[i] > times[n - 1])
            fail_msg("%s %s after %.3f to %.3f s, beyond all of the forecast (%.3f to %.3f s)",
                     w->service, what, live->lows[i], live->highs[i], times[0], times[n - 1]);
    qsort(live->lows, live->n, sizeof *live->lows, compare);
    qsort(live->highs, live->n, sizeof *live->highs, compare);
    size_t from, to;
    double confidence;
    assert_true(stats_median_ranks(live->n, LEVEL, &from, &to, &confidence) && confidence >= LEVEL);
    double median = times[n / 2], low = live->lows[from - 1] / median,
           high = live->highs[to - 1] / median;
    print_message(
        "%-14s %-8s median forecast %.3f s; measured / forecast: %.3f to %.3f (%zu trials, "
        "%.1f %%)\n",
        w->service, what, median, low, high, live->n, 100 * confidence);
    if (low < 1 / FACTOR || high > FACTOR)
        fail_msg("%s: %s: the ratio of the medians is %.3f to %.3f", w->service, what, low, high);
}

static void hold(const struct twin *w)
{
    AUTO_DIAGS diags = DIAGS_INIT;
    struct err err = ERR_INIT;
    CLEANUP(scenario_free_p) struct scenario *s = NULL;
    CLEANUP(system_free_p) struct system *sys = NULL;
    CLEANUP(trial_free_p) struct trial *t = NULL;
    char path[300];
    struct live live[2];
    static struct outcome outcomes[8];
    size_t service = 0, n[2] = {0, 0};

    snprintf(path, sizeof path, TEST_ROOT "/scenarios/%s.yaml", w->scenario);
    if (scenario_load(path, NULL, &diags, &s) < 0)
        fail_msg("%s does not load", path);
    if (system_new(s, &sys, &err) < 0)
        fail_msg("%s", err.text);
    t = trial_new(sys);
    while (strcmp(((const struct service *)s->services.items[service])->name, w->service) != 0)
        service++;
    for (int i = 0; i <= w->noticed; i++)
        live_read(w->table, w->service, i, &live[i]);
    size_t trials = 2000 * live[0].n * (1 + w->noticed);
    AUTO_FREE double *times = calloc(2 * trials, sizeof *times);
    assert_non_null(times);
    for (size_t i = 0; i < trials; i++) {
        if (trial_run(t, SEED, i, NULL, NULL, NULL, outcomes, &err) < 0)
            fail_msg("%s", err.text);
        const struct outcome *o = &outcomes[service];
        assert_int_equal(o->kind, OUTCOME_IS_RESTORED);
        times[n[0]++] = (double)o->ttr / NSEC_SEC + w->later;
        if (w->noticed)
            times[trials + n[1]++] = (double)o->ttd / NSEC_SEC + w->later;
    }
    for (int i = 0; i <= w->noticed; i++) {
        qsort(times + (size_t)i * trials, n[i], sizeof *times, compare);
        one_time(w, i, times + (size_t)i * trials, n[i], &live[i]);
    }
}

static void forecasts_agree_with_what_was_measured(void **state)
{
    static const struct twin twins[] = {
        {"vip-failover", "vip-failover/vip-failover", "checkout", 0, true},
        {"redis-sentinel", "redis-sentinel/redis-sentinel", "orders", 0, true},
        {"etcd-isolate-leader", "etcd-isolate-leader/etcd-isolate-leader", "config-store", 0, true},
        {"dns-primary-down", "dns-primary-down/dns-primary-down", "quick-names", 0, true},
        {"flapping-link", "flapping-link/flapping-link", "checkout", 0, true},
        {"lossy-link", "lossy-link/lossy-link", "west-api", 0, true},
        {"dns-slow-line", "dns-slow-line/dns-slow-line", "new-names", 0, false},
        {"etcd-slow-leader", "forecast/etcd-slow-leader", "quick-config", 0, true},
        {"redis-slow-replica", "forecast/redis-slow-replica", "stock", 1.4, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(twins); i++)
        hold(&twins[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forecasts_agree_with_what_was_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
