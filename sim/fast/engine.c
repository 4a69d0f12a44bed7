#include "engine.h"

#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "link.h"
#include "pool.h"

#define GOLDEN 0x9e3779b9u
#define MILLION 1000000
#define NEVER (-1)
#define SLICE 64u /* wakes that are computed in one go */
#define AHEAD 16u /* so many wakes before their turn, their memory is asked for; some of them are in the next batch */
#if defined(__GNUC__)
#define PREFETCH(where) __builtin_prefetch(where)
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#else
#define ALWAYS_INLINE static inline
#define PREFETCH(where) (void)(where)
#endif

enum { LINK_LOSS = 2, LINK_JITTER = 4, LINK_QUALITY = 5, BIT_ERROR = 7, BABBLE = 9 }; /* streams.py, Domain */

static uint32_t mix(uint32_t x)
{
    x = (x ^ x >> 16) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    return x ^ x >> 16;
}

/* streams.py, key(): its beginning, and one more counter. */
static uint32_t domain(uint32_t seed, uint32_t which)
{
    return mix(seed + GOLDEN * which);
}

static uint32_t chain(uint32_t h, uint32_t counter)
{
    return mix((h ^ mix(counter + GOLDEN)) + GOLDEN);
}

/* The wheel. */

static nca_bucket *bucket_of(const nca_engine *e, int64_t time)
{
    return &e->bucket[(uint64_t)(time >> e->bucket_shift) & (e->buckets - 1)];
}

static uint64_t key_of(const nca_engine *e, int64_t time, uint32_t cell)
{
    return (uint64_t)(time & (((int64_t)1 << e->bucket_shift) - 1)) << 32 | cell; /* a bucket is shorter than 2^32 ns */
}

static void into_bucket(nca_engine *e, uint32_t cell)
{
    nca_bucket *b = bucket_of(e, e->cells[cell].next_wake);
    if (b->count < NCA_BUCKET) {
        b->key[b->count++] = key_of(e, e->cells[cell].next_wake, cell);
    } else {
        e->cells[cell].after = b->more;
        b->more = (int32_t)cell;
    }
}

static void out_of_bucket(nca_engine *e, uint32_t cell)
{
    nca_bucket *b = bucket_of(e, e->cells[cell].next_wake);
    for (uint32_t i = 0; i < b->count; i++) {
        if ((uint32_t)b->key[i] == cell) {
            b->key[i] = b->key[--b->count];
            b->key[b->count] = NCA_NO_KEY;
            return;
        }
    }
    int32_t *at = &b->more;
    while (*at != (int32_t)cell) {
        at = &e->cells[*at].after;
    }
    *at = e->cells[cell].after;
}

static int compare(const void *a, const void *b)
{
    const nca_wake *p = a, *q = b;
    if (p->time != q->time) {
        return p->time < q->time ? -1 : 1;
    }
    return p->cell < q->cell ? -1 : p->cell > q->cell;
}

static inline void sort_two(uint64_t *a, uint64_t *b)
{
    const uint64_t less = *a < *b ? *a : *b, greater = *a < *b ? *b : *a;
    *a = less;
    *b = greater;
}

/* Sorting networks, which have no branches: half of all branches on random keys would be guessed wrong. */
static inline void sort_four(uint64_t *k)
{
    sort_two(k, k + 1), sort_two(k + 2, k + 3);
    sort_two(k, k + 2), sort_two(k + 1, k + 3);
    sort_two(k + 1, k + 2);
}

static inline void sort_seven(uint64_t *k)
{
    sort_two(k, k + 6), sort_two(k + 2, k + 3), sort_two(k + 4, k + 5);
    sort_two(k, k + 2), sort_two(k + 1, k + 4), sort_two(k + 3, k + 6);
    sort_two(k, k + 1), sort_two(k + 2, k + 5), sort_two(k + 3, k + 4);
    sort_two(k + 1, k + 2), sort_two(k + 4, k + 6);
    sort_two(k + 2, k + 3), sort_two(k + 4, k + 5);
    sort_two(k + 1, k + 2), sort_two(k + 3, k + 4), sort_two(k + 5, k + 6);
}

