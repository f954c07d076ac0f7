/* Container engines as they answer, and as they should not: over a unix socket, by a fake. */
#include "tests/support/test.h"

#include "sim/attach/cengine_ask.h"
#include "sim/base/jsonx.h"
#include "tests/support/enginefake.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#define PG_ID "3f5a0c2d91be3f5a0c2d91be3f5a0c2d91be3f5a0c2d91be3f5a0c2d91be3f5a"
#define WEB_ID "aa5a0c2d91be3f5a0c2d91be3f5a0c2d91be3f5a0c2d91be3f5a0c2d91be3f5a"
#define OLD_ID "bb5a0c2d91be3f5a0c2d91be3f5a0c2d91be3f5a0c2d91be3f5a0c2d91be3f5a"
#define ONE_ID "cc5a0c2d91be3f5a0c2d91be3f5a0c2d91be3f5a0c2d91be3f5a0c2d91be3f5a"
#define CONTAINER(id, name, state, pid, labels)                                                    \
    "{\"Id\":\"" id "\",\"Name\":\"/" name "\",\"State\":" state                                   \
    ",\"Config\":{\"Image\":\"shop:1\","                                                           \
    "\"Labels\":" labels ",\"StopTimeout\":3},\"HostConfig\":{\"NetworkMode\":\"default\","        \
    "\"RestartPolicy\":{\"Name\":\"always\"}}}"
#define STATE(status, pid, running, paused)                                                        \
    "{\"Status\":\"" status "\",\"Running\":" running ",\"Paused\":" paused ",\"Pid\":" pid "}"
#define RUNNING(pid) STATE("running", pid, "true", "false")
#define SHOP "{\"com.docker.compose.project\":\"shop\",\"com.docker.compose.service\":\"web\"}"
#define BY_LABEL                                                                                   \
    "GET /containers/json?filters=%7B%22label%22%3A%5B%22app%3Dweb%22%2C%22b%20c%22%5D%7D"
#define BY_COMPOSE                                                                                 \
    "GET /containers/json?filters=%7B%22label%22%3A%5B%22com.docker.compose.project%3Dshop%22%2C"  \
    "%22com.docker.compose.service%3Dweb%22%2C"                                                    \
    "%22com.docker.compose.container-number%3D2%22%5D%7D"

