/* The init of a host: makes the namespaces a place to live in, then becomes the agent.
 *
 * What is private: /proc, /sys, /dev (dev.h), /run, /tmp, /var/tmp, and /var/log, /var/lib,
 * /var/cache, /var/spool (empty but for the folders that stand there), each of limited size; the
 * files that name hosts; the host name. The working directory is mounted at /run/HOST, which no private mount hides. The rest of the file
 * system is the machine's, read-only.
 *
 * What root of a host may not do: write to the machine's files, set what is the whole machine's in
 * /proc/sys, load modules, set the clock, reboot, make device nodes, read the kernel's memory and
 * log. This keeps servers that run as root from doing harm by their ordinary work (a clock daemon,
 * a file written to /etc). It is no wall against somebody who wants to break out: they keep
 * CAP_SYS_ADMIN (people mount things in labs) and may undo the mounts.
 *
 * Life: PR_SET_PDEATHSIG ends it with the runner's main thread; when the runner died before
 * prctl(2) ran, end-of-file on the socket does (getppid() tells nothing: a parent outside of the
 * pid namespace is 0). Its death ends every process of the namespace (pid_namespaces(7)).
 */
#include "sim/lab/init.h"

#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/base/oom.h"
#include "sim/lab/agent.h"
#include "sim/lab/dev.h"
#include "sim/lab/proto.h"
#include "sim/lab/timens.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define INIT_TMPFS_PERCENT 10 /* of the memory, each */
#define INIT_TMPFS_FILES 100000
#define INIT_ETC "/run/.blackstart"

const char *init_dir(const struct host *h, char buf[INIT_DIR_MAX])
{
    snprintf(buf, INIT_DIR_MAX, "/run/%s", h->name);
    return buf;
}

static int init_write(const char *path, const char *text, size_t n, struct err *err)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_errno(err, errno, "cannot write %s", path);
    return file_write_all(fd, text, n, err);
}

/* Lets `path` have this content, whatever it is now: a file (bound over), a link to a file (bound
 * over where it leads), a link into the private /run (made there). Absent: nothing to do, glibc's
 * defaults are what we want. */
static int init_replace(const char *path, const char *name, const char *text, struct err *err)
{
    char own[64], target[PATH_MAX];
    snprintf(own, sizeof own, INIT_ETC "/%s", name);
    int r = init_write(own, text, strlen(text), err);
    if (r < 0)
        return r;
    if (mount(own, path, NULL, MS_BIND, NULL) == 0)
        return 0;
    int code = errno;
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (code == ENOENT && n < 0)
        return 0;
    if (code != ENOENT)
        return err_errno(err, code, "cannot put our own %s in place", path);
    target[n] = '\0';
    /* Relative links of /etc start with "../": the same place seen from /. */
    const char *t = target;
    while (!strncmp(t, "../", 3))
        t += 3;
    t += *t == '/';
    if (strncmp(t, "run/", 4) && strncmp(t, "var/run/", 8))
        return 0; /* dangles elsewhere: as good as absent */
    AUTO_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    char *slash = strrchr(t, '/');
    *slash = '\0';
    r = file_make_dirs(root, t, 0755, err);
    *slash = '/';
    AUTO_CLOSE int fd =
        r < 0 ? -1 : openat(root, t, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (r == 0 && fd < 0)
        r = err_errno(err, errno, "cannot write %s", path);
    return r < 0 ? r : file_write_all(fd, text, strlen(text), err);
}

/* A server that writes without end gets ENOSPC before the machine is out of memory. (The kernel's own
 * limit is half of the memory for each of them, and as many files as pages in it.) */
static int init_tmpfs(const char *path, const char *mode, struct err *err)
{
    char options[64];
    snprintf(options, sizeof options, "mode=%s,size=%d%%,nr_inodes=%d", mode, INIT_TMPFS_PERCENT,
             INIT_TMPFS_FILES);
    if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0 && errno != ENOENT)
        return err_errno(err, errno, "cannot mount a private %s", path);
    return 0;
}

/* An empty tmpfs, but for the folders: servers open logs and make folders of their own there before
 * they read their configuration (nginx), and what they write must not end among the machine's. */
static int init_skeleton(const char *path, struct err *err)
{
    struct buf names = BUF_INIT;
    DIR *d = opendir(path);
    for (const struct dirent *e; d && (e = readdir(d));)
        if (e->d_type == DT_DIR && e->d_name[0] != '.')
            buf_add(&names, e->d_name, strlen(e->d_name) + 1);
    if (d)
        closedir(d);
    int r = init_tmpfs(path, "0755", err);
    for (size_t at = 0; r == 0 && at < names.len; at += strlen(names.text + at) + 1) {
        char sub[PATH_MAX];
        snprintf(sub, sizeof sub, "%s/%s", path, names.text + at);
        mkdir(sub, 0755);
        chmod(sub, 01777); /* servers write there as their own users */
    }
    buf_done(&names);
    return r;
}

