/* The body of layers.h, for vectors of LANES numbers. Who includes it has defined TARGET, LANES, LAYERS (the table's name), NAME, and the
 * sizes of the tiles of sums that stay in registers: rows and vectors for products with 128, 48 and 16 columns, and for outer products. */
#include <math.h>
#include <string.h>

#include "layers.h"

#define GOLDEN 0x9E3779B9u

#if LANES > 1
typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));
typedef float loose __attribute__((vector_size(4 * LANES), aligned(4), may_alias)); /* anywhere in memory */
#define LOAD(p) (*(const loose *)(p))
#define STORE(p, v) (*(loose *)(p) = (v))
#define WHERE(condition, v) ((vec)((ivec)(v) & (condition)))
#define UNROLL _Pragma("GCC unroll 16")
#define INLINE TARGET static inline __attribute__((always_inline))
#else
typedef float vec;
#define LOAD(p) (*(p))
#define STORE(p, v) (*(p) = (v))
#define WHERE(condition, v) ((condition) ? (v) : 0.0f)
#define UNROLL
#define INLINE static inline
#endif

/* TALL rows of start + a b, WIDE vectors of them: a [][depth], b [depth][columns], c [][columns]. */
#define PRODUCT(NAME_, TALL, WIDE)                                                                                                     \
    INLINE void NAME_(uint32_t depth, uint32_t columns, const float *a, const float *b, const float *start, int clip, float *c)        \
    {                                                                                                                                  \
        vec sum[TALL][WIDE];                                                                                                           \
        UNROLL for (uint32_t r = 0; r < TALL; r++) {                                                                                   \
            UNROLL for (uint32_t v = 0; v < WIDE; v++) {                                                                               \
                sum[r][v] = LOAD(start + v * LANES);                                                                                   \
            }                                                                                                                          \
        }                                                                                                                              \
        for (uint32_t k = 0; k < depth; k++) {                                                                                         \
            vec row[WIDE];                                                                                                             \
            UNROLL for (uint32_t v = 0; v < WIDE; v++) {                                                                               \
                row[v] = LOAD(b + k * columns + v * LANES);                                                                            \
            }                                                                                                                          \
            UNROLL for (uint32_t r = 0; r < TALL; r++) {                                                                               \
                UNROLL for (uint32_t v = 0; v < WIDE; v++) {                                                                           \
                    sum[r][v] += row[v] * a[r * depth + k];                                                                            \
                }                                                                                                                      \
            }                                                                                                                          \
        }                                                                                                                              \
        UNROLL for (uint32_t r = 0; r < TALL; r++) {                                                                                   \
            UNROLL for (uint32_t v = 0; v < WIDE; v++) {                                                                               \
                STORE(c + r * columns + v * LANES, clip ? WHERE(sum[r][v] > 0, sum[r][v]) : sum[r][v]);                                \
            }                                                                                                                          \
        }                                                                                                                              \
    }

/* Adds the outer products of `rows` pairs of rows to TALL rows and WIDE vectors of c: a [][height], b [][HIDDEN], c [height][HIDDEN]. */
#define OUTER(NAME_, TALL, WIDE)                                                                                                       \
    INLINE void NAME_(uint32_t rows, uint32_t height, const float *a, const float *b, float *c)                                        \
    {                                                                                                                                  \
        vec sum[TALL][WIDE];                                                                                                           \
        UNROLL for (uint32_t i = 0; i < TALL; i++) {                                                                                   \
            UNROLL for (uint32_t v = 0; v < WIDE; v++) {                                                                               \
                sum[i][v] = LOAD(c + i * HIDDEN + v * LANES);                                                                          \
            }                                                                                                                          \
        }                                                                                                                              \
        for (const float *end = a + (size_t)rows * height; a != end; a += height, b += HIDDEN) {                                       \
            vec row[WIDE];                                                                                                             \
            UNROLL for (uint32_t v = 0; v < WIDE; v++) {                                                                               \
                row[v] = LOAD(b + v * LANES);                                                                                          \
            }                                                                                                                          \
            UNROLL for (uint32_t i = 0; i < TALL; i++) {                                                                               \
                UNROLL for (uint32_t v = 0; v < WIDE; v++) {                                                                           \
                    sum[i][v] += row[v] * a[i];                                                                                        \
                }                                                                                                                      \
            }                                                                                                                          \
        }                                                                                                                              \
        UNROLL for (uint32_t i = 0; i < TALL; i++) {                                                                                   \
            UNROLL for (uint32_t v = 0; v < WIDE; v++) {                                                                               \
                STORE(c + i * HIDDEN + v * LANES, sum[i][v]);                                                                          \
            }                                                                                                                          \
        }                                                                                                                              \
    }

