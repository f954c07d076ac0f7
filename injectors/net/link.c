/* link: a host's cable is pulled at the switch, once or again and again. Both ends lose their
 * carrier; frames in both directions are lost; the host and its processes go on.
 *
 * Of a host that others made, a device is set down inside (link_device.h).
 *
 * Flapping is driven by one timer of the loop on an absolute schedule (down, up, down …), so a late
 * callback shifts one edge and not those after it. A port that was down before is not ours. It is looked
 * at before each edge of the first turn (down, up), and proven when the second has begun.
 */
#include <errno.h>
#include <net/if.h>
#include <string.h>

#include <linux/if.h> /* IFF_LOWER_UP; after <net/if.h>, which it then does not define again */

#include "injectors/actions.h"
#include "injectors/effects.h"
#include "injectors/injector.h"
#include "injectors/net/link_device.h"
#include "injectors/net/ports.h"
#include "injectors/params.h"
#include "injectors/process/targets.h"
#include "sim/base/jsonx.h"
#include "sim/kernel/rtnl.h"

#define LINK_TURN 3 /* edges: down, up, and down again */

/* What stands, at the switch and inside of the hosts that have power. */
struct link_look {
    size_t n, up, carrier;
};

struct link_state {
    const struct link_params *params;
    struct targets targets;
    struct ports ports;
    struct link_device *device; /* of a host that others made: instead of ports */
    struct inject_env env;      /* flapping: the caller's env need not live that long */
    struct loop_timer timer;
    bool is_down;
    nsec next;         /* when the timer is due */
    uint64_t edges;    /* ups and downs so far */
    struct err failed; /* of an edge; code 0: none */
    /* Of the first turn: looks that found what should be, or something else. */
    size_t seen_down, seen_up, seen_wrong;
    bool halted; /* the host lost its power: there are no more edges */
    bool proven; /* that turn was waited for */
};

/* What is good only while the cable happens to be in has not recovered: a service counts as restored
 * when it stays good for `stable`, which must be long enough to hold a whole turn of the flapping. */
static int link_check_stable(const struct scenario *s, const struct link_params *p, struct err *err)
{
    char turn[NSEC_TEXT_MAX], stable[NSEC_TEXT_MAX];
    for (size_t i = 0; p->flap && i < s->probes.n; i++) {
        const struct probe *probe = s->probes.items[i];
        if (probe->service && probe->stable < nsec_add(p->flap->down, p->flap->up))
            return err_set(err, EINVAL,
                           "probe %s counts its service as restored after %s, but a turn of this "
                           "flapping takes %s: a service that comes and goes with the cable would "
                           "pass; give the probe a 'stable' of at least that",
                           probe->name, nsec_yaml(probe->stable, stable),
                           nsec_yaml(nsec_add(p->flap->down, p->flap->up), turn));
    }
    return 0;
}

static int link_check(const struct scenario *s, const struct step *step, struct err *err)
{
    const struct link_params *p = step->params;
    if (p->down == (p->flap != NULL))
        return err_set(err, EINVAL, "give one of 'down: true' and 'flap: {down: D, up: D}'");
    int r = inject_target_check(p->host, "host", err);
    if (r == 0)
        r = link_check_stable(s, p, err);
    const struct host *attached = link_device_host(s, p);
    if (r == 0)
        r = link_device_check(attached, p->device, p->network, err);
    return r < 0 || attached ? r : ports_check(s, p->host, p->network, err);
}

static int link_supported(const struct inject_env *env, const struct step *step, struct err *err)
{
    return 0;
}

/* The one place where the messages of this fault are made, for the kernel and for plan. */
static void link_encode(struct nl *sw, const struct ports *ports, bool up)
{
    for (size_t i = 0; i < ports->n; i++)
        rtnl_link_up(sw, ports->items[i].name, up);
}

/* One message for each port, over and over. */
static void plan_ports(const struct nl *rec, size_t from, size_t to, const struct ports *ports,
                       const struct target *t, const char *only, json_t *texts)
{
    for (size_t i = from; i < to; i++) {
        AUTO_BUF in = BUF_INIT;
        inject_plan_case(t, ports->items[i % ports->n].host, only, &in);
        ports_plan_part(rec, i, i + 1, buf_text(&in), texts);
    }
}

