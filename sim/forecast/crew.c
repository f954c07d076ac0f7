/* See crew.h. */
#include "sim/forecast/crew.h"

#include <stdlib.h>
#include <string.h>

void crew_done(struct crew_line *c)
{
    free(c->waiting);
    *c = CREW_LINE(c->at_a_time);
}

void crew_clear(struct crew_line *c)
{
    c->busy = c->first = c->n = 0;
}

static void grow(struct crew_line *c)
{
    size_t room = c->room ? 2 * c->room : 16;
    size_t *waiting = reallocarray(NULL, room, sizeof *waiting);
    if (!waiting)
        abort();
    for (size_t i = 0; i < c->n; i++)
        waiting[i] = c->waiting[(c->first + i) % c->room];
    free(c->waiting);
    c->waiting = waiting;
    c->room = room;
    c->first = 0;
}

bool crew_ask(struct crew_line *c, size_t job)
{
    if (c->busy < c->at_a_time) {
        c->busy++;
        return true;
    }
    if (c->n == c->room)
        grow(c);
    c->waiting[(c->first + c->n++) % c->room] = job;
    return false;
}

bool crew_finish(struct crew_line *c, size_t *ret_next)
{
    if (c->n == 0) {
        c->busy--;
        return false;
    }
    *ret_next = c->waiting[c->first];
    c->first = (c->first + 1) % c->room;
    c->n--;
    return true;
}
