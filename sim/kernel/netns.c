/* Network namespaces by descriptor; see netns.h.
 *
 * /proc/sys/net shows the namespace of the task that opens it (not of the mount), so one setns(2)
 * around open(2) is enough; the same holds for socket(2): a socket stays where it was born.
 */
#include "sim/kernel/netns.h"

#include "sim/base/cleanup.h"
#include "sim/base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

int netns_own(int *ret_fd, struct err *err)
{
    int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno,
                         "cannot open this thread's network namespace (is /proc there?)");
    *ret_fd = fd;
    return 0;
}

int netns_of_pid(pid_t pid, int *ret_fd, struct err *err)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "cannot open the network namespace of process %d", (int)pid);
    *ret_fd = fd;
    return 0;
}

int netns_enter(int fd, struct netns_scope *scope, struct err *err)
{
    AUTO_CLOSE int back = -1;
    int r = netns_own(&back, err);
    if (r < 0)
        return r;
    if (setns(fd, CLONE_NEWNET) < 0)
        return err_errno(err, errno, "cannot enter the network namespace");
    scope->back = steal_fd(&back);
    return 0;
}

void netns_leave(struct netns_scope *scope)
{
    if (scope->back < 0)
        return;
    if (setns(scope->back, CLONE_NEWNET) < 0)
        abort(); /* every later change would hit the wrong namespace */
    close(scope->back);
    scope->back = -1;
}

int netns_new(int *ret_fd, struct err *err)
{
    AUTO_NETNS netns_scope scope = NETNS_OUTSIDE;
    AUTO_CLOSE int back = -1;
    int r = netns_own(&back, err);
    if (r < 0)
        return r;
    if (unshare(CLONE_NEWNET) < 0)
        return err_errno(err, errno, "cannot make a network namespace");
    scope.back = steal_fd(&back);
    return netns_own(ret_fd, err);
}

int netns_identity(int fd, struct netns_id *ret, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, errno, "cannot read the identity of a network namespace");
    *ret = (struct netns_id){.dev = st.st_dev, .ino = st.st_ino};
    return 0;
}

bool netns_same(struct netns_id a, struct netns_id b)
{
    return a.dev == b.dev && a.ino == b.ino;
}

int netns_socket(int fd, int domain, int type, int protocol, int *ret_fd, struct err *err)
{
    AUTO_NETNS netns_scope scope = NETNS_OUTSIDE;
    if (fd >= 0) {
        int r = netns_enter(fd, &scope, err);
        if (r < 0)
            return r;
    }
    int sock = socket(domain, type | SOCK_CLOEXEC, protocol);
    if (sock < 0)
        return err_errno(err, errno, "cannot open a socket (family %d, type %d, protocol %d)",
                         domain, type, protocol);
    *ret_fd = sock;
    return 0;
}

int netns_sysctl(int fd, const char *key, const char *value, struct err *err)
{
    AUTO_NETNS netns_scope scope = NETNS_OUTSIDE;
    if (fd >= 0) {
        int r = netns_enter(fd, &scope, err);
        if (r < 0)
            return r;
    }
    char path[256];
    if ((size_t)snprintf(path, sizeof path, "/proc/sys/%s", key) >= sizeof path ||
        strstr(key, ".."))
        return err_set(err, EINVAL, "\"%s\" is not the name of a kernel setting", key);
    AUTO_CLOSE int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return err_errno(err, errno, "cannot open %s", path);
    if (write(file, value, strlen(value)) < 0)
        return err_errno(err, errno, "cannot write \"%s\" to %s", value, path);
    return 0;
}

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

int netns_cookie(int fd, uint64_t *ret, struct err *err)
{
    uint64_t cookie = 0;
    socklen_t n = sizeof cookie;
    AUTO_CLOSE int sock = -1;
    int r = netns_socket(fd, AF_UNIX, SOCK_DGRAM, 0, &sock, err);
    if (r < 0)
        return r;
    if (getsockopt(sock, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &n) < 0 && errno != ENOPROTOOPT)
        return err_errno(err, errno, "cannot read the cookie of a network namespace");
    *ret = cookie;
    return 0;
}

int netns_open(const char *path, int *ret_fd, struct err *err)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return err_errno(err, errno, "cannot open the network namespace %s", path);
    if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
        return err_set(err, EINVAL, "%s is not a network namespace", path);
    *ret_fd = steal_fd(&fd);
    return 0;
}
