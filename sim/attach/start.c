/* Commands that start what others run. See start.h. */
#include "sim/attach/start.h"

#include "sim/base/cleanup.h"
#include "sim/base/oom.h"
#include "sim/kernel/cgroup_seats.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Between fork(2) and exec(2): async-signal-safe calls alone. */
static __attribute__((noreturn)) void start_main(const char *command, int mounts,
                                                 const struct cgroup_seats *seats, int report)
{
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int signo = 1; signo < NSIG; signo++)
        sigaction(signo, &dfl, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    oom_ordinary();
    for (size_t i = 0; i < seats->n; i++)
        (void)!write(seats->items[i].procs, "0", 1); /* the writer itself */
    int null = open("/dev/null", O_RDWR);
    bool ok = null >= 0 && dup2(null, 0) == 0 && dup2(null, 1) == 1 && dup2(null, 2) == 2 &&
              (mounts < 0 || setns(mounts, CLONE_NEWNS) == 0) && chdir("/") == 0;
    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC); /* `report` too: its end says that exec has worked */
    if (ok)
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    int code = errno;
    (void)!write(report, &code, sizeof code);
    _exit(127);
}

static void open_seats(const json_t *folders, struct cgroup_seats *ret)
{
    size_t n = json_array_size(folders);
    AUTO_FREE const char **texts = calloc(n + 1, sizeof *texts);
    if (!texts)
        abort();
    for (size_t i = 0; i < n; i++)
        texts[i] = json_string_value(json_array_get(folders, i));
    cgroup_seats_in(texts, n, ret);
}

json_t *start_seats(pid_t pid)
{
    char **folders = NULL;
    if (cgroup_folders(pid, &folders, NULL) < 0)
        return NULL;
    json_t *seats = json_array();
    for (char **f = folders; f && *f; f++)
        json_array_append_new(seats, json_string(*f));
    cgroup_folders_free(&folders);
    return seats;
}

int start_command(const char *command, int mounts, const json_t *seats, struct err *err)
{
    int fds[2], code = 0, status;
    AUTO_CGROUP_SEATS opened = {0};
    open_seats(seats, &opened);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_errno(err, errno, "cannot start \"%s\"", command);
    AUTO_CLOSE int read_fd = fds[0];
    AUTO_CLOSE int write_fd = fds[1];
    pid_t between = fork();
    if (between < 0)
        return err_errno(err, errno, "cannot start \"%s\"", command);
    if (between == 0) { /* an orphan is process 1's, and goes on without us */
        setsid();
        if (fork() == 0)
            start_main(command, mounts, &opened, write_fd);
        _exit(0);
    }
    close(steal_fd(&write_fd));
    while (waitpid(between, &status, 0) < 0 && errno == EINTR)
        ;
    ssize_t n;
    while ((n = read(read_fd, &code, sizeof code)) < 0 && errno == EINTR)
        ;
    return n == sizeof code ? err_errno(err, code, "cannot start \"%s\"", command) : 0;
}
