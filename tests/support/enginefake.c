/* One process accepts, one per connection answers request after request, as engines do. */
#include "tests/support/enginefake.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static __attribute__((noreturn)) void die(const char *what)
{
    perror(what);
    abort();
}

/* False: nobody listens any more. */
static int say(int fd, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, text, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return 0;
        text += sent;
        n -= (size_t)sent;
    }
    return 1;
}

static const struct enginefake_reply *reply_to(const char *request,
                                               const struct enginefake_reply *replies, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(replies[i].request);
        if (strcmp(replies[i].request, request) == 0 ||
            (replies[i].request[len - 1] == '*' &&
             strncmp(replies[i].request, request, len - 1) == 0))
            return &replies[i];
    }
    return NULL;
}

static void answer(int fd, const char *request, const struct enginefake_reply *r)
{
    char head[256], none[1200];
    snprintf(none, sizeof none, "{\"message\":\"not asked for: %.1024s\"}", request);
    const char *body = r ? r->body : none;
    enum enginefake_how how = r ? r->how : ENGINEFAKE_WHOLE;
    size_t n = strlen(body), promised = how == ENGINEFAKE_HUGE ? (size_t)1 << 30 : n;
    int status = r ? r->status : 404;
    if (how == ENGINEFAKE_HANG)
        pause();
    bool bodiless = status == 304 || status == 204;
    snprintf(head, sizeof head, "HTTP/1.1 %d Words\r\nContent-Type: application/json\r\n", status);
    if (!bodiless)
        snprintf(head + strlen(head), sizeof head - strlen(head), "Content-Length: %zu\r\n",
                 promised);
    if (how != ENGINEFAKE_RAW) {
        say(fd, head, strlen(head));
        say(fd, "\r\n", 2);
    }
    if (bodiless)
        return;
    say(fd, body, how == ENGINEFAKE_CUT ? n / 2 : n);
    static char blanks[65536];
    memset(blanks, ' ', sizeof blanks);
    while (how == ENGINEFAKE_HUGE && say(fd, blanks, sizeof blanks))
        ;
    if (how != ENGINEFAKE_WHOLE)
        _exit(0);
}

static __attribute__((noreturn)) void serve(int fd, const struct enginefake_reply *replies,
                                            size_t n)
{
    char text[8192];
    size_t have = 0;
    for (;;) {
        char *end;
        text[have] = '\0';
        while (!(end = strstr(text, "\r\n\r\n"))) {
            ssize_t got =
                have < sizeof text - 1 ? read(fd, text + have, sizeof text - 1 - have) : 0;
            if (got <= 0)
                _exit(0);
            have += (size_t)got;
            text[have] = '\0';
        }
        char method[16], path[4096], request[4120];
        if (sscanf(text, "%15s %4095s", method, path) != 2)
            _exit(0);
        snprintf(request, sizeof request, "%s %s", method, path);
        have -= (size_t)(end + 4 - text);
        memmove(text, end + 4, have);
        answer(fd, request, reply_to(request, replies, n));
    }
}

static __attribute__((noreturn)) void
accept_for_ever(int listener, const struct enginefake_reply *replies, size_t n)
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
            serve(fd, replies, n);
        }
        close(fd);
    }
}

struct enginefake enginefake_start(const char *socket_path, const struct enginefake_reply *replies,
                                   size_t n)
{
    struct enginefake f = {0};
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(f.socket, sizeof f.socket, "%s", socket_path);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", socket_path);
    unlink(socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 128) < 0)
        die("enginefake");
    fflush(NULL);
    f.pid = fork();
    if (f.pid < 0)
        die("fork");
    if (f.pid == 0)
        accept_for_ever(fd, replies, n);
    close(fd);
    return f;
}

void enginefake_stop(struct enginefake *f)
{
    if (f->pid > 0) {
        kill(f->pid, SIGKILL);
        waitpid(f->pid, NULL, 0);
        unlink(f->socket);
    }
    f->pid = 0;
}
