/* A web server that stamps itself: the ground truth of tests.
 *
 *   stampd [--port N] [--stamps FILE] [--revive MIN:MAX] [--seed N]
 *
 * The keeper starts a server (argv[0] "stamp-server", so that a fault can name it alone) and, when
 * it has died, another one after MIN to MAX milliseconds (drawn from the seed, which is random unless
 * given); without --revive it ends with it. What is true is written as lines of JSON to FILE (else stdout), CLOCK_MONOTONIC in
 * nanoseconds:
 *
 *   {"event":"listening","lo":before listen(2),"hi":after it}
 *   {"event":"dead","lo":the server's last sign of life,"hi":its pidfd was readable}
 *
 * The sign of life is a stamp in shared memory, renewed at least each millisecond while it runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SERVER_NAME "stamp-server"
#define MEMORY_FD 9 /* the shared stamp, in the server */
#define STAMPS_FD 8

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void stamp(int fd, const char *event, int64_t lo, int64_t hi)
{
    char line[160];
    int n = snprintf(line, sizeof line, "{\"event\":\"%s\",\"lo\":%lld,\"hi\":%lld}\n", event,
                     (long long)lo, (long long)hi);
    if (write(fd, line, (size_t)n) != n)
        _exit(3);
}

static int fail(const char *what)
{
    fprintf(stderr, "stampd: %s: %s\n", what, strerror(errno));
    return 1;
}

/* Reads one request and answers it; who sends nothing within 50 ms gets nothing. */
static void answer(int conn)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                               "Content-Length: 3\r\nConnection: close\r\n\r\nok\n";
    const struct timeval patience = {.tv_usec = 50000};
    char request[4096];
    size_t n = 0;
    setsockopt(conn, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    while (n < sizeof request - 1) {
        ssize_t got = read(conn, request + n, sizeof request - 1 - n);
        if (got <= 0)
            return;
        n += (size_t)got;
        request[n] = '\0';
        if (strstr(request, "\r\n\r\n"))
            break;
    }
    if (write(conn, text, sizeof text - 1) < 0)
        return;
}

static int serve(int port)
{
    const struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    const int one = 1, zero = 0;
    _Atomic int64_t *alive =
        mmap(NULL, sizeof *alive, PROT_READ | PROT_WRITE, MAP_SHARED, MEMORY_FD, 0);
    int sock = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (alive == MAP_FAILED || sock < 0)
        return fail("cannot begin");
    setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    if (bind(sock, (const struct sockaddr *)&any, sizeof any) < 0)
        return fail("cannot bind");
    int64_t before = now();
    if (listen(sock, 128) < 0)
        return fail("cannot listen");
    stamp(STAMPS_FD, "listening", before, now());
    for (;;) {
        struct pollfd p = {.fd = sock, .events = POLLIN};
        atomic_store(alive, now());
        if (poll(&p, 1, 1) <= 0)
            continue;
        int conn = accept4(sock, NULL, NULL, SOCK_CLOEXEC);
        if (conn >= 0) {
            answer(conn);
            close(conn);
        }
    }
}

/* Becomes the server: a fresh image with its own name. */
static void become(int memory, int stamps, const char *port)
{
    char *argv[] = {(char *)(uintptr_t)SERVER_NAME, (char *)(uintptr_t)port, NULL};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(memory, MEMORY_FD) == MEMORY_FD && dup2(stamps, STAMPS_FD) == STAMPS_FD)
        execv("/proc/self/exe", argv);
    fail("cannot start the server");
    _exit(127);
}

/* One life of the server, from its start to the stamp of its death. */
static int live(int memory, _Atomic int64_t *alive, int stamps, const char *port)
{
    atomic_store(alive, now());
    pid_t pid = fork();
    if (pid == 0)
        become(memory, stamps, port);
    int pidfd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0)
        return fail("cannot start the server");
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    while (poll(&p, 1, -1) < 0 && errno == EINTR)
        ;
    int64_t readable = now();
    int status;
    stamp(stamps, "dead", atomic_load(alive), readable);
    close(pidfd);
    waitpid(pid, &status, 0);
    /* Its own failure (no such port to bind) is not an outage to recover from. */
    return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

static uint64_t draw(uint64_t *state) /* splitmix64 */
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int keep(int argc, char **argv)
{
    const char *port = "80", *file = NULL, *revive = NULL;
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        return fail("cannot draw");
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--port"))
            port = argv[i + 1];
        else if (!strcmp(argv[i], "--stamps"))
            file = argv[i + 1];
        else if (!strcmp(argv[i], "--revive"))
            revive = argv[i + 1];
        else if (!strcmp(argv[i], "--seed"))
            seed = strtoull(argv[i + 1], NULL, 10);
        else
            argc = 0;
    }
    unsigned long min = 0, max = 0;
    if (argc % 2 == 0 || (revive && (sscanf(revive, "%lu:%lu", &min, &max) != 2 || max < min))) {
        fprintf(stderr, "usage: stampd [--port N] [--stamps FILE] [--revive MIN:MAX] [--seed N]\n");
        return 2;
    }
    int stamps = file ? open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : STDOUT_FILENO;
    int memory = memfd_create("alive", MFD_CLOEXEC);
    if (stamps < 0 || memory < 0 || ftruncate(memory, sizeof(int64_t)) < 0)
        return fail("cannot begin");
    _Atomic int64_t *alive =
        mmap(NULL, sizeof *alive, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (alive == MAP_FAILED)
        return fail("cannot begin");
    for (;;) {
        int code = live(memory, alive, stamps, port);
        if (code || !revive)
            return code;
        uint64_t ms = min + draw(&seed) % (max - min + 1);
        const struct timespec pause = {.tv_sec = (time_t)(ms / 1000),
                                       .tv_nsec = (long)(ms % 1000) * 1000000};
        nanosleep(&pause, NULL);
    }
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc == 2 && !strcmp(argv[0], SERVER_NAME))
        return serve(atoi(argv[1]));
    return keep(argc, argv);
}
