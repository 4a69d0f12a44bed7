/* See simavr_array.h. */
#include "engine.h"

#include <stdarg.h>
#include <stdio.h>

#include <simavr/sim_core.h>

static nca_array *complaining; /* simavr's logger knows no array */

static void complain(struct avr_t *avr, const int level, const char *format, va_list ap)
{
    (void)avr;
    if (level <= LOG_WARNING && level != LOG_OUTPUT && complaining != NULL && complaining->complaint[0] == '\0') {
        vsnprintf(complaining->complaint, sizeof complaining->complaint, format, ap);
    }
}

nca_array_event *nca_tell(nca_array *a, uint8_t kind, uint32_t number, uint64_t time)
{
    static nca_array_event nowhere;
    if (a->event_count == a->event_room) {
        const size_t room = a->event_room ? 2 * a->event_room : 4096;
        nca_array_event *grown = realloc(a->events, room * sizeof *grown);
        if (grown == NULL) {
            a->work.errors++;
            return &nowhere;
        }
        a->events = grown;
        a->event_room = room;
    }
    nca_array_event *event = &a->events[a->event_count++];
    memset(event, 0, sizeof *event);
    event->kind = kind;
    event->chip = number;
    event->time = time;
    return event;
}

static void run_window(nca_array *a)
{
    const uint32_t slot = (uint32_t)(a->window % SLOTS);
    const uint64_t bound = (a->window + 1) << a->shift;
    int32_t at;
    while ((at = a->slots[slot]) != NCA_NOBODY) {
        chip *c = &a->chips[at];
        nca_wheel_leave(a, c);
        nca_wheel_enter(a, c, c->due < bound ? nca_chip_run(c, bound) : c->due, a->window + 1);
    }
    nca_edges_read(a);
    a->work.windows++;
}

uint64_t nca_array_run(nca_array *a, uint64_t until)
{
    const uint64_t last = (until + ((UINT64_C(1) << a->shift) - 1)) >> a->shift;
    complaining = a;
    for (uint32_t i = 0; i < a->config.chips; i++) {
        a->chips[i].horizon_cycle = nca_cycle(&a->chips[i], last << a->shift);
    }
    while ((a->window = nca_wheel_next(a, last)) < last) {
        run_window(a);
        a->window++;
    }
    a->now = last << a->shift;
    for (uint32_t i = 0; i < a->config.chips; i++) {
        nca_pins_told(&a->chips[i]);
    }
    return a->event_count;
}

uint64_t nca_array_now(const nca_array *a)
{
    return a->now;
}

const nca_array_event *nca_array_events(const nca_array *a)
{
    return a->events;
}

void nca_array_forget_events(nca_array *a)
{
    a->event_count = 0;
}

void nca_array_cut(nca_array *a, uint32_t number, uint32_t direction, uint32_t wire, int cut)
{
    chip *c = &a->chips[number];
    const uint32_t bit = 2 * direction + wire;
    const int32_t there = a->config.neighbour[number * NCA_EDGES + direction];
    if (there == NCA_NOBODY || (c->connected >> bit & 1) == !cut) {
        return;
    }
    chip *other = &a->chips[there];
    c->connected = (uint8_t)(cut ? c->connected & ~(1u << bit) : c->connected | 1u << bit);
    other->connected = (uint8_t)(cut ? other->connected & ~(1u << (bit ^ 4u)) : other->connected | 1u << (bit ^ 4u));
    nca_wires_send(a, c, (uint8_t)bit, (uint8_t)(!cut && other->pulls >> (bit ^ 4u) & 1), a->now + a->config.delay);
    nca_wires_send(a, other, (uint8_t)(bit ^ 4u), (uint8_t)(!cut && c->pulls >> bit & 1), a->now + a->config.delay);
}

int nca_array_has_power(const nca_array *a, uint32_t number)
{
    return (int)a->chips[number].powered;
}

void nca_array_peek(const nca_array *a, uint32_t number, uint32_t address, uint32_t size, uint8_t *into)
{
    memcpy(into, a->chips[number].avr->data + address, size);
}

void nca_array_poke(nca_array *a, uint32_t number, uint32_t address, uint32_t size, const uint8_t *from)
{
    memcpy(a->chips[number].avr->data + address, from, size);
}

uint8_t nca_array_wires(const nca_array *a, uint32_t number)
{
    return (uint8_t)~nca_wires_low(&a->chips[number]);
}

