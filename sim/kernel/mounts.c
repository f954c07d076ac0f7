/* Mounts as text. See mounts.h. */
#include "sim/kernel/mounts.h"

#include "sim/base/buf.h"
#include "sim/base/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
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

/* "36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw": blanks in names are written \040. */
static void tell(char *line, rtnl_line *fn, void *data)
{
    AUTO_BUF text = BUF_INIT;
    char *left = line, *word[6], *late[3] = {NULL};
    char *rest = strstr(line, " - ");
    if (!rest)
        return;
    *rest = '\0';
    rest += strlen(" - ");
    for (size_t i = 0; i < ARRAY_SIZE(word); i++)
        if (!(word[i] = strsep(&left, " ")))
            return;
    for (size_t i = 0; i < ARRAY_SIZE(late) && rest; i++)
        late[i] = strsep(&rest, " ");
    buf_printf(&text, "mount on=%s of=%s type=%s source=%s flags=%s options=%s", word[4], word[3],
               late[0] ? late[0] : "?", late[1] ? late[1] : "?", word[5], late[2] ? late[2] : "");
    fn(buf_text(&text), data);
}

int mounts_describe(int fd, rtnl_line *fn, void *data, struct err *err)
{
    AUTO_BUF text = BUF_INIT;
    int r = read_whole(fd, &text, err);
    if (r < 0 || !text.len)
        return r;
    for (char *line, *left = text.text; (line = strsep(&left, "\n"));)
        tell(line, fn, data);
    return 0;
}