PRODUCT(product_128, TALL_128, WIDE_128)
PRODUCT(product_48, TALL_48, WIDE_48)
PRODUCT(product_16, TALL_16, WIDE_16)
OUTER(outer_48, TALL_48_OUTER, WIDE_48_OUTER)
OUTER(outer_16, TALL_16_OUTER, WIDE_16_OUTER)

static const float nothing[HIDDEN] NCA_LINES; /* zeros */

/* The rows of tiles go beyond the last row by less than SPARE; tiles of columns outside, so that their part of b stays in the cache. */
#define TILES(product, TALL, WIDE, DEPTH, COLUMNS, a, b, start, clip, c)                                                  \
    for (uint32_t j = 0; j < COLUMNS; j += (WIDE) * LANES) {                                                              \
        for (uint32_t r = 0; r < rows; r += TALL) {                                                                       \
            product(DEPTH, COLUMNS, (a) + r * DEPTH, (b) + j, (start) + j, clip, (c) + r * COLUMNS + j);                  \
        }                                                                                                                 \
    }

TARGET static void draw(uint32_t count, uint32_t prefix, const uint32_t *salt, const int32_t *limit, uint8_t *fires)
{
    for (uint32_t n = 0; n < count; n++) {
        uint32_t k = (prefix ^ salt[n]) + GOLDEN;
        k = (k ^ (k >> 16)) * 0x85EBCA6Bu;
        k = (k ^ (k >> 13)) * 0xC2B2AE35u;
        k ^= k >> 16;
        fires[n] = (int32_t)(k >> 2) < limit[n];
    }
}

TARGET static void around(uint32_t count, uint32_t width, const float *alpha, float *across, float *largest)
{
    for (uint32_t n = 0; n < count; n++) {
        const float both = alpha[(int64_t)n - 1] > alpha[n + 1] ? alpha[(int64_t)n - 1] : alpha[n + 1];
        largest[n] = both;
        across[n] = both > alpha[n] ? both : alpha[n];
    }
    for (uint32_t n = width; n + width < count; n++) {
        const float both = across[n - width] > across[n + width] ? across[n - width] : across[n + width];
        largest[n] = both > largest[n] ? both : largest[n];
    }
}

enum { N, NE, E, SE, S, SW, W, NW };

/* Source: docs/spec.md section 3, in real numbers. */
INLINE void perceive(uint32_t rows, const nca_seen *seen, const nca_state *states, float (*x)[INPUTS])
{
    for (uint32_t r = 0; r < rows; r++) {
        const int32_t *s = seen[r];
        for (uint32_t c = 0; c < CHANNELS; c += LANES) {
            const vec falling = LOAD(states[s[SE]] + c) - LOAD(states[s[NW]] + c);
            const vec rising = LOAD(states[s[NE]] + c) - LOAD(states[s[SW]] + c);
            const vec across = LOAD(states[s[E]] + c) - LOAD(states[s[W]] + c);
            const vec down = LOAD(states[s[S]] + c) - LOAD(states[s[N]] + c);
            STORE(x[r] + c, LOAD(states[s[SELF]] + c));
            STORE(x[r] + CHANNELS + c, (falling + rising + 2 * across) * 0.125f);
            STORE(x[r] + 2 * CHANNELS + c, (falling - rising + 2 * down) * 0.125f);
        }
    }
}

