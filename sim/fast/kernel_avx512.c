/* Four cells at a time with AVX-512: tables are permutations of registers, and every weight is loaded once for four cells.
 *
 * A register of 64 codes holds the states of the four cells, one in each of its four parts of 128 bits. As values of 16 bits they fill two
 * registers, `half` 0 with the first eight channels of each cell and `half` 1 with the others: what unpacking gives, and packing undoes.
 *
 * The inputs of the network are multiplied by four as bytes (vpdpbusd) where they fit, which most do, and else by two in 16 bits (vpdpwssd);
 * both are exact. Unsigned bytes it must be, so all values are taken NCA_BIAS too great; the first layer's bias takes that off, and
 * the taps of a kernel that is not the cell itself add up to 0.
 */
#include "kernel.h"

#if NCA_X86
#include <immintrin.h>
#include <string.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi,avx512vbmi2")))
#define HELPER TARGET static inline __attribute__((always_inline))
#define ALIGNED __attribute__((aligned(64)))
#define STATE NCA_CHANNELS_MAX
#define CELLS 4

typedef struct {
    __m512i low[4], high[4]; /* bytes of the biased values of all codes */
    __m512i search[4];
} tables;

typedef struct {
    __m512i low, high; /* bytes of biased values */
} bytes;

typedef struct {
    __m512i half[2];
} values;

/* What the network is given of four cells: perception, twice, with room for a kernel that the genome lacks; and the states themselves. */
typedef struct {
    int32_t narrow[NCA_ABSENT + 1][CELLS][4];  /* [kernel][cell][four channels], a byte each, where they fit */
    int32_t wide[NCA_ABSENT + 1][2][CELLS][4]; /* [kernel][half][cell][two channels], 16 bits each */
    uint32_t beyond;                           /* a bit for every four inputs: they don't fit into bytes in one of the cells */
    __m512i own[CELLS];                        /* 16 times the states' values, biased */
} inputs;

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
        t.low[n] = _mm512_loadu_si512(fast->low + 64 * n);
        t.high[n] = _mm512_loadu_si512(fast->high + 64 * n);
        t.search[n] = _mm512_loadu_si512(fast->search + 32 * n);
    }
    return t;
}

/* Biased val() of 64 codes. */
HELPER bytes decode(const tables *t, __m512i codes)
{
    const __mmask64 negative = _mm512_movepi8_mask(codes);
    const __m512i low = _mm512_permutex2var_epi8(t->low[0], codes, t->low[1]), high = _mm512_permutex2var_epi8(t->high[0], codes, t->high[1]);
    return (bytes){ _mm512_mask_mov_epi8(low, negative, _mm512_permutex2var_epi8(t->low[2], codes, t->low[3])),
                    _mm512_mask_mov_epi8(high, negative, _mm512_permutex2var_epi8(t->high[2], codes, t->high[3])) };
}

HELPER values unpack(bytes b)
{
    return (values){ { _mm512_unpacklo_epi8(b.low, b.high), _mm512_unpackhi_epi8(b.low, b.high) } };
}

/* One level down: 2 node + 1 where the eighth is beyond the boundary, of which one less is given, else 2 node. */
HELPER __m512i descend(__m512i node, __m512i boundary, __m512i eighth)
{
    return _mm512_shldi_epi16(node, _mm512_sub_epi16(boundary, eighth), 1);
}

/* 128 + the codes of the magnitudes whose (|v| - 1) >> 3 are given, 32 at a time and `n` times side by side: seven levels of the search tree. */
HELPER void search(const tables *t, uint32_t n, const __m512i *eighth, __m512i *node)
{
    const __m512i root = _mm512_permutexvar_epi16(_mm512_set1_epi16(1), t->search[0]);
#pragma GCC unroll 4
    for (uint32_t i = 0; i < n; i++) {
        node[i] = descend(_mm512_set1_epi16(1), root, eighth[i]);
    }
#pragma GCC unroll 4
    for (uint32_t level = 1; level < 5; level++) {
#pragma GCC unroll 4
        for (uint32_t i = 0; i < n; i++) {
            node[i] = descend(node[i], _mm512_permutexvar_epi16(node[i], t->search[0]), eighth[i]);
        }
    }
#pragma GCC unroll 4
    for (uint32_t i = 0; i < n; i++) {
        node[i] = descend(node[i], _mm512_permutexvar_epi16(node[i], t->search[1]), eighth[i]);
    }
#pragma GCC unroll 4
    for (uint32_t i = 0; i < n; i++) {
        node[i] = descend(node[i], _mm512_permutex2var_epi16(t->search[2], node[i], t->search[3]), eighth[i]);
    }
}

