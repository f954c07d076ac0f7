/* The intake of ENGINE_TAP: eBPF programs at clsact, and one TAP (or two: whole frames, cut ones) in
 * each namespace. Private to this folder.
 *
 *   device ─ match ─ tail call: line.bpf.c ─ stamp ─▶ TAP ─▶ the engine's process
 *   ingress: released through a cable (cable.h), marked; line.bpf.c lets it pass and clears the mark
 *
 * The programs and maps are held by the filters and by us. The TAPs are held by the process: when it
 * dies they vanish, and what is redirected to them is lost until the switches are off. When nobody is
 * left to do that, packets pass again at once (the kernel empties an array of programs when its last
 * descriptor is closed, and only we have one), at the latest when the lease (line_shared.h) is over.
 */
#pragma once

#include "sim/impair/engine/engine_impl.h"

/* Loads line.bpf.c. -EOPNOTSUPP: why it cannot be had here (not built in, no privilege, no TAP). */
int tap_new(struct tap **ret, struct err *err);
struct tap *tap_free(struct tap *t); /* takes NULL, returns NULL; after its lines are removed */

bool tap_is_built(void);
uint64_t *
tap_lease(struct tap *t); /* in the program's map; mapped until tap_free(), here and in forks */

/* tap_plan.c: the same for a recording. */
#define TAP_NOTE "a TAP device %s of the engine's process, with which it goes (/dev/net/tun)"
int tap_plan_arm(struct engine_line *line, const struct impairment *what, struct err *err);
int tap_plan_set(struct engine_line *line, bool on,
                 struct err *err); /* told by the real one, too */
int tap_plan_remove(struct engine_line *line, struct err *err);
void tap_plan_free(struct engine *e);

int tap_arm(struct engine_line *line, const struct engine_spec *spec, const struct impairment *what,
            struct err *err);
void tap_set(struct engine_line *line, bool on); /* one store */
int tap_change(struct engine_line *line, const struct impairment *what, struct err *err);
/* Filter, cable, and the TAP of its last line. */
int tap_remove(struct engine_line *line, struct err *err);
void tap_forget(struct engine_line *line); /* without asking anything of its namespace */
int tap_count(struct engine_line *line, struct impair_counts *ret, struct err *err);
