/* Four cells at a time with AVX-512: tables are permutations of registers, products of 16 bits are summed in pairs (vpdpwssd: |w x| < 2^19, exact),
 * and every weight is loaded once for four cells. */
#include "kernel.h"

#if NCA_X86
#include <immintrin.h>
#include <string.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))
#define HELPER TARGET static inline __attribute__((always_inline))
#define STATE NCA_CHANNELS_MAX
#define CELLS 4

typedef struct {
    __m512i magnitude[4], search[4];
} tables;

/* a + products of w and x, summed in pairs. As assembly because GCC 12 copies the accumulator of the intrinsic with every product. */
HELPER __m512i multiply_add(__m512i a, __m512i w, __m512i x)
{
    __asm__("vpdpwssd %2, %1, %0" : "+v"(a) : "v"(w), "v"(x));
    return a;
}

HELPER tables load_tables(const nca_fast *fast)
{
    tables t;
    for (uint32_t n = 0; n < 4; n++) {
        t.magnitude[n] = _mm512_loadu_si512(fast->magnitude + 32 * n);
        t.search[n] = _mm512_loadu_si512(fast->search + 32 * n);
    }
    return t;
}

/* Magnitudes of codes 0..127, 32 at a time. */
HELPER __m512i look_up(const tables *t, __m512i code)
{
    const __m512i low = _mm512_permutex2var_epi16(t->magnitude[0], code, t->magnitude[1]);
    const __m512i high = _mm512_permutex2var_epi16(t->magnitude[2], code, t->magnitude[3]);
    return _mm512_mask_blend_epi16(_mm512_test_epi16_mask(code, _mm512_set1_epi16(64)), low, high);
}

HELPER __m512i negate_where(__mmask32 negative, __m512i v)
{
    return _mm512_mask_sub_epi16(v, negative, _mm512_setzero_si512(), v);
}

/* val() of 32 codes. */
HELPER __m512i decode(const tables *t, __m256i codes)
{
    const __m512i wide = _mm512_cvtepi8_epi16(codes);
    const __m512i code = _mm512_min_epi16(_mm512_abs_epi16(wide), _mm512_set1_epi16(127));
    return negate_where(_mm512_movepi16_mask(wide), look_up(t, code));
}

HELPER __m512i descend(__m512i node, __m512i boundary, __m512i eighth)
{
    const __mmask32 beyond = _mm512_cmpge_epi16_mask(eighth, boundary);
    const __m512i left = _mm512_add_epi16(node, node);
    return _mm512_mask_add_epi16(left, beyond, left, _mm512_set1_epi16(1));
}

/* Codes of the magnitudes whose (|v| - 1) >> 3 are given, 32 at a time: seven levels of the search tree. */
HELPER __m512i search(const tables *t, __m512i eighth)
{
    __m512i node = descend(_mm512_set1_epi16(1), _mm512_permutexvar_epi16(_mm512_set1_epi16(1), t->search[0]), eighth);
    for (uint32_t level = 1; level < 5; level++) {
        node = descend(node, _mm512_permutexvar_epi16(node, t->search[0]), eighth);
    }
    node = descend(node, _mm512_permutexvar_epi16(node, t->search[1]), eighth);
    node = descend(node, _mm512_permutex2var_epi16(t->search[2], node, t->search[3]), eighth);
    return _mm512_and_si512(node, _mm512_set1_epi16(127));
}

/* (|v| - 1) >> 3 of 16 sums, at most 2^14. */
HELPER __m256i eighths(__m512i v)
{
    const __m512i e = _mm512_srai_epi32(_mm512_sub_epi32(_mm512_abs_epi32(v), _mm512_set1_epi32(1)), 3);
    return _mm512_cvtepi32_epi16(_mm512_min_epi32(e, _mm512_set1_epi32(1 << 14)));
}

HELPER __m512i join(__m256i low, __m256i high)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

HELPER __mmask32 negatives(__m512i low, __m512i high)
{
    const __m512i zero = _mm512_setzero_si512();
    return (__mmask32)_mm512_cmplt_epi32_mask(low, zero) | (__mmask32)_mm512_cmplt_epi32_mask(high, zero) << 16;
}

