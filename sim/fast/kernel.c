#include "kernel.h"

#include <string.h>

#if NCA_X86
#include <immintrin.h>
#endif

#define STATE NCA_CHANNELS_MAX

/* The kernels of docs/spec.md, section 3; neighbours clockwise from the north, then the cell itself. */
static const int8_t taps_of[4][9] = {
    [NCA_IDENTITY] = { 0, 0, 0, 0, 0, 0, 0, 0, 16 },
    [NCA_SOBEL_X] = { 0, 2, 4, 2, 0, -2, -4, -2, 0 },
    [NCA_SOBEL_Y] = { -4, -2, 0, 2, 4, 2, 0, -2, 0 },
    [NCA_LAPLACIAN] = { 2, 1, 2, 1, 2, 1, 2, 1, -12 },
};

/* Finds the genome's kernels among those four, and returns how many there are. A kernel with the taps of one of them, but of the other sign,
 * as axes that are turned by quarters have, is taken for that one: what it perceives then has the other sign, which its weights get too. */
static uint32_t find_kernels(nca_fast *fast, const nca_genome *genome)
{
    uint32_t known = 0;

    memset(fast->place, NCA_ABSENT, sizeof fast->place);
    for (uint32_t k = 0; k < genome->kernels; k++) {
        const int8_t *taps = genome->taps + k * 9;
        fast->sign[k] = 1;
        for (uint32_t kind = 0; kind < 4; kind++) {
            uint32_t same = 0, opposite = 0;
            for (uint32_t n = 0; n < 9; n++) {
                same += taps[n] == taps_of[kind][n];
                opposite += taps[n] == -taps_of[kind][n];
            }
            if (fast->place[kind] == NCA_ABSENT && (same == 9 || opposite == 9)) {
                fast->place[kind] = (uint8_t)k;
                fast->sign[k] = same == 9 ? 1 : -1;
                known++;
            }
        }
        for (uint32_t n = 0; n < 9; n++) {
            fast->taps[k][n] = fast->sign[k] * taps[n];
        }
    }
    return known;
}

/* Where the wide kernel leaves hidden units 4q to 4q + 3: packing 32 bits to 8 deals them out to the four parts of a register in turn. */
static uint32_t place_of_quad(uint32_t q)
{
    return q / 16 * 16 + q % 4 * 4 + q / 4 % 4;
}

void nca_fast_prepare(nca_fast *fast, const nca_genome *genome, int most)
{
    const uint32_t channels = genome->channels, hidden = genome->hidden;
    const int8_t *unit = genome->units;

    memset(fast, 0, sizeof *fast);
    fast->genome = *genome;
    fast->pairs = (uint16_t)(genome->kernels * STATE / 2);
    fast->groups = (uint16_t)((hidden + NCA_GROUP - 1) / NCA_GROUP);
    for (int code = -128; code < 128; code++) {
        const int16_t magnitude = genome->decode[code < 0 ? -code : code];
        const int16_t value = code < 0 ? (int16_t)-magnitude : magnitude;
        fast->value[(uint8_t)code] = value;
        fast->low[(uint8_t)code] = (uint8_t)(value + NCA_BIAS);
        fast->high[(uint8_t)code] = (uint8_t)((uint16_t)(value + NCA_BIAS) >> 8);
    }
    for (int32_t eighth = 0, code = 0; eighth <= NCA_EIGHTHS; eighth++) {
        while (code < 127 && eighth >= genome->decode[code] + genome->decode[code + 1]) {
            code++;
        }
        fast->code[eighth] = (int8_t)code;
    }
    for (uint32_t level = 0; level < 7; level++) {
        for (uint32_t n = 0; n < 1u << level; n++) {
            const uint32_t last = (2 * n + 1) * (64u >> level) - 1; /* the greatest code of the lower half */
            fast->search[(1u << level) + n] = (int16_t)(genome->decode[last] + genome->decode[last + 1] - 1);
        }
    }
    const uint32_t known = find_kernels(fast, genome);
    for (uint32_t j = 0; j < hidden; j++) {
        fast->b1[j] = 4 * (unit[1] * 256 + (uint8_t)unit[0]) + (1 << (genome->s1 - 1));
        fast->b1_biased[j] = fast->b1[j];
        unit += 2;
        for (uint32_t k = 0; k < genome->kernels; k++) {
            for (uint32_t c = 0; c < channels; c++) {
                const uint32_t i = k * STATE + c;
                const int8_t weight = (int8_t)(fast->sign[k] * *unit++); /* never -128 */
                fast->w1[j / NCA_GROUP][i / 2][j % NCA_GROUP][i % 2] = weight;
                fast->w1_quads[j / NCA_GROUP][i / 4][j % NCA_GROUP][i % 4] = weight;
                fast->b1_biased[j] -= NCA_BIAS * weight;
            }
        }
        for (uint32_t c = 0; c < channels; c++) {
            fast->w2[j / 2][c][j % 2] = *unit;
            fast->w2_quads[place_of_quad(j / 4)][c][j % 4] = *unit++;
        }
    }
    for (uint32_t c = 0; c < channels; c++) {
        fast->b2[c] = genome->b2[c];
        fast->m2[c] = genome->m2[c];
    }
    fast->instructions = nca_processor(known == genome->kernels || most < NCA_AVX512 ? most : NCA_AVX2);
}

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

