/* Hosts of a lab that run short of something; as root and without. */
#include "tests/support/labkit.h"

#include <errno.h>

#include "injectors/injector.h"
#include "injectors/params.h"
#include "sim/base/arena.h"
#include "tests/support/faultkit.h"

static struct step *press(struct kit *k, const char *id, struct pressure_params **ret)
{
    struct step *s = fault_step(k, id, "pressure");
    *ret = s->params;
    (*ret)->host = fault_target(k, "b");
    return s;
}

static int in_host(struct kit *k, const char *command)
{
    AUTO_FREE char *out = NULL;
    return kit_run(k, "b", command, &out);
}

/* SHOWS pressure (cpu, memory): lab: applied verified undone */
static void processors_and_memory_are_taken(void **state)
{
    static struct kit k;
    struct pressure_params *p;
    struct pressure_cpu cpu = {.workers = 1, .load = 0.5};
    struct pressure_memory memory = {.size = 48 << 20};
    struct fault f;
    fault_two_hosts(&k);
    /* One of this name that is not ours stays. */
    in_host(&k, "cp /bin/sleep ./stress-ng; ./stress-ng 1000 >/dev/null 2>&1 & sleep 0.1");
    struct step *s = press(&k, "short", &p);
    p->cpu = &cpu;
    p->memory = &memory;
    fault_begin(&k, s, &f);
    assert_non_null(strstr(f.proof.seen, "first to go when memory runs out"));
    assert_int_equal(in_host(&k, "test $(pgrep -c stress-ng) -gt 2"), 0);
    fault_holds(&k, &f);
    fault_end(&k, &f);
    in_host(&k,
            "for i in 1 2 3 4 5; do test $(pgrep -c stress-ng) -eq 1 && break; sleep 0.1; done");
    assert_int_equal(in_host(&k, "test $(pgrep -c stress-ng) -eq 1 && pkill stress-ng"), 0);
    fault_nothing_left(&k);
    kit_close(&k);
}

/* SHOWS pressure (cpu, memory): lab: refused */
static void memory_keeps_its_reserve(void **state)
{
    static struct kit k;
    struct pressure_params *p;
    struct pressure_memory memory = {.size = INT64_C(1) << 45};
    fault_two_hosts(&k);
    struct step *s = press(&k, "short", &p);
    p->memory = &memory;
    fault_refused(&k, s, -ENOMEM, "would leave less than the reserve");
    kit_close(&k);
}

/* SHOWS pressure (disk): lab: applied verified undone */
static void a_file_system_is_full(void **state)
{
    static struct kit k;
    struct pressure_params *p;
    struct fault f;
    fault_two_hosts(&k);
    in_host(&k, "mkdir -p /tmp/small && mount -t tmpfs -o size=64m tmpfs /tmp/small");
    struct pressure_disk disk = {.path = fault_text(&k, "/tmp/small"), .leave = 1 << 20};
    struct step *s = press(&k, "full", &p);
    p->disk = &disk;
    assert_int_equal(in_host(&k, "head -c 2M /dev/zero >/tmp/small/x && rm /tmp/small/x"), 0);
    fault_begin(&k, s, &f);
    assert_int_not_equal(in_host(&k, "head -c 2M /dev/zero >/tmp/small/x"), 0);
    fault_refused(&k, s, -EALREADY, "left already");
    fault_holds(&k, &f);
    fault_end(&k, &f);
    assert_int_equal(in_host(&k, "head -c 2M /dev/zero >/tmp/small/x && rm /tmp/small/x"), 0);
    assert_int_equal(in_host(&k, "test -z \"$(ls -A /tmp/small)\""), 0);

    disk = (struct pressure_disk){.path = fault_text(&k, "/tmp/small"), .fill = 0.5};
    fault_begin(&k, s, &f);
    assert_int_equal(in_host(&k, "test $(df --output=pcent /tmp/small | tr -dc 0-9) -eq 50"), 0);
    fault_end(&k, &f);
    kit_close(&k);
}

/* SHOWS pressure (disk): lab: refused */
static void what_others_need_is_not_filled(void **state)
{
    static struct kit k;
    struct pressure_params *p;
    fault_two_hosts(&k);
    /* The working directories of all hosts are one file system. */
    struct pressure_disk disk = {.path = fault_text(&k, "/run/b"), .leave = 1 << 20};
    struct step *s = press(&k, "full", &p);
    p->disk = &disk;
    fault_refused(&k, s, -ENOSPC, "must stay free");
    disk.path = fault_text(&k, "/nowhere");
    fault_refused(&k, s, -ENOENT, "/nowhere");
    kit_close(&k);
}

/* SHOWS pressure (files): lab: applied verified undone refused */
static void a_server_without_descriptors_takes_nobody(void **state)
{
    static struct kit k;
    struct pressure_params *p;
    struct pressure_files files = {.leave = 0};
    struct fault f;
    fault_two_hosts(&k);
    static const char get[] = "timeout 0.4 ./test_pressure server get 10.0.0.2 80";
    assert_int_equal(kit_run(&k, "a", get, NULL), 0);
    files.process = fault_text(&k, "test_pressure");
    struct step *s = press(&k, "few", &p);
    p->files = &files;
    fault_begin(&k, s, &f);
    kit_run(&k, "a", get, NULL); /* it waits in accept(2), with a number in its hand */
    assert_int_not_equal(kit_run(&k, "a", get, NULL), 0);
    fault_holds(&k, &f);
    fault_end(&k, &f);
    assert_int_equal(kit_run(&k, "a", get, NULL), 0);
    files.process = fault_text(&k, "nobody");
    fault_refused(&k, s, -ESRCH, "no process nobody");
    kit_close(&k);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(processors_and_memory_are_taken),
        cmocka_unit_test(memory_keeps_its_reserve),
        cmocka_unit_test(a_file_system_is_full),
        cmocka_unit_test(what_others_need_is_not_filled),
        cmocka_unit_test(a_server_without_descriptors_takes_nobody),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return kit_main(argc, argv, tests);
}