/* Moves the wakes of the next bucket, if there are any, into `order`, sorted. What is no key is overwritten by the next bucket. */
static void take_bucket(nca_engine *e)
{
    const int64_t start = e->bucket_now << e->bucket_shift;
    nca_bucket *b = &e->bucket[(uint64_t)e->bucket_now++ & (e->buckets - 1)];
    nca_wake *order = e->order + e->order_end;
    uint32_t count = b->count, most = 4;
    uint64_t keys[NCA_BUCKET];

    memcpy(keys, b->key, sizeof keys);
    if (count <= most) {
        sort_four(keys);
    } else {
        most = NCA_BUCKET;
        sort_seven(keys);
    }
    for (uint32_t i = 0; i < most; i++) {
        order[i].time = start + (int64_t)(keys[i] >> 32);
        order[i].cell = (uint32_t)keys[i];
        b->key[i] = NCA_NO_KEY;
    }
    if (b->more >= 0) {
        for (int32_t cell = b->more; cell >= 0; cell = e->cells[cell].after) {
            order[count].time = e->cells[cell].next_wake;
            order[count++].cell = (uint32_t)cell;
        }
        qsort(order, count, sizeof *order, compare);
        b->more = -1;
    }
    b->count = 0;
    e->order_end += count;
}

/* Puts back what was taken and is not run yet. */
static void put_back(nca_engine *e)
{
    for (uint32_t i = e->order_first; i < e->order_end; i++) {
        into_bucket(e, e->order[i].cell);
    }
    if (e->order_first < e->order_end) {
        e->bucket_now = e->order[e->order_first].time >> e->bucket_shift;
    }
    e->order_first = e->order_end = 0;
}

/* Draws the next wake, which must still be put into its bucket. */
static void draw_wake(nca_engine *e, uint32_t cell, int64_t now)
{
    nca_cell *c = &e->cells[cell];
    int64_t tick = (int64_t)c->tick;

    c->random = nca_random_next(c->random);
    if (e->wander != NULL) {
        tick += e->wander[e->clock[cell] * e->segments + (now + e->phase[cell]) / e->segment_ns % e->segments];
    }
    tick = tick * c->pace >> 10;
    c->next_wake = now + (int64_t)e->waits[c->random >> 20] * tick / MILLION;
    PREFETCH(bucket_of(e, c->next_wake));
}

static inline int same_state(const int8_t *a, const int8_t *b)
{
    uint64_t p[2], q[2];
    memcpy(p, a, sizeof p);
    memcpy(q, b, sizeof q);
    return ((p[0] ^ q[0]) | (p[1] ^ q[1])) == 0;
}

/* Listening. */

static const int8_t *altered_code(const nca_engine *e, uint32_t cell, uint32_t sent, uint32_t frame)
{
    for (uint32_t i = e->altered_count; i-- != 0;) {
        if (e->altered[i].cell == cell && e->altered[i].sent == sent && e->altered[i].frame == frame) {
            return e->altered[i].code;
        }
    }
    return NULL; /* never: a bit of `altered` stands for an entry */
}

static void put_into(nca_engine *e, uint32_t cell, uint32_t slot, const int8_t *code)
{
    int8_t *inbox = e->inboxes + ((uint64_t)cell * 8 + slot) * NCA_CHANNELS_MAX;
    if (!same_state(inbox, code)) {
        memcpy(inbox, code, NCA_CHANNELS_MAX);
        e->cells[cell].settled = 0;
    }
}

static int64_t arrival_of(const nca_engine *e, uint64_t at, const nca_wire *wire)
{
    if (wire->frame == NCA_INSIDE) {
        return e->sent[at].sent_at;
    }
    return e->arrival != NULL ? e->arrival[at * 8 + wire->frame] : e->sent[at].sent_at + e->latency;
}

static int is_lost(const nca_engine *e, uint64_t at, const nca_wire *wire)
{
    return wire->frame != NCA_INSIDE && (e->sent[at].way.lost_altered[0] >> wire->frame & 1) != 0;
}

