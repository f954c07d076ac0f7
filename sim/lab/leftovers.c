/* What of a lab is still there after its end: processes in its network namespaces. A namespace that
 * nobody is in and nobody holds is gone by itself, and the next one that anybody makes may get its inode
 * number. So an id is "dev:inode:cookie", and who is found by the number is asked for the cookie,
 * which the kernel gives to one namespace only until it boots again (SO_NETNS_COOKIE, since Linux
 * 5.14; 0: this kernel knows none, and the number must do).
 */
#include "sim/lab/lab.h"

#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/kernel/netns.h"
#include "sim/kernel/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

struct leftovers_id {
    struct netns_id netns;
    uint64_t cookie;
};

/* One that has ended meanwhile, or that we may not look into, is none of the lab's: its processes are
 * our own. */
static bool leftovers_is_ours(const struct snapshot_process *p, const struct leftovers_id *ids,
                              size_t n)
{
    char path[64];
    uint64_t cookie = 0;
    bool asked = false;
    for (size_t i = 0; i < n; i++) {
        if (ids[i].netns.dev != p->netns.dev || ids[i].netns.ino != p->netns.ino)
            continue;
        if (!ids[i].cookie)
            return true;
        if (!asked) {
            snprintf(path, sizeof path, "/proc/%d/ns/net", (int)p->pid);
            AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
            if (fd < 0 || netns_cookie(fd, &cookie, NULL) < 0)
                return false;
            asked = true;
        }
        if (cookie == ids[i].cookie)
            return true;
    }
    return false;
}

static int leftovers_find(const char *const *ids, size_t n, struct snapshot_process **ret,
                          size_t *ret_n, struct err *err)
{
    AUTO_FREE struct leftovers_id *all = calloc(n + 1, sizeof *all);
    AUTO_FREE struct netns_id *numbers = calloc(n + 1, sizeof *numbers);
    size_t unseen = 0, kept = 0;
    if (!all || !numbers)
        return err_errno(err, ENOMEM, "cannot look for what is left");
    for (size_t i = 0; i < n; i++) {
        uint64_t dev, ino, cookie;
        if (sscanf(ids[i], "%" SCNu64 ":%" SCNu64 ":%" SCNu64, &dev, &ino, &cookie) != 3)
            return err_set(err, EINVAL, "\"%s\" does not name a namespace", ids[i]);
        numbers[i] = (struct netns_id){.dev = dev, .ino = ino};
        all[i] = (struct leftovers_id){.netns = numbers[i], .cookie = cookie};
    }
    int r = snapshot_processes(numbers, n, ret, ret_n, &unseen, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < *ret_n; i++)
        if (leftovers_is_ours(&(*ret)[i], all, n))
            (*ret)[kept++] = (*ret)[i];
    *ret_n = kept;
    return r;
}

int lab_leftovers(const char *const *ids, size_t n, json_t **ret_texts, struct err *err)
{
    AUTO_FREE struct snapshot_process *found = NULL;
    size_t found_n = 0;
    int r = leftovers_find(ids, n, &found, &found_n, err);
    if (r < 0)
        return r;
    json_t *texts = json_array();
    for (size_t i = 0; i < found_n; i++) {
        AUTO_BUF text = BUF_INIT;
        buf_printf(&text, "process %d (%s) in a host's network namespace", found[i].pid,
                   found[i].name);
        json_array_append_new(texts, jsonx_new_text(buf_text(&text)));
    }
    *ret_texts = texts;
    return 0;
}

void lab_kill_leftovers(const char *const *ids, size_t n)
{
    AUTO_FREE struct snapshot_process *found = NULL;
    size_t found_n = 0;
    if (leftovers_find(ids, n, &found, &found_n, NULL) < 0)
        return;
    for (size_t i = 0; i < found_n; i++) {
        AUTO_FREE struct snapshot_process *again = NULL;
        size_t again_n = 0;
        AUTO_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, found[i].pid, 0);
        /* The pidfd holds whoever has this pid now: only if that is still one of the lab's. */
        if (pidfd < 0 || leftovers_find(ids, n, &again, &again_n, NULL) < 0)
            continue;
        for (size_t k = 0; k < again_n; k++)
            if (again[k].pid == found[i].pid && again[k].start == found[i].start)
                syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
    }
}