/* Perception of one cell as values, 16 a kernel. */
HELPER void perceive(const nca_fast *fast, const tables *t, const int8_t *state, const int8_t *heard, int16_t *x)
{
    __m512i sums[4], seen[5]; /* values of two neighbours by turns, channel by channel */

    for (uint32_t pair = 0; pair < 5; pair++) {
        const __m128i one = _mm_loadu_si128((const __m128i *)(pair < 4 ? heard + 2 * STATE * pair : state));
        const __m128i other = pair < 4 ? _mm_loadu_si128((const __m128i *)(heard + 2 * STATE * pair + STATE)) : _mm_setzero_si128();
        seen[pair] = decode(t, _mm256_set_m128i(_mm_unpackhi_epi8(one, other), _mm_unpacklo_epi8(one, other)));
    }
    for (uint32_t kernel = 0; kernel < fast->genome.kernels; kernel++) {
        sums[kernel] = _mm512_setzero_si512();
        for (uint32_t pair = 0; pair < 5; pair++) {
            sums[kernel] = multiply_add(sums[kernel], seen[pair], _mm512_set1_epi32(fast->tap_pairs[kernel][pair]));
        }
    }
    for (uint32_t kernel = 0; kernel < fast->genome.kernels; kernel += 2) {
        const __m512i a = sums[kernel], b = kernel + 1 < fast->genome.kernels ? sums[kernel + 1] : _mm512_setzero_si512();
        const __m512i magnitudes = look_up(t, search(t, join(eighths(a), eighths(b))));
        _mm512_storeu_si512(x + STATE * kernel, negate_where(negatives(a, b), magnitudes));
    }
}

