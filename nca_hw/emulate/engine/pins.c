/* Registers of the ports in place of simavr's, whose pull-ups would hold up a wire that the other end pulls; the LED's data line; the
 * service port. See engine.h. */
#include "engine.h"

#include <simavr/avr_uart.h>

/* WS2812B data sheets: a 1 is high for 0.55 us at least, a 0 for 0.5 us at most; low for 50 us (newer kinds 280 us) is a reset. */
#define LED_ONE 530000000u
#define LED_RESET 50000000000u

#define LINK_START 0x80u /* docs/protocol.md */

static void synchronise(chip *c)
{
    const uint64_t now = nca_time(c);
    if (now >= c->bound) {
        _longjmp(c->array->back, SYNCHRONISE);
    }
    if (!c->flash_blocked) {
        c->avr->flash = c->trapped;
    }
    nca_wires_deliver(c, now);
}

static void span(uint64_t *least, uint64_t *most, uint64_t value)
{
    *least = value < *least ? value : *least;
    *most = value > *most ? value : *most;
}

static void led_changes(chip *c, uint8_t level)
{
    nca_array *a = c->array;
    const uint64_t now = nca_time(c);
    if (level) {
        if (now - c->led_fell >= LED_RESET) {
            a->led.odd += c->led_bits % 24;
            c->led_bits = 0;
        } else if (c->led_bits != 0) {
            span(&a->led.gap_least, &a->led.gap_most, now - c->led_fell);
        }
        c->led_rose = now;
        return;
    }
    const uint64_t width = now - c->led_rose;
    const uint32_t bit = width >= LED_ONE;
    c->led_fell = now;
    if (bit) {
        span(&a->led.one_least, &a->led.one_most, width);
    } else {
        span(&a->led.zero_least, &a->led.zero_most, width);
    }
    c->led_word = c->led_word << 1 | bit;
    if (++c->led_bits == 24) { /* what follows without a reset is for the next LED on the line */
        nca_array_event *event = nca_tell(a, NCA_LIGHT, c->number, now);
        event->data[0] = (uint8_t)(c->led_word >> 16);
        event->data[1] = (uint8_t)(c->led_word >> 8);
        event->data[2] = (uint8_t)c->led_word;
        a->led.lights++;
    }
}

static void drive(port *p, uint8_t out, uint8_t latch)
{
    chip *c = p->chip;
    nca_array *a = c->array;
    avr_t *avr = c->avr;
    const uint8_t *wires = a->to_wires[p->index];
    const uint8_t mine = wires[0xff];
    const uint8_t pulls = (uint8_t)((c->pulls & ~mine) | wires[(uint8_t)(out & ~latch)]);
    const uint8_t pushes = (uint8_t)((c->pushes & ~mine) | wires[(uint8_t)(out & latch)]);
    const uint8_t old = avr->data[p->io->r_ddr] & avr->data[p->io->r_port];
    if (pulls != c->pulls) {
        synchronise(c);
    }
    avr->data[p->io->r_ddr] = out;
    avr->data[p->io->r_port] = latch;
    if (pushes & (uint8_t)~c->pushes) {
        nca_tell(a, NCA_PUSHED, c->number, nca_time(c))->a = pushes;
    }
    c->pushes = pushes;
    if (a->config.led / 8 == p->index && ((old ^ (out & latch)) >> (a->config.led % 8) & 1)) {
        led_changes(c, (out & latch) >> (a->config.led % 8) & 1);
    }
    nca_wires_pull(c, pulls, nca_time(c));
    nca_wires_settle(c, p);
}

static void write_ddr(struct avr_t *avr, avr_io_addr_t addr, uint8_t value, void *param)
{
    port *p = param;
    (void)addr;
    drive(p, value, avr->data[p->io->r_port]);
}

static void write_port(struct avr_t *avr, avr_io_addr_t addr, uint8_t value, void *param)
{
    port *p = param;
    (void)addr;
    drive(p, avr->data[p->io->r_ddr], value);
}

