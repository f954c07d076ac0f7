/* record.ndjson: the append-only record of a run.
 *
 * Each line: {"seq":N,"t":<ns since the run started, CLOCK_MONOTONIC>,"kind":"…", …, "prev":"<SHA-256
 * of the line before with its newline; 64 zeros in the first>"}. A line is written by one write(2)
 * as it happens. The chain orders the record; a cut tail or a re-chained edit shows only against the
 * head (seq, hash) kept elsewhere.
 *
 * One writer at a time: the runner, after its death the warden or `undo`, which open with
 * record_resume(): that cuts a torn last line, says how many bytes it cut, and continues the chain.
 *
 * Each kind as JSON Schema: record.schema.json.
 *
 * All instants below are ns since run start; [lo,hi] is what is known of one (null: for ever).
 *
 * kind         members (besides seq, t, kind, prev; `trial` from 1 wherever it is about a trial)
 * In a forecast (mode "forecast") run-start has mode, scenario, seed, trials, block (trials of a block), clock:
 * "virtual" and, in a part of one, shard:[K,N]; run-end has status and reason; t of the events of a trial is
 * virtual time from its beginning, of other lines 0. Nothing else of the machine or the hour stands in it.
 *
 * run-start    record:1, blackstart:"0.1.0", id, mode:"live", scenario:{name,title,digest},
 *              attempt:{n,earlier:[{dir,status,verdict}]}, seed:"<decimal>", trials, operator,
 *              wall:"<ISO>", wall_ns, clock:"CLOCK_MONOTONIC", command:[argv…],
 *              environment:{kernel,machine,cpus,distribution,root:bool,rootless:bool,hostname},
 *              resolution is computed by readers from the scenario
 * plan         steps:[text…]
 * trial-start  trial, phases:{PROBE:ns}, attempt (1, or more for a replaced void one)
 * state        trial, state:"build|settle|arm|inject|observe|restore|undo|compare"
 *              settle ends with state "arm"; zero:ns stands in state "inject": the script's zero
 * lab          trial, event:"built|started|ready|exited|failed|gone|followed|between", host, unit?,
 *              code?, signal?, command? (of "between"), reason?
 *              event:"change": where, text, errno?, step?, undo?:true   (a change as it was made, in the
 *              words of `plan`; on behalf of which step. The building is told of the first trial alone)
 * probe        trial, probe, n, sched, start, end, ok:bool, unknown?:true,
 *              why? "refused|timeout|reset|unreachable|dns|tls|status|body|header|slow|exit|error",
 *              detail?
 * alarm        trial, alarm, event:"onset|clear", at:[lo,hi], detail?, active_at_arm?:true,
 *              starts_at?:"<ISO>"           (when it began, as its sender says, by his clock)
 *              suppressed?:true   (in a maintenance window: it tells nobody)
 *              released?:true     (an onset: its window is over, and it is firing still)
 * silence      trial, alarm, active:bool, at:[lo,hi], detail?   (an Alertmanager's, that concerns it)
 * inject       trial, step, action, targets:[host…], chosen?:text, at:[request,ack], ok:bool,
 *              error?, changes:[text…]       (fault_start = at; several requests: first to last)
 * verify       trial, step, ok:bool, asked, seen, how, at:[lo,hi]
 * undo         trial, step, cause:"for|until|end|abort|operator|warden|undo", at:[request,ack], ok:bool,
 *              error?, changes:[text…]       (fault_end = at)
 * fault-gone   trial, step, at:[lo,hi], why   (it was gone before its undoing: trial void)
 * action       trial, step, event:"start|end", host, command, role?, at:[lo,hi], code?, signal?,
 *              timed_out?, output?   (an end without its start: it could not be run, output: why)
 * load         trial, load, event:"start|end", host, command, at:[lo,hi], code?, signal?, output?
 *              (an end: code or signal, neither where it was not seen; the first 64 KiB of output)
 * mark         mark:"paged|acknowledged|…|note", text?, service?, role?, at:[lo,hi], trial?, by
 * trouble      trial?, what:"runner-late|control-down|wall-step|suspend|capture-drops|record-cut|…",
 *              detail, host?, probe?, from?, to?, n?
 * notice       trial?, on:"start|injection|end|abort|undone", what:"command|webhook|grafana|hooks",
 *              target, ok:bool, took_ns, detail?      (somebody was told, or not; verdicts do not ask)
 * stop         reason, detail              (Ctrl-C, stop_if, max-duration, lost warden)
 * clean        trial?, clean:bool, checked:[text…], left:[text…], others:[text…]
 * trial-end    trial, outcome:"completed|void|aborted", reason?
 * outcomes     a block of trials of a forecast: sim/forecast/block.h
 * analysis     what was found out about a forecast: sim/forecast/analysis.h
 * run-end      status:"completed|aborted|failed", reason?, wall, wall_offset_ns (drift against the
 *              anchor), by:"runner|warden|undo"
 *
 * In an exercise (mode "exercise", "functional", or "replay" when answers play for the people) run-start has
 * also speed and answers?, what people do is about no trial, and each of these lines has `clock`: ns of the exercise
 * clock (sim/exercise/conduct.h), as have all instants of it: due, deadline, asked, after. `by`: a person,
 * `role`: the role in which they did it; `key`: of what they sent, so that it counts once. mark (word:true:
 * said by the facilitator for conditions), trouble and run-end have `clock` too.
 *
 * pace         event:"go|hold|speed|tick|debrief", speed?, reason?, step?, by?, role?     (the clock; tick:
 *              nothing but a sign of life; the first go begins the play)
 * join         person, role?, event:"join|leave|away|back"
 * phase        phase, by?                                 (it begins; by: out of turn, by the facilitator)
 * step         step, event:"skipped|over|absent", role?, person?, to?:[role…], text?, reason?, by?   (over:
 *              what lasted ends; absent: from now on that role or person is away; text: what players are told)
 *              event:"begins", due?, late?:true, by?; event:"ends", cause:"for|until|operator", by?   (of what is
 *              done to hosts: asked of the machine at this instant; inject and undo tell what came of it)
 * deliver      step?, number?, to:[role…], from?, channel?, title?, text, attachments?:[file…],
 *              what:"inject|contingency|message|added", due?, late?:true, by?, role?   (what players see,
 *              exactly; due: when the script asked for it; late: it came after that, because the exercise was
 *              interrupted; by: who sent it out of turn, or wrote it)
 * question     step, who, question, options:[text…], deadline?, by?
 * decision     step, option, by?, role?, reason?, asked, deadline?, late?:true, default?:true,
 *              informed:[seq of what had been delivered to that role]       (default: time was up)
 * expected     step, event:"due|done|missed", deadline?, late?:true, by?, role?   (missed: of decide, too)
 * approval     step, event:"asked|given|missed", complete?:true, deadline?, late?:true, by?, role?
 * checklist    step, event:"opened|checked|late", n? (from 1), runbook?, complete?:true, late?:true, by?, role?
 * status       step, event:"opened|sent|missed", n?, to?:[role…], text?, late?:true, by?, role?
 *              (update n of it; sent: delivered to those roles)
 * page         step, event:"paged|acknowledged|nobody", n? (from 1), to?:[role], person?, from?, channel?,
 *              text?, by?, role?                             (paged: delivered to that role; nobody: all gave up)
 * rating       step|objective, rating:"P|S|M|U", note?, by, role
 * note         text, what?:"note|observation|strength|improvement|corrective", step?, objective?, by, role; of a
 *              corrective action also area?, owner?, contact?, element?, start?, due?
 * deadline     name, event:"started|met|overdue", deadline?         (of a law or contract: `clocks`)
 * service      service, event:"down|up", step?                      (in the scenario's world)
 * debrief      answers:[text|null…], by, role; of an anonymous one instead event:"answered", by, role? (that
 *              somebody has answered), and once, when it is closed, event:"opened", anonymous:[[text|null…]…]
 * In a functional exercise these and a drill's lines, of trial 1, stand in one record, all of them with `clock`
 * (sim/exercise/README.md says how they belong together), and:
 * health       trial, probe, event:"down|up", since?, service?, service_down?:bool   (what the live judge says
 *              at that moment, for conditions and views; reports measure from the probes themselves)
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/base/digest.h"
#include "sim/base/err.h"
#include "sim/base/nsec.h"
#include <jansson.h>

struct record_head {
    int64_t seq; /* of the last line; -1: none */
    char hash[DIGEST_HEX];
};