/* A receiver's memory takes what came over a wire: message `sent` of a cell, kept at `at`. */
static void take(nca_engine *e, uint32_t receiver, uint32_t slot, uint32_t from, uint32_t sent, uint64_t at, const nca_wire *wire)
{
    const int8_t *code = e->sent[at].code;
    int64_t told_at = e->sent[at].sent_at;

    if (wire->carries != NCA_OWN) {
        const uint32_t west = wire->carries == NCA_WEST;
        code = e->passed[at].code[west];
        told_at = e->passed[at].told_at[west];
    }
    if (wire->frame != NCA_INSIDE && (e->sent[at].way.lost_altered[1] >> wire->frame & 1) != 0) {
        code = altered_code(e, from, sent, wire->frame);
    }
    put_into(e, receiver, slot, code);
    e->heard_at[(uint64_t)receiver * 8 + slot] = told_at;
}

static void listen(nca_engine *e, uint32_t cell, int64_t now, nca_update *u)
{
    nca_cell *c = &e->cells[cell];
    const nca_wire *sources = e->sources + (e->position != NULL ? e->position[cell] * 8u : 0u);

    u->age = 0;
    u->heard = 0;
    for (uint32_t k = 0; k < 8; k++) {
        const uint32_t from = (uint32_t)((int32_t)cell + sources[k].offset), newest = e->sent_count[from];
        for (uint32_t back = 1; back <= newest && back <= e->ring; back++) {
            const uint64_t at = (uint64_t)from * e->ring + ((newest - back) & (e->ring - 1));
            const int64_t arrival = arrival_of(e, at, &sources[k]);
            if (arrival >= now) {
                continue;
            }
            if (arrival < c->since) {
                break;
            }
            if (is_lost(e, at, &sources[k])) {
                continue;
            }
            take(e, cell, k, from, newest - back, at, &sources[k]);
            break;
        }
        const int64_t told_at = e->heard_at[(uint64_t)cell * 8 + k];
        if (told_at != NEVER) {
            u->age += now - told_at;
            u->heard++;
        }
    }
    c->since = now;
}

/* The same where links never fail: what a cell has heard is what its neighbours sent last, of what has arrived. It is gathered into `heard`
 * [8][16]; the cell stays settled if all of it has been the same since it last listened. */
static void gather_any(const nca_engine *e, nca_cell *c, const nca_sent *self, int64_t now, int8_t *heard, nca_update *u)
{
    const int64_t sent_before = now - e->latency, powered_at = c->powered_at - e->latency, listened_at = c->since - e->latency;
    uint32_t changed = 0;

    u->age = 0;
    u->heard = 0;
    memset(heard, 0, 8 * NCA_CHANNELS_MAX);
    for (uint32_t k = 0; k < 8; k++) {
        const nca_sent *s = self + e->sources[k].offset, *end = s + (uint64_t)(e->ring - 1) * e->all_cells;
        while (s->sent_at >= sent_before && s != end) {
            s += e->all_cells; /* still underway */
        }
        if ((c->frames >> k & 1) == 0 || s->sent_at < powered_at || s->sent_at >= sent_before) {
            continue; /* nobody is there, or nothing was heard yet */
        }
        memcpy(heard + k * NCA_CHANNELS_MAX, s->code, NCA_CHANNELS_MAX);
        changed |= (s->way.stable_since >= listened_at) | (s->way.stable_since < powered_at);
        if (s->sent_at >= 0) {
            u->age += now - s->sent_at;
            u->heard++;
        }
    }
    c->settled = changed != 0 ? 0 : c->settled;
    c->since = now;
}

/* The same as fast as it can be where every neighbour has been heard, as is usual; else it is left to gather_any(). The border
 * beyond the edge counts as having told nothing new since the beginning. */
