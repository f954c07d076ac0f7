/* Persons and those who wait. */
#include "sim/page/people.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define ACT_EVERY (50 * NSEC_MSEC)
#define ACT_BURST 40
#define WAITING_FORGOTTEN (30 * NSEC_SEC)

void people_done(struct people *all)
{
    for (struct person *p = all->first, *next; p; p = next) {
        next = p->next;
        free(p);
    }
    *all = (struct people){0};
}

struct person *people_get(struct people *all, const struct door_person *who)
{
    for (struct person *p = all->first; p; p = p->next)
        if (strcmp(p->who.name, who->name) == 0 && strcmp(p->who.role, who->role) == 0)
            return p;
    if (all->n == PEOPLE_MAX)
        return NULL;
    struct person *p = calloc(1, sizeof *p);
    if (!p)
        abort();
    p->who = *who;
    p->next = all->first;
    all->first = p;
    all->n++;
    return p;
}

bool people_may_act(struct person *p, const char *id, nsec now, const char **ret_why)
{
    size_t n = strlen(id), known = p->n_ids < PEOPLE_IDS ? p->n_ids : PEOPLE_IDS;
    *ret_why = "a command needs a key of its own, 8 to 40 characters";
    if (n < 8 || n >= PEOPLE_ID_MAX)
        return false;
    *ret_why = "this has been sent before, and was taken then";
    for (size_t i = 0; i < known; i++)
        if (strcmp(p->ids[i], id) == 0)
            return false;
    *ret_why = "too much at once: wait a moment";
    if (p->full_at > now + (ACT_BURST - 1) * ACT_EVERY)
        return false;
    p->full_at = (p->full_at > now ? p->full_at : now) + ACT_EVERY;
    memcpy(p->ids[p->n_ids++ % PEOPLE_IDS], id, n + 1);
    *ret_why = NULL;
    return true;
}

struct waiting *people_wait(struct people *all, const struct door_person *who, nsec now)
{
    struct waiting *w = NULL;
    for (size_t i = 0; i < PEOPLE_WAITING_MAX && !w; i++)
        if (all->waiting[i].state == WAITING_FREE || now - all->waiting[i].seen > WAITING_FORGOTTEN)
            w = &all->waiting[i];
    if (!w)
        return NULL;
    unsigned char random[16];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        abort(); /* cannot be: so few bytes are never cut short */
    *w = (struct waiting){.state = WAITING_ASKED, .who = *who, .seen = now};
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(w->id + 2 * i, 3, "%02x", random[i]);
    return w;
}

struct waiting *people_waiting(struct people *all, const char *id)
{
    for (size_t i = 0; i < PEOPLE_WAITING_MAX; i++)
        if (all->waiting[i].state != WAITING_FREE && strcmp(all->waiting[i].id, id) == 0)
            return &all->waiting[i];
    return NULL;
}
