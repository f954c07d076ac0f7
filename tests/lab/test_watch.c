/* Vantage points in real labs, as root and without: every outcome of every kind of probe,
 * schedules, alarms against the truth, and nothing left behind.
 */
#include "sim/kernel/netns.h"
#include "sim/kernel/rtnl.h"
#include "sim/loop/child.h"
#include "sim/watch/flood.h"
#include "sim/watch/kinds.h"
#include "sim/watch/watch.h"
#include "tests/support/httpd.h"
#include "tests/support/labkit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define T(s) ((char *)(uintptr_t)(s))
#define OBS_MAX 4000

struct seen_obs {
    uint64_t n;
    nsec scheduled, start, end;
    bool ok;
    char why[16], detail[160];
};
struct seen_alarm {
    const struct alarm *alarm;
    bool onset;
    struct span at;
    char detail[160];
};

/* A lab of `client` and `server` with an HTTP server, and what is heard from the client. */
struct world {
    struct kit kit;
    struct httpd httpd;
    struct watch *watch;
    int pcap_fd;
    struct seen_obs *obs[32]; /* by probe */
    size_t n_obs[32];
    struct seen_alarm alarms[300];
    size_t n_alarms;
    struct {
        char what[32], detail[400];
    } troubles[50];
    size_t n_troubles;
};

static size_t index_of(const struct objects *o, const void *item)
{
    for (size_t i = 0; i < o->n; i++)
        if (o->items[i] == item)
            return i;
    fail();
    return 0;
}

static void on_obs(const struct watch_obs *o, void *data)
{
    struct world *w = data;
    size_t p = index_of(&w->kit.s->probes, o->probe);
    if (w->n_obs[p] == OBS_MAX)
        return;
    struct seen_obs *s = &w->obs[p][w->n_obs[p]++];
    *s = (struct seen_obs){o->n, o->scheduled, o->start, o->end, o->ok, "", ""};
    snprintf(s->why, sizeof s->why, "%s", o->why ? o->why : "");
    snprintf(s->detail, sizeof s->detail, "%s", o->detail ? o->detail : "");
    assert_int_equal(o->ok, o->why == NULL);
}

static void on_alarm(const struct watch_alarm *a, void *data)
{
    struct world *w = data;
    if (w->n_alarms == 300)
        return;
    struct seen_alarm *s = &w->alarms[w->n_alarms++];
    *s = (struct seen_alarm){a->alarm, a->onset, a->at, ""};
    snprintf(s->detail, sizeof s->detail, "%s", a->detail ? a->detail : "");
}

static void on_trouble(const char *what, const char *host, const char *detail, void *data)
{
    struct world *w = data;
    assert_string_equal(host, "client");
    if (w->n_troubles == 50)
        return;
    snprintf(w->troubles[w->n_troubles].what, 32, "%s", what);
    snprintf(w->troubles[w->n_troubles++].detail, 400, "%s", detail);
}

static const struct watch_handlers *handlers(struct world *w)
{
    static struct watch_handlers h;
    h = (struct watch_handlers){on_obs, on_alarm, on_trouble, w};
    return &h;
}

static void *add(struct arena *a, struct objects *o, size_t size)
{
    void **items = arena_alloc(a, (o->n + 1) * sizeof *items);
    if (o->n)
        memcpy(items, o->items, o->n * sizeof *items);
    o->items = items;
    return items[o->n++] = arena_alloc(a, size);
}

static const struct variant *kind(const struct variant *const *registry, const char *name)
{
    while (*registry && strcmp((*registry)->name, name) != 0)
        registry++;
    assert_non_null(*registry);
    return *registry;
}

static size_t probe(struct world *w, const char *kind_name, void *params, nsec every, nsec timeout)
{
    struct probe *p = add(w->kit.s->arena, &w->kit.s->probes, sizeof *p);
    size_t i = w->kit.s->probes.n - 1;
    *p = (struct probe){.name = arena_printf(w->kit.s->arena, "probe-%zu", i),
                        .host = T("client"),
                        .every = every,
                        .timeout = timeout,
                        .slow_after = NSEC_UNSET,
                        .down_after = 1,
                        .up_after = 1,
                        .kind = kind(watch_probe_kinds, kind_name),
                        .params = params};
    w->obs[i] = calloc(OBS_MAX, sizeof *w->obs[i]);
    return i;
}

static struct alarm *alarm_of(struct world *w, const char *kind_name, void *params)
{
    struct alarm *a = add(w->kit.s->arena, &w->kit.s->alarms, sizeof *a);
    *a = (struct alarm){.name = arena_printf(w->kit.s->arena, "alarm-%zu", w->kit.s->alarms.n),
                        .kind = kind(watch_alarm_kinds, kind_name),
                        .params = params};
    return a;
}

