/* How a host's commands come to see another wall clock. Inside of sim/lab only; others use lab.h.
 *
 * The offset stands in a file of the working directory (so it outlives a loss of power, as a wrong
 * battery clock does), which libfaketime reads whenever a program asks for the time. Monotonic clocks
 * stay as they are: time-outs and probes go on. */
#pragma once

#include "sim/lab/init.h"

#include <limits.h>

#define CLOCK_FILE ".blackstart-clock"
#define CLOCK_SLEEP_FILE ".blackstart-clock.so" /* sleep/preload_sleep.c */

/* Before the first command: the true time. */
int clock_begin(int dir_fd, struct err *err);
/* What the environment of a host's commands needs for it: up to CLOCK_VARIABLES names and values. None
 * when the library is not there. */
#define CLOCK_VARIABLES 4
struct clock_variable {
    const char *name;
    char value[2 * PATH_MAX];
};
size_t clock_environment(const char *dir, struct clock_variable ret[CLOCK_VARIABLES]);
