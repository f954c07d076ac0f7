/* The folder of a run. */
#include "sim/drill/folder.h"

#include "injectors/actions.h"
#include "injectors/params.h"

#include "sim/base/buf.h"
#include "sim/base/cleanup.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/base/rng.h"
#include "sim/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define FOLDER_EARLIER_MAX 200 /* attempts listed */

static void folder_new_id(char id[8])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    struct rng r = rng_stream(rng_fresh_seed(), "id", (uint64_t)getpid(), 0);
    for (int i = 0; i < 6; i++)
        id[i] = letters[rng_below(&r, i ? 36 : 26)];
    id[6] = '\0';
}

static bool folder_is_empty(int dirfd)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    AUTO_CLOSEDIR DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d)
        return false;
    for (struct dirent *e; (e = readdir(d));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
            return false;
    return true;
}

/* The first line of a record says which scenario it was of. */
static bool folder_is_attempt(int dirfd, const char *digest)
{
    AUTO_CLOSE int fd = openat(dirfd, "record.ndjson", O_RDONLY | O_CLOEXEC);
    AUTO_FCLOSE FILE *f = fd < 0 ? NULL : fdopen(dup(fd), "re");
    AUTO_FREE char *line = NULL;
    size_t room = 0;
    if (!f || getline(&line, &room, f) <= 0)
        return false;
    AUTO_JSON *o = NULL;
    if (jsonx_parse(line, strlen(line), "record", &o, NULL) < 0)
        return false;
    return !strcmp(jsonx_str(json_object_get(o, "scenario"), "digest", ""), digest);
}

static void folder_earlier(int parent, const char *name, const char *digest, json_t *list)
{
    AUTO_CLOSE int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || !folder_is_attempt(fd, digest))
        return;
    AUTO_FREE char *text = NULL;
    size_t n;
    AUTO_JSON *result = NULL;
    if (file_read(fd, "result.json", 64 << 20, &text, &n, NULL) == 0)
        (void)jsonx_parse(text, n, "result.json", &result, NULL);
    json_array_append_new(list, json_pack("{s:o,s:s,s:s}", "dir", jsonx_new_text(name), "status",
                                          jsonx_str(result, "status", "unfinished"), "verdict",
                                          jsonx_str(result, "verdict", "none")));
}

static int folder_by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static json_t *folder_attempts(const char *path, const char *digest)
{
    AUTO_FREE char *copy = strdup(path);
    char *slash = strrchr(copy, '/');
    const char *own = slash ? slash + 1 : copy;
    if (slash)
        *slash = '\0';
    const char *parent = !slash ? "." : *copy ? copy : "/";
    json_t *earlier = json_array();
    AUTO_CLOSE int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent **names = NULL;
    int n = fd < 0 ? 0 : scandirat(fd, ".", &names, NULL, folder_by_name);
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        if (name[0] != '.' && strcmp(name, own) && json_array_size(earlier) < FOLDER_EARLIER_MAX)
            folder_earlier(fd, name, digest, earlier);
        free(names[i]);
    }
    free(names);
    return json_pack("{s:I,s:o}", "n", (json_int_t)json_array_size(earlier) + 1, "earlier",
                     earlier);
}

/* files/HOST/… and files/SHA256SUMS, which `sha256sum -c` checks from inside files/. */
static int folder_sums(int dirfd, const char *path, struct buf *sums, struct err *err)
{
    struct stat st;
    if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno(err, errno, "cannot read %s", path);
    if (S_ISREG(st.st_mode)) {
        char hex[DIGEST_HEX];
        int rc = digest_file(dirfd, path, hex, err);
        if (rc == 0)
            buf_printf(sums, "%s  %s\n", hex, path + strlen("files/"));
        return rc;
    }
    if (!S_ISDIR(st.st_mode))
        return 0;
    struct dirent **names = NULL;
    int n = scandirat(dirfd, path, &names, NULL, folder_by_name), rc = 0;
    for (int i = 0; i < n; i++) {
        char below[PATH_MAX];
        const char *name = names[i]->d_name;
        if (rc == 0 && strcmp(name, ".") && strcmp(name, "..") &&
            (size_t)snprintf(below, sizeof below, "%s/%s", path, name) < sizeof below)
            rc = folder_sums(dirfd, below, sums, err);
        free(names[i]);
    }
    free(names);
    return rc;
}

