/* Where a replay stands: a clock of its own over the lines of something recorded, each with its moment.
 *
 * It stands still until playhead_play(), goes `speed` times as fast as the loop's clock, and stops at the end.
 * Whenever another number of lines lies behind it, `turned` is told how many. With the loop on a virtual clock it
 * plays in an instant.
 *
 * Ownership: playhead_new() … playhead_free(); moments (ascending, from 0) are borrowed until then. `turned` may
 * call anything here but playhead_free().
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/loop/loop.h"

#define PLAYHEAD_SPEED_MIN 0.1
#define PLAYHEAD_SPEED_MAX 1000.0

struct playhead;
struct playhead_spec {
    struct loop *loop;
    const nsec *moments;
    size_t n;
    double speed;
    void (*turned)(size_t n, void *data); /* so many lines have been; also fewer than before */
    void *data;
};
/* At its beginning; the lines of moment 0 have been told. */
struct playhead *playhead_new(const struct playhead_spec *spec);
struct playhead *playhead_free(struct playhead *p); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct playhead, playhead_free);

void playhead_play(struct playhead *p); /* at the end: from the beginning */
void playhead_pause(struct playhead *p);
void playhead_speed(struct playhead *p, double speed); /* within the limits above */
void playhead_jump(struct playhead *p, nsec at);       /* to the nearest moment that there is */

nsec playhead_at(const struct playhead *p);
nsec playhead_length(const struct playhead *p); /* the last line's moment */
double playhead_speed_now(const struct playhead *p);
bool playhead_is_playing(const struct playhead *p);
bool playhead_is_at_end(const struct playhead *p);
/* True once it has come to its end by playing there, wherever it stands now. */
bool playhead_was_played(const struct playhead *p);
