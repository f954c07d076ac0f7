/* What a viewer asks for: parsed, held to its limits, authorized by role, turned into lines of the record.
 *
 * The same for the page (POST /do), the console and --answers. A command is one JSON object; unknown
 * members and unknown commands are refused. Nothing is changed unless it returns 0. Who sends it is
 * `viewer`, never a member of the command: only a facilitator may act for another role, by `role`, and
 * name for whom, by `person`.
 *
 *  do           members (? optional)                                   who; what it becomes
 *  decide       step, option, reason?                                  the step's role, once; decision
 *  done         step                                                evaluators, facilitators; expected
 *  acknowledge  step                                                   the role that is paged; page
 *  approve      step                                                   a person of one of its roles, once
 *                                                                      each; approval
 *  check        step, n (from 1)                                       the item's owner or its list's;
 *                                                                      checklist
 *  status       step, text                                             the step's `from`; status (and a
 *                                                                      delivery to its `to`)
 *  note         text, what? (note|observation|strength|improvement|    everybody but observers; `what` but
 *               corrective), step?, objective?; of a corrective        note: evaluators, facilitators; note
 *               action (corrective.h) also area?, owner?, contact?,
 *               element?, start?, due?
 *  mark         mark (as `blackstart mark`), text?, service?           players, facilitators; mark
 *  message      to: [role…], text, title?, channel?                    simulators, facilitators; deliver
 *  rate         step | objective, rating: P|S|M|U, note?               evaluators, facilitators; rating
 *  hold         reason?                                                facilitators; pace
 *  go           —                                                      facilitators; pace (the first one
 *                                                                      begins the play)
 *  speed        speed (0.1 to 1000)                                    facilitators; pace
 *  skip         step, reason?                                          facilitators; step
 *  send         step                                                   facilitators: now, whatever its time
 *  add          tell: {to: [role…], message, from?, channel?, title?}  facilitators; deliver (added)
 *  branch       word                                                   facilitators; mark with that word:
 *                                                                      `when: {operator: WORD}`
 *  phase        phase                                                  facilitators: begins it now
 *  debrief      answers: [text or null…]                               everybody, in the debrief, once
 *  undo         step                                                   facilitators: takes a fault on hosts
 *                                                                      away now; step
 *  abort        reason?                                                facilitators, with a machine: all is
 *                                                                      undone, the exercise has failed; stop
 *  end          —                                                      facilitators: running or held: the
 *                                                                      debrief; in the debrief: ended
 *  join         person, role                                           only by command_join()
 *
 * Limits: COMMAND_MAX bytes before parsing; names NAME_MAX_BYTES, texts TEXT_MAX_BYTES, valid UTF-8;
 * control characters become '?'. Each command at most once for the same `key` (a text of at most 64
 * bytes, optional): a form that is sent twice does what it says once, and returns 0 both times.
 */
#pragma once

#include "sim/exercise/conduct.h"

enum {
    COMMAND_MAX = 64 * 1024,
    COMMAND_NAME_MAX = 80,    /* bytes of a person's name */
    COMMAND_TEXT_MAX = 8000,  /* bytes of a note, a reason, a message */
    COMMAND_PEOPLE_MAX = 1000 /* that may join one exercise */
};

struct viewer { /* who asks; borrowed texts */
    const char *person;
    const char *role;
};

/* 0; -EINVAL: not a command, or against a limit; -EACCES: not for this role; -ENOENT: no such step, option
 * …; -EALREADY: decided, approved, ended …; -EAGAIN: not now (not begun, not open). Always with a
 * sentence for people. Others: the record failed. `command` is borrowed. */
int command_do(struct conduct *c, const struct viewer *who, const json_t *command, struct err *err);
/* The same from text. */
int command_do_text(struct conduct *c, const struct viewer *who, const char *text, size_t n,
                    struct err *err);

/* Somebody takes a role (again: the same name and role come back; another role is a change of roles).
 * ret_person: the name as it was recorded (trimmed, made printable), borrowed from the state. Whether they
 * may (codes, tokens) is the caller's affair. */
int command_join(struct conduct *c, const char *person, const char *role, const char **ret_person,
                 struct err *err);
/* Their connection was lost or closed (`away`), came back (`back`), or they go for good (`leave`). */
int command_presence(struct conduct *c, const char *person, const char *event, struct err *err);
