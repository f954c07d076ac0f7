/* What the files of the `partition` fault share: the table of its keys (partition_table.c). Constant,
 * nothing to free.
 */
#pragma once

#include "sim/model/field.h"

extern const struct record partition_record;
