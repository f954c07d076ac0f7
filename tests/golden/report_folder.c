/* Writes the reports of a folder, as `blackstart report DIR [--anonymous]` does: for golden tests. */
#include "reports/report.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    struct report_outcome out;
    if (argc < 2)
        return 99;
    struct report_request q = {.dirfd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                               .path = "run",
                               .anonymous = argc > 2 && strcmp(argv[2], "--anonymous") == 0};
    if (argc > 3 && strcmp(argv[2], "--md") == 0)
        q.md = argv[3];
    if (report_write(&q, &out, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 98;
    }
    int code = out.exit_code;
    printf("%s", out.terminal);
    report_outcome_done(&out);
    return code;
}
