/* What the terminal shows at the end. */
#include "reports/terminal.h"

#include <inttypes.h>
#include <string.h>

#include "reports/escape.h"
#include "reports/sentence.h"

#define COLUMNS TERMINAL_COLUMNS
enum { SERVICE, PROMISE, WORST, WITHIN, VERDICT, CELLS };

size_t terminal_width(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

void terminal_put(const char *s, size_t room, bool pad, struct buf *out)
{
    size_t w = terminal_width(s), n = 0;
    bool cut = w > room;
    for (; *s; s++) {
        bool first = ((unsigned char)*s & 0xc0) != 0x80;
        if (first && n == room - cut && cut)
            break;
        n += first;
        buf_addc(out, *s);
    }
    if (cut) {
        buf_adds(out, "…");
        n++;
    }
    while (pad && n++ < room)
        buf_addc(out, ' ');
}

void terminal_wrap(const char *s, struct buf *out)
{
    size_t col = 0;
    while (*s) {
        size_t n = strcspn(s, " ");
        AUTO_BUF word = BUF_INIT;
        buf_add(&word, s, n);
        size_t w = terminal_width(buf_text(&word));
        if (col && col + 1 + w > COLUMNS) {
            buf_addc(out, '\n');
            col = 0;
        }
        if (col) {
            buf_addc(out, ' ');
            col++;
        }
        buf_adds(out, buf_text(&word));
        col += w;
        s += n;
        s += strspn(s, " ");
    }
    buf_addc(out, '\n');
}

static void cells_of(const struct result *r, const struct objective *o, struct buf cells[CELLS])
{
    AUTO_BUF promise = BUF_INIT;
    escape_terminal(o->service->name, &cells[SERVICE]);
    sentence_promise(o, &promise);
    escape_terminal(buf_text(&promise), &cells[PROMISE]);
    const struct trial *worst = result_worst_trial(r, o);
    const struct service_seen *s = worst ? result_seen(r, worst, o->service) : NULL;
    struct span span = s && !o->unmeasured ? result_judged_span(o, s) : SPAN_UNSET;
    if (span_is_set(span))
        sentence_span(span, &cells[WORST]);
    else if (s && o->kind == OBJECTIVE_SUCCESS && s->outcome != OUTCOME_VOID)
        sentence_success(&s->kept, &cells[WORST]);
    else
        buf_adds(&cells[WORST], "–");
    buf_printf(&cells[WITHIN], "%zu of %zu", o->within, o->planned);
    buf_adds(&cells[VERDICT], sentence_verdict(o->verdict));
}

static void table(const struct result *r, struct buf *out)
{
    static const char *const heads[CELLS] = {"service", "promise", "worst trial", "within",
                                             "verdict"};
    size_t rooms[CELLS];
    for (size_t c = 0; c < CELLS; c++)
        rooms[c] = terminal_width(heads[c]);
    for (size_t i = 0; i < r->objectives_n; i++) {
        struct buf cells[CELLS] = {BUF_INIT};
        cells_of(r, &r->objectives[i], cells);
        for (size_t c = 0; c < CELLS; c++) {
            size_t w = terminal_width(buf_text(&cells[c]));
            rooms[c] = w > rooms[c] ? w : rooms[c];
            buf_done(&cells[c]);
        }
    }
    size_t rest = 2 * (CELLS - 1) + rooms[WORST] + rooms[WITHIN] + rooms[VERDICT];
    if (rooms[SERVICE] > 18)
        rooms[SERVICE] = 18;
    if (rest + rooms[SERVICE] + rooms[PROMISE] > COLUMNS)
        rooms[PROMISE] =
            rest + rooms[SERVICE] < COLUMNS - 10 ? COLUMNS - rest - rooms[SERVICE] : 10;
    for (size_t c = 0; c < CELLS; c++) {
        terminal_put(heads[c], rooms[c], c + 1 < CELLS, out);
        buf_adds(out, c + 1 < CELLS ? "  " : "\n");
    }
    for (size_t i = 0; i < r->objectives_n; i++) {
        struct buf cells[CELLS] = {BUF_INIT};
        cells_of(r, &r->objectives[i], cells);
        for (size_t c = 0; c < CELLS; c++) {
            terminal_put(buf_text(&cells[c]), rooms[c], c + 1 < CELLS, out);
            buf_adds(out, c + 1 < CELLS ? "  " : "\n");
            buf_done(&cells[c]);
        }
    }
    buf_addc(out, '\n');
}

void terminal_write(const struct result *r, struct buf *out)
{
    AUTO_BUF text = BUF_INIT;
    AUTO_BUF line = BUF_INIT;
    buf_printf(&line, "%s: ", r->scenario->name);
    escape_terminal(r->scenario->title, &line);
    AUTO_BUF right = BUF_INIT;
    buf_printf(&right, "%s, %" PRId64 " %s", sentence_mode(r), r->planned,
               r->planned == 1 ? "trial" : "trials");
    terminal_put(buf_text(&line), COLUMNS - 2 - terminal_width(buf_text(&right)), true, &text);
    buf_printf(&text, "  %s\n\n", buf_text(&right));
    if (r->objectives_n)
        table(r, &text);
    AUTO_BUF sentence = BUF_INIT;
    AUTO_BUF safe = BUF_INIT;
    sentence_run(r, &sentence);
    escape_terminal(buf_text(&sentence), &safe);
    terminal_wrap(buf_text(&safe), &text);
    size_t worth = 0;
    for (size_t i = 0; i < r->findings_n; i++)
        worth += r->findings[i].weight != WEIGHT_NOTE;
    if (worth)
        buf_printf(&text, "\n%zu %s in the report.\n", worth, worth == 1 ? "finding" : "findings");
    buf_adds(out, buf_text(&text));
}
