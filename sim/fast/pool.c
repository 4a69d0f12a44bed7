#include "pool.h"

#if defined(_WIN32)

void *nca_pool_open(uint32_t threads)
{
    (void)threads;
    return 0;
}

void nca_pool_run(void *pool, void (*work)(void *what, uint32_t slice, uint32_t slices), void *what)
{
    (void)pool;
    work(what, 0, 1);
}

void nca_pool_close(void *pool)
{
    (void)pool;
}

#else

#include <pthread.h>
#include <stdlib.h>

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t begin, done;
    void (*work)(void *, uint32_t, uint32_t);
    void *what;
    uint64_t round; /* one more for every call of nca_pool_run */
    uint32_t others, waiting, closing, started;
    pthread_t thread[];
} pool;

static void *help(void *argument)
{
    pool *p = argument;

    pthread_mutex_lock(&p->lock);
    const uint32_t slice = ++p->started;
    for (uint64_t seen = 0;;) {
        while (p->round == seen && p->closing == 0) {
            pthread_cond_wait(&p->begin, &p->lock);
        }
        if (p->closing != 0) {
            break;
        }
        seen = p->round;
        pthread_mutex_unlock(&p->lock);
        p->work(p->what, slice, p->others + 1);
        pthread_mutex_lock(&p->lock);
        if (--p->waiting == 0) {
            pthread_cond_signal(&p->done);
        }
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

void *nca_pool_open(uint32_t threads)
{
    pool *p = calloc(1, sizeof *p + sizeof(pthread_t) * threads);
    if (p == NULL) {
        return NULL;
    }
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->begin, NULL);
    pthread_cond_init(&p->done, NULL);
    while (p->others + 1 < threads && pthread_create(&p->thread[p->others], NULL, help, p) == 0) {
        p->others++;
    }
    return p;
}

void nca_pool_run(void *pool_or_null, void (*work)(void *what, uint32_t slice, uint32_t slices), void *what)
{
    pool *p = pool_or_null;

    if (p == NULL || p->others == 0) {
        work(what, 0, 1);
        return;
    }
    pthread_mutex_lock(&p->lock);
    p->work = work;
    p->what = what;
    p->waiting = p->others;
    p->round++;
    pthread_cond_broadcast(&p->begin);
    pthread_mutex_unlock(&p->lock);
    work(what, 0, p->others + 1);
    pthread_mutex_lock(&p->lock);
    while (p->waiting != 0) {
        pthread_cond_wait(&p->done, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
}

void nca_pool_close(void *pool_or_null)
{
    pool *p = pool_or_null;

    if (p == NULL) {
        return;
    }
    pthread_mutex_lock(&p->lock);
    p->closing = 1;
    pthread_cond_broadcast(&p->begin);
    pthread_mutex_unlock(&p->lock);
    for (uint32_t n = 0; n < p->others; n++) {
        pthread_join(p->thread[n], NULL);
    }
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->begin);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

#endif
