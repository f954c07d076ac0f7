/* Files and folders. */
#include "sim/base/file.h"

#include "sim/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int file_read(int dirfd, const char *path, size_t limit, char **ret, size_t *ret_n, struct err *err)
{
    AUTO_CLOSE int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "cannot read %s", path);
    size_t n = 0, room = 4096;
    AUTO_FREE char *data = malloc(room + 1);
    if (!data)
        abort();
    for (;;) {
        ssize_t r = read(fd, data + n, room - n);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return err_errno(err, errno, "cannot read %s", path);
        if (!r)
            break;
        n += (size_t)r;
        if (n > limit)
            return err_set(err, EFBIG, "%s is larger than %zu bytes", path, limit);
        if (n == room) {
            room *= 2;
            char *more = realloc(data, room + 1);
            if (!more)
                abort();
            data = more;
        }
    }
    data[n] = '\0';
    *ret = steal_ptr(data);
    if (ret_n)
        *ret_n = n;
    return 0;
}

int file_write_all(int fd, const void *data, size_t n, struct err *err)
{
    const char *p = data;
    while (n) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return err_errno(err, errno, "cannot write");
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

int file_replace(int dirfd, const char *path, const void *data, size_t n, struct err *err)
{
    char tmp[PATH_MAX];
    if ((size_t)snprintf(tmp, sizeof tmp, "%s.new", path) >= sizeof tmp)
        return err_set(err, ENAMETOOLONG, "the path %s is too long", path);
    /* The folder may belong to somebody else, who could put a link there: never written through. */
    unlinkat(dirfd, tmp, 0);
    AUTO_CLOSE int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_errno(err, errno, "cannot write %s", path);
    int r = file_write_all(fd, data, n, err);
    if (r == 0 && fsync(fd) < 0)
        r = err_errno(err, errno, "cannot write");
    if (r == 0 && renameat(dirfd, tmp, dirfd, path) < 0)
        r = err_errno(err, errno, "cannot rename");
    if (r < 0) {
        unlinkat(dirfd, tmp, 0);
        return err_prefix(err, "%s", path);
    }
    return 0;
}

int file_make_dirs(int dirfd, const char *path, mode_t mode, struct err *err)
{
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n >= sizeof part)
        return err_set(err, ENAMETOOLONG, "the path %s is too long", path);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdirat(dirfd, part, mode) < 0 && errno != EEXIST)
            return err_errno(err, errno, "cannot make the folder %s", part);
    }
    return 0;
}

static int file_remove_in(int dirfd, const char *name, dev_t dev, int depth, struct err *err)
{
    struct stat st;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : err_errno(err, errno, "cannot remove %s", name);
    if (!S_ISDIR(st.st_mode)) {
        if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
            return err_errno(err, errno, "cannot remove %s", name);
        return 0;
    }
    if (dev && st.st_dev != dev)
        return err_set(err, EXDEV, "cannot remove %s: another file system is mounted there", name);
    if (depth > 64)
        return err_set(err, ELOOP, "cannot remove %s: too deep", name);
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "cannot open %s", name);
    AUTO_CLOSEDIR DIR *d = fdopendir(fd);
    if (!d) {
        close(fd);
        return err_errno(err, errno, "cannot open %s", name);
    }
    for (struct dirent *e; (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        int r = file_remove_in(fd, e->d_name, st.st_dev, depth + 1, err);
        if (r < 0)
            return r;
    }
    if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return err_errno(err, errno, "cannot remove %s", name);
    return 0;
}

int file_remove_tree(int dirfd, const char *path, struct err *err)
{
    return file_remove_in(dirfd, path, 0, 0, err);
}

