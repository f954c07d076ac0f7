/* A whole exercise on the virtual clock: the record it leaves, the same after an interruption anywhere, what
 * each viewer sees of it, and who may do what.
 */
#include "tests/support/test.h"

#include "scenarios/master.h"
#include "scenarios/scenario.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/exercise/answers.h"
#include "sim/exercise/ballot.h"
#include "sim/exercise/console.h"
#include "sim/exercise/events.h"
#include "sim/exercise/view.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define SCENARIO TEST_ROOT "/tests/corpus/good/exercise.yaml"
#define ANSWERS TEST_ROOT "/tests/exercise/small.answers.yaml"

struct world {
    struct scenario *scenario;
    struct loop *loop;
    struct conduct *conduct;
    char dir[64];
    int dirfd;
};

static struct scenario *load(const char *path)
{
    AUTO_DIAGS diags = DIAGS_INIT;
    AUTO_BUF said = BUF_INIT;
    struct scenario *s = NULL;
    if (scenario_load(path, NULL, &diags, &s) < 0 || diags.n) {
        diags_render(&diags, &said);
        fail_msg("%s", buf_text(&said));
    }
    return s;
}

static void world_folder(struct world *w)
{
    snprintf(w->dir, sizeof w->dir, "/tmp/blackstart-exercise-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    w->dirfd = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(w->dirfd >= 0);
}

static void world_open(struct world *w, bool alone, bool resume)
{
    struct err err = ERR_INIT;
    assert_int_equal(loop_new(LOOP_VIRTUAL, &w->loop, &err), 0);
    struct conduct_spec spec = {.loop = w->loop,
                                .scenario = w->scenario,
                                .dirfd = w->dirfd,
                                .speed = 1,
                                .on_virtual_clock = true,
                                .alone = alone};
    if (!resume)
        spec.run_start =
            json_pack("{s:i, s:s, s:s}", "record", 1, "mode", "replay", "id", "abcdef");
    int r =
        resume ? conduct_resume(&spec, &w->conduct, &err) : conduct_new(&spec, &w->conduct, &err);
    if (r < 0)
        fail_msg("%s", err.text);
}

static void world_shut(struct world *w)
{
    w->conduct = conduct_free(w->conduct);
    w->loop = loop_free(w->loop);
}

static void world_done(struct world *w)
{
    world_shut(w);
    close(w->dirfd);
    assert_int_equal(file_remove_tree(AT_FDCWD, w->dir, NULL), 0);
    scenario_free(w->scenario);
}

static struct answers *answers_of(const struct world *w, const char *path)
{
    AUTO_DIAGS diags = DIAGS_INIT;
    AUTO_BUF said = BUF_INIT;
    struct err err = ERR_INIT;
    struct answers *a = NULL;
    if (answers_load(path, w->scenario, &diags, &a, &err) < 0) {
        diags_render(&diags, &said);
        fail_msg("%s%s", buf_text(&said), err.text);
    }
    return a;
}

/* Plays with answers to the end. */
static void play(struct world *w, const char *answers)
{
    struct err err = ERR_INIT;
    CLEANUP(answers_free_p) struct answers *a = answers_of(w, answers);
    assert_int_equal(answers_play(a, w->conduct, &err), 0);
    while (!conduct_is_over(w->conduct))
        assert_int_equal(loop_turn(w->loop, NSEC_INF, &err), 0);
    assert_int_equal(conduct_failure(w->conduct, NULL), 0);
}

static json_t *record_of(const struct world *w)
{
    json_t *events = NULL;
    struct err err = ERR_INIT;
    struct record_head head;
    size_t torn = 0;
    if (record_read(w->dirfd, "record.ndjson", &events, &head, &torn, &err) < 0)
        fail_msg("%s", err.text);
    return events;
}

/* The lines without their numbers and links, and without the marks of interruptions. */
static char *essence(json_t *events)
{
    struct buf text = BUF_INIT;
    size_t i;
    json_t *e;
    json_array_foreach (events, i, e) {
        if (!strcmp(jsonx_str(e, "what", ""), "interrupted"))
            continue;
        AUTO_JSON *one = json_copy(e);
        json_object_del(one, "seq");
        json_object_del(one, "prev");
        if (json_object_get(one, "informed")) /* numbers of lines, moved by the marks */
            json_object_set_new(
                one, "informed",
                json_integer((json_int_t)json_array_size(json_object_get(one, "informed"))));
        jsonx_dump(one, &text);
        buf_addc(&text, '\n');
    }
    return buf_steal(&text);
}

static struct world world_played(void)
{
    struct world w = {.scenario = load(SCENARIO)};
    world_folder(&w);
    world_open(&w, true, false);
    play(&w, ANSWERS);
    return w;
}

/* --- Tests --- */

static json_t *line(json_t *events, const char *kind, const char *step, const char *event)
{
    size_t i;
    json_t *e;
    json_array_foreach (events, i, e) {
        if (!strcmp(jsonx_str(e, "kind", ""), kind) && !strcmp(jsonx_str(e, "step", ""), step) &&
            (!event || !strcmp(jsonx_str(e, "event", ""), event)))
            return e;
    }
    fail_msg("no line %s %s %s", kind, step, event ? event : "");
    return NULL;
}

static void assert_at(json_t *e, nsec at)
{
    assert_int_equal(jsonx_int(e, "clock", -1), at);
}

static void the_record_tells_what_was_played(void **state)
{
    const nsec min = 60 * NSEC_SEC;
    struct world w = world_played();
    AUTO_JSON *events = record_of(&w);
    const struct state *st = conduct_state(w.conduct);
    assert_at(line(events, "deliver", "first-report", NULL), min);
    assert_at(line(events, "expected", "bridge", "missed"), 8 * min);
    assert_true(jsonx_bool(line(events, "expected", "bridge", "done"), "late", false));
    json_t *decision = line(events, "decision", "failover", NULL);
    assert_at(decision, 11 * min);
    assert_string_equal(jsonx_str(decision, "by", ""), "carol");
    assert_true(json_array_size(json_object_get(decision, "informed")) == 5);
    assert_at(line(events, "checklist", "promote", "opened"), 12 * min);
    assert_at(line(events, "status", "updates", "missed"), 17 * min);
    assert_true(st->stage == STAGE_ENDED && st->phase == 1);
    assert_true(st->services[0].longest == 20 * min && !nsec_is_set(st->services[0].down_since));
    assert_true(st->clocks[0].started == 11 * min && st->clocks[0].met == 18 * min);
    assert_true(!nsec_is_set(st->clocks[0].overdue));
    assert_int_equal(st->steps[state_step_index(st, "nudge")].life, STEP_WAITING);
    assert_int_equal(st->steps[state_step_index(st, "waiting")].life, STEP_WAITING);
    assert_int_equal(st->steps[state_step_index(st, "page-technical")].paged_n,
                     3); /* who came last has no `escalate` */
    assert_int_equal(st->n_answers, 2);
    assert_null(st->answers[0].by); /* anonymous */
    world_done(&w);
}

/* The box of the anonymous debrief as it was after each answer; it is gone at the end. */
struct boxes {
    struct conduct_listener listener;
    int dirfd;
    size_t n;
    char *texts[8];
};

static void keep_box(const json_t *event, void *data)
{
    struct boxes *b = data;
    size_t n = 0;
    if (strcmp(jsonx_str(event, "kind", ""), "debrief") != 0 ||
        strcmp(jsonx_str(event, "event", ""), "answered") != 0)
        return;
    assert_true(b->n < ARRAY_SIZE(b->texts));
    assert_int_equal(file_read(b->dirfd, BALLOT_FILE, 1 << 20, &b->texts[b->n++], &n, NULL), 0);
}

/* As it lay there when only these lines were written: it is replaced before the line that tells of it. */
static void put_box(const struct boxes *b, const char *text, size_t cut, bool ahead)
{
    static const char answered[] = "\"event\":\"answered\"";
    size_t m = 0, whole = cut;
    while (whole && text[whole - 1] != '\n')
        whole--;
    AUTO_FREE char *before = strndup(text, whole);
    AUTO_FREE char *next = strndup(text + whole, strcspn(text + whole, "\n"));
    for (const char *p = before; (p = strstr(p, answered)); p++)
        m++;
    m += strstr(next, answered) && (ahead || whole < cut);
    if (m == 0 || strstr(before, "\"anonymous\":"))
        (void)unlinkat(b->dirfd, BALLOT_FILE, 0);
    else
        assert_int_equal(
            file_replace(b->dirfd, BALLOT_FILE, b->texts[m - 1], strlen(b->texts[m - 1]), NULL), 0);
}

/* What a kill at any moment leaves is the record up to a line, or to the midst of one. */
static void an_exercise_interrupted_anywhere_comes_out_the_same(void **state)
{
    struct world w = {.scenario = load(SCENARIO)};
    world_folder(&w);
    world_open(&w, true, false);
    struct boxes boxes = {.listener = {.fn = keep_box, .data = &boxes}, .dirfd = w.dirfd};
    conduct_listen(w.conduct, &boxes.listener);
    play(&w, ANSWERS);
    AUTO_JSON *events = record_of(&w);
    AUTO_FREE char *whole = essence(events), *text = NULL;
    size_t n = 0;
    assert_int_equal(boxes.n, 2);
    assert_int_equal(file_read(w.dirfd, "record.ndjson", 1 << 20, &text, &n, NULL), 0);
    world_shut(&w);
    const char *p = strchr(text, '\n') + 1;
    for (size_t k = 1; *p; k++) {
        const char *end = strchr(p, '\n') + 1;
        size_t cut = (size_t)(k % 3 ? p - text : p - text + (end - p) / 2);
        assert_int_equal(file_replace(w.dirfd, "record.ndjson", text, cut, NULL), 0);
        put_box(&boxes, text, cut, k % 2);
        world_open(&w, true, true);
        play(&w, ANSWERS);
        AUTO_JSON *again = record_of(&w);
        AUTO_FREE char *resumed = essence(again);
        assert_int_equal(conduct_state(w.conduct)->interruptions, 1);
        if (strcmp(whole, resumed) != 0) {
            size_t same = 0;
            while (whole[same] == resumed[same])
                same++;
            fail_msg("cut after line %zu: …%.200s\nbut was …%.200s", k, resumed + same,
                     whole + same);
        }
        world_shut(&w);
        p = end;
    }
    for (size_t i = 0; i < boxes.n; i++)
        free(boxes.texts[i]);
    world_done(&w);
}

static void what_has_ended_does_not_go_on(void **state)
{
    struct world w = world_played();
    struct err err = ERR_INIT;
    struct conduct *c = NULL;
    world_shut(&w);
    assert_int_equal(loop_new(LOOP_VIRTUAL, &w.loop, NULL), 0);
    struct conduct_spec spec = {.loop = w.loop, .scenario = w.scenario, .dirfd = w.dirfd};
    assert_int_equal(conduct_resume(&spec, &c, &err), -EALREADY);
    assert_null(c);
    world_done(&w);
}

/* The record plays itself again. */
static void a_record_answers_as_its_people_did(void **state)
{
    struct world w = world_played(), again = {.scenario = load(SCENARIO)};
    AUTO_BUF path = BUF_INIT;
    buf_printf(&path, "%s/record.ndjson", w.dir);
    world_folder(&again);
    world_open(&again, true, false);
    play(&again, buf_text(&path));
    AUTO_JSON *first = record_of(&w), *second = record_of(&again);
    static const char *const same[] = {"decision", "approval", "checklist", "rating",
                                       "page",     "service",  "deadline",  "status"};
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        size_t k, found = 0, n = 0;
        json_t *e;
        json_array_foreach (first, k, e)
            n += !strcmp(jsonx_str(e, "kind", ""), same[i]);
        json_array_foreach (second, k, e)
            found += !strcmp(jsonx_str(e, "kind", ""), same[i]);
        if (n != found)
            fail_msg("%s: %zu lines, then %zu", same[i], n, found);
    }
    assert_at(line(second, "decision", "failover", NULL), 660 * NSEC_SEC);
    world_done(&again);
    world_done(&w);
}

