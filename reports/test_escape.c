/* Text from outside cannot turn round, hide or break what stands beside it, in any renderer. */
#include "tests/support/test.h"

#include "reports/escape.h"
#include "reports/fixture.h"
#include "reports/html.h"
#include "reports/junit.h"
#include "reports/markdown.h"
#include "reports/metrics.h"
#include "reports/plot.h"
#include "reports/terminal.h"

/* Titles that would turn round, hide or break what stands beside them. */
static void nasty_titles(void **state)
{
    (void)state;
    static const struct {
        const char *title, *shown;
    } titles[] = {
        {"a\u202egnp.exe", "[U+202E]"},
        {"\u2066x\u2069y", "[U+2066]"},
        {"\u200flr", "[U+200F]"},
        {"one\u2028two", "[U+2028]"},
        {"\u061cx", "[U+061C]"},
        {"z\u200bero", "[U+200B]"},
        {"\ufeffbom", "[U+FEFF]"},
        {"csi\xc2\x9b"
         "31mred",
         "[U+009B]"},
        {"\u202a\u202b\u202c\u202d", "[U+202D]"},
        {"nel\xc2\x85"
         "",
         "[U+0085]"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(titles); i++) {
        WORLD w;
        world_init(&w);
        char title[64];
        snprintf(title, sizeof title, "%s", titles[i].title);
        w.scenario.title = title;
        w.services[0].owner = title;
        world_usual(&w, 1, G16 "RRRRRRRRRRRRRRRR" BACK);
        world_run_end(&w, "aborted");
        json_object_set_new(json_array_get(w.events, json_array_size(w.events) - 1), "reason",
                            json_string(title));
        world_measure(&w);
        struct buf pages[5] = {0};
        const struct plots plots = {0};
        html_write(w.result, &plots, &pages[0]);
        markdown_write(w.result, &pages[1]);
        junit_write(w.result, &pages[2]);
        metrics_write(w.result, &pages[3]);
        terminal_write(w.result, &pages[4]);
        for (size_t k = 0; k < ARRAY_SIZE(pages); k++) {
            const char *text = buf_text(&pages[k]);
            static const char *const never[] = {"\u202a",
                                                "\u202b",
                                                "\u202c",
                                                "\u202d",
                                                "\u202e",
                                                "\u2066",
                                                "\u2069",
                                                "\u200f",
                                                "\u2028",
                                                "\u061c",
                                                "\u200b",
                                                "\ufeff",
                                                "\xc2\x9b"
                                                "",
                                                "\xc2\x85"
                                                "",
                                                "\x1b",
                                                "\x7f"};
            for (size_t n = 0; n < ARRAY_SIZE(never); n++)
                if (strstr(text, never[n]))
                    fail_msg("page %zu of title %zu holds unseen character %zu", k, i, n);
            bool plain = k != 1; /* Markdown escapes brackets */
            if (k != 3 && plain && !strstr(text, titles[i].shown))
                fail_msg("page %zu of title %zu does not show it", k, i);
            if (k == 1 && !strstr(text, "\\[U+"))
                fail_msg("Markdown of title %zu does not show it", i);
            buf_done(&pages[k]);
        }
    }
    AUTO_BUF b = BUF_INIT;
    escape_label("a\u202eb\"\n", &b);
    assert_string_equal(buf_text(&b), "a[U+202E]b\\\"\\n");
    buf_clear(&b);
    escape_terminal("\x1b[31m\t\u0645\u0631\u062d\u0628\u0627 \u00e9\u2013\n", &b);
    assert_string_equal(buf_text(&b), "?[31m \u0645\u0631\u062d\u0628\u0627 \u00e9\u2013 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nasty_titles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
