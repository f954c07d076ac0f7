/* The groups of the test of labs; each returns how many of its tests failed. */
#pragma once

int test_lab_hosts(void);
int test_lab_units(void);
int test_lab_power(void);
