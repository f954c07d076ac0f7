/* The alarm `journal` on journals that were collected (systemd-journal-remote writes them as we tell it):
 * which entries count, and when they came. On journald itself: tests/kernel/test_systemd.py.
 */
#include "tests/support/labkit.h"

#include <fcntl.h>

#include "sim/base/arena.h"
#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/watch/kinds.h"
#include "sim/watch/watch.h"

#define WRITER "/lib/systemd/systemd-journal-remote"
#define OTHER_BOOT "00000000111122223333444444444444"

struct heard {
    struct kit kit;
    struct watch *watch;
    size_t n, troubles;
    struct span at[16];
    char detail[16][80], trouble[200];
};

static void on_alarm(const struct watch_alarm *a, void *data)
{
    struct heard *h = data;
    assert_true(h->n < 16 && a->onset);
    h->at[h->n] = a->at;
    snprintf(h->detail[h->n++], sizeof h->detail[0], "%s", a->detail);
}

static void on_obs(const struct watch_obs *o, void *data)
{
    fail_msg("there is no probe");
}

static void on_trouble(const char *what, const char *host, const char *detail, void *data)
{
    struct heard *h = data;
    h->troubles++;
    snprintf(h->trouble, sizeof h->trouble, "%s: %s", what, detail);
}

/* One writer that appends what comes through a pipe with a name. */
static void open_writer(struct heard *h, const char *name)
{
    AUTO_BUF c = BUF_INIT;
    buf_printf(&c,
               "mkdir -p /tmp/j && mkfifo /tmp/%s && { " WRITER
               " --output=/tmp/j/%s.journal - <>/tmp/%s >/tmp/said 2>&1 & } && until test -s "
               "/tmp/j/%s.journal; do sleep 0.01; done",
               name, name, name, name);
    assert_int_equal(kit_run(&h->kit, "box", buf_text(&c), NULL), 0);
}

/* An entry as systemd exports it. */
static void entry(struct heard *h, const char *writer, const char *boot, nsec mono,
                  const char *fields)
{
    AUTO_BUF c = BUF_INIT;
    buf_printf(&c,
               "printf '__REALTIME_TIMESTAMP=%lld\\n__MONOTONIC_TIMESTAMP=%lld\\n_BOOT_ID=%s\\n"
               "%s\\n\\n' >/tmp/%s",
               (long long)(nsec_now(CLOCK_REALTIME) / NSEC_USEC), (long long)(mono / NSEC_USEC),
               boot, fields, writer);
    assert_int_equal(kit_run(&h->kit, "box", buf_text(&c), NULL), 0);
}

static void await(struct heard *h, size_t n, const char *detail)
{
    for (int i = 0; i < 400 && h->n < n; i++)
        kit_turn(&h->kit, 5 * NSEC_MSEC);
    if (h->n != n || strcmp(h->detail[n - 1], detail) != 0)
        fail_msg("%zu alarms, the last: %s", h->n, h->n ? h->detail[h->n - 1] : "none");
}

static void this_boot(char ret[33])
{
    AUTO_FREE char *text = NULL;
    size_t n, k = 0;
    assert_int_equal(file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &text, &n, NULL),
                     0);
    for (size_t i = 0; i < n && k < 32; i++)
        if (text[i] != '-')
            ret[k++] = text[i];
    ret[k] = '\0';
}

static void open_box(struct heard *h, struct journal_params *p)
{
    struct err err = ERR_INIT;
    static struct watch_handlers handlers;
    static const nsec first[1];
    memset(h, 0, sizeof *h);
    kit_open(&h->kit);
    kit_network(&h->kit, "net", "10.20.0.0/24", NULL, NULL);
    kit_host(&h->kit, "box", "10.20.0.9");
    struct alarm *a = arena_alloc(h->kit.s->arena, sizeof *a);
    const struct variant *const *kind = watch_alarm_kinds;
    while (strcmp((*kind)->name, "journal") != 0)
        kind++;
    *a = (struct alarm){.name = (char *)"smoke", .kind = *kind, .params = p};
    h->kit.s->alarms.items = arena_alloc(h->kit.s->arena, sizeof(void *));
    h->kit.s->alarms.items[h->kit.s->alarms.n++] = a;
    kit_up(&h->kit, true);
    open_writer(h, "old");
    char boot[33];
    this_boot(boot);
    entry(h, "old", boot, nsec_now(CLOCK_MONOTONIC),
          "MESSAGE=it burns before\\n_SYSTEMD_UNIT=oven.service\\nPRIORITY=3");
    kit_turn(&h->kit, 50 * NSEC_MSEC);
    handlers =
        (struct watch_handlers){.obs = on_obs, .alarm = on_alarm, .trouble = on_trouble, .data = h};
    kit_ok(watch_start(h->kit.s, lab_node(h->kit.lab, "box"), h->kit.loop, first, -1, &handlers,
                       &h->watch, &err),
           &err);
    kit_turn(&h->kit, 50 * NSEC_MSEC);
}

