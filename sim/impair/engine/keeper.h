/* The engine's process: takes frames, holds them until they are due, releases them.
 *
 * It waits in ppoll(2) until shortly before the next frame is due and spins for the rest, because a
 * sleeper wakes tens of microseconds late. How long it spins follows how late it was woken lately,
 * at most KEEPER_SPIN; when it has spun for more than KEEPER_SPIN_SHARE of the time, it only sleeps,
 * so long that it wakes in time on average; when frames leave every KEEPER_DENSE or more often, until
 * the next is due. A frame is sent as long before its time as sending takes until it leaves, at most
 * KEEPER_LEAD. Times of arrival are the kernel's, and frames that cannot be due yet stay in its
 * queues.
 *
 * However little there is to do, it wakes every KEEPER_RENEW and puts off the lease by KEEPER_LEASE:
 * past it the eBPF program takes no packets, and whoever looks knows that it is dead or stands still.
 *
 * One thread, no namespaces, no files: it works with the descriptors it is given.
 */
#pragma once

#include "sim/base/nsec.h"
#include "sim/impair/engine/line_shared.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEEPER_SPIN (200 * NSEC_USEC)
#define KEEPER_SPIN_SHARE 0.10
#define KEEPER_LEAD (2 * NSEC_USEC)
#define KEEPER_DENSE (100 * NSEC_USEC)
#define KEEPER_LEASE ((nsec)LINE_LEASE)
#define KEEPER_RENEW (KEEPER_LEASE / 5)
#define KEEPER_MEMORY ((size_t)256 << 20) /* of all frames that are held */

/* Serves until the other end of `control` (wire.h) is closed. Never spins when `spin` is false.
 * lease: shared with whoever looks. 0, or a negative errno. */
int keeper_run(int control, bool spin, uint64_t *lease);
