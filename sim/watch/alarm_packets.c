/* The alarm `packets`: frames that match a filter, by libpcap, which is seen in this file only.
 *
 * One capture per interface, in the host's network namespace (the socket stays there), immediate
 * mode, nanosecond stamps. The kernel stamps with CLOCK_REALTIME; the offset to CLOCK_MONOTONIC is
 * sampled at each reception and every OFFSET_EVERY, and a stamp becomes [lo, hi] by the uncertainty
 * of that sample. If the wall clock was set between two samples, the stamp may be of either side:
 * the interval then covers both, and the step is reported.
 *
 * Source: packet(7), pcap(3), the format of capture files (draft-ietf-opsawg-pcap).
 */
#include "sim/base/buf.h"
#include "sim/kernel/inet.h"
#include "sim/watch/filter.h"
#include "sim/watch/stamp.h"
#include "sim/watch/vantage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define SNAPLEN 65535
#define BUFFER_BYTES (4 << 20)
#define OFFSET_EVERY (250 * NSEC_MSEC)
#define MACS_MAX 64

struct capture {
    struct packets *owner;
    struct capture *next;
    char device[IF_NAMESIZE];
    pcap_t *pcap;
    struct loop_io io;
    unsigned drops;
};

struct packets {
    struct sentry *sentry;
    struct capture *captures;
    struct loop_timer timer;
    struct stamp_clock clock;
};

/* --- Clocks ---------------------------------------------------------------------------------- */

static void packets_sample(struct packets *p)
{
    char text[NSEC_TEXT_MAX];
    nsec by = stamp_next(&p->clock, stamp_sample());
    if (by)
        vantage_trouble(p->sentry->vantage, "wall-step",
                        "the wall clock was set by %s; stamps of packets are wider by that",
                        nsec_text(by, text));
}

static struct span packets_when(const struct packets *p, const struct pcap_pkthdr *h)
{
    nsec wall = (nsec)h->ts.tv_sec * NSEC_SEC + h->ts.tv_usec; /* nanoseconds, as asked */
    return stamp_when(&p->clock, wall, nsec_now(CLOCK_MONOTONIC));
}

/* --- The file of frames ---------------------------------------------------------------------- */

static void file_header(int fd)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size > 0)
        return;
    const struct pcap_file_header header = {.magic = 0xa1b23c4d, /* nanoseconds */
                                            .version_major = 2,
                                            .version_minor = 4,
                                            .snaplen = SNAPLEN,
                                            .linktype = DLT_EN10MB};
    (void)!write(fd, &header, sizeof header);
}

static bool file_frame(int fd, const struct pcap_pkthdr *h, const u_char *bytes)
{
    uint32_t head[4] = {(uint32_t)h->ts.tv_sec, (uint32_t)h->ts.tv_usec, h->caplen, h->len};
    struct iovec iov[] = {{head, sizeof head}, {(void *)(uintptr_t)bytes, h->caplen}};
    return fd < 0 || writev(fd, iov, 2) == (ssize_t)(sizeof head + h->caplen);
}

/* --- Frames ---------------------------------------------------------------------------------- */

static void frame_words(const struct capture *c, const struct pcap_pkthdr *h, const u_char *b,
                        char *words, size_t size)
{
    if (h->caplen < 14) {
        snprintf(words, size, "%s: %u bytes", c->device, h->len);
        return;
    }
    int n = snprintf(words, size,
                     "%s: %u bytes, %02x:%02x:%02x:%02x:%02x:%02x to "
                     "%02x:%02x:%02x:%02x:%02x:%02x",
                     c->device, h->len, b[6], b[7], b[8], b[9], b[10], b[11], b[0], b[1], b[2],
                     b[3], b[4], b[5]);
    if (b[12] == 8 && b[13] == 6 && h->caplen >= 42) { /* ARP for IPv4 (RFC 826) */
        char sender[INET_ADDRSTRLEN], target[INET_ADDRSTRLEN];
        inet_ntop(AF_INET, b + 28, sender, sizeof sender);
        inet_ntop(AF_INET, b + 38, target, sizeof target);
        snprintf(words + n, size - (size_t)n, ", ARP %s from %s for %s",
                 b[21] == 1 ? "request" : "reply", sender, target);
    }
}

static void frame_seen(u_char *data, const struct pcap_pkthdr *h, const u_char *bytes)
{
    struct capture *c = (struct capture *)(void *)data;
    struct sentry *s = c->owner->sentry;
    char words[256];
    frame_words(c, h, bytes, words, sizeof words);
    sentry_tell(s, true, packets_when(c->owner, h), words);
    if (!file_frame(s->vantage->pcap_fd, h, bytes))
        sentry_fails(s, "the frames cannot be kept: is the disk full?");
}

