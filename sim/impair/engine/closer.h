/* Descriptors that the kernel takes a while to close: packet sockets and TAPs, a grace period or two each
 * (8 to 17 ms at 250 Hz). Threads of the engine's process close them, so that meanwhile frames leave in
 * their time, and several of them share a grace period.
 *
 * Ownership: closer_new() … closer_free(), which waits until all are closed. A descriptor that was handed
 * over is the closer's. Where no thread can be had closer_take() closes it itself.
 */
#pragma once

#include "sim/base/cleanup.h"
#include <stdbool.h>

struct closer;
int closer_new(struct closer **ret);          /* a negative errno */
struct closer *closer_free(struct closer *c); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct closer, closer_free);
/* awaited: before all others, and closer_fd() tells when it is closed. */
void closer_take(struct closer *c, int fd, bool awaited);
/* Readable (an eventfd) after an awaited one was closed. Borrowed. */
int closer_fd(const struct closer *c);