/* Everything that is mounted now; what is mounted from here on is the host's own. Devices, sockets
 * and pipes can be written to as ever (mount_setattr(2), MOUNT_ATTR_RDONLY). */
static int init_read_only(const char *path, unsigned flags, struct err *err)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    if (mount_setattr(AT_FDCWD, path, flags, &attr, sizeof attr) == 0)
        return 0;
    if (errno == ENOSYS)
        return err_set(err, ENOSYS, "cannot protect the machine's files: Linux 5.12 is needed");
    return err_errno(err, errno, "cannot make %s read-only for the host", path);
}

/* In /proc: /proc/sys/net is of the host's network namespace and stays writable; the rest of these
 * acts on the whole machine. */
static int init_proc_read_only(struct err *err)
{
    static const char *const paths[] = {
        "/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/acpi"};
    AUTO_CLOSE int net = open_tree(AT_FDCWD, "/proc/sys/net", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(paths); i++) {
        if (mount(paths[i], paths[i], NULL, MS_BIND, NULL) == 0)
            r = init_read_only(paths[i], 0, err);
        else if (errno != ENOENT)
            r = err_errno(err, errno, "cannot protect %s", paths[i]);
    }
    if (r == 0 && net >= 0 &&
        move_mount(net, "", AT_FDCWD, "/proc/sys/net", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        r = err_errno(err, errno, "cannot mount /proc/sys/net");
    return r;
}

/* From the bounding set: no program that the host executes gets them, set-id or not; what root needs
 * to be a server stays. A file that demands one of them cannot be executed (capabilities(7)). */
static void init_drop_capabilities(void)
{
    static const int gone[] = {
        CAP_SYS_MODULE,    CAP_SYS_RAWIO,     CAP_SYS_BOOT,     CAP_SYS_TIME,        CAP_MKNOD,
        CAP_SYSLOG,        CAP_MAC_ADMIN,     CAP_MAC_OVERRIDE, CAP_LINUX_IMMUTABLE, CAP_WAKE_ALARM,
        CAP_BLOCK_SUSPEND, CAP_AUDIT_CONTROL, CAP_AUDIT_READ,   CAP_DAC_READ_SEARCH, CAP_PERFMON};
    for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
        prctl(PR_CAPBSET_DROP, gone[i]); /* EINVAL: a kernel without it */
}

/* Mounts the working directory where neither the private /run nor /tmp hides it. */
static int init_mount_dir(const struct init_spec *spec, struct err *err)
{
    char dir[INIT_DIR_MAX];
    /* By its path: a descriptor from before clone3(2) belongs to the runner's mount namespace. */
    AUTO_CLOSE int tree = open_tree(AT_FDCWD, spec->dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0)
        return err_errno(err, errno, "cannot take the working directory along");
    int r = init_read_only("/", AT_RECURSIVE, err);
    if (r < 0 || (r = init_tmpfs("/run", "0755", err)) < 0)
        return r;
    init_dir(spec->host, dir);
    if (mkdir(INIT_ETC, 0755) < 0 || mkdir("/run/lock", 01777) < 0 ||
        (mkdir(dir, 0755) < 0 && errno != EEXIST))
        return err_errno(err, errno, "cannot make folders in the private /run");
    chmod("/run/lock", 01777);
    if (move_mount(tree, "", AT_FDCWD, dir, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_errno(err, errno, "cannot mount the working directory at %s", dir);
    return 0;
}

/* One entry of the host's own /etc: a copy of a link, a link to anything else. */
static int init_etc_entry(int from, int to, const char *name, struct err *err)
{
    char text[PATH_MAX];
    ssize_t n = readlinkat(from, name, text, sizeof text - 1);
    if (n >= 0)
        text[n] = '\0';
    else
        snprintf(text, sizeof text, INIT_ETC "/machine/%s", name);
    if (symlinkat(text, to, name) < 0)
        return err_errno(err, errno, "cannot link %s into the host's /etc", name);
    return 0;
}

/* A machine may lack a file of /etc that a host needs (a bare image has no hosts): there is nothing
 * to bind over, and nothing may be made in the machine's own /etc. So the host gets an /etc of links
 * to everything in the machine's, and the missing files. (A layer of overlayfs would do, but not
 * over mounts that a user namespace may not take apart.) */
static int init_complete_etc(struct err *err)
{
    static const char *const needed[] = {"hosts", "resolv.conf", "nsswitch.conf"};
    AUTO_CLOSE int from = open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    bool lacking = false;
    for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
        lacking |= fstatat(from, needed[i], &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
    if (!lacking)
        return 0;
    if (mkdir(INIT_ETC "/etc", 0755) < 0 || mkdir(INIT_ETC "/machine", 0755) < 0 ||
        mount("/etc", INIT_ETC "/machine", NULL, MS_BIND | MS_REC, NULL) < 0)
        return err_errno(err, errno, "cannot give the host an /etc of its own");
    AUTO_CLOSE int to = open(INIT_ETC "/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = opendir("/etc");
    int r = d ? 0 : err_errno(err, errno, "cannot read /etc");
    for (const struct dirent *e; r == 0 && d && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            r = init_etc_entry(from, to, e->d_name, err);
    if (d)
        closedir(d);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(needed); i++) {
        AUTO_CLOSE int fd = openat(to, needed[i], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0 && errno != EEXIST)
            r = err_errno(err, errno, "cannot make /etc/%s for the host", needed[i]);
    }
    if (r == 0 && mount(INIT_ETC "/etc", "/etc", NULL, MS_BIND, NULL) < 0)
        r = err_errno(err, errno, "cannot put the host's own /etc in place");
    return r;
}

static int init_mounts(const struct init_spec *spec, struct err *err)
{
    int r = init_mount_dir(spec, err);
    if (r < 0)
        return r;
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return err_errno(err, errno,
                         "cannot mount an own /proc (in a container, parts of /proc are masked: "
                         "docker run --security-opt systempaths=unconfined)");
    if ((r = init_proc_read_only(err)) < 0)
        return r;
    /* Shows this host's interfaces; where the kernel refuses, the machine's /sys stays. */
    mount("sysfs", "/sys", "sysfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    if ((r = dev_mount(err)) < 0 || (r = init_skeleton("/var/log", err)) < 0 ||
        (r = init_skeleton("/var/lib", err)) < 0 || (r = init_skeleton("/var/cache", err)) < 0 ||
        (r = init_skeleton("/var/spool", err)) < 0 || (r = init_tmpfs("/tmp", "1777", err)) < 0 ||
        (r = init_tmpfs("/var/tmp", "1777", err)) < 0 ||
        (r = init_tmpfs("/dev/shm", "1777", err)) < 0)
        return r;
    if ((r = init_complete_etc(err)) < 0 ||
        (r = init_replace("/etc/hosts", "hosts", spec->hosts_text, err)) < 0 ||
        (r = init_replace("/etc/resolv.conf", "resolv.conf",
                          "# No name server: names of this lab are in /etc/hosts.\n"
                          "options timeout:1 attempts:1\n",
                          err)) < 0)
        return r;
    return init_replace("/etc/nsswitch.conf", "nsswitch.conf",
                        "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
                        "networks: files\nprotocols: files\nservices: files\n",
                        err);
}

/* Keeps the agent's socket (as 3); /dev/null as stdio. */
static int init_descriptors(struct init_spec *spec, struct err *err)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int sock = fcntl(spec->sock, F_DUPFD_CLOEXEC, 4);
    if (null < 0 || sock < 0)
        return err_errno(err, errno, "cannot arrange descriptors");
    for (int fd = 0; fd <= 2; fd++)
        dup2(null, fd);
    if (dup3(sock, 3, O_CLOEXEC) < 0)
        return err_errno(err, errno, "cannot arrange descriptors");
    close_range(4, ~0U, 0);
    spec->sock = 3;
    return 0;
}

static _Noreturn void init_main(struct init_spec spec)
{
    struct err err = ERR_INIT;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "bs-init");
    sigset_t none;
    sigemptyset(&none);
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    umask(022);
    oom_ordinary(); /* by the /proc of before */
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    int r = init_descriptors(&spec, &err);
    if (r == 0 && sethostname(spec.host->name, strlen(spec.host->name)) < 0)
        r = err_errno(&err, errno, "cannot set the host name");
    if (r == 0)
        r = init_mounts(&spec, &err);
    if (r == 0 && nsec_is_set(spec.uptime))
        r = timens_make(spec.uptime, &err);
    init_drop_capabilities();
    if (r == 0)
        r = agent_run(spec.host, spec.env_values, spec.sock, &err);
    if (r < 0) {
        json_t *m = json_pack("{s:i,s:s}", "error", -r, "text", err.text);
        proto_send(spec.sock, m, NULL, 0, NULL);
        _exit(1);
    }
    _exit(0);
}

int init_clone(const struct init_spec *spec, pid_t *ret_pid, int *ret_pidfd, struct err *err)
{
    int pidfd = -1;
    struct clone_args args = {
        .flags =
            CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
    };
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0)
        init_main(*spec);
    if (pid < 0 && errno == ENOSPC)
        return err_errno(
            err, ENOSPC,
            "cannot make the namespaces of host %s; see sysctl "
            "user.max_net_namespaces, user.max_pid_namespaces and user.max_mnt_namespaces",
            spec->host->name);
    if (pid < 0)
        return err_errno(err, errno, "cannot make the namespaces of host %s", spec->host->name);
    *ret_pid = (pid_t)pid;
    *ret_pidfd = pidfd;
    return 0;
}