/* --- What is seen --- */

struct leak { /* looks at every view after every line */
    struct conduct_listener listener;
    struct conduct *c;
    size_t looked;
};

/* Texts of steps that have not begun for a player's role must not stand anywhere in their view. */
static void look_for_leaks(const json_t *event, void *data)
{
    struct leak *l = data;
    const struct state *st = conduct_state(l->c);
    static const char *const players[] = {"commander", "communications", "technical"};
    for (size_t i = 0; i < ARRAY_SIZE(players); i++) {
        struct viewer who = {"zoe", players[i]};
        AUTO_JSON *view = view_new(st, &who, conduct_clock(l->c));
        AUTO_BUF text = BUF_INIT;
        jsonx_dump(view, &text);
        for (size_t k = 0; k < st->n_steps; k++) {
            const struct state_step *step = &st->steps[k];
            const struct tell_params *p = step->step->params;
            enum people_step kind = step_people(step->step);
            if (kind == PEOPLE_TELL) {
                bool got = strv_has(&p->to, players[i]) || strv_has(&p->to, ROLE_ALL);
                bool began = nsec_is_set(step->began);
                assert_true((strstr(text.text, p->message) != NULL) == (got && began));
            }
            const struct expect *expect = step_expect(step->step);
            if (expect)
                assert_null(strstr(text.text, expect->does));
            if (kind == PEOPLE_DECIDE && !nsec_is_set(step->began))
                assert_null(strstr(text.text, ((const struct decide_params *)p)->question));
        }
        assert_null(json_object_get(view, "next"));
        assert_null(json_object_get(view, "check"));
        assert_null(strstr(text.text, "One person spoke for all"));
        assert_null(strstr(text.text, "One minute before the nudge"));
        assert_null(strstr(text.text, "say that you do not know"));
        l->looked++;
    }
}

