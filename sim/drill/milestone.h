/* What everybody who follows a drill is told of it: its milestones in words, on a terminal and on the
 * page. */
#pragma once

#include "sim/base/buf.h"
#include <jansson.h>

enum milestone {
    MILESTONE_NONE,
    MILESTONE_PLAIN,
    MILESTONE_GOOD,
    MILESTONE_WARNING,
    MILESTONE_BAD
};

/* Appends the words of an event of the record (record.h); NONE: it is none, nothing is appended. Words
 * of servers and people are in it as they came. */
enum milestone milestone_of(const char *kind, const json_t *event, struct buf *words);
