/* The way of a scenario from bytes to the model and back to text.
 *
 * Whatever the bytes are: no crash, no leak, no endless work; what loads is written as run, reads
 * back as the same model, and is written again the same. Any broken promise aborts.
 *
 * libpcap's compiler of filters is not ours to try, and asks name servers for the names in a
 * filter, so it is replaced by one that refuses.
 */
#include "tests/fuzz/fuzz.h"

#include "scenarios/emit.h"
#include "scenarios/scenario.h"
#include "scenarios/tables.h"
#include "tests/support/model_dump.h"

#include <stdlib.h>
#include <string.h>

int pcap_compile(void *pcap, void *program, const char *filter, int optimize, unsigned netmask);

int pcap_compile(void *pcap, void *program, const char *filter, int optimize, unsigned netmask)
{
    return -1;
}

static void require(int holds)
{
    if (!holds)
        abort();
}

/* Warnings and errors must be printable, however odd the file. */
static void say(struct diags *diags)
{
    AUTO_BUF said = BUF_INIT;
    diags_render(diags, &said);
    require((diags->n > 0) == (said.len > 0));
}

static void write_and_read_again(const struct scenario *s)
{
    AUTO_BUF first = BUF_INIT, second = BUF_INIT, model = BUF_INIT, again = BUF_INIT;
    AUTO_DIAGS diags = DIAGS_INIT;
    CLEANUP(scenario_free_p) struct scenario *copy = NULL;
    scenario_emit(s, &first);
    int r = scenario_load_as_run(first.text, first.len, "again.yaml", &diags, &copy);
    if (r < 0) {
        say(&diags);
        /* aliases and variables may make more of it than one file can hold */
        require(first.len > 100000);
        return;
    }
    scenario_emit(copy, &second);
    require(!strcmp(first.text, second.text));
    model_dump(&scenario_record, s, &model);
    model_dump(&scenario_record, copy, &again);
    require(!strcmp(model.text, again.text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO_DIAGS diags = DIAGS_INIT;
    CLEANUP(scenario_free_p) struct scenario *s = NULL;
    int r = scenario_load_text((const char *)data, n, "fuzz.yaml", NULL, &diags, &s);
    require((r < 0) == (diags.n_errors > 0));
    require((r < 0) == (s == NULL));
    say(&diags);
    if (s)
        write_and_read_again(s);
    return 0;
}