static void capture_drops(struct capture *c)
{
    struct pcap_stat st;
    if (!c->pcap || pcap_stats(c->pcap, &st) < 0 || st.ps_drop == c->drops)
        return;
    vantage_trouble(c->owner->sentry->vantage, "capture-drops",
                    "alarm %s: the kernel dropped %u frames on %s before they were looked at",
                    c->owner->sentry->alarm->name, st.ps_drop - c->drops, c->device);
    c->drops = st.ps_drop;
}

static void capture_close(struct capture *c)
{
    loop_io_remove(c->owner->sentry->vantage->loop, &c->io);
    if (c->pcap)
        pcap_close(c->pcap);
    c->pcap = NULL;
}

static void capture_take(struct capture *c)
{
    if (!c->pcap || pcap_dispatch(c->pcap, -1, frame_seen, (u_char *)(void *)c) != PCAP_ERROR)
        return;
    char words[PCAP_ERRBUF_SIZE + 64];
    snprintf(words, sizeof words, "%s: %s", c->device, pcap_geterr(c->pcap));
    sentry_fails(c->owner->sentry, words);
    capture_close(c);
}

static void packets_look(struct packets *p)
{
    packets_sample(p);
    for (struct capture *c = p->captures; c; c = c->next)
        capture_take(c);
}

static void capture_ready(struct loop_io *io, uint32_t events, void *data)
{
    struct capture *c = data;
    packets_look(c->owner);
    int code;
    socklen_t len = sizeof code;
    if (events & EPOLLERR) /* the link went down: noted once, and not to be told again */
        getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &code, &len);
}

static void packets_due(struct loop_timer *t, void *data)
{
    struct packets *p = data;
    packets_look(p);
    for (struct capture *c = p->captures; c; c = c->next)
        capture_drops(c);
    loop_timer_set(p->sentry->vantage->loop, t,
                   nsec_add(loop_now(p->sentry->vantage->loop), OFFSET_EVERY));
}

/* --- Opening --------------------------------------------------------------------------------- */

/* The filter with the sender's hardware addresses. */
static int filter_text(const struct sentry *s, struct buf *ret, struct err *err)
{
    const struct packets_params *p = s->alarm->params;
    const struct vantage *v = s->vantage;
    uint8_t macs[MACS_MAX][6];
    buf_printf(ret, "(%s)", p->filter);
    if (!p->sender)
        return 0;
    size_t n = v->macs ? v->macs(v->macs_data, p->sender, p->network, macs, MACS_MAX) : 0;
    if (n == 0)
        return err_set(err, ENODEV, "the hardware address of host %s is not known", p->sender);
    for (size_t i = 0; i < n && i < MACS_MAX; i++) {
        const uint8_t *m = macs[i];
        buf_printf(ret, "%sether src %02x:%02x:%02x:%02x:%02x:%02x", i ? " or " : " and (", m[0],
                   m[1], m[2], m[3], m[4], m[5]);
    }
    buf_addc(ret, ')');
    return 0;
}

static int capture_open(struct packets *p, const char *device, const char *filter, struct err *err)
{
    char words[PCAP_ERRBUF_SIZE] = "";
    struct capture *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    *c = (struct capture){.owner = p, .next = p->captures, .io = {.fn = capture_ready, .data = c}};
    p->captures = c;
    snprintf(c->device, sizeof c->device, "%s", device);
    c->pcap = pcap_create(device, words);
    if (!c->pcap)
        return err_set(err, EIO, "cannot capture on %s: %s", device, words);
    pcap_set_snaplen(c->pcap, SNAPLEN);
    pcap_set_immediate_mode(c->pcap, 1);
    pcap_set_buffer_size(c->pcap, BUFFER_BYTES);
    pcap_set_tstamp_precision(c->pcap, PCAP_TSTAMP_PRECISION_NANO);
    if (pcap_activate(c->pcap) < 0)
        return err_set(err, EPERM, "cannot capture on %s: %s", device, pcap_geterr(c->pcap));
    if (pcap_get_tstamp_precision(c->pcap) != PCAP_TSTAMP_PRECISION_NANO ||
        pcap_datalink(c->pcap) != DLT_EN10MB)
        return err_set(err, ENOTSUP, "%s is not an Ethernet with nanosecond stamps", device);
    struct bpf_program program;
    if (pcap_compile(c->pcap, &program, filter, 1, PCAP_NETMASK_UNKNOWN) < 0)
        return err_set(err, EINVAL, "filter '%s': %s", filter, pcap_geterr(c->pcap));
    int r = pcap_setfilter(c->pcap, &program);
    pcap_freecode(&program);
    if (r < 0 || pcap_setnonblock(c->pcap, 1, words) < 0)
        return err_set(err, EIO, "cannot capture on %s: %s", device, pcap_geterr(c->pcap));
    return loop_io_add(p->sentry->vantage->loop, &c->io, pcap_get_selectable_fd(c->pcap), EPOLLIN,
                       err);
}

