/* Changes that are no messages. See deed.h. */
#include "sim/lab/deed.h"

#include "sim/base/jsonx.h"

#include <string.h>

void deed_files(const struct host *h, struct buf *out)
{
    for (size_t i = 0; i < h->files.n; i++)
        buf_printf(out, "%s%s", i ? ", " : "files ", h->files.items[i]);
    if (h->files.n)
        buf_adds(out, " copied to its working directory");
}

void deed_start(const char *name, const char *command, struct buf *out)
{
    buf_printf(out, "start%s%s: %s", name ? " " : "", name ? name : "", command);
}

void deed_run(const char *command, struct buf *out)
{
    buf_printf(out, "run: /bin/sh -c '%s'", command);
}

void deed_signal(int signo, const char *whom, struct buf *out)
{
    const char *word = sigabbrev_np(signo);
    if (word)
        buf_printf(out, "SIG%s to %s", word, whom);
    else
        buf_printf(out, "signal %d to %s", signo, whom);
}

void deed_process(const json_t *proc, struct buf *out)
{
    const char *unit = jsonx_str(proc, "unit", NULL);
    buf_printf(out, "process %lld (%s%s%s)", (long long)jsonx_int(proc, "pid", 0),
               jsonx_str(proc, "name", "?"), unit ? ", unit " : "", unit ? unit : "");
}

void deed_clock(nsec offset, struct buf *out)
{
    char text[NSEC_TEXT_MAX];
    buf_adds(out, "the wall clock of its programs set ");
    if (offset)
        buf_printf(out, "off by %s%s", offset < 0 ? "-" : "+",
                   nsec_text(offset < 0 ? -offset : offset, text));
    else
        buf_adds(out, "right");
}

void deed_command(const char *command, struct buf *out)
{
    buf_printf(out, "the command '%s'", command);
}
