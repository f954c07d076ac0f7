/* The user-space impairment engine: what netem does, for kernels without it. Private to sim/impair.
 *
 *   device ─ clsact: scope ─┬─ not matched: as before, at the kernel's speed
 *                           └─ redirected ─ intake ─▶ engine's process ─ due ─▶ device, released
 *
 * The process holds frames in a queue by due time and releases them; it is forked (no exec) with the
 * first line, dies with the thread that made it (PDEATHSIG), and knows no namespaces: whoever arms a
 * line opens its sockets here and hands them over. Two intakes:
 *
 *   ENGINE_VETH  needs CAP_NET_ADMIN and CAP_NET_RAW over the namespace alone (rootless too): a
 *                classic BPF filter and mirred to a cable of ours in the point's namespace, whose
 *                other end is read by an AF_PACKET socket. On and off: one netlink message.
 *   ENGINE_TAP   needs BPF and /dev/net/tun: an eBPF program at clsact matches, stamps the time of
 *                arrival in front of the frame and redirects to a TAP; plain loss and duplication
 *                never leave the kernel. On and off: one update of a map.
 *
 * Frames of offloads (up to 64 kB) are taken whole by lines that only delay, without jitter; all
 * other lines get them cut into packets by the kernel first, so that each packet meets its own fate
 * (netem decides per frame, and cuts for corruption alone). The exception is said at ENGINE_TAP:
 * lines that only lose or duplicate decide per frame, as netem does. Frames beyond 64 kB (BIG TCP)
 * the kernel cuts on their way here: neither intake says that it takes them.
 *
 * Released frames pass neither the device's queue nor its filters again at egress
 * (PACKET_QDISC_BYPASS), nor captures on the device itself; captures at the other end of the cable
 * see them. At ingress they arrive anew on the device: captures there see a frame twice, when it
 * comes and when it is released. With ENGINE_VETH they carry the mark ENGINE_MARK there.
 *
 * Death. When the process dies or stands still for a second, the runner switches all lines off. When
 * the runner dies, so does the process. When nobody is left who could undo, ENGINE_TAP heals by itself,
 * twice over. The kernel empties the array by which the filters reach the program when its last
 * descriptor is closed. And the program takes packets only as long as the process puts off a deadline
 * in its map, a quarter of a second ahead (two seconds for lines that only lose or duplicate), so that
 * a process that is stopped harms nothing either. With ENGINE_VETH a classic program knows neither time
 * nor memory, so packets of the lines would be lost until somebody undoes. In a namespace that outlives
 * us (impair_point.outlives) the kernel lets them pass by the cable instead, as soon as the runner's
 * netlink socket is closed (gate.h), where it has nf_tables with owners and fwd.
 *
 * Ownership: engine_new() … engine_free(), after the last line is disarmed. A line belongs to the
 * engine and is freed by engine_disarm(). One thread.
 */
#pragma once

#include "sim/impair/impair.h"
#include <linux/filter.h>
#include <sys/types.h>

struct engine;
struct engine_line;

enum engine_intake { ENGINE_ANY, ENGINE_VETH, ENGINE_TAP };

/* Of frames released at ingress by ENGINE_VETH: by it the filter knows what it has had already. */
#define ENGINE_MARK 0x62735245u

/* Starts nothing yet. ENGINE_ANY: TAP where it can be had, else VETH. died: from the loop, after the
 * filters of all lines were taken away; engine_disarm() is still due for each. */
int engine_new(struct loop *loop, enum engine_intake intake,
               void (*died)(const char *reason, void *data), void *data, struct engine **ret,
               struct err *err);
struct engine *engine_free(struct engine *e); /* takes NULL, returns NULL; ends the process */
DEFINE_CLEANUP(struct engine, engine_free);

/* Its process, before the first line needs it; nothing else is touched. */
int engine_start(struct engine *e, struct err *err);
/* false: its process only sleeps, and frames leave some tens of microseconds late; before the first
 * line. */
void engine_set_spin(struct engine *e, bool spin);

/* Whether lines can be armed in that namespace at all: -EOPNOTSUPP with the reason. Changes nothing.
 */
int engine_supported(int netns_fd, struct err *err);
/* Whether ENGINE_TAP is part of this build. */
bool engine_has_tap(void);
/* What it became; ENGINE_ANY before the first line. */
enum engine_intake engine_intake(const struct engine *e);
pid_t engine_pid(const struct engine *e); /* 0: does not run */

/* What a line takes, and under which names. All borrowed for the call, but point.nl. */
struct engine_spec {
    struct impair_point point; /* device has clsact; that is the caller's to make and remove */
    const struct impair_scope *scope; /* for the eBPF program */
    const struct sock_filter *ops;    /* the same scope as a classic program: 0 passes by; at most
                                         BPF_MAXINSNS - 2 */
    size_t n_ops;
    uint16_t pref;   /* of the filter: smaller is asked first; unique on this hook of the device */
    const char *tag; /* devices of the line are named TAG and one letter: at most 14 bytes, unique
                        in the namespace */
};

/* Armed and off: traffic is untouched. A recording point.nl gets the messages (of ENGINE_VETH, for
 * ENGINE_ANY) and nothing is started or loaded. -EINVAL: what impairment_* cannot mean together. */
int engine_arm(struct engine *e, const struct engine_spec *spec, const struct impairment *what,
               struct engine_line **ret, struct err *err);
/* ret_at (may be NULL): first request, last acknowledgement. Frames held when it is switched off
 * still leave at their time. */
int engine_set(struct engine_line *line, bool on, struct span *ret_at, struct err *err);
/* Other parameters, on or off; frames that are held keep the fate they have. Loss and random numbers
 * begin anew. */
int engine_change(struct engine_line *line, const struct impairment *what, struct err *err);
/* Takes the devices away; frames still held are lost. Frees the line in any case. */
int engine_disarm(struct engine_line *line, struct err *err);
/* When it is disarmed nobody waits until its devices are gone, which takes the kernel some ten ms. */
void engine_no_hurry(struct engine_line *line);
/* Its namespace goes: frees the line and asks nothing of that namespace. */
void engine_forget(struct engine_line *line);
/* Since it was armed. overflow: lost to a full queue anywhere on the way: the cable's or the TAP's,
 * the socket's, ours, the device's. */
int engine_count(struct engine_line *line, struct impair_counts *ret, struct err *err);
