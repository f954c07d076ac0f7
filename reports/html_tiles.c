/* Tiles with bullet graphs, and the chain from fault to restored. */
#include "reports/html_part.h"

#include <inttypes.h>
#include <string.h>

#include "reports/sentence.h"
#include "sim/base/text.h"

#define BULLET_WIDTH 260.0
#define BULLET_ROWS 10 /* more trials share rows */

const char *html_sign(enum verdict v)
{
    static const char *const signs[] = {"–", "✔", "◐", "?", "✘"};
    return signs[v];
}

void html_big(struct span s, struct buf *big, struct buf *rest)
{
    AUTO_BUF text = BUF_INIT;
    sentence_span(s, &text);
    const char *all = buf_text(&text), *paren = strstr(all, " (");
    if (strncmp(all, "more than ", 10) == 0)
        buf_printf(big, "> %s", all + 10);
    else if (strncmp(all, "at most ", 8) == 0)
        buf_printf(big, "≤ %s", all + 8);
    else if (paren) {
        buf_add(big, all, (size_t)(paren - all));
        buf_adds(rest, paren);
    } else
        buf_adds(big, all);
}

static double seconds(nsec t)
{
    return (double)t / 1e9;
}

/* Trials that count for this objective, in order. */
static const struct service_seen *nth_seen(const struct result *r, const struct objective *o,
                                           size_t i)
{
    const struct trial *t = &r->trials[i];
    return t->counted && t->run ? result_seen(r, t, o->service) : NULL;
}

/* The end of the bullet graph's scale: room for the target and for all that was measured. */
static double scale_of(const struct result *r, const struct objective *o)
{
    double most = seconds(o->target) * 1.12;
    for (size_t i = 0; i < r->trials_n; i++) {
        const struct service_seen *s = nth_seen(r, o, i);
        struct span span = s ? result_judged_span(o, s) : SPAN_UNSET;
        if (!span_is_set(span))
            continue;
        double hi = seconds(span.hi == NSEC_INF ? span.lo : span.hi) * 1.08;
        most = hi > most ? hi : most;
    }
    return most > 0 ? most : 1;
}

static void trial_mark(struct span span, enum share share, double scale, double y, struct buf *out)
{
    const char *class = share_words[share];
    double lo = seconds(span.lo) / scale * BULLET_WIDTH;
    if (lo < 0)
        lo = 0;
    if (span.hi == NSEC_INF) {
        /* Not seen to end: an arrow that goes on. */
        buf_printf(out,
                   "<path class=\"%s reach\" d=\"M%.1f %.1fH%.1fm-5 -4l5 4l-5 4\"/>"
                   "<path class=\"%s mark\" d=\"M%.1f %.1fv-8\"/>",
                   class, lo, y, BULLET_WIDTH - 1, class, lo, y + 4);
        return;
    }
    double hi = seconds(span.hi) / scale * BULLET_WIDTH, mid = (lo + hi) / 2;
    buf_printf(out, "<path class=\"%s reach\" d=\"M%.1f %.1fH%.1f\"/>", class, lo, y, hi);
    if (share == SHARE_MISSED)
        buf_printf(out, "<path class=\"missed mark\" d=\"M%.1f %.1fl4 4l-4 4l-4 -4z\"/>", mid,
                   y - 4);
    else
        buf_printf(out, "<circle class=\"%s mark\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.2\"/>", class, mid,
                   y);
}

