/* Trials of a forecast a second: a failover (fault, probes every second with a time-out of 200 ms, three
 * misses, somebody paged, a repair, two good probes) beside the same model as processes of SimPy 3 (Debian's
 * python3-simpy3); with two threads beside one; how the cost grows with trials and with services; and a
 * million trials of a shipped scenario through the program (environment: BLACKSTART, BLACKSTART_SOURCE).
 *
 * Beside SimPy time of processors is compared (a busy machine slows both sides at different
 * moments), two threads on the clock: that figure is of a quiet machine. Both sides print what they came
 * to, so that it can be seen that they are one model.
 */
#include "scenarios/scenario.h"
#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/forecast/pool.h"
#include "sim/forecast/trial.h"
#include "tests/bench/bench.h"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PEER_TRIALS 2000
#define PROGRAM_TRIALS 1000000
#define TWICE_MOST 2.3   /* times the time for twice as many trials */
#define TENFOLD_MOST 1.5 /* times the time of each service where there are ten times as many */
#define MAKING_MOST 4 /* the same of what it costs to make, in pages that the kernel gives anew */

extern char **environ;

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

static void tell(const char *who, const struct figures *f)
{
    printf("%-10s %9.0f trials/s of processor   MTTD %.3f s, MTTR %.2f s, P(MTTR <= 30 s) %.3f\n",
           who, f->rate, f->mttd, f->mttr, f->within);
}

static size_t processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (size_t)CPU_COUNT(&set) : 1;
}

/* False where SimPy is not installed. */
static bool failover(int *missed)
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
    if (processors() >= 2)
        bench_gate(missed, "2 threads over 1, on the clock", bench_median(of_one, rounds), false,
                   1.7);
    else
        printf("one processor: two threads have nothing to show\n");
    if (peer.rate > 0)
        bench_gate(missed, "1 thread over SimPy, of processors", bench_median(of_peer, rounds),
                   false, 100);
    system_free(sys);
    scenario_free(s);
    return peer.rate > 0;
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

struct size {
    size_t services;
    struct scenario *s;
    struct system *sys;
    double made[BENCH_MAX_ROUNDS], each[BENCH_MAX_ROUNDS], twice[BENCH_MAX_ROUNDS];
};

/* Microseconds of a processor for each service, from the loaded scenario to what trials are run in. */
static double cost_of_making(const struct size *z)
{
    size_t times = 20000 / z->services;
    struct bench_time from = bench_clock();
    for (size_t i = 0; i < times; i++) {
        struct system *sys = ready(z->s);
        trial_free(trial_new(sys));
        system_free(sys);
    }
    return bench_since(from).cpu_ms * 1e3 / (double)(times * z->services);
}

static void measure_size(struct size *z, size_t round)
{
    uint64_t trials = 2000000 / z->services < PIECE ? PIECE : 2000000 / z->services;
    struct figures f = ours(z->sys, z->services, trials, 1);
    struct figures twice = ours(z->sys, z->services, 2 * trials, 1);
    z->made[round] = cost_of_making(z);
    z->each[round] = 1e6 / f.rate / (double)z->services;
    z->twice[round] = 2 * f.rate / twice.rate;
}

/* The median of each round's ratio. */
static double over(const double *a, const double *b, size_t n)
{
    double v[BENCH_MAX_ROUNDS];
    for (size_t i = 0; i < n; i++)
        v[i] = a[i] / b[i];
    return bench_median(v, n);
}

