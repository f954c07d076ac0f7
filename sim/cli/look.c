/* What scripts and configurations start. See look.h. */
#include "sim/cli/look.h"

#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MAX (1 << 20)

static void look_warn(const struct unit *u, const char *words)
{
    fprintf(stderr, "%s:%d:%d: warning: %s\n", u->place.file, u->place.line, u->place.col, words);
}

/* The file of the host that a command names, NULL when it is none of its files or cannot be read. */
static char *look_read(const struct host *h, const char *name, int source_fd)
{
    char *text = NULL;
    size_t n;
    if (text_starts(name, "./"))
        name += 2;
    if (!strv_has(&h->files, name) || file_read(source_fd, name, LOOK_MAX, &text, &n, NULL) < 0)
        return NULL;
    return text;
}

/* The script that a unit runs: `sh FILE …`, or FILE itself when it begins with #!. */
static const char *look_script(char *const *argv)
{
    static const char *const shells[] = {"sh", "bash", "dash", "ash", "ksh", "zsh"};
    const char *name = text_basename(argv[0]);
    for (size_t i = 0; i < ARRAY_SIZE(shells); i++)
        if (!strcmp(name, shells[i]))
            return argv[1] && *argv[1] != '-' ? argv[1] : NULL;
    return strchr(argv[0], '/') ? argv[0] : NULL;
}

/* The program of a script that does nothing but `exec PROGRAM …`; malloc'd, NULL: it does more, or
 * it is not plain what it does. */
static char *look_only_exec(const char *script)
{
    char *program = NULL;
    AUTO_FREE char *copy = strdup(script);
    char *save = NULL;
    bool goes_on = false; /* the line before ended in a backslash */
    if (!copy)
        abort();
    for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        size_t n = strlen(line);
        bool more = n && line[n - 1] == '\\';
        bool comment = !goes_on && line[strspn(line, " \t")] == '#';
        bool blank = !line[strspn(line, " \t")];
        bool setting = !goes_on && text_starts(line, "set -");
        if (!comment && strpbrk(line, ";|&`<>()"))
            goto no;
        if (!goes_on && !comment && !blank && !setting) {
            if (program || !text_starts(line, "exec "))
                goto no;
            const char *word = line + 5 + strspn(line + 5, " ");
            size_t w = 0;
            while (isalnum((unsigned char)word[w]) || (word[w] && strchr("._+-", word[w])))
                w++;
            if (!w || *word == '-' || (word[w] && !isspace((unsigned char)word[w])))
                goto no;
            program = strndup(word, w);
        }
        goes_on = more && !comment;
    }
    return program;
no:
    free(program);
    return NULL;
}

static void look_at_script(const struct host *h, const struct unit *u, const char *file,
                           const char *text, bool (*installed)(const char *program))
{
    AUTO_BUF words = BUF_INIT;
    AUTO_FREE char *program = look_only_exec(text);
    if (program && installed(program))
        return;
    if (program)
        buf_printf(&words,
                   "host %s starts '%s' through the script %s, and that is not installed here",
                   h->name, program, file);
    else
        buf_printf(&words,
                   "host %s starts the script %s: which programs that starts cannot be seen, so "
                   "whether they are installed here is not known",
                   h->name, file);
    look_warn(u, buf_text(&words));
}

/* `user NAME` as a directive of its own; with `include` it may stand elsewhere. */
static bool look_says_user_root(const char *conf)
{
    if (strstr(conf, "include") || strstr(conf, "master_process"))
        return true;
    for (const char *p = conf; (p = strstr(p, "user")); p += 4) {
        size_t blanks = strspn(p + 4, " \t");
        if (blanks && text_starts(p + 4 + blanks, "root"))
            return true;
    }
    return false;
}

static void look_at_nginx(const struct host *h, const struct unit *u, char *const *argv,
                          int source_fd)
{
    const char *file = NULL;
    for (size_t i = 1; argv[i]; i++) {
        if (!strcmp(argv[i], "-g"))
            return;
        if (!strcmp(argv[i], "-c") && argv[i + 1])
            file = argv[i + 1];
    }
    AUTO_FREE char *conf = file ? look_read(h, file, source_fd) : NULL;
    if (!conf || look_says_user_root(conf))
        return;
    AUTO_BUF words = BUF_INIT;
    buf_printf(&words,
               "host %s: %s does not say `user root;`: without root only one user exists here, and "
               "nginx ends when it cannot become another; write it, or install newuidmap (Debian: "
               "apt install uidmap)",
               h->name, file);
    look_warn(u, buf_text(&words));
}

void look_into_files(const struct scenario *s, int source_fd, const struct hostcaps *caps,
                     bool (*installed)(const char *program))
{
    bool one_user = !caps->is_root && caps->ids < 2;
    for (size_t i = 0; i < s->hosts.n; i++) {
        const struct host *h = s->hosts.items[i];
        for (size_t k = 0; k < h->start.n; k++) {
            const struct unit *u = h->start.items[k];
            char **argv = text_split_argv(u->command);
            const char *file = argv && argv[0] ? look_script(argv) : NULL;
            AUTO_FREE char *text = file ? look_read(h, file, source_fd) : NULL;
            if (text && (file != argv[0] || text_starts(text, "#!")))
                look_at_script(h, u, file, text, installed);
            else if (one_user && argv && argv[0] && !strcmp(text_basename(argv[0]), "nginx"))
                look_at_nginx(h, u, argv, source_fd);
            text_free_argv(argv);
        }
    }
}
