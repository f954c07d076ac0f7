/* What commands share: messages and common options. */
#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/base/rng.h"
#include "sim/base/text.h"
#include "sim/base/units.h"
#include "sim/cli/command.h"

#include "reports/escape.h"
#include "scenarios/scenario.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int say_error(int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("blackstart: error: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return code;
}

void say_warning(const char *fmt, ...)
{
    AUTO_BUF text = BUF_INIT, safe = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    if (text.len)
        text_make_printable(text.text, text.len);
    escape_terminal(buf_text(&text), &safe);
    fprintf(stderr, "blackstart: warning: %s\n", buf_text(&safe));
}

int say_usage(const struct command *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "blackstart %s: error: ", c->name);
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\nusage: blackstart %s %s\n", c->name, c->usage);
    va_end(ap);
    return EXIT_BAD_INPUT;
}

void say_help(const struct command *c)
{
    printf("blackstart %s: %s\n\nusage: blackstart %s %s\n", c->name, c->summary, c->name,
           c->usage);
    if (c->about)
        printf("\n%s\n", c->about);
    if (c->options[0].name)
        puts("\noptions:");
    for (size_t i = 0; c->options[i].name; i++) {
        const struct option_spec *o = &c->options[i];
        char left[48];
        snprintf(left, sizeof left, "%s%c%s--%s%s%s", o->letter ? "-" : "",
                 o->letter ? o->letter : ' ', o->letter ? ", " : "   ", o->name,
                 o->metavar ? " " : "", o->metavar ? o->metavar : "");
        printf("  %-26s %s\n", left, o->help);
    }
}

int say_result(int code, const char *text, size_t n)
{
    fflush(stdout);
    struct err err = ERR_INIT;
    if (file_write_all(STDOUT_FILENO, text, n, &err) < 0)
        return say_error(EXIT_ABORTED, "the result could not be printed: %s", err.text);
    return code;
}

/* What is set goes into scenario.yaml, which must be readable again. */
static bool sets_are_text(const struct strv *sets)
{
    for (size_t i = 0; sets && i < sets->n; i++) {
        AUTO_FREE char *copy = strdup(sets->items[i]);
        if (!copy)
            abort();
        text_make_printable(copy, strlen(copy));
        if (strcmp(copy, sets->items[i])) {
            say_error(EXIT_BAD_INPUT,
                      "--set %s: this holds bytes that are not UTF-8, or control characters", copy);
            return false;
        }
    }
    return true;
}

static struct scenario *open_with_trials(const char *path, const struct args *a, const char *trials)
{
    AUTO_DIAGS diags = DIAGS_INIT;
    AUTO_BUF text = BUF_INIT;
    struct scenario *s = NULL;
    if (!sets_are_text(args_all(a, "set")))
        return NULL;
    int rc = scenario_load(path, args_all(a, "set"), &diags, &s);
    int64_t n;
    if (rc == 0 && trials && units_integer(trials, &n, NULL) == 0 && n > 0)
        rc = scenario_set_trials(s, n, &diags);
    diags_render(&diags, &text);
    if (text.len && text.text[text.len - 1] != '\n')
        buf_addc(&text, '\n');
    fputs(buf_text(&text), stderr);
    if (rc < 0)
        s = scenario_free(s);
    return s;
}

struct scenario *open_scenario(const char *path, const struct args *a)
{
    return open_with_trials(path, a, args_get(a, "trials"));
}

struct scenario *open_scenario_as_it_is(const char *path, const struct args *a)
{
    return open_with_trials(path, a, NULL);
}

const char *only_file(const struct command *c, const struct args *a)
{
    if (a->rest.n == 1)
        return a->rest.items[0];
    say_usage(c, a->rest.n ? "one FILE, not %zu" : "which FILE?", a->rest.n);
    return NULL;
}

bool pick_seed(const struct command *c, const struct args *a, uint64_t *ret)
{
    const char *text = args_get(a, "seed");
    int64_t n;
    if (!text) {
        *ret = rng_fresh_seed();
        return true;
    }
    struct err err = ERR_INIT;
    if (units_integer(text, &n, &err) < 0 || n < 0) {
        say_usage(c, "--seed takes a whole number from 0 on, not '%s'", text);
        return false;
    }
    *ret = (uint64_t)n;
    return true;
}

bool pick_trials(const struct command *c, const struct args *a, const struct scenario *s,
                 int64_t *ret)
{
    const char *text = args_get(a, "trials");
    int64_t n = s->trials;
    if (text && (units_integer(text, &n, NULL) < 0 || n < 1 || n > 10000)) {
        say_usage(c, "--trials takes a whole number from 1 to 10000, not '%s'", text);
        return false;
    }
    *ret = n;
    return true;
}
