/* For tests with real labs: scenarios made by hand, a loop to turn, and the test program itself as
 * the server that hosts run ("./server …", copied into their working directories).
 *
 * Ownership: kit_open() … kit_close(). Running out of memory or a failing set-up ends the test.
 */
#pragma once

#include "sim/lab/lab.h"
#include "tests/support/test.h"

#define KIT_EVENTS 256
#define KIT_LINES 4096

struct kit_event {
    enum lab_event_kind kind;
    char host[64], unit[64];
    int code, signo;
    nsec at;
    char reason[2048];
};

struct kit_line {
    char host[64], unit[64], text[256];
    struct span at;
};

struct kit {
    struct scenario *s;
    struct loop *loop;
    struct lab *lab;
    struct kit_event events[KIT_EVENTS];
    size_t events_n;
    struct kit_line lines[KIT_LINES];
    size_t lines_n;
    char broken[256]; /* what the lab said of its networks */
};

void kit_open(struct kit *k);
void kit_close(struct kit *k);
struct network *kit_network(struct kit *k, const char *name, const char *subnet,
                            const char *subnet6, const char *router);
/* addresses: separated by blanks. The test program is its file "server". */
struct host *kit_host(struct kit *k, const char *name, const char *addresses);
struct unit *kit_unit(struct kit *k, struct host *h, const char *name, const char *command);
struct ready *kit_ready(struct kit *k, struct host *h);
/* lab_new(), and with `start` lab_start() and all hosts ready. */
void kit_up(struct kit *k, bool start);
/* Turns the loop until the event (unit NULL: any) or `limit`; NULL when it did not come. */
struct kit_event *kit_wait(struct kit *k, enum lab_event_kind kind, const char *host,
                           const char *unit, nsec limit);
struct kit_line *kit_wait_line(struct kit *k, const char *host, const char *text, nsec limit);
void kit_turn(struct kit *k, nsec how_long);
/* A command in a host; its exit code. *ret_output (may be NULL) is the caller's. */
int kit_run(struct kit *k, const char *host, const char *command, char **ret_output);
/* lab_shell() from a process of the same user that never entered our namespaces. */
int kit_outside_shell(struct kit *k, const char *host, const char *command);
/* Fails the test with the error's text when r is negative. */
void kit_ok_(int r, const struct err *err, const char *file, int line);
#define kit_ok(r, err) kit_ok_(r, err, __FILE__, __LINE__)

/* main() of a lab test: as "server" it serves; else `tests` runs in forked children: as root (where
 * we are), as uid 65534 alone, and as uid 65534 with a range of uids; with BLACKSTART_TEST_ROOT_ONLY
 * set as root alone, where we are root. Exit code 77 with the reason where this host cannot do one of them and the
 * others passed. */
int kit_main(int argc, char **argv, int (*tests)(void));
bool kit_is_rootless(void);
bool kit_has_ids(void); /* other uids exist inside */