static bool lies_in(const struct sockaddr *sa, const struct network *net)
{
    struct inet_prefix a = {.family = (uint8_t)sa->sa_family};
    if (sa->sa_family == AF_INET)
        memcpy(a.addr, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
    else if (sa->sa_family == AF_INET6)
        memcpy(a.addr, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
    else
        return false;
    a.len = sa->sa_family == AF_INET ? 32 : 128;
    for (size_t i = 0; i < net->subnets.n; i++) {
        struct inet_prefix subnet;
        if (inet_parse(net->subnets.items[i], &subnet, NULL) == 0 && subnet.family == a.family &&
            inet_contains(&subnet, &a))
            return true;
    }
    return false;
}

/* Whether this interface (any of its addresses) leads to the network. */
static bool leads_to(const struct ifaddrs *all, const char *device, const struct network *net)
{
    for (const struct ifaddrs *i = all; i; i = i->ifa_next)
        if (i->ifa_addr && strcmp(i->ifa_name, device) == 0 && lies_in(i->ifa_addr, net))
            return true;
    return false;
}

static int captures_open(struct packets *p, const char *filter, struct err *err)
{
    const struct packets_params *params = p->sentry->alarm->params;
    const struct network *net =
        params->network ? scenario_network(p->sentry->vantage->scenario, params->network) : NULL;
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) < 0)
        return err_errno(err, errno, "cannot list interfaces");
    int r = 0;
    for (const struct ifaddrs *i = all; i && r == 0; i = i->ifa_next)
        if (i->ifa_addr && i->ifa_addr->sa_family == AF_PACKET && /* each interface once */
            !(i->ifa_flags & IFF_LOOPBACK) && (!net || leads_to(all, i->ifa_name, net)))
            r = capture_open(p, i->ifa_name, filter, err);
    freeifaddrs(all);
    if (r == 0 && !p->captures)
        return err_set(err, ENODEV, "there is no interface%s%s to capture on",
                       net ? " to network " : "", net ? net->name : "");
    return r;
}

static int packets_open(struct sentry *s, struct err *err)
{
    struct packets *p = calloc(1, sizeof *p);
    if (!p)
        abort();
    *p = (struct packets){.sentry = s, .timer = {.fn = packets_due, .data = p}};
    s->state = p;
    stamp_start(&p->clock, stamp_sample());
    AUTO_BUF filter = BUF_INIT;
    int r = filter_text(s, &filter, err);
    if (r == 0)
        r = captures_open(p, buf_text(&filter), err);
    if (r < 0)
        return r;
    file_header(s->vantage->pcap_fd);
    loop_timer_set(s->vantage->loop, &p->timer, nsec_add(p->clock.now.at, OFFSET_EVERY));
    return 0;
}

static void packets_close(struct sentry *s)
{
    struct packets *p = s->state;
    if (!p)
        return;
    loop_timer_cancel(s->vantage->loop, &p->timer);
    while (p->captures) {
        struct capture *next = p->captures->next;
        capture_drops(p->captures);
        capture_close(p->captures);
        free(p->captures);
        p->captures = next;
    }
    free(p);
}

/* Before libpcap sees it, which would ask the machine's name servers. */
static int packets_names(const struct scenario *s, const char *filter, struct err *err)
{
    char name[64];
    if (!filter_names_host(filter, name, sizeof name))
        return 0;
    const struct host *h = scenario_host(s, name);
    if (h && h->lab && h->lab->addresses.n)
        return err_set(
            err, EINVAL,
            "the filter '%s' names the host %s: write its address (%.*s), for names would "
            "be asked of a name server, which knows nothing of the lab",
            filter, name, (int)strcspn(h->lab->addresses.items[0], "/"),
            h->lab->addresses.items[0]);
    return err_set(err, EINVAL,
                   "the filter '%s': '%s' is no word of filters (pcap-filter(7)), and a name would "
                   "be asked of a name server: write an address",
                   filter, name);
}

static int packets_check(const struct scenario *s, const void *params, struct err *err)
{
    const struct packets_params *p = params;
    int named = packets_names(s, p->filter, err);
    if (named < 0)
        return named;
    struct bpf_program program;
    pcap_t *dead = pcap_open_dead(DLT_EN10MB, SNAPLEN);
    if (!dead)
        abort();
    int r = 0;
    if (pcap_compile(dead, &program, p->filter, 1, PCAP_NETMASK_UNKNOWN) < 0)
        r = err_set(err, EINVAL, "'%s' is not a filter of packets: %s", p->filter,
                    pcap_geterr(dead));
    else
        pcap_freecode(&program);
    pcap_close(dead);
    const struct host *sender = p->sender ? scenario_host(s, p->sender) : NULL;
    if (r == 0 && sender && !sender->lab)
        r = err_set(err, EINVAL,
                    "the sender %s is not a lab host: its hardware address is not known",
                    p->sender);
    return r;
}

static const char *packets_host(const void *params)
{
    const struct packets_params *p = params;
    return p->host;
}

const struct alarm_kind alarm_packets = {
    .check = packets_check, .host = packets_host, .open = packets_open, .close = packets_close};