struct record;

/* A new record: O_EXCL in dirfd. `origin`: CLOCK_MONOTONIC of the run's start. */
int record_create(int dirfd, const char *name, nsec origin, struct record **ret, struct err *err);
/* Continues one whose writer died. ret_cut: bytes of a torn last line that were removed. */
int record_resume(int dirfd, const char *name, nsec origin, struct record **ret, size_t *ret_cut,
                  struct err *err);
struct record *record_free(struct record *r);
DEFINE_CLEANUP(struct record, record_free);

/* Appends `event` (stolen); `at` is CLOCK_MONOTONIC, converted to t. After the first failure (disk
 * full) every further call fails in the same way, and nothing half-written stays in the file. */
int record_write(struct record *r, const char *kind, nsec at, json_t *event, struct err *err);
nsec record_origin(const struct record *r);
/* [lo,hi] of CLOCK_MONOTONIC as instants of this record. */
json_t *record_new_span(const struct record *r, struct span s);
void record_head(const struct record *r, struct record_head *ret);
int record_sync(struct record *r, struct err *err); /* fdatasync */

/* Reading: the whole file, chain verified. Each element is the line's object, in order. A torn last
 * line is reported by ret_torn (bytes), not an error; anything else that does not fit is. */
int record_read(int dirfd, const char *name, json_t **ret_events, struct record_head *ret_head,
                size_t *ret_torn, struct err *err);
/* The same line by line, in little memory. `line`: as it stands in the file, with its newline; what fn
 * returns below 0 ends the reading. ret_torn may be NULL. */
typedef int record_line_fn(const json_t *event, const char *line, size_t n, void *data,
                           struct err *err);
int record_scan(int dirfd, const char *name, record_line_fn *fn, void *data,
                struct record_head *ret_head, size_t *ret_torn, struct err *err);
