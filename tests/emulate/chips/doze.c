/* The strapped chip pulls its eastern wire 0 for a while after 1000 us; the other sleeps until a wire changes, and tells how long it slept:
 * microseconds by timer 1, low byte first, at the wire's fall and at its rise. */
#include "bench.h"

ISR(PCINT1_vect)
{
}

int main(void)
{
    service_begin();
    TCCR1B = 1 << CS11; /* clock / 8 */
    if (strapped()) {
        while (TCNT1 < 2000) {
        }
        pull(EAST, 1);
        while (TCNT1 < 3000) {
        }
        pull(EAST, 0);
        cli();
        sleep_mode(); /* for ever */
    }
    PCMSK1 = 1 << 2;
    PCICR = 1 << PCIE1;
    for (uint8_t n = 0; n < 2; n++) {
        sleep_enable();
        sei();
        sleep_cpu();
        cli();
        const uint16_t ticks = TCNT1;
        service((uint8_t)ticks);
        service((uint8_t)(ticks >> 8));
    }
    cli();
    sleep_cpu();
    for (;;) {
    }
}
