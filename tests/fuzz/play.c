/* An exercise that a fuzz target plays. */
#include "tests/fuzz/play.h"

#include "scenarios/scenario.h"
#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/exercise/ballot.h"
#include "sim/exercise/view.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct scenario *play_scenario(void)
{
    static struct scenario *s;
    AUTO_DIAGS diags = DIAGS_INIT;
    if (!s)
        require(scenario_load(TEST_ROOT "/tests/corpus/good/exercise.yaml", NULL, &diags, &s) == 0);
    return s;
}

void play_open(struct play *p, bool alone)
{
    struct err err = ERR_INIT;
    const char *memory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    *p = (struct play){.dirfd = -1};
    snprintf(p->dir, sizeof p->dir, "%s/blackstart-fuzz-XXXXXX", memory);
    require(mkdtemp(p->dir) != NULL);
    p->dirfd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    require(p->dirfd >= 0 && loop_new(LOOP_VIRTUAL, &p->loop, &err) == 0);
    struct conduct_spec spec = {
        .loop = p->loop,
        .scenario = play_scenario(),
        .dirfd = p->dirfd,
        .run_start = json_pack("{s:i, s:s, s:s}", "record", 1, "mode", "exercise", "id", "abcdef"),
        .speed = 1,
        .on_virtual_clock = true,
        .alone = alone};
    require(conduct_new(&spec, &p->conduct, &err) == 0);
}

bool play_turn(struct play *p, nsec until, size_t turns)
{
    for (size_t i = 0; i < turns; i++) {
        if (conduct_is_over(p->conduct) || loop_now(p->loop) >= until)
            return true;
        require(loop_turn(p->loop, until, NULL) == 0);
    }
    return false;
}

static void add_view(const struct state *st, const char *role, nsec clock, struct buf *out)
{
    struct viewer who = {"alice", role};
    AUTO_JSON *view = role ? view_new(st, &who, clock) : view_new_screen(st, clock);
    require(view != NULL);
    jsonx_dump(view, out);
    buf_addc(out, '\n');
}

static void all_views(const struct state *st, nsec clock, struct buf *out)
{
    const struct objects *roles = &st->scenario->assumptions->roles;
    for (size_t i = 0; i < roles->n; i++)
        add_view(st, ((const struct responder *)roles->items[i])->name, clock, out);
    add_view(st, NULL, clock, out);
}

void play_views(const struct state *st, nsec clock)
{
    AUTO_BUF text = BUF_INIT;
    all_views(st, clock, &text);
    require(text.len > 0);
}

static void hold_against_record(const struct play *p)
{
    AUTO_JSON *lines = NULL;
    AUTO_BUF seen = BUF_INIT, again = BUF_INIT;
    CLEANUP(state_free_p) struct state *st = state_new(play_scenario());
    struct record_head head;
    struct err err = ERR_INIT;
    size_t torn = 1, i;
    json_t *line;
    nsec clock = conduct_clock(p->conduct);
    require(record_read(p->dirfd, "record.ndjson", &lines, &head, &torn, &err) == 0 && !torn);
    json_array_foreach (lines, i, line) {
        json_object_del(line, "prev");
        require(state_apply(st, line, &err) == 0);
    }
    all_views(conduct_state(p->conduct), clock, &seen);
    all_views(st, clock, &again);
    require(strcmp(buf_text(&seen), buf_text(&again)) == 0);
}

void play_close(struct play *p)
{
    require(conduct_failure(p->conduct, NULL) == 0);
    hold_against_record(p);
    conduct_free(p->conduct);
    loop_free(p->loop);
    require(unlinkat(p->dirfd, "record.ndjson", 0) == 0 && ballot_remove(p->dirfd, NULL) == 0);
    close(p->dirfd);
    require(rmdir(p->dir) == 0);
}
