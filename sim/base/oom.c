/* See oom.h. */
#include "sim/base/oom.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define OOM_FILE "/proc/self/oom_score_adj"

static bool score_is(const char *want)
{
    char text[16];
    int fd = open(OOM_FILE, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (fd >= 0)
        close(fd);
    size_t len = strlen(want);
    return n == (ssize_t)len + 1 && memcmp(text, want, len) == 0 && text[len] == '\n';
}

static void set_score(const char *score)
{
    int fd = open(OOM_FILE, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!write(fd, score, strlen(score));
    close(fd);
}

void oom_spare(void)
{
    if (score_is("0"))
        set_score(OOM_SPARED);
}

void oom_ordinary(void)
{
    if (score_is(OOM_SPARED))
        set_score("0");
}
