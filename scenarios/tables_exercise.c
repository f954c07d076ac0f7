/* The keys of exercises: objectives, phases, clocks, runbooks, the debrief, and the steps of people. */
#include "scenarios/tables.h"

#include "injectors/injector.h"
#include "sim/model/model.h"

#include <errno.h>

#define NOWHERE SIZE_MAX
#define DAY (86400 * NSEC_SEC)
#define RECORD(what, says, type, list)                                                             \
    .name = what, .summary = says, .size = sizeof(type), .fields = list, .place_offset = NOWHERE,  \
    .name_offset = NOWHERE, .variant_place_offset = NOWHERE

/* --- Beside the script --- */

static const struct field overview_fields[] = {
    {.key = "sponsor",
     .type = FIELD_TEXT,
     .offset = offsetof(struct exercise_overview, sponsor),
     .help = "Who wants it and answers for it.",
     .example = "Chief technology officer"},
    {.key = "contact",
     .type = FIELD_TEXT,
     .offset = offsetof(struct exercise_overview, contact),
     .help = "Whom to ask about it.",
     .example = "Resilience team, resilience@example.com"},
    {.key = "designer",
     .type = FIELD_TEXT,
     .offset = offsetof(struct exercise_overview, designer),
     .help = "Who designed it; who evaluates it should be somebody else.",
     .example = "erin"},
    {.key = "scope",
     .type = FIELD_TEXT,
     .offset = offsetof(struct exercise_overview, scope),
     .help = "What is played and what is not.",
     .example = "Discussion of 45 minutes; no system is touched"},
    {.key = "hazard",
     .type = FIELD_TEXT,
     .offset = offsetof(struct exercise_overview, hazard),
     .help = "The threat or hazard.",
     .example = "Loss of a cloud region"},
    {.key = "summary",
     .type = FIELD_TEXT,
     .offset = offsetof(struct exercise_overview, summary),
     .help = "The scenario in two or three sentences, with what it does to customers. Players read "
             "it in the report, not before."},
    {.key = "location",
     .type = FIELD_TEXT,
     .offset = offsetof(struct exercise_overview, location),
     .help = "Where it is played.",
     .example = "Room 4.12 and a video call"},
    {.key = "date",
     .type = FIELD_TEXT,
     .offset = offsetof(struct exercise_overview, date),
     .help = "When it is played, as people say it.",
     .example = "Thursday, 10 December 2026, 10:00"},
    {.key = "areas",
     .type = FIELD_TEXTS,
     .offset = offsetof(struct exercise_overview, areas),
     .help = "Mission areas.",
     .example = "[Response, Recovery]"},
    {.key = "organisations",
     .type = FIELD_TEXTS,
     .offset = offsetof(struct exercise_overview, organisations),
     .help = "Who takes part, team by team.",
     .example = "[Platform, Customer support]"},
    {.key = "assumptions",
     .type = FIELD_TEXTS,
     .offset = offsetof(struct exercise_overview, assumptions),
     .help = "What players must take as given; they are told before.",
     .example = "[\"The monitoring tells the truth.\"]"},
    {0},
};
const struct record tables_overview = {
    RECORD("'exercise'", "What a report begins with.", struct exercise_overview, overview_fields)};

static const struct field target_fields[] = {
    {.key = "text",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY | FIELD_ONE_OF,
     .offset = offsetof(struct objective_target, text),
     .help = "In words.",
     .example = "Declared within 10 minutes of the first report"},
    {.key = "service",
     .type = FIELD_REF,
     .ref = REF_SERVICE,
     .flags = FIELD_ONE_OF,
     .offset = offsetof(struct objective_target, service),
     .help = "Or what this service promises:",
     .example = "checkout"},
    {.key = "promise",
     .type = FIELD_WORD,
     .words = objective_promise_words,
     .dflt = "",
     .offset = offsetof(struct objective_target, promise),
     .help = "Which of its promises.",
     .example = "rto"},
    {0},
};
static const struct record target_record_of_objective = {
    RECORD("'target'", "How well it must be done.", struct objective_target, target_fields),
    .shorthand = "text"};

