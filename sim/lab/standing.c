/* Standing impairments of networks. See standing.h. */
#include "sim/lab/standing.h"

#include "sim/lab/lab.h"

#include <errno.h>
#include <stdio.h>

static enum impair_engine engine_asked(const struct impaired *m)
{
    static const enum impair_engine engines[] = {[IMPAIRED_AUTO] = IMPAIR_AUTO,
                                                 [IMPAIRED_NETEM] = IMPAIR_NETEM,
                                                 [IMPAIRED_USER] = IMPAIR_USER};
    return engines[m->engine];
}

static int arm_cable(const struct topo_cable *c, size_t number, const struct network *n,
                     const struct impairment *what, struct impair *m, struct nl *sw, int sw_fd,
                     const struct impair_here *here, struct err *err)
{
    const struct impair_scope everything = {.protocol = -1};
    char label[96], why[IMPAIR_WHY_MAX] = "";
    struct impair_line *line = NULL;
    AUTO_BUF text = BUF_INIT;
    snprintf(label, sizeof label, "network %s", n->name);
    struct impair_order order = {
        .point = {.nl = sw, .netns_fd = sw_fd, .device = c->port, .ingress = true},
        .scope = &everything,
        .what = what,
        .engine = engine_asked(&n->impaired),
        .number = (uint64_t)number,
        .label = label};
    int r = 0;
    if (here->known)
        r = impair_choose(order.engine, here, &order.engine, why, err);
    if (r == 0)
        r = impair_arm(m, &order, &line, err);
    if (r < 0)
        return r;
    impairment_text(what, &text);
    r = nl_note(sw, err, "what comes in at %s, in force while the lab stands: %s, by %s (%s)",
                c->port, buf_text(&text), impair_engine_text(impair_line_engine(line)),
                here->known ? why : impair_line_why(line));
    return r < 0 ? r : impair_set(line, true, NULL, err);
}

int standing_arm(const struct topo *t, const struct scenario *s, size_t h, struct impair *m,
                 struct nl *sw, int sw_fd, const struct impair_here *here, struct err *err)
{
    const struct topo_host *host = &t->hosts[h];
    for (size_t i = host->cable; i < host->cable + host->cables; i++) {
        CLEANUP(impaired_tables_done) struct impaired_tables tables = {0};
        const struct network *n = scenario_network(s, t->nets[t->cables[i].net].name);
        struct impairment what;
        if (!n || impaired_is_nothing(&n->impaired))
            continue;
        int r = impaired_tables_read(&n->impaired, s->file, &tables, err);
        if (r == 0) {
            impaired_make(&n->impaired, &tables, &what);
            r = arm_cable(&t->cables[i], i, n, &what, m, sw, sw_fd, here, err);
        }
        if (r < 0)
            return err_prefix(err, "network '%s', cable of host '%s'", n->name, host->host->name);
    }
    return 0;
}

int lab_supported(const struct scenario *s, const struct hostcaps *caps, const struct network **ret,
                  struct err *err)
{
    struct impair_here here;
    impair_here_of(caps, &here);
    for (size_t i = 0; i < s->networks.n; i++) {
        const struct network *n = s->networks.items[i];
        enum impair_engine engine;
        char why[IMPAIR_WHY_MAX];
        if (impaired_is_nothing(&n->impaired))
            continue;
        int r = impair_choose(engine_asked(&n->impaired), &here, &engine, why, err);
        if (r < 0) {
            *ret = n;
            return r;
        }
    }
    return 0;
}