static void bullet(const struct result *r, const struct objective *o, struct buf *out)
{
    size_t n = 0, row = 0;
    for (size_t i = 0; i < r->trials_n; i++)
        n += nth_seen(r, o, i) != NULL;
    size_t rows = n < 1 ? 1 : n > BULLET_ROWS ? BULLET_ROWS : n;
    double pitch = rows > 5 ? 7 : 10, height = (double)rows * pitch + 8;
    double scale = scale_of(r, o), target = seconds(o->target) / scale * BULLET_WIDTH;
    char words[NSEC_TEXT_MAX];
    buf_printf(out,
               "<svg viewBox=\"-4 0 %.0f %.0f\" role=\"img\" aria-label=\"%zu of %zu trials within "
               "the target of %s\">",
               BULLET_WIDTH + 8, height + 17, o->within, o->planned,
               sentence_target(o->target, words));
    buf_printf(out,
               "<rect class=\"zone\" x=\"0\" y=\"0\" width=\"%.1f\" height=\"%.1f\"/>"
               "<rect class=\"beyond\" x=\"%.1f\" y=\"0\" width=\"%.1f\" height=\"%.1f\"/>",
               target, height, target, BULLET_WIDTH - target, height);
    for (size_t i = 0; i < r->trials_n; i++) {
        const struct service_seen *s = nth_seen(r, o, i);
        if (!s)
            continue;
        double y = 4 + pitch * ((double)(row++ % rows) + 0.5);
        enum share share = s->shares[o->kind];
        struct span span = result_judged_span(o, s);
        if (span_is_set(span) && share != SHARE_NOT_APPLICABLE && share != SHARE_VOID)
            trial_mark(span, share, scale, y, out);
        else if (share != SHARE_NOT_APPLICABLE)
            buf_printf(out, "<path class=\"void mark\" d=\"M2 %.1fl6 6m0 -6l-6 6\"/>", y - 3);
    }
    buf_printf(out, "<path class=\"target\" d=\"M%.1f -1V%.1f\"/>", target, height + 2);
    const char *anchor = target > 0.85 * BULLET_WIDTH ? "end" : target < 30 ? "start" : "middle";
    buf_printf(out,
               "<text class=\"soft\" x=\"0\" y=\"%.1f\">0</text>"
               "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s promised</text></svg>\n",
               height + 14, anchor[0] == 'e' && target > BULLET_WIDTH - 4 ? BULLET_WIDTH : target,
               height + 14, anchor, words);
}

/* For what is counted, not timed: a square for each trial. */
static void squares(const struct result *r, const struct objective *o, struct buf *out)
{
    size_t all = 0;
    for (size_t i = 0; i < r->trials_n; i++)
        all += r->trials[i].counted;
    size_t rows = all == 0 ? 1 : all > 60 ? 4 : (all + 14) / 15;
    buf_printf(out, "<svg viewBox=\"-4 0 %.0f %zu\" role=\"img\" aria-label=\"%zu of %zu trials\">",
               BULLET_WIDTH + 8, 14 * rows + 6, o->within, o->planned);
    size_t n = 0;
    for (size_t i = 0; i < r->trials_n && n < 60; i++) {
        const struct service_seen *s = nth_seen(r, o, i);
        if (!r->trials[i].counted)
            continue;
        double x = 2 + 17 * (double)(n % 15), y = 3 + 14 * (double)(n / 15);
        enum share share = s ? s->shares[o->kind] : SHARE_VOID;
        n++;
        if (share == SHARE_MISSED)
            buf_printf(out, "<path class=\"missed reach\" d=\"M%.0f %.0fl9 9m0 -9l-9 9\"/>", x, y);
        else if (share == SHARE_VOID)
            buf_printf(out, "<path class=\"void mark\" d=\"M%.0f %.0fl9 9m0 -9l-9 9\"/>", x, y);
        else
            buf_printf(out,
                       "<rect class=\"%s mark\" x=\"%.0f\" y=\"%.0f\" width=\"10\" height=\"10\" "
                       "rx=\"2\"/>",
                       share_words[share], x, y);
    }
    buf_adds(out, "</svg>\n");
}

static void tile(const struct result *r, const struct objective *o, struct buf *out)
{
    AUTO_BUF promise = BUF_INIT;
    AUTO_BUF big = BUF_INIT;
    AUTO_BUF rest = BUF_INIT;
    sentence_promise(o, &promise);
    buf_printf(out, "<article class=\"tile is-%s\">\n<h2><b>", verdict_words[o->verdict]);
    html_text(out, o->service->name);
    buf_adds(out, "</b> ");
    html_text(out, buf_text(&promise));
    buf_adds(out, "</h2>\n<div class=\"row\"><span class=\"big\">");
    const struct trial *worst = o->unmeasured ? NULL : result_worst_trial(r, o);
    const struct service_seen *s = worst ? result_seen(r, worst, o->service) : NULL;
    struct span span = s ? result_judged_span(o, s) : SPAN_UNSET;
    bool timed = nsec_is_set(o->target) && !o->unmeasured;
    if (o->unmeasured)
        buf_adds(&big, "not measured");
    else if (span_is_set(span) && o->verdict != VERDICT_NOT_APPLICABLE)
        html_big(span, &big, &rest);
    else if (timed && s && s->detection == DETECTION_MASKED && o->kind == OBJECTIVE_DETECT)
        buf_adds(&big, "masked");
    else if (o->kind == OBJECTIVE_SUCCESS && s && s->outcome != OUTCOME_VOID)
        sentence_success(&s->kept, &big);
    else if (timed)
        buf_adds(&big, "–");
    else {
        buf_printf(&big, "%zu of %zu", o->within, o->planned);
        buf_adds(&rest, o->planned == 1 ? " trial" : " trials");
    }
    html_text(out, buf_text(&big));
    if (rest.len) {
        buf_adds(out, "<small>");
        html_text(out, buf_text(&rest));
        buf_adds(out, "</small>");
    }
    buf_printf(out,
               "</span> <span class=\"chip %s\"><span aria-hidden=\"true\">%s</span>%s</span>"
               "</div>\n",
               verdict_words[o->verdict], html_sign(o->verdict), sentence_verdict(o->verdict));
    if (timed && o->planned > 0) {
        buf_printf(out, "<p class=\"note\">%s %zu of %zu within",
                   r->planned > 1 ? "worst of the trials;" : "one trial;", o->within, o->planned);
        if (o->voids)
            buf_printf(out, ", %zu void", o->voids);
        if (o->open)
            buf_printf(out, ", %zu open", o->open);
        buf_adds(out, "</p>\n");
        bullet(r, o, out);
    } else if (!o->unmeasured && o->planned > 0) {
        squares(r, o, out);
    }
    buf_adds(out, "</article>\n");
}

