/* See bench.h. */
#include "tests/bench/bench.h"

#include "sim/base/buf.h"
#include "sim/base/cleanup.h"
#include "sim/base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

size_t bench_rounds(void)
{
    const char *text = getenv("BENCH_ROUNDS");
    long n = text ? strtol(text, NULL, 10) : 5;
    return n < 1 ? 1 : n > BENCH_MAX_ROUNDS ? BENCH_MAX_ROUNDS : (size_t)n;
}

struct bench_time bench_clock(void)
{
    struct bench_time t = {.wall_ms = (double)nsec_now(CLOCK_MONOTONIC) / 1e6};
    static const int whose[] = {RUSAGE_SELF, RUSAGE_CHILDREN};
    for (size_t i = 0; i < ARRAY_SIZE(whose); i++) {
        struct rusage u;
        getrusage(whose[i], &u);
        t.cpu_ms += (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
                    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
    }
    return t;
}

struct bench_time bench_since(struct bench_time start)
{
    struct bench_time now = bench_clock();
    return (struct bench_time){now.wall_ms - start.wall_ms, now.cpu_ms - start.cpu_ms};
}

void bench_add(struct bench_series *s, struct bench_time t)
{
    s->rounds[s->n++] = t;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double pick(struct bench_time t, bool cpu)
{
    return cpu ? t.cpu_ms : t.wall_ms;
}

double bench_median(double *v, size_t n)
{
    if (n == 0)
        return (double)NAN;
    qsort(v, n, sizeof *v, by_value);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

struct spread {
    double low, median, high;
};

/* Of the values, or with `base` of each round's ratio to it. */
static struct spread spread(const struct bench_series *s, const struct bench_series *base, bool cpu)
{
    double v[BENCH_MAX_ROUNDS];
    for (size_t i = 0; i < s->n; i++)
        v[i] = pick(s->rounds[i], cpu) / (base ? pick(base->rounds[i], cpu) : 1);
    double median = bench_median(v, s->n);
    return (struct spread){v[0], median, v[s->n - 1]};
}

void bench_print(const struct bench_series *s, const struct bench_series *base)
{
    static const char *const words[] = {"clock", "processors"};
    int sides = pick(s->rounds[0], true) > 0 ? 2 : 1;
    for (int cpu = 0; cpu < sides; cpu++) {
        struct spread t = spread(s, NULL, cpu);
        printf("  %-33s %-10s %9.2f ms (%.2f to %.2f)", cpu ? "" : s->name, words[cpu], t.median,
               t.low, t.high);
        if (base) {
            struct spread r = spread(s, base, cpu);
            printf(", %.1f times blackstart's (%.1f to %.1f)", r.median, r.low, r.high);
        }
        printf("\n");
    }
    fflush(stdout);
}

double bench_ratio(const struct bench_series *s, const struct bench_series *base)
{
    return spread(s, base, true).median;
}

static bool is_kept(double got, bool most, double limit)
{
    return most ? got <= limit : got >= limit;
}

void bench_gate(int *missed, const char *name, double got, bool most, double limit)
{
    bench_gate_of(missed, name, &got, 1, most, limit);
}

void bench_gate_of(int *missed, const char *name, double *v, size_t n, bool most, double limit)
{
    double median = bench_median(v, n);
    bool kept = is_kept(median, most, limit);
    printf("gate %s: %.3f", name, median);
    if (n > 1)
        printf(" (%.3f to %.3f)", v[0], v[n - 1]);
    printf(", at %s %g: %s\n", most ? "most" : "least", limit, kept ? "kept" : "MISSED");
    fflush(stdout);
    *missed += !kept;
}

void bench_gate_times(int *missed, const char *name, const struct bench_series *s,
                      const struct bench_series *base, double least)
{
    double v[BENCH_MAX_ROUNDS];
    for (size_t i = 0; i < s->n; i++)
        v[i] = s->rounds[i].wall_ms / base->rounds[i].wall_ms;
    bench_gate_of(missed, name, v, s->n, false, least);
}

void bench_goal(const char *name, double got, bool most, double limit)
{
    printf("goal %s: %.3f, at %s %g: %s\n", name, got, most ? "most" : "least", limit,
           is_kept(got, most, limit) ? "reached" : "not reached");
    fflush(stdout);
}

void bench_tell(const char *name, double *v, size_t n, const char *unit)
{
    double median = bench_median(v, n);
    printf("  %-44s %10.2f %s", name, median, unit);
    if (n > 1)
        printf(" (%.2f to %.2f)", v[0], v[n - 1]);
    printf("\n");
    fflush(stdout);
}

void bench_over(const double *a, const double *b, size_t n, double *ret)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = a[i] / b[i];
}

/* 77 says "skipped" to meson; where everything must run, nothing may be. */
static int skipped(void)
{
    return getenv("BLACKSTART_TESTS_MUST_RUN") ? 1 : 77;
}

int bench_end(int missed, const char *lacks)
{
    if (lacks)
        printf("%s\n", lacks);
    if (missed)
        printf("%d gate%s missed\n", missed, missed == 1 ? "" : "s");
    return missed ? 1 : lacks ? skipped() : 0;
}

bool bench_wants(int argc, char **argv, const char *part)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], part) == 0)
            return true;
    return argc <= 1;
}

void bench_ok(int r, const struct err *err)
{
    if (r >= 0)
        return;
    printf("failed: %s\n", err->text);
    exit(1);
}

void bench_skip(const char *why)
{
    printf("skipped: %s\n", why);
    exit(skipped());
}

void bench_fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("failed: ");
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    exit(1);
}

static int input_fd(const char *input)
{
    if (!input)
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
    int fd = memfd_create("input", MFD_CLOEXEC);
    struct err err = ERR_INIT;
    bench_ok(file_write_all(fd, input, strlen(input), &err), &err);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

void bench_run(const char *const *argv, const char *input)
{
    AUTO_CLOSE int fd = input_fd(input);
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd, 0);
    int r = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (r == ENOENT)
        bench_skip("a program to compare with is not installed (iproute2, nftables)");
    if (r != 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
        WEXITSTATUS(status) != 0) {
        AUTO_BUF text = BUF_INIT;
        for (const char *const *a = argv; *a; a++)
            buf_printf(&text, " %s", *a);
        printf("failed:%s\n", buf_text(&text));
        exit(1);
    }
}

bool bench_has(const char *program)
{
    static const char *const folders[] = {"/usr/bin", "/usr/sbin", "/bin", "/sbin",
                                          "/usr/local/bin"};
    char path[256];
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        snprintf(path, sizeof path, "%s/%s", folders[i], program);
        if (access(path, X_OK) == 0)
            return true;
    }
    return false;
}

static void write_map(const char *path, const char *text)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        bench_skip("user namespaces are not allowed here");
}

void bench_hide(void)
{
    unsigned uid = geteuid(), gid = getegid();
    if (uid != 0) {
        char map[64];
        if (unshare(CLONE_NEWUSER) < 0)
            bench_skip("user namespaces are not allowed here");
        write_map("/proc/self/setgroups", "deny");
        snprintf(map, sizeof map, "0 %u 1", gid);
        write_map("/proc/self/gid_map", map);
        snprintf(map, sizeof map, "0 %u 1", uid);
        write_map("/proc/self/uid_map", map);
    }
    if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0)
        bench_skip("namespaces are not allowed here");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, NULL) < 0)
        bench_skip("a private /run cannot be mounted here");
}
