/* What of a lab is still there after its end: processes in its network namespaces. A namespace that
 * nobody is in and nobody holds is gone by itself.
 */
#include "sim/lab/lab.h"

#include "sim/kernel/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

int lab_leftovers(const char *const *ids, size_t n, json_t **ret_texts, struct err *err)
{
    AUTO_FREE struct netns_id *all = calloc(n + 1, sizeof *all);
    AUTO_FREE struct snapshot_process *found = NULL;
    size_t found_n = 0, unseen = 0;
    if (!all)
        return err_errno(err, ENOMEM, "cannot look for what is left");
    for (size_t i = 0; i < n; i++) {
        uint64_t dev, ino;
        if (sscanf(ids[i], "%" SCNu64 ":%" SCNu64, &dev, &ino) != 2)
            return err_set(err, EINVAL, "\"%s\" does not name a namespace", ids[i]);
        all[i] = (struct netns_id){.dev = dev, .ino = ino};
    }
    int r = snapshot_processes(all, n, &found, &found_n, &unseen, err);
    if (r < 0)
        return r;
    json_t *texts = json_array();
    for (size_t i = 0; i < found_n; i++)
        json_array_append_new(texts, json_sprintf("process %d (%s) in a host's network namespace",
                                                  found[i].pid, found[i].name));
    *ret_texts = texts;
    return 0;
}
