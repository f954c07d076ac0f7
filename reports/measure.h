/* From a record to a result: every measure, every verdict, every finding. Pure.
 *
 * Ownership: the result is freed by result_free(); scenario and events are borrowed and must
 * outlive it.
 */
#pragma once

#include "reports/result.h"

/* `events`: the lines of a record as record_read() gives them, `torn` the bytes of a torn last
 * line. A record without its end gives status failed, one without its beginning or of a newer major
 * version is an error. */
int measure_run(const struct scenario *scenario, const json_t *events,
                const struct record_head *head, size_t torn, struct result **ret, struct err *err);
