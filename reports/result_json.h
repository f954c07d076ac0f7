/* result.json: the one document that other programs read. */
#pragma once

#include "reports/result.h"

/* A new reference. */
json_t *result_json(const struct result *r);
