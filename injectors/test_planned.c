/* What plans say of faults that are not done through messages of ours alone: what is asked of those who
 * manage a host, and what is only known when it is read.
 */
#include "tests/support/test.h"

#include "injectors/injector.h"
#include "injectors/params.h"
#include "sim/base/arena.h"
#include "sim/base/jsonx.h"
#include "tests/support/faultkit.h"

static void shape(struct kit *k)
{
    kit_open(k);
    kit_network(k, "front", "10.1.0.0/24", NULL, NULL);
    kit_host(k, "b", "10.1.0.3");
    kit_host(k, "c", "10.1.0.4");
}

static char *text_of(struct kit *k, const char *s)
{
    return arena_strdup(k->s->arena, s);
}

static const char *planned(struct kit *k, const struct step *s, size_t at)
{
    static char text[1024];
    AUTO_JSON *texts = json_array();
    struct err err = ERR_INIT;
    struct inject_env env = {.scenario = k->s};
    kit_ok(injector_of(s)->plan(&env, s, texts, &err), &err);
    snprintf(text, sizeof text, "%s",
             at < json_array_size(texts) ? json_string_value(json_array_get(texts, at)) : "");
    return text;
}

static void what_others_manage_is_planned_as_they_are_asked(void **state)
{
    static struct kit k;
    static struct container_host container;
    shape(&k);
    struct host *h = (struct host *)scenario_host(k.s, "c");
    struct lab_host *lab = h->lab;
    h->lab = NULL;
    h->unit = text_of(&k, "worker.service");
    struct step *s = fault_step(&k, "s", "shutdown");
    struct shutdown_params *p = s->params;
    p->host = fault_target(&k, "c");
    p->signal = -1;
    p->timeout = NSEC_UNSET;
    assert_string_equal(planned(&k, s, 1),
                        "  host c: to systemd: StopUnit(worker.service, replace)");
    assert_string_equal(planned(&k, s, 2), "to undo that:");
    assert_string_equal(planned(&k, s, 3),
                        "  host c: to systemd: StartUnit(worker.service, replace)");
    struct step *whole = fault_step(&k, "f", "freeze");
    ((struct freeze_params *)whole->params)->whom.host = fault_target(&k, "c");
    assert_string_equal(planned(&k, whole, 1),
                        "  host c: its own control group: cgroup.freeze = 1");
    assert_string_equal(planned(&k, whole, 3),
                        "  host c: its own control group: cgroup.freeze = 0");
    h->unit = NULL;
    h->container = &container;
    assert_string_equal(planned(&k, s, 1),
                        "  host c: to its engine: POST /containers/<its id>/stop");
    assert_string_equal(planned(&k, s, 3),
                        "  host c: to its engine: POST /containers/<its id>/start");
    assert_string_equal(planned(&k, whole, 1),
                        "  host c: to its engine: POST /containers/<its id>/pause");
    assert_string_equal(planned(&k, whole, 3),
                        "  host c: to its engine: POST /containers/<its id>/unpause");
    h->container = NULL;
    h->lab = lab;
    kit_close(&k);
}

static void what_is_only_known_when_read_is_planned_as_that(void **state)
{
    static struct kit k;
    shape(&k);
    struct step *s = fault_step(&k, "s", "address");
    struct address_params *a = s->params;
    a->host = fault_target(&k, "b");
    a->address = text_of(&k, "10.1.0.3/24");
    assert_string_equal(
        planned(&k, s, 1),
        "  host b: address delete inet <as it stands there> address=10.1.0.3 <and so on>");
    assert_string_equal(
        planned(&k, s, 4),
        "  host b: if it went along: <address, route or neighbour> add <as it was read>");
    s = fault_step(&k, "s", "route");
    struct route_params *r = s->params;
    r->host = fault_target(&k, "b");
    r->to = text_of(&k, "default");
    assert_string_equal(planned(&k, s, 1), "  host b: route delete inet <as it stands there>");
    s = fault_step(&k, "full", "pressure");
    struct pressure_params *p = s->params;
    struct pressure_disk disk = {.path = text_of(&k, "/data"), .fill = 0.95};
    struct pressure_memory memory = {.percent = 0.5};
    p->host = fault_target(&k, "b");
    p->disk = &disk;
    p->memory = &memory;
    assert_string_equal(planned(&k, s, 1),
                        "  host b: file /data/.blackstart-RUN-full made, <until 95 % of it are "
                        "taken> bytes long");
    assert_non_null(strstr(planned(&k, s, 2), "--vm-bytes <50 % of what is available> "));
    assert_string_equal(planned(&k, s, 4), "  host b: SIGKILL to each: process stress-ng");
    p->disk = NULL;
    p->memory = NULL;
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_others_manage_is_planned_as_they_are_asked),
        cmocka_unit_test(what_is_only_known_when_read_is_planned_as_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
