/* See bench_bare.h. */
#include "tests/bench/bench_bare.h"

#include "tests/bench/bench.h"

#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void bench_bare_done(struct bench_bare *b)
{
    buf_done(&b->bytes);
    free(b->at);
    *b = (struct bench_bare){.bytes = BUF_INIT};
}

void bench_bare_keep(const struct nl_seen *s, void *data)
{
    struct bench_bare *b = data;
    if (!s->bytes)
        return;
    b->at = realloc(b->at, (b->n + 2) * sizeof *b->at);
    if (!b->at)
        abort();
    b->at[b->n++] = b->bytes.len;
    buf_add(&b->bytes, s->bytes, s->n);
    while (b->bytes.len % NLMSG_ALIGNTO)
        buf_addc(&b->bytes, '\0');
    b->at[b->n] = b->bytes.len;
}

char *bench_bare_message(const struct bench_bare *b, size_t i, size_t *ret_n)
{
    *ret_n = b->at[i + 1] - b->at[i];
    return b->bytes.text + b->at[i];
}

void bench_bare_send(const struct bench_bare *b, size_t i, size_t n, int fd)
{
    char answer[4096], *last = b->bytes.text + b->at[i + n - 1];
    size_t bytes = b->at[i + n] - b->at[i];
    struct nlmsghdr h;
    struct nlmsgerr e;
    memcpy(&h, last, sizeof h);
    h.nlmsg_flags |= NLM_F_ACK;
    memcpy(last, &h, sizeof h);
    if (send(fd, b->bytes.text + b->at[i], bytes, 0) != (ssize_t)bytes ||
        recv(fd, answer, sizeof answer, 0) < (ssize_t)NLMSG_LENGTH(sizeof e))
        bench_fail("a bare message");
    memcpy(&e, answer + NLMSG_HDRLEN, sizeof e);
    if (e.error)
        bench_fail("a bare message: %s", strerror(-e.error));
}
