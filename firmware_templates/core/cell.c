/* The integer cell: the one implementation behind firmware, host and browser. See cell.h and docs/spec.md. */
#include "cell.h"

/* The magnitude table has 129 entries, X[128] = X[127], so that the code -128 of a broken peer reads as -127. */
static NCA_OUT_OF_LINE int32_t val(const nca_genome *genome, int8_t code)
{
    const int32_t magnitude = NCA_DECODE(genome, (uint8_t)(code < 0 ? -code : code));
    (void)genome;
    return code < 0 ? -magnitude : magnitude;
}

int8_t nca_compress(const nca_genome *genome, int32_t v)
{
    const int32_t eighth = ((v < 0 ? -v : v) - 1) >> (3 + NCA_TAP_SHIFT(genome)); /* in 1/4096, |v| > 8 s is eighth >= s */
    uint8_t code = 0;
    (void)genome;
    /* The smallest code whose upper boundary, half way to its successor, is not below |v|: seven halvings. */
    for (uint8_t step = 64; step != 0; step >>= 1) {
        const uint8_t last = (uint8_t)(code + step - 1); /* <= 126 */
        if (eighth >= (int32_t)NCA_DECODE(genome, last) + NCA_DECODE(genome, (uint8_t)(last + 1))) {
            code = (uint8_t)(code + step);
        }
    }
    return v < 0 ? (int8_t)-code : (int8_t)code;
}

/* Perception codes of every kernel (spec, section 3). A kernel is nine taps, the neighbours clockwise and the cell itself, in 1/16 of a value: the
 * sum is in 1/4096, at most 32 * 4096 in magnitude. The identity's single tap of 16 gives every code back unchanged. Taps of axes that are
 * turned by no multiple of 90 degrees are finer by NCA_TAP_SHIFT, and so are the sums, at most 96 * 4096, and all else that is compressed. */
static void perceive(const nca_genome *genome, const int8_t *state, const int8_t *neighbours, int8_t *perception)
{
    const uint8_t channels = NCA_CHANNELS(genome);
    uint8_t kernel = NCA_KERNELS(genome);
    (void)genome;

    while (kernel-- != 0) { /* the first kernel last: `perception` may begin at `state` */
        for (uint8_t c = 0; c < channels; c++) {
            int32_t v = NCA_TAP(genome, kernel, NCA_NEIGHBOURS) * val(genome, state[c]);
            for (uint8_t k = 0; k < NCA_NEIGHBOURS; k++) {
                v += NCA_TAP(genome, kernel, k) * val(genome, neighbours[k * channels + c]);
            }
            perception[kernel * channels + c] = nca_compress(genome, v);
        }
    }
}

void nca_cell_network(const nca_genome *genome, int8_t *state, const int8_t *perception, int32_t *output)
{
    const uint8_t channels = NCA_CHANNELS(genome);
    const uint8_t inputs = NCA_PERCEPTION(genome);
    const NCA_ROM int8_t *w = NCA_UNITS(genome); /* of every hidden unit: b1 (two bytes, the lower first), row of W1, row of W2 */
    (void)genome;

    for (uint8_t c = 0; c < channels; c++) {
        output[c] = NCA_B2(genome, c);
    }
    for (uint16_t j = 0; j < NCA_HIDDEN(genome); j++) {
        int32_t a = 4 * ((int32_t)NCA_WEIGHT(w + 1) * 256 + (uint8_t)NCA_WEIGHT(w));
        w += 2;
        for (uint8_t i = 0; i < inputs; i++) {
            a += NCA_WEIGHT(w++) * val(genome, perception[i]);
        }
        a = (a + ((int32_t)1 << (NCA_S1(genome) - 1))) >> NCA_S1(genome);
        if (a <= 0) {
            w += channels; /* a silent unit adds nothing */
            continue;
        }
        const int32_t h = a > 255 ? 255 : a;
        for (uint8_t c = 0; c < channels; c++) {
            output[c] += NCA_WEIGHT(w++) * h;
        }
    }
    for (uint8_t c = 0; c < channels; c++) {
        /* d = (o M2 + 2^(S2-1)) >> S2 without a 64-bit product: o = 4096 u + r. |u| < 2^11, M2 < 2^15, S2 <= 30. */
        const int32_t m = NCA_M2(genome, c);
        const int32_t u = output[c] >> 12;
        const int32_t r = output[c] - 4096 * u;
        const int32_t low = (r * m + ((int32_t)1 << (NCA_S2(genome) - 1))) >> 12;
        const int32_t d = (u * m + low) >> (NCA_S2(genome) - 12);
        state[c] = nca_compress(genome, (16 * val(genome, state[c]) + d) * (1 << NCA_TAP_SHIFT(genome))); /* |.| < 2^29 */
    }
}

NCA_OUT_OF_LINE uint8_t nca_cell_wake(const nca_genome *genome, int8_t *state, const int8_t *neighbours, int8_t *perception,
                      int32_t *output)
{
    const uint8_t channels = NCA_CHANNELS(genome);
    const int8_t alive = NCA_ALIVE(genome);
    int8_t heard = -127;
    (void)genome;

    for (uint8_t k = 0; k < NCA_NEIGHBOURS; k++) {
        const int8_t alpha = neighbours[k * channels + NCA_ALPHA(genome)];
        if (alpha > heard) {
            heard = alpha;
        }
    }
    for (uint8_t evaluated = 0;; evaluated = 1) { /* the mask is asked before the network and after it */
        if (alive != 0 && heard < alive && state[NCA_ALPHA(genome)] < alive) {
            for (uint8_t c = 0; c < channels; c++) {
                state[c] = 0;
            }
            return evaluated;
        }
        if (evaluated) {
            return evaluated;
        }
        perceive(genome, state, neighbours, perception);
        nca_cell_network(genome, state, perception, output);
    }
}
