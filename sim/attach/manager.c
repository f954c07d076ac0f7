/* systemd's manager over D-Bus. See manager.h. */
#include "sim/attach/manager.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define NAME "org.freedesktop.systemd1"
#define PATH "/org/freedesktop/systemd1"
#define MANAGER NAME ".Manager"
#define UNIT NAME ".Unit"
#define SERVICE NAME ".Service"
#define PRIVATE "/run/systemd/private"
#define NAME_MAX_LENGTH 255 /* UNIT_NAME_MAX */

struct manager {
    sd_bus *bus;
};

struct manager *manager_free(struct manager *m)
{
    if (!m)
        return NULL;
    sd_bus_flush_close_unref(m->bus);
    free(m);
    return NULL;
}

/* As systemctl does it: the private socket is there before the bus is, and after it. */
static int open_private(sd_bus **ret)
{
    sd_bus *bus = NULL;
    int r = sd_bus_new(&bus);
    if (r >= 0)
        r = sd_bus_set_address(bus, "unix:path=" PRIVATE);
    if (r >= 0)
        r = sd_bus_start(bus);
    if (r >= 0)
        *ret = bus;
    else
        sd_bus_unref(bus);
    return r < 0 ? r : 0;
}

int manager_open(struct manager **ret, struct err *err)
{
    sd_bus *bus = NULL;
    if (sd_booted() <= 0)
        return err_set(err, ENOENT,
                       "this machine was not started by systemd, so it has no units of it");
    int r = open_private(&bus);
    if (r < 0)
        r = sd_bus_open_system(&bus);
    if (r < 0)
        return err_errno(err, -r, "systemd cannot be asked");
    struct manager *m = calloc(1, sizeof *m);
    if (!m)
        abort();
    m->bus = bus;
    *ret = m;
    return 0;
}

/* --- Asking ----------------------------------------------------------------------------------- */

static int said(int r, sd_bus_error *error, const char *name, struct err *err)
{
    if (r < 0)
        err_set(err, -r, "systemd says of %s: %s", name,
                error->message ? error->message : strerror(-r));
    sd_bus_error_free(error);
    return r < 0 ? r : 0;
}

static int find(struct manager *m, const char *name, char **ret_path, struct err *err)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *answer = NULL;
    const char *path = NULL;
    int r = sd_bus_call_method(m->bus, NAME, PATH, MANAGER, "LoadUnit", &error, &answer, "s", name);
    if (r >= 0)
        r = sd_bus_message_read(answer, "o", &path);
    if (r >= 0 && !(*ret_path = strdup(path)))
        abort();
    sd_bus_message_unref(answer);
    return said(r, &error, name, err);
}

/* What is asked of one unit; the first failure stays. */
struct question {
    struct manager *m;
    const char *name, *path;
    int r;
    struct err *err;
};

static void ask_text(struct question *q, const char *interface, const char *member, char **ret)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    if (q->r == 0)
        q->r = said(
            sd_bus_get_property_string(q->m->bus, NAME, q->path, interface, member, &error, ret),
            &error, q->name, q->err);
}

static void ask_texts(struct question *q, const char *interface, const char *member, char ***ret)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    if (q->r == 0)
        q->r =
            said(sd_bus_get_property_strv(q->m->bus, NAME, q->path, interface, member, &error, ret),
                 &error, q->name, q->err);
}

static void ask_plain(struct question *q, const char *interface, const char *member, char type,
                      void *ret)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    if (q->r == 0)
        q->r = said(sd_bus_get_property_trivial(q->m->bus, NAME, q->path, interface, member, &error,
                                                type, ret),
                    &error, q->name, q->err);
}

static void ask_invocation(struct question *q, char ret[33])
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *answer = NULL;
    const void *id = NULL;
    size_t n = 0;
    if (q->r < 0)
        return;
    int r =
        sd_bus_get_property(q->m->bus, NAME, q->path, UNIT, "InvocationID", &error, &answer, "ay");
    if (r >= 0)
        r = sd_bus_message_read_array(answer, 'y', &id, &n);
    for (size_t i = 0; r >= 0 && i < n && i < 16; i++)
        snprintf(ret + 2 * i, 3, "%02x", ((const unsigned char *)id)[i]);
    sd_bus_message_unref(answer);
    q->r = said(r, &error, q->name, q->err);
}

static void ask_job(struct question *q, bool *ret)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *answer = NULL;
    uint32_t id = 0;
    const char *path;
    if (q->r < 0)
        return;
    int r = sd_bus_get_property(q->m->bus, NAME, q->path, UNIT, "Job", &error, &answer, "(uo)");
    if (r >= 0)
        r = sd_bus_message_read(answer, "(uo)", &id, &path);
    *ret = id != 0;
    sd_bus_message_unref(answer);
    q->r = said(r, &error, q->name, q->err);
}

void manager_service_done(struct manager_service *s)
{
    free(s->id);
    free(s->load);
    free(s->state);
    free(s->sub);
    free(s->result);
    free(s->cgroup);
    free(s->file);
    for (char **m = s->more; m && *m; m++)
        free(*m);
    free(s->more);
    *s = MANAGER_SERVICE_INIT;
}

int manager_service(struct manager *m, const char *name, struct manager_service *ret,
                    struct err *err)
{
    AUTO_MANAGER_SERVICE s = MANAGER_SERVICE_INIT;
    char *path = NULL;
    uint32_t pid = 0;
    int no_start = 0, no_stop = 0;
    int r = find(m, name, &path, err);
    if (r < 0)
        return r;
    struct question q = {.m = m, .name = name, .path = path, .err = err};
    ask_text(&q, UNIT, "Id", &s.id);
    ask_text(&q, UNIT, "LoadState", &s.load);
    ask_text(&q, UNIT, "ActiveState", &s.state);
    ask_text(&q, UNIT, "SubState", &s.sub);
    ask_text(&q, SERVICE, "Result", &s.result);
    ask_text(&q, SERVICE, "ControlGroup", &s.cgroup);
    ask_text(&q, UNIT, "FragmentPath", &s.file);
    ask_texts(&q, UNIT, "DropInPaths", &s.more);
    ask_plain(&q, SERVICE, "MainPID", 'u', &pid);
    ask_plain(&q, UNIT, "RefuseManualStart", 'b', &no_start);
    ask_plain(&q, UNIT, "RefuseManualStop", 'b', &no_stop);
    ask_invocation(&q, s.invocation);
    ask_job(&q, &s.busy);
    free(path);
    if (q.r < 0)
        return q.r;
    s.main = (pid_t)pid;
    s.by_hand = !no_start && !no_stop;
    *ret = s;
    s = MANAGER_SERVICE_INIT;
    return 0;
}

static const char *const methods[] = {
    [MANAGER_START] = "StartUnit", [MANAGER_STOP] = "StopUnit", [MANAGER_RESTART] = "RestartUnit"};

void manager_job_text(enum manager_job job, const char *name, struct buf *out)
{
    buf_printf(out, "%s(%s, replace)", methods[job], name);
}

int manager_job(struct manager *m, enum manager_job job, const char *name, struct err *err)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    return said(sd_bus_call_method(m->bus, NAME, PATH, MANAGER, methods[job], &error, NULL, "ss",
                                   name, "replace"),
                &error, name, err);
}

bool manager_is_service_name(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789:-_.\\@";
    static const char type[] = ".service";
    size_t n = strlen(name);
    return n > sizeof type - 1 && n <= NAME_MAX_LENGTH && strspn(name, allowed) == n &&
           strcmp(name + n - (sizeof type - 1), type) == 0;
}