static void players_see_only_what_was_delivered_to_them(void **state)
{
    struct world w = {.scenario = load(SCENARIO)};
    world_folder(&w);
    world_open(&w, true, false);
    struct leak l = {.listener = {.fn = look_for_leaks, .data = &l}, .c = w.conduct};
    conduct_listen(w.conduct, &l.listener);
    play(&w, ANSWERS);
    assert_true(l.looked > 100);
    conduct_unlisten(w.conduct, &l.listener);
    world_done(&w);
}

/* --- Who may do what --- */

static int give(struct world *w, const char *person, const char *role, const char *command,
                struct err *err)
{
    struct viewer who = {person, role};
    *err = ERR_INIT;
    return command_do_text(w->conduct, &who, command, strlen(command), err);
}

static void run_until(struct world *w, nsec clock)
{
    while (conduct_clock(w->conduct) < clock && conduct_state(w->conduct)->stage == STAGE_RUNNING)
        assert_int_equal(loop_turn(w->loop, conduct_when(w->conduct, clock), NULL), 0);
}

static void commands_are_held_to_roles_times_and_limits(void **state)
{
    static const struct {
        nsec at; /* s */
        const char *person, *role, *command;
        int r;
    } rows[] = {
        {0, "alice", "commander", "{\"do\":\"go\"}", -EACCES},
        {0, "alice", "commander", "{\"do\":\"decide\",\"step\":\"failover\",\"option\":\"wait\"}",
         -EAGAIN},
        {0, "frank", "facilitator", "{\"do\":\"go\"}", 0},
        {0, "frank", "facilitator", "{\"do\":\"go\"}", -EALREADY},
        {0, "frank", "facilitator", "{\"do\":\"fly\"}", -EINVAL},
        {0, "frank", "facilitator", "{\"do\":\"go\",\"now\":true}", -EINVAL},
        {0, "frank", "facilitator", "[1]", -EINVAL},
        {0, "frank", "facilitator", "{\"do\":", -EINVAL},
        {0, "mallory", "root", "{\"do\":\"note\",\"text\":\"x\"}", -EACCES},
        /* a question that has not been put, one that is not theirs and one that is nowhere are the same */
        {1, "alice", "commander", "{\"do\":\"decide\",\"step\":\"failover\",\"option\":\"wait\"}",
         -ENOENT},
        {1, "alice", "commander", "{\"do\":\"decide\",\"step\":\"nowhere\",\"option\":\"wait\"}",
         -ENOENT},
        {1, "frank", "facilitator", "{\"do\":\"decide\",\"step\":\"failover\",\"option\":\"wait\"}",
         -EAGAIN},
        {480, "bob", "technical", "{\"do\":\"decide\",\"step\":\"failover\",\"option\":\"wait\"}",
         -ENOENT},
        {480, "bob", "technical",
         "{\"do\":\"decide\",\"step\":\"failover\",\"option\":\"wait\",\"role\":\"commander\"}",
         -EACCES},
        {480, "alice", "commander", "{\"do\":\"decide\",\"step\":\"failover\",\"option\":\"fly\"}",
         -ENOENT},
        {480, "gus", "guest", "{\"do\":\"note\",\"text\":\"x\"}", -EACCES},
        {480, "bob", "technical", "{\"do\":\"rate\",\"step\":\"bridge\",\"rating\":\"P\"}",
         -EACCES},
        {480, "bob", "technical", "{\"do\":\"note\",\"text\":\"x\",\"what\":\"strength\"}",
         -EACCES},
        {480, "eve", "evaluator", "{\"do\":\"rate\",\"step\":\"bridge\",\"rating\":\"A\"}",
         -EINVAL},
        {480, "eve", "evaluator", "{\"do\":\"rate\",\"objective\":\"fly\",\"rating\":\"P\"}",
         -ENOENT},
        {480, "bob", "technical", "{\"do\":\"send\",\"step\":\"promote\"}", -EACCES},
        {480, "frank", "facilitator", "{\"do\":\"hold\",\"reason\":\"tea\"}", 0},
        {480, "alice", "commander", "{\"do\":\"decide\",\"step\":\"failover\",\"option\":\"wait\"}",
         -EAGAIN},
        {480, "frank", "facilitator", "{\"do\":\"go\"}", 0},
        {480, "alice", "commander", "{\"do\":\"decide\",\"step\":\"failover\",\"option\":\"wait\"}",
         0},
        {480, "alice", "commander",
         "{\"do\":\"decide\",\"step\":\"failover\",\"option\":\"promote\"}", -EALREADY},
        {481, "frank", "facilitator", "{\"do\":\"send\",\"step\":\"consent\"}", 0},
        {482, "bob", "technical", "{\"do\":\"approve\",\"step\":\"consent\"}", 0},
        {483, "bob", "technical", "{\"do\":\"approve\",\"step\":\"consent\"}", -EALREADY},
        {483, "carla", "communications", "{\"do\":\"approve\",\"step\":\"consent\"}", -ENOENT},
        {541, "frank", "facilitator", "{\"do\":\"go\"}", 0}, /* the step `think` held it */
        {542, "alice", "commander", "{\"do\":\"approve\",\"step\":\"consent\"}",
         -EACCES}, /* away */
        {542, "frank", "facilitator", "{\"do\":\"skip\",\"step\":\"notify\"}", 0},
        {543, "frank", "facilitator", "{\"do\":\"skip\",\"step\":\"notify\"}", -EALREADY},
        {544, "frank", "facilitator", "{\"do\":\"end\"}", 0},
        {544, "bob", "technical", "{\"do\":\"approve\",\"step\":\"consent\"}", -EAGAIN},
        {544, "bob", "technical", "{\"do\":\"debrief\",\"answers\":[\"a\"]}", -EINVAL},
        {544, "bob", "technical", "{\"do\":\"debrief\",\"answers\":[\"a\",null]}", 0},
        {544, "bob", "technical", "{\"do\":\"debrief\",\"answers\":[\"a\",null]}", -EALREADY},
        {544, "frank", "facilitator", "{\"do\":\"end\"}", 0},
        {544, "frank", "facilitator", "{\"do\":\"note\",\"text\":\"x\"}", -EALREADY},
    };
    struct world w = {.scenario = load(SCENARIO)};
    struct err err;
    world_folder(&w);
    world_open(&w, false, false);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        run_until(&w, rows[i].at * NSEC_SEC);
        int r = give(&w, rows[i].person, rows[i].role, rows[i].command, &err);
        if (r != rows[i].r)
            fail_msg("row %zu, %s: %d (%s), expected %d", i, rows[i].command, r, err.text,
                     rows[i].r);
        assert_true(r == 0 || *err.text);
    }
    world_done(&w);
}

