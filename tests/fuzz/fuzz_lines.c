/* The lines of a record of an exercise that somebody else wrote, as resume, replay and reports take them: JSON, one
 * line after the other. Their chain, which is held before, is left out here.
 *
 * Whatever they are: no crash, no leak; a line that does not fit has a sentence; after each that does, what is
 * due next can be asked, and after some of them and the last every view can be made.
 */
#include "tests/fuzz/fuzz.h"

#include "sim/base/jsonx.h"
#include "sim/exercise/console.h"
#include "tests/fuzz/play.h"

#include <stdlib.h>
#include <string.h>

#define LINES_MAX 300

static bool take(struct state *st, const char *text, size_t n)
{
    AUTO_JSON *line = NULL;
    AUTO_BUF said = BUF_INIT;
    struct err err = ERR_INIT;
    if (jsonx_parse(text, n, "a line", &line, &err) < 0 || !json_is_object(line))
        return false;
    int r = state_apply(st, line, &err);
    require(r <= 0 && (r < 0) == (err.text[0] != '\0'));
    if (r < 0)
        return false;
    struct due due = state_next(st);
    require(due.what == DUE_NOTHING || nsec_is_set(due.at));
    console_event(st, line, &said);
    if (st->seq % 16 == 0)
        play_views(st, st->clock);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    CLEANUP(state_free_p) struct state *st = state_new(play_scenario());
    const char *at = (const char *)data, *end = at + n;
    if (n > 200000)
        return 0;
    for (size_t i = 0; at < end && i < LINES_MAX; i++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at)), *stop = newline ? newline : end;
        if (!take(st, at, (size_t)(stop - at)))
            break;
        at = stop + 1;
    }
    play_views(st, st->clock);
    return 0;
}
