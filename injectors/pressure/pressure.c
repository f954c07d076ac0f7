/* pressure: a host runs short of processor time, memory, a disk's time, room on a file system, or file
 * descriptors. See the parts in part.h.
 *
 * On hosts of the lab all of it dies with the host. On hosts that others made what needs processes of
 * ours is done in their control groups, if they have some of their own (guest.h); what lies on their file
 * systems is kept in the journal, also over a reboot.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "injectors/actions.h"
#include "injectors/injector.h"
#include "injectors/params.h"
#include "injectors/pressure/part.h"
#include "injectors/pressure/place.h"
#include "injectors/pressure/users.h"
#include "injectors/process/targets.h"
#include "injectors/touch.h"
#include "sim/attach/attach.h"
#include "sim/base/jsonx.h"
#include "sim/base/units.h"
#include "sim/lab/deed.h"

struct pressed {
    struct stress stress;
    struct disk disk;
    struct files files;
};

struct pressure_state {
    const struct pressure_params *params;
    struct targets targets;
    struct pressed *items; /* one per host */
};

static int check_disk(const struct pressure_disk *d, struct err *err)
{
    if (!d)
        return 0;
    if (d->path[0] != '/')
        return err_set(err, EINVAL, "'disk' needs an absolute 'path', as seen in the host");
    if ((d->fill > 0) == (d->leave > 0))
        return err_set(err, EINVAL, "'disk' needs one of 'fill: 95%%' and 'leave: 50MB'");
    return 0;
}

static int pressure_check(const struct scenario *s, const struct step *step, struct err *err)
{
    const struct pressure_params *p = step->params;
    const struct host *h = p->host->host ? scenario_host(s, p->host->host) : NULL;
    bool stressed = p->cpu || p->memory || p->io;
    int n = stressed + (p->disk != NULL) + (p->files != NULL);
    int r = inject_target_check(p->host, "host", err);
    if (r < 0)
        return r;
    if (n == 0)
        return err_set(err, EINVAL,
                       "give at least one of 'cpu', 'memory', 'io', 'disk' and 'files'");
    if (p->memory && (p->memory->size > 0) == (p->memory->percent > 0))
        return err_set(err, EINVAL, "'memory' needs one of 'size: 512MB' and 'percent: 80%%'");
    if (h && h->lab && p->io)
        return err_set(err, EINVAL,
                       "'io' is for hosts that others made: what %s writes ends in memory, and the "
                       "machine's disks are read-only in the lab",
                       h->name);
    if (p->io && p->io->path[0] != '/')
        return err_set(err, EINVAL, "'io' needs an absolute 'path', as seen in the host");
    if (h && !h->lab && n > 1)
        return err_set(err, EINVAL,
                       "%s was made by others: one step for what stress-ng does ('cpu', 'memory', "
                       "'io'), one for 'disk' and one for 'files', each is undone by itself",
                       h->name);
    return check_disk(p->disk, err);
}

static bool is_installed(const char *program)
{
    const char *path = getenv("PATH");
    AUTO_BUF all = BUF_INIT;
    buf_printf(&all, "%s:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
               path ? path : "");
    for (char *p = all.text, *end; p; p = end ? end + 1 : NULL) {
        AUTO_BUF full = BUF_INIT;
        end = strchr(p, ':');
        int n = end ? (int)(end - p) : (int)strlen(p);
        buf_printf(&full, "%.*s/%s", n, p, program);
        if (n > 0 && access(buf_text(&full), X_OK) == 0)
            return true;
    }
    return false;
}

static int pressure_supported(const struct inject_env *env, const struct step *step,
                              struct err *err)
{
    const struct pressure_params *p = step->params;
    const char *what = p->cpu ? "cpu" : p->memory ? "memory" : p->io ? "io" : NULL;
    if (env->caps && what && !is_installed("stress-ng"))
        return err_set(err, EOPNOTSUPP,
                       "pressure on %s needs the program stress-ng, which is not installed "
                       "(Debian's package: stress-ng)",
                       what);
    return 0;
}

