/* SHA-256 by libcrypto. */
#include "sim/base/digest.h"

#include "sim/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

static void digest_hex(const unsigned char *md, char hex[DIGEST_HEX])
{
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", md[i]);
}

void digest_sha256(const void *data, size_t n, char hex[DIGEST_HEX])
{
    unsigned char md[EVP_MAX_MD_SIZE];
    if (!EVP_Digest(data, n, md, NULL, EVP_sha256(), NULL))
        abort(); /* only when libcrypto has no memory */
    digest_hex(md, hex);
}

void digest_hmac(const void *key, size_t key_n, const void *data, size_t n,
                 unsigned char mac[DIGEST_MAC])
{
    unsigned mac_n = DIGEST_MAC;
    if (!HMAC(EVP_sha256(), key, (int)key_n, data, n, mac, &mac_n))
        abort();
}

int digest_file(int dirfd, const char *path, char hex[DIGEST_HEX], struct err *err)
{
    AUTO_CLOSE int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "cannot read %s", path);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
        abort();
    char chunk[16384];
    ssize_t n;
    while ((n = read(fd, chunk, sizeof chunk)) > 0)
        EVP_DigestUpdate(ctx, chunk, (size_t)n);
    int code = n < 0 ? errno : 0;
    unsigned char md[EVP_MAX_MD_SIZE];
    EVP_DigestFinal_ex(ctx, md, NULL);
    EVP_MD_CTX_free(ctx);
    if (code)
        return err_errno(err, code, "cannot read %s", path);
    digest_hex(md, hex);
    return 0;
}
