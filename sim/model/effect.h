/* What a fault of the script means for a forecast: which components it takes down, makes fail for a share
 * of what they are asked, slows, or separates, as long as it is in force. Each injector says it of itself
 * (injectors/injector.h, `effect`).
 *
 * Ownership: names are borrowed from the scenario; `struct effects` is its user's, freed by
 * effects_done(), and may be emptied and used again.
 */
#pragma once

#include "sim/base/nsec.h"
#include <stdbool.h>
#include <stddef.h>

enum effect_kind {
    EFFECT_NOTHING, /* it happened, and a request that begins now meets nothing of it */
    EFFECT_DOWN,    /* the component does not work */
    EFFECT_BAD,     /* a `share` of what it is asked fails */
    EFFECT_LOSS, /* so many of the packets that it exchanges get lost: `share` of the round trips */
    EFFECT_SLOW, /* a `share` of its answers take `delay` longer */
    EFFECT_CUT,  /* nothing passes between it and `peer` that needs both ways */
};

struct effect {
    enum effect_kind kind;
    const char *component; /* a host, or one of `components:`; NULL: `service` */
    const char *service;   /* as a whole, whatever it runs on; NULL: not */
    const char *peer;      /* CUT, LOSS, SLOW: with this host alone; NULL: with everybody */
    bool refused;          /* DOWN, BAD, CUT: an error comes at once; false: no answer comes */
    double share;
    nsec delay;
    bool each_trip; /* SLOW: in every round trip of an answer; false: once for each */
    nsec on, off;   /* in force for `on`, then not for `off`, again and again; on 0: all the time */
    bool
        repaired; /* not until the step is undone, but until the component is repaired (its `repair`) */
};

struct effects {
    struct effect *items;
    size_t n, room;
};
#define AUTO_EFFECTS __attribute__((cleanup(effects_done))) struct effects

void effects_add(struct effects *e, const struct effect *one);
void effects_done(struct effects *e);