static const struct field objective_fields[] = {
    {.key = "id",
     .type = FIELD_NAME,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct exercise_objective, id),
     .help = "Its name in steps and ratings.",
     .example = "declare"},
    {.key = "text",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct exercise_objective, text),
     .help = "What is practised, in a sentence.",
     .example = "Recognize a major incident and declare it"},
    {.key = "capability",
     .type = FIELD_TEXT,
     .offset = offsetof(struct exercise_objective, capability),
     .help = "The core capability behind it.",
     .example = "Incident command"},
    {.key = "target",
     .type = FIELD_OBJECT,
     .record = &target_record_of_objective,
     .offset = offsetof(struct exercise_objective, target),
     .help = "Capability target: in words, or a promise of a service.",
     .example = "{service: checkout, promise: rto}"},
    {.key = "tasks",
     .type = FIELD_TEXTS,
     .offset = offsetof(struct exercise_objective, tasks),
     .help = "Critical tasks.",
     .example = "[Name an incident commander, Open a bridge]"},
    {.key = "reference",
     .type = FIELD_TEXT,
     .offset = offsetof(struct exercise_objective, reference),
     .help = "The plan or policy that asks for it.",
     .example = "Incident response plan, section 3"},
    {0},
};
const struct record tables_objective = {
    .name = "objective",
    .summary =
        "What is practised; the evaluators rate it P (performed without challenges), S (some "
        "challenges), M (major challenges) or U (unable to be performed).",
    .size = sizeof(struct exercise_objective),
    .fields = objective_fields,
    .name_offset = NOWHERE,
    .place_offset = offsetof(struct exercise_objective, place),
    .variant_place_offset = NOWHERE,
};

static const struct field phase_fields[] = {
    {.key = "id",
     .type = FIELD_NAME,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct phase, id),
     .help = "Its name in conditions.",
     .example = "recovery"},
    {.key = "title",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct phase, title),
     .help = "What everybody sees while it lasts.",
     .example = "Recovery"},
    {.key = "situation",
     .type = FIELD_TEXT,
     .offset = offsetof(struct phase, situation),
     .help = "Where things stand when it begins; everybody reads it then."},
    {.key = "date",
     .type = FIELD_TEXT,
     .offset = offsetof(struct phase, date),
     .help = "The time in the scenario's world.",
     .example = "Friday, 17:40"},
    {.key = "at",
     .type = FIELD_DURATION,
     .max = 30 * DAY,
     .offset = offsetof(struct phase, at),
     .help = "When it begins; without it and `when`, as soon as the one before has lasted.",
     .example = "15m"},
    {.key = "when",
     .type = FIELD_OBJECT,
     .record = &tables_condition,
     .offset = offsetof(struct phase, when),
     .help = "It begins as soon as this has happened.",
     .example = "{decision: failover}"},
    {.key = "after",
     .type = FIELD_DURATION,
     .max = 30 * DAY,
     .dflt = "0s",
     .offset = offsetof(struct phase, after),
     .help = "So long after `when` has happened."},
    {.key = "lasts",
     .type = FIELD_DURATION,
     .min = NSEC_SEC,
     .max = 30 * DAY,
     .offset = offsetof(struct phase, lasts),
     .help = "How long it is meant to last; then the next one begins, unless that says otherwise.",
     .example = "15m"},
    {.key = "entry",
     .type = FIELD_TEXT,
     .offset = offsetof(struct phase, entry),
     .help = "What must be so before the facilitator lets it begin."},
    {.key = "exit",
     .type = FIELD_TEXT,
     .offset = offsetof(struct phase, exit),
     .help = "What must be reached before it is left.",
     .example = "Somebody has decided for or against the failover"},
    {0},
};
const struct record tables_phase = {
    .name = "phase",
    .summary = "One move of an exercise.",
    .size = sizeof(struct phase),
    .fields = phase_fields,
    .name_offset = NOWHERE,
    .place_offset = offsetof(struct phase, place),
    .variant_place_offset = NOWHERE,
};

