/* The list of actions, one line each, in the alphabetical order of their names in YAML. Everything
 * that must know them all (the registry, its tests) expands it.
 */
#pragma once

#include "sim/model/field.h"

#define INJECTORS(X)                                                                               \
    X(address)                                                                                     \
    X(clock)                                                                                       \
    X(custom)                                                                                      \
    X(dns)                                                                                         \
    X(freeze)                                                                                      \
    X(http)                                                                                        \
    X(kill)                                                                                        \
    X(link)                                                                                        \
    X(network)                                                                                     \
    X(node_kill)                                                                                   \
    X(outage)                                                                                      \
    X(partition)                                                                                   \
    X(pressure)                                                                                    \
    X(restart)                                                                                     \
    X(route)                                                                                       \
    X(run)                                                                                         \
    X(shutdown)                                                                                    \
    X(sockets)                                                                                     \
    X(stop)                                                                                        \
    X(tls)

#define DECLARE_INJECTOR(name) extern const struct variant inject_##name;
INJECTORS(DECLARE_INJECTOR)
#undef DECLARE_INJECTOR
