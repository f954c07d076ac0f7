/* See cutkit.h. */
#include "tests/support/cutkit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "injectors/net/partition/crossing.h"
#include "injectors/net/partition/cut.h"
#include "sim/kernel/netns.h"
#include "tests/support/faultkit.h"

static const char *const five[] = {"a", "b", "c", "d", "e"};

const char *cutkit_lost_ways(struct kit *k)
{
    static struct buf out;
    struct err err = ERR_INIT;
    CLEANUP(topo_free_p) struct topo *topo = NULL;
    struct crossing *tries[25] = {NULL};
    const struct cut_scope all = {0};
    kit_ok(topo_new(k->s, &topo, &err), &err);
    for (size_t i = 0; i < 25; i++) {
        AUTO_CUT cut = {0};
        AUTO_GRUDGE way = {0};
        grudge_add(&way, i / 5, i % 5);
        cut_along(topo, five, 5, &way, &cut);
        if (way.n > 0)
            kit_ok(crossing_send(k->lab, &cut, &all, 1, &tries[i], &err), &err);
    }
    usleep(20000);
    buf_clear(&out);
    for (size_t i = 0; i < 25; i++) {
        size_t arrived = 1, refused = 0;
        if (tries[i])
            crossing_collect(tries[i], &arrived, &refused);
        if (arrived == 0)
            buf_printf(&out, "%s%s>%s", out.len ? " " : "", five[i / 5], five[i % 5]);
        crossing_free(tries[i]);
    }
    return buf_text(&out);
}

void cutkit_five_hosts(struct kit *k)
{
    char address[64];
    kit_open(k);
    for (int i = 0; i < 5; i++) {
        snprintf(address, sizeof address, "10.0.0.%d/24 fd00::%d/64", i + 1, i + 1);
        kit_host(k, five[i], address);
    }
    kit_up(k, false);
    for (int i = 0; i < 50 && *cutkit_lost_ways(k); i++)
        ; /* cables carry only when both ends have noticed */
}

struct strv cutkit_names(struct kit *k, const char *list)
{
    return fault_choice(k, list)->of;
}

struct sockaddr_storage cutkit_at(const char *address, uint16_t port, socklen_t *ret_n)
{
    struct inet_prefix p;
    struct sockaddr_storage s = {0};
    assert_int_equal(inet_parse(address, &p, NULL), 0);
    s.ss_family = p.family;
    if (p.family == AF_INET) {
        ((struct sockaddr_in *)&s)->sin_port = htons(port);
        memcpy(&((struct sockaddr_in *)&s)->sin_addr, p.addr, 4);
        *ret_n = sizeof(struct sockaddr_in);
    } else {
        ((struct sockaddr_in6 *)&s)->sin6_port = htons(port);
        memcpy(&((struct sockaddr_in6 *)&s)->sin6_addr, p.addr, 16);
        *ret_n = sizeof(struct sockaddr_in6);
    }
    return s;
}

int cutkit_socket(struct kit *k, const char *host, int family, int type)
{
    struct err err = ERR_INIT;
    int fd = -1;
    kit_ok(netns_socket(lab_node_netns(lab_node(k->lab, host)), family, type | SOCK_NONBLOCK, 0,
                        &fd, &err),
           &err);
    return fd;
}