/* The code nearest to v, which is in 1/4096 >> finer. */
INLINE int8_t compress(const nca_fast *fast, int32_t v, uint32_t finer)
{
    const int32_t eighth = ((v < 0 ? -v : v) - 1) >> (3 + finer);
    const int8_t code = fast->code[eighth < 0 ? 0 : eighth > NCA_EIGHTHS ? NCA_EIGHTHS : eighth];
    return v < 0 ? (int8_t)-code : code;
}

/* Perception as values, 16 a kernel. */
INLINE void perceive(const nca_fast *fast, const int8_t *state, const int8_t *neighbours, int16_t *x)
{
    int32_t values[9][STATE];

    for (uint32_t n = 0; n < 8; n++) {
        for (uint32_t c = 0; c < STATE; c++) {
            values[n][c] = fast->value[(uint8_t)neighbours[n * STATE + c]];
        }
    }
    for (uint32_t c = 0; c < STATE; c++) {
        values[8][c] = fast->value[(uint8_t)state[c]];
    }
    for (uint32_t k = 0; k < fast->genome.kernels; k++) {
        int32_t sums[STATE] = { 0 };
        for (uint32_t n = 0; n < 9; n++) {
            const int32_t tap = fast->taps[k][n];
            for (uint32_t c = 0; c < STATE; c++) {
                sums[c] += tap * values[n][c];
            }
        }
        for (uint32_t c = 0; c < STATE; c++) {
            x[k * STATE + c] = fast->value[(uint8_t)compress(fast, sums[c], fast->genome.tap_shift)];
        }
    }
}

INLINE void layers_portable(const nca_fast *fast, const int16_t *x, int32_t *output, uint8_t *hidden_out)
{
    int16_t h[NCA_HIDDEN_MAX];

    for (uint32_t group = 0; group < fast->groups; group++) {
        int32_t a[NCA_GROUP];
        memcpy(a, fast->b1 + group * NCA_GROUP, sizeof a);
        for (uint32_t i = 0; i < fast->pairs; i++) {
            const int32_t x0 = x[2 * i], x1 = x[2 * i + 1];
            for (uint32_t j = 0; j < NCA_GROUP; j++) {
                a[j] += fast->w1[group][i][j][0] * x0 + fast->w1[group][i][j][1] * x1;
            }
        }
        for (uint32_t j = 0; j < NCA_GROUP; j++) {
            const int32_t v = a[j] >> fast->genome.s1;
            h[group * NCA_GROUP + j] = (int16_t)(v < 0 ? 0 : v > 255 ? 255 : v);
        }
    }
    for (uint32_t j = 0; hidden_out != NULL && j < fast->groups * NCA_GROUP; j++) {
        hidden_out[j] = (uint8_t)h[j];
    }
    memcpy(output, fast->b2, sizeof fast->b2);
    for (uint32_t j = 0; j < fast->groups * NCA_GROUP / 2u; j++) {
        const int32_t h0 = h[2 * j], h1 = h[2 * j + 1];
        if ((h0 | h1) != 0) {
            for (uint32_t c = 0; c < STATE; c++) {
                output[c] += fast->w2[j][c][0] * h0 + fast->w2[j][c][1] * h1;
            }
        }
    }
}

