/* Vantage points: probes and alarms, run from inside a host.
 *
 * Ownership: watch_start() … watch_free(). Observations arrive by callback from the loop, stamped
 * by the vantage process with CLOCK_MONOTONIC next to the system call. A vantage process is forked,
 * not executed; PDEATHSIG and end-of-file on its socket end it.
 */
#pragma once

#include "sim/lab/lab.h"
#include "sim/loop/loop.h"
#include "sim/model/model.h"

/* The registries: what stands in `probes:` and `alarms:`; NULL-terminated. */
extern const struct variant *const watch_probe_kinds[]; /* exec http icmp tcp */
extern const struct variant *const watch_alarm_kinds[]; /* in the order of their names */

/* `n` counts requests in the order of their actual start; a request that could not be started in
 * its slot because the prober was held up is skipped, not made up for, so `scheduled` may jump
 * while `n` does not. start - scheduled is the prober's own lateness: above `every` there is a
 * trouble too. why "error": the prober itself could not ask (out of descriptors, no shell): it says
 * nothing about the service, so it is to be taken as unknown. */
struct watch_obs {
    const struct probe *probe;
    uint64_t n;
    nsec scheduled, start, end;
    bool ok;
    const char *why;    /* one word, see record.h; NULL when ok */
    const char *detail; /* for people; may be NULL */
};

struct watch_alarm {
    const struct alarm *alarm;
    bool onset; /* else clear */
    bool
        silence; /* it is about a silence of Alertmanager's that concerns the alarm: one is active */
    struct span at;
    nsec starts_at; /* when it began, as its sender says: CLOCK_REALTIME; NSEC_UNSET: he does not */
    const char *detail;
};

struct watch_handlers {
    void (*obs)(const struct watch_obs *o, void *data);
    void (*alarm)(const struct watch_alarm *a, void *data);
    /* what: a word of record.h's `trouble`: prober-late, runner-late (observations waited; none is
     * lost), prober-lost (the process died), wall-step, capture-drops, alarm-failed (an alarm could
     * not look), alarm-flood (more onsets than are told one by one), webhook-refused (a message
     * that was answered with an error), alert-unknown (a status that is neither firing nor resolved),
     * silences-unknown (Alertmanager does not say which silences are active).
     * host: NULL on this machine */
    void (*trouble)(const char *what, const char *host, const char *detail, void *data);
    void *data;
};

struct watch;

/* Starts one vantage process for `node` with all probes and alarms of the scenario that stand on it
 * (none: *ret = NULL and 0). `first[i]`: when probe i of the scenario (index in s->probes) starts
 * its first request, absolute CLOCK_MONOTONIC; the following each `every` later. `pcap_fd`: where
 * packet alarms of this host keep what they saw (a pcap file with nanoseconds, header written when
 * empty); -1: not kept. threshold alarms and logs of captured output are not here:
 * watch_outputs_line() and the drill's judge see to them. */
int watch_start(const struct scenario *s, struct lab_node *node, struct loop *loop,
                const nsec *first, int pcap_fd, const struct watch_handlers *handlers,
                struct watch **ret, struct err *err);
/* The same for the alarms that stand on no host but on this machine; source_fd: the scenario's
 * folder. */
int watch_start_here(const struct scenario *s, int source_fd, struct loop *loop,
                     const struct watch_handlers *handlers, struct watch **ret, struct err *err);
struct watch *watch_free(struct watch *w); /* ends the process and waits for it */
DEFINE_CLEANUP(struct watch, watch_free);
/* No new requests from now; outstanding ones are still delivered. */
void watch_quiesce(struct watch *w);
bool watch_is_idle(const struct watch *w); /* quiesced and nothing outstanding */

/* The `log: {output}` alarms of a scenario: lines of captured output against their patterns. Of
 * very many onsets some are told and the others counted. */
struct watch_outputs;
struct watch_outputs *watch_outputs_new(const struct scenario *s,
                                        const struct watch_handlers *handlers);
struct watch_outputs *watch_outputs_free(struct watch_outputs *o);
/* A line of captured output of the unit of the host. */
void watch_outputs_line(struct watch_outputs *o, const char *host, const char *unit,
                        const char *line, size_t len, struct span at);
/* No more lines come: what was only counted is told. */
void watch_outputs_end(struct watch_outputs *o);