static void close_box(struct heard *h)
{
    if (h->troubles)
        fail_msg("%s", h->trouble);
    h->watch = watch_free(h->watch);
    kit_close(&h->kit);
}

static void entries_count_by_unit_priority_and_message(void **state)
{
    static struct heard h;
    static struct journal_params p = {.host = (char *)"box",
                                      .unit = (char *)"oven.service",
                                      .match = (char *)"^it burns",
                                      .priority = JOURNAL_ERR,
                                      .directory = (char *)"/tmp/j"};
    char boot[33];
    this_boot(boot);
    open_box(&h, &p);
    nsec stamp = nsec_now(CLOCK_MONOTONIC) / NSEC_USEC * NSEC_USEC;
    entry(&h, "old", boot, stamp, "MESSAGE=it burns\\n_SYSTEMD_UNIT=oven.service\\nPRIORITY=2");
    await(&h, 1, "it burns");
    assert_int_equal(h.at[0].lo, stamp); /* by its own stamp, to the microsecond */
    assert_int_equal(h.at[0].hi, stamp + NSEC_USEC - 1);
    static const char *const others[] = {
        "MESSAGE=it burns a little\\n_SYSTEMD_UNIT=oven.service\\nPRIORITY=4",
        "MESSAGE=it burns\\n_SYSTEMD_UNIT=stove.service\\nPRIORITY=3",
        "MESSAGE=it burns\\nPRIORITY=3",
        "MESSAGE=all is well\\n_SYSTEMD_UNIT=oven.service\\nPRIORITY=3",
        "MESSAGE=it burns, says a forger\\nUNIT=oven.service\\n_PID=77\\nPRIORITY=3",
    };
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        entry(&h, "old", boot, nsec_now(CLOCK_MONOTONIC), others[i]);
    entry(&h, "old", boot, nsec_now(CLOCK_MONOTONIC),
          "MESSAGE=it burns, says systemd\\nUNIT=oven.service\\n_PID=1\\nPRIORITY=3");
    await(&h, 2, "it burns, says systemd");
    close_box(&h);
}

static void journals_of_others_and_new_files_are_read(void **state)
{
    static struct heard h;
    static struct journal_params p = {
        .host = (char *)"box", .match = (char *)"burns", .directory = (char *)"/tmp/j"};
    open_box(&h, &p);
    nsec before = nsec_now(CLOCK_MONOTONIC);
    entry(&h, "old", OTHER_BOOT, 5 * NSEC_SEC, "MESSAGE=it burns elsewhere");
    await(&h, 1, "it burns elsewhere");
    assert_true(h.at[0].hi >= before && h.at[0].lo >= before - 100 * NSEC_MSEC);
    assert_true(h.at[0].hi <= nsec_now(CLOCK_MONOTONIC));
    open_writer(&h, "new"); /* as after a rotation */
    assert_int_equal(kit_run(&h.kit, "box", "mv /tmp/j/old.journal /tmp/j/old@1.journal", NULL), 0);
    entry(&h, "new", OTHER_BOOT, 6 * NSEC_SEC, "MESSAGE=it burns in a new file");
    await(&h, 2, "it burns in a new file");
    close_box(&h);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(entries_count_by_unit_priority_and_message),
        cmocka_unit_test(journals_of_others_and_new_files_are_read),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
    if (argc == 1 && access(WRITER, X_OK) != 0) {
        print_message("skipped: " WRITER " is not there (package systemd-journal-remote)\n");
        return getenv("BLACKSTART_TESTS_MUST_RUN") ? 1 : 77;
    }
    return kit_main(argc, argv, tests);
}
