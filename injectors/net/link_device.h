/* A device of a host that others made, which `link` sets down: the switch's end of its cable is not
 * ours. Everything that the kernel forgets with it (routes, IPv6 addresses, permanent neighbours) is
 * in the undo record and is put back.
 *
 * Ownership: link_device_prepare() … link_device_done().
 */
#pragma once

#include "injectors/injector.h"
#include "injectors/params.h"

struct link_device;

/* The target when it is one of these hosts; NULL: of the lab. */
const struct host *link_device_host(const struct scenario *s, const struct link_params *p);
/* h NULL: of the lab, which has no `device`; else it must have one, and no `network`. */
int link_device_check(const struct host *h, const char *device, const char *network,
                      struct err *err);
int link_device_plan(const struct link_params *p, json_t *texts, struct err *err);
/* -EALREADY: it is down already; -ENODEV: there is none; -ESRCH: the host has gone; -EOPNOTSUPP: what
 * hangs on it could not be put back. ret_undo: a new reference. */
int link_device_prepare(struct inject_env *env, const struct link_params *p,
                        struct link_device **ret, json_t **ret_undo, struct err *err);
/* Up: with what was kept put back. */
int link_device_set(struct link_device *d, bool up, struct err *err);
int link_device_is_up(struct link_device *d, bool *ret, struct err *err);
const char *link_device_text(const struct link_device *d); /* "host edge: device eth0"; borrowed */
/* As struct injector's revert; adds to `changes`. */
int link_device_revert(struct inject_env *env, const json_t *undo, json_t *changes,
                       struct err *err);
/* As struct injector's touches; record: the `device` of the undo record. */
void link_device_touches(const json_t *record, json_t *ret);
struct link_device *link_device_done(struct link_device *d);