#if NCA_X86
/* Products of 16 bits summed in pairs (pmaddwd): |w x| < 2^19, exact. Four accumulators of eight hidden units stay in registers. */
__attribute__((target("avx2"))) static inline void layers_avx2(const nca_fast *fast, const int16_t *x, int32_t *output,
                                                              uint8_t *hidden_out)
{
    int32_t pairs[NCA_PAIRS];
    int32_t h[NCA_HIDDEN_MAX];
    const uint32_t hidden = fast->groups * NCA_GROUP, inputs = fast->pairs;
    const __m128i shift = _mm_cvtsi32_si128(fast->genome.s1);
    const __m256i zero = _mm256_setzero_si256(), top = _mm256_set1_epi32(255);

    memcpy(pairs, x, sizeof(int32_t) * inputs);
    for (uint32_t j = 0; j < hidden; j += 32) {
        __m256i a[4];
        for (uint32_t n = 0; n < 4; n++) {
            a[n] = _mm256_loadu_si256((const __m256i *)(fast->b1 + j + 8 * n));
        }
        for (uint32_t i = 0; i < inputs; i++) {
            const __m256i xx = _mm256_set1_epi32(pairs[i]);
            for (uint32_t n = 0; n < 4; n++) {
                const __m256i w = _mm256_loadu_si256((const __m256i *)fast->w1[j / NCA_GROUP][i][j % NCA_GROUP + 8 * n]);
                a[n] = _mm256_add_epi32(a[n], _mm256_madd_epi16(w, xx));
            }
        }
        for (uint32_t n = 0; n < 4; n++) {
            const __m256i v = _mm256_sra_epi32(a[n], shift);
            _mm256_storeu_si256((__m256i *)(h + j + 8 * n), _mm256_min_epi32(_mm256_max_epi32(v, zero), top));
        }
    }
    for (uint32_t j = 0; hidden_out != NULL && j < hidden; j++) {
        hidden_out[j] = (uint8_t)h[j];
    }
    __m256i low = _mm256_loadu_si256((const __m256i *)fast->b2), high = _mm256_loadu_si256((const __m256i *)(fast->b2 + 8));
    for (uint32_t j = 0; j < hidden; j += 2) { /* rows beyond the genome's have weights of 0 */
        const int32_t both = h[j] | (int32_t)((uint32_t)h[j + 1] << 16);
        if (both != 0) {
            const __m256i hh = _mm256_set1_epi32(both);
            const __m256i *w = (const __m256i *)fast->w2[j / 2];
            low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_loadu_si256(w), hh));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_loadu_si256(w + 1), hh));
        }
    }
    _mm256_storeu_si256((__m256i *)output, low);
    _mm256_storeu_si256((__m256i *)(output + 8), high);
}
#endif

/* The update of a living cell, compiled once for every instruction set. */
INLINE void evaluate(const nca_fast *fast, void (*layers)(const nca_fast *, const int16_t *, int32_t *, uint8_t *), int8_t *state,
                     const int8_t *heard, int16_t *x_out, uint8_t *h_out)
{
    int16_t x[NCA_PERCEPTION_MAX];
    int32_t output[STATE];

    perceive(fast, state, heard, x);
    layers(fast, x, output, h_out);
    if (x_out != NULL) {
        memcpy(x_out, x, sizeof *x * 2 * fast->pairs);
    }
    for (uint32_t c = 0; c < STATE; c++) {
        const int64_t d = ((int64_t)output[c] * fast->m2[c] + ((int64_t)1 << (fast->genome.s2 - 1))) >> fast->genome.s2;
        state[c] = compress(fast, 16 * fast->value[(uint8_t)state[c]] + (int32_t)d, 0);
    }
}

