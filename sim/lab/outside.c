/* Processes of a host as the runner sees them: its pid namespace's numbers turned into ours, by the
 * NSpid of proc_pid_status(5).
 */
#include "sim/lab/lab.h"

#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/lab/node.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define OUTSIDE_STATUS_MAX 65536

/* The number of a process in its innermost pid namespace; 0: it has ended. */
static pid_t outside_inner(int proc, const char *name)
{
    char path[300];
    AUTO_FREE char *text = NULL;
    size_t n;
    snprintf(path, sizeof path, "%s/status", name);
    if (file_read(proc, path, OUTSIDE_STATUS_MAX, &text, &n, NULL) < 0)
        return 0;
    const char *line = strstr(text, "\nNSpid:");
    if (!line)
        return 0;
    long last = 0;
    char *end;
    for (const char *p = line + strlen("\nNSpid:"); *p && *p != '\n'; p = end) {
        long v = strtol(p, &end, 10);
        if (end == p)
            break;
        last = v;
        while (*end == '\t' || *end == ' ')
            end++;
    }
    return (pid_t)last;
}

int lab_node_outside(struct lab_node *n, const json_t *procs, pid_t *ret, struct err *err)
{
    char path[300];
    struct stat own, one;
    if (n->attached)
        return others_outside(procs, ret);
    if (!n->up || n->pid <= 0)
        return node_is_down(n, err);
    memset(ret, 0, json_array_size(procs) * sizeof *ret);
    AUTO_CLOSEDIR DIR *proc = opendir("/proc");
    snprintf(path, sizeof path, "%d/ns/pid", (int)n->pid);
    if (!proc || fstatat(dirfd(proc), path, &own, 0) < 0)
        return err_errno(err, errno, "host %s: looking for its processes", n->host->name);
    for (const struct dirent *e; (e = readdir(proc));) {
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        snprintf(path, sizeof path, "%s/ns/pid", e->d_name);
        if (fstatat(dirfd(proc), path, &one, 0) < 0 || one.st_ino != own.st_ino ||
            one.st_dev != own.st_dev)
            continue;
        pid_t inner = outside_inner(dirfd(proc), e->d_name);
        size_t i;
        const json_t *p;
        json_array_foreach (procs, i, p)
            if (inner > 0 && jsonx_int(p, "pid", 0) == inner)
                ret[i] = (pid_t)strtol(e->d_name, NULL, 10);
    }
    return 0;
}
