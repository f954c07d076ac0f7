/* The beginning of a trial. See meeting.h. */
#include "sim/drill/meeting.h"

#include "sim/base/buf.h"
#include "sim/base/jsonx.h"

#include <stdlib.h>

#define MEETING_LOOK (50 * NSEC_MSEC) /* how often a host that is away is looked for */
#define MEETING_OUTPUT 2000

struct meeting {
    struct core *core;
    struct lab *lab;
    int64_t trial;
    meeting_fn *fn;
    void *data;
    const struct between *between; /* NULL: nothing to be run */
    size_t done;                   /* of its commands */
    nsec end;                      /* by when all hosts must be there */
    struct loop_timer look;
};

static void meeting_next(struct meeting *m);

static const struct between_run *meeting_command(const struct meeting *m)
{
    return m->between->run.items[m->done];
}

static void meeting_look(struct loop_timer *t, void *data)
{
    struct meeting *m = data;
    nsec now = loop_fresh(m->core->loop);
    for (size_t i = 0; i < lab_count(m->lab); i++) {
        struct err err = ERR_INIT;
        if (lab_node_refresh(lab_node_at(m->lab, i), &err) >= 0)
            continue;
        if (now >= m->end)
            m->fn(err.text, m->data);
        else
            loop_timer_set(m->core->loop, &m->look, nsec_add(now, MEETING_LOOK));
        return;
    }
    m->fn(NULL, m->data);
}

static void meeting_ended(const struct lab_run_result *r, void *data)
{
    struct meeting *m = data;
    const struct between_run *b = meeting_command(m);
    size_t n = r->output_n < MEETING_OUTPUT ? r->output_n : MEETING_OUTPUT;
    int code = r->signo ? 128 + r->signo : r->code;
    core_note(m->core, "lab", m->trial,
              json_pack("{s:s,s:s,s:o,s:i,s:o}", "event", "between", "host", b->host, "command",
                        jsonx_new_text(b->command), "code", code, "reason",
                        jsonx_new_textn(r->output, n)));
    if (code == 0 && !r->timed_out) {
        m->done++;
        meeting_next(m);
        return;
    }
    char within[NSEC_TEXT_MAX];
    AUTO_BUF reason = BUF_INIT;
    buf_printf(&reason, "between the trials: on host %s: \"%s\" ", b->host, b->command);
    if (r->timed_out)
        buf_printf(&reason, "did not end within %s", nsec_text(b->timeout, within));
    else
        buf_printf(&reason, "ended with exit code %d", code);
    m->fn(buf_text(&reason), m->data);
}

static void meeting_next(struct meeting *m)
{
    struct err err = ERR_INIT;
    if (!m->between || m->done == m->between->run.n) {
        m->end = nsec_add(loop_fresh(m->core->loop), m->core->o->scenario->settle->within);
        meeting_look(&m->look, m);
        return;
    }
    const struct between_run *b = meeting_command(m);
    if (lab_node_run(lab_node(m->lab, b->host), b->command, b->timeout, meeting_ended, m, &err) < 0)
        m->fn(err.text, m->data);
}

struct meeting *meeting_new(struct core *core, struct lab *lab, int64_t trial, meeting_fn *fn,
                            void *data)
{
    struct meeting *m = calloc(1, sizeof *m);
    if (!m)
        abort();
    *m = (struct meeting){.core = core,
                          .lab = lab,
                          .trial = trial,
                          .fn = fn,
                          .data = data,
                          .look = {.fn = meeting_look, .data = m}};
    return m;
}

void meeting_begin(struct meeting *m, bool again)
{
    m->between = again ? m->core->o->scenario->between : NULL;
    meeting_next(m);
}

struct meeting *meeting_free(struct meeting *m)
{
    if (!m)
        return NULL;
    loop_timer_cancel(m->core->loop, &m->look);
    for (size_t i = 0; i < lab_count(m->lab); i++)
        lab_node_forget(lab_node_at(m->lab, i), m);
    free(m);
    return NULL;
}
