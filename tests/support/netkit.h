/* For tests against the kernel: namespaces to try messages in, and what iproute2 reads there.
 *
 * Ownership: netkit_open() … netkit_close(). Whatever fails to be set up ends the test.
 */
#pragma once

#include "sim/kernel/inet.h"
#include "sim/kernel/nl.h"
#include "tests/support/test.h"

#include <jansson.h>

/* Fails the test with the error's text when r is negative. */
void netkit_ok_(int r, const struct err *err, const char *file, int line);
#define netkit_ok(r, err) netkit_ok_(r, err, __FILE__, __LINE__)

struct inet_prefix netkit_ip(const char *text);
struct inet_mac netkit_mac(unsigned n);

/* Runs a shell command inside; its exit code; output (may be NULL) is the caller's. */
int netkit_run(int netns, const char *command, char **ret_output);
/* The same, of a command that prints JSON; the caller's. */
json_t *netkit_json(int netns, const char *command);
/* The member of an array of objects whose `key` is `value`; fails when there is none. */
json_t *netkit_pick(json_t *array, const char *key, const char *value);
/* "0.linkinfo.info_kind": borrowed, NULL when there is none. */
json_t *netkit_at(json_t *j, const char *path);
#define assert_text(j, path, want) assert_string_equal(json_string_value(netkit_at(j, path)), want)
#define assert_number(j, path, want) assert_int_equal(json_integer_value(netkit_at(j, path)), want)
/* By flags: the kernel brings operstate up to date up to a second later. */
bool netkit_is_up(json_t *link);

struct netkit {
    int switch_fd, host_fd;
    struct nl *sw, *host;
};
void netkit_open(struct netkit *t);
void netkit_close(struct netkit *t);
/* The network part of one host, through any transport. */
void netkit_build(struct nl *sw, struct nl *host, int host_fd);

/* main() of such a test: `tests` runs as we are, and (when that is root) as uid 65534 in a user
 * namespace. Exit code 77 with the reason where that is not allowed. */
int netkit_main(int (*tests)(void));
