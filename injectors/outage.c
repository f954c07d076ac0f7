/* outage: something is down, or fails now and then, or is slow, whatever the cause: what nobody can bring
 * about in a rehearsal (a third party, a region, a power supply), but what can be forecast and exercised.
 *
 * It is refused wherever something would have to be done.
 */
#include <errno.h>
#include <string.h>

#include "injectors/actions.h"
#include "injectors/effects.h"
#include "injectors/params.h"

enum outage_answers { ANSWERS_NONE, ANSWERS_ERRORS };
static const char *const outage_answers_words[] = {"none", "errors", NULL};

static int outage_check(const struct scenario *s, const struct step *step, struct err *err)
{
    const struct outage_params *p = step->params;
    if (!p->component == !p->service)
        return err_set(err, EINVAL, "give one of 'component' and 'service'");
    return 0;
}

static int outage_cannot(const struct step *step, struct err *err)
{
    return err_set(
        err, EOPNOTSUPP,
        "the outage of the step %s cannot be brought about, only forecast or exercised: to "
        "rehearse it, replace it by a fault that does something",
        step->id);
}

static int outage_supported(const struct inject_env *env, const struct step *step, struct err *err)
{
    return outage_cannot(step, err);
}

static int outage_plan(const struct inject_env *env, const struct step *step, json_t *texts,
                       struct err *err)
{
    return outage_cannot(step, err);
}

static int outage_prepare(struct inject_env *env, const struct step *step, void **ret_state,
                          json_t **ret_undo, struct err *err)
{
    return outage_cannot(step, err);
}

static int outage_apply(struct inject_env *env, void *state, struct inject_result *ret,
                        struct err *err)
{
    return err_set(err, EOPNOTSUPP, "an outage cannot be brought about");
}

static int outage_verify(struct inject_env *env, void *state, struct inject_proof *ret,
                         struct err *err)
{
    return err_set(err, EOPNOTSUPP, "an outage cannot be brought about");
}

static int outage_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                         struct err *err)
{
    *ret = INJECT_RESULT_INIT;
    return 0;
}

static void outage_done(void *state)
{
}

static int outage_effect(struct inject_env *env, const struct step *step, struct effects *ret,
                         struct err *err)
{
    const struct outage_params *p = step->params;
    struct effect one = {.component = p->component,
                         .service = p->service,
                         .refused = p->answers == ANSWERS_ERRORS,
                         .share = p->share};
    if (nsec_is_set(p->slow)) {
        one.kind = EFFECT_SLOW;
        one.delay = p->slow;
    } else {
        one.kind = p->share >= 1 ? EFFECT_DOWN : EFFECT_BAD;
    }
    effects_add(ret, &one);
    return 0;
}

static const struct field outage_fields[] = {
    {.key = "component",
     .type = FIELD_REF,
     .ref = REF_COMPONENT,
     .offset = offsetof(struct outage_params, component),
     .help = "What does not work: a host, or one of `components`.",
     .example = "region-a"},
    {.key = "service",
     .type = FIELD_REF,
     .ref = REF_SERVICE,
     .offset = offsetof(struct outage_params, service),
     .help = "Or a service as a whole, whatever it runs on.",
     .example = "card-network"},
    {.key = "share",
     .type = FIELD_PERCENT,
     .dflt = "100%",
     .offset = offsetof(struct outage_params, share),
     .help = "So many requests meet it, drawn one by one.",
     .example = "30%"},
    {.key = "slow",
     .type = FIELD_DURATION,
     .min = NSEC_MSEC,
     .max = 3600 * NSEC_SEC,
     .offset = offsetof(struct outage_params, slow),
     .help = "Those are answered so much later; without it they are not answered well.",
     .example = "3s"},
    {.key = "answers",
     .type = FIELD_WORD,
     .words = outage_answers_words,
     .dflt = "none",
     .offset = offsetof(struct outage_params, answers),
     .help = "`errors`: an error comes at once; `none`: whoever asks waits until its own time-out.",
     .example = "errors"},
    {.key = NULL},
};

static const struct record outage_record = {
    .name = "outage",
    .summary = "Something is down, whatever the cause.",
    .size = sizeof(struct outage_params),
    .fields = outage_fields,
    .name_offset = SIZE_MAX,
    .place_offset = SIZE_MAX,
    .variant_place_offset = SIZE_MAX,
};

static const struct injector outage_injector = {
    .name = "outage",
    .is_fault = true,
    .lasts = true,
    .check = outage_check,
    .supported = outage_supported,
    .plan = outage_plan,
    .prepare = outage_prepare,
    .apply = outage_apply,
    .verify = outage_verify,
    .revert = outage_revert,
    .done = outage_done,
    .effect = outage_effect,
};

const struct variant inject_outage = {
    .name = "outage",
    .summary = "Something is down, fails for a share of requests, or is slow: for forecasts.",
    .detail =
        "What nobody can bring about in a rehearsal: a third party, a region, a power supply. "
        "`blackstart run` refuses it; `blackstart forecast` knows what it means.",
    .params = &outage_record,
    .impl = &outage_injector,
};
