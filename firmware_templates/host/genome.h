/* The seam of the host: the cell's constants are fields of a struct, so that one build runs any genome. Firmware has a generated genome.h
 * with the same names instead. */
#ifndef NCA_GENOME_H
#define NCA_GENOME_H

#include <stdint.h>

typedef struct {
    const int8_t *units;   /* [hidden]: b1 in units of 4 as two bytes, the lower first; row of W1 [perception]; row of W2 [channels] */
    const int16_t *b2;     /* [channels] */
    const int16_t *m2;     /* [channels] */
    const int8_t *taps;    /* [kernels][9]: the neighbours clockwise from the north, the cell itself; in 1/16 >> tap_shift */
    const int16_t *decode; /* [129], the last two equal */
    uint16_t hidden;
    uint8_t kernels;
    uint8_t channels;
    uint8_t alpha;
    int8_t alive;
    uint8_t s1;
    uint8_t s2;
    uint8_t tap_shift;     /* 2 where the axes are turned by no multiple of 90 degrees, else 0 */
} nca_genome;

#define NCA_OUT_OF_LINE
#define NCA_ROM

#define NCA_CHANNELS_MAX 16
#define NCA_PERCEPTION_MAX 64

#define NCA_CHANNELS(g) ((g)->channels)
#define NCA_HIDDEN(g) ((g)->hidden)
#define NCA_KERNELS(g) ((g)->kernels)
#define NCA_TAP(g, kernel, k) ((g)->taps[(kernel) * 9 + (k)])
#define NCA_TAP_SHIFT(g) ((g)->tap_shift)
#define NCA_PERCEPTION(g) ((uint8_t)((g)->kernels * (g)->channels))
#define NCA_ALPHA(g) ((g)->alpha)
#define NCA_ALIVE(g) ((g)->alive)
#define NCA_S1(g) ((g)->s1)
#define NCA_S2(g) ((g)->s2)
#define NCA_DECODE(g, k) ((g)->decode[k])
#define NCA_UNITS(g) ((g)->units)
#define NCA_WEIGHT(p) (*(p))
#define NCA_B2(g, c) ((g)->b2[c])
#define NCA_M2(g, c) ((g)->m2[c])

#endif