static const struct field clock_fields[] = {
    {.key = "title",
     .type = FIELD_TEXT,
     .offset = offsetof(struct duty_clock, title),
     .help = "What is due, in words.",
     .example = "Initial notification"},
    {.key = "regime",
     .type = FIELD_TEXT,
     .offset = offsetof(struct duty_clock, regime),
     .help = "The law or the contract.",
     .example = "DORA Art. 19"},
    {.key = "authority",
     .type = FIELD_TEXT,
     .offset = offsetof(struct duty_clock, authority),
     .help = "Whom it is due to.",
     .example = "Financial supervisor"},
    {.key = "from",
     .type = FIELD_OBJECT,
     .record = &tables_condition,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct duty_clock, from),
     .help = "It begins when this has happened.",
     .example = "{decision: classify, is: major}"},
    {.key = "due",
     .type = FIELD_DURATION,
     .flags = FIELD_REQUIRED,
     .min = NSEC_SEC,
     .max = 365 * DAY,
     .offset = offsetof(struct duty_clock, due),
     .help = "How long there is; it may reach beyond the exercise.",
     .example = "4h"},
    {.key = "met_by",
     .type = FIELD_OBJECT,
     .record = &tables_condition,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct duty_clock, met_by),
     .help = "What meets it.",
     .example = "{step: notify}"},
    {0},
};
const struct record tables_clock = {
    .name = "clock",
    .summary = "A duty by law or contract, with the time that it leaves.",
    .size = sizeof(struct duty_clock),
    .fields = clock_fields,
    .name_offset = offsetof(struct duty_clock, name),
    .place_offset = offsetof(struct duty_clock, place),
    .variant_place_offset = NOWHERE,
};

static const struct field runbook_step_fields[] = {
    {.key = "do",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct runbook_step, does),
     .help = "What is to be done.",
     .example = "Stop writes to the old primary"},
    {.key = "owner",
     .type = FIELD_REF,
     .ref = REF_RESPONDER,
     .offset = offsetof(struct runbook_step, owner),
     .help = "Who does it; without it the runbook's owner.",
     .example = "dba"},
    {.key = "within",
     .type = FIELD_DURATION,
     .min = NSEC_SEC,
     .max = 30 * DAY,
     .offset = offsetof(struct runbook_step, within),
     .help = "Time box, from the moment at which the checklist was handed out.",
     .example = "5m"},
    {0},
};
static const struct record runbook_step_record = {
    .name = "runbook step",
    .summary = "One line of a checklist.",
    .size = sizeof(struct runbook_step),
    .fields = runbook_step_fields,
    .shorthand = "do",
    .name_offset = NOWHERE,
    .place_offset = offsetof(struct runbook_step, place),
    .variant_place_offset = NOWHERE,
};
static const struct field runbook_fields[] = {
    {.key = "title",
     .type = FIELD_TEXT,
     .offset = offsetof(struct runbook, title),
     .help = "For people; without it the name.",
     .example = "Failover to the second region"},
    {.key = "owner",
     .type = FIELD_REF,
     .ref = REF_RESPONDER,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct runbook, owner),
     .help = "Who answers for it.",
     .example = "technical-lead"},
    {.key = "steps",
     .type = FIELD_OBJECTS,
     .record = &runbook_step_record,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct runbook, steps),
     .help = "The checklist.",
     .example = "[{do: Stop writes, within: 5m}, {do: Promote the replica, owner: dba}]"},
    {0},
};
const struct record tables_runbook = {
    .name = "runbook",
    .summary = "A checklist; a `runbook` step hands it out.",
    .size = sizeof(struct runbook),
    .fields = runbook_fields,
    .name_offset = offsetof(struct runbook, name),
    .place_offset = offsetof(struct runbook, place),
    .variant_place_offset = NOWHERE,
};

