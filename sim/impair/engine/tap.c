/* TAPs and eBPF as intake. See tap.h. */
#include "sim/impair/engine/tap.h"

#include "sim/impair/engine/cable.h"
#include "sim/impair/engine/fate.h"
#include "sim/impair/engine/match.h"
#include "sim/impair/engine/offload.h"
#define LINE_LOCK uint32_t
#include "sim/base/rng.h"
#include "sim/impair/engine/line_shared.h"
#include "sim/kernel/netns.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/tc.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define QUEUE 10000 /* frames that a TAP keeps for the process */
#ifndef TUN_F_USO4  /* Linux 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

static_assert(LINE_MAX == WIRE_LINES, "the maps have a place for each line");
static_assert(LINE_MARK == ENGINE_MARK, "both intakes know their frames by one mark");

static const unsigned char line_object[] = {
#include <line_object.inc.h>
};

struct tap_device {
    struct tap_device *next;
    struct netns_id netns;
    bool cuts;
    uint32_t id; /* for the process */
    unsigned users;
    int ifindex;
    char name[IFNAMSIZ];
};

struct tap {
    struct bpf_object *object;
    int rules, states;
    struct match_maps maps;
    struct line_switches *switches; /* mapped */
    struct tap_device *devices;
    uint32_t next_id;
};

struct tap_line {
    int program;
    struct tap_device *device;
    struct netns_id netns;
    int netns_fd;
    bool filtered, momentary;
};

/* --- The programs ------------------------------------------------------------------ */

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
    return 0;
}

static int tap_map(struct bpf_object *o, const char *name)
{
    struct bpf_map *m = bpf_object__find_map_by_name(o, name);
    return m ? bpf_map__fd(m) : -1;
}

static int tap_load(struct tap *t, struct err *err)
{
    libbpf_set_print(quiet);
    t->object = bpf_object__open_mem(line_object, sizeof line_object, NULL);
    if (!t->object)
        return err_errno(err, errno, "cannot open the eBPF program");
    int r = bpf_object__load(t->object);
    if (r < 0)
        return err_errno(err, EOPNOTSUPP, "cannot load the eBPF program (%s)", strerror(-r));
    struct bpf_program *take = bpf_object__find_program_by_name(t->object, "line_take");
    t->rules = tap_map(t->object, "rules");
    t->states = tap_map(t->object, "states");
    t->maps.switches = tap_map(t->object, "switches");
    t->maps.programs = tap_map(t->object, "programs");
    uint32_t zero = 0, fd = take ? (uint32_t)bpf_program__fd(take) : 0;
    if (bpf_map_update_elem(t->maps.programs, &zero, &fd, BPF_ANY) < 0)
        return err_errno(err, EOPNOTSUPP, "cannot install the eBPF program");
    void *m =
        mmap(NULL, sizeof *t->switches, PROT_READ | PROT_WRITE, MAP_SHARED, t->maps.switches, 0);
    if (m == MAP_FAILED)
        return err_errno(err, EOPNOTSUPP, "cannot map the switches of the eBPF program");
    t->switches = m;
    return 0;
}

int tap_new(struct tap **ret, struct err *err)
{
    AUTO_CLOSE int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, EOPNOTSUPP, "cannot open /dev/net/tun (%s)", strerror(errno));
    struct tap *t = calloc(1, sizeof *t);
    if (!t)
        return err_set(err, ENOMEM, "no memory for the impairment engine");
    int r = tap_load(t, err);
    if (r < 0)
        tap_free(t);
    else
        *ret = t;
    return r;
}

bool tap_is_built(void)
{
    return true;
}

uint64_t *tap_lease(struct tap *t)
{
    return (uint64_t *)&t->switches->until;
}

struct tap *tap_free(struct tap *t)
{
    if (!t)
        return NULL;
    if (t->switches)
        munmap(t->switches, sizeof *t->switches);
    bpf_object__close(t->object);
    free(t);
    return NULL;
}

/* --- The TAPs ------------------------------------------------------------------------ */

/* Offloads that it takes; without USO before Linux 6.2. */
static int tap_offload(int fd)
{
    unsigned all = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    if (ioctl(fd, TUNSETOFFLOAD, all | TUN_F_USO4 | TUN_F_USO6) == 0)
        return 0;
    return ioctl(fd, TUNSETOFFLOAD, all) < 0 ? -errno : 0;
}

/* The device belongs to the namespace in which /dev/net/tun was opened. */
static int device_open(struct tap_device *d, int netns_fd, int *ret_fd, struct err *err)
{
    AUTO_NETNS netns_scope back = NETNS_OUTSIDE;
    int r = netns_enter(netns_fd, &back, err);
    if (r < 0)
        return r;
    AUTO_CLOSE int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    AUTO_CLOSE int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq f = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    snprintf(f.ifr_name, sizeof f.ifr_name, "bstap%%d");
    if (fd < 0 || any < 0 || ioctl(fd, TUNSETIFF, &f) < 0)
        return err_errno(err, errno, "cannot make a TAP");
    snprintf(d->name, sizeof d->name, "%s", f.ifr_name);
    f.ifr_qlen = QUEUE;
    if (ioctl(any, SIOCSIFTXQLEN, &f) < 0)
        return err_errno(err, errno, "cannot give %s a queue", d->name);
    /* Without offloads the kernel cuts and sums frames before they come here. */
    if (!d->cuts && (r = tap_offload(fd)) < 0)
        return err_errno(err, -r, "cannot have large frames from %s", d->name);
    d->ifindex = (int)if_nametoindex(d->name);
    *ret_fd = steal_fd(&fd);
    return 0;
}

