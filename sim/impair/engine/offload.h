/* Which large frames a device takes whole. */
#pragma once

#include "sim/base/err.h"
#include <stdbool.h>

/* True when the device takes each kind of large frame as it is: what has to be cut on the way out is
 * dropped behind PACKET_QDISC_BYPASS (dev_direct_xmit() in net/core/dev.c), so such frames must be
 * cut before. What cannot be found out is false. */
bool offload_takes_all(int netns_fd, const char *device);
