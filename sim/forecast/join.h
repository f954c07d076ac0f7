/* The parts of a forecast (--shard K/N) put together: the record that it would have been in one piece, byte
 * for byte.
 *
 * Everything is borrowed.
 */
#pragma once

#include "sim/record/record.h"

struct join_part {
    int dirfd;
    const char *path; /* for messages */
};

/* -EINVAL with a sentence: no part of a forecast, parts of different ones, one of them twice, missing or
 * not complete. ret_start: run-start of the whole (a new reference), with the scenario's digest. */
int join_check(const struct join_part *parts, size_t n, json_t **ret_start, struct err *err);
/* After join_check(). */
int join_write(const struct join_part *parts, size_t n, struct record *to, struct err *err);
/* Whether the folder's record is of a part. */
bool join_is_part(int dirfd);
