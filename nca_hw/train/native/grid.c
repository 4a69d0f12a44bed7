#include "grid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define UPDATE_SCALE 4096.0f  /* compress() takes 1/4096 */
#define REACH 65536.0f        /* at which every code is at its end */
#define CERTAIN 1073741824.0f /* a probability of 1, in 30 bits */
#define LINE 64u              /* bytes of a cache line */

static uint32_t chain(uint32_t h, uint32_t counter)
{
    return nca_mix((h ^ nca_mix(counter + NCA_GOLDEN)) + NCA_GOLDEN);
}

int nca_grow(nca_block *b, size_t size, size_t used)
{
    if (size <= b->size) {
        return 1;
    }
    void *memory = malloc(size + LINE);
    if (memory == NULL) {
        return 0;
    }
    char *data = (char *)memory + (LINE - (uintptr_t)memory % LINE) % LINE;
    if (used != 0) {
        memcpy(data, b->data, used);
    }
    free(b->memory);
    *b = (nca_block){ memory, data, size };
    return 1;
}

/* Sizes in bytes of an update's perception, hidden units and state. */
static size_t x_size(int integer)
{
    return INPUTS * (integer ? sizeof(int16_t) : sizeof(float));
}

static size_t h_size(int integer)
{
    return integer ? HIDDEN : 0; /* the float rule's are computed again */
}

static size_t state_size(int integer)
{
    return CHANNELS * (integer ? sizeof(int8_t) : sizeof(float));
}

/* Room for `more` updates, and SPARE rows beyond them that may be written; `states` of those there are stay. */
static int reserve(const nca_trainer *t, nca_grid *k, uint32_t more, size_t states)
{
    const size_t used = k->updates, others = 1 + (size_t)t->height * t->width;
    size_t room = used + more;

    if (k->room_integer == t->integer && room <= k->room) {
        return 1;
    }
    room = room + room / 2 + CHUNK;
    const size_t rows = room + SPARE;
    if (!nca_grow(&k->seen, rows * sizeof(nca_seen), used * sizeof(nca_seen))
        || !nca_grow(&k->x, rows * x_size(t->integer), used * x_size(t->integer))
        || !nca_grow(&k->h, rows * h_size(t->integer), used * h_size(t->integer))
        || !nca_grow(&k->states, (rows + others) * state_size(t->integer), states * state_size(t->integer))
        || !nca_grow(&k->g, (rows + others) * sizeof(nca_state), 0)) {
        return 0;
    }
    k->room = (uint32_t)room;
    k->room_integer = t->integer;
    return 1;
}

void nca_grid_close(nca_grid *k)
{
    free(k->now), free(k->marked), free(k->inbox), free(k->alpha), free(k->around), free(k->across), free(k->limit), free(k->fires);
    free(k->candidates), free(k->gone), free(k->alive), free(k->first);
    free(k->seen.memory), free(k->x.memory), free(k->h.memory), free(k->states.memory), free(k->g.memory), free(k->sum.memory);
}

/* The maps of alpha have a spare row and a cell on both sides, so that a shift never leaves them. */
int nca_grid_open(const nca_trainer *t, nca_grid *k)
{
    const size_t n = t->cells;

    k->now = calloc(n, sizeof *k->now);
    k->inbox = calloc(n, sizeof *k->inbox);
    k->alpha = calloc(n + 2, sizeof *k->alpha);
    k->around = calloc(n, sizeof *k->around);
    k->across = calloc(n, sizeof *k->across);
    k->limit = calloc(n, sizeof *k->limit);
    k->fires = calloc(n, sizeof *k->fires);
    k->candidates = calloc(n, sizeof *k->candidates);
    k->gone = calloc(n, sizeof *k->gone);
    k->alive = calloc(n, sizeof *k->alive);
    k->room_integer = -1;
    return k->now && k->inbox && k->alpha && k->around && k->across && k->limit && k->fires && k->candidates && k->gone && k->alive
        && nca_grow(&k->sum, sizeof(nca_gradient), 0);
}

