/* One grid of a rollout: its map, its versions, and what the gradient needs of every update (see rollout.h). */
#ifndef NCA_TRAIN_GRID_H
#define NCA_TRAIN_GRID_H

#include <stddef.h>

#include "layers.h"
#include "rollout.h"

#define NCA_GOLDEN 0x9E3779B9u
#define NCA_STATE_SCALE 256.0f /* codes are values in 1/256 */

/* Memory that begins at a cache line and may grow. */
typedef struct {
    void *memory;
    char *data; /* in it, at a cache line */
    size_t size;
} nca_block;

/* What all grids share. */
typedef struct {
    uint32_t batch, height, width, cells, stride;
    int32_t offset[8];
    uint32_t *place, *salt; /* [H W] where a cell is on the bordered map of `cells`; [cells] see draw() */
    uint32_t hears[8];      /* the same of directions */
    void *pool;
    const nca_layers *layers;
    int most, integer;
    nca_block weights; /* nca_weights */
    nca_fast fast;     /* the integer cell, */
    float unit[HIDDEN]; /* and the float values of its hidden units' steps */
    float threshold;   /* a cell lives where an alpha is above it */
    uint32_t alpha;    /* the channel */
    struct nca_grid *grids;

    const nca_rollout *rollout; /* what is being done */
    int inboxes;                /* not all cells have heard what their neighbours are now */
    uint32_t steps, marks, next;
    const float *start, *g_states;
    float *states, *g_start;
    uint64_t rounds;
} nca_trainer;

/* Updates are numbered from 0 on: update u of a grid made version 1 + H W + u. */
typedef struct nca_grid {
    int32_t *now, *marked;                /* versions of all cells now, [cells], and at every mark, [marks][cells] */
    int32_t (*inbox)[8];                  /* [cells] versions heard, where `inboxes` */
    float *alpha, *around, *across;       /* [cells] now; the largest of the neighbours'; of the cell and its neighbours east and west */
    int32_t *limit;                       /* [cells] see draw() */
    uint8_t *fires;                       /* [cells] */
    uint32_t *candidates, *gone, *alive;  /* cells of one step: to compute; that become 0; that live on, in the order of their updates */
    uint32_t updates, *first;             /* made so far; before every step and at the end, [steps + 1] */
    nca_block seen, x, h, states, g, sum; /* of every update; of every version; nca_gradient */
    uint32_t room, steps_room, marks_room; /* updates, steps and marks that there is memory for */
    int room_integer, failed;
    float yardstick; /* see nca_rollout_yardstick() */
} nca_grid;

/* Return 0 if there is no memory. */
int nca_grow(nca_block *block, size_t size, size_t used);
int nca_grid_open(const nca_trainer *trainer, nca_grid *grid);

void nca_grid_close(nca_grid *grid);

/* Run the trainer's rollout on grid number g, and the gradient back through it. Forward sets `failed` if there is no memory. */
void nca_grid_forward(const nca_trainer *trainer, uint32_t g);
void nca_grid_backward(const nca_trainer *trainer, uint32_t g);

/* MurmurHash3's finaliser, docs/spec.md section 6. */
static inline uint32_t nca_mix(uint32_t x)
{
    x = (x ^ (x >> 16)) * 0x85EBCA6Bu;
    x = (x ^ (x >> 13)) * 0xC2B2AE35u;
    return x ^ (x >> 16);
}

#endif
