/* What a run or a forecast came to. */
#include "sim/cli/tell.h"

#include "sim/base/buf.h"
#include "sim/base/cleanup.h"
#include "sim/base/file.h"
#include "sim/cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define TELL_MAX ((size_t)1 << 30)

/* A file is replaced at once; a device or a pipe (/dev/stdout) is written to, never replaced. */
static int tell_there(const char *to, const char *text, size_t n, struct err *err)
{
    struct stat st;
    if (stat(to, &st) < 0 || S_ISREG(st.st_mode))
        return file_replace(AT_FDCWD, to, text, n, err);
    AUTO_CLOSE int fd = open(to, O_WRONLY | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "cannot write %s", to);
    return file_write_all(fd, text, n, err);
}

static int tell_copy(const struct args *a, int dirfd, const char *option, const char *name)
{
    const char *to = args_get(a, option);
    AUTO_FREE char *text = NULL;
    size_t n;
    struct err err = ERR_INIT;
    if (!to)
        return 0;
    if (file_read(dirfd, name, TELL_MAX, &text, &n, &err) < 0 || tell_there(to, text, n, &err) < 0)
        return say_error(EXIT_ABORTED, "--%s: %s", option, err.text);
    return 0;
}

int tell_report(const struct args *a, int dirfd, const char *path, const struct report_outcome *out)
{
    struct err err = ERR_INIT;
    int code = out->exit_code;
    int copied = tell_copy(a, dirfd, "junit", "junit.xml");
    if (!copied)
        copied = tell_copy(a, dirfd, "metrics", "metrics.prom");
    if (copied && (code == EXIT_MET || code == EXIT_NOT_SHOWN || code == EXIT_NOT_MET))
        code = copied;
    if (args_has(a, "json")) {
        AUTO_FREE char *text = NULL;
        size_t n;
        if (file_read(dirfd, "result.json", TELL_MAX, &text, &n, &err) < 0)
            return say_error(EXIT_ABORTED, "%s", err.text);
        return say_result(code, text, n);
    }
    AUTO_BUF text = BUF_INIT;
    buf_adds(&text, args_has(a, "quiet") ? out->sentence : out->terminal);
    if (text.len && text.text[text.len - 1] != '\n')
        buf_addc(&text, '\n');
    if (!args_has(a, "quiet"))
        buf_printf(&text, "\nreport: %s/report.html\n", path);
    return say_result(code, buf_text(&text), text.len);
}