/* Linear in trials and in services: a tenth of the cost of ten times as many, but for the caches. */
static void growth(int *missed)
{
    static struct size sizes[] = {
        {.services = 10}, {.services = 100}, {.services = 1000}, {.services = 10000}};
    const size_t n = sizeof sizes / sizeof *sizes;
    size_t rounds = bench_rounds();
    for (size_t i = 0; i < n; i++) {
        AUTO_BUF yaml = BUF_INIT;
        many_services(&yaml, sizes[i].services);
        sizes[i].s = load(buf_text(&yaml));
        sizes[i].sys = ready(sizes[i].s);
    }
    for (size_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < n; i++)
            measure_size(&sizes[i], round);
    for (size_t i = 0; i < n; i++) {
        struct size *z = &sizes[i];
        const struct size *less = i ? &sizes[i - 1] : NULL;
        double per_trial = less ? over(z->each, less->each, rounds) : 0;
        double per_making = less ? over(z->made, less->made, rounds) : 0;
        printf("%zu services: %.3f us a trial and service, %.3f us a service to make\n",
               z->services, bench_median(z->each, rounds), bench_median(z->made, rounds));
        bench_gate(missed, "twice as many trials, times the time", bench_median(z->twice, rounds),
                   true, TWICE_MOST);
        if (less) {
            bench_gate(missed, "a trial and service, over that of a tenth of the services",
                       per_trial, true, TENFOLD_MOST);
            bench_gate(missed, "a service to make, over that of a tenth of the services",
                       per_making, true, MAKING_MOST);
        }
    }
    for (size_t i = 0; i < n; i++) {
        system_free(sizes[i].sys);
        scenario_free(sizes[i].s);
    }
}

/* ---- through the program ---- */

/* What a forecast takes from its start to its end: loaded, played, reckoned, written. */
static struct bench_time forecast_of(const char *program, const char *scenario, const char *out,
                                     bool why)
{
    char trials[24];
    snprintf(trials, sizeof trials, "%d", PROGRAM_TRIALS);
    const char *const argv[] = {program,
                                "forecast",
                                scenario,
                                "--trials",
                                trials,
                                "--seed",
                                "1",
                                "--quiet",
                                "--out",
                                out,
                                why ? NULL : "--no-why",
                                NULL};
    pid_t pid;
    int status = 0;
    struct bench_time from = bench_clock();
    if (posix_spawn(&pid, program, NULL, NULL, (char *const *)(uintptr_t)argv, environ) != 0 ||
        waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) > 1) {
        printf("failed: %s forecast %s (status %#x)\n", program, scenario, (unsigned)status);
        exit(1);
    }
    return bench_since(from);
}

static void program(void)
{
    const char *blackstart = getenv("BLACKSTART"), *source = getenv("BLACKSTART_SOURCE");
    struct err err = ERR_INIT;
    AUTO_BUF scenario = BUF_INIT;
    char dir[] = "/tmp/blackstart-bench-XXXXXX";
    if (!blackstart || !source) {
        printf(
            "no BLACKSTART (the program) and BLACKSTART_SOURCE: nothing is said of the program\n");
        return;
    }
    buf_printf(&scenario, "%s/scenarios/forecast/third-party-outage.yaml", source);
    if (!mkdtemp(dir))
        abort();
    for (int why = 0; why < 2; why++) {
        AUTO_BUF out = BUF_INIT;
        buf_printf(&out, "%s/%d", dir, why);
        struct bench_time t =
            forecast_of(blackstart, buf_text(&scenario), buf_text(&out), why != 0);
        printf("%d trials of third-party-outage through the program%s: %.2f s, %.0f trials/s "
               "(%.2f s of processors)\n",
               PROGRAM_TRIALS, why ? "" : ", --no-why", t.wall_ms / 1e3,
               PROGRAM_TRIALS / (t.wall_ms / 1e3), t.cpu_ms / 1e3);
        fflush(stdout);
    }
    bench_ok(file_remove_tree(AT_FDCWD, dir, &err), &err);
}

static bool wants(int argc, char **argv, const char *part)
{
    return argc < 2 || strcmp(argv[1], part) == 0;
}

int main(int argc, char **argv)
{
    int missed = 0;
    bool has_peer = true;
    if (wants(argc, argv, "failover"))
        has_peer = failover(&missed);
    fflush(stdout);
    if (wants(argc, argv, "growth"))
        growth(&missed);
    if (wants(argc, argv, "program"))
        program();
    return bench_end(missed, has_peer ? NULL : BENCH_NO_SIMPY);
}
