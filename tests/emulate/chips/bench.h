/* What the little firmwares of these tests share: the wires of the bench, open drain, and the service port. */
#ifndef BENCH_H
#define BENCH_H

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <avr/wdt.h>
#include <stdint.h>

/* East: C0, C1. West: C2, C3. North: B0, B1. South: B2, B3. LED: D6. Strap: D4. */
enum { EAST = 0, WEST = 2 };

static inline void pull(uint8_t side, uint8_t mask) /* PORTC is 0: a pin is low or let go */
{
    DDRC = (uint8_t)((DDRC & ~(3 << side)) | mask << side);
}

static inline uint8_t look(uint8_t side)
{
    return PINC >> side & 3;
}

static inline void service_begin(void)
{
    UBRR0 = 0;
    UCSR0B = 1 << TXEN0;
}

static inline void service(uint8_t byte)
{
    while (!(UCSR0A & 1 << UDRE0)) {
    }
    UDR0 = byte;
}

static inline uint8_t strapped(void)
{
    return PIND >> 4 & 1;
}

#endif
