#include "rollout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "layers.h"
#include "pool.h"

#define GOLDEN 0x9E3779B9u
#define STATE_SCALE 256.0f   /* codes are values in 1/256 */
#define UPDATE_SCALE 4096.0f /* compress() takes 1/4096 */
#define REACH 65536.0f       /* at which every code is at its end */
#define ALIVE 0.1f           /* of the float rule */
#define ALPHA 3              /* of the float rule */
#define LINE 64u             /* bytes of a cache line: a float state */

typedef struct {
    void *memory;
    char *data; /* in it, at a cache line */
    size_t size;
} block;

/* One grid: its map, and everything that the gradient needs of its updates, which are numbered from 0 on. */
typedef struct {
    int32_t *now, *marked;      /* [cells] versions now, [marks][cells] and at every mark */
    int32_t (*inbox)[8];        /* [cells] versions heard, if messages can be lost */
    float *alpha, *around, *across;
    int32_t *limit;             /* [cells] wakes below it */
    uint8_t *fires;
    uint32_t *candidates, *gone, *alive; /* of one step: to compute; to become 0; that live on, in the order of their updates */
    uint32_t marks_room;

    uint32_t updates, room; /* made; that there is memory for */
    int room_integer;
    uint32_t *first;        /* [steps + 1] first update of every step */
    uint32_t steps_room;
    block seen, x, h, states, g;
    nca_gradient sum;
    int failed;
} track;

typedef struct {
    uint32_t batch, height, width, cells, stride;
    int32_t offset[8];
    uint32_t *place, *salt; /* [H W] where a cell is on the bordered map; [cells] of the map, see draw() */
    uint32_t hears[8];      /* the same of directions */
    void *pool;
    const nca_layers *layers;
    int most, integer;
    nca_weights weights;
    nca_fast fast;
    float unit[HIDDEN];
    float threshold;     /* alpha must be above it */
    uint32_t alpha;
    track *tracks;

    const nca_rollout *rollout; /* what is being done */
    uint32_t steps, marks, next;
    const float *start, *g_states;
    float *states, *g_start;
} trainer;

static uint32_t mix(uint32_t x)
{
    x = (x ^ (x >> 16)) * 0x85EBCA6Bu;
    x = (x ^ (x >> 13)) * 0xC2B2AE35u;
    return x ^ (x >> 16);
}

static uint32_t chain(uint32_t h, uint32_t counter)
{
    return mix((h ^ mix(counter + GOLDEN)) + GOLDEN);
}

static int grow(block *b, size_t size, size_t used)
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
    *b = (block){ memory, data, size };
    return 1;
}

/* Sizes in bytes of an update's perception, hidden units and state. */
static size_t x_size(int integer)
{
    return INPUTS * (integer ? sizeof(int16_t) : sizeof(float));
}

static size_t h_size(int integer)
{
    return HIDDEN * (integer ? sizeof(uint8_t) : sizeof(float));
}

static size_t state_size(int integer)
{
    return CHANNELS * (integer ? sizeof(int8_t) : sizeof(float));
}

/* Room for `more` updates, and SPARE rows beyond them that may be written; `states` of those there are stay. */
static int reserve(const trainer *t, track *k, uint32_t more, size_t states)
{
    const size_t used = k->updates, others = 1 + (size_t)t->height * t->width;
    size_t room = used + more;

    if (k->room_integer == t->integer && room <= k->room) {
        return 1;
    }
    room = room + room / 2 + CHUNK;
    const size_t rows = room + SPARE;
    if (!grow(&k->seen, rows * sizeof(nca_seen), used * sizeof(nca_seen))
        || !grow(&k->x, rows * x_size(t->integer), used * x_size(t->integer))
        || !grow(&k->h, rows * h_size(t->integer), used * h_size(t->integer))
        || !grow(&k->states, (rows + others) * state_size(t->integer), states * state_size(t->integer))
        || !grow(&k->g, (rows + others) * sizeof(nca_state), 0)) {
        return 0;
    }
    k->room = (uint32_t)room;
    k->room_integer = t->integer;
    return 1;
}

