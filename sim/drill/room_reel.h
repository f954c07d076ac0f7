/* A drill that was recorded, as a reel for a replay (sim/page/replay.h): its war room as it was.
 *
 * What the room was told follows from the record: events as they stand there, and whether services were down from
 * the observations of their probes, judged as they were while it ran (live.h). Moments are the record's own times.
 *
 * Nothing is written. Ownership: room_reel_open() … room_reel_close(); the scenario is borrowed until then.
 */
#pragma once

#include "sim/model/model.h"
#include "sim/page/replay.h"

struct room_reel;
/* Reads record.ndjson in dirfd, whole, with its chain. `end`: what the room is told of the end, as room_close();
 * NULL: nothing is known. -EINVAL: it is none of a drill. */
int room_reel_open(int dirfd, const struct scenario *s, const json_t *end, struct room_reel **ret,
                   struct err *err);
struct room_reel *room_reel_close(struct room_reel *r); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct room_reel, room_reel_close);

const struct replay_reel *room_reel_of(const struct room_reel *r); /* borrowed */
