/* Counter-based random streams. */
#include "sim/base/rng.h"

#include "sim/base/nsec.h"

#include <sys/random.h>

uint64_t rng_named(uint64_t seed, const char *name)
{
    uint64_t k = rng_mix(seed + 0x9e3779b97f4a7c15ULL);
    for (const unsigned char *c = (const unsigned char *)name; *c; c++)
        k = rng_mix(k ^ *c) + 0x9e3779b97f4a7c15ULL;
    return k;
}

struct rng rng_stream(uint64_t seed, const char *name, uint64_t a, uint64_t b)
{
    return rng_stream_at(rng_named(seed, name), a, b);
}

/* The inverse of rng_mix(): xorshifts undone by themselves, odd factors by their inverses modulo 2^64. */
static uint64_t rng_unmix(uint64_t z)
{
    z ^= z >> 31 ^ z >> 62;
    z *= 0x319642b2d24d8ec3ULL;
    z ^= z >> 27 ^ z >> 54;
    z *= 0x96de1b173f119089ULL;
    return z ^ z >> 30 ^ z >> 60;
}

struct rng rng_with(uint64_t n, uint64_t value)
{
    return (struct rng){.key = rng_unmix(value) - 0x9e3779b97f4a7c15ULL * n};
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    uint64_t v;
    do
        v = rng_next(r);
    while (v > UINT64_MAX - n && v >= UINT64_MAX - UINT64_MAX % n);
    return v % n;
}

uint64_t rng_fresh_seed(void)
{
    uint64_t s;
    if (getrandom(&s, sizeof s, 0) != sizeof s)
        s = (uint64_t)nsec_now(CLOCK_REALTIME);
    return s & 0xffffffffffffULL; /* short enough to be typed again */
}
