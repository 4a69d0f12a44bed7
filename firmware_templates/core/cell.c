/* The integer cell: the one implementation behind firmware, host and browser. See cell.h and docs/spec.md. */
#include "cell.h"

enum { N, NE, E, SE, S, SW, W, NW };

/* The magnitude table has 129 entries, X[128] = X[127], so that the code -128 of a broken peer reads as -127. */
static int32_t val(const nca_genome *genome, int8_t code)
{
    (void)genome;
    return code < 0 ? -(int32_t)NCA_DECODE(genome, (uint8_t)(-(int16_t)code)) : NCA_DECODE(genome, (uint8_t)code);
}

int8_t nca_compress(const nca_genome *genome, int32_t v)
{
    const int32_t magnitude = v < 0 ? -v : v;
    uint8_t code = 0;
    (void)genome;
    /* The smallest code whose upper boundary, half way to its successor, is not below the magnitude: seven halvings. */
    for (uint8_t step = 64; step != 0; step >>= 1) {
        const uint8_t last = (uint8_t)(code + step - 1); /* <= 126 */
        if (magnitude > 8 * ((int32_t)NCA_DECODE(genome, last) + NCA_DECODE(genome, (uint8_t)(last + 1)))) {
            code = (uint8_t)(code + step);
        }
    }
    return v < 0 ? (int8_t)-code : (int8_t)code;
}

/* Perception codes of every kernel (spec, section 3). Sums are at most 24 * 4096 in magnitude. */
static void perceive(const nca_genome *genome, const int8_t *state, const int8_t *neighbours, int8_t *perception)
{
    const uint8_t channels = NCA_CHANNELS(genome);
    (void)genome;

    for (uint8_t c = 0; c < channels; c++) {
        int32_t x[NCA_NEIGHBOURS];
        for (uint8_t k = 0; k < NCA_NEIGHBOURS; k++) {
            x[k] = val(genome, neighbours[k * channels + c]);
        }
        int8_t *code = perception + c;
        const int8_t own = state[c]; /* `perception` may begin at `state` */
        for (uint8_t kernel = 0; kernel < NCA_KERNELS(genome); kernel++, code += channels) {
            int32_t v;
            switch (NCA_KERNEL(genome, kernel)) {
            case NCA_SOBEL_X:
                v = 2 * ((x[NE] - x[NW]) + 2 * (x[E] - x[W]) + (x[SE] - x[SW]));
                break;
            case NCA_SOBEL_Y:
                v = 2 * ((x[SW] - x[NW]) + 2 * (x[S] - x[N]) + (x[SE] - x[NE]));
                break;
            case NCA_LAPLACIAN:
                v = x[NW] + x[NE] + x[SW] + x[SE] + 2 * (x[N] + x[E] + x[S] + x[W]) - 12 * val(genome, own);
                break;
            default:
                *code = own;
                continue;
            }
            *code = nca_compress(genome, v);
        }
    }
}

void nca_cell_network(const nca_genome *genome, int8_t *state, const int8_t *perception, int32_t *output)
{
    const uint8_t channels = NCA_CHANNELS(genome);
    const uint8_t inputs = NCA_PERCEPTION(genome);
    (void)genome;

    for (uint8_t c = 0; c < channels; c++) {
        output[c] = NCA_B2(genome, c);
    }
    for (uint16_t j = 0; j < NCA_HIDDEN(genome); j++) {
        int32_t a = 4 * (int32_t)NCA_B1(genome, j);
        for (uint8_t i = 0; i < inputs; i++) {
            a += NCA_W1(genome, i, j) * val(genome, perception[i]);
        }
        a = (a + ((int32_t)1 << (NCA_S1(genome) - 1))) >> NCA_S1(genome);
        if (a <= 0) {
            continue; /* a silent unit adds nothing */
        }
        const int32_t h = a > 255 ? 255 : a;
        for (uint8_t c = 0; c < channels; c++) {
            output[c] += NCA_W2(genome, j, c) * h;
        }
    }
    for (uint8_t c = 0; c < channels; c++) {
        /* d = (o M2 + 2^(S2-1)) >> S2 without a 64-bit product: o = 4096 u + r. |u| < 2^11, M2 < 2^15, S2 <= 30. */
        const int32_t m = NCA_M2(genome, c);
        const int32_t u = output[c] >> 12;
        const int32_t r = output[c] & 0xfff;
        const int32_t low = (r * m + ((int32_t)1 << (NCA_S2(genome) - 1))) >> 12;
        const int32_t d = (u * m + low) >> (NCA_S2(genome) - 12);
        state[c] = nca_compress(genome, 16 * val(genome, state[c]) + d);
    }
}

uint8_t nca_cell_wake(const nca_genome *genome, int8_t *state, const int8_t *neighbours, int8_t *perception,
                      int32_t *output)
{
    const uint8_t channels = NCA_CHANNELS(genome);
    const int8_t alive = NCA_ALIVE(genome);
    int8_t heard = -127;
    uint8_t evaluated = 0;
    (void)genome;

    for (uint8_t k = 0; k < NCA_NEIGHBOURS; k++) {
        const int8_t alpha = neighbours[k * channels + NCA_ALPHA(genome)];
        if (alpha > heard) {
            heard = alpha;
        }
    }
    if (alive == 0 || heard >= alive || state[NCA_ALPHA(genome)] >= alive) {
        perceive(genome, state, neighbours, perception);
        nca_cell_network(genome, state, perception, output);
        evaluated = 1;
        if (alive == 0 || heard >= alive || state[NCA_ALPHA(genome)] >= alive) {
            return evaluated;
        }
    }
    for (uint8_t c = 0; c < channels; c++) {
        state[c] = 0;
    }
    return evaluated;
}

uint32_t nca_random_next(uint32_t s)
{
    s ^= s << 13;
    s ^= s >> 17;
    s ^= s << 5;
    return s;
}

uint32_t nca_random_wait(uint32_t s, uint32_t mean)
{
    return mean - (mean >> 1) + (((s >> 20) * mean) >> 12);
}
