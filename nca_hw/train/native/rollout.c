#include "rollout.h"

#include <stdlib.h>
#include <string.h>

#include "grid.h"
#include "pool.h"

#define ALIVE 0.1f /* of the float rule, */
#define ALPHA 3    /* and its channel */

static const nca_layers *choose(int most)
{
#if NCA_X86
    const int best = nca_processor(most);
    return best == NCA_AVX512 ? &nca_layers_avx512 : best == NCA_AVX2 ? &nca_layers_avx2 : &nca_layers_portable;
#else
    (void)most;
    return &nca_layers_portable;
#endif
}

void *nca_rollout_open(uint32_t batch, uint32_t height, uint32_t width, uint32_t threads, int most)
{
    static const int8_t down[8] = { -1, -1, 0, 1, 1, 1, 0, -1 }, right[8] = { 0, 1, 1, 1, 0, -1, -1, -1 };
    nca_trainer *t = calloc(1, sizeof *t);

    if (t == NULL) {
        return NULL;
    }
    t->batch = batch, t->height = height, t->width = width, t->stride = width + 2;
    t->cells = (height + 2) * t->stride;
    t->most = most;
    t->layers = choose(most);
    t->place = calloc((size_t)height * width, sizeof *t->place);
    t->salt = calloc(t->cells, sizeof *t->salt);
    t->grids = calloc(batch, sizeof *t->grids);
    int opened = t->place != NULL && t->salt != NULL && t->grids != NULL && nca_grow(&t->weights, sizeof(nca_weights), 0);
    for (uint32_t g = 0; opened && g < batch; g++) {
        opened = nca_grid_open(t, &t->grids[g]);
    }
    if (!opened) {
        nca_rollout_close(t);
        return NULL;
    }
    ((nca_weights *)t->weights.data)->turned = 0;
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            const uint32_t at = (y + 1) * t->stride + x + 1;
            t->place[y * width + x] = at;
            t->salt[at] = nca_mix(y * width + x + NCA_GOLDEN);
        }
    }
    for (uint32_t k = 0; k < 8; k++) {
        t->offset[k] = down[k] * (int32_t)t->stride + right[k];
        t->hears[k] = nca_mix(k + NCA_GOLDEN);
    }
    t->threshold = ALIVE;
    t->alpha = ALPHA;
    t->pool = threads > 1 ? nca_pool_open(threads) : NULL;
    return t;
}

void nca_rollout_close(void *what)
{
    nca_trainer *t = what;

    if (t == NULL) {
        return;
    }
    nca_pool_close(t->pool);
    for (uint32_t g = 0; t->grids != NULL && g < t->batch; g++) {
        nca_grid_close(&t->grids[g]);
    }
    free(t->weights.memory), free(t->grids), free(t->place), free(t->salt), free(t);
}

const char *nca_rollout_instructions(const void *what)
{
    const nca_trainer *t = what;
    return t->layers->name;
}

void nca_rollout_turn(void *what, const float *taps)
{
    nca_weights *w = (nca_weights *)((nca_trainer *)what)->weights.data;

    memcpy(w->taps, taps, sizeof w->taps);
    w->turned = 1;
}

void nca_rollout_weights(void *what, const float *w1, const float *b1, const float *w2, const float *b2)
{
    nca_weights *w = (nca_weights *)((nca_trainer *)what)->weights.data;

    memcpy(w->w1, w1, sizeof w->w1);
    memcpy(w->b1, b1, sizeof w->b1);
    memcpy(w->w2, w2, sizeof w->w2);
    memcpy(w->b2, b2, sizeof w->b2);
    for (uint32_t j = 0; j < HIDDEN; j++) {
        for (uint32_t i = 0; i < INPUTS; i++) {
            w->w1_across[j][i] = w->w1[i][j];
        }
        for (uint32_t c = 0; c < CHANNELS; c++) {
            w->w2_across[c][j] = w->w2[j][c];
        }
    }
}

void nca_rollout_integer(void *what, const nca_genome *genome, const float *unit)
{
    nca_trainer *t = what;

    t->integer = genome != NULL;
    t->threshold = ALIVE;
    t->alpha = ALPHA;
    if (genome != NULL) {
        nca_fast_prepare(&t->fast, genome, t->most);
        memcpy(t->unit, unit, sizeof t->unit);
        t->threshold = genome->alive == 0 ? -1000.0f : (float)genome->alive - 0.5f;
        t->alpha = genome->alpha;
    }
}

/* Whoever is free takes the next grid. */
static uint32_t take(nca_trainer *t)
{
#if defined(__GNUC__)
    return __sync_fetch_and_add(&t->next, 1);
#else
    return t->next++; /* pool.c has one thread then */
#endif
}