static void close_track(track *k)
{
    free(k->now), free(k->marked), free(k->inbox), free(k->alpha), free(k->around), free(k->across), free(k->limit), free(k->fires);
    free(k->candidates), free(k->gone), free(k->alive), free(k->first);
    free(k->seen.memory), free(k->x.memory), free(k->h.memory), free(k->states.memory), free(k->g.memory);
}

/* The maps of alpha have a spare row and a cell on both sides, so that a shift never leaves them. */
static int open_track(const trainer *t, track *k)
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
    return k->now && k->inbox && k->alpha && k->around && k->across && k->limit && k->fires && k->candidates && k->gone && k->alive;
}

static const nca_layers *choose(int most)
{
#if NCA_X86
    if (most >= NCA_AVX512 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512dq")) {
        return &nca_layers_avx512;
    }
    if (most >= NCA_AVX2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return &nca_layers_avx2;
    }
#else
    (void)most;
#endif
    return &nca_layers_portable;
}

void *nca_rollout_open(uint32_t batch, uint32_t height, uint32_t width, uint32_t threads, int most)
{
    static const int8_t down[8] = { -1, -1, 0, 1, 1, 1, 0, -1 }, right[8] = { 0, 1, 1, 1, 0, -1, -1, -1 };
    trainer *t = calloc(1, sizeof *t);

    if (t == NULL) {
        return NULL;
    }
    t->batch = batch, t->height = height, t->width = width, t->stride = width + 2;
    t->cells = (height + 2) * t->stride;
    t->most = most;
    t->layers = choose(most);
    t->place = calloc((size_t)height * width, sizeof *t->place);
    t->salt = calloc(t->cells, sizeof *t->salt);
    t->tracks = calloc(batch, sizeof *t->tracks);
    int opened = t->place != NULL && t->salt != NULL && t->tracks != NULL;
    for (uint32_t g = 0; opened && g < batch; g++) {
        opened = open_track(t, &t->tracks[g]);
    }
    if (!opened) {
        nca_rollout_close(t);
        return NULL;
    }
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            const uint32_t at = (y + 1) * t->stride + x + 1;
            t->place[y * width + x] = at;
            t->salt[at] = mix(y * width + x + GOLDEN);
        }
    }
    for (uint32_t k = 0; k < 8; k++) {
        t->offset[k] = down[k] * (int32_t)t->stride + right[k];
        t->hears[k] = mix(k + GOLDEN);
    }
    t->threshold = ALIVE;
    t->alpha = ALPHA;
    t->pool = threads > 1 ? nca_pool_open(threads) : NULL;
    return t;
}

void nca_rollout_close(void *what)
{
    trainer *t = what;

    if (t == NULL) {
        return;
    }
    nca_pool_close(t->pool);
    for (uint32_t g = 0; t->tracks != NULL && g < t->batch; g++) {
        close_track(&t->tracks[g]);
    }
    free(t->tracks), free(t->place), free(t->salt), free(t);
}

const char *nca_rollout_instructions(const void *what)
{
    const trainer *t = what;
    return t->layers->name;
}

void nca_rollout_weights(void *what, const float *w1, const float *b1, const float *w2, const float *b2)
{
    nca_weights *w = &((trainer *)what)->weights;

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
    trainer *t = what;

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

/* The code of a real value, rounded to 1/4096 first. */
static int8_t code_of(const nca_fast *fast, float real)
{
    const float v = rintf(real * UPDATE_SCALE);
    const int32_t magnitude = (int32_t)(fabsf(v) < REACH ? fabsf(v) : REACH), eighth = magnitude == 0 ? 0 : (magnitude - 1) >> 3;
    const int8_t code = fast->code[eighth > NCA_EIGHTHS ? NCA_EIGHTHS : eighth];
    return v < 0 ? (int8_t)-code : code;
}

static void begin(const trainer *t, track *k, uint32_t g)
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
        k->limit[at] = (int32_t)(wakes[n] * 1073741824.0f);
        k->alpha[1 + at] = t->integer ? ((int8_t *)k->states.data)[alpha] : ((float *)k->states.data)[alpha];
    }
    if (r->lost != NULL) { /* at the start everybody has heard everybody */
        for (uint32_t n = 0; n < count; n++) {
            for (uint32_t d = 0; d < 8; d++) {
                k->inbox[t->place[n]][d] = k->now[(int32_t)t->place[n] + t->offset[d]];
            }
        }
    }
}