static const struct enginefake_reply docker[] = {
    {"GET /version", 200,
     "{\"Version\":\"20.10.24\",\"ApiVersion\":\"1.41\",\"Components\":[{\"Name\":\"Engine\"}]}"},
    {"GET /containers/pg-1/json", 200,
     CONTAINER(PG_ID, "pg-1", RUNNING("4711"), 4711, "{\"env\":\"production\"}")},
    {"GET /containers/" PG_ID "/json", 200,
     CONTAINER(PG_ID, "pg-1", STATE("paused", "4711", "true", "true"), 4711, "null")},
    {"GET /containers/" WEB_ID "/json", 200,
     CONTAINER(WEB_ID, "shop-web-1", RUNNING("4712"), 4712, SHOP)},
    {"GET /containers/" OLD_ID "/json", 200,
     CONTAINER(OLD_ID, "shop-web-0", STATE("exited", "0", "false", "false"), 0, SHOP)},
    {"GET /containers/" ONE_ID "/json", 200,
     CONTAINER(ONE_ID, "shop-web-run", RUNNING("4713"), 4713,
               "{\"com.docker.compose.oneoff\":\"True\"}")},
    {BY_LABEL, 200,
     "[{\"Id\":\"" WEB_ID "\"},{\"Id\":\"" PG_ID "\"},{\"Id\":\"" OLD_ID "\"},{\"Id\":\"" ONE_ID
     "\"},{\"Id\":\"dd5a0c2d91be3f5a0c2d91be3f5a0c2d91be3f5a0c2d91be3f5a0c2d91be3f5a\"}]"},
    {BY_COMPOSE, 200, "[{\"Id\":\"" WEB_ID "\"}]"},
    {"GET /containers/json?all=true", 200,
     "[{\"Id\":\"" PG_ID "\",\"Names\":[\"/pg-1\"]},{\"Id\":\"" WEB_ID
     "\",\"Names\":[\"/shop-web-1\"]}]"},
    {"POST /containers/" PG_ID "/pause", 204, ""},
    {"POST /containers/" PG_ID "/unpause", 409, "{\"message\":\"it is not paused\"}"},
    {"POST /containers/" PG_ID "/start", 304, ""},
    {"POST /containers/" PG_ID "/kill?signal=SIGHUP", 204, ""},
    {"POST /containers/" PG_ID "/stop", 204, ""},
    {"POST /containers/" PG_ID "/stop?t=2&signal=SIGINT", 204, ""},
    {"POST /containers/" PG_ID "/restart?t=0", 500, "{\"message\":\"out of \\u001b[31mspace\"}"},
    {"GET /events?since=1700000000.500000000&until=1700000001.000000000&filters=%7B%22container"
     "%22%3A%5B%22pg-1%22%5D%7D",
     200,
     "{\"Action\":\"die\",\"timeNano\":1700000000600000000}\n"
     "{\"status\":\"destroy\",\"time\":1700000001}\n"},
    /* What goes wrong. */
    {"GET /containers/cut/json", 200, "{\"Id\":\"" PG_ID "\"}", ENGINEFAKE_CUT},
    {"GET /containers/huge/json", 200, "{", ENGINEFAKE_HUGE},
    {"GET /containers/hang/json", 200, "", ENGINEFAKE_HANG},
    {"GET /containers/raw/json", 200, "220 a mail server\r\n", ENGINEFAKE_RAW},
    {"GET /containers/words/json", 200, "<html>"},
    {"GET /containers/list/json", 200, "[]"},
    {"GET /containers/short/json", 200, "{\"Id\":\"3f5a\",\"Name\":\"/x\"}"},
    {"GET /containers/stateless/json", 200, "{\"Id\":\"" PG_ID "\",\"Name\":\"/x\"}"},
    {"GET /containers/far/json", 200, CONTAINER(PG_ID, "far", RUNNING("99999999999"), 0, "{}")},
};

static const struct enginefake_reply podman[] = {
    {"GET /version", 200,
     "{\"Version\":\"4.3.1\",\"ApiVersion\":\"1.41\",\"Components\":[{\"Name\":\"Podman "
     "Engine\"}]}"},
    {"GET /events?since=1700000000&until=1700000001&*", 200, ""},
};

static const struct enginefake_reply other[] = {
    {"GET /version", 200, "{\"hello\":\"world\"}"},
};

struct fixture {
    char dir[32], socket[64];
    struct enginefake fake;
    struct cengine *e;
};

static void stand(struct fixture *f, const struct enginefake_reply *replies, size_t n)
{
    f->fake = enginefake_start(f->socket, replies, n);
}

static struct fixture *fixture_new(void)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/engine-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->socket, sizeof f->socket, "%s/sock", f->dir);
    return f;
}

static int set_up_bare(void **state)
{
    *state = fixture_new();
    return 0;
}

static int set_up(void **state)
{
    struct fixture *f = *state = fixture_new();
    stand(f, docker, ARRAY_SIZE(docker));
    struct err err = ERR_INIT;
    if (cengine_open(f->socket, &f->e, &err) < 0)
        fail_msg("%s", err.text);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    cengine_free(f->e);
    enginefake_stop(&f->fake);
    unlink(f->socket);
    rmdir(f->dir);
    free(f);
    return 0;
}

static void assert_says(const struct err *err, int r, int code, const char *part)
{
    if (r != -code || err->code != code)
        fail_msg("%d (%s), not -%d", r, err->text, code);
    if (!strstr(err->text, part))
        fail_msg("\"%s\" does not say \"%s\"", err->text, part);
}