static const struct field debrief_fields[] = {
    {.key = "questions",
     .type = FIELD_TEXTS,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct debrief, questions),
     .help = "Everybody is asked these when the play is over.",
     .example = "[What helped you most?, What did you miss?]"},
    {.key = "anonymous",
     .type = FIELD_BOOL,
     .dflt = "false",
     .offset = offsetof(struct debrief, anonymous),
     .help = "Answers are kept without who gave them."},
    {0},
};
const struct record tables_debrief = {RECORD("'debrief'",
                                             "Hot wash: what everybody is asked at the end.",
                                             struct debrief, debrief_fields),
                                      .shorthand = "questions"};

/* --- Steps of people --- */

#define COMMON(T)                                                                                  \
    {.key = "number",                                                                              \
     .type = FIELD_TEXT,                                                                           \
     .flags = FIELD_NON_EMPTY,                                                                     \
     .offset = offsetof(T, common.number),                                                         \
     .help = "Its number in the master scenario events list; without it the position among the "   \
             "steps of people.",                                                                   \
     .example = "12"},                                                                             \
        {.key = "title",                                                                           \
         .type = FIELD_TEXT,                                                                       \
         .flags = FIELD_NON_EMPTY,                                                                 \
         .offset = offsetof(T, common.title),                                                      \
         .help = "Event synopsis, in a few words, which players see as the subject of an inject; " \
                 "without "                                                                        \
                 "it taken from what it says.",                                                    \
         .example = "First reports"},                                                              \
        {.key = "objective",                                                                       \
         .type = FIELD_REF,                                                                        \
         .ref = REF_OBJECTIVE,                                                                     \
         .offset = offsetof(T, common.objective),                                                  \
         .help = "The objective that it serves.",                                                  \
         .example = "declare"},                                                                    \
        {.key = "controller",                                                                      \
         .type = FIELD_TEXT,                                                                       \
         .offset = offsetof(T, common.controller),                                                 \
         .help = "Who is responsible for it on the day.",                                          \
         .example = "facilitator"},                                                                \
        {.key = "notes",                                                                           \
         .type = FIELD_TEXT,                                                                       \
         .offset = offsetof(T, common.notes),                                                      \
         .help = "For facilitators and evaluators: guidance, what to look at; players never see "  \
                 "it.",                                                                            \
         .example = "If nobody asks for logs, wait two minutes."},                                 \
    {                                                                                              \
        .key = "date", .type = FIELD_TEXT, .offset = offsetof(T, common.date),                     \
        .help = "The time in the scenario's world.", .example = "Friday, 17:42"                    \
    }

#define WITHIN(T, member, words)                                                                   \
    {                                                                                              \
        .key = "within", .type = FIELD_DURATION, .min = NSEC_SEC, .max = 30 * DAY,                 \
        .offset = offsetof(T, member), .help = words, .example = "10m"                             \
    }

static const struct field expect_fields[] = {
    {.key = "does",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct expect, does),
     .help = "What players are expected to do.",
     .example = "Declares an incident"},
    {.key = "by",
     .type = FIELD_REF,
     .ref = REF_RESPONDER,
     .offset = offsetof(struct expect, by),
     .help = "Who; without it anybody.",
     .example = "incident-commander"},
    WITHIN(struct expect, within, "By when, after its step; without it there is no deadline."),
    {.key = "objective",
     .type = FIELD_REF,
     .ref = REF_OBJECTIVE,
     .offset = offsetof(struct expect, objective),
     .help = "The objective that it shows; without it the step's.",
     .example = "declare"},
    {0},
};
static const struct record expect_record = {
    RECORD("'expect'", "What players are expected to do, for the evaluators; players never see it.",
           struct expect, expect_fields),
    .shorthand = "does"};

