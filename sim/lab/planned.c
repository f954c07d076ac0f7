/* A lab that is not made: the changes that lab.c and node.c make, by the same functions, into a recording.
 * See lab.h.
 *
 * Each part here stands beside one there: who changes the order of the one changes it in the other
 * (tests/drill/test_plan.py holds them against each other).
 */
#include "sim/lab/lab.h"

#include "sim/kernel/rtnl.h"
#include "sim/lab/deed.h"
#include "sim/lab/standing.h"
#include "sim/lab/topo.h"
#include "sim/lab/wire.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct planned {
    const struct scenario *scenario;
    struct topo *topo;
    struct nl *sw; /* derived from the caller's recording */
    struct impair *impair;
    struct impair_here here;
};

static void planned_done(struct planned *p)
{
    if (p->impair)
        impair_gone(p->impair, p->sw, NULL); /* nothing is taken away one by one */
    impair_free(p->impair);
    nl_free(p->sw);
    topo_free(p->topo);
}

static int planned_new(const struct scenario *s, const struct hostcaps *caps, struct nl *recording,
                       struct planned *ret, struct err *err)
{
    *ret = (struct planned){.scenario = s};
    impair_here_of(caps, &ret->here);
    int r = topo_new(s, &ret->topo, err);
    if (r == 0)
        r = nl_derive(recording, -1, "switch", &ret->sw, err);
    if (r == 0)
        r = impair_new(NULL, NULL, NULL, &ret->impair, err);
    if (r == 0)
        impair_expect(ret->impair, &ret->here);
    return r;
}

static int planned_host(const struct planned *p, const char *name, size_t *ret, struct err *err)
{
    for (size_t i = 0; i < p->topo->hosts_n; i++)
        if (!strcmp(p->topo->hosts[i].host->name, name)) {
            *ret = i;
            return 0;
        }
    return err_set(err, ENOENT, "there is no host '%s' in the lab", name);
}

static void where_of(const struct planned *p, size_t i, char ret[80])
{
    snprintf(ret, 80, "host %s", p->topo->hosts[i].host->name);
}

static int host_new(const struct planned *p, size_t i, struct nl **ret, struct err *err)
{
    char where[80];
    where_of(p, i, where);
    return nl_derive(p->sw, -1, where, ret, err);
}

/* node_init() */
static int plan_init(const struct planned *p, size_t i, struct nl *nl, struct err *err)
{
    AUTO_BUF text = BUF_INIT;
    deed_files(p->topo->hosts[i].host, &text);
    return text.len ? nl_note(nl, err, "%s", buf_text(&text)) : 0;
}

/* node_join() */
static int plan_join(const struct planned *p, size_t i, struct nl *nl, struct err *err)
{
    char where[80];
    where_of(p, i, where);
    int r = wire_settings(p->topo, i, nl, err);
    if (r == 0)
        r = wire_host(p->topo, i, p->sw, nl, (struct nl_netns){.fd = -1, .name = where}, err);
    return r == 0 ? standing_arm(p->topo, p->scenario, i, p->impair, p->sw, -1, &p->here, err) : r;
}

/* node_start() */
static int plan_start(const struct planned *p, size_t i, struct nl *nl, struct err *err)
{
    const struct host *h = p->topo->hosts[i].host;
    int r = 0;
    for (size_t k = 0; r == 0 && k < h->start.n; k++) {
        const struct unit *u = h->start.items[k];
        AUTO_BUF text = BUF_INIT;
        deed_start(u->name, u->command, &text);
        r = nl_note(nl, err, "%s", buf_text(&text));
    }
    return r;
}

/* node_kill() */
static int plan_kill(const struct planned *p, size_t i, struct nl *nl, struct err *err)
{
    AUTO_BUF text = BUF_INIT;
    deed_signal(SIGKILL, DEED_INIT, &text);
    return nl_note(nl, err, "%s", buf_text(&text));
}

typedef int planned_fn(const struct planned *p, size_t i, struct nl *nl, struct err *err);

static int plan_one(const struct planned *p, size_t i, planned_fn *fn, struct err *err)
{
    CLEANUP(nl_free_p) struct nl *nl = NULL;
    int r = host_new(p, i, &nl, err);
    return r == 0 ? fn(p, i, nl, err) : r;
}

static int plan_each(const struct planned *p, planned_fn *fn, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < p->topo->hosts_n; i++)
        r = plan_one(p, i, fn, err);
    return r;
}

int lab_plan(const struct scenario *s, const struct hostcaps *caps, struct nl *recording,
             struct err *err)
{
    CLEANUP(planned_done) struct planned p;
    int r = planned_new(s, caps, recording, &p, err);
    if (r < 0 || !p.topo->hosts_n)
        return r;
    if ((r = wire_switch(p.topo, p.sw, err)) < 0 || (r = plan_each(&p, plan_init, err)) < 0 ||
        (r = plan_each(&p, plan_join, err)) < 0)
        return r;
    return plan_each(&p, plan_start, err);
}

int lab_plan_end(const struct scenario *s, struct nl *recording, struct err *err)
{
    CLEANUP(planned_done) struct planned p;
    CLEANUP(nl_free_p) struct nl *lab = NULL;
    int r = planned_new(s, NULL, recording, &p, err);
    if (r < 0 || !p.topo->hosts_n)
        return r;
    if ((r = plan_each(&p, plan_kill, err)) < 0 ||
        (r = nl_derive(recording, -1, DEED_LAB, &lab, err)) < 0 ||
        (r = nl_note(lab, err, DEED_FOLDERS)) < 0)
        return r;
    return nl_note(p.sw, err, DEED_GONE);
}

int lab_plan_off(const struct scenario *s, const char *host, struct nl *recording, struct err *err)
{
    CLEANUP(planned_done) struct planned p;
    size_t i = 0;
    int r = planned_new(s, NULL, recording, &p, err);
    if (r < 0 || (r = planned_host(&p, host, &i, err)) < 0 ||
        (r = wire_ports_down(p.topo, i, p.sw, err)) < 0 ||
        (r = plan_one(&p, i, plan_kill, err)) < 0)
        return r;
    return wire_ports_delete(p.topo, i, p.sw, err);
}

int lab_plan_on(const struct scenario *s, const struct hostcaps *caps, const char *host,
                struct nl *recording, struct err *err)
{
    CLEANUP(planned_done) struct planned p;
    CLEANUP(nl_free_p) struct nl *nl = NULL;
    size_t i = 0;
    int r = planned_new(s, caps, recording, &p, err);
    if (r < 0 || (r = planned_host(&p, host, &i, err)) < 0 ||
        (r = wire_ports_delete(p.topo, i, p.sw, err)) < 0 || (r = host_new(&p, i, &nl, err)) < 0 ||
        (r = plan_join(&p, i, nl, err)) < 0)
        return r;
    return plan_start(&p, i, nl, err);
}
