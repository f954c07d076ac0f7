/* blackstart report: recomputes and renders, from records alone. */
#include "reports/report.h"

#include "sim/base/buf.h"
#include "sim/base/cleanup.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/cli/command.h"
#include "sim/cli/tell.h"
#include "sim/drill/folder.h"
#include "sim/forecast/join.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define REPORT_SCENARIO_MAX ((size_t)16 << 20)

static const struct option_spec report_options[] = {
    {"html", 0, "F", "writes the page there, and nothing into DIR"},
    {"md", 0, "F", "writes the Markdown there, and nothing into DIR"},
    {"junit", 0, "F", "writes the JUnit report there, and nothing into DIR"},
    {"metrics", 0, "F", "writes the OpenMetrics text there, and nothing into DIR"},
    {"out", 'o', "DIR", "of the parts of a forecast: the folder of the whole"},
    {"actions", 0, "F", "of an exercise: corrective actions for its improvement plan, kept in DIR"},
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
                               .actions = args_get(a, "actions"),
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

/* ---- parts of a forecast ---- */

static int report_open_parts(const struct args *a, struct join_part *parts)
{
    for (size_t i = 0; i < a->rest.n; i++) {
        const char *path = a->rest.items[i];
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return say_error(EXIT_BAD_INPUT, "cannot open %s: %s", path, strerror(errno));
        parts[i] = (struct join_part){fd, path};
    }
    return 0;
}

/* scenario.yaml of the first part, which must be the one that the record is of. */
static int report_make_whole(const struct args *a, const struct join_part *parts,
                             const json_t *start, struct folder *ret, struct err *err)
{
    AUTO_FREE char *yaml = NULL;
    size_t n;
    const json_t *scenario = json_object_get(start, "scenario");
    int rc = file_read(parts[0].dirfd, "scenario.yaml", REPORT_SCENARIO_MAX, &yaml, &n, err);
    if (rc == 0)
        rc = folder_make(args_get(a, "out"), "forecasts", jsonx_str(scenario, "name", "forecast"),
                         yaml, ret, err);
    return rc;
}

static int report_parts(const struct args *a, const struct join_part *parts)
{
    struct err err = ERR_INIT;
    AUTO_JSON *start = NULL;
    struct folder folder = {.dirfd = -1};
    struct report_outcome out;
    if (join_check(parts, a->rest.n, &start, &err) < 0 ||
        report_make_whole(a, parts, start, &folder, &err) < 0)
        return say_error(EXIT_BAD_INPUT, "%s", err.text);
    CLEANUP(record_free_p) struct record *record = NULL;
    struct report_request q = {.dirfd = folder.dirfd, .path = folder.path};
    int rc = record_create(folder.dirfd, "record.ndjson", 0, &record, &err);
    if (rc == 0)
        rc = join_write(parts, a->rest.n, record, &err);
    if (rc == 0)
        rc = report_write(&q, &out, &err);
    if (rc < 0) {
        folder_done(&folder);
        return say_error(EXIT_ABORTED, "the parts were not put together: %s", err.text);
    }
    int code = tell_report(a, folder.dirfd, folder.path, &out);
    report_outcome_done(&out);
    folder_done(&folder);
    return code;
}

/* How many of the folders are parts. */
static size_t report_count_parts(const struct join_part *parts, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += join_is_part(parts[i].dirfd);
    return count;
}

/* The exit code, or -1: these are no parts. */
static int report_joined(const struct command *self, struct args *a, bool single)
{
    struct join_part *parts = calloc(a->rest.n, sizeof *parts);
    if (!parts)
        abort();
    for (size_t i = 0; i < a->rest.n; i++)
        parts[i].dirfd = -1;
    int code = report_open_parts(a, parts);
    size_t count = code ? 0 : report_count_parts(parts, a->rest.n);
    if (!code && count && (single || args_has(a, "anonymous")))
        code = say_usage(self, "parts of a forecast are put together first, with --out DIR");
    else if (!code && count)
        code = report_parts(a, parts);
    else if (!code && args_has(a, "out"))
        code = say_usage(self, "--out is for parts of a forecast");
    else if (!code)
        code = -1;
    for (size_t i = 0; i < a->rest.n; i++)
        if (parts[i].dirfd >= 0)
            close(parts[i].dirfd);
    free(parts);
    return code;
}

static int report_run(const struct command *self, struct args *a)
{
    int code = EXIT_MET;
    bool single =
        args_has(a, "html") || args_has(a, "md") || args_has(a, "junit") || args_has(a, "metrics");
    if (!a->rest.n)
        return say_usage(self, "which DIR?");
    if (args_has(a, "actions") && a->rest.n > 1)
        return say_usage(self, "--actions is for one DIR");
    if (single && a->rest.n > 1 && !args_has(a, "out"))
        return say_usage(self, "--html, --md, --junit and --metrics take one DIR at a time");
    int joined = report_joined(self, a, single);
    if (joined >= 0)
        return joined;
    for (size_t i = 0; i < a->rest.n; i++)
        code = report_worse(code, report_one(a, a->rest.items[i]));
    return code;
}

const struct command command_report = {
    .name = "report",
    .summary = "recomputes and renders results from the record of a run",
    .usage = "DIR... [--html F] [--md F] [--junit F] [--metrics F] [--actions F] [--anonymous] "
             "[--out DIR]",
    .about =
        "Without options it writes again into DIR all that run writes. Of several, the exit code\n"
        "is the worst. The parts of a forecast (forecast --shard) are put together into --out\n"
        "(default: forecasts/TIME-NAME-ID), as if it had been computed in one piece.",
    .options = report_options,
    .run = report_run,
};
