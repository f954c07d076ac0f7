/* Which control groups hold a process. See group.h. */
#include "sim/attach/group.h"

#include <string.h>

#define GROUP_TEXT_MAX 16384

/* One line of /proc/PID/cgroup: "4:memory:/shop", "0::/shop". */
struct group_line {
    const char *controllers, *path;
    size_t controllers_n, path_n;
};

/* Takes the next line from *text; false: there is none. */
static bool next_line(const char **text, struct group_line *ret)
{
    while (**text) {
        const char *line = *text, *end = strchrnul(line, '\n');
        const char *a = memchr(line, ':', (size_t)(end - line));
        const char *b = a ? memchr(a + 1, ':', (size_t)(end - a - 1)) : NULL;
        *text = *end ? end + 1 : end;
        if (!b)
            continue;
        *ret = (struct group_line){.controllers = a + 1,
                                   .controllers_n = (size_t)(b - a - 1),
                                   .path = b + 1,
                                   .path_n = (size_t)(end - b - 1)};
        return true;
    }
    return false;
}

/* "cpu,cpuacct" has cpu. */
static bool is_among(const char *word, size_t n, const char *list, size_t list_n)
{
    while (list_n) {
        const char *comma = memchr(list, ',', list_n);
        size_t one = comma ? (size_t)(comma - list) : list_n;
        if (one == n && !memcmp(list, word, n))
            return true;
        size_t step = one + (comma != NULL);
        list += step;
        list_n -= step;
    }
    return false;
}

bool group_holds(const char *path, const struct proc *p)
{
    char text[GROUP_TEXT_MAX];
    struct group_line line;
    const char *at = text, *colon = path[0] == '/' ? NULL : strchr(path, ':');
    const char *want = colon ? colon + 1 : path;
    size_t n = strlen(want);
    while (n > 1 && want[n - 1] == '/')
        n--;
    if (procs_slurp(p, "cgroup", text, sizeof text) <= 0)
        return false;
    while (next_line(&at, &line)) {
        if (colon && !is_among(path, (size_t)(colon - path), line.controllers, line.controllers_n))
            continue;
        if (line.path_n >= n && !memcmp(line.path, want, n) &&
            (line.path_n == n || line.path[n] == '/'))
            return true;
    }
    return false;
}
