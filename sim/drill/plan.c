/* The dry run: the same encoders through a recording transport. */
#include "sim/drill/plan.h"

#include "sim/drill/notice.h"

#include "injectors/injector.h"
#include "sim/attach/kind.h"
#include "sim/base/cleanup.h"
#include "sim/base/jsonx.h"
#include "sim/kernel/nl.h"
#include "sim/lab/deed.h"
#include "sim/lab/lab.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static void plan_condition(const struct condition *c, struct buf *b)
{
    const char *sep = "";
    if (c->alarm) {
        buf_printf(b, "the alarm %s fired", c->alarm);
        sep = " and ";
    }
    if (c->probe) {
        buf_printf(b, "%sthe probe %s is down", sep, c->probe);
        sep = " and ";
    }
    if (c->operator_word) {
        buf_printf(b, "%sthe operator said '%s'", sep, c->operator_word);
        sep = " and ";
    }
    if (c->step) {
        buf_printf(b, "%sthe step %s was done", sep, c->step);
        sep = " and ";
    }
    for (size_t i = 0; i < c->all.n; i++) {
        buf_adds(b, sep);
        plan_condition(c->all.items[i], b);
        sep = " and ";
    }
    for (size_t i = 0; i < c->any.n; i++) {
        buf_adds(b, i ? " or " : sep);
        plan_condition(c->any.items[i], b);
    }
}

char *plan_when(const struct step *step)
{
    char a[NSEC_TEXT_MAX];
    struct buf b = BUF_INIT;
    if (nsec_is_set(step->at)) {
        buf_printf(&b, "%s after settling", nsec_text(step->at, a));
    } else if (step->when) {
        if (step->after > 0)
            buf_printf(&b, "%s after ", nsec_text(step->after, a));
        else
            buf_adds(&b, "as soon as ");
        plan_condition(step->when, &b);
    }
    if (nsec_is_set(step->lasting))
        buf_printf(&b, ", for %s", nsec_text(step->lasting, a));
    if (step->until) {
        buf_adds(&b, ", until ");
        plan_condition(step->until, &b);
    }
    if (!nsec_is_set(step->lasting) && !step->until && injector_of(step)->lasts)
        buf_adds(&b, ", to the end of the trial");
    return buf_steal(&b);
}

static void plan_recorded(const struct nl *nl, size_t from, json_t *texts)
{
    for (size_t i = from; i < nl_recorded(nl); i++) {
        struct nl_seen seen = nl_recorded_at(nl, i);
        AUTO_BUF line = BUF_INIT;
        buf_printf(&line, "%s: %s", seen.where, seen.text);
        json_array_append_new(texts, jsonx_new_text(buf_text(&line)));
    }
}

/* How it is made, and how it goes. */
static int plan_lab(const struct scenario *s, const struct hostcaps *caps, json_t *texts,
                    json_t *end, struct err *err)
{
    CLEANUP(nl_free_p) struct nl *nl = NULL;
    int rc = nl_open_recording("switch", &nl, err);
    if (rc == 0)
        rc = lab_plan(s, caps, nl, err);
    if (rc < 0)
        return rc;
    plan_recorded(nl, 0, texts);
    size_t built = nl_recorded(nl);
    rc = lab_plan_end(s, nl, err);
    if (rc == 0)
        plan_recorded(nl, built, end);
    return rc;
}