static void world_open(struct world *w)
{
    struct err err = ERR_INIT;
    memset(w, 0, sizeof *w);
    w->pcap_fd = -1;
    kit_open(&w->kit);
    kit_network(&w->kit, "front", "10.20.0.0/24", "fd00:20::/64", NULL);
    struct host *client = kit_host(&w->kit, "client", "10.20.0.9 fd00:20::9");
    client->env.items = arena_alloc(w->kit.s->arena, sizeof *client->env.items);
    client->env.items[0] = (struct pair){.key = T("WORD"), .value = T("bird")};
    client->env.n = 1;
    kit_host(&w->kit, "server", "10.20.0.50 fd00:20::50");
    kit_up(&w->kit, true);
    AUTO_NETNS netns_scope scope = NETNS_OUTSIDE;
    kit_ok(netns_enter(lab_node_netns(lab_node(w->kit.lab, "server")), &scope, &err), &err);
    w->httpd = httpd_start("10.20.0.50", 80);
}

static nsec world_watch(struct world *w)
{
    struct err err = ERR_INIT;
    nsec first[32], start = nsec_now(CLOCK_MONOTONIC) + 30 * NSEC_MSEC;
    for (size_t i = 0; i < 32; i++)
        first[i] = start + (nsec)i * NSEC_MSEC;
    kit_ok(watch_start(w->kit.s, lab_node(w->kit.lab, "client"), w->kit.loop, first, w->pcap_fd,
                       handlers(w), &w->watch, &err),
           &err);
    assert_non_null(w->watch);
    return start;
}

/* What a busy machine may need for anything at all. */
#define PATIENCE (20 * NSEC_SEC)

/* Until `fn` holds; fails when it never does. */
static void await(struct world *w, bool (*fn)(const struct world *w, size_t p, size_t n), size_t p,
                  size_t n)
{
    nsec end = nsec_now(CLOCK_MONOTONIC) + PATIENCE;
    while (!fn(w, p, n)) {
        if (nsec_now(CLOCK_MONOTONIC) > end)
            fail_msg("probe %zu: %zu observations, not %zu", p, w->n_obs[p], n);
        kit_turn(&w->kit, 5 * NSEC_MSEC);
    }
}

static bool has_seen(const struct world *w, size_t p, size_t n)
{
    return w->n_obs[p] >= n;
}

static bool sees(const struct world *w, size_t p, size_t ok)
{
    return w->n_obs[p] >= 3 && w->obs[p][w->n_obs[p] - 1].ok == ok;
}

static bool told_trouble(const struct world *w, const char *what)
{
    for (size_t i = 0; i < w->n_troubles; i++)
        if (strcmp(w->troubles[i].what, what) == 0)
            return true;
    return false;
}

static void world_quiesce(struct world *w)
{
    struct err err = ERR_INIT;
    watch_quiesce(w->watch);
    while (!watch_is_idle(w->watch))
        kit_ok(loop_turn(w->kit.loop, NSEC_INF, &err), &err);
}

static void world_close(struct world *w)
{
    w->watch = watch_free(w->watch);
    httpd_stop(&w->httpd);
    kit_close(&w->kit);
    for (size_t i = 0; i < 32; i++)
        free(w->obs[i]);
    if (w->pcap_fd >= 0)
        close(w->pcap_fd);
}

/* Each observation of probe i: as wanted, numbered without a gap, on its schedule. */
static void assert_all(const struct world *w, size_t i, nsec start, const char *why)
{
    const struct probe *p = w->kit.s->probes.items[i];
    nsec first = start + (nsec)i * NSEC_MSEC;
    bool given[OBS_MAX] = {false};
    if (w->n_obs[i] < 3)
        fail_msg("probe %zu (%s): only %zu observations", i, p->kind->name, w->n_obs[i]);
    for (size_t k = 0; k < w->n_obs[i]; k++) {
        const struct seen_obs *o = &w->obs[i][k];
        if (strcmp(o->why, why) != 0)
            fail_msg("probe %zu (%s): '%s' (%s), not '%s'", i, p->kind->name, o->why, o->detail,
                     why);
        assert_int_equal((o->scheduled - first) % p->every, 0);
        assert_true(o->start >= o->scheduled && o->end >= o->start);
        assert_true(o->n < w->n_obs[i] && !given[o->n]);
        given[o->n] = true;
        if (*why)
            assert_true(strlen(o->detail) > 5);
    }
}

/* --- Probes ---------------------------------------------------------------------------------- */

static struct world w;

