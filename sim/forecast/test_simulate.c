/* The record of a forecast: the same bytes with any number of threads, its blocks read back as written. */
#include "tests/support/test.h"

#include "sim/base/file.h"
#include "sim/forecast/block.h"
#include "sim/forecast/simulate.h"
#include "sim/forecast/test_standin.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct world {
    struct scenario scenario;
    struct service services[2];
    void *pointers[3];
    char folder[64];
    int dirfd;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    fixture_scenario(&w->scenario, w->services, w->pointers);
    snprintf(w->folder, sizeof w->folder, "/tmp/blackstart-simulate-XXXXXX");
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
    assert_int_equal(file_remove_tree(AT_FDCWD, w->folder, NULL), 0);
    free(w);
    return 0;
}

static int run_to(const struct world *w, const char *name, struct simulate_options o,
                  uint64_t *ret_done, struct err *err)
{
    CLEANUP(record_free_p) struct record *r = NULL;
    assert_int_equal(record_create(w->dirfd, name, 0, &r, NULL), 0);
    o.scenario = &w->scenario;
    o.digest = "0000000000000000000000000000000000000000000000000000000000000000";
    o.shards = o.shards ? o.shards : 1;
    o.shard = o.shard ? o.shard : 1;
    o.record = r;
    return simulate(&o, ret_done, err);
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
    uint64_t done;
    static const char *const names[] = {"1", "2", "7"};
    for (size_t i = 0; i < 3; i++) {
        struct simulate_options o = {.seed = 3, .trials = 10000, .threads = (size_t)atoi(names[i])};
        assert_int_equal(run_to(w, names[i], o, &done, NULL), 0);
        assert_int_equal(done, 10000);
    }
    AUTO_FREE char *a = text_of(w, "1"), *b = text_of(w, "2"), *c = text_of(w, "7");
    assert_string_equal(a, b);
    assert_string_equal(a, c);
}

struct reading {
    const struct world *w;
    uint64_t next;
    size_t traced, ends;
    outcome_total failover;
};

static int check_service(size_t service, const struct outcome *out, size_t n, void *data,
                         struct err *err)
{
    const struct reading *r = data;
    struct trial *t = trial_new(NULL);
    struct outcome want[2];
    assert_int_equal(service, 0); /* the other one is never hit */
    for (size_t i = 0; i < n; i++) {
        trial_run(t, 3, r->next + i, NULL, NULL, NULL, want, NULL);
        assert_int_equal(out[i].kind, want[0].kind);
        assert_int_equal(out[i].by, want[0].by);
        for (size_t k = 0; k < OUTCOME_TIMES; k++)
            assert_int_equal(outcome_time(&out[i], (enum outcome_time)k),
                             outcome_time(&want[0], (enum outcome_time)k));
        assert_int_equal(out[i].episodes, want[0].episodes);
        assert_int_equal(out[i].blips, want[0].blips);
        assert_int_equal(out[i].false_alarms, want[0].false_alarms);
    }
    trial_free(t);
    return 0;
}

static int check_line(const json_t *e, const char *line, size_t n, void *data, struct err *err)
{
    struct reading *r = data;
    const char *kind = jsonx_str(e, "kind", "");
    uint64_t first, last;
    outcome_total t;
    r->traced += strcmp(kind, "probe") == 0;
    if (strcmp(kind, "run-end") == 0) {
        assert_string_equal(jsonx_str(e, "status", ""), "completed");
        r->ends++;
    }
    if (strcmp(kind, "outcomes") != 0)
        return 0;
    assert_int_equal(block_read(e, &r->w->scenario, check_service, r, &first, &last, err), 0);
    assert_int_equal(first, r->next);
    r->next = last + 1;
    const json_t *path = json_object_get(json_object_get(e, "path"), "checkout");
    assert_int_equal(block_total(jsonx_str(path, "stage:checkout/failover", ""), &t), 0);
    r->failover += t;
    return 0;
}