/* 64 hidden units of four cells: sixteen accumulators. */
HELPER void hidden_layer(const nca_fast *fast, uint32_t group, int32_t (*x)[NCA_PAIRS], int16_t (*h)[NCA_HIDDEN_MAX])
{
    const __m128i shift = _mm_cvtsi32_si128(fast->genome.s1);
    const __m512i zero = _mm512_setzero_si512(), top = _mm512_set1_epi32(255);
    const int32_t *b1 = fast->b1 + group * NCA_GROUP;
    const __m512i b0 = _mm512_loadu_si512(b1), b16 = _mm512_loadu_si512(b1 + 16), b32 = _mm512_loadu_si512(b1 + 32), b48 = _mm512_loadu_si512(b1 + 48);
#define DECLARE(n) __m512i a##n##0 = b0, a##n##1 = b16, a##n##2 = b32, a##n##3 = b48;
    DECLARE(0) DECLARE(1) DECLARE(2) DECLARE(3)
    for (uint32_t i = 0; i < fast->pairs; i++) {
        const int16_t(*w)[2] = fast->w1[group][i];
        const __m512i w0 = _mm512_loadu_si512(w), w1 = _mm512_loadu_si512(w + 16), w2 = _mm512_loadu_si512(w + 32), w3 = _mm512_loadu_si512(w + 48);
#define CELL(n)                                             \
    {                                                       \
        const __m512i xx = _mm512_set1_epi32(x[n][i]);      \
        a##n##0 = multiply_add(a##n##0, w0, xx);     \
        a##n##1 = multiply_add(a##n##1, w1, xx);     \
        a##n##2 = multiply_add(a##n##2, w2, xx);     \
        a##n##3 = multiply_add(a##n##3, w3, xx);     \
    }
        CELL(0) CELL(1) CELL(2) CELL(3)
    }
#define CLIP(a) _mm512_cvtepi32_epi16(_mm512_min_epi32(_mm512_max_epi32(_mm512_sra_epi32(a, shift), zero), top))
#define KEEP(n)                                                                                           \
    _mm512_storeu_si512(h[n] + group * NCA_GROUP, join(CLIP(a##n##0), CLIP(a##n##1)));                    \
    _mm512_storeu_si512(h[n] + group * NCA_GROUP + 32, join(CLIP(a##n##2), CLIP(a##n##3)));
    KEEP(0) KEEP(1) KEEP(2) KEEP(3)
}

/* (o M2 + 2^(S2-1)) >> S2 in 64 bits. */
HELPER __m512i scale(const nca_fast *fast, __m512i o)
{
    const __m512i m2 = _mm512_loadu_si512(fast->m2), half = _mm512_set1_epi64((int64_t)1 << (fast->genome.s2 - 1));
    const __m128i shift = _mm_cvtsi32_si128(fast->genome.s2);
    const __m512i even = _mm512_sra_epi64(_mm512_add_epi64(_mm512_mul_epi32(o, m2), half), shift);
    const __m512i odd = _mm512_mul_epi32(_mm512_srli_epi64(o, 32), _mm512_srli_epi64(m2, 32));
    return _mm512_mask_mov_epi32(even, 0xaaaa, _mm512_slli_epi64(_mm512_sra_epi64(_mm512_add_epi64(odd, half), shift), 32));
}

TARGET void nca_fast_evaluate_avx512(const nca_fast *fast, uint32_t count, const uint32_t *index, int8_t *states, const int8_t *neighbours)
{
    const tables t = load_tables(fast);

    for (uint32_t first = 0; first < count; first += CELLS) {
        int16_t x[CELLS][NCA_PERCEPTION_MAX];
        int32_t pairs[CELLS][NCA_PAIRS], hidden[CELLS][NCA_HIDDEN_MAX / 2];
        int16_t h[CELLS][NCA_HIDDEN_MAX];
        __m512i v[CELLS];
        const uint32_t *chosen = index + first;
        const uint32_t cells = count - first < CELLS ? count - first : CELLS;

        for (uint32_t n = 0; n < CELLS; n++) { /* where fewer are left, the last one is computed again */
            const uint64_t i = chosen[n < cells ? n : cells - 1];
            perceive(fast, &t, states + i * STATE, neighbours + i * NCA_NEIGHBOURS * STATE, x[n]);
        }
        memcpy(pairs, x, sizeof pairs);
        for (uint32_t group = 0; group < fast->groups; group++) {
            hidden_layer(fast, group, pairs, h);
        }
        memcpy(hidden, h, sizeof hidden);
        __m512i even0 = _mm512_loadu_si512(fast->b2), even1 = even0, even2 = even0, even3 = even0;
        __m512i odd0 = _mm512_setzero_si512(), odd1 = odd0, odd2 = odd0, odd3 = odd0;
        for (uint32_t j = 0; j < fast->groups * NCA_GROUP / 2u; j += 2) {
            const __m512i w = _mm512_loadu_si512(fast->w2[j]), ww = _mm512_loadu_si512(fast->w2[j + 1]);
#define SUM(n)                                                                            \
    even##n = multiply_add(even##n, w, _mm512_set1_epi32(hidden[n][j]));           \
    odd##n = multiply_add(odd##n, ww, _mm512_set1_epi32(hidden[n][j + 1]));
            SUM(0) SUM(1) SUM(2) SUM(3)
        }
        v[0] = _mm512_add_epi32(even0, odd0);
        v[1] = _mm512_add_epi32(even1, odd1);
        v[2] = _mm512_add_epi32(even2, odd2);
        v[3] = _mm512_add_epi32(even3, odd3);
        for (uint32_t n = 0; n < CELLS; n++) {
            const int8_t *state = states + (uint64_t)chosen[n < cells ? n : cells - 1] * STATE;
            const __m512i old = decode(&t, _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)state)));
            v[n] = _mm512_add_epi32(scale(fast, v[n]), _mm512_slli_epi32(_mm512_cvtepi16_epi32(_mm512_castsi512_si256(old)), 4));
        }
        for (uint32_t n = 0; n < CELLS; n += 2) {
            const __m512i code = search(&t, join(eighths(v[n]), eighths(v[n + 1])));
            const __m256i codes = _mm512_cvtepi16_epi8(negate_where(negatives(v[n], v[n + 1]), code));
            if (n < cells) {
                _mm_storeu_si128((__m128i *)(states + (uint64_t)chosen[n] * STATE), _mm256_castsi256_si128(codes));
            }
            if (n + 1 < cells) {
                _mm_storeu_si128((__m128i *)(states + (uint64_t)chosen[n + 1] * STATE), _mm256_extracti128_si256(codes, 1));
            }
        }
    }
}
#else
typedef int nothing_for_this_processor;
#endif
