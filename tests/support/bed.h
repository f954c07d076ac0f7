/* A test bed of impairments: two namespaces, a cable (duo.h), lines at a's eth0, by one of the ways
 * in which a line can be made.
 *
 * A program of tests that all ways have to pass hands them to bed_main(); each finds its way in its
 * state.
 *
 * Ownership: bed_open() … bed_close(), which disarms what is armed and holds that nothing of it is
 * left in the namespaces. A failure ends the test.
 */
#pragma once

#include "sim/impair/engine/engine.h"
#include "tests/support/duo.h"
#include "tests/support/stream.h"
#include "tests/support/test.h"

#define BED_LINES 16
#define BED_STREAMS 16

enum bed_way { BED_VETH, BED_TAP, BED_NETEM };

struct bed {
    enum bed_way way;
    struct duo p;
    struct loop *loop;
    struct engine *engine; /* NULL: BED_NETEM */
    struct engine_line *lines[BED_LINES];
    struct impair *impair;
    struct impair_line *netem[BED_LINES];
    size_t n;
    struct stream streams[BED_STREAMS];
    size_t n_streams;
    bool outlives; /* lines of it end by themselves when we are dead; set before they are armed */
    int deaths;
    char reason[128];
    char *links, *qdiscs; /* as they were */
};

/* main(): kit_main() with the tests, by both intakes of the engine; with the argument "netem" by netem
 * alone. */
int bed_main(int argc, char **argv, const struct CMUnitTest *tests, size_t n);
enum bed_way bed_way(void **state);

/* Whether ENGINE_TAP is possible here; says why not. */
bool bed_has_tap(void);
void bed_open(struct bed *b, enum bed_way way, uint32_t mtu);
/* In a pair that is there; it goes with the bed. */
void bed_open_in(struct bed *b, enum bed_way way, const struct duo *p);
void bed_close(struct bed *b);
/* Both ends know each other's addresses: nothing is lost while they are asked for. Before the streams. */
void bed_meet(struct bed *b);
/* Armed and on; scope NULL: everything. Lines are told by their number, from 0. */
size_t bed_line(struct bed *b, bool ingress, const struct impair_scope *scope,
                const struct impairment *what);
/* For what goes to (egress), or comes from (ingress), this UDP or TCP port. */
size_t bed_port_line(struct bed *b, bool ingress, uint16_t port, const struct impairment *what);
void bed_set(struct bed *b, size_t line, bool on);
void bed_change(struct bed *b, size_t line, const struct impairment *what);
struct impair_counts bed_count(const struct bed *b, size_t line);
/* A stream from a to ADDRESS:port in b, or (back) from b to a. Unchecked: without UDP checksums. */
struct stream *bed_stream(struct bed *b, const char *address, uint16_t port, bool back,
                          const struct stream *spec);
void bed_unchecked(struct stream *s);
void bed_run(struct bed *b, nsec grace); /* all streams at once */
void bed_forget(struct bed *b);          /* the streams */
void bed_print(const char *name, const struct stream *s);

/* The median delay of a stream is `delay`, give or take. */
void bed_near(const struct stream *s, nsec delay, nsec within);
/* True when k of n is what happens with probability p, at 99.99 % (normal approximation); says why not. */
bool bed_share(const char *what, size_t k, size_t n, double p);