static int link_plan(const struct inject_env *env, const struct step *step, json_t *texts,
                     struct err *err)
{
    const struct link_params *p = step->params;
    AUTO_FREE char *host = inject_target_text(p->host);
    const struct host *attached = link_device_host(env->scenario, p);
    const char *what = attached ? "its device" : "its port at the switch";
    AUTO_BUF text = BUF_INIT;
    buf_printf(&text, "host %s: %s%s%s down", host, what, attached ? " " : "",
               attached ? p->device : "");
    if (p->flap) {
        char down[NSEC_TEXT_MAX], up[NSEC_TEXT_MAX];
        buf_printf(&text, " for %s, up for %s, and so on", nsec_text(p->flap->down, down),
                   nsec_text(p->flap->up, up));
    }
    if (p->network)
        buf_printf(&text, " (network %s)", p->network);
    buf_adds(&text, "; undone by setting it up");
    json_array_append_new(texts, json_string(buf_text(&text)));
    if (attached)
        return link_device_plan(p, texts, err);
    AUTO_PORTS ports = {0};
    CLEANUP(topo_free_p) struct topo *topo = NULL;
    CLEANUP(nl_free_p) struct nl *rec = NULL;
    int r = topo_new(env->scenario, &topo, err);
    if (r == 0)
        r = nl_open_recording("switch", &rec, err);
    if (r < 0)
        return r;
    ports_of_target(topo, p->host, p->network, &ports);
    link_encode(rec, &ports, false);
    r = nl_flush(rec, err);
    if (r < 0)
        return r;
    size_t down = nl_recorded(rec);
    link_encode(rec, &ports, true);
    r = nl_flush(rec, err);
    if (r < 0)
        return r;
    size_t all = nl_recorded(rec);
    plan_ports(rec, 0, p->flap ? all : down, &ports, p->host, p->flap ? "in turns: " : "", texts);
    json_array_append_new(texts, json_string(INJECT_PLAN_UNDO));
    plan_ports(rec, down, all, &ports, p->host, p->flap ? "if it is down: " : "", texts);
    return 0;
}

static void link_done(void *state)
{
    struct link_state *st = state;
    if (!st)
        return;
    if (loop_timer_is_set(&st->timer))
        loop_timer_cancel(st->env.loop, &st->timer);
    targets_done(&st->targets);
    ports_done(&st->ports);
    link_device_done(st->device);
    free(st);
}

static int must_be_up(struct nl *sw, const struct port *port, struct err *err)
{
    struct rtnl_link link;
    int r = rtnl_link_get(sw, port->name, &link, err);
    if (r < 0)
        return r;
    if (!(link.flags & IFF_UP))
        return err_set(err, EALREADY, "the port of host '%s' on network '%s' is down already",
                       port->host, port->network);
    return 0;
}

/* The undo record's list of ports, all of which must be up. */
static int read_ports(struct inject_env *env, const struct ports *ports, json_t **ret,
                      struct err *err)
{
    AUTO_JSON *list = json_array();
    for (size_t i = 0; i < ports->n; i++) {
        int r = must_be_up(lab_switch_nl(env->lab), &ports->items[i], err);
        if (r < 0)
            return r;
        json_array_append_new(list, json_pack("{s:s, s:s}", "host", ports->items[i].host, "port",
                                              ports->items[i].name));
    }
    *ret = json_incref(list);
    return 0;
}

/* Those of the chosen hosts, and what their undo record says of them. */
static int prepare_ports(struct inject_env *env, const struct link_params *p,
                         const struct targets *t, struct ports *ports, json_t **ret_undo,
                         struct err *err)
{
    CLEANUP(topo_free_p) struct topo *topo = NULL;
    AUTO_JSON *list = NULL;
    int r = topo_new(env->scenario, &topo, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < t->n; i++) {
        struct lab_node *n = lab_node(env->lab, t->hosts[i]);
        if (!n || !lab_node_is_up(n))
            return err_set(err, ESRCH, "host '%s' is down: its cable carries nothing", t->hosts[i]);
        ports_of_host(topo, t->hosts[i], p->network, ports);
    }
    r = read_ports(env, ports, &list, err);
    if (r == 0)
        *ret_undo = json_pack("{s:O}", "ports", list);
    return r;
}