/* The code of a real value, rounded to 1/4096 first. */
static int8_t code_of(const nca_fast *fast, float real)
{
    const float v = rintf(real * UPDATE_SCALE);
    const int32_t magnitude = (int32_t)(fabsf(v) < REACH ? fabsf(v) : REACH), eighth = magnitude == 0 ? 0 : (magnitude - 1) >> 3;
    const int8_t code = fast->code[eighth > NCA_EIGHTHS ? NCA_EIGHTHS : eighth];
    return v < 0 ? (int8_t)-code : code;
}

static void begin(const nca_trainer *t, nca_grid *k, uint32_t g)
{
    const nca_rollout *r = t->rollout;
    const uint32_t count = t->height * t->width;
    const float *start = t->start + (size_t)g * count * CHANNELS, *wakes = r->wakes + (size_t)g * count;

    memset(k->states.data, 0, state_size(t->integer));
    if (t->integer) {
        int8_t *codes = (int8_t *)k->states.data + CHANNELS;
        for (uint32_t n = 0; n < count * CHANNELS; n++) {
            codes[n] = code_of(&t->fast, start[n]);
        }
    } else {
        memcpy(k->states.data + sizeof(nca_state), start, count * sizeof(nca_state));
    }
    for (uint32_t n = 0; n < count; n++) {
        const uint32_t at = t->place[n];
        const size_t alpha = (size_t)(1 + n) * CHANNELS + t->alpha;
        k->now[at] = (int32_t)(1 + n);
        k->limit[at] = (int32_t)(wakes[n] * CERTAIN);
        k->alpha[1 + at] = t->integer ? ((int8_t *)k->states.data)[alpha] : ((float *)k->states.data)[alpha];
    }
    for (uint32_t n = 0; t->inboxes && n < count; n++) {
        const int deaf = r->deaf != NULL && r->deaf[(size_t)g * count + n];
        for (uint32_t d = 0; d < 8; d++) {
            k->inbox[t->place[n]][d] = deaf ? 0 : k->now[(int32_t)t->place[n] + t->offset[d]];
        }
    }
}

static float alpha_of(const nca_trainer *t, const nca_grid *k, int32_t version)
{
    const size_t n = (size_t)version * CHANNELS + t->alpha;
    return t->integer ? ((const int8_t *)k->states.data)[n] : ((const float *)k->states.data)[n];
}

/* With inboxes, what a waking cell has heard of its neighbours' alpha. */
static void around_heard(const nca_trainer *t, nca_grid *k)
{
    for (uint32_t n = 0; n < t->cells; n++) {
        if (k->fires[n]) {
            float largest = alpha_of(t, k, k->inbox[n][0]);
            for (uint32_t d = 1; d < 8; d++) {
                const float alpha = alpha_of(t, k, k->inbox[n][d]);
                largest = alpha > largest ? alpha : largest;
            }
            k->around[n] = largest;
        }
    }
}

/* Computes the updates of at most CHUNK cells behind the updates there are. */
static void compute(const nca_trainer *t, nca_grid *k, uint32_t rows, const nca_seen *seen)
{
    const size_t first = k->updates, own = 1 + (size_t)t->height * t->width + first;

    if (!t->integer) {
        t->layers->forward((const nca_weights *)t->weights.data, rows, seen, (const nca_state *)k->states.data, (float(*)[INPUTS])k->x.data + first,
                           (nca_state *)k->states.data + own);
        return;
    }
    int8_t(*codes)[CHANNELS] = (int8_t(*)[CHANNELS])k->states.data;
    int8_t heard[CHUNK][8][CHANNELS], *states[CHUNK];
    const int8_t *others[CHUNK];
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t d = 0; d < 8; d++) {
            memcpy(heard[r][d], codes[seen[r][d]], CHANNELS);
        }
        memcpy(codes[own + r], codes[seen[r][SELF]], CHANNELS);
        states[r] = codes[own + r];
        others[r] = heard[r][0];
    }
    int16_t *x = (int16_t *)k->x.data + first * INPUTS;
    nca_fast_evaluate(&t->fast, rows, states, others, x, (uint8_t *)k->h.data + first * HIDDEN);
    for (uint32_t kernel = 1; kernel < KERNELS; kernel++) {
        if (t->fast.sign[kernel] < 0) { /* as the weights see it again */
            for (uint32_t r = 0; r < rows; r++) {
                int16_t *mirrored = x + r * INPUTS + kernel * CHANNELS;
                for (uint32_t c = 0; c < CHANNELS; c++) {
                    mirrored[c] = (int16_t)-mirrored[c];
                }
            }
        }
    }
}

