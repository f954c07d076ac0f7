/* The process side of a lab: from an ordinary process to one that may make namespaces.
 *
 * Model: as root a private mount namespace is enough. Else a user namespace in which we are uid 0:
 * with newuidmap and a range in /etc/subuid other uids exist there too (servers that drop their
 * privileges need them), without it uid 0 alone, and setgroups(2) is denied. Every refusal of the
 * kernel is told with the switch that makes it.
 *
 * Sources: user_namespaces(7), newuidmap(1), subuid(5), mount_namespaces(7).
 */
#include "sim/lab/lab.h"

#include "sim/base/buf.h"
#include "sim/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define PREPARE_PATH "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"

/* A number from a file under /proc/sys; -1 when there is none. */
static long prepare_sysctl(const char *path)
{
    AUTO_FREE char *text = NULL;
    size_t n;
    return file_read(AT_FDCWD, path, 64, &text, &n, NULL) < 0 ? -1 : strtol(text, NULL, 10);
}

static int prepare_refused(int code, const char *what, struct err *err)
{
    if (prepare_sysctl("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") > 0)
        return err_errno(err, code,
                         "cannot %s: AppArmor keeps unprivileged users from using namespaces here; "
                         "run as root, or allow it: sysctl -w "
                         "kernel.apparmor_restrict_unprivileged_userns=0",
                         what);
    if (prepare_sysctl("/proc/sys/kernel/unprivileged_userns_clone") == 0)
        return err_errno(err, code,
                         "cannot %s: run as root, or allow it: sysctl -w "
                         "kernel.unprivileged_userns_clone=1",
                         what);
    if (prepare_sysctl("/proc/sys/user/max_user_namespaces") == 0)
        return err_errno(err, code,
                         "cannot %s: run as root, or allow it: sysctl -w "
                         "user.max_user_namespaces=15000",
                         what);
    if (code == ENOSPC)
        return err_errno(err, code,
                         "cannot %s: too many namespaces are in use; see sysctl "
                         "user.max_user_namespaces",
                         what);
    return err_errno(err, code,
                     "cannot %s: run as root; in a container, allow it (docker run --cap-add "
                     "SYS_ADMIN --cap-add NET_ADMIN --security-opt seccomp=unconfined "
                     "--security-opt apparmor=unconfined --security-opt systempaths=unconfined)",
                     what);
}

/* The first range of `file` (subuid(5): NAME_OR_UID:START:COUNT) that belongs to the user. */
static bool prepare_range(const char *file, const char *name, unsigned id, unsigned *ret_start,
                          unsigned *ret_count)
{
    AUTO_FCLOSE FILE *f = fopen(file, "re");
    char line[512], number[16];
    snprintf(number, sizeof number, "%u", id);
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        unsigned start, count;
        if (!colon)
            continue;
        *colon = '\0';
        if ((strcmp(line, number) && (!name || strcmp(line, name))) ||
            sscanf(colon + 1, "%u:%u", &start, &count) != 2 || count == 0)
            continue;
        *ret_start = start;
        *ret_count = count;
        return true;
    }
    return false;
}

static bool prepare_have(const char *program)
{
    char path[64];
    for (const char *p = PREPARE_PATH; *p;) {
        size_t n = strcspn(p, ":");
        snprintf(path, sizeof path, "%.*s/%s", (int)n, p, program);
        if (!access(path, X_OK))
            return true;
        p += n + (p[n] == ':');
    }
    return false;
}

static int prepare_map_by(const char *program, pid_t pid, unsigned own, unsigned start,
                          unsigned count)
{
    char pid_text[16], own_text[16], start_text[16], count_text[16];
    snprintf(pid_text, sizeof pid_text, "%d", pid);
    snprintf(own_text, sizeof own_text, "%u", own);
    snprintf(start_text, sizeof start_text, "%u", start);
    snprintf(count_text, sizeof count_text, "%u", count);
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(null, STDERR_FILENO);
        dup2(null, STDOUT_FILENO);
        setenv("PATH", PREPARE_PATH, 1);
        execlp(program, program, pid_text, "0", own_text, "1", "1", start_text, count_text,
               (char *)NULL);
        _exit(127);
    }
    int status;
    return child < 0 || waitpid(child, &status, 0) < 0 || status != 0 ? -1 : 0;
}

struct prepare_helper {
    pid_t pid;
    int go, done; /* we write "go" when the namespace is there; it answers "done" */
};