/* Only what is to end by its limit has one that a busy machine could reach. */
static nsec until(const char *why)
{
    return strcmp(why, "timeout") == 0 ? 250 * NSEC_MSEC : PATIENCE;
}

static void outcomes_have_their_names(void **state)
{
    static const char *want[32];
    size_t n = 0;
    struct expect_params good = {.status = 200, .body = T("well"), .match = T("^all .* well$")};
    struct pair kind_header = {.key = T("X-Kind"), .value = T("test")},
                other_header = {.key = T("X-Other"), .value = T("")};
    good.header = (struct pairs){&kind_header, 1};
    struct expect_params body = {.body = T("sick")}, match = {.match = T("^well$")},
                         header = {.header = {&other_header, 1}}, teapot = {.status = 418};
    static const struct {
        const char *path, *why;
        int expect;
    } http[] = {{"/ok", "", 0},          {"/ok", "", 1},          {"/status/503", "status", 0},
                {"/status/418", "", 5},  {"/ok", "status", 5},    {"/ok", "body", 2},
                {"/ok", "body", 3},      {"/ok", "header", 4},    {"/reset", "reset", 0},
                {"/hang", "timeout", 0}, {"/slow/10", "slow", 0}, {"/garbage", "status", 0}};
    struct expect_params *expects[] = {NULL, &good, &body, &match, &header, &teapot};
    static struct http_params params[ARRAY_SIZE(http) + 1];
    world_open(&w);
    for (size_t i = 0; i < ARRAY_SIZE(http); i++) {
        params[i] = (struct http_params){
            .url = arena_printf(w.kit.s->arena, "http://10.20.0.50%s", http[i].path),
            .expect = expects[http[i].expect]};
        size_t p = probe(&w, "http", &params[i], 300 * NSEC_MSEC, until(http[i].why));
        want[n++] = http[i].why;
        if (strcmp(http[i].why, "slow") == 0)
            ((struct probe *)w.kit.s->probes.items[p])->slow_after = 2 * NSEC_MSEC;
    }
    params[ARRAY_SIZE(http)] = (struct http_params){.url = T("http://server:81/")};
    probe(&w, "http", &params[ARRAY_SIZE(http)], 300 * NSEC_MSEC, PATIENCE);
    want[n++] = "refused"; /* and the name was found in the host's own /etc/hosts */
    static struct tcp_params tcp[] = {
        {.address = T("10.20.0.50:80")},
        {.address = T("server:81")},
        {.address = T("[fd00:20::50]:80")},
        {.address = T("10.20.0.77:80")},
        {.address = T("10.99.0.1:80")},
        {.address = T("10.20.0.50:80"),
         .send = T("GET /ok HTTP/1.0\r\n\r\n"),
         .expect = T("all is well")},
        {.address = T("10.20.0.50:80"),
         .send = T("GET /ok HTTP/1.0\r\n\r\n"),
         .expect = T("not this")},
        {.address = T("10.20.0.50:80"), .send = T("GET /hang HTTP/1.0\r\n\r\n"), .expect = T("x")},
    };
    static const char *const tcp_why[] = {"", "refused", "refused", "timeout", "unreachable",
                                          "", "body",    "timeout"};
    for (size_t i = 0; i < ARRAY_SIZE(tcp); i++) {
        probe(&w, "tcp", &tcp[i], 300 * NSEC_MSEC, until(tcp_why[i]));
        want[n++] = tcp_why[i];
    }
    static struct icmp_params icmp[] = {
        {T("10.20.0.50")}, {T("fd00:20::50")}, {T("10.20.0.77")}, {T("10.99.0.1")}};
    static const char *const icmp_why[] = {"", "", "timeout", "unreachable"};
    for (size_t i = 0; i < ARRAY_SIZE(icmp); i++) {
        probe(&w, "icmp", &icmp[i], 300 * NSEC_MSEC, until(icmp_why[i]));
        want[n++] = icmp_why[i];
    }
    static struct exec_params exec[] = {
        {T("test $WORD = bird -a $(hostname) = client -a -e test_vantage && cat /proc/self/comm")},
        {T("echo so it is; exit 3")},
        {T("kill -9 $$")},
        {T("sleep 4271 & wait")}};
    static const char *const exec_why[] = {"", "exit", "exit", "timeout"};
    for (size_t i = 0; i < ARRAY_SIZE(exec); i++) {
        probe(&w, "exec", &exec[i], 300 * NSEC_MSEC, until(exec_why[i]));
        want[n++] = exec_why[i];
    }
    nsec start = world_watch(&w);
    for (size_t i = 0; i < n; i++)
        await(&w, has_seen, i, 3);
    world_quiesce(&w);
    for (size_t i = 0; i < n; i++)
        assert_all(&w, i, start, want[i]);
    assert_string_equal(w.obs[n - 3][0].detail, "exit code 3: so it is");
    size_t before = w.n_obs[0];
    kit_turn(&w.kit, 400 * NSEC_MSEC); /* quiet is quiet */
    assert_int_equal(w.n_obs[0], before);
    world_close(&w);
}