static void it_says_who_it_is(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(cengine_name(f->e), "docker 20.10.24");
    assert_string_equal(cengine_socket(f->e), f->socket);
    enginefake_stop(&f->fake);
    cengine_free(f->e);
    stand(f, podman, ARRAY_SIZE(podman));
    assert_int_equal(cengine_open(f->socket, &f->e, NULL), 0);
    assert_string_equal(cengine_name(f->e), "podman 4.3.1");
}

static void a_container_is_read(void **state)
{
    struct fixture *f = *state;
    AUTO_CONTAINER c = {0};
    assert_int_equal(cengine_inspect(f->e, "pg-1", &c, NULL), 0);
    assert_string_equal(c.id, PG_ID);
    assert_string_equal(c.name, "pg-1");
    assert_string_equal(c.image, "shop:1");
    assert_string_equal(c.state, "running");
    assert_int_equal(c.pid, 4711);
    assert_int_equal(c.stop_after, 3);
    assert_true(c.restarts);
    assert_false(c.paused || c.host_net);
    assert_string_equal(cengine_label(&c, "env"), "production");
    assert_null(cengine_label(&c, "other"));
    AUTO_BUF text = BUF_INIT;
    cengine_container_text(&c, &text);
    assert_string_equal(buf_text(&text), "pg-1 (3f5a0c2d91be)");
}

static void those_that_match_are_found(void **state)
{
    struct fixture *f = *state;
    char *labels[] = {(char[]){"app=web"}, (char[]){"b c"}};
    struct cengine_query by_label = {.labels = {labels, 2}};
    struct cengine_query by_compose = {.project = "shop", .service = "web", .replica = 2};
    struct cengine_query by_name = {.name = "pg-1"};
    {
        AUTO_CONTAINERS l = {0};
        assert_int_equal(cengine_find(f->e, &by_label, &l, NULL), 0);
        /* Neither what has ended, nor what was started by hand, nor what went away meanwhile. */
        assert_int_equal(l.n, 2);
        assert_string_equal(l.items[0].name, "pg-1");
        assert_true(l.items[0].paused);
        assert_string_equal(l.items[1].name, "shop-web-1");
    }
    {
        AUTO_CONTAINERS l = {0};
        assert_int_equal(cengine_find(f->e, &by_compose, &l, NULL), 0);
        assert_int_equal(l.n, 1);
        assert_int_equal(l.items[0].pid, 4712);
    }
    AUTO_CONTAINERS l = {0};
    assert_int_equal(cengine_find(f->e, &by_name, &l, NULL), 0);
    assert_int_equal(l.n, 1);
    const struct cengine_query *all[] = {&by_label, &by_compose, &by_name};
    const char *words[] = {"a container labelled app=web and b c",
                           "service web of the compose project shop, replica 2", "container pg-1"};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        AUTO_BUF text = BUF_INIT;
        cengine_query_text(all[i], &text);
        assert_string_equal(buf_text(&text), words[i]);
    }
}

static void one_that_is_not_there_is_said_with_those_that_are(void **state)
{
    struct fixture *f = *state;
    struct cengine_container c;
    struct err err = ERR_INIT;
    int r = cengine_inspect(f->e, "pg 2/..", &c, &err);
    assert_says(&err, r, ENOENT, "has no container 'pg 2/..'; it has pg-1, shop-web-1");
}

