/* What a chip's service port hears, byte by byte, at 115,200 baud: a receiver in place of simavr's, which is slower than a chip's and has a longer
 * memory. Interrupts of it there are none. See engine.h; section 20.7 of the data sheet. */
#include "engine.h"

#define BYTE 86805555555u /* femtoseconds of ten bits */
#define UCSR0A 0xc0
#define UCSR0B 0xc1
#define UDR0 0xc6
#define RXC 0x80u
#define RXEN 0x10u

/* Bytes that have come whole by now: two are kept until they are read, others are lost. */
static void hear(chip *c)
{
    const uint64_t now = nca_time(c);
    while (c->heard_first != c->heard_last && c->heard_due + BYTE <= now) {
        if (c->received_count < sizeof c->received && c->avr->data[UCSR0B] & RXEN) {
            c->received[c->received_count++] = c->heard_bytes[c->heard_first];
        }
        c->heard_first++;
        c->heard_due += BYTE;
    }
}

static uint8_t read_status(struct avr_t *avr, avr_io_addr_t addr, void *param)
{
    chip *c = param;
    const uint8_t others = c->read_status != NULL ? c->read_status(avr, addr, c->read_status_of) : avr->data[addr];
    hear(c);
    return (uint8_t)((others & ~RXC) | (c->received_count != 0 ? RXC : 0));
}

static uint8_t read_data(struct avr_t *avr, avr_io_addr_t addr, void *param)
{
    chip *c = param;
    (void)avr;
    (void)addr;
    hear(c);
    const uint8_t byte = c->received[0];
    if (c->received_count != 0) {
        c->received_count--;
        c->received[0] = c->received[1];
    }
    return byte;
}

void nca_service_take(chip *c)
{
    avr_t *avr = c->avr;
    c->read_status = avr->io[AVR_DATA_TO_IO(UCSR0A)].r.c;
    c->read_status_of = avr->io[AVR_DATA_TO_IO(UCSR0A)].r.param;
    avr->io[AVR_DATA_TO_IO(UCSR0A)].r.c = read_status;
    avr->io[AVR_DATA_TO_IO(UCSR0A)].r.param = c;
    avr->io[AVR_DATA_TO_IO(UDR0)].r.c = read_data;
    avr->io[AVR_DATA_TO_IO(UDR0)].r.param = c;
}

void nca_service_begin(chip *c, uint64_t now)
{
    c->received_count = 0;
    while (c->heard_first != c->heard_last && c->heard_due < now) {
        c->heard_first++;
        c->heard_due += BYTE;
    }
}

void nca_array_say(nca_array *a, uint32_t number, const uint8_t *bytes, uint32_t count)
{
    chip *c = &a->chips[number];
    if (c->heard_first == c->heard_last) {
        c->heard_first = c->heard_last = 0;
        c->heard_due = c->heard_due > a->now ? c->heard_due : a->now;
    }
    if (c->heard_last + count > c->heard_room) {
        uint8_t *grown = realloc(c->heard_bytes, 2 * (size_t)(c->heard_last + count));
        if (grown == NULL) {
            a->work.errors++;
            return;
        }
        c->heard_bytes = grown;
        c->heard_room = 2 * (c->heard_last + count);
    }
    if (c->powered) {
        memcpy(c->heard_bytes + c->heard_last, bytes, count);
        c->heard_last += count;
    }
}
