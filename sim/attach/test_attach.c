/* Who is meant by a rule: on a /proc that the test writes. */
#include "tests/support/test.h"

#include "sim/attach/process.h"
#include "sim/base/buf.h"
#include "sim/base/file.h"

#include <errno.h>
#include <fcntl.h>

static struct err err;

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) < 0)                                                                            \
            fail_msg("%s", err.text);                                                              \
    } while (0)

/* --- A /proc ---------------------------------------------------------------------------------- */

struct fake {
    char root[64];
    struct procs all;
    bool in[32];
};

struct one {
    pid_t pid, ppid;
    unsigned long long start;
    const char *comm, *argv0, *exe, *network, *cgroup, *sockets; /* inodes, separated by blanks */
    char state;
    bool kernel;
};

static void put(const struct fake *f, pid_t pid, const char *name, const char *text)
{
    AUTO_BUF path = BUF_INIT;
    buf_printf(&path, "%s/%d/%s", f->root, (int)pid, name);
    OK(file_replace(AT_FDCWD, buf_text(&path), text, strlen(text), &err));
}

static void put_link(const struct fake *f, pid_t pid, const char *name, const char *target)
{
    AUTO_BUF path = BUF_INIT;
    buf_printf(&path, "%s/%d/%s", f->root, (int)pid, name);
    assert_int_equal(symlink(target, buf_text(&path)), 0);
}

static void put_sockets(const struct fake *f, const struct one *o)
{
    int fd = 3;
    for (const char *p = o->sockets; p && *p; fd++) {
        char name[32], target[64];
        unsigned long inode = strtoul(p, (char **)(uintptr_t)&p, 10);
        snprintf(name, sizeof name, "fd/%d", fd);
        snprintf(target, sizeof target, "socket:[%lu]", inode);
        put_link(f, o->pid, name, target);
    }
}

static void add(const struct fake *f, const struct one *o)
{
    static const char *const folders[] = {"fd", "ns"};
    char text[512];
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        AUTO_BUF path = BUF_INIT;
        buf_printf(&path, "%s/%d/%s", f->root, (int)o->pid, folders[i]);
        OK(file_make_dirs(AT_FDCWD, buf_text(&path), 0755, &err));
    }
    snprintf(text, sizeof text, "%d (%s) %c %d 0 0 0 -1 %u 0 0 0 0 0 0 0 0 20 0 1 0 %llu 0 0\n",
             (int)o->pid, o->comm, o->state ? o->state : 'S', (int)o->ppid,
             o->kernel ? 0x00200000u : 0x00400000u, o->start);
    put(f, o->pid, "stat", text);
    put(f, o->pid, "cmdline", o->argv0 ? o->argv0 : "");
    put(f, o->pid, "cgroup", o->cgroup ? o->cgroup : "0::/\n");
    put_sockets(f, o);
    if (o->exe)
        put_link(f, o->pid, "exe", o->exe);
    /* Two processes are in one network namespace when these lead to the same file. */
    AUTO_BUF network = BUF_INIT;
    buf_printf(&network, "%s/%s", f->root, o->network ? o->network : "machine");
    AUTO_CLOSE int fd = open(buf_text(&network), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    put_link(f, o->pid, "ns/net", buf_text(&network));
}

static const struct one shop[] = {
    {1, 0, 1, "init", "/sbin/init", NULL, NULL, NULL, NULL, 'S', false},
    {2, 0, 1, "kworker", NULL, NULL, NULL, NULL, NULL, 'I', true},
    {100, 1, 50, "nginx", "nginx: master process", "/usr/sbin/nginx", NULL,
     "0::/system.slice/nginx.service\n", "9001", 'S', false},
    {101, 100, 60, "nginx", "nginx: worker process", "/usr/sbin/nginx", NULL,
     "0::/system.slice/nginx.service\n", "9001 9050", 'S', false},
    {102, 100, 61, "nginx", "nginx: worker process", "/usr/sbin/nginx", NULL,
     "0::/system.slice/nginx.service\n", "9001", 'S', false},
    {103, 100, 62, "nginx", "", "/usr/sbin/nginx", NULL, "0::/system.slice/nginx.service\n", NULL,
     'Z', false},
    {200, 1, 70, "nginx", "nginx: master process", "/usr/sbin/nginx (deleted)", "blue",
     "0::/docker/ab\n4:memory:/docker/ab\n", "9001 7", 'S', false},
    {300, 1, 40, "redis-server", "/usr/bin/redis-server *:6379", "/usr/bin/redis-check-rdb", NULL,
     "4:memory,hugetlb:/shop/cache\n0::/\n", "9100", 'S', false},
    {301, 300, 90, "redis-rdb-bgsave", "redis-rdb-bgsave", "/usr/bin/redis-check-rdb", NULL,
     "4:memory,hugetlb:/shopping\n0::/\n", NULL, 'R', false},
};