/* The states of four cells in a register. */
HELPER __m512i join(int8_t *const *states)
{
    __m512i all = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)states[0]));
    all = _mm512_inserti32x4(all, _mm_loadu_si128((const __m128i *)states[1]), 1);
    all = _mm512_inserti32x4(all, _mm_loadu_si128((const __m128i *)states[2]), 2);
    return _mm512_inserti32x4(all, _mm_loadu_si128((const __m128i *)states[3]), 3);
}

/* From four states in a row of each cell, the `first` among its neighbours', to one neighbour of each cell in a register. */
HELPER void transpose(const int8_t *const *neighbours, uint32_t first, __m512i *around)
{
    __m512i row[CELLS];
    for (uint32_t n = 0; n < CELLS; n++) {
        row[n] = _mm512_loadu_si512(neighbours[n] + first * STATE);
    }
    const __m512i a = _mm512_shuffle_i32x4(row[0], row[1], 0x44), b = _mm512_shuffle_i32x4(row[0], row[1], 0xee);
    const __m512i c = _mm512_shuffle_i32x4(row[2], row[3], 0x44), d = _mm512_shuffle_i32x4(row[2], row[3], 0xee);
    around[0] = _mm512_shuffle_i32x4(a, c, 0x88);
    around[1] = _mm512_shuffle_i32x4(a, c, 0xdd);
    around[2] = _mm512_shuffle_i32x4(b, d, 0x88);
    around[3] = _mm512_shuffle_i32x4(b, d, 0xdd);
}

/* Sums v are kept in 16 bits as half of them, rounded down: what doesn't fit saturates, and has the code 127 either way, as |v| is beyond
 * 8 (X[126] + X[127]) <= 8 (2^13 - 1). */

/* Half a Sobel kernel's sum, from differences of opposite neighbours: at most 2^14 for the diagonals, 2^13 for the straight ones. */
HELPER __m512i sobel(__m512i diagonals, __m512i straight)
{
    return _mm512_adds_epi16(diagonals, _mm512_slli_epi16(straight, 1));
}

/* Half the Laplacian's sum, from sums of four neighbours, biased: those and six times the cell itself are below 2^15. */
HELPER __m512i laplacian(__m512i diagonals, __m512i straight, __m512i own)
{
    const __m512i six = _mm512_mullo_epi16(own, _mm512_set1_epi16(6));
    return _mm512_subs_epi16(_mm512_add_epi16(_mm512_srai_epi16(diagonals, 1), straight), six);
}

/* (|v| - 1) >> 3 of v = 2 half; 0, which has the same code, where v is 0. */
HELPER __m512i eighths(__m512i half)
{
    return _mm512_srli_epi16(_mm512_subs_epu16(_mm512_abs_epi16(half), _mm512_set1_epi16(1)), 2);
}

/* The same of v = 2 half + 1 where `odd`. A negative v, nearer to 0 by one, has the eighth of the even one beyond it. */
HELPER __m512i eighths_of_odd(__m512i half, __mmask32 odd)
{
    const __mmask32 greater = odd & (__mmask32)~_mm512_movepi16_mask(half);
    return _mm512_srli_epi16(_mm512_subs_epu16(_mm512_abs_epi16(half), _mm512_maskz_set1_epi16((__mmask32)~greater, 1)), 2);
}

/* Codes that were found, without what the root has added, and with signs. */
HELPER __m512i with_signs(const __m512i *node, __m512i signs)
{
    const __m512i codes = _mm512_and_si512(_mm512_packus_epi16(node[0], node[1]), _mm512_set1_epi8(127));
    return _mm512_mask_sub_epi8(codes, _mm512_movepi8_mask(signs), _mm512_setzero_si512(), codes);
}