static void move(char *data, size_t size, size_t to, size_t from)
{
    memcpy(data + to * size, data + from * size, size);
}

/* One step of one grid; everybody sees what was before it. */
static int step(const nca_trainer *t, nca_grid *k, uint32_t g, uint32_t number)
{
    const int32_t lost = t->rollout->lost != NULL ? (int32_t)(t->rollout->lost[g] * CERTAIN) : 0;
    uint32_t count = 0, gone = 0, alive = 0;
    const size_t others = 1 + (size_t)t->height * t->width;
    const uint32_t before = k->updates;

    t->layers->draw(t->cells, chain(chain(nca_mix(t->rollout->seed + NCA_GOLDEN * NCA_WAKES), g), number), t->salt, k->limit, k->fires);
    if (!t->inboxes) {
        t->layers->around(t->cells, t->stride, k->alpha + 1, k->across, k->around);
    } else {
        around_heard(t, k);
    }
    for (uint32_t n = t->stride; n < t->cells - t->stride; n++) { /* without a branch: who wakes is a toss of a coin */
        const uint32_t fires = k->fires[n], lives = (k->around[n] > t->threshold) | (k->alpha[1 + n] > t->threshold);
        k->candidates[count] = n;
        count += fires & lives;
        k->gone[gone] = n;
        gone += fires & !lives;
    }
    if (!reserve(t, k, count, others + k->updates)) {
        return 0;
    }
    for (uint32_t first = 0; first < count; first += CHUNK) {
        const uint32_t rows = count - first < CHUNK ? count - first : CHUNK;
        nca_seen *seen = (nca_seen *)k->seen.data + k->updates;
        for (uint32_t r = 0; r < rows; r++) {
            const uint32_t at = k->candidates[first + r];
            for (uint32_t d = 0; d < 8; d++) {
                seen[r][d] = t->inboxes ? k->inbox[at][d] : k->now[(int32_t)at + t->offset[d]];
            }
            seen[r][SELF] = k->now[at];
        }
        compute(t, k, rows, (const nca_seen *)seen);
        const size_t base = k->updates;
        size_t to = base;
        for (uint32_t r = 0; r < rows; r++) {
            const uint32_t at = k->candidates[first + r];
            if (!(k->around[at] > t->threshold || alpha_of(t, k, (int32_t)(others + base + r)) > t->threshold)) {
                k->gone[gone++] = at;
                continue;
            }
            if (to != base + r) { /* the update before it died, and passes no gradient on */
                move(k->seen.data, sizeof(nca_seen), to, base + r);
                move(k->x.data, x_size(t->integer), to, base + r);
                move(k->h.data, h_size(t->integer), to, base + r);
                move(k->states.data, state_size(t->integer), others + to, others + base + r);
            }
            k->alive[alive++] = at;
            to++;
        }
        k->updates = (uint32_t)to;
    }
    for (uint32_t n = 0; n < alive; n++) {
        const int32_t version = (int32_t)(others + before + n);
        k->now[k->alive[n]] = version;
        k->alpha[1 + k->alive[n]] = alpha_of(t, k, version);
    }
    for (uint32_t n = 0; n < gone; n++) {
        k->now[k->gone[n]] = 0;
        k->alpha[1 + k->gone[n]] = 0;
    }
    if (t->inboxes) {
        const uint32_t prefix = chain(chain(nca_mix(t->rollout->seed + NCA_GOLDEN * NCA_HEARS), g), number);
        for (uint32_t n = t->stride; n < t->cells - t->stride; n++) {
            if (k->fires[n]) {
                const uint32_t h = nca_mix((prefix ^ t->salt[n]) + NCA_GOLDEN);
                for (uint32_t d = 0; d < 8; d++) {
                    if ((int32_t)(nca_mix((h ^ t->hears[d]) + NCA_GOLDEN) >> 2) >= lost) {
                        k->inbox[(int32_t)n + t->offset[d]][(d + 4) % 8] = k->now[n];
                    }
                }
            }
        }
    }
    return 1;
}