static int device_new(struct engine *e, struct nl *nl, int netns_fd, struct tap_device *d,
                      struct err *err)
{
    AUTO_CLOSE int fd = -1;
    int r = device_open(d, netns_fd, &fd, err);
    if (r == 0)
        r = nl_note(nl, err, TAP_NOTE, d->name);
    if (r < 0)
        return r;
    rtnl_link_quiet(nl, d->name);
    rtnl_link_up(nl, d->name, true);
    r = nl_flush(nl, err);
    if (r < 0)
        return r;
    d->id = e->tap->next_id++;
    return engine_ask(e, WIRE_TAP, d->id, NULL, &fd, 1, NULL, err);
}

static int device_use(struct engine_line *line, int netns_fd, struct netns_id netns, bool cuts,
                      struct tap_device **ret, struct err *err)
{
    struct tap *t = line->engine->tap;
    struct tap_device *d = t->devices;
    while (d && (d->cuts != cuts || !netns_same(d->netns, netns)))
        d = d->next;
    if (!d) {
        d = calloc(1, sizeof *d);
        if (!d)
            return err_set(err, ENOMEM, "no memory for a TAP");
        d->netns = netns;
        d->cuts = cuts;
        int r = device_new(line->engine, line->nl, netns_fd, d, err);
        if (r < 0) {
            free(d);
            return r;
        }
        d->next = t->devices;
        t->devices = d;
    }
    d->users++;
    *ret = d;
    return 0;
}

/* The process closes it, and with its last descriptor the device goes; later: some time later. */
static int device_leave(struct engine *e, struct tap_device *d, bool later, struct err *err)
{
    if (!d || --d->users)
        return 0;
    struct tap_device **at = &e->tap->devices;
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    struct err why = ERR_INIT;
    int r = engine_ask(e, later ? WIRE_UNTAP_LATER : WIRE_UNTAP, d->id, NULL, NULL, 0, NULL, &why);
    free(d);
    if (r < 0 && r != -EPIPE) /* its death took the device along */
        return err_set(err, -r, "%s", why.text);
    return 0;
}

/* --- Lines ------------------------------------------------------------------------------ */

static int tap_rule(struct engine_line *line, const struct impairment *what, struct err *err)
{
    struct tap *t = line->engine->tap;
    struct line_rule rule = {.tap = (uint32_t)line->tap->device->ifindex,
                             .momentary = line->tap->momentary,
                             .ingress = line->ingress,
                             .cuts = line->tap->device->cuts};
    struct line_state state, old;
    uint64_t source = what->has_seed ? what->seed : rng_fresh_seed();
    memset(&state, 0, sizeof state);
    if (bpf_map_lookup_elem_flags(t->states, &line->id, &old, BPF_F_LOCK) == 0 && line->known) {
        state.matched = old.matched;
        state.passed = old.passed;
        state.lost = old.lost;
        state.duplicated = old.duplicated;
        state.broken = old.broken;
        state.spared = old.spared;
    }
    fate_chances(what, &source, &state.loss, &state.duplicate);
    state.source = source;
    if (bpf_map_update_elem(t->states, &line->id, &state, BPF_F_LOCK) < 0 ||
        bpf_map_update_elem(t->rules, &line->id, &rule, BPF_ANY) < 0)
        return err_errno(err, errno, "cannot set the parameters of the eBPF program");
    return 0;
}

static struct tc_filter tap_filter(const struct engine_line *line)
{
    return (struct tc_filter){.dev = line->device,
                              .hook = line->ingress ? TC_INGRESS : TC_EGRESS,
                              .pref = line->pref,
                              .handle = 1,
                              .program = line->tap->program,
                              .name = "blackstart",
                              .classid = line->id + 1};
}

static int tap_attach(struct engine_line *line, const struct engine_spec *spec, struct err *err)
{
    struct tap *t = line->engine->tap;
    AUTO_FREE struct bpf_insn *program = NULL;
    size_t n;
    int r = match_compile(spec->ops, spec->n_ops, &t->maps, line->id, &program, &n, err);
    if (r < 0)
        return r;
    line->tap->program =
        bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "blackstart", "Dual BSD/GPL", program, n, NULL);
    if (line->tap->program < 0)
        return err_errno(err, errno, "cannot load the filter of %s", line->device);
    struct tc_filter f = tap_filter(line);
    tc_filter_add(line->nl, &f);
    r = nl_flush(line->nl, err);
    line->tap->filtered = r == 0;
    return r;
}

