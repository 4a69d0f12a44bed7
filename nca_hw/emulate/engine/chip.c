/* One chip: its time, its power. See engine.h. */
#include "engine.h"

#include <simavr/avr_extint.h>
#include <simavr/sim_core.h>

/* IN r0, 0x00 takes the place of a watched instruction: the ATmega328P has no register there (section 36), so no firmware reads it. */
#define TRAP_OPCODE 0xb000u
#define TRAP_REGISTER 0x20u

/* Section 7.7.1: an interrupt is answered after four cycles at least, after four more if the chip was asleep. simavr does it in none. */
#define RESPONSE 4u
#define WAKING 4u

static void begin(chip *c, uint64_t now);

static uint8_t read_trap(struct avr_t *avr, avr_io_addr_t addr, void *param)
{
    chip *c = param;
    (void)addr;
    for (uint32_t i = 0; i < c->array->watches; i++) {
        if (c->array->watch[i] == avr->pc) {
            _longjmp(c->array->back, TRAPPED);
        }
    }
    return 0;
}

void nca_chip_watch(nca_array *a, uint32_t address, uint8_t ends)
{
    for (uint32_t i = 0; i < a->watches; i++) {
        if (a->watch[i] == address) {
            return;
        }
    }
    if (a->watches == NCA_WATCHES || address + 1 >= a->config.flash_bytes) {
        a->work.errors++;
        return;
    }
    a->watch[a->watches] = address;
    a->watch_ends[a->watches++] = ends;
    a->trapped[address] = TRAP_OPCODE & 0xff;
    a->trapped[address + 1] = TRAP_OPCODE >> 8;
    for (uint32_t i = 0; i < a->config.chips; i++) {
        if (a->chips[i].own_flash) {
            a->chips[i].trapped[address] = TRAP_OPCODE & 0xff;
            a->chips[i].trapped[address + 1] = TRAP_OPCODE >> 8;
        }
    }
}

/* The chip is about to run a watched instruction. */
static void trap(chip *c)
{
    nca_array *a = c->array;
    avr_t *avr = c->avr;
    uint32_t i = 0;
    while (a->watch[i] != avr->pc) {
        i++;
    }
    if (c->passing == avr->pc + 1) {
        return;
    }
    c->passing = avr->pc + 1;
    if (!a->watch_ends[i]) {
        const uint16_t sp = _avr_sp_get(avr);
        if (sp + 2u <= avr->ramend) {
            nca_chip_watch(a, 2u * (uint32_t)(avr->data[sp + 1] << 8 | avr->data[sp + 2]), 1);
        }
        nca_tell(a, NCA_UPDATE_BEGINS, c->number, nca_time(c))->a = c->pulls;
        c->updating = 1;
        c->entered = avr->cycle;
    } else if (c->updating) {
        nca_array_event *event = nca_tell(a, NCA_UPDATE_ENDS, c->number, nca_time(c));
        event->cycles = (uint32_t)(avr->cycle - c->entered);
        memcpy(event->data, avr->data + a->config.state, a->config.state_bytes);
        c->updating = 0;
    }
}

static void fire_timers(avr_t *avr)
{
    const avr_cycle_timer_slot_t *timer = avr->cycle_timers.timer;
    if (timer != NULL && timer->when <= avr->cycle) {
        avr_cycle_timer_process(avr);
    }
}

/* avr_run_one stops at this cycle, or at the next timer. */
static void set_reach(avr_t *avr, uint64_t limit)
{
    const avr_cycle_timer_slot_t *timer = avr->cycle_timers.timer;
    const uint64_t until = timer != NULL && timer->when < limit ? timer->when : limit;
    avr->run_cycle_count = until > avr->cycle ? until - avr->cycle : 1;
}

/* Runs instructions until a wire has to wait for others (gives 0), or as far as run_cycle_count tells. */
static int step(chip *c)
{
    nca_array *a = c->array;
    avr_t *avr = c->avr;
    switch (_setjmp(a->back)) {
    case 0:
        avr->pc = avr_run_one(avr);
        break;
    case TRAPPED:
        trap(c);
        avr->flash = c->plain;
        avr->run_cycle_count = 1;
        if (_setjmp(a->back) != 0) {
            avr->flash = c->trapped;
            return 0;
        }
        avr->pc = avr_run_one(avr);
        avr->flash = c->trapped;
        break;
    default:
        return 0;
    }
    c->passing = 0;
    fire_timers(avr);
    return 1;
}