static void a_command_counts_once_and_within_its_limits(void **state)
{
    struct world w = {.scenario = load(SCENARIO)};
    struct err err;
    const char *name = NULL;
    world_folder(&w);
    world_open(&w, false, false);
    const char *note = "{\"do\":\"note\",\"text\":\"  once\\u0007 \",\"key\":\"k1\"}";
    assert_int_equal(give(&w, "bob", "technical", note, &err), 0);
    assert_int_equal(give(&w, "bob", "technical", note, &err), 0);
    const struct state *st = conduct_state(w.conduct);
    assert_int_equal(st->n_notes, 1);
    assert_string_equal(st->notes[0].text, "once?");
    AUTO_BUF big = BUF_INIT;
    buf_adds(&big, "{\"do\":\"note\",\"text\":\"");
    for (size_t i = 0; i <= COMMAND_TEXT_MAX; i++)
        buf_addc(&big, 'x');
    buf_adds(&big, "\"}");
    assert_int_equal(give(&w, "bob", "technical", buf_text(&big), &err), -EINVAL);
    assert_int_equal(give(&w, "bob", "technical", "{\"do\":\"note\",\"text\":\" \"}", &err),
                     -EINVAL);
    assert_int_equal(command_join(w.conduct, "  ", "technical", &name, &err), -EINVAL);
    assert_int_equal(command_join(w.conduct, "a\nb", "technical", &name, &err), -EINVAL);
    assert_int_equal(command_join(w.conduct, "bob", "nobody", &name, &err), -ENOENT);
    assert_int_equal(command_join(w.conduct, " bob ", "technical", &name, &err), 0);
    assert_string_equal(name, "bob");
    assert_int_equal(command_presence(w.conduct, "bob", "away", &err), 0);
    assert_int_equal(command_join(w.conduct, "bob", "technical", &name, &err), 0);
    assert_true(state_person(st, "bob")->connected);
    assert_int_equal(st->n_notes, 1);
    world_done(&w);
}