static const char *const tell_kind_words[] = {"contextual", "contingency", NULL};
static const struct field tell_fields[] = {
    {.key = "to",
     .type = FIELD_REFS,
     .ref = REF_AUDIENCE,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct tell_params, to),
     .help = "The roles that get it; `all`: every player.",
     .example = "[incident-commander, communications]"},
    {.key = "message",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct tell_params, message),
     .help = "What they read, word for word.",
     .example = "Customers report errors at checkout."},
    {.key = "from",
     .type = FIELD_TEXT,
     .offset = offsetof(struct tell_params, from),
     .help = "Who says it in the scenario's world.",
     .example = "Customer support"},
    {.key = "channel",
     .type = FIELD_TEXT,
     .offset = offsetof(struct tell_params, channel),
     .help = "How it reaches them: phone, chat, mail, pager, dashboard, in person …",
     .example = "phone"},
    {.key = "attach",
     .type = FIELD_TEXTS,
     .flags = FIELD_FILE,
     .offset = offsetof(struct tell_params, attach),
     .help = "Files that come with it, from the scenario's folder.",
     .example = "[graph.png]"},
    {.key = "kind",
     .type = FIELD_WORD,
     .words = tell_kind_words,
     .dflt = "",
     .offset = offsetof(struct tell_params, kind),
     .help = "`contextual`: part of the story; `contingency`: only if something expected did not "
             "happen in time (its `when` has a `not_done`). Follows from `when`."},
    {.key = "expect",
     .type = FIELD_OBJECT,
     .record = &expect_record,
     .offset = offsetof(struct tell_params, expect),
     .help = "What players are expected to do then.",
     .example = "{does: Declares an incident, by: incident-commander, within: 5m}"},
    COMMON(struct tell_params),
    {0},
};
static const struct record tell_record = {
    RECORD("tell", "An inject.", struct tell_params, tell_fields)};

static const struct field expected_fields[] = {
    {.key = "does",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct expected_params, expect.does),
     .help = "What players are expected to do.",
     .example = "Opens a bridge and says who commands"},
    {.key = "by",
     .type = FIELD_REF,
     .ref = REF_RESPONDER,
     .offset = offsetof(struct expected_params, expect.by),
     .help = "Who; without it anybody.",
     .example = "incident-commander"},
    WITHIN(struct expected_params, expect.within,
           "By when, after the step; without it there is no deadline."),
    COMMON(struct expected_params),
    {0},
};
static const struct record expected_record = {
    RECORD("expected", "A check point.", struct expected_params, expected_fields)};

static const struct field decide_fields[] = {
    {.key = "who",
     .type = FIELD_REF,
     .ref = REF_RESPONDER,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct decide_params, who),
     .help = "The role that decides.",
     .example = "incident-commander"},
    {.key = "question",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct decide_params, question),
     .help = "What is to be decided.",
     .example = "Fail over to the second region?"},
    {.key = "options",
     .type = FIELD_TEXTS,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct decide_params, options),
     .help = "What they can choose: two to nine; the others follow by `when: {decision: STEP, is: "
             "OPTION}`.",
     .example = "[stay, move]"},
    WITHIN(struct decide_params, within, "How long they have."),
    {.key = "default",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct decide_params, dflt),
     .help = "The option that is taken when nobody decided in time; without it the question stays "
             "open.",
     .example = "stay"},
    {.key = "authority",
     .type = FIELD_TEXT,
     .offset = offsetof(struct decide_params, authority),
     .help = "By which plan or authority they may decide it.",
     .example = "Continuity plan 4.2: the incident commander alone"},
    {.key = "reversible",
     .type = FIELD_BOOL,
     .dflt = "true",
     .offset = offsetof(struct decide_params, reversible),
     .help = "Whether it can be taken back."},
    {.key = "impact",
     .type = FIELD_TEXT,
     .offset = offsetof(struct decide_params, impact),
     .help = "What it means for customers and duties; players see it with the question.",
     .example = "Orders of the last 30 s may be lost"},
    COMMON(struct decide_params),
    {0},
};
static const struct record decide_record = {
    RECORD("decide", "A decision.", struct decide_params, decide_fields)};

