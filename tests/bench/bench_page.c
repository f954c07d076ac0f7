/* The page with 200 people: how long one change takes until the last of them has it, beside what the same
 * change takes while 200 connections only stand idle; what the page's process keeps for them, and that this does
 * not grow with the changes; and that twenty more who read nothing make neither worse, and cost no more than others.
 *
 * The page is a process of its own. A change is a command (POST /do) of one person; its view is 20 kB for
 * everybody. The clock runs from before the command's first byte until the last stream has the view that
 * has the command's key in it. */
#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/page/page.h"
#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PEOPLE 200
#define DEAF 20
#define CHANGES 50
#define VIEW 20000
#define GATE_MS 250.0
#define GATE_KB 256.0      /* of memory for each person */
#define GATE_GROWTH_KB 8.0 /* of that, what forty changes add */
#define SETTLED 10         /* changes after which every buffer has been used */

static const struct page_seat seats[] = {{"player", "Player", "player", false, false}};
static const unsigned char key[DOOR_KEY] = {9};
static int port;

/* --- The page --------------------------------------------------------------------------------- */

struct host {
    struct page *page;
    char last[64], padding[VIEW];
};

static void view(const struct page_person *p, struct buf *json, void *data)
{
    const struct host *h = data;
    AUTO_JSON *j =
        json_pack("{s:s, s:s, s:s}", "last", h->last, "who", p->name, "padding", h->padding);
    jsonx_dump(j, json);
}

static int act(const struct page_person *p, const json_t *command, struct err *err, void *data)
{
    struct host *h = data;
    snprintf(h->last, sizeof h->last, "%s", jsonx_str(command, "key", ""));
    page_changed(h->page);
    return 0;
}

static void serve(int tell)
{
    static struct host h;
    struct loop *loop = NULL;
    char url[PAGE_URL_MAX];
    struct page_spec spec = {.title = "bench",
                             .seats = seats,
                             .n_seats = 1,
                             .key = key,
                             .handlers = {.view = view, .act = act, .data = &h}};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    memset(h.padding, 'x', sizeof h.padding - 1);
    if (page_address("0", &spec.address, &spec.address_n, NULL) < 0 ||
        loop_new(LOOP_REAL, &loop, NULL) < 0 || page_open(loop, &spec, &h.page, NULL) < 0)
        abort();
    page_url(h.page, url);
    int number = atoi(strrchr(url, ':') + 1);
    if (write(tell, &number, sizeof number) != sizeof number)
        abort();
    (void)loop_run(loop, NULL);
    _exit(0);
}

static double memory_kb(pid_t pid)
{
    char path[64], line[256];
    double kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmRSS: %lf", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return kb;
}

/* --- The people ------------------------------------------------------------------------------- */

static int call(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        abort();
    return fd;
}