/* Section 14.2.2: a one toggles the bit of PORT. SBI means one bit (section 14.2.2), which simavr makes out of a read of all. */
static void write_pin(struct avr_t *avr, avr_io_addr_t addr, uint8_t value, void *param)
{
    port *p = param;
    const uint16_t opcode = (uint16_t)(avr->flash[avr->pc] | avr->flash[avr->pc + 1] << 8);
    (void)addr;
    if ((opcode & 0xff00) == 0x9a00) {
        value = (uint8_t)(1u << (opcode & 7));
    }
    drive(p, avr->data[p->io->r_ddr], avr->data[p->io->r_port] ^ value);
}

static uint8_t read_pin(struct avr_t *avr, avr_io_addr_t addr, void *param)
{
    port *p = param;
    if (p->chip->array->to_wires[p->index][0xff] != 0) {
        synchronise(p->chip);
    }
    return avr->data[addr];
}

static uint8_t read_flags(struct avr_t *avr, avr_io_addr_t addr, void *param)
{
    synchronise(param);
    return avr->data[addr];
}

/* Section 13.2.4: a one clears the flag of a pin change. */
static void write_flags(struct avr_t *avr, avr_io_addr_t addr, uint8_t value, void *param)
{
    chip *c = param;
    synchronise(c);
    for (unsigned i = 0; i < PORTS; i++) {
        avr_ioport_t *io = c->ports[i].io;
        if (io != NULL && io->pcint.raised.reg == addr && value >> io->pcint.raised.bit & 1) {
            avr_clear_interrupt(avr, &io->pcint);
        }
    }
}

/* Bytes from the service port are told several at a time: by frames, if they are some. */
void nca_pins_told(chip *c)
{
    if (c->said != 0) {
        nca_array_event *event = nca_tell(c->array, NCA_SERVICE, c->number, c->said_at);
        event->a = c->said;
        memcpy(event->data, c->says, c->said);
        c->said = 0;
    }
}

static void service_byte(struct avr_irq_t *irq, uint32_t value, void *param)
{
    chip *c = param;
    (void)irq;
    if (c->said == NCA_EVENT_DATA || value == LINK_START) {
        nca_pins_told(c);
    }
    if (c->said == 0) {
        c->said_at = nca_time(c);
    }
    c->says[c->said++] = (uint8_t)value;
}

static void take_port(chip *c, avr_ioport_t *found)
{
    const nca_array *a = c->array;
    avr_t *avr = c->avr;
    const unsigned index = (unsigned)(found->name - 'A');
    if (index >= PORTS) {
        return;
    }
    port *p = &c->ports[index];
    p->chip = c;
    p->io = found;
    p->index = (uint8_t)index;
    p->external = a->to_pins[index][0xff];
    if (a->config.strap / 8 == index) {
        p->external = (uint8_t)(p->external | 1u << (a->config.strap % 8));
    }
    avr->io[AVR_DATA_TO_IO(found->r_ddr)].w.c = write_ddr;
    avr->io[AVR_DATA_TO_IO(found->r_ddr)].w.param = p;
    avr->io[AVR_DATA_TO_IO(found->r_port)].w.c = write_port;
    avr->io[AVR_DATA_TO_IO(found->r_port)].w.param = p;
    avr->io[AVR_DATA_TO_IO(found->r_pin)].w.c = write_pin;
    avr->io[AVR_DATA_TO_IO(found->r_pin)].w.param = p;
    avr->io[AVR_DATA_TO_IO(found->r_pin)].r.c = read_pin;
    avr->io[AVR_DATA_TO_IO(found->r_pin)].r.param = p;
    if (found->pcint.raised.reg) {
        const unsigned reg = AVR_DATA_TO_IO(found->pcint.raised.reg);
        avr->io[reg].w.c = write_flags;
        avr->io[reg].w.param = c;
        avr->io[reg].r.c = read_flags;
        avr->io[reg].r.param = c;
    }
}

void nca_pins_take(chip *c)
{
    avr_t *avr = c->avr;
    uint32_t flags = 0;
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags); /* neither sleeps of the host nor lines on its screen */
    avr_irq_t *out = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT);
    if (out != NULL) {
        avr_irq_register_notify(out, service_byte, c);
    }
    for (avr_io_t *io = avr->io_port; io != NULL; io = io->next) {
        if (io->kind != NULL && strcmp(io->kind, "port") == 0) {
            take_port(c, (avr_ioport_t *)io);
        }
    }
}
