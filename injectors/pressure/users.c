/* Who uses a file system. See users.h. */
#include "injectors/pressure/users.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "injectors/pressure/place.h"
#include "injectors/pressure/volume.h"
#include "sim/base/buf.h"
#include "sim/base/cleanup.h"
#include "sim/base/text.h"
#include "sim/kernel/mounts.h"

#define NAMED_AT_MOST 8

struct user {
    const struct proc *who;
    size_t files; /* and folders, that it has open */
    bool stands;  /* its working directory */
};

/* What a link of /proc leads to, without asking the server of a network's file system, which may hang. */
static bool is_on(int dir, const char *name, dev_t dev)
{
    struct statx st;
    return statx(dir, name, AT_STATX_DONT_SYNC, STATX_TYPE, &st) == 0 &&
           makedev(st.stx_dev_major, st.stx_dev_minor) == dev &&
           (S_ISREG(st.stx_mode) || S_ISDIR(st.stx_mode));
}

static struct user use_of(const struct proc *p, dev_t dev)
{
    struct user u = {.who = p};
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/cwd", (int)p->pid);
    u.stands = is_on(AT_FDCWD, path, dev);
    snprintf(path, sizeof path, "/proc/%d/fd", (int)p->pid);
    AUTO_CLOSEDIR DIR *fds = opendir(path);
    for (const struct dirent *e; fds && (e = readdir(fds));)
        u.files += e->d_name[0] != '.' && is_on(dirfd(fds), e->d_name, dev);
    return u;
}

static int by_files(const void *a, const void *b)
{
    const struct user *x = a, *y = b;
    if (x->files != y->files)
        return x->files < y->files ? 1 : -1;
    return x->who->pid < y->who->pid ? -1 : 1;
}

static int count_mount(const struct mount_line *m, void *data)
{
    return m->dev == *(const dev_t *)data;
}

/* Mount namespaces besides ours in which it is mounted. */
static size_t count_namespaces(const struct procs *all, dev_t dev)
{
    AUTO_FREE ino_t *seen = calloc(all->n + 1, sizeof *seen);
    size_t n = 0, found = 0;
    struct stat st;
    if (!seen)
        abort();
    if (stat("/proc/self/ns/mnt", &st) == 0)
        seen[n++] = st.st_ino;
    for (size_t i = 0; i < all->n; i++) {
        char path[64];
        int opened = -1;
        size_t k = 0;
        snprintf(path, sizeof path, "/proc/%d/ns/mnt", (int)all->items[i].pid);
        if (stat(path, &st) < 0)
            continue;
        while (k < n && seen[k] != st.st_ino)
            k++;
        if (k < n || mounts_open(all->items[i].pid, &opened, NULL) < 0)
            continue;
        seen[n++] = st.st_ino;
        AUTO_CLOSE int fd = opened;
        found += mounts_each(fd, count_mount, &dev, NULL) == 1;
    }
    return found;
}

static void say_user(const struct user *u, bool first, struct buf *text)
{
    buf_printf(text, "%s%s (%d)", first ? "" : ", ", u->who->comm, (int)u->who->pid);
    if (u->files)
        buf_printf(text, " with %zu open", u->files);
    if (u->stands)
        buf_printf(text, "%s stands there", u->files ? " and" : "");
}

static void say_users(const char *path, const struct user *users, size_t n, size_t namespaces,
                      struct buf *text)
{
    buf_printf(text, "the file system of %s is used by %zu process%s%s", path, n,
               n == 1 ? "" : "es", n ? ": " : "");
    for (size_t i = 0; i < n && i < NAMED_AT_MOST; i++)
        say_user(&users[i], i == 0, text);
    if (n > NAMED_AT_MOST)
        buf_printf(text, " and %zu more", n - NAMED_AT_MOST);
    if (namespaces)
        buf_printf(text, "; it is mounted in %zu mount namespace%s besides this one", namespaces,
                   namespaces == 1 ? "" : "s");
    text_make_printable(text->text, text->len);
}

int users_describe(const struct attached_host *h, const char *path, json_t *texts, struct err *err)
{
    AUTO_CLOSE int root = -1;
    AUTO_PROCS all = {0};
    AUTO_BUF text = BUF_INIT;
    dev_t dev = 0;
    size_t n = 0;
    int r = place_root(h->at.pid, &root, err);
    if (r < 0)
        return r;
    AUTO_CLOSE int folder = place_open(root, path, NULL);
    if (folder < 0) {
        json_array_append_new(texts, json_sprintf("there is no folder %s at present", path));
        return 0;
    }
    if (!volume_device(folder, h->at.pid, &dev))
        return 0;
    if ((r = procs_scan(&all, err)) < 0)
        return r;
    AUTO_FREE struct user *users = calloc(all.n + 1, sizeof *users);
    if (!users)
        abort();
    for (size_t i = 0; i < all.n; i++) {
        struct user u = use_of(&all.items[i], dev);
        if ((u.files || u.stands) && u.who->pid != getpid())
            users[n++] = u;
    }
    qsort(users, n, sizeof *users, by_files);
    say_users(path, users, n, count_namespaces(&all, dev), &text);
    json_array_append_new(texts, json_string(buf_text(&text)));
    return 0;
}
