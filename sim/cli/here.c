/* Can this machine run it? */
#include "sim/cli/here.h"

#include "injectors/injector.h"
#include "sim/base/buf.h"
#include "sim/base/cleanup.h"
#include "sim/base/file.h"
#include "sim/base/text.h"
#include "sim/cli/command.h"
#include "sim/kernel/hostcaps.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Programs of well-known servers: the Debian package that has them, and whether they insist on
 * changing to another user or group, for which a rootless lab needs newuidmap, unless an argument
 * tells them to stay who they are. */
static const struct {
    const char *program, *package;
    bool needs_ids;
    const char *unless;
} here_known[] = {
    {"curl", "curl", false},
    {"dig", "bind9-dnsutils", false},
    {"dnsmasq", "dnsmasq-base", true, "--no-daemon"},
    {"etcd", "etcd-server", false},
    {"etcdctl", "etcd-client", false},
    {"haproxy", "haproxy", false},
    {"keepalived", "keepalived", false},
    {"nginx", "nginx-light", false},
    {"postgres", "postgresql", true},
    {"redis-cli", "redis-tools", false},
    {"redis-sentinel", "redis-sentinel", false},
    {"redis-server", "redis-server", false},
};

bool here_find(const char *program)
{
    /* As a host of a lab looks for it: daemons live in sbin. */
    const char *path = getenv("PATH");
    AUTO_BUF all = BUF_INIT;
    if (strchr(program, '/'))
        return true; /* may be one of the scenario's own files: the lab will tell */
    buf_printf(&all, "%s:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
               path ? path : "");
    for (char *p = all.text, *end; p; p = end ? end + 1 : NULL) {
        char full[PATH_MAX];
        end = strchr(p, ':');
        int n = end ? (int)(end - p) : (int)strlen(p);
        if (n && (size_t)snprintf(full, sizeof full, "%.*s/%s", n, p, program) < sizeof full &&
            access(full, X_OK) == 0)
            return true;
    }
    return false;
}

static bool here_has(char *const *argv, const char *argument)
{
    for (size_t i = 1; argument && argv[i]; i++)
        if (!strcmp(argv[i], argument))
            return true;
    return false;
}

static int here_unit(const struct host *h, const struct unit *u, const struct hostcaps *caps)
{
    char **argv = text_split_argv(u->command);
    int code = 0;
    if (!argv || !argv[0]) {
        text_free_argv(argv);
        return 0; /* `check` has said so already */
    }
    const char *name = text_basename(argv[0]);
    const char *package = NULL;
    bool needs_ids = false;
    for (size_t i = 0; i < ARRAY_SIZE(here_known); i++)
        if (!strcmp(here_known[i].program, name)) {
            package = here_known[i].package;
            needs_ids = here_known[i].needs_ids && !here_has(argv, here_known[i].unless);
        }
    if (!here_find(argv[0]) && package)
        code = say_error(EXIT_CANNOT_RUN,
                         "%s:%d:%d: host %s starts '%s', which is not installed here; on Debian: "
                         "apt install %s",
                         u->place.file, u->place.line, u->place.col, h->name, name, package);
    else if (!here_find(argv[0]))
        code =
            say_error(EXIT_CANNOT_RUN, "%s:%d:%d: host %s starts '%s', which is not installed here",
                      u->place.file, u->place.line, u->place.col, h->name, name);
    else if (needs_ids && !caps->is_root && caps->ids < 2)
        code = say_error(EXIT_CANNOT_RUN,
                         "%s:%d:%d: host %s starts '%s', which changes its user or group; without "
                         "root that needs newuidmap (Debian: apt install uidmap) and a range for "
                         "you in /etc/subuid and /etc/subgid, or run it as root",
                         u->place.file, u->place.line, u->place.col, h->name, name);
    text_free_argv(argv);
    return code;
}

static void here_say_why_no_lab(const struct hostcaps *caps)
{
    say_error(EXIT_CANNOT_RUN, "a lab cannot be built on this machine:");
    for (size_t i = 0; i < caps->n; i++)
        if (!caps->items[i].ok && caps->items[i].consequence)
            fprintf(stderr, "  %s: %s: %s\n", caps->items[i].name, caps->items[i].detail,
                    caps->items[i].consequence);
}

int here_check(const struct scenario *s, struct hostcaps **ret_caps)
{
    CLEANUP(hostcaps_free_p) struct hostcaps *caps = NULL;
    struct err err = ERR_INIT;
    if (hostcaps_probe(&caps, &err) < 0)
        return say_error(EXIT_CANNOT_RUN, "%s", err.text);
    if (!caps->lab_possible) {
        here_say_why_no_lab(caps);
        return EXIT_CANNOT_RUN;
    }
    int code = 0;
    const struct hostcap *time = hostcaps_find(caps, "time-namespaces");
    for (size_t i = 0; i < s->hosts.n; i++) {
        const struct host *h = s->hosts.items[i];
        if (nsec_is_set(lab_host_uptime(h)) && !time->ok)
            code =
                say_error(EXIT_CANNOT_RUN, "%s:%d:%d: host %s: 'uptime' needs time namespaces: %s",
                          h->place.file, h->place.line, h->place.col, h->name, time->detail);
        for (size_t k = 0; k < h->start.n; k++) {
            int c = here_unit(h, h->start.items[k], caps);
            code = code ? code : c;
        }
    }
    const struct network *network;
    if (lab_supported(s, caps, &network, &err) < 0)
        code = say_error(EXIT_CANNOT_RUN, "%s:%d:%d: network %s: %s", network->place.file,
                         network->place.line, network->place.col, network->name, err.text);
    struct inject_env env = {.scenario = s, .caps = caps};
    for (size_t i = 0; i < s->script.n; i++) {
        const struct step *step = s->script.items[i];
        if (scenario_is_exercise(s) && !step_is_machines(step))
            continue; /* people and stories need nothing here */
        if (injector_of(step)->supported(&env, step, &err) < 0)
            code = say_error(EXIT_CANNOT_RUN, "%s:%d:%d: step %s: %s", step->action_place.file,
                             step->action_place.line, step->action_place.col, step->id, err.text);
    }
    if (ret_caps && !code)
        *ret_caps = steal_ptr(caps);
    return code;
}

int here_open_source(const char *path)
{
    AUTO_FREE char *copy = strdup(path);
    char *slash = copy ? strrchr(copy, '/') : NULL;
    if (slash)
        slash[slash == copy ? 1 : 0] = '\0';
    return open(slash ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void here_command_line(json_t *list)
{
    AUTO_FREE char *text = NULL;
    size_t n, pos = 0;
    if (file_read(AT_FDCWD, "/proc/self/cmdline", 1 << 20, &text, &n, NULL) < 0)
        return;
    for (; pos < n; pos += strlen(text + pos) + 1) {
        json_t *word = json_string(text + pos);
        json_array_append_new(list, word ? word : json_string("?"));
    }
}
