/* See closer.h. A list of descriptors under one lock; a thread is started when there is one more than
 * threads that wait. */
#include "sim/impair/engine/closer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define THREADS 16
#define STACK ((size_t)64 * 1024)

struct closing {
    struct closing *next;
    int fd;
    bool awaited;
};

struct closer {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct closing *first, **last;
    size_t waiting, n; /* threads without work; listed descriptors */
    bool over;
    pthread_t threads[THREADS];
    size_t n_threads;
    int told;
};

static void close_one(const struct closer *c, int fd, bool awaited)
{
    close(fd);
    if (awaited)
        (void)eventfd_write(c->told, 1);
}

static void *work(void *data)
{
    struct closer *c = data;
    setpriority(PRIO_PROCESS, 0,
                0); /* of this thread alone: the one that releases frames has precedence */
    pthread_mutex_lock(&c->lock);
    for (;;) {
        c->waiting++;
        while (!c->first && !c->over)
            pthread_cond_wait(&c->more, &c->lock);
        c->waiting--;
        struct closing *one = c->first;
        if (!one)
            break;
        c->first = one->next;
        if (!c->first)
            c->last = &c->first;
        c->n--;
        pthread_mutex_unlock(&c->lock);
        close_one(c, one->fd, one->awaited);
        free(one);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

int closer_new(struct closer **ret)
{
    struct closer *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->told < 0) {
        int r = -errno;
        free(c);
        return r;
    }
    c->last = &c->first;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->more, NULL);
    *ret = c;
    return 0;
}

/* With the lock held. False: nobody would ever close what is listed. */
static bool has_thread(struct closer *c)
{
    pthread_attr_t attr;
    if (c->n_threads == THREADS || c->waiting > c->n)
        return true;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    if (pthread_create(&c->threads[c->n_threads], &attr, work, c) == 0)
        c->n_threads++;
    pthread_attr_destroy(&attr);
    return c->n_threads > 0;
}

void closer_take(struct closer *c, int fd, bool awaited)
{
    struct closing *one = malloc(sizeof *one);
    pthread_mutex_lock(&c->lock);
    bool listed = one && has_thread(c);
    if (listed) {
        *one = (struct closing){.fd = fd, .awaited = awaited};
        one->next = awaited ? c->first : NULL;
        if (awaited) {
            c->last = c->first ? c->last : &one->next;
            c->first = one;
        } else {
            *c->last = one;
            c->last = &one->next;
        }
        c->n++;
        pthread_cond_signal(&c->more);
    }
    pthread_mutex_unlock(&c->lock);
    if (listed)
        return;
    free(one);
    close_one(c, fd, awaited);
}

int closer_fd(const struct closer *c)
{
    return c->told;
}

struct closer *closer_free(struct closer *c)
{
    if (!c)
        return NULL;
    pthread_mutex_lock(&c->lock);
    c->over = true;
    pthread_cond_broadcast(&c->more);
    pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; i < c->n_threads; i++)
        pthread_join(c->threads[i], NULL);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->more);
    close(c->told);
    free(c);
    return NULL;
}
