/* The fast engine: the asynchronous array of simpy_engine.py in C, the same trajectory update for update.
 *
 * No event is queued for a message. A sender keeps the last states that it has sent, with their times; a cell that wakes at t takes from every
 * neighbour the newest one that has arrived before t. Wakes wait in a wheel of buckets; a bucket is sorted by time and cell when its
 * turn comes.
 */
#ifndef NCA_FAST_ENGINE_H
#define NCA_FAST_ENGINE_H

#include "kernel.h"

typedef struct {
    int64_t time;
    uint32_t cell;
} nca_wake;

typedef struct {
    const nca_fast *kernel;
    uint32_t width, height, seed;
    int64_t latency;
    uint64_t loss_limit;
    const uint32_t *waits; /* [4096] ticks, by the upper bits of a random number */
    const int64_t *tick;   /* [cells], ps of a thousand ticks */

    uint32_t *random;     /* [cells] */
    int8_t *states;       /* [cells][C] */
    int8_t *inboxes;      /* [cells][8][C] */
    int64_t *next_wake;   /* [cells], -1 without power */
    int64_t *heard_until; /* [cells], what arrived before this has been taken */
    uint8_t *quiet;       /* [cells], wakes that pass without an update */
    uint8_t *settled;     /* [cells], 0, or 1 + evaluated if the last update changed nothing and nothing was heard since */
    uint32_t *sent;       /* [cells], messages sent over each link so far */
    int64_t *updates;     /* [cells] */

    uint32_t ring;     /* a power of two: so many sent states of a cell are kept */
    int64_t *sent_at;  /* [cells][ring] */
    uint8_t *lost;     /* [cells][ring], a bit for each direction */
    int8_t *sent_code; /* [cells][ring][C] */

    uint32_t buckets; /* a power of two: bucket b holds the wakes of [b, b + 1) bucket_ns, modulo the wheel */
    int64_t bucket_ns, bucket_now;
    int32_t *head;           /* [buckets], first cell or -1 */
    int32_t *after, *before; /* [cells], of the same bucket; `before` of the first is -1 */
    nca_wake *order;         /* [cells], scratch */

    uint64_t all_updates, evaluated_updates, computed_updates, messages_sent, messages_lost;
} nca_engine;

/* Power on at `now`: the first wake is drawn. The cell must be without power. */
void nca_engine_power_on(nca_engine *engine, uint32_t cell, int64_t now);

/* Power off: state and memory are lost. What was sent still arrives. */
void nca_engine_power_off(nca_engine *engine, uint32_t cell);

/* Makes a cell the seed: it sends `seed` at once and lets `quiet` wakes pass. */
void nca_engine_plant(nca_engine *engine, uint32_t cell, const int8_t *seed, uint8_t quiet, int64_t now);

/* Runs the wakes before `until`, as many as fit into `records`: time (u64), cell (u32) and state (C codes) of every update, in order. Sets
 * `more` if there are wakes left; gives the bytes written. */
uint64_t nca_engine_run(nca_engine *engine, int64_t until, uint8_t *records, uint64_t size, uint8_t *more);

#endif