static void write_states(const nca_trainer *t, const nca_grid *k, float *out)
{
    for (uint32_t n = 0; n < t->height * t->width; n++) {
        const size_t version = (size_t)k->now[t->place[n]];
        if (!t->integer) {
            memcpy(out + n * CHANNELS, ((const nca_state *)k->states.data)[version], sizeof(nca_state));
            continue;
        }
        for (uint32_t c = 0; c < CHANNELS; c++) {
            out[n * CHANNELS + c] = t->fast.value[(uint8_t)k->states.data[version * CHANNELS + c]] / NCA_STATE_SCALE;
        }
    }
}

void nca_grid_forward(const nca_trainer *t, uint32_t g)
{
    nca_grid *k = &t->grids[g];
    uint32_t mark = 0;
    const size_t grid = (size_t)t->height * t->width * CHANNELS;

    k->updates = 0;
    if (!reserve(t, k, t->cells, 0)) {
        k->failed = 1;
        return;
    }
    begin(t, k, g);
    for (uint32_t n = 0; n < t->steps; n++) {
        k->first[n] = k->updates;
        if (!step(t, k, g, n)) {
            k->failed = 1;
            return;
        }
        if (mark < t->marks && t->rollout->mark[mark] == n + 1) {
            memcpy(k->marked + (size_t)mark * t->cells, k->now, t->cells * sizeof *k->now);
            write_states(t, k, t->states + (mark * t->batch + g) * grid);
            mark++;
        }
    }
    k->first[t->steps] = k->updates;
}

void nca_grid_backward(const nca_trainer *t, uint32_t g)
{
    nca_grid *k = &t->grids[g];
    const size_t count = (size_t)t->height * t->width, others = 1 + count;
    nca_state *gradient = (nca_state *)k->g.data;
    nca_gradient *sum = (nca_gradient *)k->sum.data;
    const nca_weights *w = (const nca_weights *)t->weights.data;

    memset(sum, 0, sizeof *sum);
    memset(gradient, 0, (others + k->updates) * sizeof *gradient);
    for (uint32_t mark = 0; mark < t->marks; mark++) {
        const float *from = t->g_states + (mark * t->batch + g) * count * CHANNELS;
        for (uint32_t n = 0; n < count; n++) {
            float *to = gradient[k->marked[(size_t)mark * t->cells + t->place[n]]];
            for (uint32_t c = 0; c < CHANNELS; c++) {
                to[c] += from[n * CHANNELS + c];
            }
        }
    }
    for (uint32_t n = t->steps; n-- > 0;) {
        for (uint32_t first = k->first[n]; first < k->first[n + 1]; first += CHUNK) {
            const uint32_t left = k->first[n + 1] - first, rows = left < CHUNK ? left : CHUNK;
            const nca_seen *seen = (const nca_seen *)k->seen.data + first;
            const nca_state *g_new = (const nca_state *)gradient + others + first;
            if (t->integer) {
                t->layers->backward_integer(w, rows, (const int16_t(*)[INPUTS])k->x.data + first,
                                            (const uint8_t(*)[HIDDEN])k->h.data + first, g_new, seen, gradient, sum);
            } else {
                t->layers->backward(w, rows, (const float(*)[INPUTS])k->x.data + first, g_new, seen, gradient, sum);
            }
        }
    }
    if (t->g_start != NULL) {
        memcpy(t->g_start + g * count * CHANNELS, gradient[1], count * sizeof *gradient);
    }
}
