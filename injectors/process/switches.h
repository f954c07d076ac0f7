/* Whether processes run, told by how often their threads were switched. Nothing is owned or kept. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "sim/base/nsec.h"

#define SWITCHES_LOOK_FOR (30 * NSEC_MSEC) /* what is frozen must not run for so long */

/* How often the threads of this process were put on a processor and taken off it, by proc(5). */
uint64_t switches_of(pid_t pid);
