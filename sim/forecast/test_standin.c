/* A stand-in for the model behind trial.h: two services, whose durations come from the seed and the number
 * of the trial alone. For tests of what stands above it. */
#include "sim/forecast/test_standin.h"

#include "sim/base/rng.h"
#include "tests/support/test.h"

static const struct quantity quantities[] = {
    {(char *)"phase:page", NULL, false},
    {(char *)"stage:checkout/failover", (char *)"checkout", true}};

struct trial {
    nsec failover;
};

size_t system_quantities(const struct system *sys, const struct quantity **ret)
{
    *ret = quantities;
    return ARRAY_SIZE(quantities);
}

struct trial *trial_new(const struct system *sys)
{
    struct trial *t = calloc(1, sizeof *t);
    if (!t)
        abort();
    return t;
}

struct trial *trial_free(struct trial *t)
{
    free(t);
    return NULL;
}

static struct outcome none(enum outcome_kind kind)
{
    struct outcome o = {.kind = (unsigned char)kind, .weight = 1};
    for (size_t i = 0; i < OUTCOME_TIMES; i++)
        outcome_set_time(&o, (enum outcome_time)i, NSEC_UNSET);
    return o;
}

static nsec second(double s)
{
    return (nsec)(s * 1e9);
}

int trial_run(struct trial *t, uint64_t seed, uint64_t number, const struct whatif *whatif,
              trial_event_fn *fn, void *data, struct outcome *ret, struct err *err)
{
    struct rng r = rng_stream(seed, "fixture", number, 0);
    struct outcome o = none(OUTCOME_IS_RESTORED);
    if (seed == FIXTURE_FAILS && number == FIXTURE_FAILS_AT)
        return err_set(err, EDOM, "it was made to fail");
    t->failover = second(1 + 2 * rng_unit(&r));
    o.by = OUTCOME_BY_RECOVERY;
    o.ttd = second(0.5 + rng_unit(&r));
    o.ttr = o.down = o.ttd + t->failover;
    o.episodes = 1;
    switch (rng_below(&r, 50)) {
    case 0:
        o.kind = OUTCOME_IS_CENSORED;
        o.by = OUTCOME_BY_NOBODY;
        o.ttr = NSEC_INF;
        o.down = second(10);
        break;
    case 1:
        o = none(OUTCOME_IS_UNAFFECTED);
        break;
    case 2:
        o = none(OUTCOME_IS_VOID);
        break;
    case 3:
        o.by = OUTCOME_BY_HEAL;
        o.tta = second(-0.25);
        o.drained = o.ttr * 2;
        o.loss = second(rng_unit(&r));
        o.episodes = 2;
        o.blips = 3;
        o.false_alarms = 1;
        break;
    default:
        break;
    }
    ret[0] = o;
    ret[1] = none(OUTCOME_IS_UNAFFECTED);
    if (!fn)
        return 0;
    AUTO_JSON *e = json_pack("{s:s,s:s}", "probe", "page", "why", "refused");
    return fn(o.ttd, "probe", e, data, err);
}

void trial_path(struct trial *t, size_t service, nsec *ret)
{
    ret[0] = 0;
    ret[1] = service == 0 ? t->failover : 0;
}

void fixture_scenario(struct scenario *s, struct service services[2], void *pointers[3])
{
    services[0] = (struct service){.name = (char *)"checkout",
                                   .rto = 3 * NSEC_SEC,
                                   .rpo = NSEC_UNSET,
                                   .max_downtime = NSEC_UNSET,
                                   .mtpd = NSEC_UNSET};
    services[1] = (struct service){.name = (char *)"search",
                                   .rto = NSEC_UNSET,
                                   .rpo = NSEC_UNSET,
                                   .max_downtime = NSEC_UNSET,
                                   .mtpd = NSEC_UNSET};
    pointers[0] = &services[0];
    pointers[1] = &services[1];
    *s = (struct scenario){.name = (char *)"fixture",
                           .title = (char *)"A stand-in",
                           .services = {.items = pointers, .n = 2}};
}
