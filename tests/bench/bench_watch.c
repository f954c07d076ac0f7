/* What our own probing costs and how punctual it is: 50 probes at 10 Hz, 25 tcp and 25 http.
 *
 * Three ways in the same run, interleaved, ROUNDS rounds of SECONDS each, on loopback:
 *   timerfd  a process that does nothing but sleep to the same 500 instants a second
 *   by hand  the same process, and at each instant the same request with plain blocking sockets
 *   watch    a vantage process
 * Printed: lateness (start − scheduled) and CPU per request, medians over rounds, and the ratios
 * watch / by hand and watch / timerfd. Fails when the ratios are worse than the limits below.
 */
#include "sim/base/nsec.h"
#include "sim/loop/loop.h"
#include "sim/watch/kinds.h"
#include "sim/watch/place.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#define PROBES 50
#define EVERY (100 * NSEC_MSEC)
#define ROUNDS 5
#define SECONDS 3
#define SHOTS (PROBES * 10 * SECONDS)
/* CPU against the same requests by hand: libcurl, TLS-ready, judging, telling the runner. Lateness
 * at the median against a bare timerfd: the loop and at most one request before. */
#define CPU_LIMIT 4.0
#define LATENESS_LIMIT 3.0

struct round {
    double cpu_us;          /* per request, of the prober's process alone */
    double cpu_share;       /* of one core */
    double p50, p99, worst; /* lateness, us */
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void summarise(struct round *r, double *late, size_t n, double cpu_s)
{
    qsort(late, n, sizeof *late, by_value);
    r->p50 = late[n / 2];
    r->p99 = late[n * 99 / 100];
    r->worst = late[n - 1];
    r->cpu_us = cpu_s * 1e6 / (double)n;
    r->cpu_share = cpu_s / SECONDS;
}

static double cpu_of(int who)
{
    struct rusage u;
    getrusage(who, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int listener(int *ret_port)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof sin;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&sin, len) < 0 || listen(fd, 256) < 0 ||
        getsockname(fd, (struct sockaddr *)&sin, &len) < 0)
        abort();
    *ret_port = ntohs(sin.sin_port);
    return fd;
}

/* Answers each connection (a tcp probe sends nothing and is closed already). */
static pid_t serve(int fd)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        char request[1024];
        int c = accept(fd, NULL, NULL);
        if (c >= 0 && read(c, request, sizeof request) > 0)
            (void)!write(c, answer, sizeof answer - 1);
        close(c);
    }
}

static void ask_by_hand(int port, bool http)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    char answer[1024];
    struct sockaddr_in sin = {.sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&sin, sizeof sin) < 0)
        abort();
    if (http &&
        (write(fd, request, sizeof request - 1) < 0 || read(fd, answer, sizeof answer) <= 0))
        abort();
    close(fd);
}

