/* A file of answers, from bytes to the end of the exercise that it plays.
 *
 * Whatever the bytes are: no crash, no leak; what is wrong has a sentence with its place; what loads plays the
 * exercise to its end, and the record, read back, makes the same state with the same views.
 */
#include "tests/fuzz/fuzz.h"

#include "sim/exercise/answers.h"
#include "tests/fuzz/play.h"

#include <stdlib.h>

#define TURNS 20000

static void play_through(struct answers *a)
{
    struct play p;
    struct err err = ERR_INIT;
    play_open(&p, true);
    int r = answers_play(a, p.conduct, &err);
    require(r == 0 || err.text[0]);
    require(r < 0 || (play_turn(&p, NSEC_INF, TURNS) && conduct_is_over(p.conduct)));
    require(answers_refused(a) <= answers_n(a));
    answers_free(a); /* it listens to the conduct */
    play_close(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO_DIAGS diags = DIAGS_INIT;
    AUTO_BUF said = BUF_INIT;
    struct answers *a = NULL;
    struct err err = ERR_INIT;
    int r =
        answers_load_text((const char *)data, n, "answers.yaml", play_scenario(), &diags, &a, &err);
    diags_render(&diags, &said);
    require((r < 0) == (diags.n_errors > 0) && (r < 0) == (a == NULL));
    require((diags.n > 0) == (said.len > 0));
    if (a)
        play_through(a);
    return 0;
}
