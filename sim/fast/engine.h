/* The fast engine: the asynchronous array of simpy_engine.py in C, the same trajectory update for update.
 *
 * No event is queued for a message. A sender keeps the last states that it has sent, with their times; a cell that wakes at t takes from every
 * source the newest one that has arrived before t. Wakes wait in a wheel of buckets, each sorted by time and cell when its turn comes. All
 * wakes within the least latency are independent of each other: they listen and are computed together (by several threads in a
 * large array), and are then committed one by one in their order.
 *
 * Cells are numbered as in a grid with a border of one cell around, which never wakes; NUMBER of a cell is that in the grid without border.
 */
#ifndef NCA_FAST_ENGINE_H
#define NCA_FAST_ENGINE_H

#include "kernel.h"

#define NCA_BATCH_MAX 4096u
#define NCA_LISTENERS 12u /* of one cell at most */
#define NCA_INSIDE 8u     /* in place of a frame's number: read in the chip's own memory */
#define NCA_EAST 2u       /* places of neighbours, clockwise from the north */
#define NCA_WEST 6u
#define NCA_OWN 255u      /* a frame that carries the sender's own state */
#define NCA_STUCK 1u
#define NCA_BABBLING 2u
#define NCA_NO_KEY UINT64_MAX
#define NCA_UNSENT (-((int64_t)1 << 62))
#define NCA_REMEMBERED (-((int64_t)1 << 60)) /* when those states were sent that all know at power-on */

typedef struct {
    int64_t time;
    uint32_t cell;
} nca_wake;

/* One cache line a cell. */
typedef struct {
    int64_t next_wake;  /* -1 without power */
    int64_t since;      /* when it last listened, or power-on: what arrived before is heard already */
    int64_t powered_at; /* what arrived before was never heard */
    uint32_t tick;      /* ps of a thousand ticks, before wander and pace */
    uint32_t random, updates, number, chip, sent;
    uint32_t pace; /* its clock is so many 1024ths too slow */
    int32_t after; /* of the same bucket, or -1 */
    uint8_t quiet;         /* wakes that pass without an update */
    uint8_t settled;       /* 0, or 1 + evaluated if the last update changed nothing and nothing was heard since */
    uint8_t flags, cut, frames, program;
    uint8_t links; /* how many frames it sends */
    uint8_t reserved;
} nca_cell;

typedef struct {
    int64_t sent_at;
    union {
        int64_t stable_since;  /* where links never fail: the first of the last messages that all told the same */
        uint8_t lost_altered[2]; /* elsewhere: a bit for each frame */
    } way;
    int8_t code[NCA_CHANNELS_MAX];
} nca_sent;

typedef struct { /* what a frame passed on */
    int64_t told_at[2];
    int8_t code[2][NCA_CHANNELS_MAX]; /* of the eastern and the western neighbour */
} nca_passed;

typedef struct { /* a frame whose flipped bits the CRC did not notice */
    uint32_t cell, sent, frame;
    int8_t code[NCA_CHANNELS_MAX];
} nca_altered;

typedef struct { /* how a cell hears a neighbour, or who hears a cell */
    int32_t offset;
    uint8_t slot, frame, carries, used;
} nca_wire;

#define NCA_BUCKET 7u
typedef struct { /* one cache line */
    uint32_t count;           /* of keys */
    int32_t more;             /* first of the cells that found no room, or -1 */
    uint64_t key[NCA_BUCKET]; /* ns from the beginning of the bucket, cell; NCA_NO_KEY beyond those that count */
} nca_bucket;

typedef struct { /* what becomes of a wake: of those in a batch, the first in `order` */
    int8_t old[NCA_CHANNELS_MAX];
    int64_t age; /* of what was heard, summed */
    uint8_t heard, computed, evaluated;
    uint8_t reserved[5];
} nca_update;

