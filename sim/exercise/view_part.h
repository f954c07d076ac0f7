/* What the files of view share; not for others. */
#pragma once

#include "sim/exercise/view.h"

struct view { /* whose */
    const struct state *st;
    const char *person, *role; /* role NULL: the screen in the room */
    enum role_kind kind;
    nsec clock;
};

/* Facilitators and evaluators. */
bool view_is_staff(const struct view *v);
/* What they alone see, added to their view. */
void view_add_staff(const struct view *v, json_t *view);

/* Of a functional exercise: services, and for those who do not act what is done to hosts. */
void view_add_machine(const struct view *v, json_t *view);

/* Seconds with milliseconds; null: unset. New references. */
json_t *view_seconds(nsec t);
json_t *view_texts(const struct strv *v);
/* Absent stays absent. */
void view_put_text(json_t *o, const char *key, const char *text);
