/* How many onsets of an alarm are told one by one: so many in each half of a second, the others are
 * counted. Half, so that what rings all the time is told more often than once a second, and reports
 * do not take it for announcements of their own. */
#pragma once

#include "sim/base/nsec.h"

#include <stdbool.h>
#include <stdio.h>

#define FLOOD_WINDOW (NSEC_SEC / 2)
#define FLOOD_ONSETS 50
#define FLOOD_TEXT_MAX 160

struct flood {
    nsec window; /* that is being counted, and the onsets told and kept back in it */
    unsigned told, kept;
};

/* The window is over, or everything: how many were kept back and not yet counted in a trouble. */
static inline unsigned flood_end(struct flood *f)
{
    unsigned kept = f->kept;
    f->kept = 0;
    return kept;
}

/* May an onset at this time be told? *ret_kept: as flood_end() when a new window begins, else 0. */
static inline bool flood_admits(struct flood *f, nsec at, unsigned *ret_kept)
{
    *ret_kept = 0;
    if (at / FLOOD_WINDOW != f->window) {
        *ret_kept = flood_end(f);
        f->window = at / FLOOD_WINDOW;
        f->told = 0;
    }
    if (f->told >= FLOOD_ONSETS) {
        f->kept++;
        return false;
    }
    f->told++;
    return true;
}

static inline const char *flood_text(const char *alarm, unsigned kept, char text[FLOOD_TEXT_MAX])
{
    snprintf(text, FLOOD_TEXT_MAX,
             "alarm %s: %u more onsets within half a second were counted, not told", alarm, kept);
    return text;
}
