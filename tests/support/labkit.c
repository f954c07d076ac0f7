/* For tests with real labs, see labkit.h. */
#include "tests/support/labkit.h"

#include "sim/base/arena.h"
#include "sim/base/buf.h"
#include "tests/support/server.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define KIT_MOUNT_ENV "BLACKSTART_TEST_MOUNT"
#define KIT_ROOTLESS_ENV "BLACKSTART_TEST_ROOTLESS"
#define KIT_OUTSIDER_ENV "BLACKSTART_TEST_OUTSIDER"
#define KIT_IDS_ENV "BLACKSTART_TEST_IDS"

enum kit_way { KIT_ROOT, KIT_SINGLE, KIT_RANGED, KIT_WAYS };

void kit_ok_(int r, const struct err *err, const char *file, int line)
{
    if (r >= 0)
        return;
    print_error("%s:%d: %s (%d)\n", file, line, err->text, r);
    fail();
}

static void *kit_push(struct kit *k, struct objects *o, size_t size)
{
    void **items = arena_alloc(k->s->arena, (o->n + 1) * sizeof *items);
    if (o->n)
        memcpy(items, o->items, o->n * sizeof *items);
    o->items = items;
    return items[o->n++] = arena_alloc(k->s->arena, size);
}

static void kit_push_text(struct kit *k, struct strv *v, const char *text)
{
    char **items = arena_alloc(k->s->arena, (v->n + 1) * sizeof *items);
    if (v->n)
        memcpy(items, v->items, v->n * sizeof *items);
    v->items = items;
    v->items[v->n++] = arena_strdup(k->s->arena, text);
}

void kit_open(struct kit *k)
{
    struct err err = ERR_INIT;
    memset(k, 0, sizeof *k);
    struct arena *a = arena_new();
    k->s = arena_alloc(a, sizeof *k->s);
    k->s->arena = a;
    kit_ok(loop_new(LOOP_REAL, &k->loop, &err), &err);
}

void kit_close(struct kit *k)
{
    k->lab = lab_free(k->lab);
    k->loop = loop_free(k->loop);
    arena_free(k->s->arena);
}

struct network *kit_network(struct kit *k, const char *name, const char *subnet,
                            const char *subnet6, const char *router)
{
    struct network *n = kit_push(k, &k->s->networks, sizeof *n);
    n->name = arena_strdup(k->s->arena, name);
    n->mtu = 1500;
    kit_push_text(k, &n->subnets, subnet);
    if (subnet6)
        kit_push_text(k, &n->subnets, subnet6);
    if (router)
        kit_push_text(k, &n->routers, router);
    return n;
}

struct host *kit_host(struct kit *k, const char *name, const char *addresses)
{
    char exe[PATH_MAX], copy[512];
    struct host *h = kit_push(k, &k->s->hosts, sizeof *h);
    h->name = arena_strdup(k->s->arena, name);
    h->lab = arena_alloc(k->s->arena, sizeof *h->lab);
    snprintf(copy, sizeof copy, "%s", addresses);
    for (char *save, *p = strtok_r(copy, " ", &save); p; p = strtok_r(NULL, " ", &save))
        kit_push_text(k, &h->lab->addresses, p);
    for (size_t i = 0; i < k->s->networks.n; i++) {
        const struct network *n = k->s->networks.items[i];
        h->router = h->router || strv_has(&n->routers, name);
    }
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    assert_true(n > 0);
    exe[n] = '\0';
    kit_push_text(k, &h->files, exe);
    return h;
}

struct unit *kit_unit(struct kit *k, struct host *h, const char *name, const char *command)
{
    struct unit *u = kit_push(k, &h->start, sizeof *u);
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    assert_true(n > 0);
    exe[n] = '\0';
    bool own = text_starts(command, "./server");
    u->command = own ? arena_printf(k->s->arena, "./%s%s", text_basename(exe), command + 2)
                     : arena_strdup(k->s->arena, command);
    if (own) /* "./test_lab server …" */
        u->command = arena_printf(k->s->arena, "./%s server%s", text_basename(exe),
                                  command + strlen("./server"));
    u->name = arena_strdup(k->s->arena, name);
    return u;
}

struct ready *kit_ready(struct kit *k, struct host *h)
{
    h->ready = arena_alloc(k->s->arena, sizeof *h->ready);
    h->ready->within = 10 * NSEC_SEC;
    return h->ready;
}

