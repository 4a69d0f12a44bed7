#include "kernel.h"

#include <string.h>

#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
#include <immintrin.h>
#define X86 1
#else
#define X86 0
#endif

void nca_fast_prepare(nca_fast *fast, const nca_genome *genome, int most)
{
    const uint32_t channels = genome->channels, hidden = genome->hidden, inputs = NCA_PERCEPTION(genome);
    const int8_t *unit = genome->units;

    memset(fast, 0, sizeof *fast);
    fast->genome = *genome;
    fast->perception_pairs = (uint16_t)((inputs + 1) / 2);
    fast->hidden_pairs = (uint16_t)((hidden + 1) / 2);
    for (int code = -128; code < 128; code++) {
        const int16_t magnitude = genome->decode[code < 0 ? -code : code];
        fast->value[(uint8_t)code] = code < 0 ? (int16_t)-magnitude : magnitude;
    }
    for (int32_t eighth = 0, code = 0; eighth <= NCA_EIGHTHS; eighth++) {
        while (code < 127 && eighth >= genome->decode[code] + genome->decode[code + 1]) {
            code++;
        }
        fast->code[eighth] = (int8_t)code;
    }
    for (uint32_t j = 0; j < hidden; j++) {
        fast->b1[j] = 4 * (unit[1] * 256 + (uint8_t)unit[0]) + (1 << (genome->s1 - 1));
        unit += 2;
        for (uint32_t i = 0; i < inputs; i++) {
            fast->w1[i / 2][j][i % 2] = *unit++;
        }
        for (uint32_t c = 0; c < channels; c++) {
            fast->w2[j / 2][c][j % 2] = *unit++;
        }
    }
    for (uint32_t c = 0; c < channels; c++) {
        fast->b2[c] = genome->b2[c];
    }
    for (uint32_t k = 0; k < genome->kernels; k++) {
        for (uint32_t n = 0; n < 9; n++) {
            fast->taps[k][n] = genome->taps[k * 9 + n];
        }
    }
    fast->instructions = NCA_PORTABLE;
#if X86
    if (most >= NCA_AVX2 && __builtin_cpu_supports("avx2")) {
        fast->instructions = NCA_AVX2;
    }
#else
    (void)most;
#endif
}

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

INLINE int8_t compress(const nca_fast *fast, int32_t v)
{
    const int32_t eighth = ((v < 0 ? -v : v) - 1) >> 3;
    const int8_t code = fast->code[eighth < 0 ? 0 : eighth > NCA_EIGHTHS ? NCA_EIGHTHS : eighth];
    return v < 0 ? (int8_t)-code : code;
}

/* Perception as values, in pairs; what is left of the last pair is 0. */
INLINE void perceive(const nca_fast *fast, uint32_t channels, const int8_t *state, const int8_t *neighbours, int16_t *x)
{
    const uint32_t kernels = fast->genome.kernels;
    int32_t values[9][NCA_CHANNELS_MAX] = { { 0 } };

    for (uint32_t n = 0; n < 8; n++) {
        for (uint32_t c = 0; c < channels; c++) {
            values[n][c] = fast->value[(uint8_t)neighbours[n * channels + c]];
        }
    }
    for (uint32_t c = 0; c < channels; c++) {
        values[8][c] = fast->value[(uint8_t)state[c]];
    }
    for (uint32_t k = 0; k < kernels; k++) {
        int32_t sums[NCA_CHANNELS_MAX] = { 0 };
        for (uint32_t n = 0; n < 9; n++) {
            const int32_t tap = fast->taps[k][n];
            for (uint32_t c = 0; c < NCA_CHANNELS_MAX; c++) {
                sums[c] += tap * values[n][c];
            }
        }
        for (uint32_t c = 0; c < channels; c++) {
            x[k * channels + c] = fast->value[(uint8_t)compress(fast, sums[c])];
        }
    }
    x[kernels * channels] = 0;
}

