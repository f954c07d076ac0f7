/* Captured output of one unit. */
#include "sim/lab/output.h"

#include "sim/base/cleanup.h"
#include "sim/base/file.h"
#include "sim/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define OUTPUT_READS 8 /* per turn, so that a flood does not starve the rest of the loop */

/* A full disk must not end the drill, and a server that never stops writing must not fill one: the
 * lines are in the ring and with the handlers. */
static void output_log(struct output *o, const char *line, size_t len)
{
    static const char full[] = "(more than 64 MiB: what came then is not kept)\n";
    if (o->log_n + len + 1 > OUTPUT_LOG_MAX) {
        file_write_all(o->log_fd, full, sizeof full - 1, NULL);
        close(steal_fd(&o->log_fd));
        return;
    }
    o->log_n += len + 1;
    file_write_all(o->log_fd, line, len, NULL);
    file_write_all(o->log_fd, "\n", 1, NULL);
}

static void output_keep(struct output *o, const char *line, size_t len)
{
    struct output_line *slot = &o->ring[(o->first + o->n) % OUTPUT_RING];
    if (o->n == OUTPUT_RING) {
        slot = &o->ring[o->first];
        free(slot->text);
        o->first = (o->first + 1) % OUTPUT_RING;
    } else {
        o->n++;
    }
    slot->text = strndup(line, len);
    if (slot->text) /* for people and the record; the file keeps every byte */
        text_make_printable(slot->text, strlen(slot->text));
    slot->seq = (*o->seq)++;
    if (o->log_fd >= 0)
        output_log(o, line, len);
}

static void output_line(struct output *o, const char *line, size_t len, struct span at)
{
    if (len && line[len - 1] == '\r')
        len--;
    output_keep(o, line, len);
    o->fn(o, line, len, at, o->data);
}

static void output_take(struct output *o, const char *data, size_t n, struct span at)
{
    while (n && o->fd >= 0) {
        const char *end = memchr(data, '\n', n);
        size_t room = OUTPUT_LINE_MAX - o->partial.len;
        size_t len = end ? (size_t)(end - data) : n;
        bool whole = end && len <= room;
        if (len > room)
            len = room;
        if (whole && !o->partial.len) {
            output_line(o, data, len, at);
        } else {
            buf_add(&o->partial, data, len);
            if (whole || o->partial.len == OUTPUT_LINE_MAX) {
                struct buf line = o->partial;
                o->partial = BUF_INIT;
                output_line(o, line.text, line.len, at);
                buf_done(&line);
            }
        }
        data += len + whole;
        n -= len + whole;
    }
}

/* False at the end of file. */
static bool output_read(struct output *o)
{
    char chunk[16384];
    for (int i = 0; i < OUTPUT_READS && o->fd >= 0; i++) {
        nsec before = loop_fresh(o->loop);
        ssize_t n = read(o->fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            o->empty_at = before;
            return true;
        }
        struct span at = {o->empty_at, loop_fresh(o->loop)};
        if (n > 0) {
            output_take(o, chunk, (size_t)n, at);
            continue;
        }
        if (o->partial.len)
            output_take(o, "\n", 1, at);
        return false;
    }
    return true;
}

static void output_ready(struct loop_io *io, uint32_t events, void *data)
{
    struct output *o = data;
    if (!output_read(o))
        output_stop(o);
}

int output_open(struct output *o, struct loop *loop, int log_fd, uint64_t *seq, output_line_fn *fn,
                void *data, int *ret_write_fd, struct err *err)
{
    int fds[2];
    *o = (struct output){.loop = loop,
                         .io = {.fn = output_ready, .data = o},
                         .fd = -1,
                         .log_fd = log_fd,
                         .seq = seq,
                         .fn = fn,
                         .data = data};
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_errno(err, errno, "cannot make a pipe for output");
    AUTO_CLOSE int write_fd = fds[1];
    o->fd = fds[0];
    int r = fcntl(o->fd, F_SETFL, O_NONBLOCK) < 0 ? err_errno(err, errno, "cannot set up a pipe")
                                                  : loop_io_add(loop, &o->io, o->fd, EPOLLIN, err);
    if (r < 0) {
        close(steal_fd(&o->fd));
        return r;
    }
    o->empty_at = loop_fresh(loop);
    *ret_write_fd = steal_fd(&write_fd);
    return 0;
}

void output_drain(struct output *o)
{
    if (o->fd >= 0 && !output_read(o))
        output_stop(o);
}

void output_stop(struct output *o)
{
    if (o->fd < 0)
        return;
    loop_io_remove(o->loop, &o->io);
    close(steal_fd(&o->fd));
}

void output_close(struct output *o)
{
    if (!o->loop)
        return;
    output_stop(o);
    if (o->log_fd >= 0)
        close(o->log_fd);
    for (size_t i = 0; i < o->n; i++)
        free(o->ring[(o->first + i) % OUTPUT_RING].text);
    buf_done(&o->partial);
    *o = (struct output){.fd = -1, .log_fd = -1};
}

void output_look(struct output *const *all, size_t n)
{
    AUTO_FREE struct pollfd *fds = calloc(n + 1, sizeof *fds);
    if (!fds || !n)
        return;
    for (size_t i = 0; i < n; i++)
        fds[i] = (struct pollfd){.fd = all[i]->fd, .events = POLLIN};
    nsec now = loop_fresh(all[0]->loop);
    if (poll(fds, n, 0) < 0)
        return;
    for (size_t i = 0; i < n; i++)
        if (!fds[i].revents)
            all[i]->empty_at = now;
}