/* Section 7.7: one instruction is run after SEI before any interrupt is answered; simavr runs two, so that `sei, sleep, cli` would never be
 * woken. */
static void interrupt(avr_t *avr)
{
    const avr_flashaddr_t pc = avr->pc;
    const int counting = avr->interrupt_state < 0;
    avr_service_interrupts(avr);
    if (counting && avr->interrupt_state > 0) {
        avr_service_interrupts(avr);
    }
    if (avr->pc != pc) {
        avr->cycle += RESPONSE;
    }
}

/* Lets a sleeping chip's time pass to its next timer or wire. Gives the time of that if it is not before `bound`, else 0. */
static uint64_t doze(chip *c, uint64_t bound)
{
    avr_t *avr = c->avr;
    const uint64_t timer = avr->cycle_timers.timer ? c->base + avr->cycle_timers.timer->when * c->period : NEVER;
    const uint64_t wire = c->incoming_count ? c->incoming[0].due : NEVER;
    const uint64_t next = timer < wire ? timer : wire;
    if (next >= bound) {
        return next;
    }
    const uint64_t cycle = nca_cycle(c, next);
    if (cycle > avr->cycle) {
        c->slept += cycle - avr->cycle;
        avr->cycle = cycle;
    }
    const uint64_t now = nca_time(c);
    nca_wires_deliver(c, now < bound ? now : bound - 1);
    fire_timers(avr);
    if (avr->state == cpu_Running) {
        avr->cycle += WAKING;
    }
    return 0;
}

/* How far a running chip may go by itself, a cycle. Gives 0 if not at all. */
static uint64_t reach(chip *c, uint64_t bound)
{
    const avr_t *avr = c->avr;
    const uint64_t now = nca_time(c);
    if (avr->cycle >= c->horizon_cycle) {
        return 0;
    }
    if (!avr->sreg[S_I]) {
        return c->horizon_cycle;
    }
    if (now >= bound) { /* a wire might interrupt it */
        return 0;
    }
    nca_wires_deliver(c, now);
    const uint64_t next = c->incoming_count && c->incoming[0].due < bound ? c->incoming[0].due : bound;
    const uint64_t cycle = nca_cycle(c, next);
    return cycle < c->horizon_cycle ? cycle : c->horizon_cycle;
}

/* Runs a chip until it has to wait for others, or has nothing to do before `bound`. Gives the time at which it wants to go on. */
uint64_t nca_chip_run(chip *c, uint64_t bound)
{
    nca_array *a = c->array;
    avr_t *avr = c->avr;
    c->bound = bound;
    a->work.visits++;
    for (;;) {
        if (avr->state == cpu_Sleeping) {
            const uint64_t later = doze(c, bound);
            if (later != 0) {
                return later;
            }
        } else if (avr->state == cpu_Running) {
            const uint64_t limit = reach(c, bound);
            if (limit == 0) {
                return nca_time(c);
            }
            fire_timers(avr);
            set_reach(avr, limit);
            if (!step(c)) {
                return nca_time(c);
            }
        } else {
            nca_tell(a, NCA_CRASHED, c->number, nca_time(c))->cycles = avr->pc;
            avr->state = cpu_Stopped;
            return NEVER;
        }
        if (avr->run != c->run) { /* simavr's watchdog asks for a reset */
            const uint64_t now = nca_time(c);
            avr->run(avr);
            c->base = now - avr->cycle * c->period;
            nca_tell(a, NCA_WATCHDOG, c->number, now);
            begin(c, now);
        } else if (avr->interrupt_state) {
            interrupt(avr);
        }
    }
}

static uint64_t mixed(uint64_t x)
{
    x ^= x >> 33; /* MurmurHash3's 64-bit finaliser */
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ x >> 33;
}

static uint8_t filled(uint64_t fill, uint32_t address)
{
    return (uint8_t)mixed(fill + address * UINT64_C(0x9e3779b97f4a7c15));
}

