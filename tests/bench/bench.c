/* See bench.h. */
#include "tests/bench/bench.h"

#include "sim/base/buf.h"
#include "sim/base/cleanup.h"
#include "sim/base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

size_t bench_rounds(void)
{
    const char *text = getenv("BENCH_ROUNDS");
    long n = text ? strtol(text, NULL, 10) : 5;
    return n < 1 ? 1 : n > BENCH_MAX_ROUNDS ? BENCH_MAX_ROUNDS : (size_t)n;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sort(const double *values, size_t n, double *sorted)
{
    memcpy(sorted, values, n * sizeof *values);
    qsort(sorted, n, sizeof *sorted, by_value);
}

double bench_median(const double *values, size_t n)
{
    double sorted[BENCH_MAX_ROUNDS];
    sort(values, n, sorted);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

double bench_now_ms(void)
{
    return (double)nsec_now(CLOCK_MONOTONIC) / 1e6;
}

void bench_add(struct bench_series *s, double ms)
{
    s->ms[s->n++] = ms;
}

void bench_print(const struct bench_series *s, const struct bench_series *base)
{
    double sorted[BENCH_MAX_ROUNDS], ratios[BENCH_MAX_ROUNDS];
    sort(s->ms, s->n, sorted);
    printf("  %-34s median %9.2f ms (%.2f to %.2f)", s->name, bench_median(s->ms, s->n), sorted[0],
           sorted[s->n - 1]);
    if (base) {
        for (size_t i = 0; i < s->n; i++)
            ratios[i] = s->ms[i] / base->ms[i];
        sort(ratios, s->n, sorted);
        printf("   %6.1f times (%.1f to %.1f) blackstart's", bench_median(ratios, s->n), sorted[0],
               sorted[s->n - 1]);
    }
    printf("\n");
    fflush(stdout);
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
    exit(77);
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
