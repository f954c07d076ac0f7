/* The folder of a run: made, described, and found again.
 *
 * Ownership: folder_done() closes and frees what folder_open() filled in.
 */
#pragma once

#include "sim/base/digest.h"
#include "sim/base/err.h"
#include "sim/model/model.h"
#include <jansson.h>

struct folder {
    char *path;
    int dirfd;
    char id[8]; /* six of [a-z0-9] */
    char digest[DIGEST_HEX];
    json_t *attempt; /* {n, earlier: [{dir, status, verdict}…]} */
};

/* Makes DIR (NULL: drills/<UTC time>-<name>-<id>, of an exercise exercises/…), writes scenario.yaml (`yaml`) and copies of what
 * the hosts are started with into files/ with their SHA-256. A DIR that exists must be empty:
 * -EEXIST. */
/* Without files/: `parent` instead of drills, `name` of the scenario. */
int folder_make(const char *path, const char *parent, const char *name, const char *yaml,
                struct folder *ret, struct err *err);
int folder_open(const char *path, const struct scenario *s, int source_dirfd, const char *yaml,
                struct folder *ret, struct err *err);
void folder_done(struct folder *f);
/* {kernel, machine, cpus, distribution, hostname, root, rootless}: a new reference. */
json_t *folder_environment(bool rootless);
/* Who runs this: the name behind sudo where there is one; malloc'd. */
char *folder_operator(uid_t *ret_uid);
