/* Background load. See loads.h. */
#include "sim/drill/loads.h"

#include "sim/base/buf.h"
#include "sim/base/jsonx.h"

#include <signal.h>
#include <stdlib.h>

#define LOADS_KILLED_WITHIN (2 * NSEC_SEC) /* for a killed one to be gone */
#define LOADS_REASON 300                   /* bytes of output in a reason */

struct load_run {
    struct loads *of;
    const struct load *load;
    bool running, stopping, killed;
    struct loop_timer due; /* while stopping */
};

struct loads {
    struct core *core;
    struct lab *lab;
    int64_t trial;
    loads_spoilt_fn *spoilt;
    void *data;
    size_t n;
    struct load_run *runs;
};

static json_t *load_line(const struct load_run *run, const char *event, struct span at)
{
    const struct load *d = run->load;
    return json_pack("{s:s,s:s,s:s,s:o,s:o}", "load", d->name, "event", event, "host", d->host,
                     "command", jsonx_new_text(d->command), "at", core_span(run->of->core, at));
}

static void load_ended(const struct lab_run_result *r, void *data)
{
    struct load_run *run = data;
    struct loads *l = run->of;
    run->running = false;
    loop_timer_cancel(l->core->loop, &run->due);
    json_t *e = load_line(run, "end", r->end);
    if (r->signo)
        json_object_set_new(e, "signal", json_integer(r->signo));
    else
        json_object_set_new(e, "code", json_integer(r->code));
    json_object_set_new(e, "output", jsonx_new_textn(r->output, r->output_n));
    core_note(l->core, "load", l->trial, e);
    /* As shells tell that there is no such program, or that it may not be run. */
    if (run->stopping || r->signo || (r->code != 127 && r->code != 126))
        return;
    AUTO_BUF reason = BUF_INIT;
    size_t n = r->output_n < LOADS_REASON ? r->output_n : LOADS_REASON;
    while (n && r->output[n - 1] == '\n')
        n--;
    buf_printf(&reason, "the load %s could not be started on host %s: %.*s", run->load->name,
               run->load->host, (int)n, r->output);
    l->spoilt(buf_text(&reason), l->data);
}

static void load_signal(struct load_run *run, int signo, nsec within)
{
    struct core *core = run->of->core;
    struct err err = ERR_INIT;
    struct lab_node *node = lab_node(run->of->lab, run->load->host);
    if (lab_node_run_stop(node, run, signo, &err) < 0)
        core_note(core, "trouble", run->of->trial,
                  json_pack("{s:s,s:o,s:s}", "what", "load-not-stopped", "detail",
                            jsonx_new_text(err.text), "host", run->load->host));
    loop_timer_set(core->loop, &run->due, nsec_add(loop_fresh(core->loop), within));
}

static void load_due(struct loop_timer *t, void *data)
{
    struct load_run *run = data;
    if (!run->killed) {
        run->killed = true;
        load_signal(run, SIGKILL, LOADS_KILLED_WITHIN);
        return;
    }
    run->running = false;
    nsec now = loop_fresh(run->of->core->loop);
    json_t *e = load_line(run, "end", (struct span){now, NSEC_INF});
    json_object_set_new(e, "output", json_string("it was killed, and its end was not seen"));
    core_note(run->of->core, "load", run->of->trial, e);
}

struct loads *loads_new(struct core *core, struct lab *lab, int64_t trial, loads_spoilt_fn *spoilt,
                        void *data)
{
    const struct objects *all = &core->o->scenario->load;
    struct loads *l = calloc(1, sizeof *l);
    struct load_run *runs = calloc(all->n + 1, sizeof *runs);
    if (!l || !runs)
        abort();
    *l = (struct loads){.core = core,
                        .lab = lab,
                        .trial = trial,
                        .spoilt = spoilt,
                        .data = data,
                        .n = all->n,
                        .runs = runs};
    for (size_t i = 0; i < l->n; i++) {
        runs[i] = (struct load_run){.of = l, .load = all->items[i]};
        runs[i].due = (struct loop_timer){.fn = load_due, .data = &runs[i]};
    }
    return l;
}

int loads_start(struct loads *l, struct err *err)
{
    for (size_t i = 0; i < l->n; i++) {
        struct load_run *run = &l->runs[i];
        nsec before = loop_fresh(l->core->loop);
        int r = lab_node_run_bound(lab_node(l->lab, run->load->host), run->load->command,
                                   load_ended, run, err);
        if (r < 0)
            return err_prefix(err, "the load %s could not be started", run->load->name);
        run->running = true;
        struct span at = {before, loop_fresh(l->core->loop)};
        core_note(l->core, "load", l->trial, load_line(run, "start", at));
    }
    return 0;
}

void loads_stop(struct loads *l, nsec most)
{
    for (size_t i = 0; l && i < l->n; i++) {
        struct load_run *run = &l->runs[i];
        nsec within = run->load->within < most ? run->load->within : most;
        if (!run->running || run->stopping)
            continue;
        run->stopping = true;
        load_signal(run, load_stop_signals[run->load->stop], within);
    }
}

bool loads_over(struct loads *l)
{
    for (size_t i = 0; l && i < l->n; i++)
        if (l->runs[i].running)
            return false;
    return true;
}

struct loads *loads_free(struct loads *l)
{
    if (!l)
        return NULL;
    for (size_t i = 0; i < l->n; i++) {
        loop_timer_cancel(l->core->loop, &l->runs[i].due);
        lab_node_forget(lab_node(l->lab, l->runs[i].load->host), &l->runs[i]);
    }
    free(l->runs);
    free(l);
    return NULL;
}
