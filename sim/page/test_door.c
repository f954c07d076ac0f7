/* Codes and cookies: what opens, and that nothing near it does. */
#include "tests/support/test.h"

#include "sim/page/door.h"

#include <errno.h>

static const unsigned char key[DOOR_KEY] = {1, 2, 3}, other_key[DOOR_KEY] = {1, 2, 4};

static void a_code_opens_its_role_alone(void **state)
{
    CLEANUP(door_free_p) struct door *d = door_new(key), *other = door_new(other_key);
    char code[DOOR_CODE], again[DOOR_CODE], loud[64];
    door_code(d, "facilitator", code);
    assert_int_equal(strlen(code), 14);
    assert_true(door_opens(d, "facilitator", code));
    assert_false(door_opens(d, "observer", code));
    assert_false(door_opens(other, "facilitator", code));
    door_code(d, "facilitator", again);
    assert_string_equal(code, again);
    snprintf(loud, sizeof loud, "  %.4s %.4s%s ", code, code + 5, code + 10);
    for (char *c = loud; *c; c++)
        *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c == '0' ? 'O' : *c == '1' ? 'l' : *c;
    assert_true(door_opens(d, "facilitator", loud));
    for (size_t i = 0; i < 14; i++) {
        if (code[i] == '-')
            continue;
        memcpy(again, code, sizeof again);
        again[i] = again[i] == 'z' ? 'y' : 'z';
        assert_false(door_opens(d, "facilitator", again));
    }
    assert_false(door_opens(d, "facilitator", ""));
    code[13] = '\0';
    assert_false(door_opens(d, "facilitator", code));
    char much[4096];
    memset(much, 'a', sizeof much - 1);
    much[sizeof much - 1] = '\0';
    assert_false(door_opens(d, "facilitator", much));
}

static void a_cookie_says_who_and_nothing_else_passes(void **state)
{
    CLEANUP(door_free_p) struct door *d = door_new(key), *other = door_new(other_key);
    struct door_person p = {"Ada \xC3\x9C.", "incident-commander"}, got;
    char cookie[DOOR_COOKIE_MAX], changed[DOOR_COOKIE_MAX];
    door_cookie(d, &p, cookie);
    assert_true(door_knows(d, cookie, &got));
    assert_string_equal(got.name, p.name);
    assert_string_equal(got.role, p.role);
    assert_false(door_knows(other, cookie, &got));
    for (size_t i = 0; cookie[i]; i++) {
        memcpy(changed, cookie, sizeof changed);
        changed[i] = changed[i] == '7' ? '6' : '7';
        assert_false(door_knows(d, changed, &got));
        changed[i] = '\0';
        assert_false(door_knows(d, changed, &got));
    }
    static const char *const bad[] = {"", ".", "..", "...", "41.42", "41.42.43", "x.y.z"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(door_knows(d, bad[i], &got));
    memset(changed, 'a', sizeof changed - 1);
    changed[sizeof changed - 1] = '\0';
    assert_false(door_knows(d, changed, &got));
    /* The longest of both fit. */
    memset(p.name, 'n', sizeof p.name - 1);
    memset(p.role, 'r', sizeof p.role - 1);
    door_cookie(d, &p, cookie);
    assert_true(door_knows(d, cookie, &got));
    assert_string_equal(got.role, p.role);
}

static void names_are_what_people_type(void **state)
{
    char name[DOOR_NAME_MAX] = "left", much[200];
    struct err err = ERR_INIT;
    assert_int_equal(door_name("  Ada \t Lovelace\n", name, &err), 0);
    assert_string_equal(name, "Ada Lovelace");
    assert_int_equal(door_name("<script>alert(1)</script>", name, &err), 0);
    assert_string_equal(name, "<script>alert(1)</script>");
    assert_int_equal(door_name(" \t", name, &err), -EINVAL);
    assert_string_equal(err.text, "a name is missing: others must know who speaks");
    assert_int_equal(door_name("a\x1b[2J", name, &err), -EINVAL);
    assert_int_equal(door_name("\xff\xfe", name, &err), -EINVAL);
    memset(much, 'x', sizeof much - 1);
    much[sizeof much - 1] = '\0';
    assert_int_equal(door_name(much, name, &err), -EINVAL);
    assert_string_equal(err.text, "the name is too long: at most 79 bytes");
    much[79] = '\0';
    assert_int_equal(door_name(much, name, &err), 0);
    assert_string_equal(name, much);
}

static void wrong_codes_are_counted_for_each_address(void **state)
{
    CLEANUP(door_free_p) struct door *d = door_new(key);
    nsec now = 1000 * NSEC_SEC;
    for (int i = 0; i < 10; i++) {
        assert_true(door_may_try(d, "10.0.0.1", now));
        door_wrong(d, "10.0.0.1", now);
    }
    assert_false(door_may_try(d, "10.0.0.1", now));
    assert_true(door_may_try(d, "10.0.0.2", now));
    assert_false(door_may_try(d, "10.0.0.1", now + 6 * NSEC_SEC - 1));
    assert_true(door_may_try(d, "10.0.0.1", now + 6 * NSEC_SEC));
    door_wrong(d, "10.0.0.1", now + 6 * NSEC_SEC);
    assert_false(door_may_try(d, "10.0.0.1", now + 6 * NSEC_SEC));
    /* Many addresses push out those that have waited longest, not the one that tries hardest. */
    for (int i = 0; i < 1000; i++) {
        char a[32];
        snprintf(a, sizeof a, "10.1.%d.%d", i / 250, i % 250);
        door_wrong(d, a, now + 6 * NSEC_SEC);
    }
    assert_false(door_may_try(d, "10.0.0.1", now + 6 * NSEC_SEC));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_code_opens_its_role_alone),
        cmocka_unit_test(a_cookie_says_who_and_nothing_else_passes),
        cmocka_unit_test(names_are_what_people_type),
        cmocka_unit_test(wrong_codes_are_counted_for_each_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
