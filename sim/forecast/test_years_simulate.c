/* The record of years: the same bytes with any number of threads, and the same sums from shards. */
#include "sim/forecast/test_years.h"

#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/forecast/tally_line.h"
#include "sim/forecast/years_simulate.h"

#include <fcntl.h>
#include <string.h>

struct world {
    struct kit kit;
    struct catalogue *c;
    struct scenario scenario;
    char folder[64];
    int dirfd;
};

static const struct distribution life = EXPONENTIAL(900), mend = EXPONENTIAL(8);

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    kit_init(&w->kit, 3, 2);
    for (size_t i = 0; i < 3; i++) {
        w->kit.components[i].fails = &life;
        w->kit.components[i].repair = &mend;
    }
    w->kit.services[0].of = FIRST(3);
    w->kit.services[0].need = 2;
    w->kit.services[1].of = FIRST(2);
    w->kit.services[1].mode = ACTIVE_PASSIVE;
    w->kit.services[1].need = 1;
    w->c = kit_ready(&w->kit);
    w->scenario.name = (char *)(uintptr_t) "kit";
    snprintf(w->folder, sizeof w->folder, "/tmp/blackstart-years-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    w->dirfd = open(w->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(w->dirfd >= 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    close(w->dirfd);
    catalogue_free(w->c);
    assert_int_equal(file_remove_tree(AT_FDCWD, w->folder, NULL), 0);
    free(w);
    return 0;
}

static uint64_t run_to(const struct world *w, const char *name, struct years_options o)
{
    uint64_t done;
    struct err err = ERR_INIT;
    CLEANUP(record_free_p) struct record *r = NULL;
    assert_int_equal(record_create(w->dirfd, name, 0, &r, NULL), 0);
    o.scenario = &w->scenario;
    o.catalogue = w->c;
    o.digest = "0000000000000000000000000000000000000000000000000000000000000000";
    o.shards = o.shards ? o.shards : 1;
    o.shard = o.shard ? o.shard : 1;
    o.seed = 3;
    o.missions = 5000;
    o.years = 1;
    o.record = r;
    if (years_simulate(&o, &done, &err) < 0)
        fail_msg("%s", err.text);
    return done;
}

static char *text_of(const struct world *w, const char *name)
{
    char *text;
    size_t n;
    assert_int_equal(file_read(w->dirfd, name, 1 << 24, &text, &n, NULL), 0);
    return text;
}

static void the_same_bytes_with_any_number_of_threads(void **state)
{
    const struct world *w = *state;
    static const char *const names[] = {"1", "2", "7"};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(
            run_to(w, names[i],
                   (struct years_options){.threads = (size_t)atoi(names[i]), .rare = true}),
            5000);
    AUTO_FREE char *a = text_of(w, "1"), *b = text_of(w, "2"), *c = text_of(w, "7");
    assert_string_equal(a, b);
    assert_string_equal(a, c);
    if (!strstr(a, "\"service\":\"a\",\"cycles\":200000"))
        fail_msg("%s", strstr(a, "\"rare\""));
}

/* Adds what the record has to the tally. */
static void sum(const struct world *w, const char *name, struct tally *t, uint64_t *next)
{
    AUTO_FREE char *text = text_of(w, name);
    for (char *line = text, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        AUTO_JSON *e = NULL;
        uint64_t first, last;
        assert_int_equal(jsonx_parse(line, (size_t)(end - line), name, &e, NULL), 0);
        if (strcmp(jsonx_str(e, "kind", ""), "years") != 0)
            continue;
        assert_int_equal(tally_line_read(e, w->c, t, &first, &last, NULL), 0);
        assert_int_equal(first, *next);
        *next = last + 1;
    }
}

static void shards_add_up_to_the_whole(void **state)
{
    const struct world *w = *state;
    struct tally whole = tally_new(2), parts = tally_new(2);
    uint64_t next = 1, next_part = 1, done = 0;
    run_to(w, "whole", (struct years_options){.threads = 2});
    sum(w, "whole", &whole, &next);
    for (uint64_t shard = 1; shard <= 3; shard++) {
        done +=
            run_to(w, "part", (struct years_options){.threads = 1, .shard = shard, .shards = 3});
        sum(w, "part", &parts, &next_part);
        assert_int_equal(unlinkat(w->dirfd, "part", 0), 0);
    }
    assert_int_equal(done, 5000);
    AUTO_JSON *a = tally_line_json(&whole, w->c, 1), *b = tally_line_json(&parts, w->c, 1);
    assert_true(json_equal(a, b));
    assert_true(whole.services[0].incidents.sum > 100);
    tally_done(&whole);
    tally_done(&parts);
}

static bool at_once(uint64_t done, uint64_t of, void *data)
{
    return true;
}

static void stopped_it_keeps_whole_blocks_and_says_so(void **state)
{
    const struct world *w = *state;
    uint64_t done = run_to(w, "stopped", (struct years_options){.threads = 2, .tick = at_once});
    AUTO_FREE char *text = text_of(w, "stopped");
    if (done < 5000) /* else it was faster than a tenth of a second */
        assert_non_null(strstr(text, "\"status\":\"aborted\""));
    assert_true(done % 1024 == 0 || done == 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_same_bytes_with_any_number_of_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(shards_add_up_to_the_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(stopped_it_keeps_whole_blocks_and_says_so, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