static int set_up(void **state)
{
    struct fake *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->root, sizeof f->root, "/tmp/blackstart-test-proc-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    for (size_t i = 0; i < ARRAY_SIZE(shop); i++)
        add(f, &shop[i]);
    /* We live in the machine's network, too: what "here" means for a port alone. */
    add(f, &(struct one){.pid = getpid(), .ppid = 1, .start = 99, .comm = "test"});
    OK(procs_scan_at(f->root, &f->all, &err));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fake *f = *state;
    procs_done(&f->all);
    file_remove_tree(AT_FDCWD, f->root, NULL);
    free(f);
    return 0;
}

/* Who listens on 80 and on 6379 here, and on 80 in `blue`. */
static int answer(const struct proc *p, int64_t port, uint32_t **ret, size_t *ret_n, void *data,
                  struct err *e)
{
    int *asked = data;
    *asked += 1;
    bool blue = p->pid == 200;
    *ret = calloc(2, sizeof **ret);
    assert_non_null(*ret);
    (*ret)[0] = port == 80 ? (blue ? 7 : 9001) : 9100;
    *ret_n = port == 80 || !blue;
    return 0;
}

static void says(struct fake *f, const struct process_host *rule, const char *pids)
{
    int asked = 0;
    AUTO_BUF found = BUF_INIT;
    memset(f->in, 0, sizeof f->in);
    OK(process_matches(rule, &f->all, answer, &asked, f->in, &err));
    for (size_t i = 0; i < f->all.n; i++)
        if (f->in[i])
            buf_printf(&found, "%s%d", found.len ? " " : "", (int)f->all.items[i].pid);
    assert_string_equal(buf_text(&found), pids);
}

#define RULE(...) (&(struct process_host){__VA_ARGS__})

/* --- Rules ------------------------------------------------------------------------------------ */

static void a_name_is_that_of_program_argument_or_command(void **state)
{
    static char nginx[] = "nginx", path[] = "/usr/sbin/nginx", master[] = "nginx: master process",
                redis[] = "redis-server", cut[] = "redis-rdb-bgsave", nobody[] = "ngin";
    struct fake *f = *state;
    says(f, RULE(.name = nginx), "100 101 102 200"); /* no zombie */
    says(f, RULE(.name = path), "100 101 102 200");  /* that was deleted, too */
    says(f, RULE(.name = master), "100 200");
    says(f, RULE(.name = redis), "300");
    says(f, RULE(.name = cut), "301");
    says(f, RULE(.name = nobody), "");
}

static void all_that_is_given_must_hold(void **state)
{
    static char nginx[] = "nginx", redis[] = "redis-server";
    struct fake *f = *state;
    says(f, RULE(.pid = 101), "101");
    says(f, RULE(.pid = 101, .name = redis), "");
    says(f, RULE(.name = nginx, .port = 80), "100 101 102 200");
    says(f, RULE(.name = nginx, .port = 6379), "");
    says(f, RULE(.pid = 103), "");
}

static void a_port_alone_means_this_machines(void **state)
{
    struct fake *f = *state;
    says(f, RULE(.port = 80), "100 101 102");
    says(f, RULE(.port = 6379), "300");
    says(f, RULE(.port = 81), "300"); /* by the same answer: inode 9100 */
}

