/* What a reader must know besides the verdict: each finding one sentence with its evidence. */
#pragma once

#include "reports/result.h"

void finding_tell(struct result *r);
