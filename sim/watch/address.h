/* Where a probe goes: "10.0.0.1:80", "[fd00::1]:80", "lb1:80"; without a port for icmp. Values,
 * nothing to free. Names are hosts of the scenario only: nothing here waits for a name server.
 */
#pragma once

#include "sim/model/model.h"
#include <sys/socket.h>

struct address {
    struct sockaddr_storage ss;
    socklen_t len;
};

/* -EINVAL with a sentence. */
int address_parse(const struct scenario *s, const char *text, bool with_port, struct address *ret,
                  struct err *err);