void nca_array_led_timing(const nca_array *a, nca_array_led *into)
{
    *into = a->led;
}

void nca_array_work_done(const nca_array *a, nca_array_work *into)
{
    *into = a->work;
    into->cycles = into->slept = 0;
    for (uint32_t i = 0; i < a->config.chips; i++) {
        const chip *c = &a->chips[i];
        if (c->powered) {
            const uint64_t now = c->avr->state == cpu_Sleeping ? nca_cycle(c, a->now) : 0;
            const uint64_t more = now > c->avr->cycle ? now - c->avr->cycle : 0; /* told when it is looked at */
            into->cycles += c->avr->cycle + more;
            into->slept += c->slept + more;
        }
    }
}

const char *nca_array_complaint(const nca_array *a)
{
    return a->complaint;
}

nca_array *nca_array_open(const nca_array_config *config)
{
    nca_array *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return NULL;
    }
    avr_global_logger_set(complain);
    complaining = a;
    a->config = *config;
    a->config.neighbour = NULL;
    while ((UINT64_C(2) << a->shift) <= config->delay) {
        a->shift++;
    }
    memset(a->slots, 0xff, sizeof a->slots); /* NCA_NOBODY */
    a->led.zero_least = a->led.one_least = a->led.gap_least = NEVER;
    for (unsigned wire = 0; wire < 2 * NCA_EDGES; wire++) {
        const unsigned index = config->wire[wire] / 8, bit = config->wire[wire] % 8;
        if (index >= PORTS) {
            nca_array_close(a);
            return NULL;
        }
        a->wire_port[wire] = (uint8_t)index;
        for (unsigned pattern = 0; pattern < 256; pattern++) {
            if (pattern >> bit & 1) {
                a->to_wires[index][pattern] = (uint8_t)(a->to_wires[index][pattern] | 1u << wire);
            }
            if (pattern >> wire & 1) {
                a->to_pins[index][pattern] = (uint8_t)(a->to_pins[index][pattern] | 1u << bit);
            }
        }
    }
    avr_t *model = avr_make_mcu_by_name(config->mcu);
    const uint32_t flash = model == NULL ? 0 : model->flashend + 1;
    free(model);
    a->chips = calloc(config->chips, sizeof *a->chips);
    a->edges = calloc(2 * (size_t)config->chips, sizeof *a->edges);
    a->plain = malloc((size_t)flash + 4);
    a->trapped = malloc((size_t)flash + 4);
    if (flash == 0 || config->flash_bytes > flash || config->frame_bytes > NCA_EVENT_DATA || config->state_bytes > NCA_EVENT_DATA
        || !a->chips || !a->edges || !a->plain || !a->trapped) {
        nca_array_close(a);
        return NULL;
    }
    memset(a->plain, 0xff, (size_t)flash + 4);
    memcpy(a->plain, config->flash, config->flash_bytes);
    a->plain[flash] = a->plain[flash + 1] = AVR_OVERFLOW_OPCODE & 0xff;
    memcpy(a->trapped, a->plain, (size_t)flash + 4);
    a->config.flash = a->plain;
    int32_t *neighbour = malloc((size_t)config->chips * NCA_EDGES * sizeof *neighbour);
    if (neighbour != NULL) {
        memcpy(neighbour, config->neighbour, (size_t)config->chips * NCA_EDGES * sizeof *neighbour);
    }
    a->config.neighbour = neighbour;
    if (config->wake != 0) {
        nca_chip_watch(a, config->wake, 0);
    }
    for (uint32_t i = 0; i < config->chips; i++) {
        if (neighbour == NULL || !nca_chip_make(a, i)) {
            nca_array_close(a);
            return NULL;
        }
    }
    return a;
}

void nca_array_close(nca_array *a)
{
    if (a == NULL) {
        return;
    }
    for (uint32_t i = 0; a->chips != NULL && i < a->config.chips; i++) {
        avr_t *avr = a->chips[i].avr;
        if (avr != NULL) {
            avr->flash = NULL;
            avr_terminate(avr);
            free(avr);
            nca_flash_free(&a->chips[i]);
            free(a->chips[i].heard_bytes);
        }
    }
    if (complaining == a) {
        complaining = NULL;
    }
    free((void *)(uintptr_t)a->config.neighbour);
    free(a->chips);
    free(a->edges);
    free(a->plain);
    free(a->trapped);
    free(a->pulls);
    free(a->events);
    free(a);
}