/* Of the observations of probe p those that waited for no other: none, if each waited for the last. */
static size_t begun_before_the_last_ended(size_t p)
{
    const struct seen_obs *all = w.obs[p];
    size_t n = 0;
    for (size_t i = 0; i < w.n_obs[p]; i++)
        for (size_t k = 0; k < w.n_obs[p]; k++)
            n += all[k].n + 1 == all[i].n && all[i].start < all[k].end;
    return n;
}

static void slow_answers_never_delay_the_next(void **state)
{
    static struct tcp_params nobody = {.address = T("10.20.0.77:80")};
    static struct http_params slow = {.url = T("http://10.20.0.50/slow/150")};
    world_open(&w);
    nsec every = 10 * NSEC_MSEC, timeout = 120 * NSEC_MSEC;
    size_t a = probe(&w, "tcp", &nobody, every, timeout),
           b = probe(&w, "http", &slow, every, PATIENCE);
    nsec start = world_watch(&w);
    await(&w, has_seen, a, 30);
    await(&w, has_seen, b, 30);
    world_quiesce(&w);
    assert_all(&w, a, start, "timeout");
    assert_all(&w, b, start, "");
    assert_true(begun_before_the_last_ended(a) >= 10);
    assert_true(begun_before_the_last_ended(b) >= 10);
    for (size_t i = 0; i < w.n_obs[a]; i++)
        assert_true(w.obs[a][i].end - w.obs[a][i].start >= timeout);
    world_close(&w);
}

/* Looked up outside: the host has neither our variables nor our /tmp. */
static void headers_may_be_secrets(void **state)
{
    char path[] = "/tmp/blackstart-token-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, "of a file\n", 10) == 10);
    close(fd);
    assert_int_equal(setenv("BLACKSTART_TEST_TOKEN", "Bearer s3cret", 1), 0);
    struct pair headers[] = {
        {.key = T("Authorization"), .value = T("BLACKSTART_TEST_TOKEN"), .source = PAIR_ENV},
        {.key = T("X-File"), .value = path, .source = PAIR_FILE},
        {.key = T("X-Plain"), .value = T("as it stands")}};
    struct expect_params e = {.body = T("Authorization: Bearer s3cret\r\nX-File: of a file\r\n"
                                        "X-Plain: as it stands\r\n")},
                         never = {.body = T("nothing like it")};
    struct http_params params = {.url = T("http://10.20.0.50/echo"),
                                 .headers = {headers, ARRAY_SIZE(headers)},
                                 .expect = &e};
    struct err err = ERR_INIT;
    nsec first[32] = {0};
    world_open(&w);
    struct http_params told = params;
    told.expect = &never;
    size_t a = probe(&w, "http", &params, 50 * NSEC_MSEC, PATIENCE);
    size_t b = probe(&w, "http", &told, 50 * NSEC_MSEC, PATIENCE);
    nsec start = world_watch(&w);
    await(&w, has_seen, a, 3);
    await(&w, has_seen, b, 3);
    world_quiesce(&w);
    assert_all(&w, a, start, "");
    assert_all(&w, b, start, "body"); /* which says our secrets back, and is not quoted for it */
    assert_string_equal(w.obs[b][0].detail,
                        "status 200, body not shown: it holds the value of a secret header");
    w.watch = watch_free(w.watch);
    static const struct {
        const char *value, *words;
    } bad[] = {{NULL, "the environment variable 'BLACKSTART_TEST_TOKEN', which is not set"},
               {"a\r\nX-Evil: b", "the value of the header 'Authorization' has a line break"}};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(bad[i].value ? setenv("BLACKSTART_TEST_TOKEN", bad[i].value, 1)
                                      : unsetenv("BLACKSTART_TEST_TOKEN"),
                         0);
        err = ERR_INIT;
        assert_true(watch_start(w.kit.s, lab_node(w.kit.lab, "client"), w.kit.loop, first, -1,
                                handlers(&w), &w.watch, &err) < 0);
        if (!strstr(err.text, bad[i].words))
            fail_msg("'%s' does not say '%s'", err.text, bad[i].words);
        assert_null(strstr(err.text, "X-Evil"));
    }
    unlink(path);
    world_close(&w);
}

