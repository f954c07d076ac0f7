/* Loss models that remember. See chain.h. */
#include "injectors/net/network/chain.h"

#include <math.h>
#include <string.h>

#define STATES 4
#define TURNS 20000 /* of a sum that ends where a chain has forgotten where it began */
#define SMALL 1e-12

struct model {
    double to[STATES][STATES], lost[STATES];
};

static bool model_of(const struct impair_loss *l, struct model *ret)
{
    struct model m = {0};
    if (l->kind == IMPAIR_LOSS_GILBERT_ELLIOTT)
        m = (struct model){.to = {{1 - l->p, l->p}, {l->r, 1 - l->r}, {1}, {1}},
                           .lost = {l->one_minus_k, l->one_minus_h}};
    else if (l->kind == IMPAIR_LOSS_STATE) /* 1 good, 2 arrived in a burst, 3 lost in it, 4 alone */
        m = (struct model){.to = {{1 - l->p13 - l->p14, 0, l->p13, l->p14},
                                  {0, 1 - l->p23, l->p23, 0},
                                  {l->p31, l->p32, 1 - l->p31 - l->p32, 0},
                                  {1}},
                           .lost = {0, 0, 1, 1}};
    else
        return false;
    *ret = m;
    return true;
}

static void step(const struct model *m, double x[STATES])
{
    double y[STATES] = {0};
    for (size_t i = 0; i < STATES; i++)
        for (size_t k = 0; k < STATES; k++)
            y[k] += x[i] * m->to[i][k];
    memcpy(x, y, sizeof y);
}

static double only_lost(const struct model *m, double x[STATES])
{
    double sum = 0;
    for (size_t i = 0; i < STATES; i++)
        sum += x[i] *= m->lost[i];
    return sum;
}

/* A step or none, by the toss of a coin: the same average, and no chain goes in circles for ever. */
static void settle(const struct model *m, double x[STATES])
{
    for (int t = 0; t < TURNS; t++) {
        double y[STATES], moved = 0;
        memcpy(y, x, sizeof y);
        step(m, y);
        for (size_t i = 0; i < STATES; i++) {
            moved += fabs(y[i] - x[i]);
            x[i] = (x[i] + y[i]) / 2;
        }
        if (moved < SMALL)
            return;
    }
}

/* From the first packet of a run on: as long as all are lost. */
static void run_lengths(const struct model *m, const double settled[STATES], struct chain *c)
{
    double x[STATES], mean = 0, square = 0;
    for (size_t i = 0; i < STATES; i++)
        x[i] = settled[i] * (1 - m->lost[i]);
    step(m, x);
    double starts = only_lost(m, x);
    if (starts < SMALL)
        return;
    double left = 1;
    for (size_t i = 0; i < STATES; i++)
        x[i] /= starts;
    for (int n = 1; n <= TURNS && left > SMALL; n++) {
        mean += left;
        square += (2 * n - 1) * left;
        step(m, x);
        left = only_lost(m, x);
    }
    c->burst = mean;
    c->burst_spread = square > mean * mean ? sqrt(square - mean * mean) : 0;
}

static double inflation_of(const struct model *m, const double settled[STATES], double loss)
{
    double x[STATES], sum = 0, alone = loss * (1 - loss);
    memcpy(x, settled, sizeof x);
    only_lost(m, x);
    for (int n = 0; n < TURNS && alone > SMALL; n++) {
        double both = 0;
        step(m, x);
        for (size_t i = 0; i < STATES; i++)
            both += x[i] * m->lost[i];
        double more = (both - loss * loss) / alone;
        sum += more;
        if (fabs(more) < 1e-9)
            break;
    }
    return sum > 0 ? 1 + 2 * sum : 1;
}

bool chain_of(const struct impair_loss *l, struct chain *ret)
{
    struct model m;
    struct chain c = {0};
    double x[STATES] = {1};
    if (!model_of(l, &m))
        return false;
    settle(&m, x);
    for (size_t i = 0; i < STATES; i++)
        c.loss += x[i] * m.lost[i];
    run_lengths(&m, x, &c);
    c.inflation = inflation_of(&m, x, c.loss);
    *ret = c;
    return true;
}