static void gather(const nca_engine *e, uint32_t cell, int64_t now, int8_t *heard, nca_update *u)
{
    nca_cell *c = &e->cells[cell];
    const nca_sent *self = e->sent + cell, *north = self - e->stride, *south = self + e->stride;
    const nca_sent *newest[8] = { north, north + 1, self + 1, south + 1, south, south - 1, self - 1, north - 1 };
    const int64_t powered_at = c->powered_at - e->latency, listened_at = c->since - e->latency, earliest = powered_at > 0 ? powered_at : 0;
    const uint64_t span = now - e->latency > earliest ? (uint64_t)(now - e->latency - earliest) : 0;
    uint64_t sum = 0;

    for (uint32_t k = 0; k < 8; k++) {
        uint64_t after = (uint64_t)(newest[k]->sent_at - earliest);
        if (after >= span) {
            newest[k] += e->all_cells; /* the one before: the newest is still underway */
            after = (uint64_t)(newest[k]->sent_at - earliest);
            if (after >= span) {
                gather_any(e, c, self, now, heard, u);
                return;
            }
        }
        sum += after;
        memcpy(heard + k * NCA_CHANNELS_MAX, newest[k]->code, NCA_CHANNELS_MAX);
    }
    if (c->settled != 0) {
        for (uint32_t k = 0; k < 8; k++) {
            const int64_t stable_since = newest[k]->way.stable_since;
            c->settled = stable_since >= listened_at || stable_since < powered_at ? 0 : c->settled;
        }
    }
    c->since = now;
    u->age = c->links * (now - earliest) - (int64_t)sum;
    u->heard = c->links;
}

/* Sending. */

/* What a receiver makes of a frame whose bits flip: 0 if nothing flips, else 1, and 2 if it takes `code`, altered, for sound. */
static int flip(nca_engine *e, uint32_t number, uint32_t frame, int8_t *code)
{
    uint8_t wire[NCA_CHANNELS_MAX + 5];
    const nca_genome *genome = &e->programs[0].genome;
    const uint32_t h = chain(domain(number, BIT_ERROR), frame);
    uint32_t flips = 0;
    uint64_t at = 0;

    for (;; flips++) {
        const uint64_t drawn = chain(h, flips);
        uint32_t n = 0;
        while (n < e->clean_count && e->clean[n] <= drawn) {
            n++;
        }
        at += n;
        if (at >= e->clean_count) {
            break;
        }
        if (flips == 0) {
            nca_host_send(genome, NCA_LINK_STATE | e->place[frame], code, wire);
        }
        wire[(at - 1) / 8] ^= (uint8_t)(1u << (at - 1) % 8);
    }
    if (flips == 0) {
        return 0;
    }
    int8_t payload[NCA_CHANNELS_MAX];
    if (nca_host_receive(genome, wire, genome->channels + 5u, payload) == (NCA_LINK_STATE | e->place[frame])) {
        memcpy(code, payload, genome->channels);
        return 2;
    }
    return 1;
}

static void keep_altered(nca_engine *e, uint32_t cell, uint32_t frame, const int8_t *code)
{
    if (e->altered_count == e->altered_room) { /* those that no ring holds any more go */
        uint32_t kept = 0;
        for (uint32_t i = 0; i < e->altered_count; i++) {
            if (e->sent_count[e->altered[i].cell] - e->altered[i].sent <= e->ring) {
                e->altered[kept++] = e->altered[i];
            }
        }
        e->altered_count = kept;
        if (2 * kept >= e->altered_room) {
            nca_altered *more = realloc(e->altered, sizeof *more * (e->altered_room * 2 + 64));
            if (more == NULL) {
                abort(); /* some 64 KB */
            }
            e->altered = more;
            e->altered_room = e->altered_room * 2 + 64;
        }
    }
    nca_altered *a = &e->altered[e->altered_count++];
    a->cell = cell;
    a->sent = e->sent_count[cell];
    a->frame = frame;
    memcpy(a->code, code, NCA_CHANNELS_MAX);
}

