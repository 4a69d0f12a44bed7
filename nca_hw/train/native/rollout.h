/* A rollout of a batch of grids and the gradient back through it; forward either the float rule or, with the simulator's own kernel, the
 * integer cell of docs/spec.md; backward always the float rule (rounding passes the gradient on as if it were not there).
 *
 * Every state that a cell ever has in a rollout is a *version* with a number: 0 is the state of zeros that dead cells and cells outside
 * the grid have, 1 to H W are the states at the start, and every update of a cell that lives on makes the next one. What a cell sees is
 * nine numbers of versions, those of its neighbours as it heard them last, and its own. So a message that was lost costs nothing but a
 * number that stays, and the gradient flows to the version that was heard, whenever that was sent.
 *
 * Grids are independent of one another, and the gradients of their weights are added in the order of the grids: results do not depend on
 * the number of threads.
 */
#ifndef NCA_TRAIN_ROLLOUT_H
#define NCA_TRAIN_ROLLOUT_H

#include <stdint.h>

#include "kernel.h"

/* Who wakes and who hears is `key(seed, purpose, grid, step, cell[, direction])` of sim/streams.py, with these purposes. */
enum { NCA_WAKES = 1, NCA_HEARS = 2 };

typedef struct {
    uint32_t steps, seed;
    const float *wakes;   /* [batch][H][W] probability that a cell wakes in one step; 0: a dead cell */
    const float *lost;    /* [batch] probability that a neighbour does not hear a message; NULL: none is lost */
    const uint8_t *deaf;  /* [batch][H][W] cells that have heard nobody at the start; NULL: everybody has heard everybody */
    uint32_t marks;       /* how many states are asked for, and after which steps: rising, each 1 to `steps` */
    const uint32_t *mark;
} nca_rollout;

/* NULL if there is no memory. Takes the best instructions that the processor has, `most` (enum nca_instructions) at the most. */
void *nca_rollout_open(uint32_t batch, uint32_t height, uint32_t width, uint32_t threads, int most);
void nca_rollout_close(void *trainer);
const char *nca_rollout_instructions(const void *trainer);

/* Turns the axes: what the two Sobels take of each neighbour, clockwise from the north, [2][8]. The integer cell must be turned alike. */
void nca_rollout_turn(void *trainer, const float *taps);

/* The weights that the gradient flows through, and that the float rule computes with: [48][128], [128], [128][16], [16]. */
void nca_rollout_weights(void *trainer, const float *w1, const float *b1, const float *w2, const float *b2);

/* The integer cell to compute with, whose arrays must live as long as it is used; NULL: the float rule. `unit` [128] is the float value of
 * one step of a hidden unit. */
void nca_rollout_integer(void *trainer, const nca_genome *genome, const float *unit);

/* Runs all grids from `start` [batch][H][W][16] and writes the states that are asked for, [marks][batch][H][W][16], in real units.
 * Returns 0, or 1 if there is no memory. */
int nca_rollout_forward(void *trainer, const nca_rollout *rollout, const float *start, float *states);

/* Takes the gradient of every state that the last rollout has written, and gives that of the weights; of the start too if that is not
 * NULL. */
void nca_rollout_backward(void *trainer, const float *g_states, float *g_w1, float *g_b1, float *g_w2, float *g_b2, float *g_start);

/* Updates of living cells that the last rollout computed, and every `every`-th of their perceptions, [at most `room`][48] in real units,
 * from the last ones on. Returns how many were written. */
uint64_t nca_rollout_updates(const void *trainer);
uint64_t nca_rollout_perceptions(const void *trainer, uint64_t every, uint64_t room, float *x);

/* Float multiply-adds and nothing else, on every thread, `rounds` times; returns how many in all. The yardstick of
 * benchmarks/training_speed.py. */
uint64_t nca_rollout_yardstick(void *trainer, uint64_t rounds);

#endif
