/* What a scenario must be beyond its types, so that a run of it can mean something. */
#include "scenarios/check.h"

#include "sim/watch/kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

struct place check_place(const struct scenario *s, ...)
{
    const struct node *node = s->tree;
    va_list ap;
    va_start(ap, s);
    for (const char *key; (key = va_arg(ap, const char *));) {
        const struct node *next = node_get(node, key);
        if (!next)
            break;
        node = next;
    }
    va_end(ap);
    return node->place;
}

struct place check_sentence_place(const struct node *map, const char *sentence,
                                  struct place otherwise)
{
    const char *end = *sentence == '\'' ? strchr(sentence + 1, '\'') : NULL;
    AUTO_FREE char *key = end ? strndup(sentence + 1, (size_t)(end - sentence - 1)) : NULL;
    const struct node *node = key ? node_get(map, key) : NULL;
    return node ? node->place : otherwise;
}

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

/* --- Services --- */

size_t check_probes_of(const struct scenario *s, const struct service *service, nsec *ret_coarsest)
{
    size_t n = 0;
    nsec coarsest = 0;
    for (size_t i = 0; i < s->probes.n; i++) {
        const struct probe *p = s->probes.items[i];
        if (!p->service || strcmp(p->service, service->name))
            continue;
        n++;
        if (probe_resolution(p) > coarsest)
            coarsest = probe_resolution(p);
    }
    *ret_coarsest = coarsest;
    return n;
}

/* A target that the probes cannot see in time says nothing. */
static void check_target(const struct scenario *s, const struct service *service, const char *key,
                         nsec target, nsec resolution, struct diags *diags)
{
    char t[NSEC_TEXT_MAX], r[NSEC_TEXT_MAX], least[NSEC_TEXT_MAX];
    nsec twice = nsec_add(resolution, resolution);
    if (!nsec_is_set(target) || target >= twice)
        return;
    diags_error(diags, check_place(s, "services", service->name, key, NULL),
                "the %s of %s (%s) is smaller than twice the resolution of its probes (%s: "
                "down_after x every + slow_after, or + timeout): probe more often, or promise at "
                "least %s",
                key, service->name, nsec_text(target, t), nsec_text(resolution, r),
                nsec_text(twice, least));
}

static bool alarm_is_about(const struct alarm *a, const struct service *service)
{
    return a->service && !strcmp(a->service, service->name);
}

/* How many alarms of this service have that role. */
static size_t alarms_with_role(const struct scenario *s, const struct service *service, int role)
{
    size_t n = 0;
    for (size_t i = 0; i < s->alarms.n; i++) {
        const struct alarm *a = s->alarms.items[i];
        n += alarm_is_about(a, service) && a->role == role;
    }
    return n;
}

static int role_index(const char *word)
{
    for (int i = 0; role_words[i]; i++)
        if (!strcmp(role_words[i], word))
            return i;
    return -1;
}

/* Can the alarms that count for a service's detection come at all? */
static void check_detection(const struct scenario *s, const struct service *service,
                            const char *key, struct diags *diags)
{
    struct place at = check_place(s, "services", service->name, key, NULL);
    const struct strv *by = service->detect ? &service->detect->by : NULL;
    for (size_t i = 0; by && i < by->n; i++) {
        const struct alarm *a = scenario_alarm(s, by->items[i]);
        int role = role_index(by->items[i]);
        if (a && !alarm_is_about(a, service))
            diags_error(diags, at, "the alarm '%s' is not about %s but about %s", a->name,
                        service->name, a->service);
        else if (role >= 0 && !alarms_with_role(s, service, role))
            diags_error(diags, at, "no alarm of %s has the role '%s'", service->name,
                        role_words[role]);
    }
    if ((!by || !by->n) && !alarms_with_role(s, service, ROLE_PAGE) &&
        !alarms_with_role(s, service, ROLE_MONITOR))
        diags_error(diags, at,
                    "no alarm of %s has the role page or monitor, so it can never be noticed: add "
                    "one, or name in detect_within.by what counts",
                    service->name);
}

static bool service_promises(const struct service *service)
{
    return nsec_is_set(service->rto) || service->detect || service->during_fault ||
           nsec_is_set(service->max_downtime);
}

