/* Containers that actions speak to their engine about: which one an undo record means.
 *
 * Ownership: struct container_id borrows from the JSON it was read from.
 */
#pragma once

#include "sim/attach/attach.h"
#include "sim/attach/cengine.h"

struct container_id {
    const char *engine; /* path of its socket */
    const char *id;     /* all 64 digits: never another one with its name */
    const char *name;   /* for people */
};

/* Of an identity as attached_identity() makes it, or of a host's `at.own`. False: that is no
 * container. Borrowed. */
bool container_of_record(const json_t *identity, struct container_id *ret);
/* Opens its engine (waiting a while for one that is being started again) and asks for it. -ENOENT:
 * it was removed. */
int container_ask(const struct container_id *id, struct cengine **ret_engine,
                  struct cengine_container *ret, struct err *err);
