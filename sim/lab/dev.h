/* A host's own /dev: what programs expect everywhere, and nothing of the machine's hardware.
 *
 * null, zero, full, random, urandom, tty (the machine's nodes, bound), net/tun where the machine has
 * it (its interfaces belong to the host's network), terminals of its own (pts, ptmx), fd, stdin,
 * stdout, stderr, and an empty shm for the caller to mount on. Servers may add to it (a socket
 * /dev/log), but no device that can be opened.
 *
 * Called in the host's mount namespace, while /dev is still the machine's. As root and in a user
 * namespace alike.
 */
#pragma once

#include "sim/base/err.h"

int dev_mount(struct err *err);