/* What a sender is about to forget, and its receivers have not taken yet, is put into their memory. */
static void flush(nca_engine *e, uint32_t cell, uint64_t at, int64_t now)
{
    const nca_wire *listeners = e->listeners + (e->position != NULL ? e->position[cell] * NCA_LISTENERS : 0u);

    for (uint32_t i = 0; i < NCA_LISTENERS && listeners[i].used != 0; i++) {
        const uint32_t receiver = (uint32_t)((int32_t)cell + listeners[i].offset);
        const int64_t arrival = arrival_of(e, at, &listeners[i]);
        if (!is_lost(e, at, &listeners[i]) && arrival >= e->cells[receiver].since && arrival < now) {
            take(e, receiver, listeners[i].slot, cell, e->sent_count[cell] - e->ring, at, &listeners[i]);
        }
    }
}

static int frame_is_lost(nca_engine *e, const nca_cell *c, uint32_t frame, uint32_t number)
{
    if ((c->cut >> frame & 1) != 0) {
        return 1;
    }
    if (e->loss_limit == 0) {
        return 0;
    }
    uint64_t limit = e->loss_limit;
    if (e->loss_spread != 0) {
        const uint64_t drawn = chain(chain(domain(e->seed, LINK_QUALITY), c->chip), e->link[frame]);
        limit = limit * (65536 - e->loss_spread + (2 * e->loss_spread * drawn >> 32)) >> 16;
    }
    return chain(domain(number, LINK_LOSS), frame) < limit;
}

static void transmit_frames(nca_engine *e, uint32_t cell, uint64_t at, int64_t now)
{
    const nca_cell *c = &e->cells[cell];
    const uint32_t number = chain(chain(domain(e->seed, LINK_LOSS), c->number), e->sent_count[cell]);
    uint8_t lost = (uint8_t)~c->frames, altered = 0;

    if (e->passed != NULL) {
        for (uint32_t n = 0; n < 2; n++) {
            const uint64_t slot = (uint64_t)cell * 8 + (n == 0 ? NCA_EAST : NCA_WEST);
            e->passed[at].told_at[n] = e->heard_at[slot];
            memcpy(e->passed[at].code[n], e->inboxes + slot * NCA_CHANNELS_MAX, NCA_CHANNELS_MAX);
        }
    }
    for (uint32_t frame = 0; frame < 8; frame++) {
        if ((c->frames >> frame & 1) == 0) {
            continue;
        }
        const uint64_t link = c->chip * 8ull + e->link[frame];
        int64_t arrival = now + e->latency;
        e->messages_sent++;
        if (e->frame_ns != 0) {
            const int64_t start = e->free_at[link] > now ? e->free_at[link] : now;
            arrival = start + e->frame_ns + e->latency;
            if (start - now > e->queue_ns) {
                e->messages_dropped++;
                e->arrival[at * 8 + frame] = arrival + (int64_t)e->latency_jitter;
                lost |= (uint8_t)(1u << frame);
                continue;
            }
            e->free_at[link] = start + e->frame_ns;
        }
        if (e->latency_jitter != 0) {
            arrival += (int64_t)(chain(domain(number, LINK_JITTER), frame) * (e->latency_jitter + 1) >> 32);
            arrival = arrival > e->last_at[link] ? arrival : e->last_at[link];
            e->last_at[link] = arrival;
        }
        if (e->arrival != NULL) {
            e->arrival[at * 8 + frame] = arrival;
        }
        if (frame_is_lost(e, c, frame, number)) {
            e->messages_lost++;
            lost |= (uint8_t)(1u << frame);
        } else if (e->clean != NULL) {
            int8_t code[NCA_CHANNELS_MAX];
            const uint8_t carries = e->carries[frame];
            memcpy(code, carries == NCA_OWN ? e->sent[at].code : e->passed[at].code[carries == NCA_WEST], sizeof code);
            const int flipped = flip(e, number, frame, code);
            e->messages_corrupted += flipped != 0;
            e->messages_undetected += flipped == 2;
            if (flipped == 1) {
                lost |= (uint8_t)(1u << frame);
            } else if (flipped == 2) {
                altered |= (uint8_t)(1u << frame);
                keep_altered(e, cell, frame, code);
            }
        }
    }
    e->sent[at].way.lost_altered[0] = lost;
    e->sent[at].way.lost_altered[1] = altered;
}

