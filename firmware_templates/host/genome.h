/* The seam of the host: the cell's constants are fields of a struct, so that one build runs any genome. Firmware has a generated genome.h
 * with the same names instead. */
#ifndef NCA_GENOME_H
#define NCA_GENOME_H

#include <stdint.h>

enum nca_kernel { NCA_IDENTITY, NCA_SOBEL_X, NCA_SOBEL_Y, NCA_LAPLACIAN };

typedef struct {
    const int8_t *w1;      /* [hidden][perception] */
    const int16_t *b1;     /* [hidden], in units of 4 */
    const int8_t *w2;      /* [hidden][channels] */
    const int16_t *b2;     /* [channels] */
    const int16_t *m2;     /* [channels] */
    const int16_t *decode; /* [129], the last two equal */
    uint16_t hidden;
    uint8_t kernel[4];
    uint8_t kernels;
    uint8_t channels;
    uint8_t alpha;
    int8_t alive;
    uint8_t s1;
    uint8_t s2;
} nca_genome;

#define NCA_CHANNELS_MAX 16
#define NCA_PERCEPTION_MAX 64

#define NCA_CHANNELS(g) ((g)->channels)
#define NCA_HIDDEN(g) ((g)->hidden)
#define NCA_KERNELS(g) ((g)->kernels)
#define NCA_KERNEL(g, k) ((enum nca_kernel)(g)->kernel[k])
#define NCA_PERCEPTION(g) ((uint8_t)((g)->kernels * (g)->channels))
#define NCA_ALPHA(g) ((g)->alpha)
#define NCA_ALIVE(g) ((g)->alive)
#define NCA_S1(g) ((g)->s1)
#define NCA_S2(g) ((g)->s2)
#define NCA_DECODE(g, k) ((g)->decode[k])
#define NCA_W1(g, i, j) ((g)->w1[(uint32_t)(j) * NCA_PERCEPTION(g) + (i)])
#define NCA_B1(g, j) ((g)->b1[j])
#define NCA_W2(g, j, c) ((g)->w2[(uint32_t)(j) * (g)->channels + (c)])
#define NCA_B2(g, c) ((g)->b2[c])
#define NCA_M2(g, c) ((g)->m2[c])

#endif
