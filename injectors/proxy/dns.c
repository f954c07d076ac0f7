/* dns: a resolver of ours in the way of a host's queries: those that match are lost, kept back, refused
 * or answered with a lie; all others go byte for byte to the name server they were meant for, over UDP
 * and TCP. */
#include <errno.h>
#include <string.h>

#include "injectors/actions.h"
#include "injectors/effects.h"
#include "injectors/proxy/way.h"

#define ANSWER_WITHIN (3 * NSEC_SEC)
#define SILENCE (300 * NSEC_MSEC) /* after which a query of ours counts as lost */

static int read_addresses(const struct dns_lie *lie, struct inet_prefix *ret, struct err *err)
{
    if (lie->addresses.n > DNS_ANSWERS_MAX)
        return err_set(err, EINVAL, "'answer' may have %d addresses", DNS_ANSWERS_MAX);
    for (size_t i = 0; i < lie->addresses.n; i++) {
        int r = inet_parse(lie->addresses.items[i], &ret[i], err);
        if (r == 0 && ret[i].len != 8 * inet_bytes(&ret[i]))
            r = err_set(err, EINVAL, "'%s' is a network, an answer holds addresses",
                        lie->addresses.items[i]);
        if (r < 0)
            return err_prefix(err, "'answer'");
    }
    return 0;
}

static int dns_check(const struct scenario *s, const struct step *step, struct err *err)
{
    const struct dns_params *p = step->params;
    struct inet_prefix addresses[DNS_ANSWERS_MAX];
    int given = p->drop + p->nxdomain + p->servfail + nsec_is_set(p->delay) + (p->answer != NULL);
    if (given != 1)
        return err_set(err, EINVAL,
                       "give one of 'drop: true', 'delay', 'nxdomain: true', 'servfail: true' and "
                       "'answer'");
    for (size_t i = 0; i < p->names.n; i++)
        if (!dns_is_pattern(p->names.items[i]))
            return err_set(err, EINVAL,
                           "'names': \"%s\" is no name: write it like shop.example.com, or "
                           "*.example.com for everything below",
                           p->names.items[i]);
    int r = p->answer ? read_addresses(p->answer, addresses, err) : 0;
    if (r == 0)
        r = way_share_check(p->share, err);
    return r < 0 ? r : way_check(s, p->host, err);
}

static int dns_supported(const struct inject_env *env, const struct step *step, struct err *err)
{
    return way_supported(env, PROXY_DNS, err);
}

static void dns_text(const struct dns_params *p, struct buf *out)
{
    char delay[NSEC_TEXT_MAX];
    if (p->answer) {
        buf_adds(out, "answered with ");
        way_list_text(&p->answer->addresses, out);
    } else if (p->drop) {
        buf_adds(out, "lost");
    } else if (nsec_is_set(p->delay)) {
        buf_printf(out, "kept back for %s", nsec_text(p->delay, delay));
    } else {
        buf_adds(out, p->nxdomain ? "answered NXDOMAIN" : "answered SERVFAIL");
    }
    buf_adds(out, ": ");
    way_share_text(p->share, out);
    if (p->names.n)
        way_list_text(&p->names, out);
    else
        buf_adds(out, "all names");
}

/* One that matches: the first that is written, or something below it. */
static void name_to_ask(const struct strv *names, char ret[DNS_NAME_MAX])
{
    const char *pattern = names->n ? names->items[0] : "*";
    if (!strcmp(pattern, "*"))
        snprintf(ret, DNS_NAME_MAX, "blackstart.invalid");
    else if (!strncmp(pattern, "*.", 2))
        snprintf(ret, DNS_NAME_MAX, "blackstart.%.200s", pattern + 2);
    else
        snprintf(ret, DNS_NAME_MAX, "%.250s", pattern);
}

static int dns_fill(const struct step *step, struct way *w, struct err *err)
{
    const struct dns_params *p = step->params;
    AUTO_BUF text = BUF_INIT;
    dns_text(p, &text);
    snprintf(w->text, sizeof w->text, "%s", buf_text(&text));
    name_to_ask(&p->names, w->ask);
    nsec delay = nsec_is_set(p->delay) ? p->delay : 0;
    w->within = p->drop ? SILENCE : nsec_add(delay, ANSWER_WITHIN);
    w->spec = (struct proxy_spec){.kind = PROXY_DNS,
                                  .share = p->share,
                                  .dns = {.drop = p->drop,
                                          .delay = delay,
                                          .rcode = p->nxdomain   ? DNS_NXDOMAIN
                                                   : p->servfail ? DNS_SERVFAIL
                                                                 : DNS_NOERROR,
                                          .names = &p->names}};
    if (!p->answer)
        return 0;
    w->spec.dns.addresses = w->addresses;
    w->spec.dns.addresses_n = p->answer->addresses.n;
    w->spec.dns.ttl = (uint32_t)(p->answer->ttl / NSEC_SEC);
    return read_addresses(p->answer, w->addresses, err);
}

