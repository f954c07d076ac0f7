/* See timens.h. Source: time_namespaces(7). */
#include "sim/lab/timens.h"

#include "sim/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMENS_FILE "/run/.blackstart/time"

/* The kernel takes nanoseconds of 0 and above alone. */
static int timens_line(const char *name, nsec off, char *buf, size_t size)
{
    nsec part = off % NSEC_SEC;
    part += part < 0 ? NSEC_SEC : 0;
    return snprintf(buf, size, "%s %lld %lld\n", name, (long long)((off - part) / NSEC_SEC),
                    (long long)part);
}

/* Whoever makes the namespace gives it to its children, so this is a child of its own: the agent's
 * shall stay outside. 0 or an errno. */
static int timens_child(nsec uptime)
{
    char text[128];
    if (unshare(CLONE_NEWTIME) < 0)
        return errno;
    int n =
        timens_line("monotonic", nsec_sub(uptime, nsec_now(CLOCK_MONOTONIC)), text, sizeof text);
    n += timens_line("boottime", nsec_sub(uptime, nsec_now(CLOCK_BOOTTIME)), text + n,
                     sizeof text - (size_t)n);
    AUTO_CLOSE int offsets = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
    AUTO_CLOSE int place = open(TIMENS_FILE, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
    if (offsets < 0 || place < 0 || write(offsets, text, (size_t)n) != n || /* all in one */
        mount("/proc/self/ns/time_for_children", TIMENS_FILE, NULL, MS_BIND, NULL) < 0)
        return errno;
    return 0;
}

int timens_make(nsec uptime, struct err *err)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(timens_child(uptime));
    }
    if (pid < 0)
        return err_errno(err, errno, "cannot make a time namespace");
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
    if (code == EINVAL || code == ENOSYS)
        return err_set(
            err, EOPNOTSUPP,
            "'uptime' needs time namespaces, which this kernel does not have (Linux 5.6, "
            "CONFIG_TIME_NS)");
    if (code == ENOSPC)
        return err_set(err, EOPNOTSUPP,
                       "'uptime' needs a time namespace, and no more of them are allowed here; see "
                       "sysctl user.max_time_namespaces");
    return code ? err_errno(err, code, "cannot make a time namespace for 'uptime'") : 0;
}

int timens_enter(void)
{
    int fd = open(TIMENS_FILE, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : errno;
    int code = setns(fd, CLONE_NEWTIME) < 0 ? errno : 0;
    close(fd);
    return code;
}