/* --- Nobody answers --- */

static void when_nobody_answers_time_decides(void **state)
{
    struct world w = {.scenario = load(SCENARIO)};
    struct err err;
    world_folder(&w);
    world_open(&w, false, false);
    assert_int_equal(give(&w, "frank", "facilitator", "{\"do\":\"go\"}", &err), 0);
    run_until(&w, 899 * NSEC_SEC);
    const struct state *st = conduct_state(w.conduct);
    const struct state_step *failover = &st->steps[state_step_index(st, "failover")];
    assert_true(failover->by_default && failover->done == 780 * NSEC_SEC);
    assert_string_equal(failover->option, "wait");
    assert_true(st->steps[state_step_index(st, "nudge")].began == 360 * NSEC_SEC);
    assert_int_equal(st->stage,
                     STAGE_HELD); /* the step `think` at 14 min: one after the phase began */
    assert_true(st->clock == 840 * NSEC_SEC);
    world_done(&w);
}

/* --- What is shipped --- */

static void shipped_exercises_play_to_their_end_without_a_refusal(void **state)
{
    static const char *const names[] = {"certificate-friday", "ransomware-restore", "region-outage",
                                        "third-party-silence"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char file[256], answers[256];
        snprintf(file, sizeof file, TEST_ROOT "/scenarios/exercise/%s.yaml", names[i]);
        snprintf(answers, sizeof answers, TEST_ROOT "/scenarios/exercise/answers/%s.yaml",
                 names[i]);
        struct world w = {.scenario = load(file)};
        world_folder(&w);
        world_open(&w, true, false);
        play(&w, answers);
        AUTO_JSON *events = record_of(&w);
        size_t k;
        json_t *e;
        json_array_foreach (events, k, e) {
            if (!strcmp(jsonx_str(e, "what", ""), "answer-refused"))
                fail_msg("%s: %s: %s", names[i], jsonx_str(e, "key", ""),
                         jsonx_str(e, "detail", ""));
        }
        const struct state *st = conduct_state(w.conduct);
        assert_true(st->clock == 45 * 60 * NSEC_SEC);
        assert_true(st->n_ratings == w.scenario->exercise.objectives.n);
        assert_true(!nsec_is_set(st->services[0].down_since));
        world_done(&w);
    }
}

