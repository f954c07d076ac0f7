/* Messages between the runner and a host's agent.
 *
 * A packet's first byte says where the text is: 'J' behind it, 'M' in a memfd that comes as the
 * first descriptor. A packet is limited by the socket's send buffer (net.core.wmem_default), which
 * user namespaces cannot raise: hence the memfd.
 */
#include "sim/lab/proto.h"

#include "sim/base/cleanup.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define PROTO_INLINE_MAX 32768

void proto_fds_close(struct proto_fds *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->fds[i] >= 0)
            close(f->fds[i]);
    f->n = 0;
}

int proto_pair(int ret[2], struct err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_errno(err, errno, "cannot make a socket pair");
    struct timeval limit = {.tv_sec = 5};
    for (int i = 0; i < 2; i++)
        setsockopt(pair[i], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    memcpy(ret, pair, sizeof pair);
    return 0;
}

static int proto_sendmsg(int sock, struct iovec *iov, size_t n_iov, const int *fds, size_t n_fds,
                         struct err *err)
{
    union {
        struct cmsghdr head; /* for its alignment */
        char space[CMSG_SPACE(sizeof(int) * PROTO_FDS_MAX)];
    } control;
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = n_iov};
    if (n_fds) {
        memset(&control, 0, sizeof control);
        m.msg_control = control.space;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
    }
    ssize_t n;
    do
        n = sendmsg(sock, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_errno(err, errno == EAGAIN ? ETIMEDOUT : errno, "cannot send a message");
    return 0;
}

int proto_send(int sock, const json_t *msg, const int *fds, size_t n_fds, struct err *err)
{
    AUTO_BUF text = BUF_INIT;
    jsonx_dump(msg, &text);
    if (n_fds + 1 > PROTO_FDS_MAX)
        return err_set(err, E2BIG, "too many descriptors in one message");
    if (text.len <= PROTO_INLINE_MAX) {
        char kind = 'J';
        struct iovec iov[] = {{&kind, 1}, {text.text, text.len}};
        return proto_sendmsg(sock, iov, 2, fds, n_fds, err);
    }
    int all[PROTO_FDS_MAX];
    AUTO_CLOSE int mem = memfd_create("blackstart-message", MFD_CLOEXEC);
    if (mem < 0)
        return err_errno(err, errno, "cannot make a memfd");
    int r = file_write_all(mem, text.text, text.len, err);
    if (r < 0)
        return r;
    all[0] = mem;
    for (size_t i = 0; i < n_fds; i++)
        all[i + 1] = fds[i];
    char kind = 'M';
    struct iovec iov[] = {{&kind, 1}};
    return proto_sendmsg(sock, iov, 1, all, n_fds + 1, err);
}

static void proto_take_fds(struct msghdr *m, struct proto_fds *ret)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n && ret->n < PROTO_FDS_MAX; i++)
            memcpy(&ret->fds[ret->n++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
}

/* The text of an 'M' packet; takes the memfd out of `fds`. */
static int proto_from_memfd(struct proto_fds *fds, char **ret, size_t *ret_n, struct err *err)
{
    struct stat st;
    if (!fds->n || fstat(fds->fds[0], &st) < 0)
        return err_set(err, EPROTO, "a message came without its text");
    AUTO_CLOSE int mem = fds->fds[0];
    fds->n--;
    memmove(fds->fds, fds->fds + 1, fds->n * sizeof(int));
    size_t size = (size_t)st.st_size;
    AUTO_FREE char *text = malloc(size + 1);
    if (!text || pread(mem, text, size, 0) != st.st_size)
        return err_set(err, EPROTO, "a message's text cannot be read");
    *ret = steal_ptr(text);
    *ret_n = size;
    return 0;
}

int proto_recv(int sock, json_t **ret, struct proto_fds *ret_fds, struct err *err)
{
    char packet[PROTO_INLINE_MAX + 1];
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int) * PROTO_FDS_MAX)];
    } control;
    struct iovec iov = {packet, sizeof packet};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.space,
                       .msg_controllen = sizeof control.space};
    ssize_t n;
    do
        n = recvmsg(sock, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return PROTO_EOF;
    if (n < 0 && errno == EAGAIN)
        return PROTO_NOTHING;
    if (n < 0)
        return err_errno(err, errno, "cannot receive a message");
    struct proto_fds fds = {.n = 0};
    proto_take_fds(&m, &fds);
    AUTO_FREE char *far = NULL;
    const char *text = packet + 1;
    size_t len = (size_t)n - 1;
    int r = 0;
    if (packet[0] == 'M') {
        r = proto_from_memfd(&fds, &far, &len, err);
        text = far;
    }
    json_t *msg = NULL;
    if (r == 0)
        r = jsonx_parse(text, len, "a message between runner and agent", &msg, err);
    if (r < 0) {
        proto_fds_close(&fds);
        return r;
    }
    *ret = msg;
    *ret_fds = fds;
    return 0;
}
