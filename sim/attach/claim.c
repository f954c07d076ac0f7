/* Claims on processes that are not there yet. See claim.h. */
#include "sim/attach/claim.h"

#include "sim/attach/kind.h"
#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLAIM_NAME "blackstart-claims"
#define CLAIM_LINK "/memfd:" CLAIM_NAME /* as /proc/PID/fd shows it (memfd_create(2)) */
#define CLAIM_BYTES_MAX ((size_t)4 << 20)

int claim_write(const struct attached *a, int *fd, struct err *err)
{
    AUTO_JSON *claims = json_array();
    AUTO_BUF text = BUF_INIT;
    for (size_t i = 0; i < a->n; i++)
        if (a->items[i].kind->claims)
            json_array_append_new(claims, attached_identity(&a->items[i]));
    jsonx_dump(claims, &text);
    int to = *fd < 0 ? memfd_create(CLAIM_NAME, MFD_CLOEXEC) : *fd;
    if (to < 0 || ftruncate(to, 0) < 0 ||
        pwrite(to, buf_text(&text), text.len, 0) != (ssize_t)text.len) {
        int code = errno;
        if (*fd < 0 && to >= 0)
            close(to);
        return err_errno(err, code, "writing down what is claimed");
    }
    *fd = to;
    return 0;
}

/* One that these claims mean; NULL: none. What cannot be looked at is nobody's. */
static const struct proc *claimed_by(const json_t *claims, const struct procs *all, const bool *own)
{
    AUTO_FREE bool *its = calloc(all->n + 1, sizeof *its);
    size_t i;
    const json_t *identity;
    if (!its)
        abort();
    json_array_foreach (claims, i, identity) {
        const struct attached_kind *k = attached_kind_named(identity);
        memset(its, 0, all->n * sizeof *its);
        if (!k || !k->claims || k->claims(identity, all, its, NULL) < 0)
            continue;
        for (size_t p = 0; p < all->n; p++)
            if (its[p] && own[p])
                return &all->items[p];
    }
    return NULL;
}

/* Among the descriptors of one process. */
static const struct proc *claimed_in(DIR *fds, const struct stat *ours, const struct procs *all,
                                     const bool *own)
{
    const struct proc *found = NULL;
    for (const struct dirent *e; !found && (e = readdir(fds));) {
        char link[64] = "";
        struct stat st;
        AUTO_FREE char *text = NULL;
        AUTO_JSON *claims = NULL;
        size_t n = 0;
        if (readlinkat(dirfd(fds), e->d_name, link, sizeof link - 1) < 0 ||
            strncmp(link, CLAIM_LINK, strlen(CLAIM_LINK)) != 0 ||
            fstatat(dirfd(fds), e->d_name, &st, 0) < 0 ||
            (st.st_ino == ours->st_ino && st.st_dev == ours->st_dev))
            continue;
        if (file_read(dirfd(fds), e->d_name, CLAIM_BYTES_MAX, &text, &n, NULL) == 0 &&
            jsonx_parse(text, n, "claims", &claims, NULL) == 0)
            found = claimed_by(claims, all, own);
    }
    return found;
}

const struct proc *claim_find(int fd, const struct procs *all, const bool *own, pid_t *ret_holder)
{
    const struct proc *found = NULL;
    struct stat ours = {0};
    AUTO_CLOSEDIR DIR *proc = opendir("/proc");
    if (fd >= 0)
        (void)fstat(fd, &ours);
    for (const struct dirent *e; !found && proc && (e = readdir(proc));) {
        char path[300];
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        snprintf(path, sizeof path, "/proc/%s/fd", e->d_name);
        AUTO_CLOSEDIR DIR *fds = opendir(path);
        found = fds ? claimed_in(fds, &ours, all, own) : NULL;
        if (found)
            *ret_holder = (pid_t)strtol(e->d_name, NULL, 10);
    }
    return found;
}
