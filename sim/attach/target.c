/* What a host leads to: filling it in, letting it go. See kind.h. */
#include "sim/attach/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#define OWN_MOUNTS "/proc/self/ns/mnt"

void attached_target_done(struct attached_target *t)
{
    int fds[] = {t->netns, t->mounts, t->pidfd};
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(t->what);
    free(t->path);
    free(t->how);
    free(t->mark);
    json_decref(t->own);
    json_decref(t->seats);
    *t = ATTACHED_TARGET_INIT;
}

static bool leads_to(const char *path, struct netns_id id)
{
    struct stat st;
    return stat(path, &st) == 0 &&
           netns_same(id, (struct netns_id){.dev = st.st_dev, .ino = st.st_ino});
}

static int identify_network(struct attached_target *t, struct err *err)
{
    int r = netns_identity(t->netns, &t->id, err);
    if (r < 0)
        return r;
    t->shares_network = leads_to("/proc/self/ns/net", t->id) || leads_to("/proc/1/ns/net", t->id);
    r = netns_cookie(t->netns, &t->cookie, err);
    if (r == -EPERM)
        return err_set(err, EPERM,
                       "entering a network namespace that others made needs root (CAP_SYS_ADMIN): "
                       "run it with sudo");
    return r;
}

static int open_mounts(const char *path, struct attached_target *t, struct err *err)
{
    struct stat own, its;
    t->mounts = open(path, O_RDONLY | O_CLOEXEC);
    if (t->mounts < 0 || fstat(t->mounts, &its) < 0 || stat(OWN_MOUNTS, &own) < 0)
        return err_errno(err, errno, "cannot open the mount namespace %s", path);
    t->shares_mounts = own.st_dev == its.st_dev && own.st_ino == its.st_ino;
    return 0;
}

int attached_target_at(const char *path, struct attached_target *ret, struct err *err)
{
    AUTO_ATTACHED_TARGET t = ATTACHED_TARGET_INIT;
    int r = netns_open(path, &t.netns, err);
    if (r == 0)
        r = identify_network(&t, err);
    if (r == 0)
        r = open_mounts(OWN_MOUNTS, &t, err);
    if (r < 0)
        return r;
    t.path = strdup(path);
    if (!t.path)
        abort();
    *ret = t;
    t = ATTACHED_TARGET_INIT;
    return 0;
}

int attached_target_of(const struct proc *eldest, struct attached_target *ret, struct err *err)
{
    AUTO_ATTACHED_TARGET t = ATTACHED_TARGET_INIT;
    char net[64], mounts[64];
    snprintf(net, sizeof net, "/proc/%d/ns/net", (int)eldest->pid);
    snprintf(mounts, sizeof mounts, "/proc/%d/ns/mnt", (int)eldest->pid);
    t.pid = eldest->pid;
    t.start = eldest->start;
    if ((t.pidfd = procs_pidfd(eldest)) < 0)
        return err_set(err, ESRCH, "process %d (%s) has ended", (int)eldest->pid, eldest->comm);
    int r = netns_open(net, &t.netns, err);
    if (r == -EACCES || r == -EPERM)
        return err_set(err, EPERM,
                       "entering the namespaces of process %d (%s) needs root (CAP_SYS_ADMIN): run "
                       "it with sudo",
                       (int)eldest->pid, eldest->comm);
    if (r == 0)
        r = identify_network(&t, err);
    if (r == 0)
        r = open_mounts(mounts, &t, err);
    if (r == 0 && cgroup_of(eldest->pid, &t.cgroup, NULL) < 0)
        t.cgroup = (struct cgroup){.dir = ""};
    /* What was opened by its number is its own only if it still had that number afterwards. */
    if (r == 0 && procs_started(eldest->pid) != eldest->start)
        r = err_set(err, ESRCH, "process %d (%s) has ended", (int)eldest->pid, eldest->comm);
    if (r < 0)
        return r;
    t.path = strdup(net);
    if (!t.path)
        abort();
    *ret = t;
    t = ATTACHED_TARGET_INIT;
    return 0;
}

bool attached_is_mark(const char *key, const char *value)
{
    static const char *const names[] = {"env", "environment", "stage", "tier"};
    static const char *const no[] = {"false", "0", "no", "off", ""};
    bool marked = strcasecmp(key, "production") == 0;
    for (size_t i = 0; marked && i < ARRAY_SIZE(no); i++)
        marked = strcasecmp(value, no[i]) != 0;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        marked |= strcasecmp(key, names[i]) == 0 &&
                  (strcasecmp(value, "production") == 0 || strcasecmp(value, "prod") == 0);
    return marked;
}
