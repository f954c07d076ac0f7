/* Trials of a forecast a second: a failover (fault, probes every second with a time-out of 200 ms, three
 * misses, somebody paged, a repair, two good probes) beside the same model as processes of SimPy 3 (Debian's
 * python3-simpy3, if installed); with two threads beside one; and how the cost grows with trials and with
 * services. Beside SimPy time of processors is compared (a busy machine slows both sides at different
 * moments), two threads on the clock: that figure is of a quiet machine. Both sides print what they came to, so that it can be seen that they are one model.
 */
#include "scenarios/scenario.h"
#include "sim/base/buf.h"
#include "sim/forecast/pool.h"
#include "sim/forecast/trial.h"
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEER_TRIALS 2000

static const char failover_yaml[] =
    "blackstart: 1\n"
    "name: failover\n"
    "services:\n"
    "  web: {rto: 30s, detect_within: {within: 10s, by: pager}}\n"
    "components:\n"
    "  server: {}\n"
    "probes:\n"
    "  page: {service: web, http: \"https://web.example/\", every: 1s, timeout: 200ms,\n"
    "         down_after: 3, up_after: 2, stable: 2s}\n"
    "alarms:\n"
    "  pager: {role: page, threshold: {probe: page, consecutive: 3}}\n"
    "roles:\n"
    "  on-call: {people: [ann], acknowledges: {lognormal: {median: 10s, p95: 30s}}}\n"
    "model:\n"
    "  web:\n"
    "    redundancy: server\n"
    "    restore:\n"
    "      - repair: {weibull: {scale: 15s, shape: 1.5}, at: detection, by: on-call}\n"
    "script:\n"
    "  - {id: lose, at: 10s, outage: {component: server}}\n"
    "settle: 0s\n"
    "horizon: 10m\n";

static const char failover_py[] =
    "import math, random, sys, time, simpy\n"
    "r = random.Random(1)\n"
    "sigma = math.log(3) / 1.6448536269514722\n"
    "def trial():\n"
    "    env = simpy.Environment()\n"
    "    state = {'bad': False, 'detected': None, 'restored': None}\n"
    "    noticed = env.event()\n"
    "    def fault():\n"
    "        yield env.timeout(10)\n"
    "        state['bad'] = True\n"
    "    def people():\n"
    "        yield noticed\n"
    "        yield env.timeout(10 * math.exp(sigma * r.gauss(0, 1)))\n"
    "        yield env.timeout(r.weibullvariate(15, 1.5))\n"
    "        state['bad'] = False\n"
    "    def probe():\n"
    "        yield env.timeout(r.random())\n"
    "        misses = goods = 0\n"
    "        down = False\n"
    "        while state['restored'] is None:\n"
    "            started = env.now\n"
    "            if state['bad']:\n"
    "                yield env.timeout(0.2)\n"
    "                misses, goods = misses + 1, 0\n"
    "                if misses == 3:\n"
    "                    down = True\n"
    "                    if state['detected'] is None:\n"
    "                        state['detected'] = env.now - 10\n"
    "                        noticed.succeed()\n"
    "            else:\n"
    "                yield env.timeout(0.005)\n" /* an answer takes a while, too */
    "                goods = goods + 1\n"
    "                if goods == 1:\n"
    "                    first = started\n"
    "                if down and goods == 2:\n"
    "                    state['restored'] = first - 10\n"
    "                misses = 0\n"
    "            yield env.timeout(started + 1 - env.now)\n"
    "    env.process(fault())\n"
    "    env.process(people())\n"
    "    env.process(probe())\n"
    "    env.run()\n"
    "    return state\n"
    "n = int(sys.argv[1])\n"
    "t = time.process_time()\n"
    "all = [trial() for _ in range(n)]\n"
    "took = time.process_time() - t\n"
    "print(n / took, sum(s['detected'] for s in all) / n, sum(s['restored'] for s in all) / n,\n"
    "      sum(s['restored'] <= 30 for s in all) / n)\n";

struct figures {
    double rate, wall_rate;    /* trials a second of a processor, and on the clock */
    double mttd, mttr, within; /* seconds, seconds, share of at most 30 s */
};

static struct scenario *load(const char *yaml)
{
    struct scenario *s = NULL;
    AUTO_DIAGS diags = DIAGS_INIT;
    AUTO_BUF said = BUF_INIT;
    if (scenario_load_text(yaml, strlen(yaml), "bench.yaml", NULL, &diags, &s) < 0) {
        diags_render(&diags, &said);
        fputs(buf_text(&said), stderr);
        exit(1);
    }
    return s;
}

static struct system *ready(const struct scenario *s)
{
    struct system *sys = NULL;
    struct err err = ERR_INIT;
    bench_ok(system_new(s, &sys, &err), &err);
    return sys;
}

/* ---- by threads, as the command does it ---- */

#define PIECE 512

struct job {
    const struct system *system;
    size_t services;
    double mttd, mttr, within, n;
};

struct worker {
    struct trial *trial;
    struct outcome *out;
};

struct part {
    double mttd, mttr, within;
};

static void *begin(void *data)
{
    const struct job *j = data;
    struct worker *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    w->trial = trial_new(j->system);
    w->out = calloc(j->services, sizeof *w->out);
    if (!w->out)
        abort();
    return w;
}

static void end(void *worker)
{
    struct worker *w = worker;
    trial_free(w->trial);
    free(w->out);
    free(w);
}

