/* Exercises whose record a test writes by hand. */
#include "reports/test_after_action_kit.h"

#include "sim/base/file.h"
#include "sim/base/jsonx.h"

#include <fcntl.h>

struct played *played_new(const char *yaml, int speed)
{
    struct played *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->speed = speed;
    snprintf(p->folder, sizeof p->folder, "/tmp/blackstart-debrief-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    p->dirfd = open(p->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(p->dirfd >= 0);
    assert_int_equal(file_replace(p->dirfd, "scenario.yaml", yaml, strlen(yaml), NULL), 0);
    assert_int_equal(record_create(p->dirfd, "record.ndjson", 0, &p->record, NULL), 0);
    return p;
}

static void forget(struct played *p)
{
    report_outcome_done(&p->out);
    json_decref(p->result);
    free(p->md);
    free(p->html);
    free(p->junit);
    free(p->metrics);
}

void played_free(struct played *p)
{
    forget(p);
    record_free(p->record);
    close(p->dirfd);
    assert_int_equal(file_remove_tree(AT_FDCWD, p->folder, NULL), 0);
    free(p);
}

int64_t played_line(struct played *p, const char *kind, nsec clock, const char *members)
{
    struct err err = ERR_INIT;
    struct record_head head;
    json_t *e = NULL;
    if (jsonx_parse(members, strlen(members), kind, &e, &err) < 0)
        fail_msg("%s: %s", members, err.text);
    json_object_set_new(e, "clock", json_integer(clock - p->lag));
    if (record_write(p->record, kind, clock / p->speed, e, &err) < 0)
        fail_msg("%s", err.text);
    record_head(p->record, &head);
    return head.seq;
}

static char *read_back(const struct played *p, const char *name)
{
    char *text = NULL;
    size_t n = 0;
    assert_int_equal(file_read(p->dirfd, name, 4 << 20, &text, &n, NULL), 0);
    return text;
}

void played_report(struct played *p)
{
    struct err err = ERR_INIT;
    struct report_request q = {.dirfd = p->dirfd, .path = p->folder};
    forget(p);
    if (report_write(&q, &p->out, &err) < 0)
        fail_msg("%s", err.text);
    AUTO_FREE char *result = read_back(p, "result.json");
    p->md = read_back(p, "report.md");
    p->html = read_back(p, "report.html");
    p->junit = read_back(p, "junit.xml");
    p->metrics =
        faccessat(p->dirfd, "metrics.prom", F_OK, 0) == 0 ? read_back(p, "metrics.prom") : NULL;
    assert_int_equal(jsonx_parse(result, strlen(result), "result.json", &p->result, NULL), 0);
}

void played_has(const char *text, const char *what)
{
    if (!strstr(text, what))
        fail_msg("it does not say: %s\n%s", what, text);
}

void played_has_field(const struct played *p, const char *name, const char *value)
{
    AUTO_BUF md = BUF_INIT;
    AUTO_BUF html = BUF_INIT;
    buf_printf(&md, "- **%s:** %s", name, value);
    buf_printf(&html, "<dt>%s</dt><dd>%s", name, value);
    played_has(p->md, buf_text(&md));
    played_has(p->html, buf_text(&html));
}