/* Puts what a kernel has perceived to its place among the inputs. */
HELPER void put(inputs *in, uint32_t place, bytes perceived)
{
    const values v = unpack(perceived);
    const uint32_t cells = _mm512_test_epi32_mask(perceived.high, perceived.high), two = cells | cells >> 8;
    _mm512_store_si512(in->narrow[place], perceived.low);
    _mm512_store_si512(in->wide[place][0], v.half[0]);
    _mm512_store_si512(in->wide[place][1], v.half[1]);
    in->beyond |= ((two | two >> 4) & 15) << 4 * place;
}

/* Perception of four cells. */
HELPER void perceive(const nca_fast *fast, const tables *t, bytes own, const int8_t *const *neighbours, inputs *in)
{
    const values self = unpack(own);
    __m512i around[8], sums[4], eighth[4], node[4]; /* of Sobel x and y, both halves of each */
    values seen[8];

    transpose(neighbours, 0, around);
    transpose(neighbours, 4, around + 4);
#pragma GCC unroll 8
    for (uint32_t n = 0; n < 8; n++) {
        seen[n] = unpack(decode(t, around[n]));
    }
#pragma GCC unroll 2
    for (uint32_t h = 0; h < 2; h++) {
        const __m512i south = _mm512_sub_epi16(seen[4].half[h], seen[0].half[h]), east = _mm512_sub_epi16(seen[2].half[h], seen[6].half[h]);
        const __m512i falling = _mm512_sub_epi16(seen[3].half[h], seen[7].half[h]), rising = _mm512_sub_epi16(seen[1].half[h], seen[5].half[h]);
        sums[h] = sobel(_mm512_add_epi16(falling, rising), east);
        sums[2 + h] = sobel(_mm512_sub_epi16(falling, rising), south);
        eighth[h] = eighths(sums[h]);
        eighth[2 + h] = eighths(sums[2 + h]);
    }
    search(t, 4, eighth, node);
    in->beyond = 0;
    put(in, fast->place[NCA_IDENTITY], own);
    put(in, fast->place[NCA_SOBEL_X], decode(t, with_signs(node, _mm512_packs_epi16(sums[0], sums[1]))));
    put(in, fast->place[NCA_SOBEL_Y], decode(t, with_signs(node + 2, _mm512_packs_epi16(sums[2], sums[3]))));
    if (fast->place[NCA_LAPLACIAN] == NCA_ABSENT) {
        return;
    }
    for (uint32_t h = 0; h < 2; h++) {
        const __m512i straight = _mm512_add_epi16(_mm512_add_epi16(seen[0].half[h], seen[2].half[h]), _mm512_add_epi16(seen[4].half[h], seen[6].half[h]));
        const __m512i diagonals = _mm512_add_epi16(_mm512_add_epi16(seen[1].half[h], seen[3].half[h]), _mm512_add_epi16(seen[5].half[h], seen[7].half[h]));
        sums[h] = laplacian(diagonals, straight, self.half[h]);
        eighth[h] = eighths_of_odd(sums[h], _mm512_test_epi16_mask(diagonals, _mm512_set1_epi16(1)));
    }
    search(t, 2, eighth, node);
    put(in, fast->place[NCA_LAPLACIAN], decode(t, with_signs(node, _mm512_packs_epi16(sums[0], sums[1]))));
}

/* 16 times the states' values, cell by cell in 32 bits. */
HELPER void widen(values own, __m512i *v)
{
    static const int16_t upper[32] = { 0, 0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 32, 0, 33, 0, 34, 0, 35, 0, 36, 0, 37, 0, 38, 0, 39 };
#pragma GCC unroll 4
    for (int16_t n = 0; n < CELLS; n++) {
        const __m512i from = _mm512_add_epi16(_mm512_loadu_si512(upper), _mm512_set1_epi16((int16_t)(8 * n)));
        v[n] = _mm512_srai_epi32(_mm512_maskz_permutex2var_epi16(0xaaaaaaaa, own.half[0], from, own.half[1]), 12);
    }
}

/* All that the network is given. */
static TARGET void prepare(const nca_fast *fast, int8_t *const *cells, const int8_t *const *neighbours, inputs *in)
{
    const tables t = load_tables(fast);
    const bytes own = decode(&t, join(cells));
    widen(unpack(own), in->own);
    perceive(fast, &t, own, neighbours, in);
}