INLINE void layers_portable(const nca_fast *fast, const int16_t *x, int32_t *output)
{
    int32_t a[NCA_HIDDEN_MAX];
    int16_t h[NCA_HIDDEN_MAX + 1];
    const uint32_t hidden = fast->genome.hidden, s1 = fast->genome.s1;

    memcpy(a, fast->b1, sizeof a);
    for (uint32_t i = 0; i < fast->perception_pairs; i++) {
        const int32_t x0 = x[2 * i], x1 = x[2 * i + 1];
        for (uint32_t j = 0; j < hidden; j++) {
            a[j] += fast->w1[i][j][0] * x0 + fast->w1[i][j][1] * x1;
        }
    }
    for (uint32_t j = 0; j < hidden; j++) {
        const int32_t v = a[j] >> s1;
        h[j] = (int16_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
    h[hidden] = 0;
    memcpy(output, fast->b2, sizeof fast->b2);
    for (uint32_t j = 0; j < fast->hidden_pairs; j++) {
        const int32_t h0 = h[2 * j], h1 = h[2 * j + 1];
        if ((h0 | h1) != 0) {
            for (uint32_t c = 0; c < NCA_CHANNELS_MAX; c++) {
                output[c] += fast->w2[j][c][0] * h0 + fast->w2[j][c][1] * h1;
            }
        }
    }
}

#if X86
/* Products of 16 bits summed in pairs (pmaddwd): |w x| < 2^19, exact. Four accumulators of eight hidden units stay in registers. */
__attribute__((target("avx2"))) static inline void layers_avx2(const nca_fast *fast, const int16_t *x, int32_t *output)
{
    int32_t pairs[NCA_PERCEPTION_MAX / 2];
    int32_t h[NCA_HIDDEN_MAX];
    const uint32_t hidden = fast->genome.hidden, inputs = fast->perception_pairs;
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
                const __m256i w = _mm256_loadu_si256((const __m256i *)fast->w1[i][j + 8 * n]);
                a[n] = _mm256_add_epi32(a[n], _mm256_madd_epi16(w, xx));
            }
        }
        for (uint32_t n = 0; n < 4; n++) {
            const __m256i v = _mm256_sra_epi32(a[n], shift);
            _mm256_storeu_si256((__m256i *)(h + j + 8 * n), _mm256_min_epi32(_mm256_max_epi32(v, zero), top));
        }
    }
    __m256i low = _mm256_loadu_si256((const __m256i *)fast->b2), high = _mm256_loadu_si256((const __m256i *)(fast->b2 + 8));
    for (uint32_t j = 0; j < hidden; j += 2) { /* rows beyond `hidden` have weights of 0 */
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

/* Everything around the layers, compiled once for every instruction set and once more for sixteen channels. */
INLINE uint8_t wake(const nca_fast *fast, uint32_t channels, void (*layers)(const nca_fast *, const int16_t *, int32_t *),
                    int8_t *state, const int8_t *neighbours)
{
    const nca_genome *genome = &fast->genome;
    const int8_t alive = genome->alive;
    int8_t heard = -127;
    int16_t x[NCA_PERCEPTION_MAX + 1];
    int32_t output[NCA_CHANNELS_MAX];

    for (uint32_t n = 0; n < NCA_NEIGHBOURS; n++) {
        const int8_t alpha = neighbours[n * channels + genome->alpha];
        heard = alpha > heard ? alpha : heard;
    }
    if (alive != 0 && heard < alive && state[genome->alpha] < alive) {
        memset(state, 0, channels);
        return 0;
    }
    perceive(fast, channels, state, neighbours, x);
    layers(fast, x, output);
    for (uint32_t c = 0; c < channels; c++) {
        const int64_t d = ((int64_t)output[c] * genome->m2[c] + ((int64_t)1 << (genome->s2 - 1))) >> genome->s2;
        state[c] = compress(fast, 16 * fast->value[(uint8_t)state[c]] + (int32_t)d);
    }
    if (alive != 0 && heard < alive && state[genome->alpha] < alive) {
        memset(state, 0, channels);
    }
    return 1;
}

#if X86
__attribute__((target("avx2"))) static uint8_t wake_avx2(const nca_fast *fast, int8_t *state, const int8_t *neighbours)
{
    if (fast->genome.channels == NCA_CHANNELS_MAX) {
        return wake(fast, NCA_CHANNELS_MAX, layers_avx2, state, neighbours);
    }
    return wake(fast, fast->genome.channels, layers_avx2, state, neighbours);
}
#endif

uint8_t nca_fast_wake(const nca_fast *fast, int8_t *state, const int8_t *neighbours)
{
#if X86
    if (fast->instructions == NCA_AVX2) {
        return wake_avx2(fast, state, neighbours);
    }
#endif
    return wake(fast, fast->genome.channels, layers_portable, state, neighbours);
}

void nca_fast_wake_many(const nca_fast *fast, uint32_t count, int8_t *states, const int8_t *neighbours, uint8_t *evaluated)
{
    const uint32_t channels = fast->genome.channels;

    for (uint32_t i = 0; i < count; i++) {
        evaluated[i] = nca_fast_wake(fast, states + i * channels, neighbours + i * NCA_NEIGHBOURS * channels);
    }
}
