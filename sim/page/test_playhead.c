/* The clock of a replay, in virtual time: when each line comes, at any speed, after pauses and jumps.
 */
#include "tests/support/test.h"

#include "sim/page/playhead.h"

static const nsec moments[] = {0, 0, NSEC_SEC, NSEC_SEC, 10 * NSEC_SEC, 3600 * NSEC_SEC};

struct bed {
    struct loop *loop;
    struct playhead *head;
    size_t n, turns;
    nsec turned_at;
};

static void turned(size_t n, void *data)
{
    struct bed *b = data;
    b->n = n;
    b->turns++;
    b->turned_at = loop_now(b->loop);
}

static void bed_open(struct bed *b, double speed)
{
    *b = (struct bed){0};
    assert_int_equal(loop_new(LOOP_VIRTUAL, &b->loop, NULL), 0);
    struct playhead_spec spec = {b->loop, moments, ARRAY_SIZE(moments), speed, turned, b};
    b->head = playhead_new(&spec);
    assert_int_equal(b->n, 2);
    assert_false(playhead_is_playing(b->head));
}

static void bed_close(struct bed *b)
{
    playhead_free(b->head);
    loop_free(b->loop);
}

/* So long passes. */
static void pass(struct bed *b, nsec time)
{
    nsec until = loop_now(b->loop) + time;
    while (loop_now(b->loop) < until)
        assert_int_equal(loop_turn(b->loop, until, NULL), 0);
}

static void lines_come_at_their_moments(void **state)
{
    struct bed b;
    bed_open(&b, 1);
    pass(&b, 5 * NSEC_SEC);
    assert_int_equal(b.turns, 1); /* it stands until somebody plays */
    playhead_play(b.head);
    pass(&b, NSEC_SEC - 1);
    assert_int_equal(b.n, 2);
    pass(&b, 1);
    assert_int_equal(b.n, 4);
    assert_int_equal(b.turns, 2); /* two lines of one moment are one turn */
    pass(&b, 3600 * NSEC_SEC);
    assert_int_equal(b.n, 6);
    assert_int_equal(b.turned_at, 3605 * NSEC_SEC);
    assert_true(playhead_was_played(b.head) && playhead_is_at_end(b.head));
    assert_false(playhead_is_playing(b.head));
    playhead_play(b.head); /* once more */
    assert_int_equal(b.n, 2);
    assert_int_equal(playhead_at(b.head), 0);
    bed_close(&b);
}

static void a_pause_and_another_speed_lose_no_time(void **state)
{
    struct bed b;
    bed_open(&b, 2);
    playhead_play(b.head);
    pass(&b, NSEC_SEC);
    assert_int_equal(playhead_at(b.head), 2 * NSEC_SEC);
    playhead_pause(b.head);
    pass(&b, 100 * NSEC_SEC);
    assert_int_equal(playhead_at(b.head), 2 * NSEC_SEC);
    assert_int_equal(b.n, 4);
    playhead_play(b.head);
    playhead_speed(b.head, 0.5);
    pass(&b, 15 * NSEC_SEC);
    assert_int_equal(b.n, 4);
    pass(&b, 2 * NSEC_SEC);
    assert_int_equal(b.n, 5);
    assert_int_equal(playhead_at(b.head), 10 * NSEC_SEC + NSEC_SEC / 2);
    playhead_speed(b.head, 1e9);
    assert_true(playhead_speed_now(b.head) <= PLAYHEAD_SPEED_MAX);
    playhead_speed(b.head, 0);
    assert_true(playhead_speed_now(b.head) >= PLAYHEAD_SPEED_MIN);
    bed_close(&b);
}

static void a_jump_goes_anywhere_and_plays_on(void **state)
{
    struct bed b;
    bed_open(&b, 1);
    playhead_jump(b.head, 10 * NSEC_SEC);
    assert_int_equal(b.n, 5);
    playhead_jump(b.head, -5);
    assert_int_equal(b.n, 2);
    playhead_jump(b.head, NSEC_INF);
    assert_int_equal(b.n, 6);
    assert_true(playhead_is_at_end(b.head));
    assert_false(playhead_was_played(b.head)); /* nobody has seen it */
    playhead_jump(b.head, 3599 * NSEC_SEC);
    assert_int_equal(b.n, 5);
    playhead_play(b.head);
    pass(&b, NSEC_SEC);
    assert_true(playhead_was_played(b.head));
    bed_close(&b);
}

/* Speeds that are no fractions of two: each line comes once, never early, and it ends. */
static void odd_speeds_come_to_the_end(void **state)
{
    static const double speeds[] = {0.1, 0.3, 0.7, 1.1, 3.3, 7.7, 99.9, 1000};
    for (size_t i = 0; i < ARRAY_SIZE(speeds); i++) {
        struct bed b;
        bed_open(&b, speeds[i]);
        playhead_play(b.head);
        size_t turns = 0;
        while (playhead_is_playing(b.head) && turns++ < 100)
            assert_int_equal(loop_turn(b.loop, NSEC_INF, NULL), 0);
        assert_true(playhead_was_played(b.head));
        assert_int_equal(b.turns, 4);
        assert_true((double)b.turned_at * speeds[i] >= 3599.999e9);
        bed_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_at_their_moments),
        cmocka_unit_test(a_pause_and_another_speed_lose_no_time),
        cmocka_unit_test(a_jump_goes_anywhere_and_plays_on),
        cmocka_unit_test(odd_speeds_come_to_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
