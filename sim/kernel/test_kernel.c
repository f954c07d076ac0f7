/* What our messages made, as iproute2 and nft read it; needs namespaces (suite lab). */
#include "sim/kernel/test_kernel.h"

#include "tests/support/netkit.h"

static int tests(void)
{
    return test_kernel_links() + test_kernel_cuts() + test_kernel_host() + test_kernel_tc();
}

int main(void)
{
    return netkit_main(tests);
}
