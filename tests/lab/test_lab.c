/* Labs on the real kernel, as root and without. */
#include "tests/lab/test_lab.h"

#include "tests/support/labkit.h"

static int tests(void)
{
    return test_lab_hosts() + test_lab_units() + test_lab_power();
}

int main(int argc, char **argv)
{
    return kit_main(argc, argv, tests);
}