static int compute(void *worker, uint64_t piece, void **slot, const bool *stop, struct err *err)
{
    struct worker *w = worker;
    struct part *p = *slot ? *slot : calloc(1, sizeof *p);
    if (!p)
        abort();
    *slot = p;
    *p = (struct part){0};
    for (uint64_t i = 0; i < PIECE; i++) {
        int rc = trial_run(w->trial, 1, piece * PIECE + i + 1, NULL, NULL, NULL, w->out, err);
        if (rc < 0)
            return rc;
        const struct outcome *o = &w->out[0];
        if (o->kind != OUTCOME_IS_RESTORED)
            continue;
        p->mttd += (double)o->ttd / 1e9;
        p->mttr += (double)o->ttr / 1e9;
        p->within += o->ttr <= 30 * NSEC_SEC;
    }
    return 0;
}

static int deliver(uint64_t piece, void *slot, void *data, struct err *err)
{
    struct job *j = data;
    const struct part *p = slot;
    j->mttd += p->mttd;
    j->mttr += p->mttr;
    j->within += p->within;
    j->n += PIECE;
    return 0;
}

static struct figures ours(const struct system *sys, size_t services, uint64_t trials,
                           size_t threads)
{
    struct job j = {.system = sys, .services = services};
    struct pool_job job = {.end = (trials + PIECE - 1) / PIECE,
                           .threads = threads,
                           .data = &j,
                           .begin = begin,
                           .end_worker = end,
                           .compute = compute,
                           .free_slot = free,
                           .deliver = deliver};
    uint64_t done;
    struct err err = ERR_INIT;
    struct bench_time from = bench_clock();
    bench_ok(pool_run(&job, &done, &err), &err);
    struct bench_time took = bench_since(from);
    return (struct figures){j.n / took.cpu_ms * 1e3, j.n / took.wall_ms * 1e3, j.mttd / j.n,
                            j.mttr / j.n, j.within / j.n};
}

static struct figures simpy(void)
{
    struct figures f = {0};
    char command[2 * sizeof failover_py], line[200] = "";
    snprintf(command, sizeof command, "/usr/bin/python3 -c \"%s\" %d 2>/dev/null", failover_py,
             PEER_TRIALS);
    FILE *p = popen(command, "r");
    if (p && fgets(line, sizeof line, p))
        sscanf(line, "%lf %lf %lf %lf", &f.rate, &f.mttd, &f.mttr, &f.within);
    if (p)
        pclose(p);
    return f;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof *v, by_value);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static void tell(const char *who, const struct figures *f)
{
    printf("%-10s %9.0f trials/s of processor   MTTD %.3f s, MTTR %.2f s, P(MTTR <= 30 s) %.3f\n",
           who, f->rate, f->mttd, f->mttr, f->within);
}

static void failover(void)
{
    struct scenario *s = load(failover_yaml);
    struct system *sys = ready(s);
    double of_peer[BENCH_MAX_ROUNDS], of_one[BENCH_MAX_ROUNDS];
    struct figures one = {0}, two = {0}, peer = {0};
    size_t rounds = bench_rounds();
    for (size_t i = 0; i < rounds; i++) {
        one = ours(sys, 1, 200000, 1);
        two = ours(sys, 1, 400000, 2);
        peer = simpy();
        of_peer[i] = peer.rate > 0 ? one.rate / peer.rate : 0;
        of_one[i] = two.wall_rate / one.wall_rate;
    }
    tell("1 thread", &one);
    tell("2 threads", &two);
    if (peer.rate > 0)
        tell("SimPy", &peer);
    printf("2 threads / 1: %.2f on the clock (at least 1.7)\n", median(of_one, rounds));
    if (peer.rate > 0)
        printf("1 thread / SimPy: %.0f (at least 100)\n", median(of_peer, rounds));
    else
        printf("SimPy is not installed (python3-simpy3)\n");
    system_free(sys);
    scenario_free(s);
}

/* A component fails on which all services stand, through the first one; one in ten has a probe (a file may
 * not be as large as it would be with one for each). */
static void many_services(struct buf *yaml, size_t n)
{
    buf_adds(yaml, "blackstart: 1\nname: many\nservices:\n");
    for (size_t i = 0; i < n; i++)
        buf_printf(yaml, i ? "  s%zu: {needs: s0}\n" : "  s%zu: {rto: 2m}\n", i);
    buf_adds(yaml, "components:\n  rack: {}\nprobes:\n");
    for (size_t i = 0; i < n; i += 10)
        buf_printf(yaml, "  p%zu: {service: s%zu, http: \"http://s/\", every: 5s}\n", i, i);
    buf_adds(yaml, "model:\n  s0: {redundancy: rack, restore: [{repair: {exponential: 30s}}]}\n"
                   "script:\n  - {id: lose, at: 10s, outage: {component: rack}}\nsettle: 0s\n"
                   "horizon: 10m\n");
}

static void growth(void)
{
    static const size_t services[] = {10, 100, 1000, 10000};
    for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
        AUTO_BUF yaml = BUF_INIT;
        many_services(&yaml, services[i]);
        struct scenario *s = load(buf_text(&yaml));
        struct system *sys = ready(s);
        uint64_t trials = 2000000 / services[i] < PIECE ? PIECE : 2000000 / services[i];
        struct figures f = ours(sys, services[i], trials, 1);
        struct figures twice = ours(sys, services[i], 2 * trials, 1);
        printf("%6zu services: %8.3f us a trial and service; twice as many trials: %.2f times the "
               "time\n",
               services[i], 1e6 / f.rate / (double)services[i], 2 * f.rate / twice.rate);
        fflush(stdout);
        system_free(sys);
        scenario_free(s);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "failover") == 0)
        failover();
    fflush(stdout);
    if (argc < 2 || strcmp(argv[1], "growth") == 0)
        growth();
    return 0;
}
