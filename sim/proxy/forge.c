/* See forge.h.
 *
 * Signed by the authority that was given, so that who trusts it finds nothing wrong but the flaw; without
 * one by itself, which everybody who verifies refuses for that reason first.
 */
#include "sim/proxy/forge.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

#define LIFE 90 /* days */

struct forge {
    enum proxy_flaw flaw;
    EVP_PKEY *key, *ca_key;
    X509 *ca; /* NULL: none */
};

static int ssl_error(struct err *err, int code, const char *what)
{
    char words[160];
    ERR_error_string_n(ERR_get_error(), words, sizeof words);
    ERR_clear_error();
    return err_set(err, code, "%s: %s", what, words);
}

static int read_ca(struct forge *f, const struct proxy_tls *from, struct err *err)
{
    BIO *c = BIO_new_mem_buf(from->ca_certificate, -1), *k = BIO_new_mem_buf(from->ca_key, -1);
    if (c)
        f->ca = PEM_read_bio_X509(c, NULL, NULL, NULL);
    if (k)
        f->ca_key = PEM_read_bio_PrivateKey(k, NULL, NULL, NULL);
    BIO_free(c);
    BIO_free(k);
    if (!f->ca)
        return ssl_error(err, EINVAL, "the issuer's certificate cannot be read (PEM)");
    if (!f->ca_key)
        return ssl_error(err, EINVAL, "the issuer's key cannot be read (PEM, without a password)");
    if (X509_check_private_key(f->ca, f->ca_key) != 1)
        return ssl_error(err, EINVAL, "the issuer's key is not that of its certificate");
    return 0;
}

int forge_new(const struct proxy_tls *from, struct forge **ret, struct err *err)
{
    CLEANUP(forge_free_p) struct forge *f = calloc(1, sizeof *f);
    if (!f)
        return err_errno(err, ENOMEM, "making certificates");
    f->flaw = from->flaw;
    f->key = EVP_EC_gen("P-256");
    if (!f->key)
        return ssl_error(err, EIO, "a throw-away key cannot be made");
    if (from->ca_certificate) {
        int r = read_ca(f, from, err);
        if (r < 0)
            return r;
    }
    *ret = steal_ptr(f);
    return 0;
}

struct forge *forge_free(struct forge *f)
{
    if (!f)
        return NULL;
    EVP_PKEY_free(f->key);
    EVP_PKEY_free(f->ca_key);
    X509_free(f->ca);
    free(f);
    return NULL;
}

EVP_PKEY *forge_key(const struct forge *f)
{
    return f->key;
}

static bool add_extension(X509 *c, X509V3_CTX *ctx, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
    bool ok = e && X509_add_ext(c, e, -1) == 1;
    X509_EXTENSION_free(e);
    return ok;
}

/* Names: the real ones, or one that is nobody's. */
static bool put_names(const struct forge *f, X509 *c, X509V3_CTX *ctx, X509 *real)
{
    if (f->flaw != FLAW_WRONG_NAME) {
        int at = X509_get_ext_by_NID(real, NID_subject_alt_name, -1);
        return X509_set_subject_name(c, X509_get_subject_name(real)) == 1 &&
               (at < 0 || X509_add_ext(c, X509_get_ext(real, at), -1) == 1);
    }
    X509_NAME *name = X509_NAME_new();
    bool ok = name &&
              X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                         (const unsigned char *)FORGE_WRONG_NAME, -1, -1, 0) == 1 &&
              X509_set_subject_name(c, name) == 1 &&
              add_extension(c, ctx, NID_subject_alt_name, "DNS:" FORGE_WRONG_NAME);
    X509_NAME_free(name);
    return ok;
}

static bool put_dates(const struct forge *f, X509 *c, nsec now)
{
    time_t t = (time_t)(now / NSEC_SEC);
    int from = f->flaw == FLAW_EXPIRED ? -LIFE - 1 : f->flaw == FLAW_NOT_YET_VALID ? 1 : -1;
    return X509_time_adj_ex(X509_getm_notBefore(c), from, 0, &t) &&
           X509_time_adj_ex(X509_getm_notAfter(c), from + LIFE, 0, &t);
}

static bool fill(const struct forge *f, X509 *c, X509 *real, nsec now)
{
    X509 *issuer = f->ca && f->flaw != FLAW_SELF_SIGNED ? f->ca : c;
    EVP_PKEY *signer = issuer == c ? f->key : f->ca_key;
    unsigned char serial[8];
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    if (RAND_bytes(serial, sizeof serial) != 1)
        return false;
    serial[0] = (unsigned char)((serial[0] & 0x7f) | 1);
    BIGNUM *n = BN_bin2bn(serial, sizeof serial, NULL);
    bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(c)) && X509_set_version(c, 2) == 1 &&
              X509_set_pubkey(c, f->key) == 1 && put_dates(f, c, now);
    BN_free(n);
    X509V3_set_ctx(&ctx, issuer, c, NULL, NULL, 0);
    ok = ok && put_names(f, c, &ctx, real) &&
         X509_set_issuer_name(c, X509_get_subject_name(issuer)) == 1 &&
         add_extension(c, &ctx, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(c, &ctx, NID_key_usage, "critical,digitalSignature") &&
         add_extension(c, &ctx, NID_ext_key_usage, "serverAuth") &&
         add_extension(c, &ctx, NID_subject_key_identifier, "hash") &&
         add_extension(c, &ctx, NID_authority_key_identifier, "keyid");
    return ok && X509_sign(c, signer, EVP_sha256()) > 0;
}

int forge_certificate(const struct forge *f, X509 *real, nsec now, X509 **ret, struct err *err)
{
    X509 *c = X509_new();
    if (!c || !fill(f, c, real, now)) {
        X509_free(c);
        return ssl_error(err, EIO, "a certificate cannot be made");
    }
    *ret = c;
    return 0;
}

int forge_flaw_of(X509 *c, nsec now)
{
    time_t t = (time_t)(now / NSEC_SEC);
    if (X509_cmp_time(X509_get0_notAfter(c), &t) < 0)
        return FLAW_EXPIRED;
    if (X509_cmp_time(X509_get0_notBefore(c), &t) > 0)
        return FLAW_NOT_YET_VALID;
    if (X509_check_host(c, FORGE_WRONG_NAME, 0, 0, NULL) == 1)
        return FLAW_WRONG_NAME;
    return X509_NAME_cmp(X509_get_issuer_name(c), X509_get_subject_name(c)) == 0 ? FLAW_SELF_SIGNED
                                                                                 : -1;
}