/* newuidmap must run outside of the namespace it fills: a helper forked before unshare(2). */
static int prepare_fork_helper(struct prepare_helper *ret, unsigned uid, unsigned gid,
                               const unsigned ranges[4])
{
    int go[2], done[2];
    if (pipe2(go, O_CLOEXEC) < 0)
        return -errno;
    if (pipe2(done, O_CLOEXEC) < 0) {
        int code = errno;
        close(go[0]);
        close(go[1]);
        return -code;
    }
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        char c;
        close(go[1]);
        close(done[0]);
        if (read(go[0], &c, 1) == 1 &&
            prepare_map_by("newuidmap", parent, uid, ranges[0], ranges[1]) == 0 &&
            prepare_map_by("newgidmap", parent, gid, ranges[2], ranges[3]) == 0)
            (void)!write(done[1], "y", 1);
        _exit(0);
    }
    int code = errno;
    close(go[0]);
    close(done[1]);
    if (pid < 0) {
        close(go[1]);
        close(done[0]);
        return -code;
    }
    *ret = (struct prepare_helper){pid, go[1], done[0]};
    return 0;
}

/* True when the helper filled the maps. */
static bool prepare_helper_end(struct prepare_helper *h, bool go)
{
    char c;
    bool ok = go && write(h->go, "g", 1) == 1;
    close(h->go);
    ok = ok && read(h->done, &c, 1) == 1;
    close(h->done);
    while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return ok;
}

static int prepare_write(const char *path, const char *text)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int prepare_map_single(uid_t uid, gid_t gid, struct err *err)
{
    char uid_map[32], gid_map[32];
    snprintf(uid_map, sizeof uid_map, "0 %u 1", uid);
    snprintf(gid_map, sizeof gid_map, "0 %u 1", gid);
    int r = prepare_write("/proc/self/setgroups", "deny");
    if (r == 0 || r == -ENOENT)
        r = prepare_write("/proc/self/uid_map", uid_map);
    if (r == 0)
        r = prepare_write("/proc/self/gid_map", gid_map);
    return r < 0 ? prepare_refused(-r, "become uid 0 of a user namespace", err) : 0;
}

static int prepare_userns(struct err *err)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    unsigned ranges[4];
    const struct passwd *pw = getpwuid(uid);
    const char *name = pw ? pw->pw_name : NULL;
    struct prepare_helper helper = {-1, -1, -1};
    bool ranged = prepare_have("newuidmap") && prepare_have("newgidmap") &&
                  prepare_range("/etc/subuid", name, uid, &ranges[0], &ranges[1]) &&
                  prepare_range("/etc/subgid", name, uid, &ranges[2], &ranges[3]) &&
                  prepare_fork_helper(&helper, uid, gid, ranges) == 0;
    /* After setuid(2) a process is not dumpable and its /proc files belong to root, so neither we
     * nor newuidmap could write our maps (proc(5), PR_SET_DUMPABLE). */
    prctl(PR_SET_DUMPABLE, 1);
    int code = unshare(CLONE_NEWUSER) < 0 ? errno : 0;
    if (ranged)
        ranged = prepare_helper_end(&helper, code == 0);
    if (code)
        return prepare_refused(code, "make a user namespace", err);
    if (ranged)
        return 0;
    return prepare_map_single(uid, gid, err);
}

/* How many uids the map of our user namespace holds. */
static unsigned prepare_count_ids(void)
{
    AUTO_FCLOSE FILE *f = fopen("/proc/self/uid_map", "re");
    char line[128];
    uint64_t total = 0;
    while (f && fgets(line, sizeof line, f)) {
        uint64_t inside, outside, n;
        if (sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64, &inside, &outside, &n) == 3)
            total += n;
    }
    return total > UINT32_MAX ? UINT32_MAX : (unsigned)total;
}

int lab_prepare_process(const char *mountpoint, bool *ret_rootless, unsigned *ret_ids,
                        struct err *err)
{
    bool rootless = geteuid() != 0;
    /* Root without CAP_SYS_ADMIN (a container) may still make a user namespace: decide by trying.
     */
    if (!rootless && unshare(CLONE_NEWNS) < 0) {
        if (errno != EPERM)
            return err_errno(err, errno, "cannot make a mount namespace");
        rootless = true;
    }
    if (rootless) {
        int r = prepare_userns(err);
        if (r < 0)
            return r;
        /* A network namespace of our own too: setns(2) back into the user's would be refused. */
        if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0)
            return prepare_refused(errno, "make mount and network namespaces", err);
    }
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return prepare_refused(errno, "make the mounts private", err);
    if (mount("blackstart", mountpoint, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0) {
        if (errno == EPERM || errno == EACCES)
            return prepare_refused(errno, "mount a tmpfs", err);
        return err_errno(err, errno, "cannot mount a tmpfs on %s", mountpoint);
    }
    *ret_rootless = rootless;
    *ret_ids = prepare_count_ids();
    return 0;
}

void lab_release_process(const char *mountpoint)
{
    umount2(mountpoint, MNT_DETACH | UMOUNT_NOFOLLOW);
}
