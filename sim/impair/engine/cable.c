/* Cables as intake. See cable.h. */
#include "sim/impair/engine/cable.h"

#include "sim/impair/engine/fate.h"
#include "sim/impair/engine/gate.h"
#include "sim/impair/engine/offload.h"
#include "sim/kernel/netns.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/tc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <string.h>
#include <sys/socket.h>

#define CABLE_MTU 65535 /* whatever the device sends fits */
#define CABLE_BUFFER (64 << 20)

static const struct sock_filter match_all[] = {BPF_STMT(BPF_RET | BPF_K, 0xffffffff)};
static const struct sock_filter drop_all[] = {BPF_STMT(BPF_RET | BPF_K, TC_ACT_SHOT)};

/* A namespace's root may not exceed rmem_max; then we get that. */
static void cable_buffer(int fd, int force, int plain)
{
    int size = CABLE_BUFFER;
    if (setsockopt(fd, SOL_SOCKET, force, &size, sizeof size) < 0)
        setsockopt(fd, SOL_SOCKET, plain, &size, sizeof size);
}

int engine_release_socket(int netns_fd, int ifindex, uint32_t mark, int *ret_fd, struct err *err)
{
    AUTO_CLOSE int fd = -1;
    int r = netns_socket(netns_fd, AF_PACKET, SOCK_RAW, 0, &fd, err);
    if (r < 0)
        return r;
    struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_ifindex = ifindex};
    int one = 1;
    if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one) < 0 ||
        (mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) < 0) ||
        bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
        return err_errno(err, errno, "cannot make a socket that releases frames");
    cable_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
    *ret_fd = steal_fd(&fd);
    return 0;
}

static int capture_socket(int netns_fd, int ifindex, int *ret_fd, struct err *err)
{
    AUTO_CLOSE int fd = -1;
    int r = netns_socket(netns_fd, AF_PACKET, SOCK_RAW, 0, &fd, err);
    if (r < 0)
        return r;
    struct sockaddr_ll a = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = ifindex};
    int one = 1;
    cable_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
    if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof one) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one) < 0 ||
        bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
        return err_errno(err, errno, "cannot make a socket that takes frames");
    *ret_fd = steal_fd(&fd);
    return 0;
}

static struct tc_filter drop_filter(const struct engine_line *line)
{
    return (struct tc_filter){.dev = line->inner,
                              .hook = TC_INGRESS,
                              .pref = 1,
                              .handle = 1,
                              .ops = drop_all,
                              .n_ops = ARRAY_SIZE(drop_all),
                              .drop = true};
}

static struct tc_filter arrive_filter(const struct engine_line *line)
{
    return (struct tc_filter){.dev = line->outer,
                              .hook = TC_INGRESS,
                              .pref = 1,
                              .handle = 1,
                              .ops = match_all,
                              .n_ops = ARRAY_SIZE(match_all),
                              .redirect_to = line->device,
                              .to_ingress = true};
}

/* Opened, what was on its way out goes out, and what was about to arrive takes the way of those that we
 * let arrive. */
static int cable_gate(struct engine_line *line, struct err *err)
{
    if (!line->outlives)
        return 0;
    int r = nl_flush(line->nl, err);
    if (r == 0)
        r = gate_make(line->nl, line->tag, line->inner, line->ingress ? line->inner : line->device,
                      err);
    line->gated = r == 0;
    return r < 0 ? r : 0;
}

static int cable_plug(struct engine_line *line, struct err *err)
{
    struct rtnl_link device;
    snprintf(line->outer, sizeof line->outer, "%.14sa", line->tag);
    snprintf(line->inner, sizeof line->inner, "%.14sb", line->tag);
    int r = rtnl_link_get(line->nl, line->device, &device, err);
    if (r < 0)
        return r;
    struct rtnl_veth v = {.name = line->outer,
                          .peer_name = line->inner,
                          .mtu = CABLE_MTU,
                          .quiet = true,
                          .gso_max_segs = line->cuts ? 1 : 0};
    if (line->ingress) /* what arrives must look to the stack as it looked on the device */
        v.mac = device.mac;
    struct tc_filter drop = drop_filter(line), arrive = arrive_filter(line);
    rtnl_veth_add(line->nl, &v);
    if ((r = cable_gate(line, err)) < 0)
        return r;
    if (!line->gated) {
        tc_clsact_add(line->nl, line->inner);
        tc_filter_add(line->nl, &drop);
    }
    if (line->ingress) {
        tc_clsact_add(line->nl, line->outer);
        tc_filter_add(line->nl, &arrive);
    }
    rtnl_link_up(line->nl, line->inner, true);
    rtnl_link_up(line->nl, line->outer, true);
    r = nl_flush(line->nl, err);
    if (r < 0)
        return err_prefix(err, "cannot make the cable that frames of %s are taken from",
                          line->device);
    return 0;
}

