/* Maintenance windows on a virtual clock. */
#include "tests/support/test.h"

#include "sim/drill/quiet.h"

#define T(s) ((char *)(uintptr_t)(s))

struct bed {
    struct scenario s;
    struct alarm alarms[3];
    struct maintenance windows[2];
    void *alarm_items[3], *window_items[2];
    struct variant kinds[2];
    struct loop *loop;
    struct quiet *quiet;
    const struct alarm *released[4];
    nsec at[4];
    size_t n;
};

static void on_released(const struct alarm *a, nsec at, void *data)
{
    struct bed *b = data;
    b->released[b->n] = a;
    b->at[b->n++] = at;
}

/* Alarms pager (checkout), wire (checkout, a moment), other (search); windows: checkout 1 s to 4 s,
 * pager 3 s to 6 s. */
static void bed_open(struct bed *b)
{
    *b = (struct bed){.kinds = {{.name = "webhook"}, {.name = "packets"}}};
    b->alarms[0] =
        (struct alarm){.name = T("pager"), .service = T("checkout"), .kind = &b->kinds[0]};
    b->alarms[1] =
        (struct alarm){.name = T("wire"), .service = T("checkout"), .kind = &b->kinds[1]};
    b->alarms[2] = (struct alarm){.name = T("other"), .service = T("search"), .kind = &b->kinds[0]};
    b->windows[0] = (struct maintenance){
        .service = T("checkout"), .from = 1 * NSEC_SEC, .lasting = 3 * NSEC_SEC};
    b->windows[1] =
        (struct maintenance){.alarm = T("pager"), .from = 3 * NSEC_SEC, .lasting = 3 * NSEC_SEC};
    for (size_t i = 0; i < 3; i++)
        b->alarm_items[i] = &b->alarms[i];
    for (size_t i = 0; i < 2; i++)
        b->window_items[i] = &b->windows[i];
    b->s.alarms = (struct objects){b->alarm_items, 3};
    b->s.maintenance = (struct objects){b->window_items, 2};
    assert_int_equal(loop_new(LOOP_VIRTUAL, &b->loop, NULL), 0);
    b->quiet = quiet_new(&b->s, b->loop, on_released, b);
    quiet_begin(b->quiet, 0);
}

static void bed_close(struct bed *b)
{
    quiet_free(b->quiet);
    loop_free(b->loop);
}

static void only_what_the_window_is_about_is_suppressed(void **state)
{
    struct bed b;
    bed_open(&b);
    assert_false(quiet_hears(b.quiet, &b.alarms[0], true, NSEC_SEC - 1));
    assert_true(quiet_hears(b.quiet, &b.alarms[1], true, NSEC_SEC));
    assert_true(quiet_hears(b.quiet, &b.alarms[0], true, 2 * NSEC_SEC));
    assert_false(quiet_hears(b.quiet, &b.alarms[2], true, 2 * NSEC_SEC));
    assert_false(quiet_hears(b.quiet, &b.alarms[1], true, 4 * NSEC_SEC)); /* its end is outside */
    bed_close(&b);
}

static void what_still_fires_is_released_at_the_end_of_the_last_window(void **state)
{
    struct bed b;
    bed_open(&b);
    assert_true(quiet_hears(b.quiet, &b.alarms[0], true, 2 * NSEC_SEC));
    assert_true(quiet_hears(b.quiet, &b.alarms[1], true, 2 * NSEC_SEC)); /* a moment: it is over */
    assert_int_equal(loop_run(b.loop, NULL), 0);
    assert_int_equal(b.n, 1);
    assert_ptr_equal(b.released[0], &b.alarms[0]);
    assert_int_equal(b.at[0], 6 * NSEC_SEC);
    bed_close(&b);
}

static void what_ended_in_its_window_never_comes_out(void **state)
{
    struct bed b;
    bed_open(&b);
    assert_true(quiet_hears(b.quiet, &b.alarms[0], true, 2 * NSEC_SEC));
    assert_true(quiet_hears(b.quiet, &b.alarms[0], false, 3 * NSEC_SEC));
    assert_int_equal(loop_run(b.loop, NULL), 0);
    assert_int_equal(b.n, 0);
    bed_close(&b);
}

static void the_clear_of_an_onset_that_was_told_is_told(void **state)
{
    struct bed b;
    bed_open(&b);
    assert_false(quiet_hears(b.quiet, &b.alarms[0], true, NSEC_SEC / 2));
    assert_false(quiet_hears(b.quiet, &b.alarms[0], false, 2 * NSEC_SEC));
    bed_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_the_window_is_about_is_suppressed),
        cmocka_unit_test(what_still_fires_is_released_at_the_end_of_the_last_window),
        cmocka_unit_test(what_ended_in_its_window_never_comes_out),
        cmocka_unit_test(the_clear_of_an_onset_that_was_told_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
