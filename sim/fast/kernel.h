/* The integer cell for the host, vectorised: the same bits as cell.c (tests/core/test_fast_kernel.py), prepared once a genome. */
#ifndef NCA_FAST_KERNEL_H
#define NCA_FAST_KERNEL_H

#include <stdint.h>

#include "cell.h"

#define NCA_HIDDEN_MAX 256
#define NCA_EIGHTHS 8192 /* X[126] + X[127] < 2 * 4096: a magnitude of more eighths has code 127 */

enum nca_instructions { NCA_PORTABLE, NCA_AVX2 };

typedef struct {
    nca_genome genome;
    uint16_t hidden_pairs, perception_pairs;
    int16_t value[256];                                           /* val() of a code as an unsigned byte */
    int8_t code[NCA_EIGHTHS + 1];                                 /* code of the magnitude whose (|v| - 1) >> 3 is the index */
    int16_t w1[NCA_PERCEPTION_MAX / 2][NCA_HIDDEN_MAX][2];        /* [pair of inputs][hidden][which of the two] */
    int16_t w2[NCA_HIDDEN_MAX / 2][NCA_CHANNELS_MAX][2];          /* [pair of hidden units][channel][which] */
    int32_t b1[NCA_HIDDEN_MAX];                                   /* 4 b1 and the rounding half */
    int32_t b2[NCA_CHANNELS_MAX];
    int32_t taps[4][9];
    int instructions; /* what this processor runs: enum nca_instructions */
} nca_fast;

/* Fills `fast` from a genome, which must outlive it. Takes the best instructions that the processor has, `most` at the most. */
void nca_fast_prepare(nca_fast *fast, const nca_genome *genome, int most);

/* One wake, as nca_cell_wake. */
uint8_t nca_fast_wake(const nca_fast *fast, int8_t *state, const int8_t *neighbours);

/* Wakes `count` cells. states [count][C], neighbours [count][8][C], evaluated [count]. */
void nca_fast_wake_many(const nca_fast *fast, uint32_t count, int8_t *states, const int8_t *neighbours, uint8_t *evaluated);

#endif