static int folder_copy(int dirfd, const char *folder, const char *path, int source_dirfd,
                       struct buf *sums, struct err *err)
{
    char to[PATH_MAX];
    snprintf(to, sizeof to, "files/%s/%s", folder, path);
    int rc = file_copy_tree(source_dirfd, path, dirfd, to, err);
    return rc < 0 ? rc : folder_sums(dirfd, to, sums, err);
}

/* Distributions of the user's own: files/_scenario/…, which is no name of a host. */
static int folder_tables(int dirfd, const struct impaired *m, int source_dirfd, struct buf *sums,
                         struct err *err)
{
    const char *names[2];
    size_t n = impaired_files(m, names);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        char to[PATH_MAX];
        struct stat st;
        snprintf(to, sizeof to, "files/_scenario/%s", names[i]);
        if (fstatat(dirfd, to, &st, AT_SYMLINK_NOFOLLOW) < 0) /* else named twice */
            rc = folder_copy(dirfd, "_scenario", names[i], source_dirfd, sums, err);
    }
    return rc;
}

/* What comes with injects: files/_scenario/…, too. */
static int folder_attachments(int dirfd, const struct step *step, int source_dirfd,
                              struct buf *sums, struct err *err)
{
    const struct tell_params *p = step->params;
    int rc = 0;
    for (size_t i = 0; step_people(step) == PEOPLE_TELL && rc == 0 && i < p->attach.n; i++) {
        char to[PATH_MAX];
        struct stat st;
        snprintf(to, sizeof to, "files/_scenario/%s", p->attach.items[i]);
        if (fstatat(dirfd, to, &st, AT_SYMLINK_NOFOLLOW) < 0) /* else it came with another */
            rc = folder_copy(dirfd, "_scenario", p->attach.items[i], source_dirfd, sums, err);
    }
    return rc;
}

static int folder_files(int dirfd, const struct scenario *s, int source_dirfd, struct err *err)
{
    AUTO_BUF sums = BUF_INIT;
    int rc = 0;
    for (size_t i = 0; i < s->hosts.n; i++) {
        const struct host *h = s->hosts.items[i];
        for (size_t k = 0; rc == 0 && k < h->files.n; k++)
            rc = folder_copy(dirfd, h->name, h->files.items[k], source_dirfd, &sums, err);
    }
    for (size_t i = 0; rc == 0 && i < s->networks.n; i++)
        rc = folder_tables(dirfd, &((const struct network *)s->networks.items[i])->impaired,
                           source_dirfd, &sums, err);
    for (size_t i = 0; rc == 0 && i < s->script.n; i++) {
        const struct step *step = s->script.items[i];
        if (step->action == &inject_network)
            rc = folder_tables(dirfd, &((const struct network_params *)step->params)->impaired,
                               source_dirfd, &sums, err);
        if (rc == 0)
            rc = folder_attachments(dirfd, step, source_dirfd, &sums, err);
    }
    if (rc < 0 || !sums.len)
        return rc;
    return file_replace(dirfd, "files/SHA256SUMS", sums.text, sums.len, err);
}

/* Whoever owns the folder can put another one, or a link, in the place where root mounts and removes.
 * Under sudo the operator's own folder is as good as ours. */
static int folder_is_ours(int fd, const char *path, struct err *err)
{
    const char *sudo = getenv("SUDO_UID");
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, errno, "cannot look at %s", path);
    if (geteuid() != 0 || st.st_uid == 0 ||
        (sudo && *sudo && st.st_uid == (uid_t)strtoul(sudo, NULL, 10)))
        return 0;
    return err_set(err, EACCES,
                   "the folder %s belongs to another user (uid %u): name one that is not there yet",
                   path, (unsigned)st.st_uid);
}

