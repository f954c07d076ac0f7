/* What a scenario must be beyond its types, so that a run of it can mean something. */
#include "scenarios/check.h"

#include "injectors/injector.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* --- Files --- */

/* True when following `path` word by word never leaves the folder where it begins. */
static bool path_stays_inside(const char *path)
{
    int depth = 0;
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && !strncmp(p, "..", 2))
            depth--;
        else if (n && !(n == 1 && *p == '.'))
            depth++;
        if (depth < 0)
            return false;
        p += n + (p[n] == '/');
    }
    return true;
}

void check_files(const struct scenario *s, const struct decode *d, struct diags *diags)
{
    const char *slash = strrchr(s->file, '/');
    int n = slash ? (int)(slash - s->file) : 1;
    char quoted[DIAG_QUOTE_MAX];

    for (size_t i = 0; i < d->n_files && !diags_is_full(diags); i++) {
        const struct decode_file *f = &d->files[i];
        struct stat st;
        if (*f->path == '/' || !path_stays_inside(f->path)) {
            diags_error(diags, f->place, "'%s' leads out of the scenario's folder",
                        diag_quote(f->path, quoted));
            continue;
        }
        AUTO_BUF path = BUF_INIT;
        buf_printf(&path, "%.*s/%s", slash ? n : 1, slash ? s->file : ".", f->path);
        if (stat(path.text, &st) < 0 || access(path.text, R_OK) < 0)
            diags_error(diags, f->place, "cannot read '%s': %s", diag_quote(f->path, quoted),
                        strerror(errno));
        else if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
            diags_error(diags, f->place, "'%s' is neither a file nor a folder",
                        diag_quote(f->path, quoted));
    }
}

void check_scenario(const struct scenario *s, struct diags *diags)
{
    check_trials(s, s->trials, diags);
}
