/* Bad certificates that look like a good one: the names of the real certificate, a throw-away key, and
 * one flaw. Private to this room.
 *
 * Ownership: forge_new() … forge_free(); certificates are the caller's (X509_free()).
 */
#pragma once

#include "sim/proxy/proxy.h"
#include <openssl/ssl.h>

#define FORGE_WRONG_NAME "wrong-name.invalid" /* RFC 6761: nobody has it */

struct forge;
/* -EINVAL: the certificate or key of the authority cannot be used, in words. */
int forge_new(const struct proxy_tls *f, struct forge **ret, struct err *err);
struct forge *forge_free(struct forge *f);
DEFINE_CLEANUP(struct forge, forge_free);
EVP_PKEY *forge_key(const struct forge *f); /* borrowed */
/* `now`: CLOCK_REALTIME. */
int forge_certificate(const struct forge *f, X509 *real, nsec now, X509 **ret, struct err *err);
/* What is wrong with a certificate, as those who verify see it: the flaw, or -1. */
int forge_flaw_of(X509 *c, nsec now);
