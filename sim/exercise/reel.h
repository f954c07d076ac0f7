/* An exercise that was played, as a reel for a replay (sim/page/replay.h): its lines with their moments, and what
 * each role saw after each of them.
 *
 * Moments go with the exercise clock. Where that stood (lobby, hold, debrief), what happened meanwhile keeps its
 * distance in real time, but two seconds at most, so that nobody sits through a break. The state is rebuilt
 * from the lines (state.h), so a view of the replay is the view that there was.
 *
 * Nothing is written. Ownership: reel_open() … reel_close(); dirfd and scenario are borrowed until then.
 */
#pragma once

#include "sim/exercise/state.h"
#include "sim/page/replay.h"

struct reel;
/* Reads record.ndjson in dirfd, whole, with its chain. -EINVAL: it is none of an exercise, or not of this scenario. */
int reel_open(int dirfd, const struct scenario *s, struct reel **ret, struct err *err);
struct reel *reel_close(struct reel *r); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct reel, reel_close);

const struct replay_reel *reel_of(const struct reel *r); /* borrowed */
/* Who has this role, the first of them; or who had it first; the role's own name when nobody did. Borrowed. */
const char *reel_person(const struct state *st, const char *role);
