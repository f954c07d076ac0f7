/* Mounts as text. See mounts.h. */
#include "sim/kernel/mounts.h"

#include "sim/base/buf.h"
#include "sim/base/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define CHUNK 65536

int mounts_open(pid_t pid, int *ret, struct err *err)
{
    char path[64] = "/proc/self/mountinfo";
    if (pid)
        snprintf(path, sizeof path, "/proc/%d/mountinfo", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "what is mounted cannot be read: %s", path);
    *ret = fd;
    return 0;
}

static int read_whole(int fd, struct buf *text, struct err *err)
{
    AUTO_FREE char *chunk = malloc(CHUNK);
    if (!chunk)
        abort();
    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_errno(err, errno, "what is mounted cannot be read");
    for (;;) {
        ssize_t n = read(fd, chunk, CHUNK);
        if (n < 0)
            return err_errno(err, errno, "what is mounted cannot be read");
        if (n == 0)
            return 0;
        buf_add(text, chunk, (size_t)n);
    }
}

/* "36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw" */
static bool split(char *line, struct mount_line *ret)
{
    char *left = line, *word[6], *late[3] = {NULL};
    char *rest = strstr(line, " - ");
    unsigned major, minor;
    if (!rest)
        return false;
    *rest = '\0';
    rest += strlen(" - ");
    for (size_t i = 0; i < ARRAY_SIZE(word); i++)
        if (!(word[i] = strsep(&left, " ")))
            return false;
    for (size_t i = 0; i < ARRAY_SIZE(late) && rest; i++)
        late[i] = strsep(&rest, " ");
    if (sscanf(word[2], "%u:%u", &major, &minor) != 2)
        return false;
    *ret = (struct mount_line){.id = strtoul(word[0], NULL, 10),
                               .dev = makedev(major, minor),
                               .root = word[3],
                               .point = word[4],
                               .flags = word[5],
                               .type = late[0] ? late[0] : "?",
                               .source = late[1] ? late[1] : "?",
                               .options = late[2] ? late[2] : ""};
    return true;
}

/* Blanks and the like in names are written \040; in place. */
static const char *unescaped(const char *text)
{
    char *to = (char *)(uintptr_t)text;
    for (const char *from = text; (*to = *from); to++, from++) {
        if (from[0] != '\\' || strspn(from + 1, "01234567") < 3)
            continue;
        *to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
        from += 3;
    }
    return text;
}

int mounts_each(int fd, mounts_fn *fn, void *data, struct err *err)
{
    AUTO_BUF text = BUF_INIT;
    int r = read_whole(fd, &text, err);
    if (r < 0 || !text.len)
        return r;
    for (char *line, *left = text.text; r == 0 && (line = strsep(&left, "\n"));) {
        struct mount_line m;
        if (!split(line, &m))
            continue;
        (void)unescaped(m.root), (void)unescaped(m.point);
        (void)unescaped(m.source), (void)unescaped(m.options);
        r = fn(&m, data);
    }
    return r;
}

int mounts_describe(int fd, rtnl_line *fn, void *data, struct err *err)
{
    AUTO_BUF text = BUF_INIT;
    int r = read_whole(fd, &text, err);
    if (r < 0 || !text.len)
        return r;
    for (char *line, *left = text.text; (line = strsep(&left, "\n"));) {
        AUTO_BUF one = BUF_INIT;
        struct mount_line m;
        if (!split(line, &m))
            continue;
        buf_printf(&one, "mount on=%s of=%s type=%s source=%s flags=%s options=%s", m.point, m.root,
                   m.type, m.source, m.flags, m.options);
        fn(buf_text(&one), data);
    }
    return 0;
}