static void kit_on_event(const struct lab_event *e, void *data)
{
    struct kit *k = data;
    assert_true(k->events_n < KIT_EVENTS);
    struct kit_event *o = &k->events[k->events_n++];
    *o = (struct kit_event){.kind = e->kind, .code = e->code, .signo = e->signo, .at = e->at};
    snprintf(o->host, sizeof o->host, "%s", lab_node_name(e->node));
    snprintf(o->unit, sizeof o->unit, "%s", e->unit ? e->unit : "");
    snprintf(o->reason, sizeof o->reason, "%s", e->reason ? e->reason : "");
}

static void kit_on_output(struct lab_node *n, const char *unit, const char *line, size_t len,
                          struct span at, void *data)
{
    struct kit *k = data;
    if (k->lines_n == KIT_LINES)
        return;
    struct kit_line *l = &k->lines[k->lines_n++];
    snprintf(l->host, sizeof l->host, "%s", lab_node_name(n));
    snprintf(l->unit, sizeof l->unit, "%s", unit);
    snprintf(l->text, sizeof l->text, "%.*s", (int)len, line);
    l->at = at;
}

static void kit_on_broken(const char *reason, void *data)
{
    struct kit *k = data;
    snprintf(k->broken, sizeof k->broken, "%s", reason);
}

void kit_up(struct kit *k, bool start)
{
    struct err err = ERR_INIT;
    struct lab_handlers handlers = {
        .event = kit_on_event, .output = kit_on_output, .broken = kit_on_broken, .data = k};
    char dir[PATH_MAX];
    /* By pid, too: what a killed runner started may still be executing its copy of this program. */
    snprintf(dir, sizeof dir, "%s/lab-%d-%p", getenv(KIT_MOUNT_ENV), (int)getpid(), (void *)k);
    kit_ok(lab_new(k->s, k->loop, dir, AT_FDCWD, -1, &handlers, &k->lab, &err), &err);
    if (!start)
        return;
    kit_ok(lab_start(k->lab, &err), &err);
    for (size_t i = 0; i < k->s->hosts.n; i++) {
        const struct host *h = k->s->hosts.items[i];
        assert_non_null(kit_wait(k, LAB_READY, h->name, NULL, 10 * NSEC_SEC));
    }
}

void kit_turn(struct kit *k, nsec how_long)
{
    struct err err = ERR_INIT;
    nsec until = loop_fresh(k->loop) + how_long;
    while (loop_fresh(k->loop) < until)
        kit_ok(loop_turn(k->loop, until, &err), &err);
}

struct kit_event *kit_wait(struct kit *k, enum lab_event_kind kind, const char *host,
                           const char *unit, nsec limit)
{
    struct err err = ERR_INIT;
    nsec until = loop_fresh(k->loop) + limit;
    for (size_t i = 0;; i++) {
        while (i == k->events_n) {
            if (loop_fresh(k->loop) >= until)
                return NULL;
            kit_ok(loop_turn(k->loop, until, &err), &err);
        }
        struct kit_event *e = &k->events[i];
        if (e->kind == kind && !strcmp(e->host, host) && (!unit || !strcmp(e->unit, unit)))
            return e;
    }
}

struct kit_line *kit_wait_line(struct kit *k, const char *host, const char *text, nsec limit)
{
    struct err err = ERR_INIT;
    nsec until = loop_fresh(k->loop) + limit;
    for (size_t i = 0;; i++) {
        while (i == k->lines_n) {
            if (loop_fresh(k->loop) >= until)
                return NULL;
            kit_ok(loop_turn(k->loop, until, &err), &err);
        }
        if (!strcmp(k->lines[i].host, host) && strstr(k->lines[i].text, text))
            return &k->lines[i];
    }
}

int kit_run(struct kit *k, const char *host, const char *command, char **ret_output)
{
    struct err err = ERR_INIT;
    int code = -1;
    kit_ok(
        lab_node_run_wait(lab_node(k->lab, host), command, 10 * NSEC_SEC, &code, ret_output, &err),
        &err);
    return code;
}

/* The outsider: forked before lab_prepare_process(), it enters hosts when asked. */
struct kit_order {
    pid_t init;
    char host[64], command[256];
};

static void kit_outsider(int sock)
{
    struct kit_order o;
    while (read(sock, &o, sizeof o) == (ssize_t)sizeof o) {
        struct err err = ERR_INIT;
        char sh[] = "sh", c[] = "-c";
        char *const argv[] = {sh, c, o.command, NULL};
        int code = lab_shell(o.init, o.host, argv, &err);
        if (code < 0)
            fprintf(stderr, "%s\n", err.text);
        (void)!write(sock, &code, sizeof code);
    }
    _exit(0);
}

static pid_t kit_fork_outsider(void)
{
    char text[16];
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[1]);
        prctl(PR_SET_DUMPABLE, 1);
        kit_outsider(pair[0]);
    }
    close(pair[0]);
    snprintf(text, sizeof text, "%d", pair[1]);
    setenv(KIT_OUTSIDER_ENV, text, 1);
    return pid;
}

