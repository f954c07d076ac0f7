/* See guest.h. All of it runs between fork and exec, so nothing here allocates. */
#include "sim/lab/guest.h"

#include "sim/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

_Noreturn void guest_end_as(int status)
{
    if (WIFEXITED(status))
        _exit(WEXITSTATUS(status));
    sigset_t none;
    sigemptyset(&none);
    prctl(PR_SET_DUMPABLE, 0);
    kill(getpid(), WTERMSIG(status));
    sigprocmask(SIG_SETMASK, &none, NULL);
    _exit(128 + WTERMSIG(status));
}

/* Waits for the command below it; signals are blocked. */
static _Noreturn void guard(pid_t command, int host, const sigset_t *told)
{
    int status;
    int signals = signalfd(-1, told, SFD_CLOEXEC);
    struct pollfd p[2] = {{.fd = signals, .events = POLLIN}, {.fd = host, .events = POLLIN}};
    if (signals < 0)
        kill(command, SIGKILL);
    for (pid_t ended; (ended = waitpid(command, &status, WNOHANG)) != command;) {
        struct signalfd_siginfo what = {0};
        if (ended < 0)
            _exit(127);
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            kill(command, SIGKILL);
        if (p[0].revents)
            (void)!read(signals, &what, sizeof what);
        if (what.ssi_signo == (uint32_t)SIGRTMIN || p[1].revents) {
            kill(command, SIGKILL);
            p[1].fd = -1; /* once is enough; its end is still waited for */
        }
    }
    guest_end_as(status);
}

/* Whoever holds memory here is taken first, and cannot say otherwise: without CAP_SYS_RESOURCE nobody
 * gets below the score that a holder of it has set (proc_pid_oom_score_adj(5)). */
static int be_first_to_go(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int code = write(fd, "1000", strlen("1000")) < 0 ? errno : 0;
    close(fd);
    if (code == 0 && prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE, 0, 0, 0) < 0)
        code = errno;
    return code;
}

/* `lifeline`: a pipe whose other end the guard alone holds. */
static int become_command(const struct lab_guest *g, int lifeline, const sigset_t *mask)
{
    struct pollfd p = {.fd = lifeline, .events = POLLIN};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (poll(&p, 1, 0) != 0) /* it died before the line above */
        _exit(127);
    int code = be_first_to_go();
    if (code == 0)
        code = cgroup_seats_take(g->seats);
    if (code == 0 && (g->folder >= 0 ? fchdir(g->folder) : chdir("/")) < 0)
        code = errno;
    sigprocmask(SIG_SETMASK, mask, NULL);
    return code;
}

int guest_enter(void *data)
{
    const struct guest_start *s = data;
    sigset_t all, old, told;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0 || unshare(CLONE_NEWPID) < 0)
        return errno;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &old);
    pid_t runner = getppid(), command = fork();
    if (command < 0)
        return errno;
    if (command == 0) {
        close(ends[1]);
        return become_command(s->guest, ends[0], &old);
    }
    int keep[] = {s->host, ends[1]};
    file_close_others(keep, sizeof keep / sizeof *keep);
    sigemptyset(&told);
    sigaddset(&told, SIGCHLD);
    sigaddset(&told, SIGRTMIN);
    prctl(PR_SET_PDEATHSIG, SIGRTMIN); /* no signal that its group is sent */
    if (getppid() != runner)
        kill(command, SIGKILL);
    guard(command, s->host, &told);
}
