/* See test_trial_played.h. */
#include "sim/forecast/test_trial_played.h"

#include "sim/base/jsonx.h"
#include "sim/forecast/trial.h"
#include "tests/support/test.h"

#include <string.h>

static int keep(nsec at, const char *kind, json_t *json, void *data, struct err *err)
{
    json_t *events = data;
    json_t *e = json_copy(json);
    json_object_set_new(e, "t", json_integer(at));
    json_object_set_new(e, "kind", json_string(kind));
    json_object_set_new(e, "seq", json_integer((json_int_t)json_array_size(events)));
    json_array_append_new(events, e);
    return 0;
}

bool same(const struct outcome *a, const struct outcome *b)
{
    for (size_t i = 0; i < OUTCOME_TIMES; i++)
        if (outcome_time(a, (enum outcome_time)i) != outcome_time(b, (enum outcome_time)i))
            return false;
    return a->kind == b->kind && a->by == b->by && a->episodes == b->episodes &&
           a->blips == b->blips && a->false_alarms == b->false_alarms;
}

json_t *played(const struct scenario *s, uint64_t seed, uint64_t trials, struct outcome *quick,
               struct outcome *told)
{
    struct err err = ERR_INIT;
    struct system *sys = NULL;
    if (system_new(s, &sys, &err) < 0)
        return NULL;
    struct trial *t = trial_new(sys);
    json_t *events = json_array();
    json_array_append_new(events, json_pack("{s:i,s:i,s:s,s:i,s:i}", "t", 0, "seq", 0, "kind",
                                            "run-start", "record", 1, "trials", 1));
    for (uint64_t n = trials; n >= 1; n--) {
        AUTO_JSON *other = json_array();
        if (trial_run(t, seed, n, NULL, NULL, NULL, quick, &err) < 0 ||
            trial_run(t, seed, n, NULL, keep, n == 1 ? events : other, told, &err) < 0)
            fail_msg("%s", err.text);
        for (size_t k = 0; n > 1 && k < s->services.n; k++)
            if (!same(&quick[k], &told[k]))
                fail_msg("scenario %llu, trial %llu: another outcome when it is told",
                         (unsigned long long)seed, (unsigned long long)n);
    }
    json_array_append_new(events, json_pack("{s:I,s:i,s:s,s:s}", "t", (json_int_t)trial_end(t),
                                            "seq", (int)json_array_size(events), "kind", "run-end",
                                            "status", "completed"));
    trial_free(t);
    system_free(sys);
    return events;
}
