/* Trials of a system, for samples. */
#include "sim/forecast/sample.h"

static void *player_begin(const void *data)
{
    return trial_new(data);
}

static void player_end(void *worker)
{
    trial_free(worker);
}

static int player_play(void *worker, uint64_t seed, uint64_t number, const struct whatif *whatif,
                       struct outcome *ret, struct err *err)
{
    return trial_run(worker, seed, number, whatif, NULL, NULL, ret, err);
}

static void player_path(void *worker, size_t service, nsec *ret)
{
    trial_path(worker, service, ret);
}

struct player sample_player(const struct system *sys, size_t services)
{
    struct player p = {.services_n = services,
                       .begin = player_begin,
                       .end = player_end,
                       .play = player_play,
                       .path = player_path,
                       .data = sys};
    p.quantities_n = system_quantities(sys, &p.quantities);
    return p;
}
