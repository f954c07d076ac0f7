/* The herald's process. Private to herald.c.
 *
 * Takes {moment, values} and {bye}; answers each notice with {on, what, target, ok, took_ns, detail?,
 * trial?, quiet?}.
 */
#pragma once

#include "sim/model/model.h"

#define HERALD_MESSAGE_MAX 65536

/* Says {ready} or {error, code} first. */
void heralding_main(const struct scenario *s, int source_dirfd, int sock) __attribute__((noreturn));
