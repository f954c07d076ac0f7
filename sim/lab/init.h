/* The init of a host: pid 1 of its own pid, mount, network, UTS and IPC namespaces.
 *
 * Ownership: init_clone() gives the caller a process, to be ended by SIGKILL through its pidfd and
 * reaped, a pidfd, and nothing else. Descriptors of the spec stay the caller's.
 */
#pragma once

#include "sim/base/err.h"
#include "sim/base/nsec.h"
#include "sim/model/model.h"
#include <sys/types.h>

struct init_spec {
    const struct host *host;
    const char *hosts_text;  /* content of /etc/hosts inside */
    int sock;                /* the agent's end of the socket pair */
    const char *dir;         /* path of the host's working directory */
    char *const *env_values; /* of host->env, one each: secrets are looked up outside */
    nsec uptime;             /* which its commands see; NSEC_UNSET: the machine's */
};

/* Where the working directory stands inside ("/run/HOST"). Returns buf. */
#define INIT_DIR_MAX 80
const char *init_dir(const struct host *h, char buf[INIT_DIR_MAX]);
/* Inside: the environment of the host's commands, NUL-separated. */
#define INIT_ENV_FILE "/run/.blackstart/env"

/* The caller must have one thread. The first message from the new process is {"ready":true} or
 * {"error":errno,"text":…}. */
int init_clone(const struct init_spec *spec, pid_t *ret_pid, int *ret_pidfd, struct err *err);