static int tap_connect(struct engine_line *line, const struct engine_spec *spec,
                       const struct impairment *what, struct err *err)
{
    AUTO_CLOSE int release = -1;
    int ifindex, r;
    if (line->ingress && (r = cable_for_release(line, err)) < 0)
        return r;
    if ((r = nl_ifindex(line->nl, line->ingress ? line->inner : line->device, &ifindex, err)) < 0 ||
        (r = engine_release_socket(spec->point.netns_fd, ifindex, line->ingress ? ENGINE_MARK : 0,
                                   &release, err)) < 0)
        return r;
    return engine_ask(line->engine, WIRE_LINE, line->id, what, &release, 1, NULL, err);
}

int tap_arm(struct engine_line *line, const struct engine_spec *spec, const struct impairment *what,
            struct err *err)
{
    line->tap = calloc(1, sizeof *line->tap);
    if (!line->tap)
        return err_set(err, ENOMEM, "no memory for a line");
    struct tap_line *own = line->tap;
    own->program = -1;
    own->momentary = fate_is_momentary(what);
    own->netns_fd = fcntl(spec->point.netns_fd, F_DUPFD_CLOEXEC, 3);
    line->must_cut = !line->ingress && !offload_takes_all(spec->point.netns_fd, line->device);
    line->engine->tap->switches->on[line->id] = 0;
    int r = netns_identity(spec->point.netns_fd, &own->netns, err);
    if (r == 0)
        r = device_use(line, spec->point.netns_fd, own->netns,
                       line->must_cut || fate_is_per_packet(what), &own->device, err);
    if (r == 0)
        r = tap_rule(line, what, err);
    if (r == 0)
        r = tap_connect(line, spec, what, err);
    line->known = r == 0;
    if (r == 0)
        r = tap_attach(line, spec, err);
    if (r < 0) {
        if (line->known)
            engine_ask(line->engine, WIRE_REMOVE, line->id, NULL, NULL, 0, NULL, NULL);
        line->known = false;
        tap_remove(line, NULL);
    }
    return r;
}

void tap_set(struct engine_line *line, bool on)
{
    __atomic_store_n(&line->engine->tap->switches->on[line->id], on, __ATOMIC_SEQ_CST);
}

int tap_change(struct engine_line *line, const struct impairment *what, struct err *err)
{
    struct tap_device *old = line->tap->device;
    bool cuts = line->must_cut || fate_is_per_packet(what);
    int r = 0;
    if (cuts != old->cuts)
        r = device_use(line, line->tap->netns_fd, line->tap->netns, cuts, &line->tap->device, err);
    if (r < 0)
        return r;
    line->tap->momentary = fate_is_momentary(what);
    r = engine_ask(line->engine, WIRE_CHANGE, line->id, what, NULL, 0, NULL, err);
    if (r == 0)
        r = tap_rule(line, what, err);
    if (cuts != old->cuts) {
        int left = device_leave(line->engine, old, line->no_hurry, r ? NULL : err);
        r = r ? r : left;
    }
    return r;
}

static void tap_line_free(struct engine_line *line)
{
    if (line->tap->program >= 0)
        close(line->tap->program);
    if (line->tap->netns_fd >= 0)
        close(line->tap->netns_fd);
    free(line->tap);
    line->tap = NULL;
}

int tap_remove(struct engine_line *line, struct err *err)
{
    int first = 0;
    if (line->tap->filtered) {
        struct tc_filter f = tap_filter(line);
        tc_filter_delete(line->nl, &f);
        nl_forgive(line->nl, ENOENT);
        first = nl_flush(line->nl, err);
        if (first == -ENODEV)
            first = 0; /* the device went, and its filters with it */
    }
    int r = cable_remove(line, first ? NULL : err);
    first = first ? first : r;
    r = device_leave(line->engine, line->tap->device, line->no_hurry, first ? NULL : err);
    tap_line_free(line);
    return first ? first : r;
}

void tap_forget(struct engine_line *line)
{
    device_leave(line->engine, line->tap->device, true, NULL);
    tap_line_free(line);
}

int tap_count(struct engine_line *line, struct impair_counts *ret, struct err *err)
{
    struct line_state s;
    struct wire_reply reply;
    struct impair_counts *counts = &reply.counts;
    if (bpf_map_lookup_elem_flags(line->engine->tap->states, &line->id, &s, BPF_F_LOCK) < 0)
        return err_errno(err, errno, "cannot read the counters of the eBPF program");
    int r = engine_ask(line->engine, WIRE_COUNT, line->id, NULL, NULL, 0, &reply, err);
    if (r < 0)
        return r;
    /* What the kernel gave away and the process never saw was lost by the TAP's queue. */
    uint64_t taken = counts->matched + s.passed - s.duplicated + s.lost;
    if (s.matched > taken)
        counts->overflow += s.matched - taken;
    counts->matched = s.matched;
    counts->spared = s.spared;
    counts->passed += s.passed;
    counts->lost += s.lost;
    counts->duplicated += s.duplicated;
    *ret = *counts;
    return 0;
}
