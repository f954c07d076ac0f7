/* Looks back from the fault over the backups begun before it. */
#include "sim/forecast/loss.h"

#include "sim/forecast/draw.h"

#define LOOKED_AT 10000

nsec loss_of_backup(const struct backup *b, struct rng *r)
{
    nsec age = (nsec)((double)b->every * rng_unit(r) + 0.5); /* of the start of the newest one */
    for (int i = 0; i < LOOKED_AT; i++) {
        if (!b->takes || draw(b->takes, r) <= age)
            return age;
        age = nsec_add(age, b->every);
    }
    return NSEC_INF;
}

nsec loss_of_replication(const struct replication *p, struct rng *r)
{
    return p->lag ? draw(p->lag, r) : 0;
}

nsec loss_of(const struct service_model *m, struct rng *r)
{
    if (m->replication)
        return loss_of_replication(m->replication, r);
    return m->backup ? loss_of_backup(m->backup, r) : NSEC_UNSET;
}

double loss_writes(nsec loss, double per_second)
{
    return (double)loss / (double)NSEC_SEC * per_second;
}