static void each_network_is_asked_once(void **state)
{
    static char nginx[] = "nginx";
    struct fake *f = *state;
    int asked = 0;
    OK(process_matches(RULE(.name = nginx, .port = 80), &f->all, answer, &asked, f->in, &err));
    assert_int_equal(asked, 2);
}

static void a_group_holds_what_is_below_it(void **state)
{
    static char unit[] = "/system.slice/nginx.service", slice[] = "/system.slice/",
                cache[] = "/shop", memory[] = "memory:/shop", other[] = "cpu:/shop";
    struct fake *f = *state;
    says(f, RULE(.cgroup = unit), "100 101 102");
    says(f, RULE(.cgroup = slice), "100 101 102");
    says(f, RULE(.cgroup = cache), "300"); /* not /shopping */
    says(f, RULE(.cgroup = memory), "300");
    says(f, RULE(.cgroup = other), "");
}

static void a_pid_file_names_one(void **state)
{
    struct fake *f = *state;
    char path[96];
    snprintf(path, sizeof path, "%s/nginx.pid", f->root);
    OK(file_replace(AT_FDCWD, path, "100\n", 4, &err));
    says(f, RULE(.pid_file = path), "100");
    static const char *const wrong[] = {"", "x\n", "-4\n", "0\n", "12 13\n", "99999999999999\n"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        OK(file_replace(AT_FDCWD, path, wrong[i], strlen(wrong[i]), &err));
        assert_int_equal(
            process_matches(RULE(.pid_file = path), &f->all, answer, NULL, f->in, &err), -EINVAL);
        assert_non_null(strstr(err.text, "does not hold the number of a process"));
    }
}

static void the_main_one_is_the_eldest_without_a_parent_among_them(void **state)
{
    static char nginx[] = "nginx";
    struct fake *f = *state;
    says(f, RULE(.name = nginx), "100 101 102 200");
    assert_int_equal(process_main(&f->all, f->in)->pid, 100);
    says(f, RULE(.pid = 101), "101");
    assert_int_equal(process_main(&f->all, f->in)->pid, 101);
    memset(f->in, 0, sizeof f->in);
    assert_null(process_main(&f->all, f->in));
}

static void some_are_never_targets(void **state)
{
    struct fake *f = *state;
    assert_string_equal(attached_never(&f->all, procs_find(&f->all, 1)),
                        "it is process 1, on which all others stand");
    assert_string_equal(attached_never(&f->all, procs_find(&f->all, 2)),
                        "it is a thread of the kernel");
    assert_string_equal(attached_never(&f->all, procs_find(&f->all, getpid())),
                        "it is blackstart itself");
    assert_null(attached_never(&f->all, procs_find(&f->all, 100)));
    AUTO_PROCS real = {0};
    OK(procs_scan(&real, &err));
    assert_string_equal(attached_never(&real, procs_find(&real, getppid())),
                        "blackstart descends from it");
}

static void rules_are_checked_before_anything_is_looked_at(void **state)
{
    static char root[] = "/", folder[] = "/sys/fs/cgroup/shop", colon[] = "memory:/",
                relative[] = "run/x.pid", good[] = "memory:/shop";
    const struct {
        struct process_host rule;
        const char *word;
    } cases[] = {
        {{.expect = 3}, "say which processes"},      {{.cgroup = root}, "not the root"},
        {{.cgroup = colon}, "not the root"},         {{.cgroup = folder}, "not as a folder"},
        {{.pid_file = relative}, "begins with '/'"}, {{.cgroup = good}, NULL}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct process_host rule = cases[i].rule;
        const struct host h = {.process = &rule};
        const char *key = NULL;
        int r = attach_process.check(&h, &key, &err);
        assert_int_equal(r, cases[i].word ? -EINVAL : 0);
        if (cases[i].word)
            assert_non_null(strstr(err.text, cases[i].word));
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_name_is_that_of_program_argument_or_command),
        T(all_that_is_given_must_hold),
        T(a_port_alone_means_this_machines),
        T(each_network_is_asked_once),
        T(a_group_holds_what_is_below_it),
        T(a_pid_file_names_one),
        T(the_main_one_is_the_eldest_without_a_parent_among_them),
        T(some_are_never_targets),
        T(rules_are_checked_before_anything_is_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