static float alpha_of(const trainer *t, const track *k, int32_t version)
{
    const size_t n = (size_t)version * CHANNELS + t->alpha;
    return t->integer ? ((const int8_t *)k->states.data)[n] : ((const float *)k->states.data)[n];
}

/* With lost messages, what a waking cell has heard of its neighbours' alpha. */
static void around_heard(const trainer *t, track *k)
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
static void compute(const trainer *t, track *k, uint32_t rows, const nca_seen *seen)
{
    const size_t first = k->updates, own = 1 + (size_t)t->height * t->width + first;

    if (!t->integer) {
        t->layers->forward(&t->weights, rows, seen, (const nca_state *)k->states.data, (float(*)[INPUTS])k->x.data + first,
                           (float(*)[HIDDEN])k->h.data + first, (nca_state *)k->states.data + own);
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
    nca_fast_evaluate(&t->fast, rows, states, others, (int16_t *)k->x.data + first * INPUTS, (uint8_t *)k->h.data + first * HIDDEN);
}

static void move(char *data, size_t size, size_t to, size_t from)
{
    memcpy(data + to * size, data + from * size, size);
}

/* One step of one grid; everybody sees what was before it. */
static int step(const trainer *t, track *k, uint32_t g, uint32_t number)
{
    int32_t lost_limit = 0;
    uint32_t count = 0, gone = 0, alive = 0;
    const size_t others = 1 + (size_t)t->height * t->width;
    const uint32_t before = k->updates;

    t->layers->draw(t->cells, chain(chain(mix(t->rollout->seed + GOLDEN * NCA_WAKES), g), number), t->salt, k->limit, k->fires);
    if (t->rollout->lost == NULL) {
        t->layers->around(t->cells, t->stride, k->alpha + 1, k->across, k->around);
    } else {
        lost_limit = (int32_t)(t->rollout->lost[g] * 1073741824.0f);
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
                seen[r][d] = t->rollout->lost != NULL ? k->inbox[at][d] : k->now[(int32_t)at + t->offset[d]];
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
    if (t->rollout->lost != NULL) {
        const uint32_t prefix = chain(chain(mix(t->rollout->seed + GOLDEN * NCA_HEARS), g), number);
        for (uint32_t n = t->stride; n < t->cells - t->stride; n++) {
            if (k->fires[n]) {
                const uint32_t h = mix((prefix ^ t->salt[n]) + GOLDEN);
                for (uint32_t d = 0; d < 8; d++) {
                    if ((int32_t)(mix((h ^ t->hears[d]) + GOLDEN) >> 2) >= lost_limit) {
                        k->inbox[(int32_t)n + t->offset[d]][(d + 4) % 8] = k->now[n];
                    }
                }
            }
        }
    }
    return 1;
}

static void write_states(const trainer *t, const track *k, float *out)
{
    for (uint32_t n = 0; n < t->height * t->width; n++) {
        const size_t version = (size_t)k->now[t->place[n]];
        if (!t->integer) {
            memcpy(out + n * CHANNELS, ((const nca_state *)k->states.data)[version], sizeof(nca_state));
            continue;
        }
        for (uint32_t c = 0; c < CHANNELS; c++) {
            out[n * CHANNELS + c] = t->fast.value[(uint8_t)k->states.data[version * CHANNELS + c]] / STATE_SCALE;
        }
    }
}

static void forward_grid(const trainer *t, uint32_t g)
{
    track *k = &t->tracks[g];
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

static void backward_grid(const trainer *t, uint32_t g)
{
    track *k = &t->tracks[g];
    const size_t count = (size_t)t->height * t->width, others = 1 + count;
    nca_state *gradient = (nca_state *)k->g.data;

    memset(&k->sum, 0, sizeof k->sum);
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
                t->layers->backward_integer(&t->weights, rows, (const int16_t(*)[INPUTS])k->x.data + first,
                                            (const uint8_t(*)[HIDDEN])k->h.data + first, g_new, seen, gradient, &k->sum);
            } else {
                t->layers->backward(&t->weights, rows, (const float(*)[INPUTS])k->x.data + first,
                                    (const float(*)[HIDDEN])k->h.data + first, INFINITY, g_new, seen, gradient, &k->sum);
            }
        }
    }
    if (t->g_start != NULL) {
        memcpy(t->g_start + g * count * CHANNELS, gradient[1], count * sizeof *gradient);
    }
}