static void plan_text(const struct pressure_params *p, struct buf *out)
{
    char text[UNITS_TEXT_MAX];
    if (p->cpu) {
        if (p->cpu->workers)
            buf_printf(out, ", %lld workers", (long long)p->cpu->workers);
        else
            buf_adds(out, ", a worker for each processor");
        buf_printf(out, " at %d %% by stress-ng", (int)(p->cpu->load * 100 + 0.5));
    }
    if (p->memory && p->memory->size)
        buf_printf(out, ", %s of memory held by stress-ng", units_size_text(p->memory->size, text));
    else if (p->memory)
        buf_printf(out,
                   ", %d %% of the memory that is available beyond the reserve held by stress-ng",
                   (int)(p->memory->percent * 100 + 0.5));
    if (p->io)
        buf_printf(out, ", the disk of %s written to by %lld workers of stress-ng", p->io->path,
                   (long long)p->io->workers);
    if (p->disk && p->disk->fill > 0)
        buf_printf(out, ", the file system of %s filled to %d %% by one file", p->disk->path,
                   (int)(p->disk->fill * 100 + 0.5));
    else if (p->disk)
        buf_printf(out, ", the file system of %s filled by one file but for %s", p->disk->path,
                   units_size_text(p->disk->leave, text));
    if (p->files)
        buf_printf(out, ", %s%s limited to %lld files more than they have open",
                   p->files->process ? "process " : "every process",
                   p->files->process ? p->files->process : "", (long long)p->files->leave);
}

/* On one host what one part does, and (undo) how it is taken back, in the order of a run. */
struct planning {
    const struct pressure_params *params;
    const struct step *step;
    const char *host;
    bool guest;
    json_t *texts;
};

static void plan_deed(const struct planning *p, const char *deed)
{
    inject_plan_deed(p->params->host, p->host, "", deed, p->texts);
}

static void plan_files(const struct planning *p, bool undo)
{
    const struct pressure_files *files = p->params->files;
    AUTO_BUF each = BUF_INIT, text = BUF_INIT;
    char limit[64];
    if (!files)
        return;
    snprintf(limit, sizeof limit, "<so low that %lld are left>", (long long)files->leave);
    const struct match_rule rule = {.process = files->process};
    buf_adds(&each, "each: ");
    match_rule_text(&rule, &each);
    files_deed(undo ? NULL : limit, undo ? TARGETS_THE_SAME : buf_text(&each), &text);
    plan_deed(p, buf_text(&text));
}

static void plan_disk(const struct planning *p, bool undo)
{
    const struct pressure_disk *disk = p->params->disk;
    AUTO_BUF name = BUF_INIT, text = BUF_INIT;
    char size[96], left[UNITS_TEXT_MAX];
    if (!disk)
        return;
    buf_printf(&name, ".blackstart-%s-%.60s", DEED_RUN, p->step->id);
    if (disk->fill > 0)
        snprintf(size, sizeof size, "<until %d %% of it are taken>", (int)(disk->fill * 100 + 0.5));
    else
        snprintf(size, sizeof size, "<all but %s>", units_size_text(disk->leave, left));
    disk_deed(disk->path, buf_text(&name), undo ? NULL : size, &text);
    plan_deed(p, buf_text(&text));
}

static void plan_io(const struct planning *p, bool undo)
{
    AUTO_BUF name = BUF_INIT, text = BUF_INIT;
    if (!p->params->io)
        return;
    buf_printf(&name, ".blackstart-%s-%.60s", DEED_RUN, p->step->id);
    churn_deed(p->params->io->path, buf_text(&name), undo, &text);
    plan_deed(p, buf_text(&text));
}

static void plan_stress(const struct planning *p, bool undo)
{
    AUTO_BUF command = BUF_INIT, text = BUF_INIT;
    if (!p->params->cpu && !p->params->memory && !p->params->io)
        return;
    stress_plan(p->params, p->guest, &command);
    if (!undo)
        deed_run(buf_text(&command), &text);
    else
        deed_signal(SIGKILL, p->guest ? STRESS_GUEST : "each: process " STRESS_NAME, &text);
    plan_deed(p, buf_text(&text));
}

