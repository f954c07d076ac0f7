/* The commands, and what they share: exit codes, messages, loading a scenario.
 *
 * stdout carries the result, stderr messages and progress. Only this room prints.
 */
#pragma once

#include "scenarios/diag.h"
#include "sim/cli/args.h"
#include "sim/model/model.h"
#include <stdbool.h>

enum exit_code {
    EXIT_MET = 0,
    EXIT_NOT_MET = 1,
    EXIT_BAD_INPUT = 2,  /* scenario or usage */
    EXIT_CANNOT_RUN = 3, /* here */
    EXIT_NOT_SHOWN = 4,
    EXIT_ABORTED = 5, /* or failed; everything undone */
    EXIT_NOT_CLEAN = 6,
};

struct command {
    const char *name, *summary;
    const char *usage; /* "FILE... [--here]" */
    const char *about; /* paragraphs for --help; may be NULL */
    const struct option_spec *options;
    int (*run)(const struct command *self, struct args *a);
};

#define COMMANDS(X)                                                                                \
    X(check)                                                                                       \
    X(doctor)                                                                                      \
    X(exercise)                                                                                    \
    X(forecast)                                                                                    \
    X(lab)                                                                                         \
    X(list)                                                                                        \
    X(mark)                                                                                        \
    X(new)                                                                                         \
    X(plan)                                                                                        \
    X(replay)                                                                                      \
    X(report)                                                                                      \
    X(run)                                                                                         \
    X(schema)                                                                                      \
    X(shell)                                                                                       \
    X(status)                                                                                      \
    X(undo)
#define DECLARE_COMMAND(name) extern const struct command command_##name;
COMMANDS(DECLARE_COMMAND)
#undef DECLARE_COMMAND

extern const struct command *const commands[]; /* NULL-terminated */

/* "blackstart: error: …" on stderr; returns `code`. */
int say_error(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "blackstart: warning: …" on stderr, with nothing in it that steers a terminal. */
void say_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* As say_error(), and how to get help with this command. */
int say_usage(const struct command *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void say_help(const struct command *c);
/* Writes text to stdout; EXIT_ABORTED with a message when it cannot (full disk, closed pipe), else
 * `code`. */
int say_result(int code, const char *text, size_t n);

/* Loads and checks FILE with --set, --trials; says every error and warning. NULL: exit with
 * EXIT_BAD_INPUT. */
struct scenario *open_scenario(const char *path, const struct args *a);
/* The same without --trials: what they mean is the caller's. */
struct scenario *open_scenario_as_it_is(const char *path, const struct args *a);
/* The one positional argument, or a usage message and NULL. */
const char *only_file(const struct command *c, const struct args *a);
/* --seed, or a fresh one; false after a message. */
bool pick_seed(const struct command *c, const struct args *a, uint64_t *ret);
/* --trials, or the scenario's; false after a message. */
bool pick_trials(const struct command *c, const struct args *a, const struct scenario *s,
                 int64_t *ret);