/* Each is planned as 45 minutes of three players: what it asks of one of them fits into that. */
static void shipped_exercises_plan_out_at_45_minutes(void **state)
{
    static const char *const names[] = {"certificate-friday", "ransomware-restore", "region-outage",
                                        "third-party-silence"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char file[256];
        const char *role;
        json_t *asked;
        snprintf(file, sizeof file, TEST_ROOT "/scenarios/exercise/%s.yaml", names[i]);
        CLEANUP(scenario_free_p) struct scenario *s = load(file);
        AUTO_JSON *plan = events_new_plan(s);
        const json_t *sums = json_object_get(plan, "sums");
        assert_int_equal(jsonx_int(sums, "players", 0), 3);
        assert_true(json_number_value(json_object_get(sums, "phases_s")) == 2700.0);
        json_object_foreach (json_object_get(sums, "asked_s"), role, asked)
            if (json_number_value(asked) > 2700.0)
                fail_msg("%s asks %g s of %s", names[i], json_number_value(asked), role);
        AUTO_BUF text = BUF_INIT;
        events_plan_text(plan, &text);
        assert_non_null(strstr(text.text, "an exercise of 45 min for 3 players"));
    }
}

/* --- Lists of events --- */

static void a_list_of_events_goes_out_and_comes_in_again(void **state)
{
    static const char *const files[] = {TEST_ROOT "/scenarios/exercise/region-outage.yaml",
                                        TEST_ROOT "/scenarios/exercise/ransomware-restore.yaml",
                                        TEST_ROOT "/scenarios/exercise/third-party-silence.yaml",
                                        TEST_ROOT "/scenarios/exercise/certificate-friday.yaml",
                                        SCENARIO};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        CLEANUP(scenario_free_p) struct scenario *s = load(files[i]);
        CLEANUP(scenario_free_p) struct scenario *again = NULL;
        AUTO_BUF first = BUF_INIT, second = BUF_INIT, yaml = BUF_INIT, said = BUF_INIT;
        AUTO_DIAGS diags = DIAGS_INIT;
        master_export(s, &first);
        if (master_import(first.text, first.len, "list.csv", s, &diags, &yaml) < 0 ||
            scenario_load_text(yaml.text, yaml.len, "made.yaml", NULL, &diags, &again) < 0) {
            diags_render(&diags, &said);
            fail_msg("%s: %s", files[i], buf_text(&said));
        }
        master_export(again, &second);
        if (strcmp(first.text, second.text) != 0) {
            size_t same = 0;
            while (first.text[same] == second.text[same])
                same++;
            fail_msg("%s: …%.120s\nbecame …%.120s", files[i], first.text + same,
                     second.text + same);
        }
        assert_int_equal(s->script.n, again->script.n);
        for (size_t k = 0; k < s->script.n; k++) {
            const struct step *a = s->script.items[k], *b = again->script.items[k];
            assert_string_equal(a->id, b->id);
            assert_true(a->at == b->at && a->after == b->after && a->lasting == b->lasting);
            assert_true(step_within(a) == step_within(b) &&
                        step_planned(s, a) == step_planned(again, b));
        }
    }
}

