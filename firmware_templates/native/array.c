/* An array of cells on the host. See array.h. */
#include "array.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "board.h"
#include "cell.h"
#include "link.h"
#include "wire.h"

#define STACK 65536u /* of a cell, bytes; hosts use more than chips */
#define GENOME ((const nca_genome *)0)

typedef struct member {
    nca_native native; /* first: the firmware's calls hand it over */
    nca_array *array;
    struct member *at_edge[EDGES];
    uint64_t time;       /* ns: when it goes on */
    uint64_t powered_at; /* ns */
    uint64_t steps;
    uint64_t steps_at; /* when the frame began */
    uint8_t *stack, *ram;
    ucontext_t start;
    jmp_buf here;
    uint32_t number, place; /* in the array, in the queue */
    uint32_t tick_ps;       /* length of its microsecond */
    uint32_t step_ns;
    uint32_t random;        /* of the firmware's noise */
    uint8_t pulls[EDGES], shorts[EDGES];
    uint8_t on, begun, asleep, changed, edge, out_size;
    uint8_t out[21];
} member;

struct nca_array {
    nca_array_settings settings;
    uint64_t now, until;
    uint32_t count, queued, random;
    uint64_t happened, room;
    nca_event *events;
    jmp_buf scheduler;
    member *cells;
    member **queue; /* a heap: the earliest first */
};

static uint32_t draw(nca_array *array)
{
    array->random = nca_random_next(array->random);
    return array->random;
}

/* The queue. Of two that are due at once the lower number goes first, so that a run is the same everywhere. */
static int earlier(const member *a, const member *b)
{
    return a->time < b->time || (a->time == b->time && a->number < b->number);
}

static void put(nca_array *array, uint32_t place, member *cell)
{
    array->queue[place] = cell;
    cell->place = place;
}

