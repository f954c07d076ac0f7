/* report.md. */
#include "reports/markdown.h"

#include <inttypes.h>
#include <string.h>

#include "reports/escape.h"
#include "reports/load.h"
#include "reports/sentence.h"
#include "sim/base/jsonx.h"

#define ROWS_MAX 200 /* of each table; the rest is counted */

static void span_cell(struct span s, struct buf *out)
{
    AUTO_BUF text = BUF_INIT;
    if (span_is_set(s))
        sentence_span(s, &text);
    else
        buf_adds(&text, "–");
    escape_cell(buf_text(&text), out);
}

static void sentence(void (*make)(const struct result *, struct buf *), const struct result *r,
                     struct buf *out)
{
    AUTO_BUF text = BUF_INIT;
    make(r, &text);
    escape_markdown(buf_text(&text), out);
}

static void more(size_t n, const char *what, struct buf *out)
{
    if (n > ROWS_MAX)
        buf_printf(out, "\n%zu more %s stand in result.json.\n", n - ROWS_MAX, what);
}

static void objectives(const struct result *r, struct buf *out)
{
    if (r->objectives_n == 0)
        return;
    buf_adds(out, "\n## Promises\n\n| | service | promise | worst trial | within | verdict |\n"
                  "|---|---|---|---|---|---|\n");
    static const char *const marks[] = {"–", "✔", "◐", "?", "✘"};
    for (size_t i = 0; i < r->objectives_n; i++) {
        const struct objective *o = &r->objectives[i];
        AUTO_BUF text = BUF_INIT;
        buf_printf(out, "| %s |", marks[o->verdict]);
        escape_cell(o->service->name, out);
        sentence_promise(o, &text);
        escape_cell(buf_text(&text), out);
        const struct trial *worst = result_worst_trial(r, o);
        const struct service_seen *s = worst ? result_seen(r, worst, o->service) : NULL;
        if (s && o->kind == OBJECTIVE_SUCCESS && s->outcome != OUTCOME_VOID) {
            AUTO_BUF kept = BUF_INIT;
            sentence_success(&s->kept, &kept);
            escape_cell(buf_text(&kept), out);
        } else {
            span_cell(s && !o->unmeasured ? result_judged_span(o, s) : SPAN_UNSET, out);
        }
        buf_printf(out, " %zu of %zu |", o->within, o->planned);
        escape_cell(sentence_verdict(o->verdict), out);
        buf_addc(out, '\n');
    }
    for (size_t i = 0; i < r->objectives_n; i++)
        for (size_t k = 0; k < r->objectives[i].reasons_n; k++) {
            const struct reason *why = &r->objectives[i].reasons[k];
            buf_adds(out, "\n- ");
            escape_markdown(r->objectives[i].service->name, out);
            buf_adds(out, ", ");
            AUTO_BUF promise = BUF_INIT;
            sentence_promise(&r->objectives[i], &promise);
            escape_markdown(buf_text(&promise), out);
            buf_adds(out, ": ");
            escape_markdown(why->text, out);
            if (why->cure) {
                buf_adds(out, ". What would help: ");
                escape_markdown(why->cure, out);
            }
            buf_addc(out, '.');
        }
    buf_addc(out, '\n');
}

static void trials(const struct result *r, struct buf *out)
{
    buf_adds(out, "\n## Trials\n\n| trial | service | came to | time to restore | time to detect | "
                  "noticed by | down | flaps |\n|---|---|---|---|---|---|---|---|\n");
    size_t rows = 0;
    for (size_t i = 0; i < r->trials_n; i++) {
        const struct trial *t = &r->trials[i];
        if (t->why_void) {
            if (rows++ < ROWS_MAX) {
                buf_printf(out, "| %" PRId64 "%s | | void:", t->n, t->counted ? "" : " (replaced)");
                escape_cell(t->why_void, out);
                buf_adds(out, " | | | | |\n");
            }
            continue;
        }
        for (size_t k = 0; k < t->services_n; k++) {
            const struct service_seen *s = &t->services[k];
            if (s->probes_n == 0 || rows++ >= ROWS_MAX)
                continue;
            buf_printf(out, "| %" PRId64 " |", t->n);
            escape_cell(s->service->name, out);
            AUTO_BUF came = BUF_INIT;
            buf_adds(&came, trial_outcome_words[s->outcome]);
            if (s->by != BY_NOBODY && s->outcome == OUTCOME_RESTORED)
                buf_printf(&came, " by %s", restored_by_words[s->by]);
            escape_cell(buf_text(&came), out);
            span_cell(s->ttr, out);
            span_cell(s->ttd, out);
            escape_cell(s->detected_by ? s->detected_by->alarm->name : "–", out);
            span_cell(s->down, out);
            buf_printf(out, " %zu |\n", s->flaps);
        }
    }
    more(rows, "rows", out);
}

