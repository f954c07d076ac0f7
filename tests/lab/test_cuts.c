/* Every shape of a partition on the real kernel: who reaches whom, and that nothing else changes; as
 * root and without.
 */
#include "tests/support/labkit.h"

#include "injectors/injector.h"
#include "injectors/net/crossing.h"
#include "injectors/net/cut.h"
#include "injectors/params.h"
#include "tests/support/faultkit.h"

static const char *const five[] = {"a", "b", "c", "d", "e"};

static void five_hosts(struct kit *k)
{
    char address[64];
    kit_open(k);
    for (int i = 0; i < 5; i++) {
        snprintf(address, sizeof address, "10.0.0.%d/24 fd00::%d/64", i + 1, i + 1);
        kit_host(k, five[i], address);
    }
    kit_up(k, false);
}

/* "a>b a>c": the ways on which a datagram of our own is lost or refused, of all ways. */
static const char *lost_ways(struct kit *k)
{
    static struct buf out;
    struct err err = ERR_INIT;
    CLEANUP(topo_free_p) struct topo *topo = NULL;
    struct crossing *tries[25] = {NULL};
    const struct cut_scope all = {0};
    kit_ok(topo_new(k->s, &topo, &err), &err);
    for (size_t i = 0; i < 25; i++) {
        AUTO_CUT cut = {0};
        AUTO_GRUDGE way = {0};
        grudge_add(&way, i / 5, i % 5);
        cut_along(topo, five, 5, &way, &cut);
        if (way.n > 0)
            kit_ok(crossing_send(k->lab, &cut, &all, 1, &tries[i], &err), &err);
    }
    usleep(20000);
    buf_clear(&out);
    for (size_t i = 0; i < 25; i++) {
        size_t arrived = 1, refused = 0;
        if (tries[i])
            crossing_collect(tries[i], &arrived, &refused);
        if (arrived == 0)
            buf_printf(&out, "%s%s>%s", out.len ? " " : "", five[i / 5], five[i % 5]);
        crossing_free(tries[i]);
    }
    return buf_text(&out);
}

static struct strv names(struct kit *k, const char *list)
{
    return fault_choice(k, list)->of;
}

static void must_lose(struct kit *k, const struct step *s, const char *ways)
{
    struct fault f;
    fault_begin(k, s, &f);
    assert_string_equal(lost_ways(k), ways);
    fault_holds(k, &f);
    fault_end(k, &f);
    assert_string_equal(lost_ways(k), "");
    fault_nothing_left(k);
}

static void every_shape_loses_what_it_says(void **state)
{
    static struct kit k;
    five_hosts(&k);
    for (int kind = CUT_DROP; kind <= CUT_REJECT; kind++) {
        struct step *s = fault_step(&k, "grudge", "partition");
        struct partition_params *p = s->params;
        struct partition_grudge a = {.host = (char[]){"a"}, .from = names(&k, "b c")},
                                e = {.host = (char[]){"e"}, .from = names(&k, "a")};
        p->kind = kind;
        fault_add(&k, &p->grudge, &a);
        fault_add(&k, &p->grudge, &e);
        must_lose(&k, s, "a>e b>a c>a");

        s = fault_step(&k, "bridge", "partition");
        p = s->params;
        struct partition_bridge bridge = {.through = fault_target(&k, "c"),
                                          .of = names(&k, "a b c d e")};
        p->kind = kind;
        p->bridge = &bridge;
        must_lose(&k, s, "a>d a>e b>d b>e d>a d>b e>a e>b");
        p->direction = CUT_FORWARD;
        must_lose(&k, s, "a>d a>e b>d b>e");

        s = fault_step(&k, "ring", "partition");
        p = s->params;
        struct partition_hosts all = {.of = names(&k, "a b c d e")};
        p->kind = kind;
        p->ring = &all;
        must_lose(&k, s, "a>c a>d b>d b>e c>a c>e d>a d>b e>b e>c");

        s = fault_step(&k, "halves", "partition");
        p = s->params;
        p->kind = kind;
        p->halves = &all;
        struct fault f;
        fault_begin(&k, s, &f);
        assert_non_null(strstr(f.result.chosen, "halves of a, b, c, d, e: drawn "));
        const char *lost = lost_ways(&k);
        assert_int_equal(strlen(lost), 12 * 4 - 1); /* two against three, both ways */
        fault_end(&k, &f);
    }
    fault_nothing_left(&k);
    kit_close(&k);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(every_shape_loses_what_it_says),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return kit_main(argc, argv, tests);
}
