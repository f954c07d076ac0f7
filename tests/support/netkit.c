/* See netkit.h. */
#include "tests/support/netkit.h"

#include "sim/base/buf.h"
#include "sim/kernel/netns.h"
#include "sim/kernel/rtnl.h"

#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

void netkit_ok_(int r, const struct err *err, const char *file, int line)
{
    if (r >= 0)
        return;
    print_error("%s:%d: %s (%d)\n", file, line, err->text, r);
    fail();
}

struct inet_prefix netkit_ip(const char *text)
{
    struct inet_prefix p = {0};
    struct err err = ERR_INIT;
    netkit_ok(inet_parse(text, &p, &err), &err);
    return p;
}

int netkit_run(int netns, const char *command, char **ret_output)
{
    AUTO_NETNS netns_scope scope = NETNS_OUTSIDE;
    struct err err = ERR_INIT;
    AUTO_BUF out = BUF_INIT;
    char piece[4096];
    netkit_ok(netns_enter(netns, &scope, &err), &err);
    FILE *f = popen(command, "re");
    assert_non_null(f);
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;)
        buf_add(&out, piece, n);
    int status = pclose(f);
    if (ret_output) {
        buf_adds(&out, "");
        *ret_output = buf_steal(&out);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

json_t *netkit_json(int netns, const char *command)
{
    AUTO_FREE char *text = NULL;
    assert_int_equal(netkit_run(netns, command, &text), 0);
    json_t *j = json_loads(text, 0, NULL);
    if (!j)
        print_error("%s: %s\n", command, text);
    assert_non_null(j);
    return j;
}

json_t *netkit_pick(json_t *array, const char *key, const char *value)
{
    size_t i;
    json_t *one;
    json_array_foreach (array, i, one) {
        const char *s = json_string_value(json_object_get(one, key));
        if (s && strcmp(s, value) == 0)
            return one;
    }
    print_error("no object with %s = %s\n", key, value);
    fail();
    return NULL;
}

json_t *netkit_at(json_t *j, const char *path)
{
    char copy[128];
    snprintf(copy, sizeof copy, "%s", path);
    char *save = NULL;
    for (char *word = strtok_r(copy, ".", &save); word && j; word = strtok_r(NULL, ".", &save))
        j = word[0] >= '0' && word[0] <= '9' ? json_array_get(j, (size_t)atoi(word))
                                             : json_object_get(j, word);
    return j;
}

bool netkit_is_up(json_t *link)
{
    size_t i;
    json_t *flag;
    json_array_foreach (json_object_get(link, "flags"), i, flag) {
        if (strcmp(json_string_value(flag), "UP") == 0)
            return true;
    }
    return false;
}

struct inet_mac netkit_mac(unsigned n)
{
    return (struct inet_mac){{2, 0, 0, 0, (uint8_t)(n >> 8), (uint8_t)n}};
}

void netkit_open(struct netkit *t)
{
    struct err err = ERR_INIT;
    netkit_ok(netns_new(&t->switch_fd, &err), &err);
    netkit_ok(netns_new(&t->host_fd, &err), &err);
    netkit_ok(nl_open_kernel(t->switch_fd, "switch", &t->sw, &err), &err);
    netkit_ok(nl_derive(t->sw, t->host_fd, "host web", &t->host, &err), &err);
}

void netkit_close(struct netkit *t)
{
    nl_free(t->host);
    nl_free(t->sw);
    close(t->host_fd);
    close(t->switch_fd);
}

void netkit_build(struct nl *sw, struct nl *host, int host_fd)
{
    struct err err = ERR_INIT;
    struct inet_prefix a4 = netkit_ip("10.0.0.1/24"), a6 = netkit_ip("fd00::1/64"),
                       gw = netkit_ip("10.0.0.254");
    struct inet_prefix to = netkit_ip("fd01::/48"), via = netkit_ip("fd00::2");
    struct inet_mac m1 = netkit_mac(1), m2 = netkit_mac(2), m3 = netkit_mac(3);
    struct rtnl_port port = RTNL_PORT_INIT;
    port.hairpin = 1;
    port.learning = 0;
    rtnl_bridge_add(sw, &(struct rtnl_bridge){
                            .name = "br-lan", .up = true, .ifindex = 77, .mac = m1, .mtu = 1400});
    nl_learn(sw, "br-lan", 77);
    rtnl_veth_add(sw, &(struct rtnl_veth){.name = "p-web",
                                          .up = true,
                                          .master = "br-lan", /* made by the message before */
                                          .group = 7,
                                          .mtu = 1400,
                                          .mac = m1,
                                          .peer_netns = {host_fd, "host web"},
                                          .peer_name = "eth0",
                                          .peer_mac = m2,
                                          .peer_ifindex = 9});
    rtnl_port_set(sw, "p-web", &port);
    netkit_ok(nl_flush(sw, &err), &err);
    nl_learn(host, "eth0", 9);
    rtnl_link_up(host, "lo", true);
    rtnl_link_up(host, "eth0", true);
    rtnl_address_add(host, "eth0", &a4);
    rtnl_address_add(host, "eth0", &a6);
    rtnl_route_add(host, &(struct rtnl_route){.via = gw, .dev = "eth0"});
    rtnl_route_add(host, &(struct rtnl_route){.to = to, .via = via, .metric = 50});
    rtnl_neighbour_add(host, "eth0", &gw, &m3);
    rtnl_neighbour_add(host, "eth0", &via, &m3);
    netkit_ok(nl_flush(host, &err), &err);
    netkit_ok(nl_sysctl(host, "net/ipv4/ip_forward", "1", &err), &err);
}

static bool write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    return f && fputs(text, f) >= 0 && fclose(f) == 0;
}

static int skip_because(const char *why)
{
    if (getenv("BLACKSTART_TESTS_MUST_RUN")) {
        print_error("cannot run: %s\n", why);
        return 1;
    }
    print_message("skipped: %s\n", why);
    return 77;
}

static int run_in_userns(int (*tests)(void))
{
    char map[64];
    unsigned uid = geteuid(), gid = getegid();
    prctl(PR_SET_DUMPABLE, 1); /* lost with the change of uid: /proc/self would be root's */
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return skip_because("user namespaces are not allowed here");
    snprintf(map, sizeof map, "0 %u 1", gid);
    if (!write_text("/proc/self/setgroups", "deny") || !write_text("/proc/self/gid_map", map))
        return skip_because("the group map of a user namespace cannot be written");
    snprintf(map, sizeof map, "0 %u 1", uid);
    if (!write_text("/proc/self/uid_map", map))
        return skip_because("the user map of a user namespace cannot be written");
    return tests();
}

static int as_we_are(int (*tests)(void))
{
    return tests();
}

static int in_child(int (*fn)(int (*tests)(void)), int (*tests)(void), uid_t uid)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (uid && (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
                    setresuid(uid, uid, uid) < 0))
            _exit(1);
        int r = fn(tests);
        fflush(NULL);
        _exit(r);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int netkit_main(int (*tests)(void))
{
    if (geteuid() != 0)
        return in_child(run_in_userns, tests, 0);
    int as_root = in_child(as_we_are, tests, 0);
    int as_nobody = in_child(run_in_userns, tests, 65534);
    return as_root ? as_root : as_nobody;
}
