/* The queue of events of a forecast: the hold model (take the earliest, put one back a random time later)
 * at a thousand and a million pending events; beside a bare heap in this program, and SimPy 3 (Debian's
 * python3-simpy3, if installed) with as many processes that sleep.
 *
 * The bare heap is the floor: the same 128-bit keys in a plain binary array heap, without payload
 * columns, growth or order numbers. Increments are drawn beforehand, so that neither side pays for them.
 */
#include "sim/base/rng.h"
#include "sim/forecast/draw.h"
#include "sim/forecast/queue.h"
#include "tests/bench/bench.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEPS = 1 << 16 };
static const char hold_py[] = "import random, sys, time, simpy\n"
                              "n, events = int(sys.argv[1]), int(sys.argv[2])\n"
                              "env, r = simpy.Environment(), random.Random(1)\n"
                              "def sleeper(env):\n"
                              "    while True:\n"
                              "        yield env.timeout(r.expovariate(1))\n"
                              "for _ in range(n):\n"
                              "    env.process(sleeper(env))\n"
                              "for _ in range(n + n // 4):\n" /* each begins, then sleeps */
                              "    env.step()\n"
                              "t = time.perf_counter()\n"
                              "for _ in range(events):\n"
                              "    env.step()\n"
                              "print(events / (time.perf_counter() - t))\n";

static nsec steps[STEPS];

static double rate(struct bench_time from, double events)
{
    return events / (bench_since(from).wall_ms / 1e3);
}

static double ours(size_t n, size_t events)
{
    struct queue q = QUEUE_INIT;
    struct queue_event e;
    for (size_t i = 0; i < n; i++)
        queue_put(&q, steps[i % STEPS], i);
    for (size_t i = 0; i < 2 * n; i++) {
        nsec at = queue_next(&q);
        queue_replace(&q, at + steps[i % STEPS], i);
    }
    struct bench_time from = bench_clock();
    for (size_t i = 0; i < events; i++) {
        nsec at = queue_next(&q);
        queue_replace(&q, at + steps[i % STEPS], i);
    }
    double r = rate(from, (double)events);
    if (!queue_take(&q, &e))
        abort();
    queue_done(&q);
    return r;
}

static void sink(queue_key *heap, size_t n, queue_key key)
{
    size_t i = 0;
    for (size_t c; (c = 2 * i + 1) < n; i = c) {
        c += c + 1 < n && heap[c + 1] < heap[c];
        if (heap[c] >= key)
            break;
        heap[i] = heap[c];
    }
    heap[i] = key;
}

static double bare(size_t n, size_t events)
{
    queue_key *heap = calloc(n, sizeof *heap);
    if (!heap)
        abort();
    for (size_t i = 0; i < n; i++)
        heap[i] = (queue_key)(uint64_t)steps[i % STEPS] << 64;
    for (size_t i = n; i-- > 0;) { /* heapify from behind */
        queue_key key = heap[i];
        size_t at = i;
        for (size_t c; (c = 2 * at + 1) < n; at = c) {
            c += c + 1 < n && heap[c + 1] < heap[c];
            if (heap[c] >= key)
                break;
            heap[at] = heap[c];
        }
        heap[at] = key;
    }
    for (size_t i = 0; i < 2 * n; i++)
        sink(heap, n, heap[0] + ((queue_key)(uint64_t)steps[i % STEPS] << 64));
    struct bench_time from = bench_clock();
    for (size_t i = 0; i < events; i++)
        sink(heap, n, heap[0] + ((queue_key)(uint64_t)steps[i % STEPS] << 64));
    double r = rate(from, (double)events);
    free(heap);
    return r;
}

/* Events a second, 0 where it is not installed. */
static double simpy(size_t n, size_t events)
{
    char command[2 * sizeof hold_py], line[64] = "";
    snprintf(command, sizeof command, "/usr/bin/python3 -c '%s' %zu %zu 2>/dev/null", hold_py, n,
             events);
    FILE *p = popen(command, "r");
    if (!p)
        return 0;
    bool told = fgets(line, sizeof line, p) != NULL;
    pclose(p);
    return told ? strtod(line, NULL) : 0;
}

/* False where SimPy is not installed. */
static bool measure(size_t n, size_t events, size_t simpy_events, int *missed)
{
    double own[BENCH_MAX_ROUNDS], floor[BENCH_MAX_ROUNDS], peer[BENCH_MAX_ROUNDS];
    double of_floor[BENCH_MAX_ROUNDS], of_peer[BENCH_MAX_ROUNDS];
    size_t rounds = bench_rounds();
    for (size_t i = 0; i < rounds; i++) {
        own[i] = ours(n, events);
        floor[i] = bare(n, events);
        peer[i] = simpy(n, simpy_events);
        of_floor[i] = own[i] / floor[i];
        of_peer[i] = peer[i] > 0 ? own[i] / peer[i] : 0;
    }
    bool has_peer = bench_median(peer, rounds) > 0;
    printf("%zu pending: queue %.2f, bare heap %.2f, SimPy %.3f million events/s\n", n,
           bench_median(own, rounds) / 1e6, bench_median(floor, rounds) / 1e6,
           bench_median(peer, rounds) / 1e6);
    bench_gate(missed, "queue over the bare heap", bench_median(of_floor, rounds), false, 0.6);
    if (has_peer)
        bench_gate(missed, "queue over SimPy", bench_median(of_peer, rounds), false, 20);
    return has_peer;
}

int main(void)
{
    struct rng r = rng_stream(1, "hold", 0, 0);
    int missed = 0;
    for (size_t i = 0; i < STEPS; i++)
        steps[i] = (nsec)(draw_exponential(&r) * 1e9);
    bool has_peer = measure(1000, 4000000, 400000, &missed);
    has_peer &= measure(1000000, 2000000, 100000, &missed);
    return bench_end(missed, has_peer ? NULL : BENCH_NO_SIMPY);
}