static int link_prepare(struct inject_env *env, const struct step *step, void **ret_state,
                        json_t **ret_undo, struct err *err)
{
    const struct link_params *p = step->params;
    AUTO_TARGETS t = {0};
    int r = targets_choose(env, p->host, &t, err);
    if (r < 0)
        return r;
    AUTO_PORTS ports = {0};
    AUTO_JSON *undo = NULL;
    struct link_device *device = NULL;
    r = link_device_host(env->scenario, p) ? link_device_prepare(env, p, &device, &undo, err)
                                           : prepare_ports(env, p, &t, &ports, &undo, err);
    if (r < 0)
        return r;
    struct link_state *st = calloc(1, sizeof *st);
    if (!st) {
        link_device_done(device);
        return err_errno(err, ENOMEM, "preparing link");
    }
    *st = (struct link_state){
        .params = p, .targets = t, .ports = ports, .device = device, .env = *env};
    t = (struct targets){0};
    ports = (struct ports){0};
    *ret_state = st;
    *ret_undo = json_incref(undo);
    return 0;
}

static int set_ports(struct link_state *st, bool up, struct err *err)
{
    struct nl *sw = lab_switch_nl(st->env.lab);
    int r;
    if (st->device) {
        r = link_device_set(st->device, up, err);
    } else {
        link_encode(sw, &st->ports, up);
        r = nl_flush(sw, err);
    }
    if (r < 0)
        return r;
    st->is_down = !up;
    st->edges++;
    return 0;
}

/* True when the host's end of this cable has a carrier. */
static int has_carrier(const struct inject_env *env, const struct port *port, bool *ret,
                       struct err *err)
{
    struct rtnl_link link;
    int r = rtnl_link_get(lab_node_nl(lab_node(env->lab, port->host)), port->device, &link, err);
    if (r < 0)
        return r;
    *ret = (link.flags & IFF_LOWER_UP) != 0;
    return 0;
}

static int look_at_device(struct link_state *st, struct link_look *ret, struct err *err)
{
    bool up = false;
    int r = link_device_is_up(st->device, &up, err);
    if (r == 0)
        *ret = (struct link_look){1, up, up};
    return r;
}

static int look(struct link_state *st, struct link_look *ret, struct err *err)
{
    struct link_look l = {0};
    if (st->device)
        return look_at_device(st, ret, err);
    for (size_t i = 0; i < st->ports.n; i++) {
        struct rtnl_link link;
        if (!lab_node_is_up(lab_node(st->env.lab, st->ports.items[i].host)))
            continue; /* without power there is no link to speak of */
        l.n++;
        int r = rtnl_link_get(lab_switch_nl(st->env.lab), st->ports.items[i].name, &link, err);
        bool lit = false;
        if (r == 0)
            r = has_carrier(&st->env, &st->ports.items[i], &lit, err);
        if (r < 0)
            return r;
        l.up += (link.flags & IFF_UP) != 0;
        l.carrier += lit;
    }
    *ret = l;
    return 0;
}

static bool is_as_it_should(const struct link_state *st, const struct link_look *l)
{
    size_t want = st->is_down ? 0 : l->n;
    return l->up == want && l->carrier == want;
}

static void look_before_edge(struct link_state *st)
{
    struct link_look l;
    if (st->edges >= LINK_TURN || look(st, &l, NULL) < 0)
        return;
    size_t *count = !is_as_it_should(st, &l) ? &st->seen_wrong
                    : st->is_down            ? &st->seen_down
                                             : &st->seen_up;
    ++*count;
}

static void flap_edge(struct loop_timer *t, void *data)
{
    struct link_state *st = data;
    struct err err = ERR_INIT;
    INJECT_ACT(&st->env, false);
    look_before_edge(st);
    int r = set_ports(st, st->is_down, &err);
    st->halted = r < 0;
    if (r == -ENODEV)
        return; /* the host lost its power; powering it on again is not our edge */
    if (r < 0) {
        st->failed = err; /* verify tells; the undo record covers whatever state the port is in */
        return;
    }
    st->next = nsec_add(st->next, st->is_down ? st->params->flap->down : st->params->flap->up);
    loop_timer_set(st->env.loop, &st->timer, st->next);
}

static int link_apply(struct inject_env *env, void *state, struct inject_result *ret,
                      struct err *err)
{
    struct link_state *st = state;
    struct span at = {nsec_now(CLOCK_MONOTONIC), 0};
    int r = set_ports(st, false, err);
    if (r < 0)
        return r;
    at.hi = nsec_now(CLOCK_MONOTONIC);
    if (st->params->flap) {
        st->timer = (struct loop_timer){.fn = flap_edge, .data = st};
        st->next = nsec_add(loop_fresh(env->loop), st->params->flap->down);
        loop_timer_set(env->loop, &st->timer, st->next);
    }
    json_t *changes = json_array();
    if (st->device)
        json_array_append_new(changes, json_sprintf("%s %s", link_device_text(st->device),
                                                    st->params->flap ? "flaps" : "down"));
    for (size_t i = 0; i < st->ports.n; i++)
        json_array_append_new(
            changes, json_sprintf("host %s, network %s: port %s at the switch %s",
                                  st->ports.items[i].host, st->ports.items[i].network,
                                  st->ports.items[i].name, st->params->flap ? "flaps" : "down"));
    *ret = (struct inject_result){.at = at,
                                  .targets = targets_names(&st->targets),
                                  .changes = changes,
                                  .chosen = targets_how(&st->targets)};
    return 0;
}