/* A name server that is silent: the resolver's threads hang for seconds, we do not. */
static void names_that_hang_hang_nobody_else(void **state)
{
    static struct http_params name = {.url = T("http://shop.example/")};
    static struct tcp_params tcp = {.address = T("10.20.0.50:80")};
    world_open(&w);
    size_t a = probe(&w, "http", &name, 20 * NSEC_MSEC, 60 * NSEC_MSEC);
    size_t b = probe(&w, "tcp", &tcp, 10 * NSEC_MSEC, PATIENCE);
    kit_run(&w.kit, "client",
            "echo nameserver 10.20.0.77 >/etc/resolv.conf; "
            "echo 'hosts: files dns' >/etc/nsswitch.conf",
            NULL);
    nsec start = world_watch(&w);
    await(&w, has_seen, a, 3);
    await(&w, has_seen, b, 20);
    world_quiesce(&w);
    assert_all(&w, a, start, "timeout");
    assert_all(&w, b, start, "");
    /* The resolver gives up after 10 s (two times 5), and answers one name after the other. */
    for (size_t i = 0; i < w.n_obs[b]; i++)
        assert_true(w.obs[b][i].end - w.obs[b][i].start < 5 * NSEC_SEC);
    world_close(&w);
}

static size_t count_commands(const char *text)
{
    char command[256], *out = NULL;
    int code;
    snprintf(command, sizeof command, "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '");
    const char *argv[] = {"sh", "-c", command, NULL};
    assert_int_equal(child_run(argv, NULL, 10 * NSEC_SEC, &code, &out, NULL), 0);
    size_t n = 0;
    for (char *p = out; p && (p = strstr(p, text)); p++)
        n++;
    free(out);
    return n;
}

/* Turning the loop until so many run; false: they never do. */
static bool await_commands(const char *mark, size_t least, size_t most)
{
    nsec end = nsec_now(CLOCK_MONOTONIC) + PATIENCE;
    for (;;) {
        size_t n = count_commands(mark);
        if ((n >= least && n <= most) || nsec_now(CLOCK_MONOTONIC) > end)
            return n >= least && n <= most;
        kit_turn(&w.kit, 5 * NSEC_MSEC);
    }
}

static void commands_end_with_their_vantage_point(void **state)
{
    static char command[160], mark[64];
    snprintf(mark, sizeof mark, "sleep 98%06d", getpid());
    snprintf(command, sizeof command, "setsid %s & %s", mark, mark);
    static struct exec_params exec = {command};
    world_open(&w);
    probe(&w, "exec", &exec, 50 * NSEC_MSEC, PATIENCE);
    world_watch(&w);
    assert_true(await_commands(mark, 2, SIZE_MAX));
    w.watch = watch_free(w.watch);
    assert_int_equal(count_commands(mark), 0);
    world_close(&w);
}

/* A process of its own starts a vantage point and is killed. */
static void a_vantage_point_ends_with_its_runner(void **state)
{
    static char mark[64];
    snprintf(mark, sizeof mark, "sleep 97%06d", getpid());
    static struct exec_params exec = {mark};
    world_open(&w);
    probe(&w, "exec", &exec, 50 * NSEC_MSEC, PATIENCE);
    pid_t runner = fork();
    if (runner == 0) {
        nsec first[32] = {0};
        struct watch *watch = NULL;
        struct loop *loop = NULL;
        if (loop_new(LOOP_REAL, &loop, NULL) == 0 &&
            watch_start(w.kit.s, lab_node(w.kit.lab, "client"), loop, first, -1, handlers(&w),
                        &watch, NULL) == 0)
            pause();
        _exit(1);
    }
    assert_true(await_commands(mark, 1, SIZE_MAX));
    kill(runner, SIGKILL);
    waitpid(runner, NULL, 0);
    assert_true(await_commands(mark, 0, 0));
    world_close(&w);
}

static pid_t vantage_pid(void)
{
    char *out = NULL;
    int code;
    char command[256];
    snprintf(command, sizeof command,
             "grep -l '^bs-vantage$' /proc/[0-9]*/comm 2>/dev/null | cut -d/ -f3 | "
             "while read p; do grep -q \"^PPid:.%d$\" /proc/$p/status 2>/dev/null && echo $p; done",
             getpid());
    const char *argv[] = {"sh", "-c", command, NULL};
    assert_int_equal(child_run(argv, NULL, 10 * NSEC_SEC, &code, &out, NULL), 0);
    pid_t pid = (pid_t)strtol(out, NULL, 10);
    free(out);
    assert_true(pid > 1);
    return pid;
}