static void summary_cells(const struct summary *m, size_t first, struct buf *out)
{
    AUTO_BUF text = BUF_INIT;
    buf_printf(out, " %zu of %zu |", m->n - m->censored, m->n);
    if (m->has_median)
        buf_printf(&text, "%s%.3g s", m->median_censored ? "more than " : "", m->median);
    else
        buf_adds(&text, "–");
    escape_cell(buf_text(&text), out);
    span_cell(m->n ? m->min : SPAN_UNSET, out);
    span_cell(m->n ? m->max : SPAN_UNSET, out);
    buf_printf(out, " %zu |\n", first);
}

/* One alarm in one trial: the words for what is not a time. */
static void alarm_words(const struct alarm_seen *a, struct buf *out)
{
    static const char *const sep = ", ";
    size_t before = out->len;
    if (a->masked)
        buf_adds(out, "was already firing");
    else if (!span_is_set(a->onset))
        buf_adds(out, a->never ? "never rang" : "silent");
    if (a->after_restoration)
        buf_printf(out, "%srang only after it was back", out->len > before ? sep : "");
    if (a->without_outage)
        buf_printf(out, "%srang without an outage", out->len > before ? sep : "");
    if (a->false_alarms)
        buf_printf(out, "%s%zu false before the fault", out->len > before ? sep : "",
                   a->false_alarms);
    if (a->suppressed)
        buf_printf(out, "%s%zu suppressed in maintenance", out->len > before ? sep : "",
                   a->suppressed);
    if (a->silenced)
        buf_printf(out, "%ssilenced at the end", out->len > before ? sep : "");
}

static void alarms_of_trials(const struct result *r, struct buf *out)
{
    buf_adds(out, "\n| trial | alarm | role | service | rang after the failure | resolved at | |\n"
                  "|---|---|---|---|---|---|---|\n");
    size_t rows = 0;
    for (size_t i = 0; i < r->trials_n; i++) {
        const struct trial *t = &r->trials[i];
        for (size_t k = 0; k < t->services_n && !t->why_void; k++)
            for (size_t n = 0; n < t->services[k].alarms_n; n++) {
                const struct alarm_seen *a = &t->services[k].alarms[n];
                AUTO_BUF words = BUF_INIT;
                if (strcmp(a->alarm->service, t->services[k].service->name) != 0 ||
                    rows++ >= ROWS_MAX)
                    continue;
                buf_printf(out, "| %" PRId64 " |", t->n);
                escape_cell(a->alarm->name, out);
                escape_cell(role_words[a->alarm->role], out);
                escape_cell(a->alarm->service, out);
                span_cell(a->ttd, out);
                if (span_is_set(a->resolved) && nsec_is_set(t->zero))
                    buf_printf(&words, "%.3f s", (double)(a->resolved.hi - t->zero) / 1e9);
                else
                    buf_adds(&words, "–");
                escape_cell(buf_text(&words), out);
                buf_clear(&words);
                alarm_words(a, &words);
                escape_cell(buf_text(&words), out);
                buf_addc(out, '\n');
            }
    }
    more(rows, "rows", out);
}

/* Each layer and each alarm by itself: from the impact to its onset, over the trials in which the
 * service was down. */
