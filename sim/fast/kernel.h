/* The integer cell for the host, vectorised: the same bits as cell.c (tests/core/test_fast_kernel.py), prepared once a genome.
 *
 * States have room for NCA_CHANNELS_MAX codes whatever the genome; what lies beyond its channels is 0 and stays 0.
 */
#ifndef NCA_FAST_KERNEL_H
#define NCA_FAST_KERNEL_H

#include <stdint.h>

#include "cell.h"
#include "processor.h"

#define NCA_HIDDEN_MAX 256
#define NCA_GROUP 64 /* hidden units of one block of weights */
#define NCA_GROUPS (NCA_HIDDEN_MAX / NCA_GROUP)
#define NCA_PAIRS (NCA_PERCEPTION_MAX / 2)
#define NCA_QUADS (NCA_PERCEPTION_MAX / 4)
#define NCA_BIAS 128 /* makes an unsigned byte of a value of half at most, as most are */
#define NCA_EIGHTHS 8192 /* X[126] + X[127] < 2 * 4096: a magnitude of more eighths has code 127 */

#define NCA_ABSENT 4
enum nca_kernel { NCA_IDENTITY, NCA_SOBEL_X, NCA_SOBEL_Y, NCA_LAPLACIAN };

/* What is read 64 bytes at a time comes first, so that a struct that begins at a multiple of 64 keeps each of them in one cache line. */
typedef struct {
    int16_t w1[NCA_GROUPS][NCA_PAIRS][NCA_GROUP][2];     /* [block][pair of inputs][hidden unit][which of the two] */
    int16_t w2[NCA_HIDDEN_MAX / 2][NCA_CHANNELS_MAX][2]; /* [pair of hidden units][channel][which] */
    int8_t w1_quads[NCA_GROUPS][NCA_QUADS][NCA_GROUP][4]; /* the same by four inputs */
    int8_t w2_quads[NCA_HIDDEN_MAX / 4][NCA_CHANNELS_MAX][4]; /* by four hidden units, in the order in which kernel_avx512.c leaves those */
    int32_t b1[NCA_HIDDEN_MAX];                          /* 4 b1 and the rounding half */
    int32_t b1_biased[NCA_HIDDEN_MAX];                   /* the same for inputs that are NCA_BIAS too great */
    int32_t b2[NCA_CHANNELS_MAX], m2[NCA_CHANNELS_MAX];
    int16_t value[256];                                  /* val() of a code as an unsigned byte */
    uint8_t low[256], high[256];                         /* the two bytes of val() + NCA_BIAS */
    int16_t search[128]; /* boundaries of codes, less one, as a search tree: the root is 1, the children of n are 2n and 2n + 1 */
    int8_t code[NCA_EIGHTHS + 1];                        /* code of the magnitude whose (|v| - 1) >> 3 is the index */
    int32_t taps[4][9];
    int8_t sign[4];   /* of every kernel of the genome: -1 where taps and weights have the other sign here than there */
    uint8_t place[4]; /* of every kernel, by enum nca_kernel, among the genome's, or NCA_ABSENT */
    uint16_t groups, pairs;
    int instructions;        /* what this processor runs: enum nca_instructions */
    nca_genome genome;
} nca_fast;

/* Fills `fast` from a genome, which must outlive it. Takes the best instructions that the processor has, `most` at the most. */
void nca_fast_prepare(nca_fast *fast, const nca_genome *genome, int most);

/* Wakes `count` different cells: of each its state [16], the states [8][16] it has heard, and whether the network was evaluated. */
void nca_fast_wake(const nca_fast *fast, uint32_t count, int8_t *const *states, const int8_t *const *heard, uint8_t *evaluated);

/* The same for cells in a row: states [count][16], heard [count][8][16]. */
void nca_fast_wake_many(const nca_fast *fast, uint32_t count, int8_t *states, const int8_t *heard, uint8_t *evaluated);

/* The updates of living cells alone, without the alive mask. Where `x` and `h` are not NULL they take what training needs of every
 * update: the perception as values, 16 a kernel, each times its `sign`, and the hidden units, NCA_GROUP a group. */
void nca_fast_evaluate(const nca_fast *fast, uint32_t count, int8_t *const *states, const int8_t *const *heard, int16_t *x, uint8_t *h);

/* The same, four cells at a time; AVX-512 with VNNI and VBMI (kernel_avx512.c). */
void nca_fast_evaluate_avx512(const nca_fast *fast, uint32_t count, int8_t *const *states, const int8_t *const *heard, int16_t *x, uint8_t *h);

#endif
