/* Two namespaces and a cable. See duo.h. */
#include "tests/support/duo.h"

#include "sim/kernel/inet.h"
#include "sim/kernel/netns.h"
#include "sim/kernel/rtnl.h"
#include "tests/support/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static void ok_(int r, const struct err *err, int line)
{
    if (r < 0)
        fail_msg("duo.c:%d: %s", line, err->text);
}
#define ok(r) ok_(r, &err, __LINE__)

static void address(struct nl *nl, const char *text)
{
    struct err err = ERR_INIT;
    struct inet_prefix p;
    ok(inet_parse(text, &p, &err));
    rtnl_address_add(nl, "eth0", &p);
}

void duo_open(struct duo *p, uint32_t mtu)
{
    struct err err = ERR_INIT;
    *p = (struct duo){-1, -1, NULL, NULL};
    ok(netns_new(&p->a_fd, &err));
    ok(netns_new(&p->b_fd, &err));
    ok(nl_open_kernel(p->a_fd, "a", &p->a, &err));
    ok(nl_open_kernel(p->b_fd, "b", &p->b, &err));
    rtnl_veth_add(
        p->a, &(struct rtnl_veth){
                  .name = "eth0", .mtu = mtu, .peer_netns = {p->b_fd, "b"}, .peer_name = "eth0"});
    rtnl_link_up(p->a, "lo", true);
    rtnl_link_up(p->b, "lo", true);
    ok(nl_flush(p->a, &err));
    address(p->a, "10.9.0.1/24");
    address(p->a, "fd09::1/64");
    for (int i = 2; i <= 4; i++) {
        char text[32];
        snprintf(text, sizeof text, "10.9.0.%d/24", i);
        address(p->b, text);
        snprintf(text, sizeof text, "fd09::%d/64", i);
        address(p->b, text);
    }
    rtnl_link_up(p->b, "eth0", true);
    ok(nl_flush(p->b, &err));
    rtnl_link_up(p->a, "eth0", true);
    ok(nl_flush(p->a, &err));
}

void duo_close(struct duo *p)
{
    nl_free(p->a);
    nl_free(p->b);
    close(p->a_fd);
    close(p->b_fd);
}

static socklen_t sockaddr_of(const char *text, uint16_t port, struct sockaddr_storage *ret)
{
    struct err err = ERR_INIT;
    struct inet_prefix p;
    ok(inet_parse(text, &p, &err));
    *ret = (struct sockaddr_storage){.ss_family = p.family};
    if (p.family == AF_INET6) {
        struct sockaddr_in6 *s = (void *)ret;
        s->sin6_port = htons(port);
        memcpy(&s->sin6_addr, p.addr, 16);
        return sizeof *s;
    }
    struct sockaddr_in *s = (void *)ret;
    s->sin_port = htons(port);
    memcpy(&s->sin_addr, p.addr, 4);
    return sizeof *s;
}

static void udp(int from, int to, const char *at, uint16_t port, int *ret_tx, int *ret_rx)
{
    struct err err = ERR_INIT;
    struct sockaddr_storage a;
    socklen_t n = sockaddr_of(at, port, &a);
    ok(netns_socket(to, a.ss_family, SOCK_DGRAM, 0, ret_rx, &err));
    ok(netns_socket(from, a.ss_family, SOCK_DGRAM, 0, ret_tx, &err));
    assert_int_equal(bind(*ret_rx, (struct sockaddr *)&a, n), 0);
    assert_int_equal(connect(*ret_tx, (struct sockaddr *)&a, n), 0);
}

void duo_udp(const struct duo *p, const char *at, uint16_t port, int *ret_tx, int *ret_rx)
{
    udp(p->a_fd, p->b_fd, at, port, ret_tx, ret_rx);
}

void duo_udp_back(const struct duo *p, const char *at, uint16_t port, int *ret_tx, int *ret_rx)
{
    udp(p->b_fd, p->a_fd, at, port, ret_tx, ret_rx);
}

void duo_tcp(const struct duo *p, const char *at, uint16_t port, int *ret_a, int *ret_b)
{
    struct err err = ERR_INIT;
    struct sockaddr_storage a;
    socklen_t n = sockaddr_of(at, port, &a);
    AUTO_CLOSE int listener = -1;
    ok(netns_socket(p->b_fd, a.ss_family, SOCK_STREAM, 0, &listener, &err));
    ok(netns_socket(p->a_fd, a.ss_family, SOCK_STREAM, 0, ret_a, &err));
    int one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    assert_int_equal(bind(listener, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(connect(*ret_a, (struct sockaddr *)&a, n), 0);
    *ret_b = accept(listener, NULL, NULL);
    assert_true(*ret_b >= 0);
}
