/* stdin in, stderr out. */
#include "sim/cli/terminal.h"

#include "sim/exercise/console.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { TYPED_MAX = 65536 };

struct terminal {
    struct conduct *c;
    bool alone, added;
    const char *person, *role;
    struct loop_io io;
    struct buf typed;
    struct conduct_listener listener;
};

static void terminal_prompt(void)
{
    fputs("> ", stderr);
    fflush(stderr);
}

static void terminal_event(const json_t *event, void *data)
{
    struct terminal *t = data;
    AUTO_BUF text = BUF_INIT;
    console_event(conduct_state(t->c), event, &text);
    if (text.len)
        fprintf(stderr, "\r%s", text.text);
}

/* Each whole line that was typed; the rest waits. */
static void terminal_lines(struct terminal *t)
{
    struct viewer who = {t->person, t->role};
    char *line = t->typed.text;
    for (char *end; line && (end = strchr(line, '\n')) && !conduct_is_over(t->c); line = end + 1) {
        AUTO_BUF out = BUF_INIT;
        *end = '\0';
        (void)console_line(t->c, &who, line, &out);
        fputs(buf_text(&out), stderr);
    }
    size_t left = line ? strlen(line) : 0;
    if (left)
        memmove(t->typed.text, line, left);
    t->typed.len = left;
    if (t->typed.text)
        t->typed.text[left] = '\0';
}

static void terminal_ready(struct loop_io *io, uint32_t events, void *data)
{
    struct terminal *t = data;
    char bytes[1024];
    ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n > 0 && t->typed.len < TYPED_MAX) {
        for (ssize_t i = 0; i < n; i++)
            buf_addc(&t->typed, bytes[i] ? bytes[i] : '?');
        terminal_lines(t);
        if (!conduct_is_over(t->c))
            terminal_prompt();
        return;
    }
    loop_io_remove(conduct_loop(t->c), &t->io);
    t->added = false;
    const struct machine *m = conduct_machine(t->c);
    if (t->alone && m) /* nobody keeps the clock any more */
        m->stop("operator", "the facilitator's terminal was closed", m->data);
    else if (t->alone)
        loop_stop(conduct_loop(t->c));
}

static void terminal_facilitator(struct terminal *t)
{
    const struct objects *roles = &conduct_state(t->c)->scenario->assumptions->roles;
    for (size_t i = 0; i < roles->n && !t->role; i++) {
        const struct responder *r = roles->items[i];
        if (r->kind == ROLE_FACILITATOR) {
            t->role = r->name;
            t->person = r->people.n ? r->people.items[0] : r->name;
        }
    }
}

int terminal_open(struct conduct *c, bool alone, struct terminal **ret, struct err *err)
{
    struct terminal *t = calloc(1, sizeof *t);
    if (!t)
        abort();
    *t = (struct terminal){.c = c, .alone = alone, .io = {.fn = terminal_ready, .data = t}};
    terminal_facilitator(t);
    int rc = command_join(c, t->person, t->role, &t->person, err);
    if (rc == 0)
        rc = loop_io_add(conduct_loop(c), &t->io, STDIN_FILENO, EPOLLIN, err);
    if (rc < 0) {
        terminal_close(t);
        return rc;
    }
    t->added = true;
    AUTO_BUF text = BUF_INIT;
    console_help(&text);
    console_now(c, &text);
    fputs(buf_text(&text), stderr);
    terminal_prompt();
    t->listener = (struct conduct_listener){.fn = terminal_event, .data = t};
    conduct_listen(c, &t->listener);
    *ret = t;
    return 0;
}

struct terminal *terminal_close(struct terminal *t)
{
    if (!t)
        return NULL;
    conduct_unlisten(t->c, &t->listener);
    if (t->added)
        loop_io_remove(conduct_loop(t->c), &t->io);
    buf_done(&t->typed);
    free(t);
    return NULL;
}