static void plan_parts(const struct inject_env *env, const struct step *step, bool undo,
                       json_t *texts)
{
    const struct pressure_params *params = step->params;
    for (size_t i = 0; inject_candidate(params->host, i); i++) {
        const char *host = inject_candidate(params->host, i);
        const struct host *h = scenario_host(env->scenario, host);
        const struct planning p = {params, step, host, h && host_is_attached(h), texts};
        if (undo) {
            plan_stress(&p, true);
            plan_io(&p, true);
            plan_disk(&p, true);
            plan_files(&p, true);
        } else {
            plan_files(&p, false);
            plan_disk(&p, false);
            plan_io(&p, false);
            plan_stress(&p, false);
        }
    }
}

static int pressure_plan(const struct inject_env *env, const struct step *step, json_t *texts,
                         struct err *err)
{
    const struct pressure_params *p = step->params;
    AUTO_FREE char *host = inject_target_text(p->host);
    AUTO_BUF text = BUF_INIT;
    buf_printf(&text, "host %s", host);
    plan_text(p, &text);
    buf_adds(&text, "; undone by ending, removing and setting back the same");
    json_array_append_new(texts, json_string(buf_text(&text)));
    plan_parts(env, step, false, texts);
    json_array_append_new(texts, json_string(INJECT_PLAN_UNDO));
    plan_parts(env, step, true, texts);
    return 0;
}

static int pressure_users(const struct step *step, const struct attached_host *h, json_t *texts,
                          struct err *err)
{
    const struct pressure_params *p = step->params;
    int r = p->disk ? users_describe(h, p->disk->path, texts, err) : 0;
    return r == 0 && p->io ? users_describe(h, p->io->path, texts, err) : r;
}

static void pressure_done(void *state)
{
    struct pressure_state *st = state;
    if (!st)
        return;
    for (size_t i = 0; st->items && i < st->targets.n; i++) {
        stress_done(&st->items[i].stress);
        disk_done(&st->items[i].disk);
        files_done(&st->items[i].files);
    }
    free(st->items);
    targets_done(&st->targets);
    free(st);
}

static void pressure_free(struct pressure_state **st)
{
    pressure_done(*st);
}

static int prepare_on(struct inject_env *env, const struct step *step, const char *host,
                      struct pressed *one, json_t *records, struct err *err)
{
    const struct pressure_params *p = step->params;
    struct lab_node *n = lab_node(env->lab, host);
    if (!n || !lab_node_is_up(n))
        return err_set(err, ESRCH, "host '%s' is down: there is nothing to press on", host);
    json_t *record = json_pack("{s:s,s:i}", "host", host, "init",
                               lab_node_attached(n) ? 0 : (int)lab_node_pid(n));
    json_array_append_new(records, record);
    int r = stress_prepare(&one->stress, n, p, env->run_id, step->id, record, err);
    if (r == 0)
        r = disk_prepare(&one->disk, n, p->disk, env->run_id, step->id, record, err);
    return r == 0 ? files_prepare(&one->files, n, p->files, record, err) : r;
}

static int pressure_prepare(struct inject_env *env, const struct step *step, void **ret_state,
                            json_t **ret_undo, struct err *err)
{
    const struct pressure_params *p = step->params;
    CLEANUP(pressure_free) struct pressure_state *st = calloc(1, sizeof *st);
    AUTO_JSON *records = json_array();
    if (!st)
        return err_errno(err, ENOMEM, "preparing pressure");
    st->params = p;
    int r = targets_choose(env, p->host, &st->targets, err);
    if (r < 0)
        return r;
    st->items = calloc(st->targets.n + 1, sizeof *st->items);
    if (!st->items)
        return err_errno(err, ENOMEM, "preparing pressure");
    for (size_t i = 0; i < st->targets.n; i++)
        st->items[i] =
            (struct pressed){.stress.churn = {.root = -1, .folder = -1}, .disk.root = -1};
    bool lasts = false;
    for (size_t i = 0; i < st->targets.n; i++) {
        r = prepare_on(env, step, st->targets.hosts[i], &st->items[i], records, err);
        if (r < 0)
            return r;
        const json_t *record = json_array_get(records, i);
        lasts = lasts || place_lasts(record) || place_lasts(json_object_get(record, "io"));
    }
    *ret_undo = json_pack("{s:O,s:b}", "hosts", records, "persistent", lasts);
    *ret_state = steal_ptr(st);
    return 0;
}