static void evaluate_portable(const nca_fast *fast, int8_t *state, const int8_t *heard, int16_t *x, uint8_t *h)
{
    evaluate(fast, layers_portable, state, heard, x, h);
}

#if NCA_X86
__attribute__((target("avx2"))) static void evaluate_avx2(const nca_fast *fast, int8_t *state, const int8_t *heard, int16_t *x, uint8_t *h)
{
    evaluate(fast, layers_avx2, state, heard, x, h);
}
#endif

void nca_fast_evaluate(const nca_fast *fast, uint32_t count, int8_t *const *states, const int8_t *const *heard, int16_t *x, uint8_t *h)
{
    void (*one)(const nca_fast *, int8_t *, const int8_t *, int16_t *, uint8_t *) = evaluate_portable;

#if NCA_X86
    if (fast->instructions == NCA_AVX512) {
        nca_fast_evaluate_avx512(fast, count, states, heard, x, h);
        return;
    }
    if (fast->instructions == NCA_AVX2) {
        one = evaluate_avx2;
    }
#endif
    for (uint32_t k = 0; k < count; k++) {
        one(fast, states[k], heard[k], x == NULL ? NULL : x + (uint64_t)k * fast->pairs * 2,
            h == NULL ? NULL : h + (uint64_t)k * fast->groups * NCA_GROUP);
    }
}

static int8_t loudest(const nca_fast *fast, const int8_t *neighbours)
{
    const int8_t *alpha = neighbours + fast->genome.alpha;
    int8_t heard = -127;

    for (uint32_t n = 0; n < NCA_NEIGHBOURS; n++) {
        heard = alpha[n * STATE] > heard ? alpha[n * STATE] : heard;
    }
    return heard;
}

#define BATCH 64u

static void wake_batch(const nca_fast *fast, uint32_t count, int8_t *const *states, const int8_t *const *heard, uint8_t *evaluated)
{
    const uint32_t alpha = fast->genome.alpha;
    const int8_t alive = fast->genome.alive;
    int8_t *living[BATCH], *lonely[BATCH]; /* to evaluate; those of them that live on only by their own new alpha */
    const int8_t *living_heard[BATCH];
    uint32_t n = 0, alone = 0;

    for (uint32_t i = 0; i < count; i++) {
        const int quiet = alive != 0 && loudest(fast, heard[i]) < alive;
        evaluated[i] = !(quiet && states[i][alpha] < alive);
        if (!evaluated[i]) {
            memset(states[i], 0, STATE);
            continue;
        }
        living_heard[n] = heard[i];
        living[n++] = states[i];
        if (quiet) {
            lonely[alone++] = states[i];
        }
    }
    nca_fast_evaluate(fast, n, living, living_heard, NULL, NULL);
    for (uint32_t k = 0; k < alone; k++) {
        if (lonely[k][alpha] < alive) {
            memset(lonely[k], 0, STATE);
        }
    }
}

void nca_fast_wake(const nca_fast *fast, uint32_t count, int8_t *const *states, const int8_t *const *heard, uint8_t *evaluated)
{
    for (uint32_t first = 0; first < count; first += BATCH) {
        wake_batch(fast, count - first < BATCH ? count - first : BATCH, states + first, heard + first, evaluated + first);
    }
}

void nca_fast_wake_many(const nca_fast *fast, uint32_t count, int8_t *states, const int8_t *heard, uint8_t *evaluated)
{
    for (uint32_t first = 0; first < count; first += BATCH) {
        const uint32_t size = count - first < BATCH ? count - first : BATCH;
        int8_t *own[BATCH];
        const int8_t *others[BATCH];
        for (uint32_t i = 0; i < size; i++) {
            own[i] = states + (uint64_t)(first + i) * STATE;
            others[i] = heard + (uint64_t)(first + i) * NCA_NEIGHBOURS * STATE;
        }
        wake_batch(fast, size, own, others, evaluated + first);
    }
}
