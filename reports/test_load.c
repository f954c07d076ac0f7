/* Background load: what wrk prints, and a load that ends before the fault does. */
#include "reports/fixture.h"
#include "reports/load.h"
#include "sim/base/jsonx.h"

static const char wrk_said[] = "Running 10m test @ http://10.20.0.10/\n"
                               "  1 threads and 8 connections\n"
                               "  Thread Stats   Avg      Stdev     Max   +/- Stdev\n"
                               "    Latency   635.91us    0.89ms  12.92ms   93.69%\n"
                               "    Req/Sec    56.20k     8.07k   62.00k    86.54%\n"
                               "  22464 requests in 30.00s, 17.76MB read\n"
                               "  Socket errors: connect 1, read 2, write 3, timeout 4\n"
                               "  Non-2xx or 3xx responses: 5\n"
                               "Requests/sec:    748.53\n"
                               "Transfer/sec:    606.33KB\n";

static void wrk_is_understood(void **state)
{
    struct load_numbers n = load_numbers(wrk_said);
    assert_true(n.known);
    assert_float_equal(n.requests_per_s, 748.53, 1e-9);
    assert_int_equal(n.requests, 22464);
    assert_int_equal(n.errors, 15);
    assert_float_equal(n.latency_s, 635.91e-6, 1e-12);
    assert_float_equal(n.longest_s, 12.92e-3, 1e-12);
    n = load_numbers("Running 10s test\n  Latency  1.20s 0.1ms 2.00m 9%\nRequests/sec: 1\n");
    assert_float_equal(n.latency_s, 1.2, 1e-9);
    assert_float_equal(n.longest_s, 120, 1e-9);
    assert_int_equal(n.errors, 0);
}

static void other_words_are_no_numbers(void **state)
{
    static const char *const others[] = {"",
                                         "\n\n",
                                         "Latency",
                                         "Requests/sec: many\n",
                                         "12 requests in 3 s",
                                         "Socket errors: connect 3\n"};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        assert_false(load_numbers(others[i]).known);
}

static void line(struct world *w, const char *event, nsec at, const char *output)
{
    if (output)
        world_event(w, "load", at, "{s:s,s:s,s:s,s:s,s:[I,I],s:i,s:s}", "load", "traffic", "event",
                    event, "host", "client", "command", "wrk", "at",
                    (json_int_t)(w->trial * 100 * NSEC_SEC + at),
                    (json_int_t)(w->trial * 100 * NSEC_SEC + at), "code", 0, "output", output);
    else
        world_event(w, "load", at, "{s:s,s:s,s:s,s:s,s:[I,I]}", "load", "traffic", "event", event,
                    "host", "client", "command", "wrk", "at",
                    (json_int_t)(w->trial * 100 * NSEC_SEC + at),
                    (json_int_t)(w->trial * 100 * NSEC_SEC + at));
}

/* The fault is in force from 1550 to 3000 ms; observed until 3500. */
static const struct load_seen *played(struct world *w, nsec ends, const char *output)
{
    world_init(w);
    world_step(w, "lose");
    world_begin(w, 1, 1);
    world_strip(w, "page", G16 "GGGGRRRRR" BACK BACK);
    line(w, "start", 100 * MS, NULL);
    world_inject(w, "lose", 1550 * MS);
    world_verify(w, "lose", true);
    line(w, "end", ends, output);
    world_undo(w, "lose", 3000 * MS, "for");
    world_end(w, 3500 * MS, "completed", NULL);
    world_run_end(w, "completed");
    const struct result *r = world_measure(w);
    assert_int_equal(r->trials[0].loads_n, 1);
    return &r->trials[0].loads[0];
}

static void a_load_that_ends_in_the_fault_is_found(void **state)
{
    WORLD w;
    const struct load_seen *l = played(&w, 2500 * MS, "a\nb\nc\nd\ne\nf\ng\n");
    assert_true(l->early);
    assert_string_equal(l->tail, "c\nd\ne\nf\ng");
    assert_true(world_found(&w, "load_ended"));
    AUTO_BUF words = BUF_INIT;
    load_words(l, &words);
    assert_string_equal(buf_text(&words), "g; exit code 0");
}

static void a_load_that_lasts_is_not(void **state)
{
    WORLD w;
    const struct load_seen *l = played(&w, 3100 * MS, wrk_said);
    assert_false(l->early);
    assert_false(world_found(&w, "load_ended"));
    AUTO_BUF words = BUF_INIT;
    load_words(l, &words);
    assert_string_equal(buf_text(&words),
                        "748.5 requests per second (22464 in all), 15 errors, mean latency "
                        "0.636 ms, longest 12.9 ms");
    AUTO_JSON *j = load_json(l);
    assert_int_equal(json_integer_value(json_object_get(j, "errors")), 15);
    assert_true(json_is_null(json_object_get(j, "signal")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrk_is_understood),
        cmocka_unit_test(other_words_are_no_numbers),
        cmocka_unit_test(a_load_that_ends_in_the_fault_is_found),
        cmocka_unit_test(a_load_that_lasts_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