static void commands_are_done_refused_or_needless(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_INIT;
    struct cengine_command c = {.verb = CENGINE_PAUSE, .id = PG_ID, .grace = NSEC_UNSET};
    assert_int_equal(cengine_do(f->e, &c, NULL), 0);
    c.verb = CENGINE_UNPAUSE;
    assert_says(&err, cengine_do(f->e, &c, &err), EBUSY, "(status 409): it is not paused");
    c.verb = CENGINE_START;
    assert_int_equal(cengine_do(f->e, &c, NULL), 1);
    c = (struct cengine_command){.verb = CENGINE_KILL, .id = PG_ID, .signal = SIGHUP};
    assert_int_equal(cengine_do(f->e, &c, NULL), 0);
    c = (struct cengine_command){.verb = CENGINE_STOP, .id = PG_ID, .grace = NSEC_UNSET};
    assert_int_equal(cengine_do(f->e, &c, NULL), 0);
    c.grace = 1001 * NSEC_MSEC; /* never sooner than asked */
    c.signal = SIGINT;
    assert_int_equal(cengine_do(f->e, &c, NULL), 0);
    c = (struct cengine_command){.verb = CENGINE_RESTART, .id = PG_ID};
    assert_says(&err, cengine_do(f->e, &c, &err), EIO, "(status 500): out of ?[31mspace");
}

struct got {
    int calls, r;
    char text[256];
    struct loop *loop;
    struct cengine_call *call;
};

static void got_it(int r, const struct err *err, struct span at, void *data)
{
    struct got *g = data;
    assert_true(at.lo <= at.hi && span_is_set(at));
    g->calls++;
    g->r = r;
    snprintf(g->text, sizeof g->text, "%.250s", err ? err->text : "");
    g->call = cengine_call_free(g->call);
    loop_stop(g->loop);
}

static void long_commands_go_on_from_the_loop(void **state)
{
    struct fixture *f = *state;
    struct got g = {0};
    struct cengine_command stop = {.verb = CENGINE_STOP, .id = PG_ID, .grace = NSEC_UNSET};
    struct cengine_command restart = {.verb = CENGINE_RESTART, .id = PG_ID};
    assert_int_equal(loop_new(LOOP_REAL, &g.loop, NULL), 0);
    assert_int_equal(cengine_call_start(f->e, g.loop, &stop, got_it, &g, &g.call, NULL), 0);
    assert_int_equal(g.calls, 0);
    assert_int_equal(loop_run(g.loop, NULL), 0);
    assert_int_equal(g.calls, 1);
    assert_int_equal(g.r, 0);
    assert_int_equal(cengine_call_start(f->e, g.loop, &restart, got_it, &g, &g.call, NULL), 0);
    assert_int_equal(loop_run(g.loop, NULL), 0);
    assert_int_equal(g.r, -EIO);
    assert_non_null(strstr(g.text, "refused POST /containers/" PG_ID "/restart (status 500)"));
    assert_int_equal(cengine_call_start(f->e, g.loop, &stop, got_it, &g, &g.call, NULL), 0);
    cengine_call_free(g.call); /* forgotten: nothing comes */
    assert_int_equal(loop_run(g.loop, NULL), 0);
    assert_int_equal(g.calls, 2);
    loop_free(g.loop);
}

static void what_happened_is_told(void **state)
{
    struct fixture *f = *state;
    AUTO_JSON *events = NULL, *none = NULL;
    nsec since = 1700000000500 * NSEC_MSEC;
    assert_int_equal(cengine_events(f->e, "pg-1", since, since + 500 * NSEC_MSEC, &events, NULL),
                     0);
    assert_int_equal(json_array_size(events), 2);
    const json_t *die = json_array_get(events, 0), *gone = json_array_get(events, 1);
    assert_string_equal(jsonx_str(die, "action", ""), "die");
    assert_int_equal(jsonx_int(die, "at", 0), 1700000000600 * NSEC_MSEC);
    assert_string_equal(jsonx_str(gone, "action", ""), "destroy");
    enginefake_stop(&f->fake);
    f->e = cengine_free(f->e);
    stand(f, podman, ARRAY_SIZE(podman)); /* knows whole seconds alone */
    assert_int_equal(cengine_open(f->socket, &f->e, NULL), 0);
    assert_int_equal(cengine_events(f->e, "pg-1", since, since + 100 * NSEC_MSEC, &none, NULL), 0);
    assert_int_equal(json_array_size(none), 0);
}

