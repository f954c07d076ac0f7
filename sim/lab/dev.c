/* A host's own /dev; see dev.h.
 *
 * Kernel facts: device nodes can be made by nobody in a user namespace, but bound by everybody; a
 * file of a mount cannot be bound any more once another mount hides it, so the trees are taken
 * first. A tmpfs mounted by a user namespace opens no devices, whatever its flags (SB_I_NODEV); a
 * bound node keeps the flags of the mount it came from.
 *
 * Source: open_tree(2), devpts in Documentation/filesystems/devpts.rst; the list is bubblewrap's
 * (--dev), plus tun.
 */
#include "sim/lab/dev.h"

#include "sim/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

struct dev_node {
    const char *path;
    int tree; /* -1: this machine has none */
};

static int dev_take(struct dev_node *nodes, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        nodes[i].tree = open_tree(AT_FDCWD, nodes[i].path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (nodes[i].tree < 0 && errno != ENOENT)
            return err_errno(err, errno, "cannot take %s along", nodes[i].path);
    }
    return 0;
}

static int dev_put(const struct dev_node *nodes, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (nodes[i].tree < 0)
            continue;
        AUTO_CLOSE int fd = open(nodes[i].path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0 ||
            move_mount(nodes[i].tree, "", AT_FDCWD, nodes[i].path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
            return err_errno(err, errno, "cannot put %s in place", nodes[i].path);
    }
    return 0;
}

static int dev_links(struct err *err)
{
    static const char *const links[][2] = {{"/proc/self/fd", "/dev/fd"},
                                           {"/proc/self/fd/0", "/dev/stdin"},
                                           {"/proc/self/fd/1", "/dev/stdout"},
                                           {"/proc/self/fd/2", "/dev/stderr"},
                                           {"pts/ptmx", "/dev/ptmx"}};
    for (size_t i = 0; i < ARRAY_SIZE(links); i++)
        if (symlink(links[i][0], links[i][1]) < 0)
            return err_errno(err, errno, "cannot make %s for the host", links[i][1]);
    return 0;
}

static int dev_fill(const struct dev_node *nodes, size_t n, struct err *err)
{
    if (mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "mode=0755,size=1m,nr_inodes=1024") < 0)
        return err_errno(err, errno, "cannot mount a private /dev");
    if (mkdir("/dev/net", 0755) < 0 || mkdir("/dev/pts", 0755) < 0 || mkdir("/dev/shm", 0755) < 0)
        return err_errno(err, errno, "cannot make folders in the private /dev");
    int r = dev_put(nodes, n, err);
    if (r < 0)
        return r;
    /* Not gid=5: there may be no such group in a user namespace. */
    if (mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
              "newinstance,ptmxmode=0666,mode=0620") < 0)
        return err_errno(err, errno, "cannot mount a private /dev/pts");
    return dev_links(err);
}

int dev_mount(struct err *err)
{
    struct dev_node nodes[] = {{"/dev/null", -1},   {"/dev/zero", -1},    {"/dev/full", -1},
                               {"/dev/random", -1}, {"/dev/urandom", -1}, {"/dev/tty", -1},
                               {"/dev/net/tun", -1}};
    int r = dev_take(nodes, ARRAY_SIZE(nodes), err);
    if (r == 0)
        r = dev_fill(nodes, ARRAY_SIZE(nodes), err);
    for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
        if (nodes[i].tree >= 0)
            close(nodes[i].tree);
    return r;
}
