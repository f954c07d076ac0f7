/* Loaded into programs before libfaketime 0.9.10, which answers EINVAL to a sleep until an instant of a
 * monotonic clock when it was told to leave monotonic clocks alone (so sleeps Python since 3.11). Such a
 * sleep is none of its affairs: it goes to the kernel. Sleeps on the wall clock go to libfaketime.
 *
 * No program of ours: a shared library of one function, kept inside the program and written into the
 * working directory of a host.
 */
#include <dlfcn.h>
#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

__attribute__((visibility("default"))) int
clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left)
{
    int (*next)(clockid_t, int, const struct timespec *, struct timespec *);
    if (clock == CLOCK_REALTIME) {
        *(void **)&next = dlsym(RTLD_NEXT, "clock_nanosleep");
        if (next)
            return next(clock, flags, until, left);
    }
    return syscall(SYS_clock_nanosleep, clock, flags, until, left) == 0 ? 0 : errno;
}