/* Whoever is free takes the next grid. */
static uint32_t take(trainer *t)
{
#if defined(__GNUC__)
    return __sync_fetch_and_add(&t->next, 1);
#else
    return t->next++; /* pool.c has one thread then */
#endif
}

static void forward_some(void *what, uint32_t slice, uint32_t slices)
{
    trainer *t = what;

    (void)slice, (void)slices;
    for (uint32_t g = take(t); g < t->batch; g = take(t)) {
        forward_grid(t, g);
    }
}

static void backward_some(void *what, uint32_t slice, uint32_t slices)
{
    trainer *t = what;

    (void)slice, (void)slices;
    for (uint32_t g = take(t); g < t->batch; g = take(t)) {
        backward_grid(t, g);
    }
}

int nca_rollout_forward(void *what, const nca_rollout *rollout, const float *start, float *states)
{
    trainer *t = what;
    int failed = 0;

    t->rollout = rollout;
    t->steps = rollout->steps;
    t->marks = rollout->marks;
    t->start = start;
    t->states = states;
    t->next = 0;
    for (uint32_t g = 0; g < t->batch; g++) {
        track *k = &t->tracks[g];
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
        failed |= t->tracks[g].failed;
    }
    return failed;
}

void nca_rollout_backward(void *what, const float *g_states, float *g_w1, float *g_b1, float *g_w2, float *g_b2, float *g_start)
{
    trainer *t = what;
    const float x_unit = t->integer ? 1 / STATE_SCALE : 1;

    t->g_states = g_states;
    t->g_start = g_start;
    t->next = 0;
    nca_pool_run(t->pool, backward_some, t);
    memset(g_w1, 0, sizeof t->weights.w1);
    memset(g_b1, 0, sizeof t->weights.b1);
    memset(g_w2, 0, sizeof t->weights.w2);
    memset(g_b2, 0, sizeof t->weights.b2);
    for (uint32_t g = 0; g < t->batch; g++) {
        const nca_gradient *sum = &t->tracks[g].sum;
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
    const trainer *t = what;
    uint64_t updates = 0;

    for (uint32_t g = 0; g < t->batch; g++) {
        updates += t->tracks[g].updates;
    }
    return updates;
}

uint64_t nca_rollout_perceptions(const void *what, uint64_t every, uint64_t room, float *x)
{
    const trainer *t = what;
    uint64_t written = 0, number = 0;

    for (uint32_t g = 0; g < t->batch; g++) {
        const track *k = &t->tracks[g];
        for (uint32_t n = 0; n < k->updates; n++, number++) {
            if (number % every == 0 && written < room) {
                for (uint32_t i = 0; i < INPUTS; i++) {
                    const size_t at = (size_t)n * INPUTS + i;
                    x[written * INPUTS + i] = t->integer ? ((const int16_t *)k->x.data)[at] / STATE_SCALE : ((const float *)k->x.data)[at];
                }
                written++;
            }
        }
    }
    return written;
}
