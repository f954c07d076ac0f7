/* The alarm `journal`: an entry in systemd's journal. sd-journal (libsystemd) is seen in this file
 * alone.
 *
 * The journal is that of the host's mount namespace; without a host, of this machine. journald stamps each entry with CLOCK_MONOTONIC
 * when it takes it: in this boot that is the alarm's time, known to the microsecond. An entry of
 * another boot (collected from another machine) came between two looks.
 *
 * We look by a timer: journald tells that it has written (inotify) up to 250 ms later
 * (POST_CHANGE_TIMER_INTERVAL_USEC), while an entry can be read at once. Rotation is told at once.
 */
#include "sim/watch/pattern.h"
#include "sim/watch/vantage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>

#include "sim/base/buf.h"

#define LOOK_EVERY (10 * NSEC_MSEC)
#define AT_ONCE 1000 /* entries that one look reads */
/* SD_MESSAGE_COREDUMP: a program of the unit crashed, told by another one. */
#define COREDUMP "MESSAGE_ID=fc2e22bc6ee647b6b90729ab34a250b1"

struct journal_watch {
    struct sentry *sentry;
    sd_journal *journal; /* NULL: not open yet */
    struct pattern match;
    struct loop_timer timer;
    sd_id128_t boot;
    nsec opened, looked;  /* when watching began, and the last look */
    uint64_t opened_wall; /* microseconds */
};

static int journal_check(const struct scenario *s, const void *params, struct err *err)
{
    (void)s;
    const struct journal_params *p = params;
    AUTO_PATTERN match = PATTERN_INIT;
    int r = pattern_compile(&match, p->match, err);
    if (r == 0 && p->directory && p->directory[0] != '/')
        return err_set(err, EINVAL, "'directory' is a whole path: /var/log/journal/remote");
    const char *dot = p->unit ? strrchr(p->unit, '.') : NULL;
    if (r == 0 && p->unit && (!dot || !dot[1] || dot == p->unit))
        return err_set(err, EINVAL, "a unit's name ends with its type: %s.service", p->unit);
    return r;
}

/* --- Opening ---------------------------------------------------------------------------------- */

static int match_field(sd_journal *j, const char *field, const char *value)
{
    AUTO_BUF text = BUF_INIT;
    buf_printf(&text, "%s=%s", field, value);
    return sd_journal_add_match(j, buf_text(&text), 0);
}

/* What the unit's processes say, and what others say of it: as journalctl -u. */
static int match_unit(sd_journal *j, const char *unit)
{
    int r = match_field(j, "_SYSTEMD_UNIT", unit);
    if (r >= 0 && (r = sd_journal_add_disjunction(j)) >= 0 &&
        (r = sd_journal_add_match(j, "_PID=1", 0)) >= 0)
        r = match_field(j, "UNIT", unit);
    if (r >= 0 && (r = sd_journal_add_disjunction(j)) >= 0 &&
        (r = sd_journal_add_match(j, "_UID=0", 0)) >= 0)
        r = match_field(j, "OBJECT_SYSTEMD_UNIT", unit);
    if (r >= 0 && (r = sd_journal_add_disjunction(j)) >= 0 &&
        (r = sd_journal_add_match(j, COREDUMP, 0)) >= 0 &&
        (r = sd_journal_add_match(j, "_UID=0", 0)) >= 0)
        r = match_field(j, "COREDUMP_UNIT", unit);
    return r < 0 ? r : sd_journal_add_conjunction(j);
}

/* That urgent or more so: syslog counts from emerg, 0, to debug, 7. */
static int match_priority(sd_journal *j, int words)
{
    int r = 0;
    for (int level = 0; r >= 0 && words != JOURNAL_DEBUG && level <= JOURNAL_EMERG - words;
         level++) {
        char text[24];
        snprintf(text, sizeof text, "PRIORITY=%d", level);
        r = sd_journal_add_match(j, text, 0);
    }
    return r;
}

/* After the last entry that stands there; found by its place, not by its time, where there is one, so
 * that looking again costs next to nothing. */
static int go_to_end(struct journal_watch *w, sd_journal *j)
{
    int r = sd_journal_seek_tail(j);
    if (r >= 0)
        r = sd_journal_previous(j);
    return r == 0 ? sd_journal_seek_realtime_usec(j, w->opened_wall) : r;
}