static void say(int fd, const char *text)
{
    if (send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
        abort();
}

static void cookie_of(size_t n, struct buf *out)
{
    char name[32], value[DOOR_COOKIE_MAX];
    struct door *d = door_new(key);
    struct door_person p = {.role = "player"};
    snprintf(p.name, sizeof p.name, "person %zu", n);
    door_cookie_name(d, name);
    door_cookie(d, &p, value);
    buf_printf(out, "%s=%s", name, value);
    door_free(d);
}

static int listen_as(size_t n)
{
    AUTO_BUF b = BUF_INIT;
    int fd = call();
    buf_adds(&b, "GET /events HTTP/1.1\r\nHost: x\r\nCookie: ");
    cookie_of(n, &b);
    buf_adds(&b, "\r\n\r\n");
    say(fd, b.text);
    return fd;
}

/* One command, its answer read to the end. Each by another person: each may send 20 a second. */
static void command(size_t n, const char *word)
{
    char body[128], answer[4096];
    AUTO_BUF b = BUF_INIT;
    int fd = call();
    snprintf(body, sizeof body, "{\"do\":\"x\",\"key\":\"%s\"}", word);
    buf_adds(&b, "POST /do HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: ");
    cookie_of(n, &b);
    buf_printf(&b, "\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
               strlen(body), body);
    say(fd, b.text);
    ssize_t got = recv(fd, answer, sizeof answer - 1, MSG_WAITALL);
    if (got <= 0 || strncmp(answer, "HTTP/1.1 200", 12) != 0)
        abort();
    close(fd);
}

/* Until each stream has had `word`; the words are all of one length, and each in one piece or two. */
static void wait_all(int ep, struct buf *heard, size_t n, const char *word)
{
    struct epoll_event ready[64];
    char part[65536];
    size_t have = 0;
    while (have < n) {
        int k = epoll_wait(ep, ready, 64, 20000);
        if (k <= 0)
            abort();
        for (int i = 0; i < k; i++) {
            uint64_t who = ready[i].data.u64;
            struct buf *h = &heard[who >> 32];
            ssize_t got = recv((int)(who & 0xffffffff), part, sizeof part, MSG_DONTWAIT);
            if (got <= 0)
                abort();
            buf_add(h, part, (size_t)got);
            if (strstr(h->text, word)) {
                have++;
                buf_clear(h);
            } else if (h->len > 4 * VIEW) { /* of earlier views: the word may be cut at its end */
                memmove(h->text, h->text + h->len - VIEW, VIEW + 1);
                h->len = VIEW;
            }
        }
    }
}

int main(void)
{
    static struct buf heard[PEOPLE];
    double delivered[CHANGES], deaf[CHANGES], idle[CHANGES];
    int missed = 0, fds[2], idlers[PEOPLE], people[PEOPLE], nobody[DEAF],
        ep = epoll_create1(EPOLL_CLOEXEC);
    char word[32];
    if (pipe(fds) < 0)
        abort();
    pid_t pid = fork();
    if (pid == 0)
        serve(fds[1]);
    if (read(fds[0], &port, sizeof port) != sizeof port)
        abort();
    for (size_t i = 0; i < PEOPLE; i++)
        idlers[i] = call();
    double before = memory_kb(pid);
    for (size_t i = 0; i < CHANGES; i++) {
        nsec start = nsec_now(CLOCK_MONOTONIC);
        snprintf(word, sizeof word, "idle-%06zu", i);
        command(i, word);
        idle[i] = (double)(nsec_now(CLOCK_MONOTONIC) - start) / 1e6;
    }
    for (size_t i = 0; i < PEOPLE; i++) {
        close(idlers[i]);
        people[i] = listen_as(i);
        struct epoll_event e = {.events = EPOLLIN,
                                .data.u64 = (uint64_t)i << 32 | (uint32_t)people[i]};
        epoll_ctl(ep, EPOLL_CTL_ADD, people[i], &e);
    }
    wait_all(ep, heard, PEOPLE, "idle-000049");
    double settled = 0, undisturbed = 0;
    for (int with_deaf = 0; with_deaf < 2; with_deaf++) {
        for (size_t i = 0; with_deaf && i < DEAF; i++)
            nobody[i] = listen_as(PEOPLE + i);
        for (size_t i = 0; i < CHANGES; i++) {
            nsec start = nsec_now(CLOCK_MONOTONIC);
            snprintf(word, sizeof word, "%s-%06zu", with_deaf ? "deaf" : "view", i);
            command(i, word);
            wait_all(ep, heard, PEOPLE, word);
            (with_deaf ? deaf : delivered)[i] = (double)(nsec_now(CLOCK_MONOTONIC) - start) / 1e6;
            if (!with_deaf && i + 1 == SETTLED)
                settled = memory_kb(pid);
        }
        undisturbed = with_deaf ? undisturbed : memory_kb(pid);
    }
    double memory = (undisturbed - before) / PEOPLE,
           of_deaf = (memory_kb(pid) - undisturbed) / DEAF,
           growth = (undisturbed - settled) / PEOPLE, worst = 0, worst_deaf = 0;
    for (size_t i = 0; i < CHANGES; i++) {
        worst = delivered[i] > worst ? delivered[i] : worst;
        worst_deaf = deaf[i] > worst_deaf ? deaf[i] : worst_deaf;
    }
    printf("%d people, %d changes of a view of %d bytes each\n", PEOPLE, CHANGES, VIEW);
    bench_tell("a command, its answer, beside idle connections", idle, CHANGES, "ms");
    bench_tell("a command until the last has the view", delivered, CHANGES, "ms");
    bench_tell("the same with 20 who read nothing", deaf, CHANGES, "ms");
    bench_gate(&missed, "the slowest delivery to all, ms", worst, true, GATE_MS);
    bench_gate(&missed, "the same with 20 who read nothing, ms", worst_deaf, true, GATE_MS);
    bench_gate(&missed, "memory for each person, kB", memory, true, GATE_KB);
    bench_gate(&missed, "of it, what forty changes more added, kB", growth, true, GATE_GROWTH_KB);
    bench_gate(&missed, "memory for each who reads nothing, kB", of_deaf, true, GATE_KB);
    for (size_t i = 0; i < DEAF; i++)
        close(nobody[i]);
    for (size_t i = 0; i < PEOPLE; i++) {
        close(people[i]);
        buf_done(&heard[i]);
    }
    close(ep);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return bench_end(missed, NULL);
}