static int pressure_apply(struct inject_env *env, void *state, struct inject_result *ret,
                          struct err *err)
{
    struct pressure_state *st = state;
    AUTO_JSON *changes = json_array();
    struct span at = {nsec_now(CLOCK_MONOTONIC), 0};
    for (size_t i = 0; i < st->targets.n; i++) {
        struct pressed *one = &st->items[i];
        int r = files_limit(&one->files, changes, err);
        if (r == 0)
            r = disk_fill(&one->disk, changes, err);
        if (r == 0)
            r = stress_start(&one->stress, env, changes, err);
        if (r < 0)
            return r;
    }
    at.hi = nsec_now(CLOCK_MONOTONIC);
    *ret = targets_result(&st->targets, at, changes);
    return 0;
}

/* Made by others, and ended by them or by another step. */
static bool has_gone(const struct lab_node *n)
{
    const struct attached_host *a = lab_node_attached(n);
    return a && attached_is_there(a, NULL) == -ESRCH;
}

static int pressure_verify(struct inject_env *env, void *state, struct inject_proof *ret,
                           struct err *err)
{
    struct pressure_state *st = state;
    struct inject_proof p = {.ok = true, .at = {nsec_now(CLOCK_MONOTONIC), 0}};
    AUTO_BUF asked = BUF_INIT, seen = BUF_INIT;
    for (size_t i = 0; i < st->targets.n; i++) {
        struct pressed *one = &st->items[i];
        struct lab_node *n = lab_node(env->lab, st->targets.hosts[i]);
        if (!n || !lab_node_is_up(n) || has_gone(n))
            continue; /* without power it has no processor time at all */
        int r = stress_verify(&one->stress, env->decide, &p.ok, &asked, &seen, err);
        if (r == 0)
            r = disk_verify(&one->disk, &p.ok, &asked, &seen, err);
        if (r == 0)
            r = files_verify(&one->files, &p.ok, &asked, &seen, err);
        if (r != 0)
            return r;
    }
    p.at.hi = nsec_now(CLOCK_MONOTONIC);
    snprintf(p.asked, sizeof p.asked, "%.250s", buf_text(&asked));
    snprintf(p.seen, sizeof p.seen, "%.250s", buf_text(&seen));
    snprintf(p.how, sizeof p.how, "the processes' own accounts, statfs(2) and limits, by /proc");
    *ret = p;
    return 0;
}

static int pressure_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                           struct err *err)
{
    AUTO_JSON *changes = json_array();
    struct span at = {nsec_now(CLOCK_MONOTONIC), 0};
    size_t i;
    const json_t *record;
    json_array_foreach (json_object_get(undo, "hosts"), i, record) {
        struct lab_node *n = targets_node_up(env, record);
        int64_t init = jsonx_int(record, "init", 0);
        if (init && (!n || (int64_t)lab_node_pid(n) != init))
            continue; /* the host has died, and all of it with it */
        int r = stress_undo(n, record, changes, err);
        if (r == 0)
            r = churn_undo(n, record, changes, err);
        if (r == 0)
            r = disk_undo(n, record, changes, err);
        if (r == 0)
            r = files_undo(n, record, changes, err);
        if (r < 0)
            return r;
    }
    at.hi = nsec_now(CLOCK_MONOTONIC);
    *ret = (struct inject_result){.at = at, .changes = json_incref(changes)};
    return 0;
}

static const struct field cpu_fields[] = {
    {.key = "workers",
     .type = FIELD_INTEGER,
     .min = 0,
     .max = 1024,
     .offset = offsetof(struct pressure_cpu, workers),
     .help = "How many processes compute; 0: one for each processor.",
     .example = "2"},
    {.key = "load",
     .type = FIELD_PERCENT,
     .dflt = "100%",
     .offset = offsetof(struct pressure_cpu, load),
     .help = "How much of a processor each takes.",
     .example = "80%"},
    {.key = NULL},
};
static const struct record cpu_record = {.name = "cpu",
                                         .summary = "Processor time is taken.",
                                         .size = sizeof(struct pressure_cpu),
                                         .fields = cpu_fields,
                                         .name_offset = SIZE_MAX,
                                         .place_offset = SIZE_MAX,
                                         .variant_place_offset = SIZE_MAX};

