/* Gives every file of the folders that are named to a fuzz target: its corpus as an ordinary test.
 */
#include "sim/base/cleanup.h"
#include "sim/base/file.h"
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int replay_folder(const char *folder, size_t *count)
{
    AUTO_CLOSEDIR DIR *dir = opendir(folder);
    if (!dir) {
        perror(folder);
        return -1;
    }
    for (struct dirent *e; (e = readdir(dir));) {
        struct stat st;
        struct err err = ERR_INIT;
        AUTO_FREE char *data = NULL;
        size_t n = 0;
        if (fstatat(dirfd(dir), e->d_name, &st, 0) < 0 || !S_ISREG(st.st_mode))
            continue;
        if (file_read(dirfd(dir), e->d_name, 1 << 22, &data, &n, &err) < 0) {
            fprintf(stderr, "%s\n", err.text);
            return -1;
        }
        LLVMFuzzerTestOneInput((const uint8_t *)data, n);
        ++*count;
    }
    return 0;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    for (int i = 1; i < argc; i++)
        if (replay_folder(argv[i], &count) < 0)
            return 1;
    printf("%zu inputs\n", count);
    return count ? 0 : 1;
}
