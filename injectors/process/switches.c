/* How often threads ran. See switches.h. */
#include "injectors/process/switches.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/cleanup.h"
#include "sim/base/file.h"

uint64_t switches_of(pid_t pid)
{
    char path[64];
    uint64_t sum = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    AUTO_CLOSEDIR DIR *tasks = opendir(path);
    for (const struct dirent *e; tasks && (e = readdir(tasks));) {
        char name[300];
        AUTO_FREE char *text = NULL;
        size_t n;
        snprintf(name, sizeof name, "%s/status", e->d_name);
        if (e->d_name[0] == '.' || file_read(dirfd(tasks), name, 65536, &text, &n, NULL) < 0)
            continue;
        static const char *const keys[] = {"\nvoluntary_ctxt_switches:",
                                           "\nnonvoluntary_ctxt_switches:"};
        for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
            const char *at = strstr(text, keys[k]);
            sum += at ? strtoull(at + strlen(keys[k]), NULL, 10) : 0;
        }
    }
    return sum;
}