static void forward_some(void *what, uint32_t slice, uint32_t slices)
{
    nca_trainer *t = what;

    (void)slice, (void)slices;
    for (uint32_t g = take(t); g < t->batch; g = take(t)) {
        nca_grid_forward(t, g);
    }
}

static void backward_some(void *what, uint32_t slice, uint32_t slices)
{
    nca_trainer *t = what;

    (void)slice, (void)slices;
    for (uint32_t g = take(t); g < t->batch; g = take(t)) {
        nca_grid_backward(t, g);
    }
}

int nca_rollout_forward(void *what, const nca_rollout *rollout, const float *start, float *states)
{
    nca_trainer *t = what;
    int failed = 0;

    t->rollout = rollout;
    t->inboxes = rollout->lost != NULL || rollout->deaf != NULL;
    t->steps = rollout->steps;
    t->marks = rollout->marks;
    t->start = start;
    t->states = states;
    t->next = 0;
    for (uint32_t g = 0; g < t->batch; g++) {
        nca_grid *k = &t->grids[g];
        if (k->steps_room < t->steps + 1 || k->marks_room < t->marks) {
            free(k->first), free(k->marked);
            k->first = calloc(t->steps + 1, sizeof *k->first);
            k->marked = calloc((size_t)t->marks * t->cells, sizeof *k->marked);
            if (k->first == NULL || k->marked == NULL) {
                k->steps_room = k->marks_room = 0;
                return 1;
            }
            k->steps_room = t->steps + 1;
            k->marks_room = t->marks;
        }
        k->failed = 0;
    }
    nca_pool_run(t->pool, forward_some, t);
    for (uint32_t g = 0; g < t->batch; g++) {
        failed |= t->grids[g].failed;
    }
    return failed;
}

void nca_rollout_backward(void *what, const float *g_states, float *g_w1, float *g_b1, float *g_w2, float *g_b2, float *g_start)
{
    nca_trainer *t = what;
    const float x_unit = t->integer ? 1 / NCA_STATE_SCALE : 1;

    t->g_states = g_states;
    t->g_start = g_start;
    t->next = 0;
    nca_pool_run(t->pool, backward_some, t);
    memset(g_w1, 0, sizeof(float) * INPUTS * HIDDEN);
    memset(g_b1, 0, sizeof(float) * HIDDEN);
    memset(g_w2, 0, sizeof(float) * HIDDEN * CHANNELS);
    memset(g_b2, 0, sizeof(float) * CHANNELS);
    for (uint32_t g = 0; g < t->batch; g++) {
        const nca_gradient *sum = (const nca_gradient *)t->grids[g].sum.data;
        for (uint32_t j = 0; j < HIDDEN; j++) {
            for (uint32_t i = 0; i < INPUTS; i++) {
                g_w1[i * HIDDEN + j] += sum->w1[i][j] * x_unit;
            }
            g_b1[j] += sum->b1[j];
            for (uint32_t c = 0; c < CHANNELS; c++) {
                g_w2[j * CHANNELS + c] += sum->w2_across[c][j] * (t->integer ? t->unit[j] : 1);
            }
        }
        for (uint32_t c = 0; c < CHANNELS; c++) {
            g_b2[c] += sum->b2[c];
        }
    }
}

uint64_t nca_rollout_updates(const void *what)
{
    const nca_trainer *t = what;
    uint64_t updates = 0;

    for (uint32_t g = 0; g < t->batch; g++) {
        updates += t->grids[g].updates;
    }
    return updates;
}

uint64_t nca_rollout_perceptions(const void *what, uint64_t every, uint64_t room, float *x)
{
    const nca_trainer *t = what;
    uint64_t written = 0, number = 0;

    for (uint32_t g = 0; g < t->batch; g++) {
        const nca_grid *k = &t->grids[g];
        for (uint32_t n = 0; n < k->updates; n++, number++) {
            if (number % every == 0 && written < room) {
                for (uint32_t i = 0; i < INPUTS; i++) {
                    const size_t at = (size_t)n * INPUTS + i;
                    x[written * INPUTS + i] = t->integer ? ((const int16_t *)k->x.data)[at] / NCA_STATE_SCALE : ((const float *)k->x.data)[at];
                }
                written++;
            }
        }
    }
    return written;
}

static void yardstick_some(void *what, uint32_t slice, uint32_t slices)
{
    nca_trainer *t = what;

    t->grids[slice].yardstick = t->layers->yardstick(t->rounds); /* kept, so that it is computed */
    if (slice == 0) {
        t->next = slices;
    }
}

uint64_t nca_rollout_yardstick(void *what, uint64_t rounds)
{
    nca_trainer *t = what;

    t->rounds = rounds;
    nca_pool_run(t->pool, yardstick_some, t);
    return rounds * YARDSTICK * t->next;
}