/* Whether what it keeps promising during a fault can be told from the probes that there will be. */
static void check_during_fault(const struct scenario *s, const struct service *service,
                               struct diags *diags)
{
    const struct during_fault *p = service->during_fault;
    struct place at = check_place(s, "services", service->name, "during_fault", NULL);
    if (!p->success && !nsec_is_set(p->p50) && !nsec_is_set(p->p95) && !nsec_is_set(p->p99)) {
        diags_error(diags, at,
                    "'during_fault' promises nothing: it needs 'success', 'p50', 'p95' or "
                    "'p99'");
        return;
    }
    nsec slower = nsec_is_set(p->p99) ? p->p99 : NSEC_INF,
         slow = nsec_is_set(p->p95) ? p->p95 : slower;
    if (slow > slower || (nsec_is_set(p->p50) && p->p50 > slow))
        diags_error(
            diags, at,
            "p50, p95 and p99 are times that ever more answers must keep: a later one cannot "
            "be shorter");
    nsec from = s->horizon;
    for (size_t i = 0; i < s->script.n; i++) {
        const struct step *step = s->script.items[i];
        nsec begins = nsec_is_set(step->at) ? step->at : 0;
        if (step->fault && begins < from)
            from = begins;
    }
    double probes = 0;
    for (size_t i = 0; i < s->probes.n; i++) {
        const struct probe *probe = s->probes.items[i];
        if (probe->service && !strcmp(probe->service, service->name))
            probes += (double)(s->horizon - from) / (double)probe->every;
    }
    if (from < s->horizon && p->success > 0 && p->success < 1 && probes * (1 - p->success) < 1)
        diags_error(
            diags, check_place(s, "services", service->name, "during_fault", "success", NULL),
            "%s is probed at most %.0f times from the first fault to the horizon: that cannot "
            "tell %g %% from less; probe more often, or watch longer",
            service->name, probes, 100 * p->success);
}

static void check_expectation(const struct scenario *s, const struct service *service,
                              size_t probes, struct diags *diags)
{
    struct place at = check_place(s, "expect", service->name, NULL);
    bool written = false;
    for (size_t i = 0; i < s->expect.n; i++)
        written = written || !strcmp(s->expect.items[i].key, service->name);
    if (!written)
        return;
    if (!probes && service->expect != EXPECT_EITHER)
        diags_error(diags, at, "no probe measures %s, so nothing can be expected of it",
                    service->name);
    else if (probes && service->expect == EXPECT_AFFECTED && !scenario_has_fault(s))
        diags_error(diags, at, "nothing affects %s: the script has no fault", service->name);
}

static void check_service(const struct scenario *s, const struct service *service,
                          struct diags *diags)
{
    nsec resolution;
    size_t probes = check_probes_of(s, service, &resolution);
    char a[NSEC_TEXT_MAX], b[NSEC_TEXT_MAX];

    if (nsec_is_set(service->rto) && nsec_is_set(service->mtpd) && service->rto > service->mtpd)
        diags_error(diags, check_place(s, "services", service->name, "rto", NULL),
                    "the rto of %s (%s) is longer than its mtpd (%s)", service->name,
                    nsec_text(service->rto, a), nsec_text(service->mtpd, b));
    check_expectation(s, service, probes, diags);
    if (!probes) {
        /* a catalogue in a file of its own may hold services that are not rehearsed here */
        if (s->hosts.n && service_promises(service) && service->place.file == s->tree->place.file)
            diags_error(diags, service->place, "%s makes promises but no probe measures it",
                        service->name);
        return;
    }
    if (service->down_at_least > (int64_t)probes)
        diags_error(diags, check_place(s, "services", service->name, "down_when", NULL),
                    "%s has %zu %s: %d of them can never be down", service->name, probes,
                    probes == 1 ? "probe" : "probes", (int)service->down_at_least);
    check_target(s, service, "rto", service->rto, resolution, diags);
    check_target(s, service, "max_downtime", service->max_downtime, resolution, diags);
    if (service->during_fault)
        check_during_fault(s, service, diags);
    if (service->detect) {
        check_target(s, service, "detect_within", service->detect->within, resolution, diags);
        check_detection(s, service, "detect_within", diags);
    } else if (service->rto_clock == CLOCK_DETECTION) {
        check_detection(s, service, "rto_clock", diags);
    }
    if (service->rto_clock == CLOCK_DECLARATION && nsec_is_set(service->rto))
        diags_warning(diags, check_place(s, "services", service->name, "rto_clock", NULL),
                      "the rto of %s runs from the mark 'declared': somebody must run 'blackstart "
                      "mark declared' in each trial",
                      service->name);
}

/* --- Probes, alarms, hosts --- */