/* The same with turned axes. */
INLINE void perceive_turned(const nca_weights *w, uint32_t rows, const nca_seen *seen, const nca_state *states, float (*x)[INPUTS])
{
    for (uint32_t r = 0; r < rows; r++) {
        const int32_t *s = seen[r];
        for (uint32_t c = 0; c < CHANNELS; c += LANES) {
            vec sobel[2] = { LOAD(nothing), LOAD(nothing) };
            for (uint32_t d = 0; d < SELF; d++) {
                const vec heard = LOAD(states[s[d]] + c);
                sobel[0] += heard * w->taps[0][d];
                sobel[1] += heard * w->taps[1][d];
            }
            STORE(x[r] + c, LOAD(states[s[SELF]] + c));
            STORE(x[r] + CHANNELS + c, sobel[0]);
            STORE(x[r] + 2 * CHANNELS + c, sobel[1]);
        }
    }
}

/* The transpose of `perceive_turned`, */
INLINE void spread_turned(const nca_weights *w, uint32_t rows, const nca_seen *seen, const nca_state *g_new, const float (*g_x)[INPUTS],
                          nca_state *g)
{
    for (uint32_t r = 0; r < rows; r++) {
        const int32_t *s = seen[r];
        for (uint32_t c = 0; c < CHANNELS; c += LANES) {
            const vec x = LOAD(g_x[r] + CHANNELS + c), y = LOAD(g_x[r] + 2 * CHANNELS + c);
            STORE(g[s[SELF]] + c, LOAD(g[s[SELF]] + c) + LOAD(g_new[r] + c) + LOAD(g_x[r] + c));
            for (uint32_t d = 0; d < SELF; d++) {
                STORE(g[s[d]] + c, LOAD(g[s[d]] + c) + x * w->taps[0][d] + y * w->taps[1][d]);
            }
        }
    }
}

/* and that of `perceive`. */
INLINE void spread(uint32_t rows, const nca_seen *seen, const nca_state *g_new, const float (*g_x)[INPUTS], nca_state *g)
{
    for (uint32_t r = 0; r < rows; r++) {
        const int32_t *s = seen[r];
        for (uint32_t c = 0; c < CHANNELS; c += LANES) {
            const vec x = LOAD(g_x[r] + CHANNELS + c) * 0.125f, y = LOAD(g_x[r] + 2 * CHANNELS + c) * 0.125f;
#define ADD(k, v) STORE(g[s[k]] + c, LOAD(g[s[k]] + c) + (v))
            ADD(SELF, LOAD(g_new[r] + c) + LOAD(g_x[r] + c));
            ADD(N, -2 * y);
            ADD(NE, x - y);
            ADD(E, 2 * x);
            ADD(SE, x + y);
            ADD(S, 2 * y);
            ADD(SW, y - x);
            ADD(W, -2 * x);
            ADD(NW, -x - y);
        }
    }
}

TARGET static void forward(const nca_weights *w, uint32_t rows, const nca_seen *seen, const nca_state *states, float (*x)[INPUTS],
                           nca_state *after)
{
    float h[CHUNK + SPARE][HIDDEN] NCA_LINES;

    if (w->turned) {
        perceive_turned(w, rows, seen, states, x);
    } else {
        perceive(rows, seen, states, x);
    }
    TILES(product_128, TALL_128, WIDE_128, INPUTS, HIDDEN, x[0], w->w1[0], w->b1, 1, h[0])
    TILES(product_16, TALL_16, WIDE_16, HIDDEN, CHANNELS, h[0], w->w2[0], w->b2, 0, after[0])
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t c = 0; c < CHANNELS; c += LANES) {
            const vec v = LOAD(x[r] + c) + LOAD(after[r] + c);
            const vec inside = WHERE((v > -16.0f) & (v < 16.0f), v);
            STORE(after[r] + c, inside + WHERE(v >= 16.0f, inside + 16.0f) - WHERE(v <= -16.0f, inside + 16.0f));
        }
    }
}

