/* What benchmarks with whole labs share: a scenario of many hosts, a place to mount.
 *
 * Ownership: the scenario is the caller's (arena_free(s->arena)).
 */
#pragma once

#include "sim/model/model.h"

/* h0, h1 …, at most 250, each on all of networks n0, n1 …: 10.0.0.1 and 10.0.1.1, 10.0.0.2 and
 * 10.0.1.2 …; networks 0: on the one of a scenario without networks. */
struct scenario *bench_hosts(int n, int networks);
/* Runs `measure` in a child, whose mounts and namespaces go with it; returns its exit code. */
int bench_with_mountpoint(void (*measure)(const char *mountpoint, void *data), void *data);