static void check_probe(const struct scenario *s, const struct probe *p, struct diags *diags)
{
    if (p->control && p->service)
        diags_error(diags, p->place,
                    "a control probe measures no service: remove 'service' or "
                    "'control'");
    if (s->hosts.n && !p->host)
        diags_error(diags, p->place, "this probe needs 'host': where it runs");
    if (!p->control && !p->service)
        diags_error(diags, p->place, "this probe needs 'service' (or 'control: true')");
    if (nsec_is_set(p->slow_after) && p->slow_after >= p->timeout)
        diags_error(diags, check_place(s, "probes", p->name, "slow_after", NULL),
                    "'slow_after' must be shorter than 'timeout'");
    const struct probe_kind *kind = p->kind->impl;
    struct err err = ERR_INIT;
    if (kind && kind->check && kind->check(s, p->params, &err) < 0)
        diags_error(diags, check_place(s, "probes", p->name, p->kind->name, NULL), "%s", err.text);
}

static const struct unit *host_unit(const struct host *h, const char *name)
{
    for (size_t i = 0; i < h->start.n; i++)
        if (!strcmp(((const struct unit *)h->start.items[i])->name, name))
            return h->start.items[i];
    return NULL;
}

static void say_no_output(const struct host *h, const char *output, struct place at,
                          struct diags *diags)
{
    const char *names[64];
    char quoted[DIAG_QUOTE_MAX], hint[DIAG_QUOTE_MAX + 24];
    size_t n = 0;
    for (; n < h->start.n && n < ARRAY_SIZE(names); n++)
        names[n] = ((const struct unit *)h->start.items[n])->name;
    diags_error(diags, at, "%s has no output named '%s'%s", h->name, diag_quote(output, quoted),
                diag_nearest(output, names, n, hint));
}

/* The role and the service of an alarm on our own probes, and the role of all others. */
static void check_own(const struct scenario *s, const struct alarm *a, struct diags *diags)
{
    bool own = alarm_is_own(a);
    struct place role_at = check_place(s, "alarms", a->name, "role", NULL);
    if (own && a->role != ROLE_OWN && s->hosts.n) /* without hosts its probes are somebody's */
        diags_error(diags, role_at, "the role of a %s is always own", a->kind->name);
    if (!own && a->role == ROLE_OWN)
        diags_error(
            diags, role_at,
            "only an alarm on our own probes (threshold, ratio, burn_rate) has the role own: "
            "this one is page, monitor or automation");
    if (!a->service && own)
        diags_error(diags, a->place, "the probe of this %s has no service", a->kind->name);
    else if (!a->service)
        diags_error(diags, a->place, "this alarm needs 'service'");
    if (!own || !a->service)
        return;
    const struct own_params *o = a->params;
    const struct probe *p = scenario_probe(s, o->probes.items[0]);
    if (p->service && strcmp(p->service, a->service))
        diags_error(diags, check_place(s, "alarms", a->name, "service", NULL),
                    "the probe of this %s measures %s, not %s", a->kind->name, p->service,
                    a->service);
}

static void check_alarm(const struct scenario *s, const struct alarm *a, struct diags *diags)
{
    size_t before = diags->n_errors;

    if (role_index(a->name) >= 0)
        diags_error(diags, a->place, "an alarm cannot be named '%s': that is a role", a->name);
    check_own(s, a, diags);
    /* a log of captured output: the parameters are sim/watch's, the tree has them too */
    const struct node *log = node_get(node_get(node_get(s->tree, "alarms"), a->name), "log");
    const struct node *host = node_get(log, "host"), *output = node_get(log, "output");
    const struct host *h = host && host->kind == NODE_SCALAR ? scenario_host(s, host->text) : NULL;
    if (h && output && output->kind == NODE_SCALAR && !host_unit(h, output->text))
        say_no_output(h, output->text, output->place, diags);
    const struct alarm_kind *kind = a->kind->impl;
    if (a->where.n && !kind->labelled)
        diags_error(diags, check_place(s, "alarms", a->name, "where", NULL),
                    "'where' chooses among alerts with labels, and a %s has none: remove it",
                    a->kind->name);
    if (diags->n_errors != before)
        return;
    struct err err = ERR_INIT;
    if (kind && kind->check && kind->check(s, a->params, &err) < 0)
        diags_error(diags, check_place(s, "alarms", a->name, a->kind->name, NULL), "%s", err.text);
}

static bool is_port(const char *text)
{
    unsigned long v = 0;
    size_t n = strspn(text, "0123456789");
    if (!n || n > 5 || text[n])
        return false;
    for (; *text; text++)
        v = v * 10 + (unsigned long)(*text - '0');
    return v >= 1 && v <= 65535;
}

