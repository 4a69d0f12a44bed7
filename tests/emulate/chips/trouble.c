/* Strapped: lets its watchdog bite after 15 ms. Else: drives a wire high, then jumps into nowhere. */
#include "bench.h"

int main(void)
{
    MCUSR = 0;
    wdt_disable();
    service_begin();
    service('!');
    if (strapped()) {
        pull(EAST, 1);
        wdt_enable(WDTO_15MS);
        for (;;) {
        }
    }
    DDRC = 1;
    PORTC = 1;
    __asm__ volatile("ldi r30, 0xff\n ldi r31, 0xff\n ijmp");
    for (;;) {
    }
}