INLINE void backward_of(const nca_weights *w, uint32_t rows, const float (*x)[INPUTS], const float (*h)[HIDDEN], float ceiling,
                        const nca_state *g_new, const nca_seen *seen, nca_state *g, nca_gradient *sum)
{
    float g_h[CHUNK + SPARE][HIDDEN] NCA_LINES, g_x[CHUNK + SPARE][INPUTS] NCA_LINES;

    TILES(product_128, TALL_128, WIDE_128, CHANNELS, HIDDEN, g_new[0], w->w2_across[0], nothing, 0, g_h[0])
    for (uint32_t j = 0; j < HIDDEN; j += 8 * LANES) {
        vec total[8];
        UNROLL for (uint32_t v = 0; v < 8; v++) {
            total[v] = LOAD(sum->b1 + j + v * LANES);
        }
        for (uint32_t r = 0; r < rows; r++) {
            UNROLL for (uint32_t v = 0; v < 8; v++) {
                const vec unit = LOAD(h[r] + j + v * LANES);
                const vec open = WHERE((unit > 0) & (unit < ceiling), LOAD(g_h[r] + j + v * LANES));
                STORE(g_h[r] + j + v * LANES, open);
                total[v] += open;
            }
        }
        UNROLL for (uint32_t v = 0; v < 8; v++) {
            STORE(sum->b1 + j + v * LANES, total[v]);
        }
    }
    TILES(product_48, TALL_48, WIDE_48, HIDDEN, INPUTS, g_h[0], w->w1_across[0], nothing, 0, g_x[0])
    for (uint32_t j = 0; j < HIDDEN; j += WIDE_48_OUTER * LANES) {
        for (uint32_t i = 0; i < INPUTS; i += TALL_48_OUTER) {
            outer_48(rows, INPUTS, x[0] + i, g_h[0] + j, sum->w1[i] + j);
        }
    }
    for (uint32_t j = 0; j < HIDDEN; j += WIDE_16_OUTER * LANES) {
        for (uint32_t i = 0; i < CHANNELS; i += TALL_16_OUTER) {
            outer_16(rows, CHANNELS, g_new[0] + i, h[0] + j, sum->w2_across[i] + j);
        }
    }
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t c = 0; c < CHANNELS; c++) {
            sum->b2[c] += g_new[r][c];
        }
    }
    if (w->turned) {
        spread_turned(w, rows, seen, g_new, (const float(*)[INPUTS])g_x, g);
    } else {
        spread(rows, seen, g_new, (const float(*)[INPUTS])g_x, g);
    }
}

TARGET static void backward(const nca_weights *w, uint32_t rows, const float (*x)[INPUTS], const nca_state *g_new, const nca_seen *seen,
                            nca_state *g, nca_gradient *sum)
{
    float h[CHUNK + SPARE][HIDDEN] NCA_LINES; /* computed again sooner than read from memory */

    TILES(product_128, TALL_128, WIDE_128, INPUTS, HIDDEN, x[0], w->w1[0], w->b1, 1, h[0])
    backward_of(w, rows, x, (const float(*)[HIDDEN])h, INFINITY, g_new, seen, g, sum);
}

TARGET static void backward_integer(const nca_weights *w, uint32_t rows, const int16_t (*x)[INPUTS], const uint8_t (*h)[HIDDEN],
                                    const nca_state *g_new, const nca_seen *seen, nca_state *g, nca_gradient *sum)
{
    float real_x[CHUNK][INPUTS] NCA_LINES, real_h[CHUNK][HIDDEN] NCA_LINES;

    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t i = 0; i < INPUTS; i++) {
            real_x[r][i] = x[r][i];
        }
        for (uint32_t j = 0; j < HIDDEN; j++) {
            real_h[r][j] = h[r][j];
        }
    }
    backward_of(w, rows, (const float(*)[INPUTS])real_x, (const float(*)[HIDDEN])real_h, 255.0f, g_new, seen, g, sum);
}

TARGET static float yardstick(uint64_t rounds)
{
    vec sum[12];
    float total = 0;

    memset(sum, 0, sizeof sum);
    for (uint64_t n = 0; n < rounds * (YARDSTICK / (12 * LANES)); n++) {
        UNROLL for (uint32_t v = 0; v < 12; v++) {
            sum[v] = sum[v] * 0.75f + (float)v;
        }
    }
    for (uint32_t v = 0; v < 12; v++) {
        total += ((const float *)&sum[v])[0];
    }
    return total;
}

const nca_layers LAYERS = { NAME, draw, around, forward, backward, backward_integer, yardstick };
