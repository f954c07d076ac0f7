/* A file followed by polling its size: it works on every file system, costs a system call or two,
 * and the time of the look before bounds what is new from below, which inotify does not give.
 *
 * Invariants: `now` is the file that has the path, if any; `before` is the one that had it,
 * followed on for RENAMED_LINGER because its writer may not have reopened yet (logrotate's way).
 * `at` counts the bytes read. A truncated file starts anew; what was rewritten to the same length
 * between two looks is not noticed.
 */
#include "sim/watch/follow.h"

#include "sim/base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define RENAMED_LINGER (3 * NSEC_SEC)
#define LINE_MAX_BYTES 65536 /* what is longer is cut there */
#define CHUNK 65536
#define CHUNKS_PER_LOOK 64

struct file {
    int fd; /* -1: none */
    dev_t dev;
    ino_t ino;
    off_t at;
    struct buf part; /* of a line whose end has not come */
    bool too_long;   /* the rest of this line is dropped */
};

struct follow {
    char *path;
    struct file now, before;
    nsec before_until; /* when to let go of `before` */
    nsec last_look;
    follow_fn *fn;
    void *data;
};

static void file_close(struct file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    buf_done(&f->part);
    *f = (struct file){.fd = -1};
}

/* 0, or an errno. */
static int file_open(struct file *f, const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* never hangs on a FIFO */
    if (fd < 0)
        return errno;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return EINVAL;
    }
    *f = (struct file){.fd = fd, .dev = st.st_dev, .ino = st.st_ino};
    return 0;
}

static void file_bytes(struct file *f, const char *text, size_t n, const struct follow *w)
{
    while (n > 0) {
        const char *end = memchr(text, '\n', n);
        size_t len = end ? (size_t)(end - text) : n;
        size_t room = LINE_MAX_BYTES - f->part.len;
        if (!f->too_long)
            buf_add(&f->part, text, len < room ? len : room);
        f->too_long |= len > room;
        if (!end)
            return;
        w->fn(buf_text(&f->part), f->part.len, w->last_look, w->data);
        buf_clear(&f->part);
        f->too_long = false;
        text += len + 1;
        n -= len + 1;
    }
}

static void file_read_new(struct file *f, const struct follow *w)
{
    struct stat st;
    if (f->fd < 0 || fstat(f->fd, &st) < 0)
        return;
    if (st.st_size < f->at) {
        f->at = 0;
        buf_clear(&f->part);
        f->too_long = false;
    }
    char chunk[CHUNK];
    for (int i = 0; i < CHUNKS_PER_LOOK && f->at < st.st_size; i++) {
        ssize_t n = pread(f->fd, chunk, sizeof chunk, f->at);
        if (n <= 0)
            return;
        f->at += n;
        file_bytes(f, chunk, (size_t)n, w);
    }
}

struct follow *follow_new(const char *path, nsec now, follow_fn *fn, void *data)
{
    struct follow *f = calloc(1, sizeof *f);
    if (!f)
        abort();
    *f = (struct follow){.path = strdup(path),
                         .now = {.fd = -1},
                         .before = {.fd = -1},
                         .last_look = now,
                         .fn = fn,
                         .data = data};
    struct stat st;
    if (file_open(&f->now, path) == 0 && fstat(f->now.fd, &st) == 0)
        f->now.at = st.st_size;
    return f;
}

struct follow *follow_free(struct follow *f)
{
    if (!f)
        return NULL;
    file_close(&f->now);
    file_close(&f->before);
    free(f->path);
    free(f);
    return NULL;
}

bool follow_look(struct follow *f, nsec now)
{
    struct stat st;
    int code = stat(f->path, &st) < 0 ? errno : 0;
    bool is_other = f->now.fd >= 0 && (code || st.st_ino != f->now.ino || st.st_dev != f->now.dev);
    if (is_other) { /* renamed or removed: its writer may go on for a while */
        file_read_new(&f->before, f);
        file_close(&f->before);
        f->before = f->now;
        f->before_until = nsec_add(now, RENAMED_LINGER);
        f->now = (struct file){.fd = -1};
    }
    file_read_new(&f->before, f);
    if (f->before.fd >= 0 && now >= f->before_until)
        file_close(&f->before);
    if (f->now.fd < 0 && code == 0)
        code = file_open(&f->now, f->path);
    file_read_new(&f->now, f);
    f->last_look = now;
    errno = code;
    return code == 0 || code == ENOENT;
}
