/* Calls nca_cell_wake every 10,000 ticks; its state is 4 bytes; it takes longer every time. Tells one byte of RAM that nobody has written. */
#include "bench.h"

extern int8_t state[4];
int8_t state[4];

__attribute__((noinline)) void nca_cell_wake(uint8_t times)
{
    for (uint8_t i = 0; i < times; i++) {
        __builtin_avr_delay_cycles(997); /* and 3 of the loop */
        state[3]++;
    }
    state[0]++;
}

int main(void)
{
    service_begin();
    service(*(volatile uint8_t *)0x400);
    TCCR1B = 1 << CS10;
    uint16_t due = 0;
    for (uint8_t n = 1;; n++) {
        due += 10000;
        while ((int16_t)(TCNT1 - due) < 0) {
        }
        nca_cell_wake(n);
    }
}
