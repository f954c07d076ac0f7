/* Numbers over trials: medians with the confidence they really have, means with what they assume,
 * alarms' false-alarm rates. The method is fixed here, not chosen by the data. */
#pragma once

#include "reports/result.h"

void summary_make(struct result *r);