static void noticing(const struct result *r, struct buf *out)
{
    if (r->alarms_n == 0)
        return;
    buf_adds(out, "\n## Who noticed\n\n| | service | rang | time to detect, median | soonest | "
                  "latest | first in |\n|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < r->layers_n; i++) {
        const struct layer_summary *l = &r->layers[i];
        AUTO_BUF name = BUF_INIT;
        buf_printf(&name, "all with role %s", role_words[l->role]);
        buf_adds(out, "|");
        escape_cell(buf_text(&name), out);
        escape_cell(l->service->name, out);
        summary_cells(&l->ttd, l->first, out);
        for (size_t k = 0; k < r->alarms_n; k++) {
            const struct alarm_summary *a = &r->alarms[k];
            if (a->alarm->role != l->role || strcmp(a->alarm->service, l->service->name) != 0)
                continue;
            buf_adds(out, "|");
            escape_cell(a->alarm->name, out);
            escape_cell(l->service->name, out);
            summary_cells(&a->ttd, a->first, out);
        }
    }
    alarms_of_trials(r, out);
}

static void findings(const struct result *r, struct buf *out)
{
    if (r->findings_n == 0)
        return;
    buf_adds(out, "\n## Findings\n\n");
    for (size_t i = 0; i < r->findings_n && i < ROWS_MAX; i++) {
        const struct finding *f = &r->findings[i];
        buf_printf(out, "- **%s** ", weight_words[f->weight]);
        if (f->trial && strcmp(f->code, "void") != 0)
            buf_printf(out, "(trial %" PRId64 ") ", f->trial);
        escape_markdown(f->text, out);
        for (size_t k = 0; k < f->seq_n; k++)
            buf_printf(out, "%s%" PRId64 "%s", k == 0 ? " [record line " : ", ", f->seq[k],
                       k + 1 == f->seq_n ? "]" : "");
        buf_addc(out, '\n');
    }
    more(r->findings_n, "findings", out);
}

static void fault_row(const struct result *r, const struct trial *t, const struct fault *f,
                      struct buf *out)
{
    AUTO_BUF text = BUF_INIT;
    buf_printf(out, "| %" PRId64 " |", t->n);
    escape_cell(f->step, out);
    buf_adds(&text, f->action);
    for (size_t m = 0; m < json_array_size(f->targets); m++) {
        const char *target = json_string_value(json_array_get(f->targets, m));
        buf_printf(&text, "%s%s", m == 0 ? " " : ", ", target ? target : "?");
    }
    escape_cell(buf_text(&text), out);
    buf_clear(&text);
    if (span_is_set(f->start) && nsec_is_set(t->zero))
        buf_printf(&text, "%.3f s", (double)(f->start.lo - t->zero) / 1e9);
    escape_cell(buf_text(&text), out);
    escape_cell(f->asked, out);
    buf_clear(&text);
    if (f->injected && f->asked)
        buf_printf(&text, "%s%s", f->verified ? "" : "NO: ", f->seen ? f->seen : "");
    else
        buf_adds(&text, f->injected ? "not verified" : f->error ? f->error : "");
    escape_cell(buf_text(&text), out);
    buf_clear(&text);
    if (span_is_set(f->end))
        buf_printf(&text, "%s (%s)", f->undo_failed ? "NO, it failed" : "yes",
                   f->cause ? f->cause : "?");
    else
        buf_adds(&text, r->clean == 1 ? "ended with the lab" : "not known");
    escape_cell(buf_text(&text), out);
    buf_addc(out, '\n');
}

/* What people and automation did by our hand: not verified and not undone. */
static void action_row(const struct trial *t, const struct action *a, struct buf *out)
{
    AUTO_BUF text = BUF_INIT;
    buf_printf(out, "| %" PRId64 " |", t->n);
    escape_cell(a->step, out);
    buf_printf(&text, "run %s: %s%s%s%s", a->host, a->command, a->role ? " (as " : "",
               a->role ? a->role : "", a->role ? ")" : "");
    escape_cell(buf_text(&text), out);
    buf_clear(&text);
    nsec at = span_is_set(a->start) ? a->start.lo : a->end.lo;
    if (nsec_is_set(t->zero) && nsec_is_set(at))
        buf_printf(&text, "%.3f s", (double)(at - t->zero) / 1e9);
    escape_cell(buf_text(&text), out);
    escape_cell("–", out);
    buf_clear(&text);
    sentence_action(a, &text);
    escape_cell(buf_text(&text), out);
    escape_cell("not undone: an action, no fault", out);
    buf_addc(out, '\n');
}