static void say_asked(const struct link_state *st, const struct link_look *l, bool turn,
                      struct inject_proof *p)
{
    const char *state = turn ? "down, then up, then down again" : st->is_down ? "down" : "up";
    const char *moment = st->params->flap && !turn ? " at this moment of the flap" : "";
    if (st->device)
        snprintf(p->asked, sizeof p->asked, "%s %s%s", link_device_text(st->device), state, moment);
    else
        snprintf(p->asked, sizeof p->asked, "%zu port(s) %s at the switch%s", l->n, state, moment);
}

static void say_seen(const struct link_state *st, const struct link_look *l, bool turn,
                     struct inject_proof *p)
{
    AUTO_BUF b = BUF_INIT;
    if (st->failed.code)
        buf_printf(&b, "%s%.200s", st->params->flap ? "the flap stopped: " : "", st->failed.text);
    else if (st->device)
        buf_printf(&b, "it is %s", l->up ? "up" : "down");
    else
        buf_printf(&b, "%zu port(s) up, %zu host end(s) with a carrier", l->up, l->carrier);
    if (!st->failed.code && (st->params->flap || !st->device))
        buf_printf(&b, ", %llu edge(s) so far", (unsigned long long)st->edges);
    if (turn)
        buf_printf(&b,
                   "; before the edges of the first turn it was found down %zu time(s), up %zu, "
                   "neither %zu",
                   st->seen_down, st->seen_up, st->seen_wrong);
    snprintf(p->seen, sizeof p->seen, "%s", buf_text(&b));
}

/* A flapping cable is proven when the first turn has gone and the second has begun. */
static int link_verify(struct inject_env *env, void *state, struct inject_proof *ret,
                       struct err *err)
{
    struct link_state *st = state;
    bool first = st->params->flap && !st->proven, turn = first && st->edges >= LINK_TURN;
    if (first && !turn && !st->halted && !env->decide)
        return INJECT_AGAIN;
    struct inject_proof p = {.at = {nsec_now(CLOCK_MONOTONIC), 0}};
    struct link_look l = {0};
    struct err why = ERR_INIT;
    int r = look(st, &l, &why);
    if (r == -ENODEV && st->device) { /* what was to be down is not there: that is seen, too */
        st->failed = why;
    } else if (r < 0) {
        if (err)
            *err = why;
        return r;
    }
    st->proven = true;
    p.at.hi = nsec_now(CLOCK_MONOTONIC);
    p.ok = st->failed.code == 0 && is_as_it_should(st, &l) && st->seen_wrong == 0;
    if (turn)
        p.ok = p.ok && st->seen_down > 0 && st->seen_up > 0;
    say_asked(st, &l, turn, &p);
    say_seen(st, &l, turn, &p);
    snprintf(p.how, sizeof p.how, "%s",
             st->device ? "its flags inside the host, by rtnetlink"
                        : "flags at the switch, carrier inside the host, by rtnetlink");
    *ret = p;
    return 0;
}

/* 1: set up; 0: nothing to do (it is up, or it has gone). */
static int revert_port(struct inject_env *env, const json_t *entry, struct err *err)
{
    const char *name = jsonx_str(entry, "port", "");
    struct nl *sw = lab_switch_nl(env->lab);
    struct rtnl_link link;
    struct err why = ERR_INIT;
    int r = rtnl_link_get(sw, name, &link, &why);
    if (r == -ENODEV || (r == 0 && (link.flags & IFF_UP)))
        return 0;
    if (r == 0) {
        rtnl_link_up(sw, name, true);
        r = nl_flush(sw, &why);
    }
    if (r < 0) {
        if (err)
            *err = why;
        return r;
    }
    return 1;
}

