/* A master scenario events list, from bytes of CSV to a scenario and out again.
 *
 * Whatever the bytes are: no crash, no leak; what is wrong has a sentence with row and column; a list that
 * becomes a scenario is exported as one that becomes the same scenario.
 */
#include "tests/fuzz/fuzz.h"

#include "scenarios/emit.h"
#include "scenarios/master.h"
#include "scenarios/scenario.h"
#include "tests/fuzz/play.h"

#include <stdlib.h>
#include <string.h>

/* NULL: it is none. */
static struct scenario *made_of(const char *csv, size_t n, const struct scenario *base)
{
    AUTO_DIAGS diags = DIAGS_INIT, again = DIAGS_INIT;
    AUTO_BUF yaml = BUF_INIT, said = BUF_INIT;
    struct scenario *s = NULL;
    int r = master_import(csv, n, "events.csv", base, &diags, &yaml);
    diags_render(&diags, &said);
    require((r < 0) == (diags.n_errors > 0) && (diags.n > 0) == (said.len > 0));
    if (r == 0)
        (void)scenario_load_text(yaml.text, yaml.len, "what came of it", NULL, &again, &s);
    buf_clear(&said);
    diags_render(&again, &said);
    return s;
}

static void out_and_in_again(const char *csv, size_t n, const struct scenario *base)
{
    CLEANUP(scenario_free_p) struct scenario *first = made_of(csv, n, base), *second = NULL;
    AUTO_BUF list = BUF_INIT, one = BUF_INIT, two = BUF_INIT;
    if (!first)
        return;
    master_export(first, &list);
    second = made_of(list.text, list.len, first);
    require(second != NULL);
    scenario_emit(first, &one);
    scenario_emit(second, &two);
    require(strcmp(one.text, two.text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n > 100000)
        return 0;
    out_and_in_again((const char *)data, n, NULL);
    out_and_in_again((const char *)data, n, play_scenario());
    return 0;
}