static int file_copy_one(int from_dirfd, const char *from, int to_dirfd, const char *to,
                         const struct stat *st, struct err *err)
{
    AUTO_CLOSE int in = openat(from_dirfd, from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (in < 0)
        return err_errno(err, errno, "cannot read %s", from);
    AUTO_CLOSE int out =
        openat(to_dirfd, to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0)
        return err_errno(err, errno, "cannot write %s", to);
    char chunk[65536];
    for (;;) {
        ssize_t n = read(in, chunk, sizeof chunk);
        if (n < 0)
            return err_errno(err, errno, "cannot read %s", from);
        if (!n)
            break;
        int r = file_write_all(out, chunk, (size_t)n, err);
        if (r < 0)
            return err_prefix(err, "%s", to);
    }
    if (fchmod(out, st->st_mode & 0777) < 0)
        return err_errno(err, errno, "cannot set the mode of %s", to);
    return 0;
}

static int file_copy_in(int from_dirfd, const char *from, int to_dirfd, const char *to, int depth,
                        struct err *err)
{
    struct stat st;
    if (fstatat(from_dirfd, from, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno(err, errno, "cannot read %s", from);
    if (S_ISLNK(st.st_mode)) {
        char link[PATH_MAX];
        ssize_t n = readlinkat(from_dirfd, from, link, sizeof link - 1);
        if (n < 0)
            return err_errno(err, errno, "cannot read %s", from);
        link[n] = '\0';
        if (symlinkat(link, to_dirfd, to) < 0)
            return err_errno(err, errno, "cannot write %s", to);
        return 0;
    }
    if (S_ISREG(st.st_mode))
        return file_copy_one(from_dirfd, from, to_dirfd, to, &st, err);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, EINVAL, "%s is neither a file nor a folder", from);
    if (depth > 32)
        return err_set(err, ELOOP, "%s: folders too deep", from);
    if (mkdirat(to_dirfd, to, (st.st_mode & 0777) | 0700) < 0 && errno != EEXIST)
        return err_errno(err, errno, "cannot make the folder %s", to);
    AUTO_CLOSE int to_fd = openat(to_dirfd, to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int from_fd = openat(from_dirfd, from, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    AUTO_CLOSEDIR DIR *d = from_fd < 0 ? NULL : fdopendir(from_fd);
    if (!d || to_fd < 0)
        return err_errno(err, errno, "cannot copy %s", from);
    for (struct dirent *e; (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        int r = file_copy_in(from_fd, e->d_name, to_fd, e->d_name, depth + 1, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Opens the folder that `path` stands in; `resolve`: how far that may lead (openat2(2)). *ret_name: the last part, in `copy`. */
static int file_parent(int dirfd, const char *path, uint64_t resolve, char copy[PATH_MAX],
                       int *ret_fd, const char **ret_name, struct err *err)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    if (n == 0 || n >= PATH_MAX)
        return err_set(err, ENAMETOOLONG, "the path \"%s\" cannot be used", path);
    memcpy(copy, path, n);
    copy[n] = '\0';
    char *slash = strrchr(copy, '/');
    const char *name = slash ? slash + 1 : copy;
    if (!strcmp(name, ".."))
        return err_set(err, EXDEV, "%s leads out of its folder", path);
    if (slash)
        *slash = '\0';
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = resolve};
    int fd = (int)syscall(SYS_openat2, dirfd, !slash ? "." : *copy ? copy : "/", &how, sizeof how);
    if (fd < 0 && (errno == EXDEV || errno == ELOOP))
        return err_set(err, errno, "%s leads out of its folder by a symbolic link", path);
    if (fd < 0)
        return err_errno(err, errno, "cannot open the folder of %s", path);
    *ret_fd = fd;
    *ret_name = name;
    return 0;
}

/* The folders above `path`, each made or entered without following a link. */
static int file_make_parents(int dirfd, const char *path, struct err *err)
{
    AUTO_CLOSE int at = openat(dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (const char *slash; (slash = strchr(path, '/')); path = slash + 1) {
        char part[NAME_MAX + 1];
        size_t n = (size_t)(slash - path);
        if (n == 0 || slash[1] == '\0')
            continue;
        if (n > NAME_MAX)
            return err_set(err, ENAMETOOLONG, "the path %s is too long", path);
        memcpy(part, path, n);
        part[n] = '\0';
        if (!strcmp(part, ".."))
            return err_set(err, EXDEV, "%s leads out of its folder", path);
        if (mkdirat(at, part, 0755) < 0 && errno != EEXIST)
            return err_errno(err, errno, "cannot make the folder %s", part);
        int next = openat(at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            return err_errno(err, errno, "cannot make the folder %s", part);
        close(at);
        at = next;
    }
    return 0;
}

int file_copy_tree(int from_dirfd, const char *from, int to_dirfd, const char *to, struct err *err)
{
    char from_copy[PATH_MAX], to_copy[PATH_MAX];
    const char *from_name, *to_name;
    AUTO_CLOSE int from_parent = -1;
    AUTO_CLOSE int to_parent = -1;
    int r = file_parent(from_dirfd, from, *from == '/' ? 0 : RESOLVE_BENEATH, from_copy,
                        &from_parent, &from_name, err);
    if (r == 0)
        r = file_make_parents(to_dirfd, to, err);
    if (r == 0)
        r = file_parent(to_dirfd, to, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, to_copy, &to_parent,
                        &to_name, err);
    return r < 0 ? r : file_copy_in(from_parent, from_name, to_parent, to_name, 0, err);
}

static int by_number(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

void file_close_others(int *keep, size_t n)
{
    unsigned from = STDERR_FILENO + 1;
    qsort(keep, n, sizeof *keep, by_number);
    for (size_t i = 0; i < n; i++) {
        if (keep[i] <= STDERR_FILENO)
            continue;
        if ((unsigned)keep[i] > from)
            close_range(from, (unsigned)keep[i] - 1, 0);
        from = (unsigned)keep[i] + 1;
    }
    close_range(from, ~0u, 0);
}
