/* Headers of requests, some of them with secrets.
 *
 * Ownership: headers_resolve() … headers_done(). Resolved before a host is entered: secrets stand on
 * the machine outside.
 */
#pragma once

#include "sim/base/err.h"
#include "sim/model/field.h"
#include <stdbool.h>
#include <stddef.h>

struct headers {
    char **lines;   /* "Name: value", NULL-terminated: for struct http_spec */
    size_t *secret; /* of each: where its secret begins; 0: it has none */
};

/* Whatever it returns, headers_done() is to be called. source_fd: the folder of the scenario. */
int headers_resolve(const struct pairs *pairs, int source_fd, struct headers *ret, struct err *err);
void headers_done(struct headers *h);
/* Servers may say back what they were sent, and the record quotes what servers say: does this hold the
 * secret of a header? */
bool headers_hold_secret(const struct headers *h, const char *text, size_t n);