/* 64 hidden units of four cells: sixteen accumulators. */
HELPER void hidden_layer(const nca_fast *fast, uint32_t group, const inputs *in, int32_t (*h)[NCA_HIDDEN_MAX / 4])
{
    const __m128i shift = _mm_cvtsi32_si128(fast->genome.s1);
    const int32_t *b1 = fast->b1_biased + group * NCA_GROUP;
    const __m512i b0 = _mm512_loadu_si512(b1), b16 = _mm512_loadu_si512(b1 + 16), b32 = _mm512_loadu_si512(b1 + 32), b48 = _mm512_loadu_si512(b1 + 48);
    const uint32_t all = (1u << fast->pairs / 2) - 1, beyond = in->beyond & all;
#define DECLARE(n) __m512i a##n##0 = b0, a##n##1 = b16, a##n##2 = b32, a##n##3 = b48;
    DECLARE(0) DECLARE(1) DECLARE(2) DECLARE(3)
#define ROWS(w) const __m512i w0 = _mm512_loadu_si512(w), w1 = _mm512_loadu_si512(w[16]), w2 = _mm512_loadu_si512(w[32]), w3 = _mm512_loadu_si512(w[48]);
#define CELL(n, multiply, x)                              \
    {                                                     \
        const __m512i xx = _mm512_set1_epi32(x);          \
        a##n##0 = multiply(a##n##0, w0, xx);              \
        a##n##1 = multiply(a##n##1, w1, xx);              \
        a##n##2 = multiply(a##n##2, w2, xx);              \
        a##n##3 = multiply(a##n##3, w3, xx);              \
    }
    for (uint32_t rest = all & ~beyond; rest != 0; rest &= rest - 1) {
        const uint32_t i = (uint32_t)__builtin_ctz(rest);
        const int8_t(*w)[4] = fast->w1_quads[group][i];
        const int32_t(*x)[4] = in->narrow[i / 4];
        ROWS(w)
#define NARROW(n) CELL(n, multiply_add_bytes, x[n][i % 4])
        NARROW(0) NARROW(1) NARROW(2) NARROW(3)
    }
    for (uint32_t rest = beyond; rest != 0; rest &= rest - 1) {
        const uint32_t i = (uint32_t)__builtin_ctz(rest);
        const int32_t(*x)[4] = in->wide[i / 4][i % 4 / 2];
        for (uint32_t pair = 0; pair < 2; pair++) {
            const int16_t(*w)[2] = fast->w1[group][2 * i + pair];
            ROWS(w)
#define WIDE(n) CELL(n, multiply_add, x[n][i % 2 * 2 + pair])
            WIDE(0) WIDE(1) WIDE(2) WIDE(3)
        }
    }
#define SHIFT(a, b) _mm512_packs_epi32(_mm512_sra_epi32(a, shift), _mm512_sra_epi32(b, shift))
#define KEEP(n) _mm512_store_si512(h[n] + group * NCA_GROUP / 4, _mm512_packus_epi16(SHIFT(a##n##0, a##n##1), SHIFT(a##n##2, a##n##3)));
    KEEP(0) KEEP(1) KEEP(2) KEEP(3) /* packing clips to 0..255 */
}

/* (o M2 + 2^(S2-1)) >> S2, less the bias of `own`: products of 64 bits, of which the lower 32 bits after the shift are kept. */
HELPER __m512i scale(const nca_fast *fast, __m512i o)
{
    const __m512i m2 = _mm512_loadu_si512(fast->m2), half = _mm512_set1_epi64((1 - 2 * 16 * NCA_BIAS) * ((int64_t)1 << (fast->genome.s2 - 1)));
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(o, m2), half);
    const __m512i odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(o, 32), _mm512_srli_epi64(m2, 32)), half);
    return _mm512_mask_mov_epi32(_mm512_srl_epi64(even, _mm_cvtsi32_si128(fast->genome.s2)), 0xaaaa,
                                 _mm512_sll_epi64(odd, _mm_cvtsi32_si128(32 - fast->genome.s2)));
}

/* compress() of 16 numbers each of four cells; the codes of cell n are the n-th part. */
HELPER __m512i compress(const tables *t, const __m512i *v)
{
    const __m512i parts = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i eighth[2], node[2];
#pragma GCC unroll 2
    for (uint32_t n = 0; n < 2; n++) { /* where a magnitude saturates, at 2^16 - 1, its code is 127 either way */
        const __m512i magnitude = _mm512_packus_epi32(_mm512_abs_epi32(v[2 * n]), _mm512_abs_epi32(v[2 * n + 1]));
        eighth[n] = _mm512_srli_epi16(_mm512_subs_epu16(magnitude, _mm512_set1_epi16(1)), 3);
    }
    search(t, 2, eighth, node);
    const __m512i signs = _mm512_packs_epi16(_mm512_packs_epi32(v[0], v[1]), _mm512_packs_epi32(v[2], v[3]));
    return _mm512_permutexvar_epi32(parts, with_signs(node, signs));
}