static int cable_connect(struct engine_line *line, const struct engine_spec *spec,
                         const struct impairment *what, struct err *err)
{
    AUTO_CLOSE int release = -1;
    AUTO_CLOSE int capture = -1;
    int device, inner, outer, r;
    /* The last is asked for now so that it need not be when the line is switched on. */
    if ((r = nl_ifindex(line->nl, line->device, &device, err)) < 0 ||
        (r = nl_ifindex(line->nl, line->inner, &inner, err)) < 0 ||
        (r = nl_ifindex(line->nl, line->outer, &outer, err)) < 0 ||
        (r = engine_release_socket(spec->point.netns_fd, line->ingress ? inner : device,
                                   line->ingress ? ENGINE_MARK : 0, &release, err)) < 0 ||
        (r = capture_socket(spec->point.netns_fd, inner, &capture, err)) < 0)
        return r;
    int fds[] = {release, capture};
    r = engine_ask(line->engine, WIRE_LINE, line->id, what, fds, 2, NULL, err);
    line->known = r == 0;
    return r;
}

int cable_arm(struct engine_line *line, const struct engine_spec *spec,
              const struct impairment *what, struct err *err)
{
    /* Frames that we let arrive are matched again at the device's ingress, and those of an open gate
     * wherever they go: not those. */
    const struct sock_filter not_ours[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_MARK)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ENGINE_MARK, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    line->outlives = spec->point.outlives;
    size_t more = line->ingress || line->outlives ? ARRAY_SIZE(not_ours) : 0;
    line->ops = calloc(spec->n_ops + more, sizeof *line->ops);
    if (!line->ops)
        return err_set(err, ENOMEM, "no memory for a filter");
    memcpy(line->ops, not_ours, more * sizeof *not_ours);
    memcpy(line->ops + more, spec->ops, spec->n_ops * sizeof *spec->ops);
    line->n_ops = spec->n_ops + more;
    line->must_cut = !line->ingress && !line->recording &&
                     !offload_takes_all(spec->point.netns_fd, line->device);
    line->cuts = line->must_cut || fate_is_per_packet(what);
    int r = cable_plug(line, err);
    if (r == 0 && !line->recording)
        r = cable_connect(line, spec, what, err);
    if (r < 0)
        cable_remove(line, NULL);
    return r;
}

int cable_for_release(struct engine_line *line, struct err *err)
{
    return cable_plug(line, err);
}

void cable_filter(struct engine_line *line, bool on)
{
    struct tc_filter f = {.dev = line->device,
                          .hook = line->ingress ? TC_INGRESS : TC_EGRESS,
                          .pref = line->pref,
                          .handle = 1,
                          .ops = line->ops,
                          .n_ops = line->n_ops,
                          .redirect_to = line->outer};
    if (on)
        tc_filter_add(line->nl, &f);
    else
        tc_filter_delete(line->nl, &f);
}

int cable_change(struct engine_line *line, const struct impairment *what, struct err *err)
{
    bool cuts = line->must_cut || fate_is_per_packet(what);
    if (cuts == line->cuts)
        return 0;
    rtnl_link_gso_max_segs(line->nl, line->outer, cuts ? 1 : RTNL_GSO_MAX_SEGS);
    int r = nl_flush(line->nl, err);
    if (r == 0)
        line->cuts = cuts;
    return r;
}

int cable_remove(struct engine_line *line, struct err *err)
{
    if (!line->outer[0])
        return 0;
    rtnl_link_delete(line->nl, line->outer);
    nl_forgive(line->nl, ENODEV);
    line->outer[0] = '\0';
    int r = nl_flush(line->nl, err),
        gate = line->gated ? gate_remove(line->nl, line->tag, NULL) : 0;
    return r < 0 ? r : gate;
}

int cable_count(struct engine_line *line, struct impair_counts *ret, struct err *err)
{
    struct rtnl_link outer;
    struct wire_reply reply;
    int r = rtnl_link_get(line->nl, line->outer, &outer, err);
    if (r == 0)
        r = engine_ask(line->engine, WIRE_COUNT, line->id, NULL, NULL, 0, &reply, err);
    if (r < 0)
        return r;
    *ret = reply.counts;
    ret->matched += outer.tx_dropped; /* the cable's own queue */
    ret->overflow += outer.tx_dropped;
    return 0;
}
