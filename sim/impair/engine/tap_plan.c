/* What ENGINE_TAP would do, for a recording: the same messages, and in words what is no message. Needs
 * neither eBPF nor privileges.
 */
#include "sim/impair/engine/cable.h"
#include "sim/impair/engine/fate.h"
#include "sim/impair/engine/tap.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/tc.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

/* One for each namespace and kind, as device_use() has it. */
struct tap_planned {
    struct tap_planned *next;
    const struct nl *nl;
    bool cuts;
    unsigned number;
};

static int plan_device(struct engine_line *line, bool cuts, struct err *err)
{
    unsigned number = 0;
    char name[IFNAMSIZ];
    struct tap_planned **at = &line->engine->planned;
    for (; *at; at = &(*at)->next) {
        if ((*at)->nl == line->nl && (*at)->cuts == cuts)
            return 0;
        number += (*at)->nl == line->nl;
    }
    struct tap_planned *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(err, ENOMEM, "no memory for a plan");
    *p = (struct tap_planned){.nl = line->nl, .cuts = cuts, .number = number};
    *at = p;
    snprintf(name, sizeof name, "bstap%u", number);
    int r = nl_note(line->nl, err, TAP_NOTE, name);
    rtnl_link_quiet(line->nl, name);
    rtnl_link_up(line->nl, name, true);
    return r < 0 ? r : nl_flush(line->nl, err);
}

static struct tc_filter planned_filter(const struct engine_line *line)
{
    return (struct tc_filter){.dev = line->device,
                              .hook = line->ingress ? TC_INGRESS : TC_EGRESS,
                              .pref = line->pref,
                              .handle = 1,
                              .program = -1,
                              .name = "blackstart",
                              .classid = line->id + 1};
}

int tap_plan_arm(struct engine_line *line, const struct impairment *what, struct err *err)
{
    struct tc_filter f = planned_filter(line);
    int r = plan_device(line, fate_is_per_packet(what), err);
    if (r == 0 && line->ingress)
        r = cable_for_release(line, err);
    if (r < 0)
        return r;
    tc_filter_add(line->nl, &f);
    line->planned = true;
    return nl_flush(line->nl, err);
}

int tap_plan_set(struct engine_line *line, bool on, struct err *err)
{
    return nl_note(line->nl, err, "%s: the program takes its packets%s (a word in its memory)",
                   line->device, on ? "" : " no more");
}

int tap_plan_remove(struct engine_line *line, struct err *err)
{
    struct tc_filter f = planned_filter(line);
    tc_filter_delete(line->nl, &f);
    int r = nl_flush(line->nl, err);
    int gone = cable_remove(line, r < 0 ? NULL : err);
    return r < 0 ? r : gone;
}

void tap_plan_free(struct engine *e)
{
    while (e->planned) {
        struct tap_planned *p = e->planned;
        e->planned = p->next;
        free(p);
    }
}
