/* Where libfaketime stands on this machine: a library that is loaded before others and shifts the wall
 * clock of dynamically linked programs. Its variant for programs with threads. */
#pragma once

#include <limits.h>
#include <stdbool.h>

bool faketime_library(char ret[PATH_MAX]);