/* Sends where links never fail: the newest message comes first, the oldest gives way. */
static void transmit_plain(nca_engine *e, uint32_t cell, int64_t now)
{
    const int8_t *state = e->states + (uint64_t)cell * NCA_CHANNELS_MAX;
    nca_sent *ring = e->sent + cell;
    const int same = same_state(ring->code, state) & (ring->sent_at != NCA_UNSENT);

    for (uint32_t n = e->ring - 1; n != 0; n--) {
        ring[(uint64_t)n * e->all_cells] = ring[(uint64_t)(n - 1) * e->all_cells];
    }
    if (!same) {
        ring->way.stable_since = now;
    }
    ring->sent_at = now;
    memcpy(ring->code, state, NCA_CHANNELS_MAX);
    e->messages_sent += e->cells[cell].links;
    e->cells[cell].sent++;
}

static void transmit(nca_engine *e, uint32_t cell, int64_t now)
{
    if (e->plain) {
        transmit_plain(e, cell, now);
        return;
    }
    const uint64_t at = (uint64_t)cell * e->ring + (e->sent_count[cell] & (e->ring - 1));
    nca_sent *s = &e->sent[at];

    if (s->sent_at != NCA_UNSENT) {
        flush(e, cell, at, now);
    }
    s->sent_at = now;
    memcpy(s->code, e->states + (uint64_t)cell * NCA_CHANNELS_MAX, NCA_CHANNELS_MAX);
    transmit_frames(e, cell, at, now);
    e->sent_count[cell]++;
    e->cells[cell].sent++;
}

/* What happens to cells from outside. */

void nca_engine_power_on(nca_engine *e, uint32_t count, const uint32_t *cells, int64_t now)
{
    for (uint32_t i = 0; i < count; i++) {
        e->cells[cells[i]].since = e->cells[cells[i]].powered_at = now;
        draw_wake(e, cells[i], now);
        into_bucket(e, cells[i]);
    }
}

void nca_engine_power_off(nca_engine *e, uint32_t count, const uint32_t *cells)
{
    for (uint32_t i = 0; i < count; i++) {
        nca_cell *c = &e->cells[cells[i]];
        if (c->next_wake >= 0) {
            out_of_bucket(e, cells[i]);
            c->next_wake = -1;
        }
        memset(e->states + (uint64_t)cells[i] * NCA_CHANNELS_MAX, 0, NCA_CHANNELS_MAX);
        if (!e->plain) {
            memset(e->inboxes + (uint64_t)cells[i] * 8 * NCA_CHANNELS_MAX, 0, 8 * NCA_CHANNELS_MAX);
            for (uint32_t k = 0; k < 8; k++) {
                e->heard_at[(uint64_t)cells[i] * 8 + k] = NEVER;
            }
        }
        c->quiet = 0;
        c->settled = 0;
    }
}

void nca_engine_plant(nca_engine *e, uint32_t cell, const int8_t *seed, uint8_t quiet, int64_t now)
{
    if (e->passed != NULL) { /* it also sends what it has heard */
        nca_update unused;
        listen(e, cell, now, &unused);
    }
    memcpy(e->states + (uint64_t)cell * NCA_CHANNELS_MAX, seed, NCA_CHANNELS_MAX);
    e->cells[cell].quiet = quiet;
    e->cells[cell].settled = 0;
    transmit(e, cell, now);
}

/* Batches. */

/* Asks for the memory of a wake. Always inline: a function that does nothing but ask has no effect that GCC knows of, and it leaves out the calls. */
ALWAYS_INLINE void prefetch(const nca_engine *e, uint32_t cell)
{
    PREFETCH(&e->cells[cell]);
    PREFETCH(e->states + (uint64_t)cell * NCA_CHANNELS_MAX);
    if (e->plain) {
        PREFETCH(e->sent + e->all_cells + cell);
        for (uint32_t k = 0; k < 8; k++) {
            PREFETCH(e->sent + ((int64_t)cell + e->sources[k].offset));
        }
    } else {
        PREFETCH(e->inboxes + (uint64_t)cell * 8 * NCA_CHANNELS_MAX);
        PREFETCH(e->inboxes + ((uint64_t)cell * 8 + 4) * NCA_CHANNELS_MAX);
        for (uint32_t k = 0; k < 8; k++) {
            PREFETCH(e->sent + (uint64_t)((int64_t)cell + e->sources[k].offset) * e->ring);
        }
    }
}