void html_tiles(const struct result *r, struct buf *out)
{
    if (r->objectives_n == 0)
        return;
    buf_adds(out, "<div class=\"tiles\">\n");
    for (size_t i = 0; i < r->objectives_n; i++)
        tile(r, &r->objectives[i], out);
    buf_adds(out, "</div>\n");
}

/* --- the chain ----------------------------------------------------------------------------------
 */

struct link {
    char text[160];
    struct span at; /* since the fault; unset: it never came */
};

/* An instant as the time since the fault began. */
static struct span since_fault(const struct trial *t, struct span at)
{
    if (!span_is_set(at))
        return SPAN_UNSET;
    return (struct span){at.lo - t->fault_start.lo, at.hi - t->fault_start.lo};
}

static nsec middle(struct span s)
{
    return s.lo + (s.hi - s.lo) / 2;
}

static int chain_links(const struct trial *t, const struct service_seen *s, const struct episode *e,
                       struct link *links, int max)
{
    int n = 0;
    const struct fault *f = NULL;
    for (size_t i = 0; i < t->faults_n && !f; i++)
        if (t->faults[i].injected)
            f = &t->faults[i];
    const char *name = s->service->name;
    snprintf(links[n].text, sizeof links->text, "fault %s", f ? f->step : "");
    links[n++].at = since_fault(t, t->fault_start);
    snprintf(links[n].text, sizeof links->text, "%s failed", name);
    links[n++].at = since_fault(t, e->impact);
    for (size_t i = 0; i < s->alarms_n && n < max - 1; i++) {
        const struct alarm_seen *a = &s->alarms[i];
        if (!span_is_set(a->onset) && !a->missing)
            continue;
        if (span_is_set(a->onset))
            snprintf(links[n].text, sizeof links->text, "%s %s", a->alarm->name,
                     a->alarm->role == ROLE_OWN ? "(our own probe) saw it" : "rang");
        else
            snprintf(links[n].text, sizeof links->text, "%s never rang", a->alarm->name);
        links[n++].at = since_fault(t, a->onset);
    }
    bool back = e->restored.hi != NSEC_INF;
    snprintf(links[n].text, sizeof links->text, "%s %s", name,
             !back              ? "was not back when observation ended"
             : e->by == BY_HEAL ? "was back, by our taking the fault away"
                                : "was restored");
    links[n++].at = back ? since_fault(t, e->restored) : SPAN_UNSET;
    /* After the fault in order of time; what never came stands last. */
    for (int i = 2; i < n; i++)
        for (int k = i; k > 1; k--) {
            bool before =
                span_is_set(links[k].at) &&
                (!span_is_set(links[k - 1].at) || middle(links[k].at) < middle(links[k - 1].at));
            if (!before)
                break;
            struct link swap = links[k];
            links[k] = links[k - 1];
            links[k - 1] = swap;
        }
    return n;
}

