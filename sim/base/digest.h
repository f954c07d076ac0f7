/* SHA-256 (FIPS 180-4), by libcrypto. */
#pragma once

#include "sim/base/err.h"
#include <stddef.h>

#define DIGEST_HEX 65 /* 64 hexadecimal digits and the NUL */

void digest_sha256(const void *data, size_t n, char hex[DIGEST_HEX]);
/* Of a file's content, relative to dirfd. */
int digest_file(int dirfd, const char *path, char hex[DIGEST_HEX], struct err *err);
