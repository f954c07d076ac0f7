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

void terminal_headline(const char *name, const char *title, const char *right, struct buf *out)
{
    AUTO_BUF line = BUF_INIT;
    buf_printf(&line, "%s: ", name);
    escape_terminal(title, &line);
    terminal_put(buf_text(&line), COLUMNS - 2 - terminal_width(right), true, out);
    buf_printf(out, "  %s\n\n", right);
}

void terminal_findings(size_t n, struct buf *out)
{
    if (n)
        buf_printf(out, "\n%zu %s in the report.\n", n, n == 1 ? "finding" : "findings");
}

/* Row 0: the heads. */
static void fill_row(const struct terminal_table *t, size_t row, struct buf *cells)
{
    for (size_t c = 0; c < t->columns; c++) {
        cells[c] = BUF_INIT;
        if (row == 0)
            buf_adds(&cells[c], t->heads[c]);
    }
    if (row > 0)
        t->fill(t->data, row - 1, cells);
}

static void put_row(const struct terminal_table *t, const struct buf *cells, const size_t *rooms,
                    struct buf *out)
{
    for (size_t c = 0; c < t->columns; c++) {
        bool number = t->numbers & 1u << c;
        for (size_t k = terminal_width(buf_text(&cells[c])); number && k < rooms[c]; k++)
            buf_addc(out, ' ');
        terminal_put(buf_text(&cells[c]), rooms[c], !number && c + 1 < t->columns, out);
        buf_adds(out, c + 1 < t->columns ? "  " : "\n");
    }
}

void terminal_table(const struct terminal_table *t, struct buf *out)
{
    struct buf cells[TERMINAL_CELLS];
    size_t rooms[TERMINAL_CELLS] = {0}, wide = 2 * (t->columns - 1);
    for (size_t r = 0; r <= t->rows; r++) {
        fill_row(t, r, cells);
        for (size_t c = 0; c < t->columns; c++) {
            size_t w = terminal_width(buf_text(&cells[c]));
            rooms[c] = w > rooms[c] ? w : rooms[c];
            buf_done(&cells[c]);
        }
    }
    rooms[0] = rooms[0] > t->first ? t->first : rooms[0];
    for (size_t c = 0; c < t->columns; c++)
        wide += rooms[c];
    if (t->gives && wide > COLUMNS) {
        size_t rest = wide - rooms[t->gives];
        rooms[t->gives] = rest < COLUMNS - 10 ? COLUMNS - rest : 10;
    }
    for (size_t r = 0; r <= t->rows; r++) {
        fill_row(t, r, cells);
        put_row(t, cells, rooms, out);
        for (size_t c = 0; c < t->columns; c++)
            buf_done(&cells[c]);
    }
}

static void fill(const void *data, size_t row, struct buf *cells)
{
    const struct result *r = data;
    const struct objective *o = &r->objectives[row];
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

void terminal_write(const struct result *r, struct buf *out)
{
    static const char *const heads[CELLS] = {"service", "promise", "worst trial", "within",
                                             "verdict"};
    const struct terminal_table table = {.columns = CELLS,
                                         .rows = r->objectives_n,
                                         .heads = heads,
                                         .first = 18,
                                         .gives = PROMISE,
                                         .fill = fill,
                                         .data = r};
    AUTO_BUF right = BUF_INIT;
    buf_printf(&right, "%s, %" PRId64 " %s", sentence_mode(r), r->planned,
               r->planned == 1 ? "trial" : "trials");
    terminal_headline(r->scenario->name, r->scenario->title, buf_text(&right), out);
    if (r->objectives_n) {
        terminal_table(&table, out);
        buf_addc(out, '\n');
    }
    AUTO_BUF sentence = BUF_INIT;
    AUTO_BUF safe = BUF_INIT;
    sentence_run(r, &sentence);
    escape_terminal(buf_text(&sentence), &safe);
    terminal_wrap(buf_text(&safe), out);
    size_t worth = 0;
    for (size_t i = 0; i < r->findings_n; i++)
        worth += r->findings[i].weight != WEIGHT_NOTE;
    terminal_findings(worth, out);
}