static void chain_bar(const struct link *links, int n, double end, nsec impact, nsec noticed,
                      struct buf *out)
{
    const double width = 1000;
    double i = seconds(impact) / end * width, d = seconds(noticed) / end * width;
    i = i < 0 ? 0 : i;
    d = d > width ? width : d < i ? i : d;
    buf_adds(out, "<div class=\"scroll\"><svg viewBox=\"-12 0 1024 56\" role=\"img\" "
                  "aria-label=\"From the fault to "
                  "restored, to scale; the list below says the same\">");
    buf_printf(out,
               "<rect class=\"seg-wait\" x=\"0\" y=\"24\" width=\"%.1f\" height=\"16\"/>"
               "<rect class=\"seg-blind\" x=\"%.1f\" y=\"24\" width=\"%.1f\" height=\"16\"/>"
               "<rect class=\"seg-known\" x=\"%.1f\" y=\"24\" width=\"%.1f\" height=\"16\"/>",
               i, i, d - i, d, width - d);
    double last[2] = {-100, -100};
    for (int k = 0; k < n; k++) {
        if (!span_is_set(links[k].at))
            continue;
        nsec mid = k == 0 ? 0 : middle(links[k].at);
        double x = seconds(mid) / end * width;
        x = x < 0 ? 0 : x > width ? width : x;
        int row = x - last[0] >= 24 ? 0 : 1;
        if (row == 1 && x - last[1] < 24)
            x = last[1] + 24;
        last[row] = x;
        double y = row == 0 ? 11 : 47;
        buf_printf(out,
                   "<path class=\"target\" d=\"M%.1f 22V42\" style=\"stroke-width:1.5\"/>"
                   "<circle cx=\"%.1f\" cy=\"%.0f\" r=\"9\" style=\"fill:var(--ink)\"/>"
                   "<text x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\" class=\"strong\" "
                   "style=\"fill:var(--card)\">%d</text>",
                   seconds(mid) / end * width, x, y, x, y + 4, k + 1);
    }
    buf_adds(out, "</svg></div>\n");
}

void html_chain(const struct result *r, struct buf *out)
{
    const struct objective *head = sentence_headline(r);
    const struct trial *t = head ? result_worst_trial(r, head) : NULL;
    const struct service_seen *s = t ? result_seen(r, t, head->service) : NULL;
    if (!s || s->outcome == OUTCOME_VOID || s->judged_n == 0 || !span_is_set(t->fault_start))
        return;
    /* The longest episode: the one that is judged. */
    const struct episode *e = NULL;
    for (size_t i = 0; i < s->episodes_n; i++) {
        const struct episode *x = &s->episodes[i];
        if (!x->undo && (!e || x->ttr[CLOCK_IMPACT].hi > e->ttr[CLOCK_IMPACT].hi ||
                         (x->ttr[CLOCK_IMPACT].hi == e->ttr[CLOCK_IMPACT].hi &&
                          x->ttr[CLOCK_IMPACT].lo > e->ttr[CLOCK_IMPACT].lo)))
            e = x;
    }
    struct link links[16];
    int n = chain_links(t, s, e, links, (int)ARRAY_SIZE(links));
    nsec end = t->watched - t->fault_start.lo;
    if (e->restored.hi != NSEC_INF) {
        end = 0;
        for (int k = 0; k < n; k++)
            if (span_is_set(links[k].at) && links[k].at.hi > end)
                end = links[k].at.hi;
    }
    nsec impact = middle(since_fault(t, e->impact));
    nsec noticed = end;
    if (s->detected_by)
        noticed = middle(since_fault(t, s->detected_by->onset));
    buf_printf(out, "<div class=\"chain\">\n<h2>From the fault to restored%s</h2>\n",
               r->planned > 1 ? ": the worst trial" : "");
    chain_bar(links, n, seconds(end), impact, noticed, out);
    buf_adds(out, "<ol>\n");
    for (int k = 0; k < n; k++) {
        bool came = span_is_set(links[k].at);
        if (came)
            buf_printf(out, "<li><span class=\"pin\" aria-hidden=\"true\">%d</span>", k + 1);
        else
            buf_adds(out, "<li><span class=\"pin never\" aria-hidden=\"true\">✕</span>");
        html_text(out, links[k].text);
        if (k == 0) {
            buf_adds(out, " <b>0 s</b>");
        } else if (came) {
            AUTO_BUF when = BUF_INIT;
            sentence_span(links[k].at, &when);
            buf_adds(out, " <b>");
            bool most = text_starts(buf_text(&when), "at most ");
            buf_adds(out, most ? "within " : "");
            html_text(out, buf_text(&when) + (most ? strlen("at most ") : 0));
            buf_adds(out, "</b>");
        }
        buf_adds(out, "</li>\n");
    }
    buf_adds(out, "</ol>\n</div>\n");
}
