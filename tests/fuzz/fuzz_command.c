/* What people may send while an exercise is played: command after command, by anybody, at any time.
 *
 * The input is lines "PERSON ROLE SECONDS COMMAND": so many seconds pass, and the person in this role sends
 * the bytes of the command. A role that the scenario does not have is its first one; a first line that begins
 * with "lobby" leaves the start to the facilitator.
 *
 * Whatever they are: no crash, no leak; what is refused has a sentence and leaves no line; and the record, read
 * back, makes the same state with the same views.
 */
#include "tests/fuzz/fuzz.h"

#include "sim/exercise/command.h"
#include "tests/fuzz/play.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX 200

static const char *role_named(const char *name)
{
    const struct objects *roles = &play_scenario()->assumptions->roles;
    for (size_t i = 0; i < roles->n; i++) {
        const struct responder *r = roles->items[i];
        if (strcmp(r->name, name) == 0)
            return r->name;
    }
    return ((const struct responder *)roles->items[0])->name;
}

static void give(struct play *p, const char *line, size_t n)
{
    char head[200] = "", person[81], role[81];
    unsigned seconds = 0;
    int used = 0;
    struct err err = ERR_INIT;
    struct record_head before, after;
    const char *recorded = NULL;
    memcpy(head, line, n < sizeof head - 1 ? n : sizeof head - 1);
    if (sscanf(head, "%80s %80s %5u %n", person, role, &seconds, &used) != 3 || !used)
        return;
    (void)play_turn(p, loop_now(p->loop) + (seconds % 7200) * NSEC_SEC, 1000);
    struct viewer who = {person, role_named(role)};
    if (!state_person(conduct_state(p->conduct), person)) {
        int r = command_join(p->conduct, person, who.role, &recorded, &err);
        require((r < 0) == (err.text[0] != '\0'));
        if (r < 0)
            return;
        who.person = recorded;
    }
    require(conduct_catch_up(p->conduct, NULL) == 0); /* what is due now is not the command's */
    conduct_head(p->conduct, &before);
    size_t at = (size_t)used < n ? (size_t)used : n;
    int r = command_do_text(p->conduct, &who, line + at, n - at, &err);
    conduct_head(p->conduct, &after);
    require((r < 0) == (err.text[0] != '\0'));
    require(r == 0 || before.seq == after.seq);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct play p;
    const char *at = (const char *)data, *end = at + n, *recorded = NULL;
    struct viewer frank = {"frank", "facilitator"};
    if (n > 100000)
        return 0;
    play_open(&p, false);
    if (n < 5 || memcmp(data, "lobby", 5) != 0)
        require(command_join(p.conduct, frank.person, frank.role, &recorded, NULL) == 0 &&
                command_do_text(p.conduct, &frank, "{\"do\":\"go\"}", 11, NULL) == 0);
    for (size_t i = 0; at < end && i < LINES_MAX; i++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at)), *stop = newline ? newline : end;
        give(&p, at, (size_t)(stop - at));
        at = stop + 1;
    }
    play_close(&p);
    return 0;
}
