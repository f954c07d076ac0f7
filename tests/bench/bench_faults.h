/* Many `network` faults in one lab, through the injector's own functions, in the order in which a drill
 * calls them: prepare, journal, arm, apply, verify, done, revert.
 *
 * Each is a delay of 10 ms of one cable: what a host is sent, at the switch's end (all in the switch's
 * namespace), or what it sends, at its own (each in the host's): prepare arms. Or of a device in a namespace
 * that others made: then arm does, when the journal is on the disk, and revert ends with nothing left.
 *
 * Ownership: faults_open() … faults_close(). What fails ends the benchmark.
 */
#pragma once

#include "injectors/injector.h"
#include "injectors/journal.h"
#include "injectors/params.h"
#include "tests/bench/bench.h"

struct faults_one {
    struct step step;
    struct target target;
    struct network_params params;
    struct inject_env env;
    struct rng rng;
    void *state;
    json_t *undo;
    uint64_t entry;
    struct inject_result result;
};

/* What all of them together took, in one round; us. */
struct faults_cost {
    double prepare, journal;
    double arm;     /* of_others alone */
    double acked;   /* from the call of apply to the last acknowledgement */
    double applied; /* from the first call to the last return: with what is told of it */
    double verify;  /* of FAULTS_VERIFIED alone: each until packets of its own have set out */
    double heal;    /* from the first call of revert to the last return */
    double disarm;  /* what was armed is taken away: from when that begins, to some 20 ms */
    double gone;    /* from heal until nothing of it is left, the same */
    double *each, *heal_each; /* acked, heal: by fault */
};
enum { FAULTS_VERIFIED = 20 };

struct faults {
    struct scenario *s;
    struct loop *loop;
    struct lab *lab;
    struct journal *journal;
    size_t n;
    bool at_switch, of_others;
    struct attached *attached; /* NULL: a lab's hosts */
    struct faults_one *items;
    char *links, *filters; /* as they were in the namespaces of the faults */
};

/* n <= hosts * networks; at_switch: all in one namespace; of_others: networks 0, one each. */
struct faults_shape {
    int hosts, networks;
    size_t n;
    bool at_switch, of_others;
};
void faults_open(struct faults *f, const struct faults_shape *shape, const char *dir);
void faults_close(struct faults *f);

/* Of fault i: its namespace, its device, netlink there; borrowed. */
int faults_netns(const struct faults *f, size_t i);
struct nl *faults_nl(const struct faults *f, size_t i);
const char *faults_device(const struct faults *f, size_t i);

void faults_prepare(struct faults *f, struct faults_cost *c);
void faults_arm(struct faults *f, struct faults_cost *c); /* of_others alone */
void faults_apply(struct faults *f, struct faults_cost *c);
/* One fault's proof to its answer, with packets of its own; us. */
double faults_proof(struct faults *f);
void faults_verify(struct faults *f, struct faults_cost *c);
void faults_revert(struct faults *f, struct faults_cost *c);
/* Until nothing of them is left; how many lines of `ip` and `tc` differ from before. */
size_t faults_settle(struct faults *f, struct faults_cost *c);