/* In a process of its own: the schedule by a bare timerfd; port 0: nothing is asked. */
static struct round bare(int port)
{
    struct round *out =
        mmap(NULL, sizeof *out, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();
    if (pid == 0) {
        static double late[SHOTS];
        prctl(PR_SET_TIMERSLACK, 1UL);
        int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
        nsec first = nsec_now(CLOCK_MONOTONIC) + 50 * NSEC_MSEC;
        for (size_t i = 0; i < SHOTS; i++) {
            nsec at = first + (nsec)i * EVERY / PROBES;
            struct itimerspec its = {.it_value = nsec_to_timespec(at)};
            uint64_t n;
            timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL);
            if (read(fd, &n, sizeof n) < 0)
                abort();
            late[i] = (double)(nsec_now(CLOCK_MONOTONIC) - at) / 1e3;
            if (port)
                ask_by_hand(port, i % 2);
        }
        summarise(out, late, SHOTS, cpu_of(RUSAGE_SELF));
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    struct round r = *out;
    munmap(out, sizeof *out);
    return r;
}

/* --- Through a vantage process --------------------------------------------------------------- */

static double late[SHOTS + PROBES * 2];
static size_t n_late, n_bad;

static void on_obs(const struct watch_obs *o, void *data)
{
    (void)data;
    n_bad += !o->ok;
    if (n_late < SHOTS + PROBES * 2)
        late[n_late++] = (double)(o->start - o->scheduled) / 1e3;
}

static void on_trouble(const char *what, const char *host, const char *detail, void *data)
{
    (void)host, (void)data;
    printf("trouble: %s: %s\n", what, detail);
}

static const struct variant *kind(const char *name)
{
    for (const struct variant *const *v = watch_probe_kinds;; v++)
        if (strcmp((*v)->name, name) == 0)
            return *v;
}

static void turn_until(struct loop *loop, nsec until)
{
    while (loop_fresh(loop) < until)
        if (loop_turn(loop, until, NULL) < 0)
            abort();
}

static struct round through_watch(int port)
{
    static struct probe probes[PROBES];
    static void *items[PROBES];
    char url[64], address[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", port);
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    struct http_params http = {.url = url};
    struct tcp_params tcp = {.address = address};
    nsec first[PROBES], start = nsec_now(CLOCK_MONOTONIC) + 50 * NSEC_MSEC;
    for (size_t i = 0; i < PROBES; i++) {
        probes[i] = (struct probe){.name = (char *)(uintptr_t) "p",
                                   .host = (char *)(uintptr_t) "here",
                                   .every = EVERY,
                                   .timeout = NSEC_SEC,
                                   .slow_after = NSEC_UNSET,
                                   .kind = kind(i % 2 ? "http" : "tcp"),
                                   .params = i % 2 ? (void *)&http : &tcp};
        items[i] = &probes[i];
        first[i] = start + (nsec)i * EVERY / PROBES;
    }
    struct scenario s = {.probes = {items, PROBES}};
    struct watch_place place = {.host = "here", .pidfd = -1, .dir_fd = -1, .source_fd = -1};
    struct watch_handlers handlers = {.obs = on_obs, .trouble = on_trouble};
    struct loop *loop = NULL;
    struct watch *w = NULL;
    struct err err = ERR_INIT;
    double before = cpu_of(RUSAGE_CHILDREN);
    n_late = 0;
    if (loop_new(LOOP_REAL, &loop, &err) < 0 ||
        watch_start_at(&s, &place, loop, first, -1, &handlers, &w, &err) < 0) {
        printf("%s\n", err.text);
        abort();
    }
    turn_until(loop, start + SECONDS * NSEC_SEC);
    watch_quiesce(w);
    while (!watch_is_idle(w))
        loop_turn(loop, NSEC_INF, NULL);
    watch_free(w);
    loop_free(loop);
    struct round r;
    summarise(&r, late, n_late, cpu_of(RUSAGE_CHILDREN) - before);
    return r;
}

/* --- The table ------------------------------------------------------------------------------- */

static double median(const struct round *r, size_t member)
{
    double v[ROUNDS];
    for (size_t i = 0; i < ROUNDS; i++)
        v[i] = *(const double *)(const void *)((const char *)&r[i] + member);
    qsort(v, ROUNDS, sizeof *v, by_value);
    return v[ROUNDS / 2];
}

#define MEDIAN(r, m) median(r, offsetof(struct round, m))

static void print_way(const char *name, const struct round *r)
{
    printf(
        "%-8s  cpu %5.1f us/request, %4.1f %% of a core; late p50 %6.1f  p99 %7.1f  max %7.1f us\n",
        name, MEDIAN(r, cpu_us), 100 * MEDIAN(r, cpu_share), MEDIAN(r, p50), MEDIAN(r, p99),
        MEDIAN(r, worst));
}

int main(void)
{
    static struct round timerfd[ROUNDS], hand[ROUNDS], watch[ROUNDS];
    int port, fd = listener(&port);
    pid_t server = serve(fd);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < ROUNDS; i++) {
        timerfd[i] = bare(0);
        hand[i] = bare(port);
        watch[i] = through_watch(port);
    }
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    printf("%d probes at 10 Hz, half tcp, half http; medians of %d rounds of %d s\n", PROBES,
           ROUNDS, SECONDS);
    print_way("timerfd", timerfd);
    print_way("by hand", hand);
    print_way("watch", watch);
    double cpu = MEDIAN(watch, cpu_us) / MEDIAN(hand, cpu_us);
    double lateness = MEDIAN(watch, p50) / MEDIAN(timerfd, p50);
    printf(
        "cpu: watch / by hand %.2f (limit %.0f); lateness p50: watch / timerfd %.2f (limit %.0f), "
        "watch / by hand %.2f\n",
        cpu, CPU_LIMIT, lateness, LATENESS_LIMIT, MEDIAN(watch, p50) / MEDIAN(hand, p50));
    if (n_bad)
        printf("%zu requests failed\n", n_bad);
    return cpu > CPU_LIMIT || lateness > LATENESS_LIMIT || n_bad > 0;
}
