/* A small HTTP server in a process of its own, that behaves and misbehaves by path:
 *   /ok            200, "all is well\n"          /status/NNN   NNN, "status NNN\n"
 *   /slow/MS       /ok after MS milliseconds      /hang         never answers
 *   /reset         RST before an answer           /close        closes before an answer
 *   /half          half of the promised body      /redirect     302 to /ok
 *   /continue      100 Continue, then /ok         /echo         200, the request as it came
 *   /big           200, 1 MiB of 'x'              /garbage      not HTTP
 *
 * Ownership: httpd_start() … httpd_stop(). It dies with the process that started it.
 */
#pragma once

#include <sys/types.h>

struct httpd {
    pid_t pid;
    int port;
};

/* On `address` (of either family) and `port` (0: a free one). Fails the program on errors. */
struct httpd httpd_start(const char *address, int port);
void httpd_stop(struct httpd *d);
