/* systemd's manager: its services, asked and ended and started over D-Bus. sd-bus (libsystemd) is seen
 * in manager.c alone.
 *
 * Ownership: manager_open() … manager_free(), one connection; a service handed out is its caller's,
 * freed by manager_service_done(). One thread; each call waits for its answer, up to 25 s (sd-bus).
 *
 * Sources: org.freedesktop.systemd1(5).
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include <stdbool.h>
#include <sys/types.h>

struct manager;

/* By its private socket, which only root may use and which needs no bus, else by the system bus.
 * -ENOENT: systemd is not what this machine was started with. */
int manager_open(struct manager **ret, struct err *err);
struct manager *manager_free(struct manager *m); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct manager, manager_free);

struct manager_service {
    char *id;           /* its own name: what was asked for may be an alias */
    char *load, *state; /* "loaded", "not-found", "masked" …; "active", "inactive", "failed" … */
    char *sub, *result;  /* "running", "dead" …; "success", "exit-code" … */
    char *cgroup;        /* "/system.slice/worker.service"; "": none, nothing of it runs */
    char *file, **more;  /* where it is written; drop-ins, NULL-terminated, or NULL */
    char invocation[33]; /* another one each time it is started; "": never was */
    pid_t main;          /* 0: none */
    bool busy;           /* a job of it is queued or runs */
    bool by_hand;        /* may be ended and started by hand */
};
#define MANAGER_SERVICE_INIT ((struct manager_service){.main = 0})
void manager_service_done(struct manager_service *s);
#define AUTO_MANAGER_SERVICE __attribute__((cleanup(manager_service_done))) struct manager_service

/* What it is now; "not-found" is no error. */
int manager_service(struct manager *m, const char *name, struct manager_service *ret,
                    struct err *err);

enum manager_job { MANAGER_START, MANAGER_STOP, MANAGER_RESTART };
/* Queues it and returns; what others queued for it is replaced. Whether it was done is told by
 * manager_service(). */
int manager_job(struct manager *m, enum manager_job job, const char *name, struct err *err);

/* "StopUnit(worker.service, replace)" */
void manager_job_text(enum manager_job job, const char *name, struct buf *out);

/* "worker.service" may be the name of a service. */
bool manager_is_service_name(const char *name);