static const struct field approve_fields[] = {
    {.key = "what",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct approve_params, what),
     .help = "What needs consent.",
     .example = "Failback to the first region"},
    {.key = "by",
     .type = FIELD_REFS,
     .ref = REF_RESPONDER,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct approve_params, by),
     .help = "The roles whose people may give it.",
     .example = "[incident-commander, technical-lead]"},
    {.key = "people",
     .type = FIELD_INTEGER,
     .dflt = "2",
     .min = 1,
     .max = 20,
     .offset = offsetof(struct approve_params, people),
     .help = "So many different ones must."},
    WITHIN(struct approve_params, within, "How long they have."),
    COMMON(struct approve_params),
    {0},
};
static const struct record approve_record = {
    RECORD("approve", "Consent of several people.", struct approve_params, approve_fields)};

static const struct field status_fields[] = {
    {.key = "from",
     .type = FIELD_REF,
     .ref = REF_RESPONDER,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct status_params, from),
     .help = "The role that owes them.",
     .example = "communications"},
    {.key = "to",
     .type = FIELD_TEXTS,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct status_params, to),
     .help = "Who is told: audiences in words; roles of the scenario get it delivered.",
     .example = "[Customers by the status page, management]"},
    {.key = "every",
     .type = FIELD_DURATION,
     .flags = FIELD_REQUIRED,
     .min = 10 * NSEC_SEC,
     .max = 30 * DAY,
     .offset = offsetof(struct status_params, every),
     .help = "How often; the first one so long after the step.",
     .example = "15m"},
    {.key = "what",
     .type = FIELD_TEXT,
     .offset = offsetof(struct status_params, what),
     .help = "What must stand in it.",
     .example = "Impact, what is being done, when the next one comes"},
    COMMON(struct status_params),
    {0},
};
static const struct record status_record = {
    RECORD("status", "Regular updates.", struct status_params, status_fields)};

static const struct field escalate_fields[] = {
    {.key = "role",
     .type = FIELD_REF,
     .ref = REF_RESPONDER,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct escalate_params, role),
     .help = "Who is paged first; then deputies and others, by the role's `escalate`.",
     .example = "dba"},
    {.key = "message",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct escalate_params, message),
     .help = "What the page says.",
     .example = "CRITICAL: replication of orders has stopped"},
    {.key = "from",
     .type = FIELD_TEXT,
     .offset = offsetof(struct escalate_params, from),
     .help = "Who or what pages.",
     .example = "Monitoring"},
    {.key = "channel",
     .type = FIELD_TEXT,
     .dflt = "pager",
     .offset = offsetof(struct escalate_params, channel),
     .help = "How it reaches them."},
    COMMON(struct escalate_params),
    {0},
};
static const struct record escalate_record = {
    RECORD("escalate", "A page.", struct escalate_params, escalate_fields)};

static const struct field runbook_action_fields[] = {
    {.key = "name",
     .type = FIELD_REF,
     .ref = REF_RUNBOOK,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct runbook_params, name),
     .help = "Which one.",
     .example = "failover"},
    COMMON(struct runbook_params),
    {0},
};
static const struct record runbook_action_record = {
    RECORD("runbook", "A checklist is handed out.", struct runbook_params, runbook_action_fields),
    .shorthand = "name"};

static const struct field unavailable_fields[] = {
    {.key = "role",
     .type = FIELD_REF,
     .ref = REF_RESPONDER,
     .flags = FIELD_ONE_OF,
     .offset = offsetof(struct unavailable_params, role),
     .help = "Everybody of this role but its deputies; this or `person`.",
     .example = "incident-commander"},
    {.key = "person",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY | FIELD_ONE_OF,
     .offset = offsetof(struct unavailable_params, person),
     .help = "Somebody by name.",
     .example = "alice"},
    {.key = "message",
     .type = FIELD_TEXT,
     .offset = offsetof(struct unavailable_params, message),
     .help = "What all players are told; without it they must notice.",
     .example = "Alice has boarded a plane."},
    COMMON(struct unavailable_params),
    {0},
};
static const struct record unavailable_record = {
    RECORD("unavailable", "Somebody is away.", struct unavailable_params, unavailable_fields)};

