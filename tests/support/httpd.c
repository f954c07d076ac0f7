/* One process accepts; one child per connection answers, so that hanging hurts nobody. */
#include "tests/support/httpd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static __attribute__((noreturn)) void die(const char *what)
{
    perror(what);
    abort();
}

static void say(int fd, const char *text)
{
    (void)!write(fd, text, strlen(text));
}

static void answer(int fd, int status, const char *extra, const char *body)
{
    char head[512];
    snprintf(head, sizeof head,
             "HTTP/1.1 %d Words\r\nContent-Length: %zu\r\nX-Kind: test \r\n%s\r\n", status,
             strlen(body), extra);
    say(fd, head);
    say(fd, body);
}

static void serve(int fd)
{
    char request[4096] = "", path[256] = "";
    size_t n = 0;
    while (n < sizeof request - 1 && !strstr(request, "\r\n\r\n")) {
        ssize_t got = read(fd, request + n, sizeof request - 1 - n);
        if (got <= 0)
            return;
        n += (size_t)got;
        request[n] = '\0';
    }
    if (sscanf(request, "%*s %255s", path) != 1)
        return;
    if (strcmp(path, "/ok") == 0) {
        answer(fd, 200, "", "all is well\n");
    } else if (strncmp(path, "/status/", 8) == 0) {
        char body[64];
        snprintf(body, sizeof body, "status %d\n", atoi(path + 8));
        answer(fd, atoi(path + 8), "", body);
    } else if (strncmp(path, "/slow/", 6) == 0) {
        usleep((useconds_t)atoi(path + 6) * 1000);
        answer(fd, 200, "", "all is well\n");
    } else if (strcmp(path, "/hang") == 0) {
        pause();
    } else if (strcmp(path, "/reset") == 0) {
        struct linger now = {1, 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    } else if (strcmp(path, "/half") == 0) {
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
    } else if (strcmp(path, "/redirect") == 0) {
        answer(fd, 302, "Location: /ok\r\n", "");
    } else if (strcmp(path, "/continue") == 0) {
        say(fd, "HTTP/1.1 100 Continue\r\nX-Kind: early\r\n\r\n");
        answer(fd, 200, "", "all is well\n");
    } else if (strcmp(path, "/echo") == 0) {
        answer(fd, 200, "", request);
    } else if (strcmp(path, "/big") == 0) {
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n");
        char block[4096];
        memset(block, 'x', sizeof block);
        for (int i = 0; i < 256; i++)
            if (send(fd, block, sizeof block, MSG_NOSIGNAL) < 0)
                return;
    } else if (strcmp(path, "/garbage") == 0) {
        say(fd, "220 this is a mail server\r\n");
    }
}

static __attribute__((noreturn)) void accept_for_ever(int listener)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGCHLD, SIG_IGN);
    listener = dup2(listener, 3); /* and nothing else of the test's: others wait for its end */
    close_range(4, ~0u, 0);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            _exit(0);
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            close(listener);
            serve(fd);
            close(fd);
            _exit(0);
        }
        close(fd);
    }
}

struct httpd httpd_start(const char *address, int port)
{
    struct sockaddr_storage ss = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&ss;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ss;
    socklen_t len = sizeof *v4;
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
    } else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        len = sizeof *v6;
    }
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, 128) < 0 ||
        getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
        die("httpd");
    struct httpd d = {.port = ntohs(ss.ss_family == AF_INET ? v4->sin_port : v6->sin6_port)};
    fflush(NULL);
    d.pid = fork();
    if (d.pid < 0)
        die("fork");
    if (d.pid == 0)
        accept_for_ever(fd);
    close(fd);
    return d;
}

void httpd_stop(struct httpd *d)
{
    if (d->pid > 0) {
        kill(d->pid, SIGKILL);
        waitpid(d->pid, NULL, 0);
    }
    d->pid = 0;
}
