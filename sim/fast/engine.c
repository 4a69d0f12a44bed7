#include "engine.h"

#include <stdlib.h>
#include <string.h>

#define GOLDEN 0x9e3779b9u
#define LINK_LOSS 2u /* streams.py, Domain */
#define MILLION 1000000

static const int8_t down[8] = { -1, -1, 0, 1, 1, 1, 0, -1 }, right[8] = { 0, 1, 1, 1, 0, -1, -1, -1 }; /* clockwise from the north */

static uint32_t mix(uint32_t x)
{
    x = (x ^ x >> 16) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    return x ^ x >> 16;
}

/* streams.py, key(): one more counter. */
static uint32_t chain(uint32_t h, uint32_t counter)
{
    return mix((h ^ mix(counter + GOLDEN)) + GOLDEN);
}

/* The neighbour of a cell in direction k, or -1. */
static int64_t neighbour(const nca_engine *e, uint32_t row, uint32_t column, uint32_t k)
{
    const uint32_t y = row + (uint32_t)down[k], x = column + (uint32_t)right[k]; /* wraps around below 0 */
    return y < e->height && x < e->width ? (int64_t)y * e->width + x : -1;
}

static void into_bucket(nca_engine *e, uint32_t cell)
{
    int32_t *head = &e->head[(uint64_t)(e->next_wake[cell] / e->bucket_ns) & (e->buckets - 1)];
    e->before[cell] = -1;
    e->after[cell] = *head;
    if (*head >= 0) {
        e->before[*head] = (int32_t)cell;
    }
    *head = (int32_t)cell;
}

static void out_of_bucket(nca_engine *e, uint32_t cell)
{
    if (e->before[cell] >= 0) {
        e->after[e->before[cell]] = e->after[cell];
    } else {
        e->head[(uint64_t)(e->next_wake[cell] / e->bucket_ns) & (e->buckets - 1)] = e->after[cell];
    }
    if (e->after[cell] >= 0) {
        e->before[e->after[cell]] = e->before[cell];
    }
}

static void draw_wake(nca_engine *e, uint32_t cell, int64_t now)
{
    const uint32_t s = nca_random_next(e->random[cell]);
    e->random[cell] = s;
    e->next_wake[cell] = now + (int64_t)e->waits[s >> 20] * e->tick[cell] / MILLION;
    into_bucket(e, cell);
}

static void transmit(nca_engine *e, uint32_t cell, int64_t now)
{
    const uint32_t channels = e->kernel->genome.channels, row = cell / e->width, column = cell % e->width;
    const uint64_t slot = (uint64_t)cell * e->ring + (e->sent[cell] & (e->ring - 1));
    const uint32_t number = e->loss_limit ? chain(chain(mix(e->seed + GOLDEN * LINK_LOSS), cell), e->sent[cell]) : 0;
    uint8_t lost = 0;

    for (uint32_t k = 0; k < 8; k++) {
        if (neighbour(e, row, column, k) < 0) {
            continue;
        }
        e->messages_sent++;
        if (e->loss_limit && chain(mix(number + GOLDEN * LINK_LOSS), k) < e->loss_limit) {
            lost |= (uint8_t)(1u << k);
            e->messages_lost++;
        }
    }
    e->sent_at[slot] = now;
    e->lost[slot] = lost;
    memcpy(e->sent_code + slot * channels, e->states + (uint64_t)cell * channels, channels);
    e->sent[cell]++;
}

/* Takes what has arrived before `now` and was not taken yet. */
static void listen(nca_engine *e, uint32_t cell, int64_t now)
{
    const uint32_t channels = e->kernel->genome.channels, row = cell / e->width, column = cell % e->width;
    int8_t *inbox = e->inboxes + (uint64_t)cell * 8 * channels;

    for (uint32_t k = 0; k < 8; k++) {
        const int64_t from = neighbour(e, row, column, k);
        if (from < 0) {
            continue;
        }
        const uint32_t newest = e->sent[from];
        for (uint32_t back = 1; back <= newest && back <= e->ring; back++) {
            const uint64_t slot = (uint64_t)from * e->ring + ((newest - back) & (e->ring - 1));
            const int64_t arrival = e->sent_at[slot] + e->latency;
            if (arrival >= now) {
                continue;
            }
            if (arrival < e->heard_until[cell]) {
                break;
            }
            if (e->lost[slot] >> ((k + 4) % 8) & 1) {
                continue;
            }
            if (memcmp(inbox + k * channels, e->sent_code + slot * channels, channels) != 0) {
                memcpy(inbox + k * channels, e->sent_code + slot * channels, channels);
                e->settled[cell] = 0;
            }
            break;
        }
    }
    e->heard_until[cell] = now;
}

