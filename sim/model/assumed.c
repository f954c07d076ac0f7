/* What is assumed, found by name. */
#include "sim/model/assumption.h"

#include "sim/base/nsec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The object whose name, at `offset`, is this one. */
static const void *find(const struct objects *v, size_t offset, const char *name)
{
    for (size_t i = 0; name && i < v->n; i++) {
        const char *its = *(char *const *)(const void *)((const char *)v->items[i] + offset);
        if (its && !strcmp(its, name))
            return v->items[i];
    }
    return NULL;
}

const struct component *assumed_component(const struct assumptions *a, const char *name)
{
    return find(&a->components, offsetof(struct component, name), name);
}

const struct crew *assumed_crew(const struct assumptions *a, const char *name)
{
    return find(&a->crews, offsetof(struct crew, name), name);
}

const struct responder *assumed_responder(const struct assumptions *a, const char *name)
{
    return find(&a->roles, offsetof(struct responder, name), name);
}

const struct service_model *assumed_service(const struct assumptions *a, const char *service)
{
    return find(&a->services, offsetof(struct service_model, service), service);
}

const struct alarm_model *assumed_alarm(const struct assumptions *a, const char *alarm)
{
    for (size_t i = 0; i < a->services.n; i++) {
        const struct service_model *m = a->services.items[i];
        const struct alarm_model *found =
            find(&m->alarms, offsetof(struct alarm_model, alarm), alarm);
        if (found)
            return found;
    }
    return NULL;
}

const char *uncertain_text(const struct uncertain *c, double u, char buf[UNCERTAIN_TEXT_MAX])
{
    double v = c->low + (c->high - c->low) * u;
    _Static_assert(UNCERTAIN_TEXT_MAX >= NSEC_TEXT_MAX, "a duration fits");
    if (c->type == FIELD_DURATION)
        return nsec_yaml((nsec)llround(v), buf);
    snprintf(buf, UNCERTAIN_TEXT_MAX, c->type == FIELD_PERCENT ? "%.9f%%" : "%.9f",
             c->type == FIELD_PERCENT ? v * 100 : v);
    return buf;
}