/* Wakes first..end of the batch listen, and what must be computed is. */
static void compute(nca_engine *e, uint32_t first, uint32_t end)
{
    nca_update *who[SLICE];
    int8_t gathered[SLICE][8 * NCA_CHANNELS_MAX], *states[SLICE];
    const int8_t *heard[SLICE];
    uint8_t program[SLICE], evaluated[SLICE];

    for (uint32_t start = first; start < end; start += SLICE) {
        const uint32_t stop = end - start < SLICE ? end : start + SLICE;
        uint32_t programs = 0, count = 0;
        for (uint32_t i = start; i < stop; i++) {
            if (e->far && i + AHEAD < e->order_end) {
                prefetch(e, e->order[i + AHEAD].cell);
            }
            const uint32_t cell = e->order[i].cell;
            const nca_cell *c = &e->cells[cell];
            nca_update *u = &e->batch[i];
            if (e->plain) {
                heard[count] = gathered[count];
                gather(e, cell, e->order[i].time, gathered[count], u);
            } else {
                heard[count] = e->inboxes + (uint64_t)cell * 8 * NCA_CHANNELS_MAX;
                listen(e, cell, e->order[i].time, u);
            }
            u->computed = (c->quiet | c->flags | c->settled) == 0;
            if (u->computed) {
                states[count] = e->states + (uint64_t)cell * NCA_CHANNELS_MAX;
                memcpy(u->old, states[count], NCA_CHANNELS_MAX);
                program[count] = c->program;
                programs |= c->program;
                who[count++] = u;
            }
        }
        if (programs == 0) {
            nca_fast_wake(e->programs, count, states, heard, evaluated);
        } else { /* strangers among them */
            for (uint32_t n = 0; n < count; n++) {
                nca_fast_wake(e->programs + program[n], 1, states + n, heard + n, evaluated + n);
            }
        }
        for (uint32_t n = 0; n < count; n++) {
            who[n]->evaluated = evaluated[n];
        }
    }
}

static void babble(nca_engine *e, uint32_t cell)
{
    const uint32_t h = chain(chain(domain(e->seed, BABBLE), e->cells[cell].number), e->cells[cell].sent);
    for (uint32_t c = 0; c < e->programs[0].genome.channels; c++) {
        e->states[(uint64_t)cell * NCA_CHANNELS_MAX + c] = (int8_t)((int32_t)(chain(h, c) * 255ull >> 32) - 127);
    }
}

static void little_endian(uint8_t *to, uint64_t v)
{
    const uint8_t bytes[8] = { (uint8_t)v,         (uint8_t)(v >> 8),  (uint8_t)(v >> 16), (uint8_t)(v >> 24),
                               (uint8_t)(v >> 32), (uint8_t)(v >> 40), (uint8_t)(v >> 48), (uint8_t)(v >> 56) };
    memcpy(to, bytes, sizeof bytes);
}