static const struct field hold_fields[] = {
    {.key = "reason",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct hold_params, reason),
     .help = "Why; everybody reads it.",
     .example = "Discussion: what do we know, what do we not know?"},
    COMMON(struct hold_params),
    {0},
};
static const struct record hold_record = {
    RECORD("hold", "A pause.", struct hold_params, hold_fields), .shorthand = "reason"};

/* --- What stands behind them where people are not asked: nothing --- */

static int cannot(const struct step *step, struct err *err)
{
    return err_set(
        err, EOPNOTSUPP,
        "steps of people ('%s') are played by `blackstart exercise`, neither run nor forecast",
        step->action->name);
}

static int people_supported(const struct inject_env *env, const struct step *step, struct err *err)
{
    return cannot(step, err);
}

static int people_plan(const struct inject_env *env, const struct step *step, json_t *texts,
                       struct err *err)
{
    return cannot(step, err);
}

static int people_prepare(struct inject_env *env, const struct step *step, void **ret_state,
                          json_t **ret_undo, struct err *err)
{
    return cannot(step, err);
}

static int people_apply(struct inject_env *env, void *state, struct inject_result *ret,
                        struct err *err)
{
    return err_set(err, EOPNOTSUPP, "steps of people are played by `blackstart exercise`");
}

static void people_done(void *state)
{
}

/* A forecast knows how soon people answer by its model, not what they decide. */
static int people_effect(struct inject_env *env, const struct step *step, struct effects *ret,
                         struct err *err)
{
    return cannot(step, err);
}

#define PEOPLE_INJECTOR                                                                            \
    .name = "people", .supported = people_supported, .plan = people_plan,                          \
    .prepare = people_prepare, .apply = people_apply, .done = people_done, .effect = people_effect
static const struct injector people_moment = {PEOPLE_INJECTOR};
static const struct injector people_lasting = {PEOPLE_INJECTOR, .lasts = true};

static const struct variant people[] = {
    {.name = "approve",
     .summary = "Several different people must consent, as for a failback.",
     .params = &approve_record,
     .impl = &people_moment},
    {.name = "decide",
     .summary = "A question with options and a deadline; what follows may depend on the answer.",
     .detail =
         "`when: {decision: STEP, is: OPTION}` waits for one answer, `when: {not_done: STEP}` "
         "for the deadline. What was decided, by whom, when, why and with what information at "
         "hand goes into the decision log.",
     .params = &decide_record,
     .impl = &people_moment},
    {.name = "escalate",
     .summary = "Somebody is paged; who does not acknowledge in time is passed over, as the role's "
                "`escalate` says.",
     .params = &escalate_record,
     .impl = &people_moment},
    {.name = "expected",
     .summary = "An expected action: nothing is delivered, the evaluators look and rate.",
     .detail = "`when: {step: ID}` waits for it, `when: {not_done: ID}` for its deadline.",
     .params = &expected_record,
     .impl = &people_moment},
    {.name = "hold",
     .summary = "The exercise clock stops until the facilitator says go: for a discussion.",
     .params = &hold_record,
     .impl = &people_moment},
    {.name = "runbook",
     .summary = "A checklist is handed out to its owners.",
     .detail = "`when: {step: ID}` waits until all of it is checked.",
     .params = &runbook_action_record,
     .impl = &people_moment},
    {.name = "status",
     .summary = "From now on somebody owes updates at intervals, for as long as the step lasts.",
     .params = &status_record,
     .impl = &people_lasting},
    {.name = "tell",
     .summary = "An inject: somebody is told something.",
     .params = &tell_record,
     .impl = &people_moment},
    {.name = "unavailable",
     .summary = "A role or a person is away for as long as the step lasts: deputies must act.",
     .params = &unavailable_record,
     .impl = &people_lasting},
};

const struct variant *const tables_people[] = {&people[0], &people[1], &people[2], &people[3],
                                               &people[4], &people[5], &people[6], &people[7],
                                               &people[8], NULL};