/* Every service that has a probe, or needs (hard) one that has, is in reach of the faults. */
static void plan_radius(const struct scenario *s, const json_t *steps, json_t *radius)
{
    json_t *services = json_array(), *hosts = json_array();
    for (size_t i = 0; i < s->services.n; i++) {
        const struct service *v = s->services.items[i];
        if (v->expect == EXPECT_AFFECTED || v->expect == EXPECT_EITHER)
            json_array_append_new(services, json_pack("{s:s,s:s}", "service", v->name, "expected",
                                                      expectation_words[v->expect]));
    }
    AUTO_BUF outside = BUF_INIT;
    for (size_t i = 0; i < s->hosts.n; i++) {
        const struct host *h = s->hosts.items[i];
        if (h->lab)
            json_array_append_new(hosts, json_string(h->name));
        else
            buf_printf(&outside, "%s%s (%s)", outside.len ? ", " : "", h->name,
                       attached_kind_of(h)->noun);
    }
    size_t made = json_array_size(hosts);
    json_object_set_new(radius, "services", services);
    json_object_set_new(radius, "namespaces_made", json_integer(made ? (json_int_t)made + 1 : 0));
    json_object_set_new(radius, "hosts", hosts);
    buf_adds(&outside, outside.len
                           ? "; nothing else of this machine is touched"
                           : "nothing: this machine's own network, processes and files stay "
                             "untouched");
    json_object_set_new(radius, "outside_the_lab", json_string(buf_text(&outside)));
}

/* Who is told, when; without secrets. */
static json_t *plan_hooks(const struct scenario *s)
{
    json_t *texts = json_array();
    for (int m = 0; s->hooks && m < NOTICE_UNDONE; m++) {
        const struct objects *list = notices_at(s->hooks, (enum notice_moment)m);
        for (size_t i = 0; i < list->n; i++) {
            AUTO_BUF text = BUF_INIT;
            buf_printf(&text, "%s: %s ", notice_moment_words[m], notice_kind(list->items[i]));
            notice_target(list->items[i], &text);
            json_array_append_new(texts, jsonx_new_text(buf_text(&text)));
        }
    }
    return texts;
}

static void plan_load(const struct load *l, json_t *texts)
{
    const int signals[] = {load_stop_signals[l->stop], SIGKILL};
    AUTO_BUF run = BUF_INIT, whom = BUF_INIT;
    deed_run(l->command, &run);
    json_array_append_new(texts, json_sprintf("  host %s: %s", l->host, buf_text(&run)));
    deed_command(l->command, &whom);
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        AUTO_BUF end = BUF_INIT;
        deed_signal(signals[i], buf_text(&whom), &end);
        json_array_append_new(texts, json_sprintf("  host %s: %s%s", l->host,
                                                  i ? "if it still runs: " : "", buf_text(&end)));
    }
}

static json_t *plan_loads(const struct scenario *s)
{
    json_t *texts = json_array();
    for (size_t i = 0; i < s->load.n; i++) {
        const struct load *l = s->load.items[i];
        char within[NSEC_TEXT_MAX];
        AUTO_BUF text = BUF_INIT;
        buf_printf(&text, "%s: host %s: /bin/sh -c '%s', then SIG%s, killed after %s", l->name,
                   l->host, l->command, load_stop_words[l->stop], nsec_text(l->within, within));
        json_array_append_new(texts, jsonx_new_text(buf_text(&text)));
        plan_load(l, texts);
    }
    return texts;
}

int plan_make(const struct scenario *s, const struct hostcaps *caps, uint64_t seed, int64_t trials,
              json_t **ret, struct err *err)
{
    char number[24];
    snprintf(number, sizeof number, "%llu", (unsigned long long)seed);
    AUTO_JSON *lab = json_array(), *end = json_array(), *steps = json_array(),
              *radius = json_object();
    int rc = plan_lab(s, caps, lab, end, err);
    if (rc < 0)
        return rc;
    struct inject_env env = {.scenario = s, .caps = caps};
    for (size_t i = 0; i < s->script.n; i++) {
        const struct step *step = s->script.items[i];
        const struct injector *inj = injector_of(step);
        AUTO_JSON *texts = json_array();
        AUTO_FREE char *when = plan_when(step);
        if (scenario_is_exercise(s) && !step_is_machines(step))
            continue; /* what people do is planned by sim/exercise */
        rc = inj->plan(&env, step, texts, err);
        if (rc < 0)
            return err_prefix(err, "step %s", step->id);
        json_array_append_new(steps, json_pack("{s:s,s:s,s:s,s:O}", "step", step->id, "action",
                                               step->action->name, "when", when, "texts", texts));
    }
    plan_radius(s, steps, radius);
    *ret = json_pack("{s:s,s:s,s:I,s:O,s:O,s:O,s:O}", "scenario", s->name, "seed", number, "trials",
                     (json_int_t)trials, "blast_radius", radius, "lab", lab, "lab_end", end,
                     "steps", steps);
    if (s->load.n)
        json_object_set_new(*ret, "load", plan_loads(s));
    if (s->hooks)
        json_object_set_new(*ret, "hooks", plan_hooks(s));
    return 0;
}

