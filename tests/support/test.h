/* cmocka and its include dance in one place. */
#pragma once

#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sim/base/cleanup.h"

/* Skips the running test for what this kernel or processor lacks: no build machine can be blamed. */
static inline void test_lacks(const char *what)
{
    print_message("skipped: %s\n", what);
    skip();
}

/* Skips the running test for what could be installed or allowed; where BLACKSTART_TESTS_MUST_RUN is set
 * that is a failure. */
static inline void test_skip(const char *why)
{
    if (getenv("BLACKSTART_TESTS_MUST_RUN"))
        fail_msg("cannot be skipped here: %s", why);
    test_lacks(why);
}