static int journal_start(struct journal_watch *w)
{
    const struct journal_params *p = w->sentry->alarm->params;
    sd_journal *j = NULL;
    int r = p->directory ? sd_journal_open_directory(&j, p->directory, 0)
                         : sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);
    if (r >= 0)
        r = sd_journal_get_fd(j); /* watches for new files from here on */
    if (r >= 0 && p->unit)
        r = match_unit(j, p->unit);
    if (r >= 0)
        r = match_priority(j, p->priority);
    if (r >= 0)
        r = go_to_end(w, j);
    if (r < 0)
        sd_journal_close(j);
    else
        w->journal = j;
    return r < 0 ? r : 0;
}

/* --- Looking ---------------------------------------------------------------------------------- */

/* False: it stood there before we came. */
static bool entry_time(const struct journal_watch *w, nsec now, struct span *ret)
{
    uint64_t usec = 0;
    sd_id128_t boot;
    struct span at = {w->looked, now};
    if (sd_journal_get_monotonic_usec(w->journal, &usec, &boot) >= 0 &&
        sd_id128_equal(boot, w->boot)) {
        nsec stamp = (nsec)usec * NSEC_USEC;
        if (stamp + NSEC_USEC <= w->opened)
            return false;
        if (stamp <= now)
            at = (struct span){stamp, stamp + NSEC_USEC - 1};
    }
    *ret = at;
    return true;
}

static void journal_entry(struct journal_watch *w, nsec now)
{
    static const char head[] = "MESSAGE=";
    const void *data;
    size_t n;
    struct span at;
    if (sd_journal_get_data(w->journal, "MESSAGE", &data, &n) < 0 || n < sizeof head - 1)
        return;
    const char *text = (const char *)data + sizeof head - 1;
    n -= sizeof head - 1;
    if (!pattern_matches(&w->match, text, n) || !entry_time(w, now, &at))
        return;
    char detail[256];
    snprintf(detail, sizeof detail, "%.*s", (int)n, text);
    sentry_tell(w->sentry, true, at, detail);
}

/* 0, or why it could not look. *ret_more: there is more to be read. */
static int journal_look(struct journal_watch *w, nsec now, bool *ret_more)
{
    int r = w->journal ? 0 : journal_start(w);
    if (r < 0)
        return r;
    r = sd_journal_process(w->journal);
    size_t n = 0;
    while (r >= 0 && n < AT_ONCE && (r = sd_journal_next(w->journal)) > 0) {
        journal_entry(w, now);
        n++;
    }
    *ret_more = n == AT_ONCE;
    return r < 0 ? r : 0;
}

static void journal_due(struct loop_timer *t, void *data)
{
    struct journal_watch *w = data;
    const struct journal_params *p = w->sentry->alarm->params;
    nsec now = nsec_now(CLOCK_MONOTONIC);
    bool more = false;
    int r = journal_look(w, now, &more);
    if (r < 0) {
        char words[512];
        snprintf(words, sizeof words, "%s: %s", p->directory ? p->directory : "the journal",
                 strerror(-r));
        sentry_fails(w->sentry, words);
    } else {
        sentry_looks(w->sentry);
        w->looked = now;
    }
    loop_timer_set(w->sentry->vantage->loop, t, more ? now : now + LOOK_EVERY);
}

static int journal_open(struct sentry *s, struct err *err)
{
    const struct journal_params *p = s->alarm->params;
    struct journal_watch *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    nsec now = nsec_now(CLOCK_MONOTONIC);
    *w = (struct journal_watch){.sentry = s,
                                .timer = {.fn = journal_due, .data = w},
                                .opened = now,
                                .looked = now,
                                .opened_wall = (uint64_t)(nsec_now(CLOCK_REALTIME) / NSEC_USEC)};
    s->state = w;
    int r = pattern_compile(&w->match, p->match, err);
    if (r < 0)
        return r;
    r = sd_id128_get_boot(&w->boot);
    if (r < 0)
        return err_errno(err, -r, "asking which boot this is");
    loop_timer_set(s->vantage->loop, &w->timer, now);
    return 0;
}

static void journal_close(struct sentry *s)
{
    struct journal_watch *w = s->state;
    if (!w)
        return;
    loop_timer_cancel(s->vantage->loop, &w->timer);
    pattern_done(&w->match);
    sd_journal_close(w->journal);
    free(w);
}

static const char *journal_host(const void *params)
{
    const struct journal_params *p = params;
    return p->host ? p->host : WATCH_HERE;
}

const struct alarm_kind alarm_journal = {
    .check = journal_check, .host = journal_host, .open = journal_open, .close = journal_close};