static void a_prober_held_up_says_so_and_leaves_out(void **state)
{
    static struct tcp_params tcp = {.address = T("10.20.0.50:80")};
    world_open(&w);
    size_t p = probe(&w, "tcp", &tcp, 10 * NSEC_MSEC, PATIENCE);
    nsec start = world_watch(&w);
    await(&w, has_seen, p, 5);
    pid_t pid = vantage_pid();
    kill(pid, SIGSTOP);
    nsec from = nsec_now(CLOCK_MONOTONIC);
    kit_turn(&w.kit, 200 * NSEC_MSEC);
    nsec to = nsec_now(CLOCK_MONOTONIC);
    kill(pid, SIGCONT);
    await(&w, has_seen, p, w.n_obs[p] + 10);
    world_quiesce(&w);
    assert_all(&w, p, start, "");
    nsec longest = 0;
    size_t meanwhile = 0;
    for (size_t i = 0; i < w.n_obs[p]; i++) {
        nsec late = w.obs[p][i].start - w.obs[p][i].scheduled;
        longest = late > longest ? late : longest;
        meanwhile += w.obs[p][i].scheduled > from && w.obs[p][i].scheduled < to;
    }
    if (longest < 150 * NSEC_MSEC)
        fail_msg("late by %lld at most, %zu observations", (long long)longest, w.n_obs[p]);
    assert_true(meanwhile <= 2); /* of about 20: no burst */
    assert_true(told_trouble(&w, "prober-late"));
    for (size_t i = 0; i < w.n_troubles; i++)
        if (strcmp(w.troubles[i].what, "prober-late") == 0)
            assert_non_null(strstr(w.troubles[i].detail, "probe probe-0: late starts "));

    /* and one that is killed is missed */
    kill(pid, SIGKILL);
    for (nsec end = nsec_now(CLOCK_MONOTONIC) + PATIENCE;
         !told_trouble(&w, "prober-lost") && nsec_now(CLOCK_MONOTONIC) < end;)
        kit_turn(&w.kit, 5 * NSEC_MSEC);
    assert_true(told_trouble(&w, "prober-lost"));
    assert_true(watch_is_idle(w.watch));
    world_close(&w);
}

static void a_slow_runner_loses_nothing(void **state)
{
    static struct tcp_params tcp = {.address = T("10.20.0.50:81")};
    world_open(&w);
    size_t p = probe(&w, "tcp", &tcp, NSEC_MSEC, PATIENCE);
    nsec start = world_watch(&w);
    usleep(1500000); /* not turning the loop */
    await(&w, has_seen, p, 501);
    world_quiesce(&w);
    assert_all(&w, p, start, "refused");
    assert_true(told_trouble(&w, "runner-late"));
    world_close(&w);
}

/* Its namespaces are new then; the old ones live on as long as the vantage point in them. */
static void a_host_comes_back_under_a_vantage_point(void **state)
{
    static struct tcp_params tcp = {.address = T("10.20.0.50:80")};
    struct err err = ERR_INIT;
    struct span at;
    world_open(&w);
    size_t p = probe(&w, "tcp", &tcp, 20 * NSEC_MSEC, 250 * NSEC_MSEC);
    struct lab_node *client = lab_node(w.kit.lab, "client");
    world_watch(&w);
    await(&w, sees, p, true);
    kit_ok(lab_node_off(client, &at, &err), &err);
    await(&w, sees, p, false); /* still watching, from behind a dead cable */
    struct watch *other = NULL;
    nsec first[32] = {0};
    assert_int_equal(
        watch_start(w.kit.s, client, w.kit.loop, first, -1, handlers(&w), &other, &err),
        -EHOSTDOWN);
    kit_ok(lab_node_on(client, &at, &err), &err);
    w.watch = watch_free(w.watch);
    w.n_obs[p] = 0;
    world_watch(&w);
    await(&w, sees, p, true);
    world_close(&w);
}

/* --- Alarms ---------------------------------------------------------------------------------- */

static void assert_holds(const struct seen_alarm *a, struct span truth, nsec widest)
{
    if (a->at.lo > truth.hi || a->at.hi < truth.lo)
        fail_msg("[%lld, %lld] misses the truth [%lld, %lld]", (long long)a->at.lo,
                 (long long)a->at.hi, (long long)truth.lo, (long long)truth.hi);
    if (a->at.hi - a->at.lo > widest)
        fail_msg("the interval is %lld ns wide", (long long)(a->at.hi - a->at.lo));
}

static const struct seen_alarm *await_alarm(size_t n)
{
    for (nsec end = nsec_now(CLOCK_MONOTONIC) + PATIENCE;
         w.n_alarms < n && nsec_now(CLOCK_MONOTONIC) < end;)
        kit_turn(&w.kit, 5 * NSEC_MSEC);
    assert_int_equal(w.n_alarms, n);
    return &w.alarms[n - 1];
}

