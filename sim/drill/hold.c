/* A lab without faults. */
#include "sim/drill/hold.h"

#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/drill/control.h"
#include "sim/lab/lab.h"
#include "sim/loop/loop.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

struct hold {
    const struct hold_options *o;
    struct loop *loop;
    struct lab *lab;
    size_t ready;
    bool failed;
    struct err why;
    nsec since;
};

static void hold_event(const struct lab_event *e, void *data)
{
    struct hold *h = data;
    AUTO_BUF text = BUF_INIT;
    const char *host = lab_node_name(e->node);
    if (e->kind == LAB_FAILED) {
        h->failed = true;
        err_set(&h->why, EAGAIN, "%s", e->reason);
        loop_stop(h->loop);
    } else if (e->kind == LAB_READY) {
        buf_printf(&text, "%s is ready", host);
        h->o->say(buf_text(&text), h->o->data);
        if (++h->ready == lab_count(h->lab))
            h->o->say("the lab stands; blackstart shell HOST enters it, Ctrl-C ends it",
                      h->o->data);
    } else if (e->kind == LAB_EXITED) {
        if (e->signo)
            buf_printf(&text, "%s: %s was ended by signal %d", host, e->unit, e->signo);
        else
            buf_printf(&text, "%s: %s ended with exit code %d", host, e->unit, e->code);
        h->o->say(buf_text(&text), h->o->data);
    }
}

static void hold_output(struct lab_node *n, const char *unit, const char *line, size_t len,
                        struct span at, void *data)
{
}

static void hold_signal(struct loop_signal *s, int signo, void *data)
{
    struct hold *h = data;
    loop_stop(h->loop);
}

static json_t *hold_control(const json_t *q, void *data)
{
    struct hold *h = data;
    const char *command = jsonx_str(q, "command", "");
    struct lab_node *n = lab_node(h->lab, jsonx_str(q, "host", ""));
    if (!strcmp(command, "status"))
        return json_pack("{s:b,s:s,s:s,s:s,s:I}", "ok", 1, "id", h->o->id, "scenario",
                         h->o->scenario->name, "operator", "a lab without faults", "running_ns",
                         (json_int_t)(loop_fresh(h->loop) - h->since));
    if (strcmp(command, "where"))
        return json_pack("{s:b,s:s}", "ok", 0, "error", "this is a lab without a drill: no marks");
    if (!n || !lab_node_is_up(n))
        return json_pack("{s:b,s:s}", "ok", 0, "error",
                         n ? "that host is down" : "the lab has no such host");
    return json_pack("{s:b,s:i}", "ok", 1, "pid", (int)lab_node_pid(n));
}

int hold_run(const struct hold_options *o, struct err *err)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct loop_signal sig[ARRAY_SIZE(signals)];
    struct hold h = {.o = o};
    struct control *control = NULL;
    struct lab_handlers lh = {.event = hold_event, .output = hold_output, .data = &h};
    int rc = loop_new(LOOP_REAL, &h.loop, err);
    if (rc < 0)
        return rc;
    size_t n_sig = 0;
    for (; rc == 0 && n_sig < ARRAY_SIZE(signals); n_sig += rc == 0) {
        sig[n_sig] = (struct loop_signal){.fn = hold_signal, .data = &h};
        rc = loop_signal_add(h.loop, &sig[n_sig], signals[n_sig], err);
    }
    h.since = loop_fresh(h.loop);
    if (rc == 0)
        rc = control_open(h.loop, o->control_fd, hold_control, &h, &control, err);
    AUTO_BUF workdir = BUF_INIT;
    buf_printf(&workdir, "%s/hold", o->lab_folder);
    if (rc == 0)
        rc =
            lab_new(o->scenario, h.loop, buf_text(&workdir), o->source_dirfd, -1, &lh, &h.lab, err);
    if (rc == 0)
        rc = lab_start(h.lab, err);
    if (rc == 0 && !h.failed)
        rc = loop_run(h.loop, err);
    if (rc == 0 && h.failed) {
        *err = h.why;
        rc = -EAGAIN;
    }
    lab_free(h.lab);
    control_close(control);
    for (size_t i = 0; i < n_sig; i++)
        loop_signal_remove(h.loop, &sig[i]);
    loop_free(h.loop);
    return rc;
}