/* The outcome of a wake: its update is counted and recorded, its state is sent, its next wake is drawn. Gives the bytes recorded. */
static uint64_t commit(nca_engine *e, uint32_t i, uint8_t *record)
{
    const nca_update *u = &e->batch[i];
    const nca_wake *wake = &e->order[i];
    const uint32_t channels = e->programs[0].genome.channels;
    nca_cell *c = &e->cells[wake->cell];
    const int8_t *state = e->states + (uint64_t)wake->cell * NCA_CHANNELS_MAX;
    uint64_t written = 0;

    if (c->quiet != 0) {
        c->quiet--;
    } else if ((c->flags & NCA_STUCK) == 0) {
        const uint64_t time = (uint64_t)wake->time;
        if ((c->flags & NCA_BABBLING) != 0) {
            babble(e, wake->cell);
            c->settled = 0;
        } else if (u->computed) {
            e->computed_updates += u->evaluated;
            e->evaluated_updates += u->evaluated;
            c->settled = (uint8_t)(same_state(u->old, state) * (1 + u->evaluated));
        } else {
            e->evaluated_updates += (uint64_t)(c->settled - 1);
        }
        e->age += u->age;
        e->heard += u->heard;
        e->all_updates++;
        c->updates++;
        little_endian(record, time);
        little_endian(record + 8, c->number); /* and what the state overwrites */
        memcpy(record + 12, state, NCA_CHANNELS_MAX);
        written = 12 + channels;
    }
    transmit(e, wake->cell, wake->time);
    draw_wake(e, wake->cell, wake->time);
    return written;
}

static void compute_slice(void *engine, uint32_t slice, uint32_t slices)
{
    nca_engine *e = engine;
    const uint32_t end = e->batch_room; /* wakes of this batch */
    compute(e, (uint32_t)((uint64_t)end * slice / slices), (uint32_t)((uint64_t)end * (slice + 1) / slices));
}

/* Whether the next bucket begins before a time. */
static int bucket_before(const nca_engine *e, int64_t time)
{
    return e->bucket_now << e->bucket_shift < time;
}

/* Collects wakes that don't depend on each other: within the least latency, and no two of one chip. They are the first in `order`; gives how many. */
static uint32_t collect(nca_engine *e, int64_t until, uint32_t room)
{
    const int64_t window = e->latency < e->shortest_wait ? e->latency : e->shortest_wait;
    int64_t limit = until;
    uint32_t count;

    e->order_end -= e->order_first;
    memmove(e->order, e->order + e->order_first, sizeof *e->order * e->order_end);
    e->order_first = 0;
    while (e->order_end == 0 && bucket_before(e, until)) {
        take_bucket(e);
    }
    if (e->order_end == 0 || e->order[0].time >= until) {
        return 0;
    }
    if (limit - e->order[0].time > window) {
        limit = e->order[0].time + window;
    }
    while (e->order_end < room + AHEAD && bucket_before(e, limit)) {
        take_bucket(e);
    }
    count = e->order_end < room ? e->order_end : room;
    while (e->order[count - 1].time >= limit) {
        count--;
    }
    if (e->chip_seen != NULL) {
        e->batch_number++;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t *seen = &e->chip_seen[e->cells[e->order[i].cell].chip];
            if (*seen == e->batch_number) {
                count = i;
            }
            *seen = e->batch_number;
        }
    }
    e->order_first = count;
    return count;
}

uint64_t nca_engine_run(nca_engine *e, int64_t until, uint8_t *records, uint64_t size, uint8_t *more)
{
    const uint64_t record = 12u + e->programs[0].genome.channels;
    const uint32_t most = e->threads > 1 ? NCA_BATCH_MAX : 64;
    uint64_t written = 0;

    *more = 0;
    for (;;) {
        const uint64_t fit = (size - written) / record;
        if (fit == 0) {
            *more = 1;
            return written;
        }
        const uint32_t count = collect(e, until, fit < most ? (uint32_t)fit : most);
        if (count == 0) {
            put_back(e);
            return written;
        }
        if (e->threads > 1 && count >= 256) {
            if (e->pool == NULL) {
                e->pool = nca_pool_open(e->threads);
            }
            e->batch_room = count;
            nca_pool_run(e->pool, compute_slice, e);
        } else {
            compute(e, 0, count);
        }
        for (uint32_t i = 0; i < count; i++) {
            written += commit(e, i, records + written);
        }
        for (uint32_t i = 0; i < count; i++) { /* their buckets have come into the cache meanwhile */
            into_bucket(e, e->order[i].cell);
        }
    }
}

void nca_engine_close(nca_engine *e)
{
    if (e->pool != NULL) {
        nca_pool_close(e->pool);
        e->pool = NULL;
    }
    free(e->altered);
    e->altered = NULL;
    e->altered_count = e->altered_room = 0;
}
