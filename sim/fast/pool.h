/* Threads that do one thing together. Where there are no POSIX threads, the caller does it alone. */
#ifndef NCA_FAST_POOL_H
#define NCA_FAST_POOL_H

#include <stdint.h>

/* `threads` in all, the caller among them. NULL if there can be no other. */
void *nca_pool_open(uint32_t threads);

/* Calls work(what, 0, n) .. work(what, n - 1, n) at the same time, and returns when all are done. Any pool, NULL too. */
void nca_pool_run(void *pool, void (*work)(void *what, uint32_t slice, uint32_t slices), void *what);

void nca_pool_close(void *pool);

#endif
