/* What benchmarks with whole labs share: a scenario of many hosts, a place to mount.
 *
 * Ownership: the scenario is the caller's (arena_free(s->arena)).
 */
#pragma once

#include "sim/model/model.h"

/* h0, h1 … on one network, 10.0.0.1, 10.0.0.2 …; at most 250. */
struct scenario *bench_hosts(int n);
/* Runs `measure` in a child, whose mounts and namespaces go with it; returns its exit code. */
int bench_with_mountpoint(void (*measure)(const char *mountpoint));