static void a_log_file_alarms(void **state)
{
    static struct log_params log = {
        .host = T("client"), .file = T("app.log"), .match = T("ERROR [0-9]+")};
    world_open(&w);
    struct alarm *a = alarm_of(&w, "log", &log);
    kit_run(&w.kit, "client", "echo ERROR 1 >app.log", NULL); /* before: does not count */
    world_watch(&w);
    kit_turn(&w.kit, 30 * NSEC_MSEC);
    struct span truth = {.lo = nsec_now(CLOCK_MONOTONIC)};
    kit_run(&w.kit, "client", "echo fine >>app.log; echo ERROR 23 >>app.log", NULL);
    truth.hi = nsec_now(CLOCK_MONOTONIC);
    const struct seen_alarm *seen = await_alarm(1);
    assert_ptr_equal(seen->alarm, a);
    assert_true(seen->onset);
    assert_string_equal(seen->detail, "ERROR 23");
    assert_holds(seen, truth, PATIENCE);
    kit_run(&w.kit, "client", "mv app.log app.log.1; echo ERROR 4 >app.log", NULL);
    assert_string_equal(await_alarm(2)->detail, "ERROR 4");
    world_close(&w);
}

static void an_exec_alarm_fires_and_clears(void **state)
{
    static struct check_params check = {.host = T("client"),
                                        .command = T("test -e broken"),
                                        .every = 20 * NSEC_MSEC,
                                        .timeout = PATIENCE,
                                        .fires_on = FIRES_ON_SUCCESS};
    world_open(&w);
    alarm_of(&w, "exec", &check);
    world_watch(&w);
    kit_turn(&w.kit, 100 * NSEC_MSEC);
    assert_int_equal(w.n_alarms, 0);
    struct span truth = {.lo = nsec_now(CLOCK_MONOTONIC)};
    kit_run(&w.kit, "client", "touch broken", NULL);
    truth.hi = nsec_now(CLOCK_MONOTONIC);
    const struct seen_alarm *seen = await_alarm(1);
    assert_true(seen->onset);
    assert_holds(seen, truth, PATIENCE);
    truth.lo = nsec_now(CLOCK_MONOTONIC);
    kit_run(&w.kit, "client", "rm broken", NULL);
    truth.hi = nsec_now(CLOCK_MONOTONIC);
    seen = await_alarm(2);
    assert_false(seen->onset);
    assert_holds(seen, truth, PATIENCE);
    world_close(&w);
}

/* A gratuitous ARP request for 10.20.0.100 from a host's own interface; when it was sent. */
static struct span announce(const char *host)
{
    struct err err = ERR_INIT;
    AUTO_NETNS netns_scope scope = NETNS_OUTSIDE;
    kit_ok(netns_enter(lab_node_netns(lab_node(w.kit.lab, host)), &scope, &err), &err);
    AUTO_CLOSE int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct ifreq ifr = {.ifr_name = "eth0"};
    assert_int_equal(ioctl(fd, SIOCGIFHWADDR, &ifr), 0);
    uint8_t f[42] = {[12] = 8,  [13] = 6,  [15] = 1,   [16] = 8,  [18] = 6,  [19] = 4,  [21] = 1,
                     [28] = 10, [29] = 20, [31] = 100, [38] = 10, [39] = 20, [41] = 100};
    memset(f, 0xff, 6);
    memcpy(f + 6, ifr.ifr_hwaddr.sa_data, 6);
    memcpy(f + 22, ifr.ifr_hwaddr.sa_data, 6);
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("eth0")};
    struct span at = {.lo = nsec_now(CLOCK_MONOTONIC)};
    assert_int_equal(sendto(fd, f, sizeof f, 0, (struct sockaddr *)&to, sizeof to), sizeof f);
    at.hi = nsec_now(CLOCK_MONOTONIC);
    return at;
}