static void check_ready(const struct scenario *s, const struct host *h, struct diags *diags)
{
    const struct ready *r = h->ready;
    struct place at = check_place(s, "hosts", h->name, "ready", NULL);
    char quoted[DIAG_QUOTE_MAX];
    if (!!r->tcp + !!r->command + !!r->output != 1) {
        diags_error(diags, at, "'ready' takes one of tcp, command, and output with match");
        return;
    }
    if (!!r->output != !!r->match)
        diags_error(diags, at, "'output' and 'match' belong together");
    if (r->output && !host_unit(h, r->output))
        say_no_output(h, r->output, check_place(s, "hosts", h->name, "ready", "output", NULL),
                      diags);
    if (!r->tcp)
        return;
    const char *colon = strrchr(r->tcp, ':');
    if (!is_port(colon ? colon + 1 : r->tcp))
        diags_error(diags, check_place(s, "hosts", h->name, "ready", "tcp", NULL),
                    "'%s' is neither a port (1 to 65535) nor ADDRESS:PORT",
                    diag_quote(r->tcp, quoted));
}

static void check_host(const struct scenario *s, const struct host *h, struct diags *diags)
{
    for (size_t i = 0; i < h->start.n; i++) {
        const struct unit *unit = h->start.items[i];
        const struct unit *first = host_unit(h, unit->name);
        if (first != unit)
            diags_error(diags, unit->place,
                        "%s has two outputs named '%s': give one command a 'name'", h->name,
                        unit->name);
    }
    for (size_t i = 0; i < h->env.n; i++) {
        const struct pair *p = &h->env.items[i];
        char quoted[DIAG_QUOTE_MAX];
        if (strchr(p->key, '='))
            diags_error(diags, p->place, "'%s' cannot be the name of an environment variable",
                        diag_quote(p->key, quoted));
    }
    if (h->ready)
        check_ready(s, h, diags);
    check_host_kind(s, h, diags);
}

static void check_maintenance(const struct scenario *s, const struct maintenance *m,
                              struct diags *diags)
{
    char a[NSEC_TEXT_MAX], b[NSEC_TEXT_MAX];
    size_t concerned = 0;
    if (!m->service == !m->alarm) {
        diags_error(diags, m->place,
                    "a maintenance is either of a 'service', with all its alarms, or of one "
                    "'alarm'");
        return;
    }
    for (size_t i = 0; i < s->alarms.n; i++)
        concerned += maintenance_concerns(m, s->alarms.items[i]);
    if (!concerned)
        diags_error(diags, m->place, "%s has no alarm that could be suppressed", m->service);
    if (m->from >= s->horizon)
        diags_error(diags, m->place,
                    "this maintenance begins at %s, after all is over (the horizon is %s)",
                    nsec_text(m->from, a), nsec_text(s->horizon, b));
    else if (nsec_add(m->from, m->lasting) >= s->horizon)
        diags_warning(
            diags, m->place,
            "this maintenance lasts to the end (the horizon is %s): that alarms come back "
            "after it will not be shown",
            nsec_text(s->horizon, b));
}

void check_scenario(const struct scenario *s, struct diags *diags)
{
    char a[NSEC_TEXT_MAX], b[NSEC_TEXT_MAX];
    for (size_t i = 0; i < s->services.n; i++)
        check_service(s, s->services.items[i], diags);
    check_networks(s, diags);
    for (size_t i = 0; i < s->hosts.n; i++)
        check_host(s, s->hosts.items[i], diags);
    for (size_t i = 0; i < s->probes.n; i++)
        check_probe(s, s->probes.items[i], diags);
    for (size_t i = 0; i < s->alarms.n; i++)
        check_alarm(s, s->alarms.items[i], diags);
    for (size_t i = 0; i < s->maintenance.n; i++)
        check_maintenance(s, s->maintenance.items[i], diags);
    nsec settles = nsec_add(s->settle->lasting, s->settle->spread);
    if (settles > s->settle->within)
        diags_error(diags, check_place(s, "settle", NULL),
                    "settling for %s cannot be reached within %s", nsec_text(settles, a),
                    nsec_text(s->settle->within, b));
    check_rebuilding(s, diags);
    check_script(s, diags);
    check_rails(s, diags);
    check_hooks(s, diags);
    check_loads(s, diags);
    check_forecast(s, diags);
    check_exercise(s, diags);
    check_trials(s, s->trials, diags);
}
