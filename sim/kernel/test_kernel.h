/* The groups of the test against the kernel; each returns how many of its tests failed. */
#pragma once

int test_kernel_links(void);
int test_kernel_cuts(void);
int test_kernel_host(void);
int test_kernel_tc(void);