static void a_wrong_list_is_refused_with_row_and_column(void **state)
{
    static const struct {
        const char *csv, *says;
    } rows[] = {
        {"Time,Description\n0:05:00,Hello\n", NULL}, /* `To` is required by the step */
        {"Event,Time,To,Description\n1,soon,all,Hello\n", "list.csv:2:2: error: 'soon' is no time"},
        {"Event,Time,To,Description\n1,5m,incident-comander,Hi\n",
         "list.csv:2:3: error: there is no role 'incident-comander'; did you mean "
         "'incident-commander'?"},
        {"Event,Time,To,Description\n1,5m,all,Hi\n1,6m,all,Ho\n",
         "list.csv:3:1: error: the number '1' stands already in row 2"},
        {"Event,Tim,To,Description\n1,5m,all,Hi\n",
         "list.csv:1:2: error: there is no column 'Tim'; did you mean 'Time'?"},
        {"Event,Time,To,Description\n1,5m,all,\"Hi\n",
         "list.csv:2:4: error: a quote is not closed"},
        {"Event,Time,To,Description,Type\n1,5m,all,Hi,injekt\n",
         "list.csv:2:5: error: there is no type 'injekt'; did you mean 'inject'?"},
        {"Event,To,Description\n1,all,Hi\n", "error: when? Give a 'Time' like 0:05:00"},
        {"Event,Time,To,Description,More\n1,5m,all,Hi,[\n",
         "list.csv:2:5: error: 'More' holds YAML"},
        {"Time\n", "list.csv:1:1: error: a list has a row of names"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO_DIAGS diags = DIAGS_INIT;
        AUTO_BUF yaml = BUF_INIT, said = BUF_INIT;
        CLEANUP(scenario_free_p) struct scenario *s = NULL;
        int r = master_import(rows[i].csv, strlen(rows[i].csv), "list.csv", NULL, &diags, &yaml);
        if (!rows[i].says)
            r = scenario_load_text(yaml.text, yaml.len, "made.yaml", NULL, &diags, &s);
        diags_render(&diags, &said);
        assert_true(r < 0);
        if (rows[i].says && !strstr(buf_text(&said), rows[i].says))
            fail_msg("row %zu says %s", i, buf_text(&said));
    }
}

static void lists_of_others_are_understood(void **state)
{
    const char *csv = "\xef\xbb\xbf"
                      "Event;Time;To;Description;Expected action;Within\r\n"
                      "1;T+5;all;\"It is \"\"down\"\"; really\nall of it\";;\r\n"
                      "2;0:07:30;incident-commander; communications;Next;Declares;0:05\r\n";
    const char *quoted = "Event,Time,To,Description,Expected action,Within\r\n"
                         "1,T+5,all,\"It is \"\"down\"\", really\nall of it\",,\r\n"
                         "2,0:07:30,incident-commander; communications,Next,Declares,10m\r\n";
    AUTO_DIAGS diags = DIAGS_INIT, wrong = DIAGS_INIT;
    AUTO_BUF yaml = BUF_INIT, none = BUF_INIT;
    struct scenario *s = NULL;
    assert_int_equal(master_import(quoted, strlen(quoted), "list.csv", NULL, &diags, &yaml), 0);
    assert_int_equal(scenario_load_text(yaml.text, yaml.len, "made.yaml", NULL, &diags, &s), 0);
    assert_int_equal(s->script.n, 2);
    const struct step *first = s->script.items[0], *second = s->script.items[1];
    assert_true(first->at == 300 * NSEC_SEC && second->at == 450 * NSEC_SEC);
    assert_string_equal(((const struct tell_params *)first->params)->message,
                        "It is \"down\", really\nall of it");
    assert_int_equal(((const struct tell_params *)second->params)->to.n, 2);
    assert_true(step_within(second) == 600 * NSEC_SEC);
    scenario_free(s);
    /* one column too many, for `To` holds the separator: told, not guessed */
    assert_true(master_import(csv, strlen(csv), "list.csv", NULL, &wrong, &none) < 0);
}

/* --- The console --- */

static int type(struct world *w, const char *line, struct buf *out)
{
    struct viewer who = {"frank", "facilitator"};
    buf_clear(out);
    return console_line(w->conduct, &who, line, out);
}

static void a_facilitator_conducts_it_from_a_terminal(void **state)
{
    struct world w = {.scenario = load(SCENARIO)};
    AUTO_BUF out = BUF_INIT;
    world_folder(&w);
    world_open(&w, false, false);
    const struct state *st = conduct_state(w.conduct);
    assert_int_equal(type(&w, "now\n", &out), 0);
    assert_non_null(strstr(out.text, "lobby"));
    assert_int_equal(type(&w, "go", &out), 0);
    run_until(&w, 480 * NSEC_SEC);
    assert_int_equal(type(&w, "", &out), 0);
    assert_non_null(strstr(out.text, "open      decide       failover"));
    assert_non_null(strstr(out.text, "down      checkout since 0:00:00, promised back by 0:20:00"));
    assert_int_equal(type(&w, "decide failover 2 because it is late", &out), 0);
    assert_string_equal(st->steps[state_step_index(st, "failover")].option, "promote");
    assert_string_equal(st->steps[state_step_index(st, "failover")].reason, "because it is late");
    assert_string_equal(st->steps[state_step_index(st, "failover")].role, "commander");
    assert_int_equal(type(&w, "approve consent carol", &out), 0);
    assert_int_equal(type(&w, "approve consent bob", &out), 0);
    assert_int_equal(type(&w, "check promote 1", &out), 0);
    assert_int_equal(st->steps[state_step_index(st, "promote")].n_checked, 1);
    assert_int_equal(type(&w, "add all \033[31mTen minutes to go", &out), 0);
    AUTO_BUF told = BUF_INIT;
    console_event(st, st->deliveries[st->n_deliveries - 1].event, &told);
    assert_non_null(strstr(told.text, "[31mTen minutes to go"));
    assert_null(strchr(told.text, '\033'));
    assert_int_equal(type(&w, "rate declare S late", &out), 0);
    assert_int_equal(type(&w, "rate bridge U", &out), 0);
    assert_int_equal(st->n_ratings, 1);
    assert_true(st->steps[state_step_index(st, "bridge")].rating == 'U');
    assert_int_equal(type(&w, "hol", &out), -EINVAL);
    assert_non_null(strstr(out.text, "did you mean 'hold'?"));
    assert_int_equal(type(&w, "decide failover 1", &out), -EALREADY);
    assert_int_equal(type(&w, "end", &out), 0);
    assert_int_equal(type(&w, "end", &out), 0);
    assert_true(conduct_is_over(w.conduct));
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_record_tells_what_was_played),
        cmocka_unit_test(an_exercise_interrupted_anywhere_comes_out_the_same),
        cmocka_unit_test(what_has_ended_does_not_go_on),
        cmocka_unit_test(a_record_answers_as_its_people_did),
        cmocka_unit_test(players_see_only_what_was_delivered_to_them),
        cmocka_unit_test(commands_are_held_to_roles_times_and_limits),
        cmocka_unit_test(a_command_counts_once_and_within_its_limits),
        cmocka_unit_test(when_nobody_answers_time_decides),
        cmocka_unit_test(shipped_exercises_play_to_their_end_without_a_refusal),
        cmocka_unit_test(shipped_exercises_plan_out_at_45_minutes),
        cmocka_unit_test(a_list_of_events_goes_out_and_comes_in_again),
        cmocka_unit_test(a_wrong_list_is_refused_with_row_and_column),
        cmocka_unit_test(lists_of_others_are_understood),
        cmocka_unit_test(a_facilitator_conducts_it_from_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