typedef struct nca_engine {
    const nca_fast *programs; /* the genomes that cells may run, the array's own first */
    uint32_t seed, threads;
    int64_t latency, shortest_wait;
    const uint32_t *waits; /* [4096] ticks, by the upper bits of a random number */

    /* Links. `plain`: eight links a cell that never fail and take the latency; nothing of the rest is used. */
    uint8_t plain;
    uint8_t link[8], carries[8], place[8]; /* of a frame */
    uint64_t loss_limit, loss_spread, latency_jitter;
    int64_t frame_ns, queue_ns;
    const uint64_t *clean; /* [clean_count], or NULL without bit errors */
    uint32_t clean_count;
    const nca_wire *sources;   /* [positions][8] */
    const nca_wire *listeners; /* [positions][NCA_LISTENERS] */
    const uint16_t *position;  /* [cells] in its tile; NULL where a chip holds one cell */
    int64_t *free_at, *last_at; /* [chips][8], or NULL */

    /* Clocks that wander. */
    const int64_t *wander; /* [clocks][segments], or NULL */
    const uint32_t *clock;
    const int64_t *phase;
    int64_t segments, segment_ns;

    nca_cell *cells;
    int8_t *states;    /* [cells][16] */
    int8_t *inboxes;   /* [cells][8][16]; NULL where links never fail: what a cell has heard is what was sent last */
    int64_t *heard_at; /* [cells][8], when its owner sent what stands there, or -1 */

    uint32_t ring;        /* a power of two: so many sent states of a cell are kept */
    uint64_t all_cells;   /* with the border */
    int64_t stride;       /* cells of a row, with the border */
    uint8_t far;          /* the array is larger than a cache: memory is asked for ahead */
    nca_sent *sent;       /* [cells][ring]; where links never fail [ring][cells], the newest first */
    uint32_t *sent_count; /* [cells] */
    int64_t *arrival;     /* [cells][ring][8], or NULL where all is received one latency after it was sent */
    nca_passed *passed;   /* [cells][ring], or NULL where nothing is passed on */
    nca_altered *altered;
    uint32_t altered_count, altered_room;

    uint32_t buckets; /* a power of two: bucket b holds the wakes of [b, b + 1) << bucket_shift, modulo the wheel */
    uint32_t bucket_shift;
    int64_t bucket_now;
    nca_bucket *bucket; /* [buckets] */
    nca_wake *order; /* [cells + NCA_BUCKET]: wakes taken from the wheel, in their order */
    uint32_t order_first, order_end;
    uint32_t *chip_seen; /* [chips] the last batch that a cell of it was in; NULL where a chip holds one cell */
    uint32_t batch_number;
    nca_update *batch; /* [NCA_BATCH_MAX] */
    uint32_t batch_room;
    void *pool;

    uint64_t all_updates, evaluated_updates, computed_updates;
    uint64_t messages_sent, messages_lost, messages_dropped, messages_corrupted, messages_undetected, heard;
    int64_t age;
} nca_engine;

/* Power on at `now`: the first wake is drawn. The cell must be without power. */
void nca_engine_power_on(nca_engine *engine, uint32_t count, const uint32_t *cells, int64_t now);

/* Power off: state and memory are lost. What was sent still arrives. */
void nca_engine_power_off(nca_engine *engine, uint32_t count, const uint32_t *cells);

/* Makes a cell the seed: it sends `seed` [16] at once and lets `quiet` wakes pass. */
void nca_engine_plant(nca_engine *engine, uint32_t cell, const int8_t *seed, uint8_t quiet, int64_t now);

/* Runs the wakes before `until`, as many as fit into `records`: time (u64), cell (u32) and state (C codes) of every update, in order. Sets
 * `more` if there are wakes left; gives the bytes written. `records` has room for 16 bytes more. */
uint64_t nca_engine_run(nca_engine *engine, int64_t until, uint8_t *records, uint64_t size, uint8_t *more);

/* Ends the threads. */
void nca_engine_close(nca_engine *engine);

#endif
