/* A container engine, asked over its unix socket: the API of Docker's engine, which podman speaks too
 * (`podman system service`).
 *
 * Ownership: cengine_open() … cengine_free(); one connection, kept open. Containers handed out are the
 * caller's, freed by cengine_container_done() or cengine_list_done(). One thread.
 *
 * Functions without a loop wait for the answer: queries up to 5 s, commands up to 30 s, or say that
 * none came. Whatever an engine answers that is not what its API promises (cut, longer than 16 MiB,
 * not JSON, another shape) is an error whose sentence names the engine and the request.
 *
 * -ENOENT: there is no such socket, or no such container. -ECONNREFUSED: nobody listens there (an
 * engine that is being started again). -EACCES: this user may not ask. -EBUSY: the engine refused in
 * the state that the container is in. -ETIMEDOUT, -EPROTO, -EMSGSIZE, -EPIPE: see above.
 *
 * Sources: Docker Engine API v1.41 (docs.docker.com/engine/api), podman-system-service(1). Paths
 * carry no version: the newest engines refuse old ones, and all of them take none.
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/base/text.h"
#include "sim/loop/loop.h"
#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

struct cengine;

/* `where`: "docker", "podman", the absolute path of a socket, or NULL: $DOCKER_HOST, $CONTAINER_HOST,
 * else the first of the usual places that has a socket. Asks it who it is. */
int cengine_open(const char *where, struct cengine **ret, struct err *err);
/* The same again and again while nobody listens, at most for `patience`: engines that are being
 * started again come back. */
int cengine_open_patiently(const char *where, nsec patience, struct cengine **ret, struct err *err);
struct cengine *cengine_free(struct cengine *e);
DEFINE_CLEANUP(struct cengine, cengine_free);

const char *cengine_socket(const struct cengine *e); /* its path; borrowed */
const char *cengine_name(const struct cengine *e);   /* "docker 20.10.24", "podman 4.3.1" */
/* Whether `where` can be meant: one of the two words, or an absolute path short enough for a socket.
 */
int cengine_check_where(const char *where, struct err *err);

struct cengine_container {
    char *id;       /* all 64 digits */
    char *name;     /* without the slash in front */
    char *image;    /* as it was asked for: "nginx:1.25" */
    char *state;    /* the engine's word: "running", "paused", "exited" … */
    json_t *labels; /* {name: text} */
    pid_t pid;      /* its first process, as this machine sees it; 0: does not run */
    bool paused;    /* by the engine */
    bool host_net;  /* it has no network of its own */
    bool restarts;  /* the engine starts it again when it ends */
    int stop_after; /* seconds from stop's first signal to SIGKILL */
};
void cengine_container_done(struct cengine_container *c);
#define AUTO_CONTAINER __attribute__((cleanup(cengine_container_done))) struct cengine_container
/* A label; NULL: it has none of that name. Borrowed. */
const char *cengine_label(const struct cengine_container *c, const char *name);
/* "pg-1 (3f5a0c2d91be)", for people. */
void cengine_container_text(const struct cengine_container *c, struct buf *out);

/* By name, or by an id or its beginning. */
int cengine_inspect(struct cengine *e, const char *which, struct cengine_container *ret,
                    struct err *err);

struct cengine_list {
    struct cengine_container *items;
    size_t n;
};
void cengine_list_done(struct cengine_list *l);
#define AUTO_CONTAINERS __attribute__((cleanup(cengine_list_done))) struct cengine_list

struct cengine_query {
    const char *name;              /* or the beginning of an id; else NULL, then the rest: */
    struct strv labels;            /* "app=web" or "app": all must hold */
    const char *project, *service; /* of a compose project */
    int64_t replica;               /* its number in the service; 0: any */
};
/* What matches and runs (paused or not), by name. With a name: that one alone, whether it runs or
 * not. None: an empty list, but -ENOENT with a name. */
int cengine_find(struct cengine *e, const struct cengine_query *q, struct cengine_list *ret,
                 struct err *err);
/* "container pg-1", "a container labelled app=web", "service web of the compose project shop" */
void cengine_query_text(const struct cengine_query *q, struct buf *out);

/* What happened to a container between two instants of CLOCK_REALTIME, oldest first:
 * [{at, action}], `at` in nanoseconds. New reference. */
int cengine_events(struct cengine *e, const char *id, nsec since, nsec until, json_t **ret,
                   struct err *err);

enum cengine_verb {
    CENGINE_PAUSE,
    CENGINE_UNPAUSE,
    CENGINE_KILL, /* sends a signal to its first process */
    CENGINE_STOP, /* in order: its stop signal, SIGKILL after a time */
    CENGINE_START,
    CENGINE_RESTART, /* stop and start */
};
struct cengine_command {
    enum cengine_verb verb;
    const char *id;
    int signal; /* CENGINE_KILL; and CENGINE_STOP, where 0 is the container's own */
    nsec
        grace; /* CENGINE_STOP, CENGINE_RESTART: to SIGKILL, in whole seconds; NSEC_UNSET: its own */
};
/* What is asked for, "POST /containers/3f5a…/pause", with this in place of the id (NULL: the id). */
void cengine_command_text(const struct cengine_command *c, const char *id, struct buf *out);
/* Waits for its end. 0; 1: it was so already (it runs, does not run); -errno. */
int cengine_do(struct cengine *e, const struct cengine_command *c, struct err *err);

/* The same on the caller's loop, for what takes its time. `fn` comes once, from the loop, unless
 * cengine_call_free() came before (which may also be called from it); r as cengine_do() returns it. The
 * engine itself is not needed any more meanwhile. */
struct cengine_call;
typedef void cengine_done_fn(int r, const struct err *err, struct span at, void *data);
int cengine_call_start(const struct cengine *e, struct loop *loop, const struct cengine_command *c,
                       cengine_done_fn *fn, void *data, struct cengine_call **ret, struct err *err);
struct cengine_call *cengine_call_free(struct cengine_call *call);
DEFINE_CLEANUP(struct cengine_call, cengine_call_free);
