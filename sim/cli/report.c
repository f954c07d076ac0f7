/* blackstart report: recomputes and renders, from records alone. */
#include "reports/report.h"

#include "sim/base/buf.h"
#include "sim/base/cleanup.h"
#include "sim/cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static const struct option_spec report_options[] = {
    {"html", 0, "F", "writes the page there, and nothing into DIR"},
    {"md", 0, "F", "writes the Markdown there, and nothing into DIR"},
    {"junit", 0, "F", "writes the JUnit report there, and nothing into DIR"},
    {"metrics", 0, "F", "writes the OpenMetrics text there, and nothing into DIR"},
    {"anonymous", 0, NULL, "people and hosts under stable other names"},
    {"quiet", 'q', NULL, "prints the sentence alone"},
    {NULL, 0, NULL, NULL},
};

/* Worst first. */
static int report_worse(int a, int b)
{
    static const int order[] = {EXIT_NOT_CLEAN,  EXIT_ABORTED, EXIT_BAD_INPUT,
                                EXIT_CANNOT_RUN, EXIT_NOT_MET, EXIT_NOT_SHOWN};
    for (size_t i = 0; i < ARRAY_SIZE(order); i++)
        if (a == order[i] || b == order[i])
            return order[i];
    return EXIT_MET;
}

static int report_one(struct args *a, const char *path)
{
    struct err err = ERR_INIT;
    struct report_outcome out;
    AUTO_CLOSE int dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0)
        return say_error(EXIT_BAD_INPUT, "cannot open %s: %s", path, strerror(errno));
    struct report_request q = {.dirfd = dirfd,
                               .path = path,
                               .html = args_get(a, "html"),
                               .md = args_get(a, "md"),
                               .junit = args_get(a, "junit"),
                               .metrics = args_get(a, "metrics"),
                               .anonymous = args_has(a, "anonymous")};
    if (report_write(&q, &out, &err) < 0)
        return say_error(EXIT_BAD_INPUT, "%s: %s", path, err.text);
    AUTO_BUF text = BUF_INIT;
    if (a->rest.n > 1)
        buf_printf(&text, "%s\n", path);
    buf_adds(&text, args_has(a, "quiet") ? out.sentence : out.terminal);
    if (text.len && text.text[text.len - 1] != '\n')
        buf_addc(&text, '\n');
    int code = say_result(out.exit_code, buf_text(&text), text.len);
    report_outcome_done(&out);
    return code;
}

static int report_run(const struct command *self, struct args *a)
{
    int code = EXIT_MET;
    bool single =
        args_has(a, "html") || args_has(a, "md") || args_has(a, "junit") || args_has(a, "metrics");
    if (!a->rest.n)
        return say_usage(self, "which DIR?");
    if (single && a->rest.n > 1)
        return say_usage(self, "--html, --md, --junit and --metrics take one DIR at a time");
    for (size_t i = 0; i < a->rest.n; i++)
        code = report_worse(code, report_one(a, a->rest.items[i]));
    return code;
}

const struct command command_report = {
    .name = "report",
    .summary = "recomputes and renders results from the record of a run",
    .usage = "DIR... [--html F] [--md F] [--junit F] [--metrics F] [--anonymous]",
    .about =
        "Without options it writes again into DIR all that run writes. Of several, the exit code\n"
        "is the worst.",
    .options = report_options,
    .run = report_run,
};
