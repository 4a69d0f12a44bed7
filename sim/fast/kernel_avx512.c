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

/* The same of unsigned bytes x and signed bytes w, by four. */
HELPER __m512i multiply_add_bytes(__m512i a, __m512i w, __m512i x)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(a) : "v"(x), "v"(w));
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

HELPER void descend(__m512i *node, __m512i boundary, __m512i eighth)
{
    const __mmask32 beyond = _mm512_cmpge_epi16_mask(eighth, boundary);
    const __m512i left = _mm512_add_epi16(*node, *node);
    *node = _mm512_mask_add_epi16(left, beyond, left, _mm512_set1_epi16(1));
}

/* Codes of the magnitudes whose (|v| - 1) >> 3 are given, 32 at a time and `n` times side by side: seven levels of the search tree. */
HELPER void search(const tables *t, uint32_t n, const __m512i *eighth, __m512i *node)
{
    const __m512i root = _mm512_permutexvar_epi16(_mm512_set1_epi16(1), t->search[0]);
#pragma GCC unroll 4
    for (uint32_t i = 0; i < n; i++) {
        node[i] = _mm512_set1_epi16(1);
        descend(&node[i], root, eighth[i]);
    }
#pragma GCC unroll 4
    for (uint32_t level = 1; level < 5; level++) {
#pragma GCC unroll 4
        for (uint32_t i = 0; i < n; i++) {
            descend(&node[i], _mm512_permutexvar_epi16(node[i], t->search[0]), eighth[i]);
        }
    }
#pragma GCC unroll 4
    for (uint32_t i = 0; i < n; i++) {
        descend(&node[i], _mm512_permutexvar_epi16(node[i], t->search[1]), eighth[i]);
    }
#pragma GCC unroll 4
    for (uint32_t i = 0; i < n; i++) {
        descend(&node[i], _mm512_permutex2var_epi16(t->search[2], node[i], t->search[3]), eighth[i]);
        node[i] = _mm512_and_si512(node[i], _mm512_set1_epi16(127));
    }
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

/* Perception of four cells as values, 16 a kernel; `own` is 16 val() of their states. */
HELPER void perceive(const nca_fast *fast, const tables *t, int8_t *const *states, const int8_t *const *neighbours,
                     int16_t (*x)[NCA_PERCEPTION_MAX], __m512i *own)
{
    const uint32_t kernels = fast->genome.kernels, others = fast->others;
    __m512i sums[4][CELLS]; /* kernel by kernel of those that are not the identity */

    for (uint32_t n = 0; n < CELLS; n++) {
        const int8_t *state = states[n], *heard = neighbours[n];
        __m512i seen[5]; /* values of two neighbours by turns, channel by channel */
#pragma GCC unroll 5
        for (uint32_t pair = 0; pair < 5; pair++) {
            const __m128i one = _mm_loadu_si128((const __m128i *)(pair < 4 ? heard + 2 * STATE * pair : state));
            const __m128i two = pair < 4 ? _mm_loadu_si128((const __m128i *)(heard + 2 * STATE * pair + STATE)) : _mm_setzero_si128();
            seen[pair] = decode(t, _mm256_set_m128i(_mm_unpackhi_epi8(one, two), _mm_unpacklo_epi8(one, two)));
        }
        own[n] = _mm512_srai_epi32(_mm512_slli_epi32(seen[4], 16), 12);
        for (uint32_t k = 0; k < kernels; k++) {
            if (fast->identity[k]) {
                _mm256_storeu_si256((__m256i *)(x[n] + STATE * k), _mm512_cvtepi32_epi16(seen[4]));
            }
        }
        for (uint32_t k = 0; k < others; k++) {
            const int32_t *taps = fast->tap_pairs[fast->other[k]];
            sums[k][n] = _mm512_setzero_si512();
#pragma GCC unroll 5
            for (uint32_t pair = 0; pair < 5; pair++) {
                sums[k][n] = multiply_add(sums[k][n], seen[pair], _mm512_set1_epi32(taps[pair]));
            }
        }
    }
    for (uint32_t k = 0; k < others; k += 2) {
        const uint32_t next = k + 1 < others ? k + 1 : k;
        __m512i eighth[CELLS], code[CELLS];
#pragma GCC unroll 4
        for (uint32_t n = 0; n < CELLS; n++) {
            eighth[n] = join(eighths(sums[k][n]), eighths(sums[next][n]));
        }
        search(t, CELLS, eighth, code);
#pragma GCC unroll 4
        for (uint32_t n = 0; n < CELLS; n++) {
            const __m512i values = negate_where(negatives(sums[k][n], sums[next][n]), look_up(t, code[n]));
            _mm256_storeu_si256((__m256i *)(x[n] + STATE * fast->other[k]), _mm512_castsi512_si256(values));
            _mm256_storeu_si256((__m256i *)(x[n] + STATE * fast->other[next]), _mm512_extracti64x4_epi64(values, 1));
        }
    }
}

/* 64 hidden units of four cells: sixteen accumulators. */
HELPER void hidden_layer(const nca_fast *fast, uint32_t group, int32_t (*x)[NCA_PAIRS], uint8_t (*h)[NCA_HIDDEN_MAX])
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
#define CLIP(a) _mm512_cvtepi32_epi8(_mm512_min_epi32(_mm512_max_epi32(_mm512_sra_epi32(a, shift), zero), top))
#define KEEP(n)                                                                        \
    _mm_storeu_si128((__m128i *)(h[n] + group * NCA_GROUP), CLIP(a##n##0));            \
    _mm_storeu_si128((__m128i *)(h[n] + group * NCA_GROUP + 16), CLIP(a##n##1));       \
    _mm_storeu_si128((__m128i *)(h[n] + group * NCA_GROUP + 32), CLIP(a##n##2));       \
    _mm_storeu_si128((__m128i *)(h[n] + group * NCA_GROUP + 48), CLIP(a##n##3));
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

TARGET void nca_fast_evaluate_avx512(const nca_fast *fast, uint32_t count, int8_t *const *states, const int8_t *const *heard)
{
    const tables t = load_tables(fast);

    for (uint32_t first = 0; first < count; first += CELLS) {
        int16_t x[CELLS][NCA_PERCEPTION_MAX];
        int32_t pairs[CELLS][NCA_PAIRS], quads[CELLS][NCA_HIDDEN_MAX / 4];
        uint8_t h[CELLS][NCA_HIDDEN_MAX];
        __m512i own[CELLS], v[CELLS], eighth[CELLS / 2], code[CELLS / 2];
        int8_t *cell[CELLS];
        const int8_t *around[CELLS];
        const uint32_t cells = count - first < CELLS ? count - first : CELLS;

        for (uint32_t n = 0; n < CELLS; n++) { /* where fewer are left, the last one is computed again */
            cell[n] = states[first + (n < cells ? n : cells - 1)];
            around[n] = heard[first + (n < cells ? n : cells - 1)];
        }
        perceive(fast, &t, cell, around, x, own);
        memcpy(pairs, x, sizeof pairs);
        for (uint32_t group = 0; group < fast->groups; group++) {
            hidden_layer(fast, group, pairs, h);
        }
        memcpy(quads, h, sizeof quads);
        __m512i even0 = _mm512_loadu_si512(fast->b2), even1 = even0, even2 = even0, even3 = even0;
        __m512i odd0 = _mm512_setzero_si512(), odd1 = odd0, odd2 = odd0, odd3 = odd0;
        for (uint32_t j = 0; j < fast->groups * NCA_GROUP / 4u; j += 2) {
            const __m512i w = _mm512_loadu_si512(fast->w2_quads[j]), ww = _mm512_loadu_si512(fast->w2_quads[j + 1]);
#define SUM(n)                                                                            \
    even##n = multiply_add_bytes(even##n, w, _mm512_set1_epi32(quads[n][j]));             \
    odd##n = multiply_add_bytes(odd##n, ww, _mm512_set1_epi32(quads[n][j + 1]));
            SUM(0) SUM(1) SUM(2) SUM(3)
        }
        v[0] = _mm512_add_epi32(own[0], scale(fast, _mm512_add_epi32(even0, odd0)));
        v[1] = _mm512_add_epi32(own[1], scale(fast, _mm512_add_epi32(even1, odd1)));
        v[2] = _mm512_add_epi32(own[2], scale(fast, _mm512_add_epi32(even2, odd2)));
        v[3] = _mm512_add_epi32(own[3], scale(fast, _mm512_add_epi32(even3, odd3)));
        eighth[0] = join(eighths(v[0]), eighths(v[1]));
        eighth[1] = join(eighths(v[2]), eighths(v[3]));
        search(&t, CELLS / 2, eighth, code);
        for (uint32_t n = 0; n < CELLS; n += 2) {
            const __m256i codes = _mm512_cvtepi16_epi8(negate_where(negatives(v[n], v[n + 1]), code[n / 2]));
            _mm_storeu_si128((__m128i *)cell[n], _mm256_castsi256_si128(codes));
            _mm_storeu_si128((__m128i *)cell[n + 1], _mm256_extracti128_si256(codes, 1));
        }
    }
}
#else
typedef int nothing_for_this_processor;
#endif
