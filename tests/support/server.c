/* Servers and clients for hosts of test labs, see server.h. */
#include "tests/support/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void say(const char *what)
{
    printf("%s\n", what);
    fflush(stdout);
}

static int listener(int port)
{
    int fd = socket(AF_INET6, SOCK_STREAM, 0), on = 1, off = 0;
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, (void *)&any, sizeof any) < 0 || listen(fd, 64) < 0) {
        perror("listen");
        exit(1);
    }
    return fd;
}

static void background(void)
{
    if (fork() > 0)
        _exit(0);
    setsid();
    if (fork() > 0)
        _exit(0);
}

/* Like nginx and redis: the title takes the room of argv and the environment. */
static void take_title(char **argv)
{
    char *start = argv[-1], *end = start; /* ours begins with "server", behind the program */
    for (char **e = environ; *e; e++)
        if (*e + strlen(*e) > end)
            end = *e + strlen(*e);
    memset(start, 0, (size_t)(end - start));
    snprintf(start, (size_t)(end - start), "titled: master process");
}

static int serve_tcp(int argc, char **argv)
{
    int fd = listener(atoi(argv[2]));
    for (int i = 3; i < argc; i++)
        if (!strcmp(argv[i], "daemon"))
            background();
    signal(SIGPIPE, SIG_IGN); /* a connection that was reset before it was accepted ends nobody */
    say("listening");
    for (int i = 3; i < argc; i++)
        if (!strcmp(argv[i], "title")) {
            take_title(argv);
            break;
        }
    for (;;) {
        int c = accept(fd, NULL, NULL);
        if (c < 0)
            continue;
        (void)!write(c, "ok\n", 3);
        if (fork() == 0) { /* keeps the connection until the client closes it */
            char byte;
            close(fd);
            while (read(c, &byte, 1) > 0)
                ;
            _exit(0);
        }
        close(c);
        signal(SIGCHLD, SIG_IGN);
    }
}

static int dial(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *ai;
    if (getaddrinfo(host, port, &hints, &ai)) {
        say("unknown name");
        exit(2);
    }
    int fd = socket(ai->ai_family, SOCK_STREAM, 0);
    if (connect(fd, ai->ai_addr, ai->ai_addrlen) < 0) {
        printf("connect: %s\n", strerror(errno));
        exit(1);
    }
    freeaddrinfo(ai);
    return fd;
}

static int get(char **argv)
{
    char answer[64];
    ssize_t n = read(dial(argv[2], argv[3]), answer, sizeof answer - 1);
    if (n <= 0)
        return 1;
    answer[n] = '\0';
    fputs(answer, stdout);
    return 0;
}

static int hold(char **argv)
{
    int fd = dial(argv[2], argv[3]);
    char byte[8];
    (void)!read(fd, byte, sizeof byte);
    say("connected");
    ssize_t n = read(fd, byte, sizeof byte);
    say(n == 0 ? "ended by FIN" : n < 0 ? "ended by RST" : "more data");
    return 0;
}

static int mesh(int argc, char **argv)
{
    int want = atoi(argv[3]), got = 0, gone = 0;
    int fd = socket(AF_INET, SOCK_DGRAM, 0), room = 1 << 20;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(fd, (void *)&a, sizeof a) < 0)
        return 1;
    say("bound");
    /* The word to begin is a datagram "g". */
    char byte;
    for (struct pollfd p = {.fd = fd, .events = POLLIN};
         (got < want || !gone) && poll(&p, 1, 20000) == 1;) {
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        if (recvfrom(fd, &byte, 1, 0, (void *)&from, &size) < 0)
            return 1;
        if (byte == 'g') {
            gone = 1;
            for (int i = 4; i < argc; i++) {
                inet_pton(AF_INET, argv[i], &a.sin_addr);
                sendto(fd, "m", 1, 0, (void *)&a, sizeof a);
            }
            continue;
        }
        got++;
    }
    printf("got %d\n", got);
    fflush(stdout);
    return 0;
}

static int say_to(char **argv)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3]))};
    inet_pton(AF_INET, argv[2], &a.sin_addr);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    return sendto(fd, argv[4], 1, 0, (void *)&a, sizeof a) == 1 ? 0 : 1;
}

static long long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int ticks(int count, int ms)
{
    for (int i = 0; i < count; i++) {
        usleep((useconds_t)ms * 1000);
        printf("tick %lld\n", now());
        fflush(stdout);
        printf("done %lld\n", now());
        fflush(stdout);
    }
    say("last");
    return 0;
}

static _Noreturn void tree(void)
{
    if (fork() == 0) {
        setsid();
        fork();
        for (;;)
            pause();
    }
    say("tree stands");
    for (;;)
        pause();
}

/* Stands in a system call, in which it cannot be stopped, until its child ends, as in vfork(2): by
 * SIGUSR1, which it ignores itself. */
static int parent(void)
{
    signal(SIGUSR1, SIG_IGN);
    if (syscall(SYS_clone, CLONE_VFORK | SIGCHLD, NULL, NULL, NULL, NULL) == 0) {
        signal(SIGUSR1, SIG_DFL);
        say("the child runs");
        for (;;)
            pause();
    }
    say("the parent goes on");
    return 0;
}

int server_main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "tcp") && argc > 2)
        return serve_tcp(argc, argv);
    if (!strcmp(what, "die") && argc > 2) {
        say("dying");
        usleep((useconds_t)(argc > 3 ? atoi(argv[3]) : 0) * 1000);
        return atoi(argv[2]);
    }
    if (!strcmp(what, "forever"))
        for (;;)
            pause();
    if (!strcmp(what, "tree"))
        tree();
    if (!strcmp(what, "parent"))
        return parent();
    if (!strcmp(what, "say") && argc > 4)
        return say_to(argv);
    if (!strcmp(what, "ticks") && argc > 3)
        return ticks(atoi(argv[2]), atoi(argv[3]));
    if (!strcmp(what, "get") && argc > 3)
        return get(argv);
    if (!strcmp(what, "hold") && argc > 3)
        return hold(argv);
    if (!strcmp(what, "mesh") && argc > 3)
        return mesh(argc, argv);
    fprintf(stderr, "server: what?\n");
    return 2;
}
