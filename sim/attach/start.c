/* Commands that start what others run. See start.h. */
#include "sim/attach/start.h"

#include "sim/base/cleanup.h"
#include "sim/base/oom.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

/* Between fork(2) and exec(2): async-signal-safe calls alone. */
static __attribute__((noreturn)) void start_main(const char *command, int mounts, int report)
{
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int signo = 1; signo < NSIG; signo++)
        sigaction(signo, &dfl, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    oom_ordinary();
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

int start_command(const char *command, int mounts, struct err *err)
{
    int fds[2], code = 0, status;
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
            start_main(command, mounts, write_fd);
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
