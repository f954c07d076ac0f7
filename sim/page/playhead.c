/* The clock of a replay: `at` as of `since`, and a timer for the next line. */
#include "sim/page/playhead.h"

#include <math.h>
#include <stdlib.h>

struct playhead {
    struct playhead_spec spec;
    nsec at, since; /* where it stood at this time of the loop */
    size_t n;       /* lines behind it */
    bool playing, played;
    struct loop_timer next;
};

nsec playhead_length(const struct playhead *p)
{
    return p->spec.n ? p->spec.moments[p->spec.n - 1] : 0;
}

nsec playhead_at(const struct playhead *p)
{
    nsec length = playhead_length(p);
    if (!p->playing)
        return p->at;
    double passed = (double)(loop_now(p->spec.loop) - p->since) * p->spec.speed;
    return passed < (double)(length - p->at) ? p->at + (nsec)passed : length;
}

static void stand(struct playhead *p)
{
    p->at = playhead_at(p);
    p->since = loop_now(p->spec.loop);
}

static size_t lines_before(const struct playhead *p, nsec at)
{
    size_t low = 0, high = p->spec.n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (p->spec.moments[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void arm(struct playhead *p)
{
    loop_timer_cancel(p->spec.loop, &p->next);
    if (!p->playing)
        return;
    nsec to = p->n < p->spec.n ? p->spec.moments[p->n] : playhead_length(p);
    double wait = to > p->at ? ceil((double)(to - p->at) / p->spec.speed) : 0;
    loop_timer_set(p->spec.loop, &p->next, nsec_add(p->since, (nsec)wait));
}

static void turn_to(struct playhead *p, size_t n)
{
    bool turned = n != p->n;
    p->n = n;
    arm(p);
    if (turned)
        p->spec.turned(n, p->spec.data);
}

static void on_next(struct loop_timer *t, void *data)
{
    (void)t;
    struct playhead *p = data;
    stand(p);
    if (p->n < p->spec.n && p->at < p->spec.moments[p->n])
        p->at = p->spec.moments[p->n]; /* rounding must not call us again and again */
    size_t n = lines_before(p, p->at);
    if (n == p->spec.n) {
        p->playing = false;
        p->played = true;
    }
    turn_to(p, n);
}

struct playhead *playhead_new(const struct playhead_spec *spec)
{
    struct playhead *p = calloc(1, sizeof *p);
    if (!p)
        abort();
    *p = (struct playhead){.spec = *spec, .next = {.fn = on_next, .data = p}};
    stand(p);
    p->n = SIZE_MAX; /* the first turn is told even where no line has moment 0 */
    turn_to(p, lines_before(p, 0));
    return p;
}

struct playhead *playhead_free(struct playhead *p)
{
    if (!p)
        return NULL;
    loop_timer_cancel(p->spec.loop, &p->next);
    free(p);
    return NULL;
}

void playhead_play(struct playhead *p)
{
    if (p->playing)
        return;
    stand(p);
    p->playing = true;
    if (playhead_is_at_end(p) && p->played)
        playhead_jump(p, 0);
    else
        arm(p);
}

void playhead_pause(struct playhead *p)
{
    stand(p);
    p->playing = false;
    arm(p);
}

void playhead_speed(struct playhead *p, double speed)
{
    stand(p);
    p->spec.speed = fmin(fmax(speed, PLAYHEAD_SPEED_MIN), PLAYHEAD_SPEED_MAX);
    arm(p);
}

void playhead_jump(struct playhead *p, nsec at)
{
    nsec length = playhead_length(p);
    p->at = at < 0 ? 0 : at > length ? length : at;
    p->since = loop_now(p->spec.loop);
    turn_to(p, lines_before(p, p->at));
}

double playhead_speed_now(const struct playhead *p)
{
    return p->spec.speed;
}

bool playhead_is_playing(const struct playhead *p)
{
    return p->playing;
}

bool playhead_is_at_end(const struct playhead *p)
{
    return playhead_at(p) == playhead_length(p);
}

bool playhead_was_played(const struct playhead *p)
{
    return p->played;
}