void plan_text(const json_t *plan, struct buf *out)
{
    size_t i, k;
    json_t *v, *t;
    const json_t *radius = json_object_get(plan, "blast_radius");
    buf_printf(out, "plan of %s: %lld trial%s, seed %s; nothing is changed now\n",
               jsonx_str(plan, "scenario", ""), (long long)jsonx_int(plan, "trials", 0),
               jsonx_int(plan, "trials", 0) == 1 ? "" : "s", jsonx_str(plan, "seed", ""));
    buf_adds(out, "\nblast radius\n  hosts of the lab: ");
    if (!json_array_size(json_object_get(radius, "hosts")))
        buf_adds(out, "none");
    json_array_foreach (json_object_get(radius, "hosts"), i, v)
        buf_printf(out, "%s%s", i ? ", " : "", json_string_value(v));
    buf_adds(out, "\n  services: ");
    json_array_foreach (json_object_get(radius, "services"), i, v)
        buf_printf(out, "%s%s (%s)", i ? ", " : "", jsonx_str(v, "service", ""),
                   jsonx_str(v, "expected", ""));
    buf_printf(out, "\n  outside the lab: %s\n", jsonx_str(radius, "outside_the_lab", ""));
    json_array_foreach (json_object_get(plan, "attached"), i, v) {
        buf_printf(out, "\nhost %s, made by others%s\n", jsonx_str(v, "host", ""),
                   jsonx_int(plan, "trials", 0) > 1
                       ? "; it is not built afresh between trials, so they are no independent ones"
                       : "");
        json_array_foreach (json_object_get(v, "texts"), k, t)
            buf_printf(out, "  %s\n", json_string_value(t));
    }
    if (json_array_size(json_object_get(plan, "lab")))
        buf_adds(out, "\nthe lab, built for each trial\n");
    json_array_foreach (json_object_get(plan, "lab"), i, v)
        buf_printf(out, "  %s\n", json_string_value(v));
    json_array_foreach (json_object_get(plan, "steps"), i, v) {
        buf_printf(out, "\nstep %s: %s, %s\n", jsonx_str(v, "step", ""), jsonx_str(v, "action", ""),
                   jsonx_str(v, "when", ""));
        json_array_foreach (json_object_get(v, "texts"), k, t)
            buf_printf(out, "  %s\n", json_string_value(t));
    }
    if (!json_array_size(json_object_get(plan, "steps")))
        buf_adds(out, "\nno step: nothing is broken\n");
    if (json_array_size(json_object_get(plan, "lab_end")))
        buf_adds(out, "\nthe end of the lab; with its processes and namespaces everything goes\n");
    json_array_foreach (json_object_get(plan, "lab_end"), i, v)
        buf_printf(out, "  %s\n", json_string_value(v));
    if (json_array_size(json_object_get(plan, "load")))
        buf_adds(out,
                 "\nbackground load, from the settling of a trial to the end of observation\n");
    json_array_foreach (json_object_get(plan, "load"), i, v)
        buf_printf(out, "  %s\n", json_string_value(v));
    if (json_array_size(json_object_get(plan, "hooks")))
        buf_adds(out, "\nwho is told (nothing waits for it)\n");
    json_array_foreach (json_object_get(plan, "hooks"), i, v)
        buf_printf(out, "  %s\n", json_string_value(v));
}
