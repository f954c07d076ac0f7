/* Captured output of one unit: a pipe read in the loop, cut into lines, kept in a ring and a file.
 *
 * Ownership: embed it, output_open() … output_close(). The writing end is the caller's to hand on.
 *
 * When a line was written: after the last time the pipe was seen empty, before it was read. A look
 * at all pipes every OUTPUT_LOOK (output_look()) keeps that interval short on a quiet loop.
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/base/err.h"
#include "sim/loop/loop.h"

#define OUTPUT_LOG_MAX (64 << 20) /* bytes of its file; what comes then is not kept */
#define OUTPUT_LINE_MAX 4096      /* longer ones are cut in pieces */
#define OUTPUT_RING 64
#define OUTPUT_LOOK (10 * NSEC_MSEC)

struct output;
typedef void output_line_fn(struct output *o, const char *line, size_t len, struct span at,
                            void *data);

struct output_line {
    uint64_t seq; /* over all outputs of a host */
    char *text;
};

struct output {
    struct loop *loop;
    struct loop_io io;
    int fd;       /* reading end; -1: closed */
    int log_fd;   /* owned; -1: not kept */
    size_t log_n; /* bytes written to it */
    nsec empty_at;
    uint64_t *seq;
    struct buf partial;
    struct output_line ring[OUTPUT_RING]; /* from `first` */
    size_t first, n;
    output_line_fn *fn;
    void *data;
};

/* Opens the pipe; ret_write_fd is the caller's. Takes log_fd. */
int output_open(struct output *o, struct loop *loop, int log_fd, uint64_t *seq, output_line_fn *fn,
                void *data, int *ret_write_fd, struct err *err);
/* Reads what is there now. */
void output_drain(struct output *o);
/* Stops reading; the ring stays until output_close(). */
void output_stop(struct output *o);
void output_close(struct output *o);
/* Notes for each pipe of `all` that is empty now that it is. */
void output_look(struct output *const *all, size_t n);
