/* The two layers of the cell and their gradient, for many cells at once. One source (layers_body.h), compiled for every instruction set.
 *
 * Sizes are those of nca_hw/core/model.py: 16 channels, perception by identity, Sobel x and Sobel y in this order, 128 hidden units. The axes
 * of the Sobels may be turned.
 */
#ifndef NCA_TRAIN_LAYERS_H
#define NCA_TRAIN_LAYERS_H

#include <stdint.h>

enum { CHANNELS = 16, KERNELS = 3, INPUTS = KERNELS * CHANNELS, HIDDEN = 128 };
enum { CHUNK = 24, SPARE = 16 }; /* cells computed at a time; rows beyond the last one that may be written */
enum { YARDSTICK = 192000 };
enum { SEEN = 9, SELF = 8 };     /* what a cell sees: its neighbours clockwise from the north, and itself */

/* Where vectors lie within cache lines, loads are twice as fast. */
#if defined(__GNUC__)
#define NCA_LINES __attribute__((aligned(64)))
#else
#define NCA_LINES
#endif

typedef int32_t nca_seen[SEEN];   /* numbers of versions, see rollout.h */
typedef float nca_state[CHANNELS];

typedef struct {
    float w1[INPUTS][HIDDEN], b1[HIDDEN], w2[HIDDEN][CHANNELS], b2[CHANNELS];
    float w1_across[HIDDEN][INPUTS], w2_across[CHANNELS][HIDDEN]; /* the same, transposed */
    int turned;         /* the axes are, */
    float taps[2][8];   /* and what of each neighbour their two Sobels take */
} nca_weights;

typedef struct {
    float w1[INPUTS][HIDDEN], b1[HIDDEN], w2_across[CHANNELS][HIDDEN], b2[CHANNELS];
} nca_gradient;

typedef struct {
    const char *name;

    /* fires[n] = 1 where mix((prefix ^ salt[n]) + golden) >> 2 is below limit[n]: the last link of the chain of sim/streams.py. */
    void (*draw)(uint32_t count, uint32_t prefix, const uint32_t *salt, const int32_t *limit, uint8_t *fires);

    /* The largest alpha of the eight neighbours, for a grid with a border and a row of spare cells before and after it. */
    void (*around)(uint32_t count, uint32_t width, const float *alpha, float *across, float *around);

    /* The float rule: perception and new states of `rows` cells. May write SPARE rows more. */
    void (*forward)(const nca_weights *w, uint32_t rows, const nca_seen *seen, const nca_state *states, float (*x)[INPUTS],
                    nca_state *after);

    /* Adds to `sum` the weights' gradient of at most CHUNK cells, and to `g` what flows from `g_new`, the gradient of their new states, to
     * the states that they saw. Hidden units pass it on where they are above 0. May read SPARE rows of x and g_new more. */
    void (*backward)(const nca_weights *w, uint32_t rows, const float (*x)[INPUTS], const nca_state *g_new, const nca_seen *seen,
                     nca_state *g, nca_gradient *sum);

    /* The same for cells of the integer rule, with perception and hidden units as they are in the integer cell, and the sums of w1 and w2
     * in their units. Hidden units pass the gradient on where they are above 0 and below 255. */
    void (*backward_integer)(const nca_weights *w, uint32_t rows, const int16_t (*x)[INPUTS], const uint8_t (*h)[HIDDEN],
                             const nca_state *g_new, const nca_seen *seen, nca_state *g, nca_gradient *sum);

    /* YARDSTICK multiply-adds a round and nothing else: what the processor can do at best. */
    float (*yardstick)(uint64_t rounds);
} nca_layers;

extern const nca_layers nca_layers_portable, nca_layers_avx2, nca_layers_avx512;

#endif
