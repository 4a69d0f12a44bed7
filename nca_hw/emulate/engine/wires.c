/* Open-drain wires: what each end pulls, and when the other end sees it. See engine.h. */
#include "engine.h"

/* Section 13.2.2: while no external interrupt is enabled, simavr's own way through its pins is left out for the time it takes. */
#define EIMSK 0x3d

uint8_t nca_wires_low(const chip *c)
{
    return (uint8_t)(c->pulls | c->heard);
}

/* Levels of a port's pins as they are now: simavr is told of every change, so that pin-change and external interrupts happen. */
void nca_wires_settle(chip *c, port *p)
{
    const nca_array *a = c->array;
    avr_t *avr = c->avr;
    avr_ioport_t *io = p->io;
    const uint8_t out = avr->data[io->r_ddr], latch = avr->data[io->r_port];
    const uint8_t wires = a->to_pins[p->index][0xff];
    uint8_t in = (uint8_t)(latch & ~p->external); /* open pins: their own pull-ups */
    in |= (uint8_t)(wires & ~a->to_pins[p->index][nca_wires_low(c)]);
    if (a->config.strap / 8 == p->index && c->strapped) {
        in |= (uint8_t)(1u << (a->config.strap % 8));
    }
    const uint8_t level = (uint8_t)((out & latch & ~wires) | (in & (wires | ~out)));
    const uint8_t changed = level ^ avr->data[io->r_pin];
    if (changed == 0) {
        return;
    }
    avr->data[io->r_pin] = level;
    if (avr->data[EIMSK] != 0) {
        for (uint8_t bit = 0; bit < 8; bit++) {
            if (changed >> bit & 1) {
                avr_raise_irq(io->io.irq + bit, level >> bit & 1);
            }
        }
    } else if (io->r_pcint != 0 && (avr->data[io->r_pcint] & changed) != 0) {
        avr_raise_interrupt(avr, &io->pcint);
    }
}

/* What has arrived by now. */
void nca_wires_deliver(chip *c, uint64_t now)
{
    uint8_t count = 0;
    while (count < c->incoming_count && c->incoming[count].due <= now) {
        const change *one = &c->incoming[count++];
        const uint8_t bit = (uint8_t)(1u << one->wire);
        c->heard = (uint8_t)(one->low ? c->heard | bit : c->heard & ~bit);
        port *p = &c->ports[c->array->wire_port[one->wire]];
        nca_wires_settle(c, p);
    }
    if (count != 0) {
        c->incoming_count = (uint8_t)(c->incoming_count - count);
        memmove(c->incoming, c->incoming + count, c->incoming_count * sizeof *c->incoming);
    }
}

/* A chip sees a wire change at `due`. */
void nca_wires_send(nca_array *a, chip *to, uint8_t wire, uint8_t low, uint64_t due)
{
    if (!to->powered) {
        return; /* told when its power comes */
    }
    if (to->incoming_count == INCOMING_MAX) {
        a->work.errors++;
        return;
    }
    uint8_t at = to->incoming_count++;
    for (; at > 0 && to->incoming[at - 1].due > due; at--) {
        to->incoming[at] = to->incoming[at - 1];
    }
    to->incoming[at] = (change){due, wire, low};
    if (due < to->due && (to->avr->state == cpu_Sleeping || to->avr->sreg[S_I])) {
        nca_wheel_leave(a, to);
        nca_wheel_enter(a, to, due, 0);
    }
}

void nca_wires_pull(chip *c, uint8_t pulls, uint64_t now)
{
    nca_array *a = c->array;
    const uint8_t changed = pulls ^ c->pulls;
    if (changed == 0) {
        return;
    }
    if (a->pull_count == a->pull_room) {
        const size_t room = a->pull_room ? 2 * a->pull_room : 1024;
        pull *grown = realloc(a->pulls, room * sizeof *grown);
        if (grown == NULL) {
            a->work.errors++;
            return;
        }
        a->pulls = grown;
        a->pull_room = room;
    }
    a->pulls[a->pull_count++] = (pull){now, c->number, c->pulls, pulls};
    c->pulls = pulls;
    for (uint8_t wire = 0; wire < 2 * NCA_EDGES; wire++) {
        if (changed >> wire & 1 & c->connected >> wire) {
            const int32_t other = a->config.neighbour[c->number * NCA_EDGES + wire / 2];
            nca_wires_send(a, &a->chips[other], wire ^ 4u, pulls >> wire & 1, now + a->config.delay);
        }
    }
}

uint8_t nca_wires_others(const nca_array *a, const chip *c)
{
    uint8_t low = 0;
    for (uint8_t wire = 0; wire < 2 * NCA_EDGES; wire++) {
        const int32_t other = a->config.neighbour[c->number * NCA_EDGES + wire / 2];
        if (other != NCA_NOBODY && c->connected >> wire & 1 && a->chips[other].pulls >> (wire ^ 4u) & 1) {
            low = (uint8_t)(low | 1u << wire);
        }
    }
    return low;
}
