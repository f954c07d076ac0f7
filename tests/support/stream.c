/* Stamped datagrams. See stream.h. */
#include "tests/support/stream.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAGIC 0x5374724du
#define SIZE_MAX_ 65536

struct stamp {
    uint32_t magic, stream, seq, check; /* of seq: damage must not make it another's */
    nsec sent;
};

static unsigned char pattern(size_t at, uint32_t seq)
{
    return (unsigned char)(at * 7 + seq);
}

static nsec now(void)
{
    return nsec_now(CLOCK_MONOTONIC);
}

/* --- The sender ------------------------------------------------------------------ */

static void sleep_until(nsec t)
{
    nsec left = t - now();
    if (left <= 0)
        return;
    struct timespec ts = nsec_to_timespec(left);
    ppoll(NULL, 0, &ts, NULL);
}

static void send_one(const struct stream *s, uint32_t stream, uint32_t seq, unsigned char *buf)
{
    struct stamp stamp = {MAGIC, stream, seq, ~seq, 0};
    for (size_t i = sizeof stamp; i < s->size; i++)
        buf[i] = pattern(i, seq);
    stamp.sent = now();
    memcpy(buf, &stamp, sizeof stamp);
    while (send(s->tx, buf, s->size, 0) < 0 && (errno == EAGAIN || errno == ENOBUFS))
        sleep_until(now() + 100 * NSEC_USEC);
}

static void send_all(const struct stream *s, size_t n)
{
    unsigned char *buf = malloc(SIZE_MAX_);
    size_t *sent = calloc(n, sizeof *sent), left = 0;
    nsec *due = calloc(n, sizeof *due);
    nsec start = now() + 5 * NSEC_MSEC;
    prctl(PR_SET_TIMERSLACK, 1UL);
    for (size_t i = 0; i < n; i++) {
        left += s[i].n;
        /* Phases differ, so that streams do not meet each other in one instant. */
        due[i] = start + (nsec)i * s[i].interval / (nsec)n;
    }
    while (left) {
        size_t next = n;
        for (size_t i = 0; i < n; i++)
            if (sent[i] < s[i].n && (next == n || due[i] < due[next]))
                next = i;
        sleep_until(due[next]);
        send_one(&s[next], (uint32_t)next, (uint32_t)sent[next], buf);
        sent[next]++;
        due[next] += s[next].interval;
        left--;
    }
    free(due);
    free(sent);
    free(buf);
}

/* --- The receiver ------------------------------------------------------------------ */

static nsec stamp_of(struct msghdr *m, nsec offset)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
            struct timespec ts;
            memcpy(&ts, CMSG_DATA(c), sizeof ts);
            return nsec_from_timespec(ts) - offset;
        }
    return now();
}

static bool is_marked(struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
            return (*CMSG_DATA(c) & IPTOS_ECN_MASK) == IPTOS_ECN_CE;
    return false;
}

static void take(struct stream *mine, size_t which, const unsigned char *buf, size_t len, nsec got,
                 bool marked)
{
    struct stamp stamp;
    if (len < sizeof stamp)
        return;
    memcpy(&stamp, buf, sizeof stamp);
    if (stamp.magic != MAGIC || stamp.stream != which || stamp.seq >= mine->n ||
        stamp.check != ~stamp.seq)
        return;
    struct stream_packet *p = &mine->packets[stamp.seq];
    bool damaged = len != mine->size;
    for (size_t i = sizeof stamp; i < len && !damaged; i++)
        damaged = buf[i] != pattern(i, stamp.seq);
    p->damaged |= damaged;
    p->marked |= marked;
    if (!p->copies++) {
        p->sent = stamp.sent;
        p->got = got;
        p->order = (uint32_t)mine->came;
    }
    if (!mine->came++)
        mine->first_got = got;
    mine->last_got = got;
}

static void receive(struct stream *s, size_t which, unsigned char *buf)
{
    for (int turn = 0; turn < 256; turn++) {
        _Alignas(struct cmsghdr) char control[128];
        struct iovec iov = {buf, SIZE_MAX_};
        struct msghdr m = {.msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};
        ssize_t len = recvmsg(s->rx, &m, MSG_DONTWAIT);
        if (len < 0)
            return;
        nsec offset = nsec_now(CLOCK_REALTIME) - now();
        take(s, which, buf, (size_t)len, stamp_of(&m, offset), is_marked(&m));
    }
}

void stream_ecn(struct stream *s)
{
    int able = IPTOS_ECN_ECT0, one = 1;
    setsockopt(s->tx, IPPROTO_IP, IP_TOS, &able, sizeof able);
    setsockopt(s->rx, IPPROTO_IP, IP_RECVTOS, &one, sizeof one);
}

