/* tls: a bad certificate on a port: a proxy of ours shows one with the names of the real one and a flaw,
 * and speaks TLS with the real server behind it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "injectors/actions.h"
#include "injectors/effects.h"
#include "injectors/proxy/way.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"

#define ANSWER_WITHIN (3 * NSEC_SEC)
#define PEM_MAX (1 << 20)

/* Indexed by enum proxy_flaw. */
static const char *const flaw_words[] = {"expired", "wrong-name", "self-signed", "not-yet-valid",
                                         NULL};

static int tls_check(const struct scenario *s, const struct step *step, struct err *err)
{
    const struct tls_params *p = step->params;
    if (p->issuer && p->certificate == FLAW_SELF_SIGNED)
        return err_set(err, EINVAL, "'issuer': a self-signed certificate has none");
    return way_check(s, p->host, err);
}

static int tls_supported(const struct inject_env *env, const struct step *step, struct err *err)
{
    return way_supported(env, PROXY_TLS, err);
}

static int tls_fill(const struct step *step, struct way *w, struct err *err)
{
    const struct tls_params *p = step->params;
    snprintf(w->text, sizeof w->text, "%s certificate%s",
             p->certificate == FLAW_NOT_YET_VALID ? "a not yet valid"
             : p->certificate == FLAW_WRONG_NAME  ? "a wrong-name"
             : p->certificate == FLAW_EXPIRED     ? "an expired"
                                                  : "a self-signed",
             p->issuer ? ", signed by the given issuer" : "");
    w->within = ANSWER_WITHIN;
    w->spec = (struct proxy_spec){.kind = PROXY_TLS,
                                  .port = (uint16_t)p->port,
                                  .share = 1,
                                  .tls = {.flaw = (enum proxy_flaw)p->certificate}};
    return 0;
}

static int tls_plan(const struct inject_env *env, const struct step *step, json_t *texts,
                    struct err *err)
{
    const struct tls_params *p = step->params;
    return way_plan(env, step, p->host, tls_fill, texts, err);
}

static int read_issuer(struct inject_env *env, const struct tls_issuer *i, struct way *w,
                       struct err *err)
{
    int dir = lab_node_source(lab_node(env->lab, w->targets.hosts[0]));
    size_t n;
    int r = file_read(dir, i->certificate, PEM_MAX, &w->ca_certificate, &n, err);
    if (r == 0)
        r = file_read(dir, i->key, PEM_MAX, &w->ca_key, &n, err);
    w->spec.tls.ca_certificate = w->ca_certificate;
    w->spec.tls.ca_key = w->ca_key;
    return r < 0 ? err_prefix(err, "issuer") : 0;
}

static int tls_prepare(struct inject_env *env, const struct step *step, void **ret_state,
                       json_t **ret_undo, struct err *err)
{
    const struct tls_params *p = step->params;
    struct way *w;
    AUTO_JSON *undo = NULL;
    int r = way_prepare(env, step, p->host, tls_fill, &w, &undo, err);
    if (r < 0)
        return r;
    r = p->issuer ? read_issuer(env, p->issuer, w, err) : 0;
    if (r < 0) {
        way_done(w);
        return r;
    }
    *ret_state = w;
    *ret_undo = json_incref(undo);
    return 0;
}

static const struct field issuer_fields[] = {
    {.key = "certificate",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_FILE,
     .offset = offsetof(struct tls_issuer, certificate),
     .help = "The certificate of the authority that clients trust (PEM).",
     .example = "ca.pem"},
    {.key = "key",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_FILE,
     .offset = offsetof(struct tls_issuer, key),
     .help = "Its key (PEM, without a password). Only for authorities of a laboratory.",
     .example = "ca.key"},
    {.key = NULL},
};

static const struct record issuer_record =
    WAY_RECORD(tls_issuer, "issuer", "Who signs.", issuer_fields);

static const struct field tls_fields[] = {
    WAY_HOST_FIELD(tls_params, "web1", "The host whose server is asked."),
    WAY_PORT_FIELD(tls_params, "443", "Its port: TLS from the first byte."),
    {.key = "certificate",
     .type = FIELD_WORD,
     .flags = FIELD_REQUIRED,
     .words = flaw_words,
     .offset = offsetof(struct tls_params, certificate),
     .help = "What is wrong with the certificate that clients see.",
     .example = "expired"},
    {.key = "issuer",
     .type = FIELD_OBJECT,
     .offset = offsetof(struct tls_params, issuer),
     .record = &issuer_record,
     .help = "Signs the bad certificate, so that nothing else is wrong with it; without it, it is "
             "signed by itself, which clients that verify refuse for that reason first.",
     .example = "{certificate: ca.pem, key: ca.key}"},
    {.key = NULL},
};

static const struct record tls_record =
    WAY_RECORD(tls_params, "tls", "A server shows a bad certificate.", tls_fields);

static int tls_effect(struct inject_env *env, const struct step *step, struct effects *ret,
                      struct err *err)
{
    const struct tls_params *p = step->params;
    struct effect one = {.kind = EFFECT_BAD, .refused = true, .share = 1};
    return effects_at(env, p->host, &one, ret, err);
}

static const struct injector tls_injector = {
    .name = "tls",
    .is_fault = true,
    .lasts = true,
    .holds = true,
    .attaches = ATTACH_NETWORK,
    .means = way_port_means,
    .check = tls_check,
    .supported = tls_supported,
    .plan = tls_plan,
    .prepare = tls_prepare,
    .apply = way_apply,
    .verify = way_verify,
    .revert = way_revert,
    .touches = way_touches,
    .done = way_done,
    .effect = tls_effect,
};

const struct variant inject_tls = {
    .name = "tls",
    .summary = "Shows clients of a server a bad certificate.",
    .detail = "A proxy of ours is given what comes to the port. Clients see a certificate with the "
              "names of the real one, a throw-away key and one flaw; what those who accept it say "
              "goes to the real server by TLS. What does not begin as TLS passes unread. The "
              "server sees its clients come from its own address, and gets no certificates of "
              "theirs. Connections from before the fault stay as they were; those through the "
              "proxy end with it.",
    .params = &tls_record,
    .impl = &tls_injector,
};
