/* The probe `exec`: a command whose exit code is the answer.
 *
 * At its time-out the shot ends at once and the group is killed; the child is then nobody's shot
 * any more (shot NULL) and frees itself when it has ended, so that nothing waits for it.
 */
#include "sim/watch/vantage.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct run {
    struct shot *shot; /* NULL: given up */
    struct child *child;
};

struct ran { /* the shot's state: points to what may outlive it */
    struct run *run;
};

/* The last line of the output, for people. */
static void last_line(const struct child_exit *e, char *ret, size_t size)
{
    size_t end = e->output_n;
    while (end > 0 && (e->output[end - 1] == '\n' || e->output[end - 1] == '\r'))
        end--;
    size_t start = end;
    while (start > 0 && e->output[start - 1] != '\n')
        start--;
    snprintf(ret, size, "%.*s", (int)(end - start), e->output + start);
}

static void run_ended(struct child *c, const struct child_exit *e, void *data)
{
    struct run *run = data;
    struct shot *shot = run->shot;
    nsec end = nsec_now(CLOCK_MONOTONIC);
    char line[300], words[400];
    last_line(e, line, sizeof line);
    if (e->signo)
        snprintf(words, sizeof words, "killed by signal %d%s%s", e->signo, *line ? ": " : "", line);
    else
        snprintf(words, sizeof words, "exit code %d%s%s", e->code, *line ? ": " : "", line);
    child_free(c);
    free(run);
    if (shot)
        shot_end(shot, e->code == 0 ? WHY_GOOD : WHY_EXIT, end, e->code == 0 ? NULL : words);
}

static void exec_start(struct shot *shot)
{
    const struct exec_params *exec = shot->prober->probe->params;
    struct ran *ran = calloc(1, sizeof *ran);
    struct run *run = calloc(1, sizeof *run);
    if (!ran || !run)
        abort();
    run->shot = shot;
    ran->run = run;
    shot->state = ran;
    struct child_spec spec = {.on_exit = run_ended, .data = run};
    struct err err = ERR_INIT;
    if (vantage_shell(shot->prober->vantage, exec->command, &spec, &run->child, &err) < 0) {
        free(run);
        shot_end(shot, WHY_ERROR, nsec_now(CLOCK_MONOTONIC), err.text);
    }
}

static void exec_cancel(struct shot *shot)
{
    struct ran *ran = shot->state;
    struct run *run = ran->run;
    run->shot = NULL;
    kill(-child_pid(run->child), SIGKILL);
    child_signal(run->child, SIGKILL);
}

const struct probe_kind probe_exec = {.start = exec_start, .cancel = exec_cancel};