int stream_run(struct stream *s, size_t n, nsec grace)
{
    unsigned char *buf = malloc(SIZE_MAX_);
    struct pollfd *p = calloc(n, sizeof *p);
    for (size_t i = 0; i < n; i++) {
        int one = 1, size = 32 << 20;
        s[i].packets = calloc(s[i].n, sizeof *s[i].packets);
        s[i].came = 0;
        setsockopt(s[i].rx, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
        if (setsockopt(s[i].rx, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
            setsockopt(s[i].rx, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        p[i] = (struct pollfd){.fd = s[i].rx, .events = POLLIN};
    }
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, 9);
        send_all(s, n);
        _exit(0);
    }
    nsec end = NSEC_INF;
    while (child > 0 && now() < end) {
        poll(p, (nfds_t)n, 20);
        for (size_t i = 0; i < n; i++)
            if (p[i].revents & POLLIN)
                receive(&s[i], i, buf);
        if (end == NSEC_INF && waitpid(child, NULL, WNOHANG) == child)
            end = now() + grace;
    }
    /* What came in time and was not looked at yet: in an emulated machine comparing the bytes takes longer
     * than sending them. The kernel has stamped it. */
    for (size_t i = 0; child > 0 && i < n; i++)
        receive(&s[i], i, buf);
    free(p);
    free(buf);
    return child < 0 ? -1 : 0;
}

void stream_done(struct stream *s)
{
    free(s->packets);
    s->packets = NULL;
}

/* --- Figures -------------------------------------------------------------------------- */

size_t stream_lost(const struct stream *s)
{
    size_t lost = 0;
    for (size_t i = 0; i < s->n; i++)
        lost += !s->packets[i].copies;
    return lost;
}

size_t stream_doubled(const struct stream *s)
{
    size_t doubled = 0;
    for (size_t i = 0; i < s->n; i++)
        doubled += s->packets[i].copies > 1;
    return doubled;
}

size_t stream_damaged(const struct stream *s)
{
    size_t damaged = 0;
    for (size_t i = 0; i < s->n; i++)
        damaged += s->packets[i].damaged;
    return damaged;
}

size_t stream_marked(const struct stream *s)
{
    size_t marked = 0;
    for (size_t i = 0; i < s->n; i++)
        marked += s->packets[i].marked;
    return marked;
}

size_t stream_overtaken(const struct stream *s)
{
    size_t n = 0;
    uint32_t earliest = UINT32_MAX;
    for (size_t i = s->n; i-- > 0;) {
        if (!s->packets[i].copies)
            continue;
        n += s->packets[i].order > earliest;
        if (s->packets[i].order < earliest)
            earliest = s->packets[i].order;
    }
    return n;
}

size_t stream_sooner(const struct stream *s, nsec delay)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += s->packets[i].copies && s->packets[i].got - s->packets[i].sent < delay;
    return n;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double *stream_delays(const struct stream *s, bool sorted, size_t *ret_n)
{
    double *d = calloc(s->n + 1, sizeof *d);
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->packets[i].copies)
            d[n++] = (double)(s->packets[i].got - s->packets[i].sent);
    if (sorted)
        qsort(d, n, sizeof *d, by_value);
    *ret_n = n;
    return d;
}

double stream_quantile(const double *sorted, size_t n, double q)
{
    size_t i = (size_t)(q * (double)n);
    return n ? sorted[i < n ? i : n - 1] : (double)NAN;
}

double stream_distance(const double *sorted, size_t n, const double *quantiles, size_t m)
{
    double worst = 0;
    size_t j = 0;
    for (size_t i = 0; i < n; i++) {
        while (j < m && quantiles[j] <= sorted[i])
            j++;
        double f = (double)j / (double)m;
        worst = fmax(worst, fabs(f - (double)i / (double)n));
        worst = fmax(worst, fabs(f - (double)(i + 1) / (double)n));
    }
    return worst;
}

double stream_correlation(const struct stream *s)
{
    double n = 0, x = 0, y = 0, xx = 0, yy = 0, xy = 0;
    for (size_t i = 1; i < s->n; i++) {
        const struct stream_packet *a = &s->packets[i - 1], *b = &s->packets[i];
        if (!a->copies || !b->copies)
            continue;
        double u = (double)(a->got - a->sent), v = (double)(b->got - b->sent);
        n++;
        x += u;
        y += v;
        xx += u * u;
        yy += v * v;
        xy += u * v;
    }
    return (n * xy - x * y) / sqrt((n * xx - x * x) * (n * yy - y * y));
}
