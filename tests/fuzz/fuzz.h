/* What libFuzzer calls, and what replay.c calls with each file of a corpus.
 *
 * The bytes are the caller's. Returns 0; anything wrong ends the process.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