/* The path that was given, or one that nobody has. */
static void folder_name(const char *path, const char *parent, const char *name, const char *id,
                        struct buf *out)
{
    if (path) {
        buf_adds(out, path);
        while (out->len > 1 && out->text[out->len - 1] == '/')
            out->text[--out->len] = '\0';
        return;
    }
    time_t now = nsec_now(CLOCK_REALTIME) / NSEC_SEC;
    struct tm tm;
    char stamp[32];
    gmtime_r(&now, &tm);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
    buf_printf(out, "%s/%s-%s-%s", parent, stamp, name, id);
}

int folder_make(const char *path, const char *parent, const char *name, const char *yaml,
                struct folder *ret, struct err *err)
{
    struct folder f = {.dirfd = -1};
    AUTO_BUF where = BUF_INIT;
    folder_new_id(f.id);
    folder_name(path, parent, name, f.id, &where);
    int rc = file_make_dirs(AT_FDCWD, buf_text(&where), 0755, err);
    if (rc < 0)
        return rc;
    AUTO_CLOSE int fd = open(buf_text(&where), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "cannot open %s", buf_text(&where));
    if ((rc = folder_is_ours(fd, buf_text(&where), err)) < 0)
        return rc;
    if (!folder_is_empty(fd))
        return err_set(err, EEXIST,
                       "the folder %s is not empty: each run needs a folder of its own",
                       buf_text(&where));
    digest_sha256(yaml, strlen(yaml), f.digest);
    rc = file_replace(fd, "scenario.yaml", yaml, strlen(yaml), err);
    if (rc < 0)
        return rc;
    f.attempt = folder_attempts(buf_text(&where), f.digest);
    f.path = buf_steal(&where);
    f.dirfd = steal_fd(&fd);
    *ret = f;
    return 0;
}

int folder_open(const char *path, const struct scenario *s, int source_dirfd, const char *yaml,
                struct folder *ret, struct err *err)
{
    struct folder f;
    int rc =
        folder_make(path, scenario_is_exercise(s) ? "exercises" : "drills", s->name, yaml, &f, err);
    if (rc < 0)
        return rc;
    rc = folder_files(f.dirfd, s, source_dirfd, err);
    if (rc < 0) {
        folder_done(&f);
        return rc;
    }
    *ret = f;
    return 0;
}

void folder_done(struct folder *f)
{
    free(f->path);
    if (f->dirfd >= 0)
        close(f->dirfd);
    json_decref(f->attempt);
    *f = (struct folder){.dirfd = -1};
}

static void folder_distribution(char name[128])
{
    AUTO_FREE char *text = NULL;
    size_t n;
    snprintf(name, 128, "unknown");
    if (file_read(AT_FDCWD, "/etc/os-release", 65536, &text, &n, NULL) < 0)
        return;
    char *p = strstr(text, "PRETTY_NAME=");
    if (!p)
        return;
    p += strlen("PRETTY_NAME=");
    p += *p == '"';
    snprintf(name, 128, "%.*s", (int)strcspn(p, "\"\n"), p);
}

json_t *folder_environment(bool rootless)
{
    struct utsname u;
    char distribution[128];
    uname(&u);
    folder_distribution(distribution);
    return json_pack("{s:o,s:s,s:I,s:o,s:o,s:b,s:b}", "kernel", jsonx_new_text(u.release),
                     "machine", u.machine, "cpus", (json_int_t)sysconf(_SC_NPROCESSORS_ONLN),
                     "distribution", jsonx_new_text(distribution), "hostname",
                     jsonx_new_text(u.nodename), "root", !rootless && geteuid() == 0, "rootless",
                     rootless);
}

char *folder_operator(uid_t *ret_uid)
{
    uid_t uid = getuid();
    *ret_uid = uid;
    const char *sudo = getenv("SUDO_USER");
    if (uid == 0 && sudo && *sudo)
        return strdup(sudo);
    struct passwd *p = getpwuid(uid);
    if (p)
        return strdup(p->pw_name);
    char number[24];
    snprintf(number, sizeof number, "uid %u", (unsigned)uid);
    return strdup(number);
}
