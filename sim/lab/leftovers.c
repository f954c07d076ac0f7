/* What of a lab is still there after its end: processes in its network namespaces. A namespace that
 * nobody is in and nobody holds is gone by itself.
 */
#include "sim/lab/lab.h"

#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/kernel/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

static int leftovers_find(const char *const *ids, size_t n, struct snapshot_process **ret,
                          size_t *ret_n, struct err *err)
{
    AUTO_FREE struct netns_id *all = calloc(n + 1, sizeof *all);
    size_t unseen = 0;
    if (!all)
        return err_errno(err, ENOMEM, "cannot look for what is left");
    for (size_t i = 0; i < n; i++) {
        uint64_t dev, ino;
        if (sscanf(ids[i], "%" SCNu64 ":%" SCNu64, &dev, &ino) != 2)
            return err_set(err, EINVAL, "\"%s\" does not name a namespace", ids[i]);
        all[i] = (struct netns_id){.dev = dev, .ino = ino};
    }
    return snapshot_processes(all, n, ret, ret_n, &unseen, err);
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