static const struct field memory_fields[] = {
    {.key = "size",
     .type = FIELD_SIZE,
     .min = 1 << 20,
     .max = INT64_C(1) << 50,
     .offset = offsetof(struct pressure_memory, size),
     .help = "So much is held.",
     .example = "512MB"},
    {.key = "percent",
     .type = FIELD_PERCENT,
     .offset = offsetof(struct pressure_memory, percent),
     .help = "So much is held of what is available beyond the reserve (a tenth of all, 256 MiB at "
             "least).",
     .example = "80%"},
    {.key = NULL},
};
static const struct record memory_record = {.name = "memory",
                                            .summary = "Memory is held.",
                                            .size = sizeof(struct pressure_memory),
                                            .fields = memory_fields,
                                            .name_offset = SIZE_MAX,
                                            .place_offset = SIZE_MAX,
                                            .variant_place_offset = SIZE_MAX};

static const struct field io_fields[] = {
    {.key = "path",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct pressure_io, path),
     .help = "A folder on a disk, as seen in the host: there is written, in a folder of ours.",
     .example = "/var/lib/postgresql"},
    {.key = "workers",
     .type = FIELD_INTEGER,
     .min = 1,
     .max = 64,
     .dflt = "1",
     .offset = offsetof(struct pressure_io, workers),
     .help = "How many processes write.",
     .example = "4"},
    {.key = "size",
     .type = FIELD_SIZE,
     .min = 1 << 20,
     .max = INT64_C(1) << 40,
     .dflt = "64MB",
     .offset = offsetof(struct pressure_io, size),
     .help = "How large the file of each is, which it writes over and over.",
     .example = "256MB"},
    {.key = NULL},
};
static const struct record io_record = {.name = "io",
                                        .summary = "A disk is kept busy.",
                                        .size = sizeof(struct pressure_io),
                                        .fields = io_fields,
                                        .name_offset = SIZE_MAX,
                                        .place_offset = SIZE_MAX,
                                        .variant_place_offset = SIZE_MAX};

static const struct field disk_fields[] = {
    {.key = "path",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct pressure_disk, path),
     .help = "A folder, as seen in the host: its file system is filled.",
     .example = "/var/lib/postgresql"},
    {.key = "fill",
     .type = FIELD_PERCENT,
     .offset = offsetof(struct pressure_disk, fill),
     .help = "Until so much of it is used.",
     .example = "95%"},
    {.key = "leave",
     .type = FIELD_SIZE,
     .min = 1,
     .max = INT64_C(1) << 60,
     .offset = offsetof(struct pressure_disk, leave),
     .help = "Until so much of it is left.",
     .example = "50MB"},
    {.key = NULL},
};
static const struct record disk_record = {.name = "disk",
                                          .summary = "A file system is filled.",
                                          .size = sizeof(struct pressure_disk),
                                          .fields = disk_fields,
                                          .name_offset = SIZE_MAX,
                                          .place_offset = SIZE_MAX,
                                          .variant_place_offset = SIZE_MAX};

static const struct field files_fields[] = {
    {.key = "leave",
     .type = FIELD_INTEGER,
     .flags = FIELD_REQUIRED,
     .min = 0,
     .max = 1 << 20,
     .offset = offsetof(struct pressure_files, leave),
     .help = "So many files more than they have open may processes open; then EMFILE.",
     .example = "5"},
    {.key = "process",
     .type = FIELD_TEXT,
     .offset = offsetof(struct pressure_files, process),
     .help = "Only processes of this name, as for `kill`; without it every process of the host.",
     .example = "postgres"},
    {.key = NULL},
};
static const struct record files_record = {.name = "files",
                                           .summary = "File descriptors run out.",
                                           .size = sizeof(struct pressure_files),
                                           .fields = files_fields,
                                           .name_offset = SIZE_MAX,
                                           .place_offset = SIZE_MAX,
                                           .variant_place_offset = SIZE_MAX};