static void odd_answers_are_errors_that_say_so(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *which, *part;
        int code;
    } cases[] = {
        {"cut", "cut its answer to GET /containers/cut/json short", EPIPE},
        {"huge", "with more than 16 MiB", EMSGSIZE},
        {"hang", "does not answer (GET /containers/hang/json): no whole answer within 50 ms",
         ETIMEDOUT},
        {"raw", "is no container engine", EPROTO},
        {"words", "in a way that is not understood", EPROTO},
        {"list", "no id or no name", EPROTO},
        {"short", "no id or no name", EPROTO},
        {"stateless", "state is missing", EPROTO},
        {"far", "state is missing", EPROTO},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct cengine_container c = {.pid = 77};
        struct err err = ERR_INIT;
        cengine_set_patience(f->e, cases[i].code == ETIMEDOUT ? 50 * NSEC_MSEC : 5 * NSEC_SEC);
        assert_says(&err, cengine_inspect(f->e, cases[i].which, &c, &err), cases[i].code,
                    cases[i].part);
        assert_int_equal(c.pid, 77);
    }
}

/* Whom it forked for a connection holds the listening socket until it has closed it or died. */
static void wait_until_nobody_listens(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    for (int i = 0; i < 5000; i++) {
        AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&at, sizeof at) < 0 && errno == ECONNREFUSED)
            return;
        (void)poll(NULL, 0, 1);
    }
    fail_msg("somebody still listens at %s", path);
}

static void an_engine_that_is_away_is_said(void **state)
{
    struct fixture *f = *state;
    struct cengine *e = NULL;
    struct err err = ERR_INIT;
    assert_says(&err, cengine_open(f->socket, &e, &err), ENOENT, "there is no socket");
    assert_says(&err, cengine_open("colima", &e, &err), EINVAL,
                "write docker, podman, or the path");
    stand(f, other, ARRAY_SIZE(other));
    assert_says(&err, cengine_open(f->socket, &e, &err), EPROTO, "it names no version");
    kill(f->fake.pid, SIGKILL); /* its socket stays behind */
    enginefake_stop(&(struct enginefake){.pid = f->fake.pid});
    f->fake.pid = 0;
    wait_until_nobody_listens(f->socket);
    assert_says(&err, cengine_open_patiently(f->socket, 1, &e, &err), ECONNREFUSED,
                "has ended, or is being started again");
    assert_null(e);
}

static void the_environment_says_where(void **state)
{
    struct fixture *f = *state;
    char host[80];
    struct cengine *e = NULL;
    struct err err = ERR_INIT;
    snprintf(host, sizeof host, "unix://%s", f->socket);
    stand(f, podman, ARRAY_SIZE(podman));
    setenv("DOCKER_HOST", host, 1);
    assert_int_equal(cengine_open(NULL, &e, NULL), 0);
    e = cengine_free(e);
    assert_int_equal(cengine_open("docker", &e, NULL), 0);
    e = cengine_free(e);
    setenv("DOCKER_HOST", "tcp://127.0.0.1:2375", 1);
    assert_says(&err, cengine_open(NULL, &e, &err), EINVAL, "DOCKER_HOST is tcp://127.0.0.1:2375");
    unsetenv("DOCKER_HOST");
    setenv("CONTAINER_HOST", host, 1);
    assert_int_equal(cengine_open("podman", &e, NULL), 0);
    e = cengine_free(e);
    unsetenv("CONTAINER_HOST");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define BARE(name) cmocka_unit_test_setup_teardown(name, set_up_bare, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_says_who_it_is),
        TEST(a_container_is_read),
        TEST(those_that_match_are_found),
        TEST(one_that_is_not_there_is_said_with_those_that_are),
        TEST(commands_are_done_refused_or_needless),
        TEST(long_commands_go_on_from_the_loop),
        TEST(what_happened_is_told),
        TEST(odd_answers_are_errors_that_say_so),
        BARE(an_engine_that_is_away_is_said),
        BARE(the_environment_says_where),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