static void packets_are_seen_when_they_were_sent(void **state)
{
    static struct packets_params packets = {
        .host = T("client"),
        .sender = T("server"),
        .network = T("front"),
        .filter = T("arp and arp[14:4] = arp[24:4] and arp src host 10.20.0.100")};
    world_open(&w);
    w.pcap_fd = memfd_create("wire", MFD_CLOEXEC);
    alarm_of(&w, "packets", &packets);
    world_watch(&w);
    announce("client"); /* another sender */
    size_t narrow = 0;
    for (size_t i = 1; i <= 20; i++) {
        struct span truth = announce("server");
        const struct seen_alarm *a = await_alarm(i);
        assert_true(a->onset);
        /* the stamp is taken between send and delivery: both are in the same system call here */
        assert_holds(a, truth, PATIENCE);
        narrow += a->at.hi - a->at.lo <= 5 * NSEC_MSEC;
        assert_non_null(strstr(a->detail, "eth0: 42 bytes, "));
        assert_non_null(strstr(a->detail, "ARP request from 10.20.0.100 for 10.20.0.100"));
    }
    assert_true(narrow >= 10); /* a busy machine may hold up a reading of its clocks */
    struct err err = ERR_INIT;
    kit_run(&w.kit, "client", "ip link set eth0 down && ip link set eth0 up", NULL);
    kit_ok(rtnl_ports_running(lab_switch_nl(w.kit.lab), PATIENCE, &err), &err);
    announce("server");
    await_alarm(21); /* a link that went down and up is still watched */
    struct stat st;
    assert_int_equal(fstat(w.pcap_fd, &st), 0);
    assert_int_equal(st.st_size, 24 + 21 * (16 + 42));
    uint32_t magic = 0;
    assert_int_equal(pread(w.pcap_fd, &magic, 4, 0), 4);
    assert_int_equal(magic, 0xa1b23c4d);
    assert_int_equal(w.n_troubles, 0);
    world_close(&w);
}

static void floods_are_counted(void **state)
{
    static struct packets_params packets = {.host = T("client"), .filter = T("icmp[0] = 8")};
    static struct icmp_params icmp = {.address = T("10.20.0.50")};
    world_open(&w);
    probe(&w, "icmp", &icmp, NSEC_MSEC, PATIENCE);
    alarm_of(&w, "packets", &packets);
    nsec start = world_watch(&w), now;
    do {
        kit_turn(&w.kit, 100 * NSEC_MSEC);
        now = nsec_now(CLOCK_MONOTONIC);
    } while ((!told_trouble(&w, "alarm-flood") || w.n_alarms < 2 * (size_t)FLOOD_ONSETS) &&
             now - start < PATIENCE);
    assert_true(told_trouble(&w, "alarm-flood"));
    size_t windows = (size_t)((now - start) / FLOOD_WINDOW) + 2;
    assert_in_range(w.n_alarms, 2 * FLOOD_ONSETS, windows * FLOOD_ONSETS);
    world_close(&w);
}

/* Else nft tables, namespaces and journals would live as long as a prober does. */
static void nothing_of_the_runner_is_held(void **state)
{
    static struct tcp_params tcp = {.address = T("10.20.0.50:80")};
    int ends[2];
    char byte;
    world_open(&w);
    probe(&w, "tcp", &tcp, 20 * NSEC_MSEC, NSEC_SEC);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    world_watch(&w);
    close(ends[1]);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(read(ends[0], &byte, 1), 0); /* end of file: nobody else has it */
    close(ends[0]);
    world_close(&w);
}

static void what_cannot_be_watched_is_an_error(void **state)
{
    struct err err = ERR_INIT;
    nsec first[32] = {0};
    struct watch *watch = NULL;
    static struct packets_params packets = {.host = T("server"), .filter = T("arp and and")};
    world_open(&w);
    kit_ok(watch_start(w.kit.s, lab_node(w.kit.lab, "client"), w.kit.loop, first, -1, handlers(&w),
                       &watch, &err),
           &err);
    assert_null(watch); /* nothing to watch from there */
    alarm_of(&w, "packets", &packets);
    assert_true(watch_start(w.kit.s, lab_node(w.kit.lab, "server"), w.kit.loop, first, -1,
                            handlers(&w), &watch, &err) < 0);
    assert_null(watch);
    if (!text_starts(err.text, "host server: alarm alarm-1: filter '(arp and and)': "))
        fail_msg("%s", err.text);
    world_close(&w);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(outcomes_have_their_names),
        cmocka_unit_test(slow_answers_never_delay_the_next),
        cmocka_unit_test(headers_may_be_secrets),
        cmocka_unit_test(names_that_hang_hang_nobody_else),
        cmocka_unit_test(commands_end_with_their_vantage_point),
        cmocka_unit_test(a_vantage_point_ends_with_its_runner),
        cmocka_unit_test(a_prober_held_up_says_so_and_leaves_out),
        cmocka_unit_test(a_slow_runner_loses_nothing),
        cmocka_unit_test(a_host_comes_back_under_a_vantage_point),
        cmocka_unit_test(a_log_file_alarms),
        cmocka_unit_test(an_exec_alarm_fires_and_clears),
        cmocka_unit_test(packets_are_seen_when_they_were_sent),
        cmocka_unit_test(floods_are_counted),
        cmocka_unit_test(nothing_of_the_runner_is_held),
        cmocka_unit_test(what_cannot_be_watched_is_an_error),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return kit_main(argc, argv, tests);
}
