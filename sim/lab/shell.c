/* Into a host from the outside, for people: setns(2) by the init's pidfd, the caller's own
 * terminal.
 *
 * Not through the agent: job control needs the terminal's session, and a person must get in also
 * when the agent is busy. A pid namespace is entered by children alone, hence two forks.
 */
#include "sim/lab/lab.h"

#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/lab/init.h"
#include "sim/lab/node.h"
#include "sim/lab/timens.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SHELL_ENV_MAX 65536
#define SHELL_FAILED 125 /* like env(1) and docker: nothing was executed */

static bool shell_same_userns(pid_t init)
{
    char path[64];
    struct stat own, theirs;
    snprintf(path, sizeof path, "/proc/%d/ns/user", init);
    return stat("/proc/self/ns/user", &own) == 0 && stat(path, &theirs) == 0 &&
           own.st_ino == theirs.st_ino && own.st_dev == theirs.st_dev;
}

static void shell_load_env(void)
{
    char *text;
    size_t n;
    clearenv();
    if (file_read(AT_FDCWD, INIT_ENV_FILE, SHELL_ENV_MAX, &text, &n, NULL) < 0)
        return;
    for (size_t at = 0; at < n; at += strlen(text + at) + 1)
        putenv(text + at); /* `text` stays for ever: we are about to execute */
}

/* Keys of the terminal go to everybody in the foreground; they are for the command alone. */
static int shell_wait(pid_t pid, int *ret_status)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, was_int, was_quit;
    int r;
    sigaction(SIGINT, &ignore, &was_int);
    sigaction(SIGQUIT, &ignore, &was_quit);
    while ((r = waitpid(pid, ret_status, 0)) < 0 && errno == EINTR)
        ;
    r = r < 0 ? -errno : 0;
    sigaction(SIGINT, &was_int, NULL);
    sigaction(SIGQUIT, &was_quit, NULL);
    return r;
}

/* In the child: never returns. What fails is told on `errors`. */
static _Noreturn void shell_child(pid_t init, int pidfd, const char *host, char *const *argv,
                                  int errors)
{
    int flags = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC;
    if (!shell_same_userns(init))
        flags |= CLONE_NEWUSER;
    char dir[INIT_DIR_MAX];
    snprintf(dir, sizeof dir, "/run/%s", host);
    int code = setns(pidfd, flags) < 0 ? errno : timens_enter();
    pid_t pid = code ? -1 : fork();
    if (!code && pid < 0)
        code = errno;
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGINT, SIG_DFL);
        signal(SIGQUIT, SIG_DFL);
        shell_load_env();
        if (chdir(dir) < 0 && chdir("/") < 0)
            _exit(SHELL_FAILED);
        execvp(argv[0], argv);
        code = errno;
        (void)!write(errors, &code, sizeof code);
        _exit(SHELL_FAILED);
    }
    if (code) {
        (void)!write(errors, &code, sizeof code);
        _exit(SHELL_FAILED);
    }
    close(errors);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* after setns(2), which may clear it */
    int status;
    if (shell_wait(pid, &status) < 0)
        _exit(SHELL_FAILED);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int lab_shell(pid_t init, const char *host, char *const *argv, struct err *err)
{
    int pipe_fds[2], code = 0, status;
    char sh[] = "/bin/sh";
    char *const alone[] = {sh, NULL};
    if (!argv)
        argv = alone;
    AUTO_CLOSE int pidfd = pidfd_open(init, 0);
    if (pidfd < 0)
        return errno == ESRCH ? err_set(err, EHOSTDOWN, "host %s is down", host)
                              : err_errno(err, errno, "cannot reach host %s", host);
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return err_errno(err, errno, "cannot make a pipe");
    pid_t pid = fork();
    if (pid == 0)
        shell_child(init, pidfd, host, argv, pipe_fds[1]);
    int failed = pid < 0 ? errno : 0;
    close(pipe_fds[1]);
    ssize_t n = failed ? 0 : read(pipe_fds[0], &code, sizeof code);
    close(pipe_fds[0]);
    if (failed)
        return err_errno(err, failed, "cannot fork");
    int r = shell_wait(pid, &status);
    if (r < 0)
        return err_errno(err, -r, "cannot wait");
    if (n == (ssize_t)sizeof code && code == EPERM)
        return err_errno(err, code, "cannot enter host %s: it belongs to another user", host);
    if (n == (ssize_t)sizeof code)
        return err_errno(err, code, "cannot run %s in host %s", argv[0], host);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int lab_node_shell(struct lab_node *n, char *const *argv, struct err *err)
{
    if (!n->up)
        return node_is_down(n, err);
    if (n->attached)
        return others_refuse(n, err);
    return lab_shell(n->pid, n->host->name, argv, err);
}