static void done_to_the_system(const struct result *r, struct buf *out)
{
    buf_adds(out, "\n## What was done to the system\n\n| trial | step | action | at | asked | "
                  "verified | undone |\n|---|---|---|---|---|---|---|\n");
    size_t rows = 0;
    for (size_t i = 0; i < r->trials_n; i++) {
        const struct trial *t = &r->trials[i];
        for (size_t k = 0; k < t->faults_n; k++)
            if (rows++ < ROWS_MAX)
                fault_row(r, t, &t->faults[k], out);
        for (size_t k = 0; k < t->actions_n; k++)
            if (rows++ < ROWS_MAX)
                action_row(t, &t->actions[k], out);
    }
    more(rows, "rows", out);
    buf_addc(out, '\n');
    sentence(sentence_clean, r, out);
    buf_addc(out, '\n');
}

static void loads(const struct result *r, struct buf *out)
{
    size_t rows = 0;
    if (!load_any(r))
        return;
    buf_adds(out, "\n## Background load\n\n| trial | load | host | what came of it |\n"
                  "|---|---|---|---|\n");
    for (size_t i = 0; i < r->trials_n; i++)
        for (size_t k = 0; k < r->trials[i].loads_n; k++) {
            const struct load_seen *l = &r->trials[i].loads[k];
            AUTO_BUF words = BUF_INIT;
            if (rows++ >= ROWS_MAX)
                continue;
            buf_printf(out, "| %" PRId64 " |", r->trials[i].n);
            escape_cell(l->name, out);
            escape_cell(l->host, out);
            load_words(l, &words);
            escape_cell(buf_text(&words), out);
            buf_addc(out, '\n');
        }
    more(rows, "rows", out);
}

static void fact(const char *name, const char *value, struct buf *out)
{
    if (!value)
        return;
    buf_printf(out, "| %s |", name);
    escape_cell(value, out);
    buf_addc(out, '\n');
}

static void how_to_read(const struct result *r, struct buf *out)
{
    buf_adds(out,
             "\n## How to read this\n\n"
             "Every time is an interval of what is known: \"3.2 s (3.1–3.3)\" lies between 3.1 and "
             "3.3 s. *Impact* lies between the start of the last good probe and the end of the "
             "first failed one; *restored* between the start of the last failed probe and the end "
             "of the first good one of a stable run. A service that did not come back is "
             "*censored*, not dropped; one that came back because the fault was taken away is a "
             "*heal* and no recovery. The trials are repetitions of this scenario in this "
             "environment on this day, not a sample of production incidents.\n\n"
             "| | |\n|---|---|\n");
    const json_t *env = json_object_get(r->start, "environment");
    char seq[32];
    snprintf(seq, sizeof seq, "%" PRId64, r->head.seq);
    fact("blackstart", jsonx_str(r->start, "blackstart", NULL), out);
    fact("kernel", jsonx_str(env, "kernel", NULL), out);
    fact("host", jsonx_str(env, "hostname", NULL), out);
    fact("distribution", jsonx_str(env, "distribution", NULL), out);
    fact("operator", jsonx_str(r->start, "operator", NULL), out);
    fact("started", r->started, out);
    fact("ended", r->ended, out);
    fact("seed", jsonx_str(r->start, "seed", NULL), out);
    fact("scenario (SHA-256)", jsonx_str(json_object_get(r->start, "scenario"), "digest", NULL),
         out);
    fact("record, last line", seq, out);
    fact("record, its SHA-256", r->head.hash, out);
}

void markdown_write(const struct result *r, struct buf *out)
{
    buf_adds(out, "# ");
    escape_markdown(r->scenario->title ? r->scenario->title : r->scenario->name, out);
    buf_printf(out, "\n\n**%s** · **%s** · ", sentence_mode(r), sentence_verdict(r->verdict));
    escape_markdown(r->started ? r->started : "", out);
    buf_adds(out, "\n\n");
    sentence(sentence_run, r, out);
    buf_addc(out, '\n');
    objectives(r, out);
    trials(r, out);
    noticing(r, out);
    findings(r, out);
    done_to_the_system(r, out);
    loads(r, out);
    how_to_read(r, out);
}