/* After a reset: pins are inputs, and registers of simavr's are as at the beginning. */
static void begin(chip *c, uint64_t now)
{
    nca_array *a = c->array;
    nca_edges_end(a, c->number, now);
    nca_wires_pull(c, 0, now);
    nca_edges_read(a);
    nca_flash_begin(c);
    nca_service_begin(c, now);
    c->avr->flash = a->config.reads_itself ? c->plain : c->trapped;
    c->pushes = 0;
    c->updating = 0;
    c->passing = 0;
    c->led_bits = 0;
    for (uint8_t i = 0; i < 2; i++) { /* or simavr looks at a low INT pin in every cycle, whether its interrupt is enabled or not */
        avr_extint_set_strict_lvl_trig(c->avr, i, 0);
    }
    for (unsigned i = 0; i < PORTS; i++) {
        if (c->ports[i].io != NULL) {
            nca_wires_settle(c, &c->ports[i]);
        }
    }
}

void nca_array_power_off(nca_array *a, uint32_t number)
{
    chip *c = &a->chips[number];
    if (!c->powered) {
        return;
    }
    nca_wheel_leave(a, c);
    nca_edges_end(a, number, a->now);
    nca_wires_pull(c, 0, a->now);
    nca_edges_read(a);
    nca_flash_break(c, a->now, mixed(a->now ^ mixed(number)));
    c->powered = 0;
    c->incoming_count = 0;
    c->heard = 0;
    c->due = NEVER;
    c->avr->state = cpu_Stopped;
}

void nca_array_power_on(nca_array *a, uint32_t number, int is_seed)
{
    chip *c = &a->chips[number];
    avr_t *avr = c->avr;
    nca_array_power_off(a, number);
    c->fill = mixed((uint64_t)a->config.seed << 32 ^ mixed(number + UINT64_C(1)) ^ mixed(a->now));
    for (uint32_t address = 0; address <= avr->ramend; address++) {
        if (address < 32 || address > avr->ioend) {
            avr->data[address] = filled(c->fill, address);
        }
    }
    avr->interrupt_state = 0;
    avr->cycle = 0;
    avr_reset(avr);
    avr->cycle = 0;
    c->base = a->now;
    c->slept = 0;
    c->powered = 1;
    c->strapped = is_seed ? a->config.strapped : !a->config.strapped;
    c->heard = nca_wires_others(a, c);
    c->led_rose = c->led_fell = 0;
    begin(c, a->now);
    nca_wheel_enter(a, c, a->now, a->window);
}

uint32_t nca_array_stack(const nca_array *a, uint32_t number, uint32_t bottom)
{
    const chip *c = &a->chips[number];
    uint32_t address = bottom;
    while (address <= c->avr->ramend && c->avr->data[address] == filled(c->fill, address)) {
        address++;
    }
    return c->avr->ramend + 1 - address;
}

int nca_chip_make(nca_array *a, uint32_t number)
{
    chip *c = &a->chips[number];
    avr_t *avr = avr_make_mcu_by_name(a->config.mcu);
    if (avr == NULL) {
        return 0;
    }
    c->avr = avr;
    c->array = a;
    c->number = number;
    c->period = a->config.period[number];
    c->due = NEVER;
    c->next = c->previous = NCA_NOBODY;
    avr_init(avr);
    free(avr->flash);
    avr->flash = NULL;
    if (!nca_flash_take(c)) {
        return 0;
    }
    avr->flash = c->trapped;
    avr->frequency = a->config.clock_hz;
    avr->log = LOG_ERROR;
    c->run = avr->run;
    avr->state = cpu_Stopped;

    nca_pins_take(c);
    nca_service_take(c);
    for (uint8_t wire = 0; wire < 2 * NCA_EDGES; wire++) {
        if (c->ports[a->wire_port[wire]].io == NULL) {
            return 0;
        }
        if (a->config.neighbour[number * NCA_EDGES + wire / 2] != NCA_NOBODY) {
            c->connected = (uint8_t)(c->connected | 1u << wire);
        }
    }
    avr->io[AVR_DATA_TO_IO(TRAP_REGISTER)].r.c = read_trap;
    avr->io[AVR_DATA_TO_IO(TRAP_REGISTER)].r.param = c;
    return 1;
}
