/* JUnit XML: the scenario is a test suite, each objective a test case.
 *
 * A missed target is a <failure>, not demonstrated a <failure type="not_demonstrated">, what could
 * not be measured (all trials void, an aborted run) an <error>, what does not apply is <skipped>.
 * GitLab shows `classname` as the suite, and drops cases whose classname and name are the same.
 */
#pragma once

#include "reports/result.h"
#include "sim/base/buf.h"

void junit_write(const struct result *r, struct buf *out);
