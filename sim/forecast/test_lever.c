/* What can be changed, found in a scenario and moved. */
#include "tests/support/test.h"

#include "sim/base/nsec.h"
#include "sim/forecast/draw.h"
#include "sim/forecast/lever.h"

#include <string.h>

static char name_page[] = "page", name_side[] = "side", name_dba[] = "dba", name_shop[] = "shop",
            name_failover[] = "failover", name_dns[] = "dns";

static const struct distribution_part parts[] = {
    {.share = 0.9,
     .of = {.kind = DISTRIBUTION_CONSTANT,
            .a = 2 * NSEC_SEC,
            .least = NSEC_UNSET,
            .most = NSEC_UNSET}},
    {.share = 0.1,
     .of = {.kind = DISTRIBUTION_UNIFORM,
            .a = 60 * NSEC_SEC,
            .b = 300 * NSEC_SEC,
            .least = NSEC_UNSET,
            .most = NSEC_UNSET}},
};
static const struct distribution mixed = {.kind = DISTRIBUTION_MIXTURE,
                                          .parts = parts,
                                          .parts_n = 2,
                                          .least = NSEC_UNSET,
                                          .most = 200 * NSEC_SEC};
static const struct distribution page = {.kind = DISTRIBUTION_LOGNORMAL,
                                         .a = 180 * NSEC_SEC,
                                         .b = 720 * NSEC_SEC,
                                         .least = NSEC_UNSET,
                                         .most = NSEC_UNSET};

struct world {
    struct scenario s;
    struct probe probe, control;
    struct responder dba;
    struct service_model model;
    struct stage failover, dns;
    void *probes[2], *roles[1], *services[1], *stages[2];
};

static void world_init(struct world *w)
{
    *w = (struct world){
        .probe = {.name = name_page, .every = 5 * NSEC_SEC},
        .control = {.name = name_side, .every = NSEC_SEC, .control = true},
        .dba = {.name = name_dba,
                .acknowledges = &page,
                .responds = 1,
                .escalate_after = NSEC_UNSET},
        .model = {.service = name_shop},
        .failover = {.name = name_failover, .takes = &mixed, .ttl = NSEC_UNSET, .works = 0.9},
        .dns = {.name = name_dns, .ttl = 30 * NSEC_SEC, .works = 1}};
    w->probes[0] = &w->probe;
    w->probes[1] = &w->control;
    w->roles[0] = &w->dba;
    w->services[0] = &w->model;
    w->stages[0] = &w->failover;
    w->stages[1] = &w->dns;
    w->model.restore = (struct objects){w->stages, 2};
    w->s.arena = arena_new();
    w->s.probes = (struct objects){w->probes, 2};
    w->s.assumed.roles = (struct objects){w->roles, 1};
    w->s.assumed.services = (struct objects){w->services, 1};
}

static void each_has_its_path_and_moves(void **state)
{
    static const struct {
        const char *name, *now, *halved;
    } all[] = {
        {"probes.page.every", "5 s", "2.5 s"},
        {"roles.dba.acknowledges", "lognormal, median 3 min, 95 % below 12 min",
         "lognormal, median 90 s, 95 % below 6 min"},
        {"model.shop.restore.failover", "a mixture of 2", "a mixture of 2"},
        {"model.shop.restore.failover.works", "90 %", "95 %"},
        {"model.shop.restore.dns.ttl", "30 s", "15 s"},
    };
    struct world w;
    const struct lever *levers;
    world_init(&w);
    assert_int_equal(lever_list(&w.s, &levers), ARRAY_SIZE(all));
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        AUTO_BUF now = BUF_INIT, halved = BUF_INIT;
        assert_string_equal(levers[i].name, all[i].name);
        lever_text(&levers[i], &now);
        assert_string_equal(buf_text(&now), all[i].now);
        lever_move(&w.s, &levers[i], 0.5);
        lever_text(&levers[i], &halved);
        assert_string_equal(buf_text(&halved), all[i].halved);
    }
    assert_true(levers[0].most < 1); /* nobody probes all the time */
    /* parts and cuts of a mixture are halved too, and what others share is as it was */
    const struct distribution *d = w.failover.takes;
    assert_int_equal(d->parts[0].of.a, NSEC_SEC);
    assert_int_equal(d->parts[1].of.b, 150 * NSEC_SEC);
    assert_int_equal(d->most, 100 * NSEC_SEC);
    assert_int_equal(mixed.parts[1].of.b, 300 * NSEC_SEC);
    arena_free(w.s.arena);
}

static void to_nothing_and_to_the_worse(void **state)
{
    struct world w;
    const struct lever *levers;
    world_init(&w);
    lever_list(&w.s, &levers);
    lever_move(&w.s, &levers[1], 1);
    struct rng r = rng_stream(1, "lever", 0, 0);
    assert_int_equal(draw(w.dba.acknowledges, &r), 0);
    lever_move(&w.s, &levers[3], 1);
    assert_true(w.failover.works == 1);
    arena_free(w.s.arena);
    world_init(&w);
    lever_list(&w.s, &levers);
    lever_move(&w.s, &levers[3], -0.25);
    assert_true(w.failover.works > 0.8749 && w.failover.works < 0.8751);
    lever_move(&w.s, &levers[0], -0.25);
    assert_int_equal(w.probe.every, 6250 * NSEC_MSEC);
    arena_free(w.s.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_its_path_and_moves),
        cmocka_unit_test(to_nothing_and_to_the_worse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
