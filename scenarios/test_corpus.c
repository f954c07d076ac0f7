/* Broken scenarios: each gives exactly the messages of its NAME.expected, place by place.
 *
 * With BLACKSTART_UPDATE set the expected files are written instead, for a person to read through.
 */
#include "tests/support/test.h"

#include "scenarios/scenario.h"
#include "sim/base/file.h"

#include <dirent.h>
#include <fcntl.h>

static int is_scenario(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return n > 5 && !strcmp(d->d_name + n - 5, ".yaml");
}

static void compare(const char *name, const char *said)
{
    char path[300];
    snprintf(path, sizeof path, "%.*s.expected", (int)strlen(name) - 5, name);
    if (getenv("BLACKSTART_UPDATE")) {
        assert_int_equal(file_replace(AT_FDCWD, path, said, strlen(said), NULL), 0);
        return;
    }
    AUTO_FREE char *expected = NULL;
    struct err err = ERR_INIT;
    if (file_read(AT_FDCWD, path, 1 << 20, &expected, NULL, &err) < 0)
        fail_msg("%s", err.text);
    if (strcmp(said, expected))
        fail_msg("%s says\n%sbut was expected to say\n%s", name, said, expected);
}

static void broken_scenarios_say_what_is_wrong_and_where(void **state)
{
    struct dirent **files = NULL;
    assert_int_equal(chdir(TEST_CORPUS), 0);
    int n = scandir(".", &files, is_scenario, alphasort);
    assert_true(n >= 60);
    for (int i = 0; i < n; i++) {
        AUTO_DIAGS diags = DIAGS_INIT;
        struct scenario *s = NULL;
        AUTO_BUF said = BUF_INIT;
        int r = scenario_load(files[i]->d_name, NULL, &diags, &s);
        diags_render(&diags, &said);
        if (r == 0 || s)
            fail_msg("%s was accepted", files[i]->d_name);
        compare(files[i]->d_name, buf_text(&said));
        free(files[i]);
    }
    free(files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_scenarios_say_what_is_wrong_and_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