static int dns_plan(const struct inject_env *env, const struct step *step, json_t *texts,
                    struct err *err)
{
    const struct dns_params *p = step->params;
    return way_plan(env, step, p->host, dns_fill, texts, err);
}

static int dns_prepare(struct inject_env *env, const struct step *step, void **ret_state,
                       json_t **ret_undo, struct err *err)
{
    const struct dns_params *p = step->params;
    struct way *w;
    int r = way_prepare(env, step, p->host, dns_fill, &w, ret_undo, err);
    if (r == 0)
        *ret_state = w;
    return r;
}

static const struct field lie_fields[] = {
    {.key = "addresses",
     .type = FIELD_TEXTS,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct dns_lie, addresses),
     .help = "What a question for addresses gets: those of its family, or none. Questions for "
             "anything else are answered truly.",
     .example = "[10.9.9.9, \"fd00::9\"]"},
    {.key = "ttl",
     .type = FIELD_DURATION,
     .dflt = "60s",
     .offset = offsetof(struct dns_lie, ttl),
     .max = 7 * 86400 * NSEC_SEC,
     .help = "How long caches may keep it: longer than the fault, perhaps.",
     .example = "1h"},
    {.key = NULL},
};

static const struct record lie_record = {
    .name = "answer",
    .summary = "A wrong answer.",
    .size = sizeof(struct dns_lie),
    .fields = lie_fields,
    .shorthand = "addresses",
    .name_offset = SIZE_MAX,
    .place_offset = SIZE_MAX,
    .variant_place_offset = SIZE_MAX,
};

static const struct field dns_fields[] = {
    WAY_HOST_FIELD(dns_params, "web1", "Whose queries meet it."),
    {.key = "drop",
     .type = FIELD_BOOL,
     .flags = FIELD_ONE_OF,
     .offset = offsetof(struct dns_params, drop),
     .help = "true: they are lost, nobody answers.",
     .example = "true"},
    {.key = "delay",
     .type = FIELD_DURATION,
     .flags = FIELD_ONE_OF,
     .offset = offsetof(struct dns_params, delay),
     .min = NSEC_MSEC,
     .max = 3600 * NSEC_SEC,
     .help = "They are kept back for so long, then answered truly.",
     .example = "2s"},
    {.key = "nxdomain",
     .type = FIELD_BOOL,
     .flags = FIELD_ONE_OF,
     .offset = offsetof(struct dns_params, nxdomain),
     .help = "true: no such name.",
     .example = "true"},
    {.key = "servfail",
     .type = FIELD_BOOL,
     .flags = FIELD_ONE_OF,
     .offset = offsetof(struct dns_params, servfail),
     .help = "true: the name server failed.",
     .example = "true"},
    {.key = "answer",
     .type = FIELD_OBJECT,
     .flags = FIELD_ONE_OF,
     .offset = offsetof(struct dns_params, answer),
     .record = &lie_record,
     .help = "Other addresses than the true ones.",
     .example = "{addresses: [10.9.9.9], ttl: 1h}"},
    {.key = "names",
     .type = FIELD_TEXTS,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct dns_params, names),
     .help = "Only queries for these names, `*.example.com` for everything below one; without it "
             "all.",
     .example = "[api.example.com, \"*.db.example.com\"]"},
    WAY_SHARE_FIELD(dns_params, "Of the queries that match, so many meet it: drawn from the seed, "
                                "one by one."),
    {.key = NULL},
};

static const struct record dns_record =
    WAY_RECORD(dns_params, "dns", "A host's queries for names go wrong.", dns_fields);

static int dns_effect(struct inject_env *env, const struct step *step, struct effects *ret,
                      struct err *err)
{
    const struct dns_params *p = step->params;
    struct effect one = {.kind = EFFECT_BAD, .refused = !p->drop, .share = p->share};
    if (nsec_is_set(p->delay)) {
        one.kind = EFFECT_SLOW;
        one.delay = p->delay;
    }
    return effects_at(env, p->host, &one, ret, err);
}

static const struct injector dns_injector = {
    .name = "dns",
    .is_fault = true,
    .lasts = true,
    .holds = true,
    .attaches = ATTACH_NETWORK,
    .means = way_dns_means,
    .check = dns_check,
    .supported = dns_supported,
    .plan = dns_plan,
    .prepare = dns_prepare,
    .apply = way_apply,
    .verify = way_verify,
    .revert = way_revert,
    .touches = way_touches,
    .done = way_done,
    .effect = dns_effect,
};

const struct variant inject_dns = {
    .name = "dns",
    .summary = "Loses, delays or answers wrongly a host's queries for names.",
    .detail = "A resolver of ours stands in the way of everything that the host sends to port 53, "
              "by UDP and TCP. What does not match goes on byte for byte to the name server that "
              "was asked. TCP connections from before the fault stay as they were.",
    .params = &dns_record,
    .impl = &dns_injector,
};
