/* Cleanup attributes: one idiom for every owning local.
 *
 * Ownership: a variable marked with one of these is released when it goes out of scope. Hand it on
 * only through steal_ptr() or steal_fd(), which leave NULL or -1 behind.
 */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Defines NAME_p(TYPE *) calling FN on a non-NULL pointer; use as CLEANUP(NAME_p). */
#define DEFINE_CLEANUP(type, fn)                                                                   \
    static inline void fn##_p(type **p)                                                            \
    {                                                                                              \
        if (*p)                                                                                    \
            fn(*p);                                                                                \
    }                                                                                              \
    struct cleanup_needs_a_semicolon

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}
static inline void cleanup_close(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
static inline void cleanup_fclose(FILE **f)
{
    if (*f)
        fclose(*f);
}
static inline void cleanup_closedir(DIR **d)
{
    if (*d)
        closedir(*d);
}

#define AUTO_FREE CLEANUP(cleanup_free)
#define AUTO_CLOSE CLEANUP(cleanup_close)
#define AUTO_FCLOSE CLEANUP(cleanup_fclose)
#define AUTO_CLOSEDIR CLEANUP(cleanup_closedir)

#define steal_ptr(p)                                                                               \
    __extension__({                                                                                \
        __typeof__(p) steal_tmp_ = (p);                                                            \
        (p) = NULL;                                                                                \
        steal_tmp_;                                                                                \
    })

static inline int steal_fd(int *fd)
{
    int r = *fd;
    *fd = -1;
    return r;
}

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
