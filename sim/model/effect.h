/* What a fault of the script means for a forecast: which components it takes down, makes bad for a share
 * of requests, slows, or separates. Each injector says it of itself (injectors/injector.h, `effect`).
 *
 * Nothing is owned: names are borrowed from the scenario.
 */
#pragma once

#include "sim/base/nsec.h"
#include <stdbool.h>
#include <stddef.h>

enum effect_kind {
    EFFECT_DOWN, /* `host` does not work */
    EFFECT_BAD,  /* a `share` of what it is asked fails */
    EFFECT_SLOW, /* its answers take `delay` longer */
    EFFECT_CUT,  /* nothing passes from `host` to `peer`, or to anybody (NULL) */
};
struct effect {
    enum effect_kind kind;
    const char *host, *peer;
    double share;
    nsec delay;
    bool ends_by_itself; /* (with kill, stop: no) undone when the step is undone */
};
struct effects {
    struct effect *items; /* malloc'd; effects_done() */
    size_t n;
};
