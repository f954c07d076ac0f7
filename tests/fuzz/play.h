/* An exercise for fuzz targets: tests/corpus/good/exercise.yaml on the virtual clock, with a record of its own.
 *
 * Ownership: play_open() … play_close(); the scenario is loaded once and kept. Anything wrong ends the process.
 */
#pragma once

#include "sim/exercise/conduct.h"

struct play {
    struct loop *loop;
    struct conduct *conduct;
    int dirfd;
    char dir[64];
};

#define require(holds) ((holds) ? (void)0 : abort())

const struct scenario *play_scenario(void);
void play_open(struct play *p, bool alone);
/* Lets the clock of the loop go on until then, `turns` turns at most; false: it has not come there. */
bool play_turn(struct play *p, nsec until, size_t turns);
/* Holds the record against the play, when nobody answered anonymously: it reads back, and the state that is
 * rebuilt from it shows everybody what the play itself shows. */
void play_close(struct play *p);
/* Every view of a state can be made and said. */
void play_views(const struct state *st, nsec clock);