static void blocks_are_read_back_as_written(void **state)
{
    const struct world *w = *state;
    uint64_t done;
    struct simulate_options o = {.seed = 3, .trials = 5000, .threads = 2};
    struct reading r = {.w = w, .next = 1};
    struct record_head head;
    assert_int_equal(run_to(w, "r", o, &done, NULL), 0);
    assert_int_equal(record_scan(w->dirfd, "r", check_line, &r, &head, NULL, NULL), 0);
    assert_int_equal(r.next, 5001);
    assert_int_equal(r.traced, 3);
    assert_int_equal(r.ends, 1);
    double mean = (double)r.failover / 5000e9; /* 2 s in those that were restored, 47 of 50 */
    assert_true(mean > 1.85 && mean < 1.91);
}

static void a_failing_trial_ends_the_record_and_is_told(void **state)
{
    const struct world *w = *state;
    uint64_t done;
    struct err err = ERR_INIT;
    struct simulate_options o = {.seed = FIXTURE_FAILS, .trials = 9000, .threads = 2};
    assert_int_equal(run_to(w, "r", o, &done, &err), -EDOM);
    assert_string_equal(err.text, "trial 5000: it was made to fail");
    AUTO_FREE char *text = text_of(w, "r");
    assert_non_null(strstr(text, "\"failed\""));
    assert_non_null(strstr(text, "[3073,4096]"));
    assert_null(strstr(text, "[4097,"));
}

static bool stop_soon(uint64_t done, uint64_t of, void *data)
{
    return true;
}

static void who_stops_it_gets_what_there_is(void **state)
{
    const struct world *w = *state;
    uint64_t done = 0;
    struct simulate_options o = {.seed = 3, .trials = 1000000000, .threads = 2, .tick = stop_soon};
    assert_int_equal(run_to(w, "r", o, &done, NULL), 0);
    assert_true(done < 1000000000 && done % BLOCK_MOST == 0);
    AUTO_FREE char *text = text_of(w, "r");
    assert_non_null(strstr(text, "\"aborted\""));
}

static void shards_are_parts_that_begin_with_a_block(void **state)
{
    for (uint64_t shards = 1; shards < 12; shards++) {
        uint64_t next = 1, first, end;
        for (uint64_t k = 1; k <= shards; k++) {
            simulate_range(10000, 2, k, shards, &first, &end);
            assert_int_equal(first, next);
            assert_true(end == 10001 || (end - 1) % BLOCK_MOST == 0);
            next = end;
        }
        assert_int_equal(next, 10001);
    }
}

/* Whoever made such a line by hand. */
static void what_is_no_block_is_refused(void **state)
{
    const struct world *w = *state;
    static const char *const bad[] = {
        "{}",
        "{\"trials\":[0,5]}",
        "{\"trials\":[5,4]}",
        "{\"trials\":[1,100000]}",
        "{\"trials\":[1,2],\"services\":{\"nobody\":{\"kind\":\"r*2\"}}}",
        "{\"trials\":[1,2],\"services\":{\"checkout\":{\"kind\":\"r\"}}}",
        "{\"trials\":[1,2],\"services\":{\"checkout\":{\"kind\":\"r*3\"}}}",
        "{\"trials\":[1,2],\"services\":{\"checkout\":{\"kind\":\"r*0 r*2\"}}}",
        "{\"trials\":[1,2],\"services\":{\"checkout\":{\"kind\":\"r x\"}}}",
        "{\"trials\":[1,2],\"services\":{\"checkout\":{\"kind\":\"r*2\",\"ttr\":\"1 2x\"}}}",
        "{\"trials\":[1,2],\"services\":{\"checkout\":{\"ttr\":\"1 99999999999999999999\"}}}",
        "{\"trials\":[1,2],\"services\":{\"checkout\":{\"ttr\":\"1*99999999999999999999\"}}}",
        "{\"trials\":[1,2],\"services\":{\"checkout\":{\"more\":\"1*2\"}}}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct reading r = {.w = w, .next = 1};
        struct err err = ERR_INIT;
        uint64_t first, last;
        AUTO_JSON *line = json_loads(bad[i], 0, NULL);
        assert_non_null(line);
        assert_int_equal(block_read(line, &w->scenario, check_service, &r, &first, &last, &err),
                         -EBADMSG);
        assert_true(strlen(err.text) > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_same_bytes_with_any_number_of_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(blocks_are_read_back_as_written, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failing_trial_ends_the_record_and_is_told, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(who_stops_it_gets_what_there_is, setup, teardown),
        cmocka_unit_test(shards_are_parts_that_begin_with_a_block),
        cmocka_unit_test_setup_teardown(what_is_no_block_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
