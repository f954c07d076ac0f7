/* JUnit XML. */
#include "reports/junit.h"

#include <string.h>

#include "reports/escape.h"
#include "reports/sentence.h"
#include "sim/base/jsonx.h"

enum kind { PASSED, FAILURE, ERROR, SKIPPED };

struct count {
    size_t tests, kinds[4];
};

static enum kind kind_of(const struct result *r, const struct objective *o, const char **ret_type)
{
    *ret_type = verdict_words[o->verdict];
    switch (o->verdict) {
    case VERDICT_MET:
        return PASSED;
    case VERDICT_NOT_MET:
        return FAILURE;
    case VERDICT_NOT_APPLICABLE:
        return SKIPPED;
    case VERDICT_INCONCLUSIVE:
        return ERROR;
    case VERDICT_NOT_DEMONSTRATED:
        break;
    }
    if (r->status == STATUS_COMPLETED)
        return FAILURE;
    *ret_type = status_words[r->status];
    return ERROR;
}

static double seconds(struct span s)
{
    if (!span_is_set(s) || s.hi < 0)
        return 0;
    nsec t = s.hi == NSEC_INF ? s.lo : s.lo + (s.hi - s.lo) / 2;
    return t < 0 ? 0 : (double)t / 1e9;
}

static void attribute(const char *name, const char *value, struct buf *out)
{
    buf_printf(out, " %s=\"", name);
    escape_xml(value, out);
    buf_addc(out, '"');
}

static void end_case(enum kind kind, const char *type, const char *message, struct buf *out)
{
    static const char *const elements[] = {NULL, "failure", "error", "skipped"};
    if (kind == PASSED) {
        buf_adds(out, "      <system-out>");
        escape_xml(message, out);
        buf_adds(out, "</system-out>\n    </testcase>\n");
        return;
    }
    buf_printf(out, "      <%s", elements[kind]);
    if (kind != SKIPPED)
        attribute("type", type, out);
    attribute("message", message, out);
    if (kind == SKIPPED) {
        buf_adds(out, "/>\n    </testcase>\n");
        return;
    }
    buf_addc(out, '>');
    escape_xml(message, out);
    buf_printf(out, "</%s>\n    </testcase>\n", elements[kind]);
}

static void objective_case(const struct result *r, const struct objective *o, struct count *n,
                           struct buf *out)
{
    AUTO_BUF name = BUF_INIT;
    AUTO_BUF class = BUF_INIT;
    AUTO_BUF message = BUF_INIT;
    sentence_promise(o, &name);
    buf_printf(&class, "%s.%s", r->scenario->name, o->service->name);
    sentence_objective(r, o, &message);
    for (size_t i = 0; i < o->reasons_n; i++)
        if (o->reasons[i].cure)
            buf_printf(&message, " What would help: %s.", o->reasons[i].cure);
    const struct trial *worst = result_worst_trial(r, o);
    const struct service_seen *s = worst ? result_seen(r, worst, o->service) : NULL;
    const char *type;
    enum kind kind = kind_of(r, o, &type);
    buf_adds(out, "    <testcase");
    attribute("classname", buf_text(&class), out);
    attribute("name", buf_text(&name), out);
    buf_printf(out, " time=\"%.3f\">\n", s ? seconds(result_judged_span(o, s)) : 0.0);
    end_case(kind, type, buf_text(&message), out);
    n->tests++;
    n->kinds[kind]++;
}

/* The run itself: undone, and ended as it should. */
static void run_case(const struct result *r, struct count *n, struct buf *out)
{
    AUTO_BUF class = BUF_INIT;
    AUTO_BUF message = BUF_INIT;
    buf_printf(&class, "%s.run", r->scenario->name);
    if (r->status != STATUS_COMPLETED)
        buf_printf(&message, "The run %s%s%s. ",
                   r->status == STATUS_ABORTED ? "was aborted" : "failed",
                   r->status_reason ? ": " : "", r->status_reason ? r->status_reason : "");
    sentence_clean(r, &message);
    bool bad = r->clean != 1 || r->status != STATUS_COMPLETED;
    buf_adds(out, "    <testcase");
    attribute("classname", buf_text(&class), out);
    attribute("name", "completed, and everything undone", out);
    buf_adds(out, " time=\"0.000\">\n");
    end_case(bad ? ERROR : PASSED,
             r->clean == 0                   ? "not_clean"
             : r->status != STATUS_COMPLETED ? status_words[r->status]
                                             : "not_known",
             buf_text(&message), out);
    n->tests++;
    n->kinds[bad ? ERROR : PASSED]++;
}

static void property(const char *name, const char *value, struct buf *out)
{
    if (!value)
        return;
    buf_adds(out, "      <property");
    attribute("name", name, out);
    attribute("value", value, out);
    buf_adds(out, "/>\n");
}

void junit_write(const struct result *r, struct buf *out)
{
    AUTO_BUF cases = BUF_INIT;
    struct count n = {0};
    for (size_t i = 0; i < r->objectives_n; i++)
        objective_case(r, &r->objectives[i], &n, &cases);
    run_case(r, &n, &cases);
    size_t lines = json_array_size(r->events);
    double took = (double)jsonx_int(json_array_get(r->events, lines - 1), "t", 0) / 1e9;

    AUTO_BUF head = BUF_INIT;
    buf_printf(&head,
               " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.3f\"",
               n.tests, n.kinds[FAILURE], n.kinds[ERROR], n.kinds[SKIPPED], took);
    buf_adds(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"blackstart\"");
    buf_adds(out, buf_text(&head));
    buf_adds(out, ">\n  <testsuite");
    attribute("name", r->scenario->name, out);
    buf_adds(out, buf_text(&head));
    if (r->started)
        attribute("timestamp", r->started, out);
    buf_adds(out, ">\n    <properties>\n");
    property("mode", jsonx_str(r->start, "mode", NULL), out);
    property("verdict", verdict_words[r->verdict], out);
    property("seed", jsonx_str(r->start, "seed", NULL), out);
    property("scenario.sha256", jsonx_str(json_object_get(r->start, "scenario"), "digest", NULL),
             out);
    property("record.head", r->head.hash, out);
    property("blackstart", jsonx_str(r->start, "blackstart", NULL), out);
    buf_adds(out, "    </properties>\n");
    buf_adds(out, buf_text(&cases));
    buf_adds(out, "  </testsuite>\n</testsuites>\n");
}