static void rise(nca_array *array, member *cell, uint32_t place)
{
    while (place != 0 && earlier(cell, array->queue[(place - 1) / 2])) {
        put(array, place, array->queue[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    put(array, place, cell);
}

static void sink(nca_array *array, member *cell, uint32_t place)
{
    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child >= array->queued) {
            break;
        }
        if (child + 1 < array->queued && earlier(array->queue[child + 1], array->queue[child])) {
            child++;
        }
        if (!earlier(array->queue[child], cell)) {
            break;
        }
        put(array, place, array->queue[child]);
        place = child;
    }
    put(array, place, cell);
}

static void push(nca_array *array, member *cell)
{
    rise(array, cell, array->queued++);
}

static member *pop(nca_array *array)
{
    member *first = array->queue[0], *last = array->queue[--array->queued];

    if (last != first) {
        sink(array, last, 0);
    }
    return first;
}

/* The cell that runs hands over until it is the earliest again. Its variables are only its own while it runs. */
static void hand_over(member *cell)
{
    if (_setjmp(cell->here) == 0) {
        _longjmp(cell->array->scheduler, 1);
    }
}

static void elapse(member *cell, uint64_t ns)
{
    const nca_array *array = cell->array;

    cell->time += ns;
    if (cell->time > array->until || array->happened + 2 > array->room || (array->queued != 0 && earlier(array->queue[0], cell))) {
        hand_over(cell);
    }
}

static void step(member *cell)
{
    nca_array *array = cell->array;
    const uint32_t mean = cell->step_ns;
    const int64_t off = (int64_t)(draw(array) >> 21) - 1024; /* -1024 .. 1023 */
    const int64_t ns = mean + (int64_t)mean * off * array->settings.jitter / (1024 * 1024);

    cell->steps++;
    elapse(cell, (uint64_t)(ns < 1 ? 1 : ns));
}

/* The neighbour at an edge, 0 for none. */
static member *neighbour(nca_array *array, uint32_t number, uint8_t edge)
{
    const uint32_t width = array->settings.width, x = number % width;

    if (edge == EDGE_N) {
        return number < width ? 0 : &array->cells[number - width];
    }
    if (edge == EDGE_S) {
        return number + width >= array->count ? 0 : &array->cells[number + width];
    }
    if (edge == EDGE_E) {
        return x + 1 == width ? 0 : &array->cells[number + 1];
    }
    return x == 0 ? 0 : &array->cells[number - 1];
}

static void notice(member *cell, uint64_t time)
{
    cell->changed = 1;
    if (cell->asleep && cell->time > time) {
        cell->time = time;
        rise(cell->array, cell, cell->place);
    }
}

static uint8_t wires(nca_native *native, uint8_t edge)
{
    member *cell = (member *)native;
    const member *other = cell->at_edge[edge];
    uint8_t low;

    step(cell);
    cell->edge = edge;
    low = cell->pulls[edge] | cell->shorts[edge];
    if (other != 0) {
        low |= other->pulls[edge ^ 2u] | other->shorts[edge ^ 2u];
    }
    if (cell->array->settings.glitches != 0 && draw(cell->array) < cell->array->settings.glitches) {
        low ^= (uint8_t)(1u + (draw(cell->array) >> 16) % 3u);
    }
    return (uint8_t)((low & NCA_WIRES) ^ NCA_WIRES);
}

static void pull(nca_native *native, uint8_t edge, uint8_t low)
{
    member *cell = (member *)native, *other = cell->at_edge[edge];

    step(cell);
    if (cell->pulls[edge] != low) {
        cell->pulls[edge] = low;
        if (other != 0 && other->on) {
            notice(other, cell->time);
        }
    }
}

static uint32_t now(nca_native *native)
{
    const member *cell = (member *)native;

    return (uint32_t)((cell->time - cell->powered_at) * 1000u / cell->tick_ps);
}

static void idle(nca_native *native, uint32_t alarm)
{
    member *cell = (member *)native;

    if (!cell->changed) {
        const int32_t left = (int32_t)(alarm - now(native));
        cell->asleep = 1;
        if (left > 0) {
            elapse(cell, (uint64_t)left * cell->tick_ps / 1000u + 1);
        }
        cell->asleep = 0;
    }
    cell->changed = 0;
}

static uint8_t noise(nca_native *native)
{
    member *cell = (member *)native;

    cell->random = nca_random_next(cell->random);
    return cell->random >> 16 & 1u;
}

static void light(nca_native *native, uint8_t value)
{
    (void)native;
    (void)value;
}

static void record(member *cell, enum nca_event_kind kind, uint8_t head, const int8_t *codes, uint8_t size)
{
    nca_array *array = cell->array;
    nca_event *event = &array->events[array->happened++];

    event->time = cell->time;
    event->cell = cell->number;
    event->looks = (uint32_t)(cell->steps - cell->steps_at);
    event->kind = (uint8_t)kind;
    event->edge = cell->edge;
    event->size = size;
    event->bytes[0] = head;
    memcpy(event->bytes + 1, codes, size - 1u);
}

static void report(nca_native *native, uint8_t byte)
{
    member *cell = (member *)native;

    cell->out[cell->out_size++] = byte;
    if (cell->out_size == NCA_CHANNELS(GENOME) + 5) {
        record(cell, NCA_REPORTED, cell->out[0], (const int8_t *)cell->out + 1, cell->out_size);
        cell->out_size = 0;
    }
    elapse(cell, cell->array->settings.byte_ns);
}

static void wake(nca_native *native, const nca_native_call *call)
{
    member *cell = (member *)native;

    (void)call;
    elapse(cell, cell->array->settings.update_ns);
}

static void frame(nca_native *native)
{
    member *cell = (member *)native;

    cell->steps_at = cell->steps;
}

static void framed(nca_native *native, uint8_t begun, uint8_t ended, const int8_t *codes)
{
    member *cell = (member *)native;

    if ((begun & ~NCA_LINK_DETAIL) == NCA_LINK_REPORT_STATE) {
        return;
    }
    if (begun != 0) {
        record(cell, ended ? NCA_GIVEN : NCA_NOT_GIVEN, begun, codes, 1);
    } else {
        record(cell, ended ? NCA_TAKEN : NCA_NOT_TAKEN, ended, codes, ended ? NCA_CHANNELS(GENOME) + 1 : 1);
    }
}

static void begin(unsigned int high, unsigned int low)
{
    nca_native_power_on((nca_native *)(uintptr_t)((uint64_t)high << 32 | low));
}

static void release(member *cell)
{
    memset(cell->pulls, 0, sizeof cell->pulls);
    for (uint8_t edge = 0; edge < EDGES; edge++) {
        member *other = cell->at_edge[edge];
        if (other != 0 && other->on) {
            notice(other, cell->array->now);
        }
    }
}

void nca_array_power(nca_array *array, uint32_t number, uint8_t on)
{
    member *cell = &array->cells[number];

    if (cell->on == on) {
        return;
    }
    if (on) {
        cell->on = 1;
        cell->begun = cell->asleep = cell->changed = cell->out_size = 0;
        cell->time = cell->powered_at = array->now;
        cell->steps = cell->steps_at = 0;
        push(array, cell);
        return;
    }
    cell->time = 0; /* to the front, and out */
    rise(array, cell, cell->place);
    pop(array);
    cell->on = 0;
    release(cell);
}

void nca_array_short(nca_array *array, uint32_t number, uint8_t edge, uint8_t low)
{
    member *cell = &array->cells[number], *other = cell->at_edge[edge];

    cell->shorts[edge] = low;
    if (cell->on) {
        notice(cell, array->now);
    }
    if (other != 0 && other->on) {
        notice(other, array->now);
    }
}

void nca_array_glitches(nca_array *array, uint32_t glitches)
{
    array->settings.glitches = glitches;
}

uint64_t nca_array_now(const nca_array *array)
{
    return array->now;
}

uint64_t nca_array_steps(const nca_array *array, uint32_t number)
{
    return array->cells[number].steps;
}

nca_array *nca_array_new(const nca_array_settings *settings)
{
    nca_array *array = calloc(1, sizeof *array);
    const size_t ram = (size_t)(nca_ram_end - nca_ram_start);

    if (array == 0) {
        return 0;
    }
    array->settings = *settings;
    array->random = settings->seed * 2654435769u | 1u;
    array->count = settings->width * settings->height;
    array->cells = calloc(array->count, sizeof *array->cells);
    array->queue = calloc(array->count, sizeof *array->queue);
    if (array->cells == 0 || array->queue == 0) {
        nca_array_close(array);
        return 0;
    }
    for (uint32_t i = 0; i < array->count; i++) {
        member *cell = &array->cells[i];
        cell->native = (nca_native){ wires, pull, now, idle, noise, light, report, wake, frame, framed, 0, settings->image_crc, i == settings->seed_cell, 0 };
        cell->array = array;
        cell->number = i;
        for (uint8_t edge = 0; edge < EDGES; edge++) {
            cell->at_edge[edge] = neighbour(array, i, edge);
        }
        cell->stack = malloc(STACK);
        cell->ram = calloc(1, ram);
        if (cell->stack == 0 || cell->ram == 0) {
            nca_array_close(array);
            return 0;
        }
        cell->tick_ps = 1000000u + (uint32_t)((uint64_t)draw(array) * (2u * settings->spread_ppm + 1u) >> 32) - settings->spread_ppm;
        cell->step_ns = settings->step_ns + (uint32_t)(((uint64_t)settings->step_ns * settings->slowest >> 10) * draw(array) >> 32);
        cell->random = draw(array);
        if (settings->same_noise) {
            cell->random = settings->seed | 1u;
        }
        nca_array_power(array, i, 1);
        cell->time = cell->powered_at = (uint64_t)draw(array) * settings->stagger_ns >> 32;
        sink(array, cell, cell->place);
    }
    return array;
}

void nca_array_close(nca_array *array)
{
    for (uint32_t i = 0; array->cells != 0 && i < array->count; i++) {
        free(array->cells[i].stack);
        free(array->cells[i].ram);
    }
    free(array->cells);
    free(array->queue);
    free(array);
}

static void go_on(nca_array *array, member *cell)
{
    const size_t ram = (size_t)(nca_ram_end - nca_ram_start);
    const uint64_t at = (uint64_t)(uintptr_t)cell;

    memcpy(nca_ram_start, cell->ram, ram);
    if (_setjmp(array->scheduler) == 0) {
        if (cell->begun) {
            _longjmp(cell->here, 1);
        }
        cell->begun = 1;
        getcontext(&cell->start);
        cell->start.uc_stack.ss_sp = cell->stack;
        cell->start.uc_stack.ss_size = STACK;
        cell->start.uc_link = 0;
        makecontext(&cell->start, (void (*)(void))begin, 2, (unsigned int)(at >> 32), (unsigned int)at);
        setcontext(&cell->start);
    }
    memcpy(cell->ram, nca_ram_start, ram);
}

uint64_t nca_array_run(nca_array *array, uint64_t until, nca_event *events, uint64_t room)
{
    array->until = until;
    array->events = events;
    array->room = room;
    array->happened = 0;
    while (array->queued != 0 && array->queue[0]->time <= until && array->happened + 4 <= room) {
        member *cell = pop(array);
        array->now = cell->time;
        go_on(array, cell);
        push(array, cell);
    }
    if (array->queued == 0 || array->queue[0]->time > until) {
        array->now = until;
    }
    return array->happened;
}
