/* The table of commands. */
#include "sim/base/buf.h"
#include "sim/base/text.h"
#include "sim/cli/command.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST_COMMAND(name) &command_##name,
const struct command *const commands[] = {COMMANDS(LIST_COMMAND) NULL};

static int overview(int code)
{
    FILE *to = code ? stderr : stdout;
    fputs("blackstart rehearses outages: one file says what services promise, what breaks, and how "
          "we\n"
          "know; blackstart breaks it, measures, and judges.\n\n"
          "usage: blackstart COMMAND [ARGUMENTS]\n\n",
          to);
    for (size_t i = 0; commands[i]; i++)
        fprintf(to, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\nblackstart COMMAND --help tells more; the manual is in docs/.\n", to);
    return code;
}

/* A program started with a standard descriptor closed would open its record in its place. */
static void standard_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR); /* stays open when it lands on 0, 1 or 2 */
    while (fd >= 0 && fd <= 2);
    if (fd > 2)
        close(fd);
}

/* What whoever started us left behind: children must be waited for, no signal may be blocked, and
 * nobody else may write to what root writes. */
static void ordinary_process(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGCHLD, SIG_DFL);
    umask(umask(077) | 022);
}

static int unknown(const char *word)
{
    const char *names[32];
    size_t n = 0;
    for (; commands[n]; n++)
        names[n] = commands[n]->name;
    const char *near = text_nearest(word, names, n);
    if (near)
        return say_error(EXIT_BAD_INPUT, "there is no command '%s'; did you mean '%s'?", word,
                         near);
    return say_error(EXIT_BAD_INPUT, "there is no command '%s'; see blackstart --help", word);
}

int main(int argc, char **argv)
{
    standard_descriptors();
    ordinary_process();
    if (argc < 2)
        return overview(EXIT_BAD_INPUT);
    const char *word = argv[1];
    if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help"))
        return overview(EXIT_MET);
    if (!strcmp(word, "--version")) {
        puts("blackstart " BLACKSTART_VERSION);
        return EXIT_MET;
    }
    for (size_t i = 0; commands[i]; i++) {
        const struct command *c = commands[i];
        if (strcmp(c->name, word))
            continue;
        struct args a;
        struct err err = ERR_INIT;
        int code;
        if (args_parse(&a, c->options, argc - 2, argv + 2, &err) < 0) {
            code = say_usage(c, "%s", err.text);
        } else if (a.help) {
            say_help(c);
            code = EXIT_MET;
        } else {
            code = c->run(c, &a);
        }
        args_done(&a);
        return code;
    }
    return unknown(word);
}