int kit_outside_shell(struct kit *k, const char *host, const char *command)
{
    struct kit_order o = {.init = lab_node_pid(lab_node(k->lab, host))};
    int sock = atoi(getenv(KIT_OUTSIDER_ENV)), code = -1;
    snprintf(o.host, sizeof o.host, "%s", host);
    snprintf(o.command, sizeof o.command, "%s", command);
    assert_int_equal(write(sock, &o, sizeof o), sizeof o);
    assert_int_equal(read(sock, &code, sizeof code), sizeof code);
    return code;
}

bool kit_has_ids(void)
{
    return getenv(KIT_IDS_ENV);
}

bool kit_is_rootless(void)
{
    return getenv(KIT_ROOTLESS_ENV);
}

/* Lets uid 65534 have a range of uids, for this process and its children alone. */
static int kit_give_range(void)
{
    static const char *const files[] = {"/etc/subuid", "/etc/subgid"};
    char own[] = "/tmp/blackstart-test-range-XXXXXX";
    int fd = mkstemp(own), r = 0;
    if (fd < 0 || dprintf(fd, "65534:100000:65536\n") < 0 || fchmod(fd, 0644) < 0 ||
        unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        r = -1;
    for (size_t i = 0; r == 0 && i < 2; i++)
        r = mount(own, files[i], NULL, MS_BIND, NULL);
    unlink(own);
    close(fd);
    return r;
}

/* In a child: the process becomes one that may make labs. */
static int kit_one(enum kit_way way, const char *dir, int (*tests)(void))
{
    struct err err = ERR_INIT;
    bool rootless;
    unsigned ids;
    if (way == KIT_RANGED && (access("/usr/bin/newuidmap", X_OK) < 0 || kit_give_range() < 0)) {
        fprintf(stderr, "skipped: needs newuidmap (package uidmap), /etc/subuid and /etc/subgid\n");
        return 77;
    }
    if (way != KIT_ROOT && geteuid() == 0 &&
        (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 ||
         setresuid(65534, 65534, 65534) < 0)) {
        fprintf(stderr, "skipped: cannot become uid 65534\n");
        return 77;
    }
    pid_t outsider = kit_fork_outsider();
    int r = lab_prepare_process(dir, &rootless, &ids, &err);
    if (r < 0 || outsider < 0) {
        fprintf(stderr, "skipped: %s\n", err.text);
        return 77;
    }
    setenv(KIT_MOUNT_ENV, dir, 1);
    if (rootless)
        setenv(KIT_ROOTLESS_ENV, "1", 1);
    if (ids > 1)
        setenv(KIT_IDS_ENV, "1", 1);
    if (way == KIT_RANGED && ids != 65537) {
        fprintf(stderr, "%u uids instead of 65537\n", ids);
        return 1;
    }
    if (getenv("CMOCKA_TEST_FILTER"))
        cmocka_set_test_filter(getenv("CMOCKA_TEST_FILTER"));
    fprintf(stderr, "# %s, %u ids\n", rootless ? "rootless" : "root", ids);
    int code = tests();
    close(atoi(getenv(KIT_OUTSIDER_ENV)));
    waitpid(outsider, NULL, 0);
    return code;
}

static int kit_fork(enum kit_way way, int (*tests)(void))
{
    char dir[] = "/tmp/blackstart-test-XXXXXX";
    int status;
    if (!mkdtemp(dir) || chmod(dir, 0755) < 0)
        return 1;
    pid_t pid = fork();
    if (pid == 0)
        exit(kit_one(way, dir, tests));
    bool lost = pid < 0 || waitpid(pid, &status, 0) < 0;
    rmdir(dir); /* what was mounted on it went with the child */
    if (lost)
        return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int kit_main(int argc, char **argv, int (*tests)(void))
{
    if (argc > 1 && !strcmp(argv[1], "server"))
        return server_main(argc - 1, argv + 1);
    bool root = geteuid() == 0, skipped = false;
    int worst = 0;
    for (enum kit_way way = root ? KIT_ROOT : KIT_SINGLE; way < KIT_WAYS; way++) {
        if ((way == KIT_RANGED && !root) ||
            (way != KIT_ROOT && root && getenv("BLACKSTART_TEST_ROOT_ONLY")))
            continue;
        int code = kit_fork(way, tests);
        skipped = skipped || code == 77;
        if (code && code != 77)
            worst = code;
    }
    if (skipped && !worst)
        worst = getenv("BLACKSTART_TESTS_MUST_RUN") ? 1 : 77;
    return worst;
}
