/* Progress of a drill on stderr. */
#include "sim/cli/progress.h"

#include "reports/escape.h"
#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/base/text.h"
#include "sim/drill/milestone.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define RED "\033[31m"
#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define PLAIN "\033[0m"

void progress_begin(struct progress *p, bool verbose, bool quiet)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    *p = (struct progress){.verbose = verbose, .quiet = quiet};
    p->terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb");
    p->color = p->terminal && !(no_color && *no_color);
    p->rang = json_object();
}

/* Whoever does not read what we say must not hold up the drill: poll(2) says that a pipe can be
 * written when PIPE_BUF bytes fit, so what is shorter than that never waits. */
static bool progress_heard(struct progress *p)
{
    struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
    bool heard = poll(&fd, 1, 0) == 1 && (fd.revents & POLLOUT);
    p->unheard += !heard;
    return heard;
}

static void progress_write(struct buf *b)
{
    if (b->len > PIPE_BUF) {
        b->len = PIPE_BUF - 2;
        buf_adds(b, "\n");
    }
    (void)file_write_all(STDERR_FILENO, b->text, b->len, NULL);
}

static void progress_wipe(struct progress *p)
{
    AUTO_BUF b = BUF_INIT;
    buf_adds(&b, "\r\033[K");
    if (p->shown && progress_heard(p))
        progress_write(&b);
    p->shown = false;
}

void progress_end(struct progress *p)
{
    progress_wipe(p);
    json_decref(p->rang);
    p->rang = NULL;
}

static const char *paint(const struct progress *p, const char *color)
{
    return p->color ? color : "";
}

static void progress_line(struct progress *p, const json_t *e, const char *color, struct buf *text)
{
    char at[32];
    if (text->len) /* of servers and marks: nothing of it steers the terminal */
        text_make_printable(text->text, text->len);
    AUTO_BUF safe = BUF_INIT;
    escape_terminal(buf_text(text), &safe);
    snprintf(at, sizeof at, "%9.3f", (double)jsonx_int(e, "t", 0) / 1e9);
    progress_wipe(p);
    if (!progress_heard(p))
        return;
    AUTO_BUF b = BUF_INIT;
    if (p->unheard)
        buf_printf(&b, "%9s  (%zu lines were not shown: nobody read)\n", "", p->unheard);
    p->unheard = 0;
    buf_printf(&b, "%s  %s%s%s\n", at, paint(p, color), buf_text(&safe),
               paint(p, color[0] ? PLAIN : ""));
    progress_write(&b);
}

/* Alarms like to ring again and again: the first onset of each in a trial is news. */
static bool progress_rang_before(struct progress *p, const char *kind, const json_t *e)
{
    if (strcmp(kind, "alarm") || p->verbose)
        return false;
    if (jsonx_int(e, "trial", 0) != p->trial)
        json_object_clear(p->rang);
    p->trial = jsonx_int(e, "trial", 0);
    const char *name = jsonx_str(e, "alarm", "");
    if (json_object_get(p->rang, name))
        return true;
    json_object_set_new(p->rang, name, json_true());
    return false;
}

void progress_event(struct progress *p, const char *kind, const json_t *event)
{
    static const char *const colors[] = {[MILESTONE_NONE] = "",
                                         [MILESTONE_PLAIN] = "",
                                         [MILESTONE_GOOD] = GREEN,
                                         [MILESTONE_WARNING] = YELLOW,
                                         [MILESTONE_BAD] = RED};
    AUTO_BUF text = BUF_INIT;
    if (p->quiet || progress_rang_before(p, kind, event))
        return;
    enum milestone m = milestone_of(kind, event, &text);
    if (m != MILESTONE_NONE) {
        progress_line(p, event, colors[m], &text);
        return;
    }
    if (!p->verbose || !strcmp(kind, "plan") || !strcmp(kind, "run-start"))
        return;
    AUTO_JSON *rest = json_deep_copy(event);
    json_object_del(rest, "t");
    buf_printf(&text, "%s ", kind);
    jsonx_dump(rest, &text);
    progress_line(p, event, "", &text);
}

/* "checkout DOWN 3.1s of 10s" for each service that is down, else how many are up. */
static void progress_services(const struct progress *p, const json_t *status, struct buf *b)
{
    size_t i, up = 0;
    json_t *s;
    json_array_foreach (json_object_get(status, "services"), i, s) {
        if (!jsonx_bool(s, "down", false)) {
            up++;
            continue;
        }
        buf_printf(b, "  %s%s DOWN", paint(p, RED), jsonx_str(s, "name", ""));
        if (json_object_get(s, "down_ns"))
            buf_printf(b, " %.1fs", (double)jsonx_int(s, "down_ns", 0) / 1e9);
        if (json_object_get(s, "rto_ns"))
            buf_printf(b, " of %gs", (double)jsonx_int(s, "rto_ns", 0) / 1e9);
        buf_adds(b, paint(p, PLAIN));
    }
    if (up)
        buf_printf(b, "  %s%zu service%s up%s", paint(p, GREEN), up, up == 1 ? "" : "s",
                   paint(p, PLAIN));
}

/* Cuts at the terminal's width; escape sequences take no room. */
static void progress_show(struct progress *p, const char *text)
{
    struct winsize w;
    unsigned width = ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : 80, n = 0;
    AUTO_BUF out = BUF_INIT;
    for (const char *c = text; *c; c++) {
        if (*c == '\033') {
            while (*c && *c != 'm')
                buf_addc(&out, *c++);
            buf_addc(&out, *c);
            continue;
        }
        if (n + 1 < width)
            buf_addc(&out, *c);
        n += ((unsigned char)*c & 0xc0) != 0x80;
    }
    if (!progress_heard(p))
        return;
    AUTO_BUF line = BUF_INIT;
    buf_printf(&line, "\r%s%s\033[K", buf_text(&out), paint(p, PLAIN));
    progress_write(&line);
    p->shown = true;
}

void progress_tick(struct progress *p, const json_t *status)
{
    AUTO_BUF line = BUF_INIT;
    size_t i;
    json_t *f;
    const char *name;
    if (!p->terminal || p->quiet || !json_object_get(status, "state"))
        return;
    buf_printf(&line, "trial %lld/%lld  %s", (long long)jsonx_int(status, "trial", 0),
               (long long)jsonx_int(status, "trials", 0), jsonx_str(status, "state", ""));
    if (json_object_get(status, "since_zero_ns"))
        buf_printf(&line, "  t+%.1fs", (double)jsonx_int(status, "since_zero_ns", 0) / 1e9);
    progress_services(p, status, &line);
    json_object_foreach (json_object_get(status, "alarms"), name, f)
        buf_printf(&line, "  %s: fired %.1fs", name, (double)json_integer_value(f) / 1e9);
    const json_t *faults = json_object_get(status, "faults");
    if (json_array_size(faults))
        buf_adds(&line, "  faults: ");
    json_array_foreach (faults, i, f)
        buf_printf(&line, "%s%s", i ? ", " : "", jsonx_str(f, "words", ""));
    progress_show(p, buf_text(&line));
}
