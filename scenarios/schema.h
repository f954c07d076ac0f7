/* JSON Schema (2020-12) of a scenario, made from the tables that the decoder uses.
 *
 * Ownership: a new reference. It accepts every scenario that loads (as far as types go; a scalar
 * with
 * ${…} stands for any value) and refuses what is wrong in structure: unknown keys, wrong types,
 * missing keys, two actions in one step. What needs the whole scenario is check's.
 */
#pragma once

#include <jansson.h>

json_t *schema_new(void);
