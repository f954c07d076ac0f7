/* Random numbers by address, not by order: a stream is named by (seed, words…), so what one part
 * draws never shifts what another part gets. Generator: SplitMix64 over a hashed key (Steele, Lea,
 * Flood, OOPSLA 2014). Not for secrets.
 */
#pragma once

#include <stdint.h>

struct rng {
    uint64_t key, n;
};

/* The stream for a seed, a name and up to two numbers (for example "phase:checkout", trial, 0). */
struct rng rng_stream(uint64_t seed, const char *name, uint64_t a, uint64_t b);
/* The same in two steps, for those who draw from the streams of one name again and again:
 * rng_stream(seed, name, a, b) is rng_stream_at(rng_named(seed, name), a, b). */
uint64_t rng_named(uint64_t seed, const char *name);
static inline struct rng rng_stream_at(uint64_t named, uint64_t a, uint64_t b);
/* And for many names at the same a: mixed is rng_mix(a + 1). */
static inline struct rng rng_stream_of(uint64_t named, uint64_t mixed, uint64_t b);
static inline uint64_t rng_mix(uint64_t z);
static inline uint64_t rng_next(struct rng *r);
/* A stream whose n-th number (from 1) is `value`; the others are as random as `value` is. */
struct rng rng_with(uint64_t n, uint64_t value);
/* Uniform in [0, n), unbiased; n > 0. */
uint64_t rng_below(struct rng *r, uint64_t n);
/* Uniform in [0, 1) with 53 bits. */
static inline double rng_unit(struct rng *r);
/* Uniform in (0, 1): for whom an end is infinitely far away. */
static inline double rng_open_unit(struct rng *r);
/* A seed nobody chose (getrandom(2)). */
uint64_t rng_fresh_seed(void);

/* ---- inline: trials of a forecast spend a good part of their time here ---- */

static inline uint64_t rng_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static inline struct rng rng_stream_at(uint64_t named, uint64_t a, uint64_t b)
{
    return rng_stream_of(named, rng_mix(a + 1), b);
}

static inline struct rng rng_stream_of(uint64_t named, uint64_t mixed, uint64_t b)
{
    uint64_t k = rng_mix(named ^ mixed);
    k = rng_mix(k ^ rng_mix(b + 0x5851f42d4c957f2dULL));
    return (struct rng){.key = k};
}

static inline uint64_t rng_next(struct rng *r)
{
    return rng_mix(r->key + 0x9e3779b97f4a7c15ULL * ++r->n);
}

static inline double rng_unit(struct rng *r)
{
    return (double)(rng_next(r) >> 11) * 0x1p-53;
}

static inline double rng_open_unit(struct rng *r)
{
    return ((double)(rng_next(r) >> 12) + 0.5) * 0x1p-52;
}
