/* See clock.h. Source: the README of libfaketime 0.9.10. */
#include "sim/lab/clock.h"

#include "sim/base/file.h"
#include "sim/kernel/faketime.h"
#include "sim/lab/deed.h"
#include "sim/lab/node.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const unsigned char preload_sleep[] = {
#include <preload_sleep.inc.h>
};

static int clock_write(int dir_fd, nsec offset, struct err *err)
{
    char text[48];
    nsec abs = offset < 0 ? -offset : offset;
    /* Of no use after the machine's end, and written often: without fsync(2). */
    int n = snprintf(text, sizeof text, "%c%lld.%09lld\n", offset < 0 ? '-' : '+',
                     (long long)(abs / NSEC_SEC), (long long)(abs % NSEC_SEC));
    unlinkat(dir_fd, CLOCK_FILE ".new", 0); /* whatever somebody put there */
    AUTO_CLOSE int fd =
        openat(dir_fd, CLOCK_FILE ".new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_errno(err, errno, "cannot write %s", CLOCK_FILE);
    int r = file_write_all(fd, text, (size_t)n, err);
    if (r == 0 && (fchmod(fd, 0644) < 0 || /* servers change their user */
                   renameat(dir_fd, CLOCK_FILE ".new", dir_fd, CLOCK_FILE) < 0))
        r = err_errno(err, errno, "cannot replace %s", CLOCK_FILE);
    return r;
}

int clock_begin(int dir_fd, struct err *err)
{
    int r = file_replace(dir_fd, CLOCK_SLEEP_FILE, preload_sleep, sizeof preload_sleep, err);
    if (r == 0 && fchmodat(dir_fd, CLOCK_SLEEP_FILE, 0755, 0) < 0)
        r = err_errno(err, errno, "cannot open %s to all", CLOCK_SLEEP_FILE);
    return r < 0 ? r : clock_write(dir_fd, 0, err);
}

size_t clock_environment(const char *dir, struct clock_variable ret[CLOCK_VARIABLES])
{
    char library[PATH_MAX];
    if (!faketime_library(library))
        return 0;
    ret[0].name = "LD_PRELOAD";
    snprintf(ret[0].value, sizeof ret[0].value, "%s/%s:%s", dir, CLOCK_SLEEP_FILE, library);
    ret[1].name = "FAKETIME_TIMESTAMP_FILE";
    snprintf(ret[1].value, sizeof ret[1].value, "%s/%s", dir, CLOCK_FILE);
    ret[2] = (struct clock_variable){"FAKETIME_NO_CACHE", "1"}; /* else it takes up to 10 s */
    ret[3] = (struct clock_variable){"FAKETIME_DONT_FAKE_MONOTONIC", "1"};
    return CLOCK_VARIABLES;
}

static int clock_refuse(const struct lab_node *n, struct err *err)
{
    return err_set(err, EOPNOTSUPP,
                   "host %s was not started so that the clock of its programs could be set",
                   n->host->name);
}

int lab_node_clock_set(struct lab_node *n, nsec offset, struct err *err)
{
    AUTO_BUF text = BUF_INIT;
    if (!n->host->clock || n->dir_fd < 0)
        return clock_refuse(n, err);
    int r = clock_write(n->dir_fd, offset, err);
    deed_clock(offset, &text);
    if (r == 0)
        lab_node_tell(n, buf_text(&text));
    return r;
}

int lab_node_clock_get(const struct lab_node *n, nsec *ret, struct err *err)
{
    AUTO_FREE char *text = NULL;
    size_t len;
    if (!n->host->clock || n->dir_fd < 0)
        return clock_refuse(n, err);
    int r = file_read(n->dir_fd, CLOCK_FILE, 100, &text, &len, err);
    if (r < 0)
        return r;
    char *end;
    long long seconds = strtoll(text, &end, 10),
              part = *end == '.' ? strtoll(end + 1, NULL, 10) : 0;
    *ret = seconds * NSEC_SEC + (text[0] == '-' ? -part : part);
    return 0;
}
