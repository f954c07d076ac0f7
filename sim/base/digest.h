/* SHA-256 (FIPS 180-4), by libcrypto. */
#pragma once

#include "sim/base/err.h"
#include <stddef.h>

#define DIGEST_HEX 65 /* 64 hexadecimal digits and the NUL */

void digest_sha256(const void *data, size_t n, char hex[DIGEST_HEX]);
/* HMAC-SHA-256 (RFC 2104), for secrets of our own. */
#define DIGEST_MAC 32
void digest_hmac(const void *key, size_t key_n, const void *data, size_t n,
                 unsigned char mac[DIGEST_MAC]);
/* Of a file's content, relative to dirfd. */
int digest_file(int dirfd, const char *path, char hex[DIGEST_HEX], struct err *err);