/* One update. A cell that changed nothing last time and has heard nothing new would compute the same again. */
static void update(nca_engine *e, uint32_t cell)
{
    const uint32_t channels = e->kernel->genome.channels;
    int8_t *state = e->states + (uint64_t)cell * channels;

    if (e->settled[cell] == 0) {
        int8_t old[NCA_CHANNELS_MAX];
        memcpy(old, state, channels);
        const uint8_t evaluated = nca_fast_wake(e->kernel, state, e->inboxes + (uint64_t)cell * 8 * channels);
        e->computed_updates += evaluated;
        e->evaluated_updates += evaluated;
        e->settled[cell] = memcmp(old, state, channels) == 0 ? (uint8_t)(1 + evaluated) : 0;
    } else {
        e->evaluated_updates += (uint64_t)(e->settled[cell] - 1);
    }
    e->all_updates++;
    e->updates[cell]++;
}

void nca_engine_power_on(nca_engine *e, uint32_t cell, int64_t now)
{
    e->heard_until[cell] = now;
    draw_wake(e, cell, now);
}

void nca_engine_power_off(nca_engine *e, uint32_t cell)
{
    const uint32_t channels = e->kernel->genome.channels;

    if (e->next_wake[cell] >= 0) {
        out_of_bucket(e, cell);
        e->next_wake[cell] = -1;
    }
    memset(e->states + (uint64_t)cell * channels, 0, channels);
    memset(e->inboxes + (uint64_t)cell * 8 * channels, 0, (uint64_t)8 * channels);
    e->quiet[cell] = 0;
    e->settled[cell] = 0;
}

void nca_engine_plant(nca_engine *e, uint32_t cell, const int8_t *seed, uint8_t quiet, int64_t now)
{
    const uint32_t channels = e->kernel->genome.channels;

    memcpy(e->states + (uint64_t)cell * channels, seed, channels);
    e->quiet[cell] = quiet;
    e->settled[cell] = 0;
    transmit(e, cell, now);
}

static int by_time_and_cell(const void *a, const void *b)
{
    const nca_wake *p = a, *q = b;
    if (p->time != q->time) {
        return p->time < q->time ? -1 : 1;
    }
    return p->cell < q->cell ? -1 : p->cell > q->cell;
}

uint64_t nca_engine_run(nca_engine *e, int64_t until, uint8_t *records, uint64_t size, uint8_t *more)
{
    const uint32_t channels = e->kernel->genome.channels;
    const uint64_t record = 12 + channels;
    uint64_t written = 0;

    *more = 0;
    while (e->bucket_now * e->bucket_ns < until) {
        int32_t *head = &e->head[(uint64_t)e->bucket_now & (e->buckets - 1)];
        uint32_t count = 0;
        for (int32_t cell = *head; cell >= 0; cell = e->after[cell]) {
            e->order[count].time = e->next_wake[cell];
            e->order[count++].cell = (uint32_t)cell;
        }
        qsort(e->order, count, sizeof *e->order, by_time_and_cell);
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t cell = e->order[i].cell;
            const int64_t now = e->order[i].time;
            if (now >= until) {
                return written;
            }
            if (written + record > size) {
                *more = 1;
                return written;
            }
            out_of_bucket(e, cell);
            listen(e, cell, now);
            if (e->quiet[cell] != 0) {
                e->quiet[cell]--;
            } else {
                const uint64_t time = (uint64_t)now;
                update(e, cell);
                for (uint32_t b = 0; b < 12; b++) { /* little-endian on any machine */
                    records[written + b] = (uint8_t)(b < 8 ? time >> (8 * b) : cell >> (8 * (b - 8)));
                }
                memcpy(records + written + 12, e->states + (uint64_t)cell * channels, channels);
                written += record;
            }
            transmit(e, cell, now);
            draw_wake(e, cell, now);
        }
        e->bucket_now++;
    }
    return written;
}