static int link_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                       struct err *err)
{
    struct span at = {nsec_now(CLOCK_MONOTONIC), 0};
    AUTO_JSON *changes = json_array();
    size_t i;
    const json_t *entry;
    int rc = json_object_get(undo, "device") ? link_device_revert(env, undo, changes, err) : 0;
    if (rc != 0)
        return rc;
    json_array_foreach (json_object_get(undo, "ports"), i, entry) {
        if (!targets_node_up(env, entry))
            continue; /* powering it on sets its ports up */
        int r = revert_port(env, entry, err);
        if (r < 0)
            return r;
        if (r > 0)
            json_array_append_new(changes, json_sprintf("host %s: port %s at the switch up",
                                                        jsonx_str(entry, "host", "?"),
                                                        jsonx_str(entry, "port", "?")));
    }
    at.hi = nsec_now(CLOCK_MONOTONIC);
    *ret = (struct inject_result){.at = at, .changes = json_incref(changes)};
    return 0;
}

static const struct field flap_fields[] = {
    {.key = "down",
     .type = FIELD_DURATION,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct link_flap, down),
     .min = NSEC_MSEC,
     .max = 86400 * NSEC_SEC,
     .help = "How long it is down each time.",
     .example = "1s"},
    {.key = "up",
     .type = FIELD_DURATION,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct link_flap, up),
     .min = NSEC_MSEC,
     .max = 86400 * NSEC_SEC,
     .help = "How long it is up in between.",
     .example = "2s"},
    {.key = NULL},
};

static const struct record flap_record = {
    .name = "flap",
    .summary = "A cable with a loose contact: down first.",
    .size = sizeof(struct link_flap),
    .fields = flap_fields,
    .name_offset = SIZE_MAX,
    .place_offset = SIZE_MAX,
    .variant_place_offset = SIZE_MAX,
};

static const struct field link_fields[] = {
    {.key = "host",
     .type = FIELD_OBJECT,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct link_params, host),
     .record = &target_record,
     .help = "The host, or how to choose it when the step happens.",
     .example = "lb1"},
    {.key = "network",
     .type = FIELD_REF,
     .offset = offsetof(struct link_params, network),
     .ref = REF_NETWORK,
     .help = "The network whose cable is meant; without it, all cables of the host.",
     .example = "front"},
    {.key = "device",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct link_params, device),
     .help =
         "Of a host that others made: the device inside of it that is set down. Routes over it, "
         "its IPv6 addresses and permanent neighbours, which the kernel forgets then, are put "
         "back.",
     .example = "eth0"},
    {.key = "down",
     .type = FIELD_BOOL,
     .offset = offsetof(struct link_params, down),
     .help = "true: down until it is undone.",
     .example = "true"},
    {.key = "flap",
     .type = FIELD_OBJECT,
     .offset = offsetof(struct link_params, flap),
     .record = &flap_record,
     .help = "Down and up in turns until it is undone.",
     .example = "{down: 1s, up: 2s}"},
    {.key = NULL},
};

static const struct record link_record = {
    .name = "link",
    .summary = "A host's cable.",
    .size = sizeof(struct link_params),
    .fields = link_fields,
    .name_offset = SIZE_MAX,
    .place_offset = SIZE_MAX,
    .variant_place_offset = SIZE_MAX,
};

static int link_effect(struct inject_env *env, const struct step *step, struct effects *ret,
                       struct err *err)
{
    const struct link_params *p = step->params;
    struct effect one = {.kind = EFFECT_CUT};
    if (p->flap) {
        one.on = p->flap->down;
        one.off = p->flap->up;
    }
    AUTO_TARGETS got = {0};
    int r = targets_choose(env, p->host, &got, err);
    for (size_t i = 0; r == 0 && i < got.n; i++)
        r = effects_on_network(env, got.hosts[i], p->network, &one, ret, err);
    return r;
}

static void link_touches(const json_t *undo, json_t *ret)
{
    link_device_touches(json_object_get(undo, "device"), ret);
}

static const struct injector link_injector = {
    .name = "link",
    .is_fault = true,
    .lasts = true,
    .holds = true,
    .attaches = ATTACH_NETWORK | ATTACH_DEVICE,
    .check = link_check,
    .supported = link_supported,
    .plan = link_plan,
    .prepare = link_prepare,
    .apply = link_apply,
    .verify = link_verify,
    .revert = link_revert,
    .touches = link_touches,
    .done = link_done,
    .effect = link_effect,
};

const struct variant inject_link = {
    .name = "link",
    .summary = "Pulls a host's network cable, once or in turns.",
    .detail = "The port at the switch is set down: the host sees its carrier go, as with a real "
              "cable, and nothing passes in either direction. Undone by setting it up.",
    .params = &link_record,
    .impl = &link_injector,
};