/* What training needs of cell `n`: its perception as values and its hidden units, both in the order of the genome. */
static void hand_out(const nca_fast *fast, const inputs *in, const int32_t *hidden, uint32_t n, int16_t *x, uint8_t *h)
{
    for (uint32_t half = 0; half < fast->pairs / 4u; half++) { /* eight channels of a kernel */
        memcpy(x + 8 * half, in->wide[half / 2][half % 2][n], 8 * sizeof *x);
        for (uint32_t c = 0; c < 8; c++) {
            x[8 * half + c] = (int16_t)(x[8 * half + c] - NCA_BIAS);
        }
    }
    for (uint32_t quad = 0; quad < fast->groups * NCA_GROUP / 4u; quad++) { /* packing has left them in this order */
        memcpy(h + 4 * quad, hidden + (quad & ~15u) + 4 * (quad & 3) + (quad >> 2 & 3), 4);
    }
}

TARGET void nca_fast_evaluate_avx512(const nca_fast *fast, uint32_t count, int8_t *const *states, const int8_t *const *heard,
                                     int16_t *x_out, uint8_t *h_out)
{
    const tables t = load_tables(fast);

    for (uint32_t first = 0; first < count; first += CELLS) {
        ALIGNED inputs in;
        ALIGNED int32_t h[CELLS][NCA_HIDDEN_MAX / 4]; /* four bytes each */
        __m512i v[CELLS];
        int8_t *cell[CELLS];
        const int8_t *around[CELLS];
        const uint32_t cells = count - first < CELLS ? count - first : CELLS;

        for (uint32_t n = 0; n < CELLS; n++) { /* where fewer are left, the last one is computed again */
            cell[n] = states[first + (n < cells ? n : cells - 1)];
            around[n] = heard[first + (n < cells ? n : cells - 1)];
        }
        prepare(fast, cell, around, &in);
        for (uint32_t group = 0; group < fast->groups; group++) {
            hidden_layer(fast, group, &in, h);
        }
        for (uint32_t n = 0; n < cells && x_out != NULL; n++) {
            hand_out(fast, &in, h[n], n, x_out + (uint64_t)(first + n) * fast->pairs * 2, h_out + (uint64_t)(first + n) * fast->groups * NCA_GROUP);
        }
        __m512i even0 = _mm512_loadu_si512(fast->b2), even1 = even0, even2 = even0, even3 = even0;
        __m512i odd0 = _mm512_setzero_si512(), odd1 = odd0, odd2 = odd0, odd3 = odd0;
        for (uint32_t j = 0; j < fast->groups * NCA_GROUP / 4u; j += 2) {
            const __m512i w = _mm512_loadu_si512(fast->w2_quads[j]), ww = _mm512_loadu_si512(fast->w2_quads[j + 1]);
#define SUM(n)                                                                            \
    even##n = multiply_add_bytes(even##n, w, _mm512_set1_epi32(h[n][j]));             \
    odd##n = multiply_add_bytes(odd##n, ww, _mm512_set1_epi32(h[n][j + 1]));
            SUM(0) SUM(1) SUM(2) SUM(3)
        }
#define ADD(n) v[n] = _mm512_add_epi32(in.own[n], scale(fast, _mm512_add_epi32(even##n, odd##n)));
        ADD(0) ADD(1) ADD(2) ADD(3)
        const __m512i codes = compress(&t, v);
        _mm_storeu_si128((__m128i *)cell[0], _mm512_castsi512_si128(codes));
        _mm_storeu_si128((__m128i *)cell[1], _mm512_extracti32x4_epi32(codes, 1));
        _mm_storeu_si128((__m128i *)cell[2], _mm512_extracti32x4_epi32(codes, 2));
        _mm_storeu_si128((__m128i *)cell[3], _mm512_extracti32x4_epi32(codes, 3));
    }
}
#else
typedef int nothing_for_this_processor;
#endif
