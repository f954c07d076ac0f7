/* What is seen of the machine of a functional exercise: services by everybody, as they are; faults by those who do
 * not act.
 */
#include "sim/base/jsonx.h"
#include "sim/exercise/view_part.h"

#include <string.h>

static bool is_probed(const struct state *st, const struct service *service)
{
    for (size_t i = 0; i < st->scenario->probes.n; i++) {
        const char *of = ((const struct probe *)st->scenario->probes.items[i])->service;
        if (of && !strcmp(of, service->name))
            return true;
    }
    return false;
}

static json_t *services(const struct view *v)
{
    json_t *list = json_array();
    for (size_t i = 0; i < v->st->n_services; i++) {
        const struct state_service *s = &v->st->services[i];
        bool down = nsec_is_set(s->down_since);
        if (!is_probed(v->st, s->service))
            continue;
        json_t *o =
            json_pack("{s:s, s:s}", "name", s->service->name, "state", down ? "down" : "up");
        if (nsec_is_set(s->service->rto))
            json_object_set_new(o, "target_s", view_seconds(s->service->rto));
        if (down) {
            nsec since = nsec_sub(v->clock, s->down_since);
            json_object_set_new(o, "since_s", view_seconds(since));
            if (nsec_is_set(s->service->rto))
                json_object_set_new(o, "left_s", view_seconds(nsec_sub(s->service->rto, since)));
        }
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *faults(const struct view *v)
{
    json_t *list = json_array();
    for (size_t i = 0; i < v->st->n_steps; i++) {
        const struct state_step *step = &v->st->steps[i];
        AUTO_BUF text = BUF_INIT;
        if (!state_in_force(step))
            continue;
        buf_printf(&text, "%s (%s)%s", step->step->id, step->step->action->name,
                   nsec_is_set(step->ending) ? ": is being taken away" : "");
        json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "step", step->step->id, "at_s",
                                              view_seconds(step->applied), "text",
                                              jsonx_new_text(buf_text(&text))));
    }
    return list;
}

void view_add_machine(const struct view *v, json_t *view)
{
    if (!v->st->functional)
        return;
    json_object_set_new(view, "services", services(v));
    if (!v->role || v->kind == ROLE_PLAYER || v->kind == ROLE_SIMULATOR)
        return;
    json_object_set_new(view, "faults", faults(v));
    if (v->kind == ROLE_FACILITATOR)
        json_object_set_new(view, "may", json_pack("{s:b}", "abort", v->st->stage != STAGE_ENDED));
}