static const struct field pressure_fields[] = {
    TARGETS_HOST_FIELD(offsetof(struct pressure_params, host), "db1"),
    {.key = "cpu",
     .type = FIELD_OBJECT,
     .record = &cpu_record,
     .offset = offsetof(struct pressure_params, cpu),
     .help = "Processor time is taken by stress-ng.",
     .example = "{workers: 2, load: 80%}"},
    {.key = "memory",
     .type = FIELD_OBJECT,
     .record = &memory_record,
     .offset = offsetof(struct pressure_params, memory),
     .help = "Memory is held by stress-ng, which dies first when it runs out.",
     .example = "{size: 512MB}"},
    {.key = "io",
     .type = FIELD_OBJECT,
     .record = &io_record,
     .offset = offsetof(struct pressure_params, io),
     .help = "A disk is written to by stress-ng without a pause; on hosts that others made.",
     .example = "{path: /var/lib/postgresql, workers: 4}"},
    {.key = "disk",
     .type = FIELD_OBJECT,
     .record = &disk_record,
     .offset = offsetof(struct pressure_params, disk),
     .help =
         "A file system is filled by one file; of one that is not the host's own 5 %, 256 MiB at "
         "least, stay free.",
     .example = "{path: /var/lib/postgresql, leave: 1MB}"},
    {.key = "files",
     .type = FIELD_OBJECT,
     .record = &files_record,
     .offset = offsetof(struct pressure_params, files),
     .help = "Processes reach their limit of open files.",
     .example = "{process: postgres, leave: 5}"},
    {.key = NULL},
};

static const struct record pressure_record = {
    .name = "pressure",
    .summary = "A host runs short of something.",
    .size = sizeof(struct pressure_params),
    .fields = pressure_fields,
    .name_offset = SIZE_MAX,
    .place_offset = SIZE_MAX,
    .variant_place_offset = SIZE_MAX,
};

/* Of hosts of the lab nothing: what is in them ends with them. */
static void pressure_touches(const json_t *undo, json_t *ret)
{
    size_t i, k;
    const json_t *record, *proc;
    json_array_foreach (json_object_get(undo, "hosts"), i, record) {
        const char *host = jsonx_str(record, "host", "?");
        json_t *io = json_object_get(record, "io"), *guest = json_object_get(record, "guest");
        if (jsonx_int(record, "init", 0))
            continue;
        if (json_object_get(record, "folder"))
            touch_file(ret, host, record, jsonx_str(record, "folder", "/"),
                       jsonx_str(record, "file", ""));
        if (io)
            touch_file(ret, host, io, jsonx_str(io, "folder", "/"), jsonx_str(io, "name", ""));
        if (guest)
            touch_process(ret, host, guest, TOUCH_ALIVE, 0);
        json_array_foreach (json_object_get(record, "procs"), k, proc)
            touch_process(ret, host, proc, TOUCH_LIMITED, jsonx_int(proc, "soft", 0));
    }
}

static const struct injector pressure_injector = {
    .name = "pressure",
    .is_fault = true,
    .lasts = true,
    .holds = true,
    .attaches = ATTACH_PROCESSES,
    .check = pressure_check,
    .supported = pressure_supported,
    .plan = pressure_plan,
    .users = pressure_users,
    .prepare = pressure_prepare,
    .apply = pressure_apply,
    .verify = pressure_verify,
    .revert = pressure_revert,
    .touches = pressure_touches,
    .done = pressure_done,
};

const struct variant inject_pressure = {
    .name = "pressure",
    .summary = "A host runs short of processor time, memory, a disk's time or space, or file "
               "descriptors.",
    .detail = "Processor time, memory and a disk's time are taken by stress-ng inside the host (or "
              "the control group of one that others made), a file system is "
              "filled by one file, processes get a lower limit of open files. A reserve of memory "
              "and of file systems that are not the host's own is never touched. Undone by ending, "
              "removing and setting back the same.",
    .params = &pressure_record,
    .impl = &pressure_injector,
};
