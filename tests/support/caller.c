/* Callers of servers in the same loop, see caller.h. */
#include "tests/support/caller.h"

#include "tests/support/test.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

void caller_hear(struct loop *loop, int fd, char *text, size_t size, const char *want)
{
    size_t n = strlen(text);
    while (n < size - 1) {
        ssize_t got = recv(fd, text + n, size - 1 - n, MSG_DONTWAIT);
        if (got > 0) {
            n += (size_t)got;
            text[n] = '\0';
        } else if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) {
            assert_null(want);
            return;
        }
        if (want && strstr(text, want))
            return;
        if (got < 0)
            assert_int_equal(loop_turn(loop, loop_fresh(loop) + 20 * NSEC_MSEC, NULL), 0);
    }
}
