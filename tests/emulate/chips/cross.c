/* As talk.c, but who asks lets go by itself after HOLD cycles, and the answers come later from frame to frame: the last ones so
 * late that the asking wire has been let go meanwhile; who answers has looked before that.
 */
#include "bench.h"

#define HOLD 100
#define FIRST 40

static void ask(void)
{
    pull(EAST, 1);
    __builtin_avr_delay_cycles(HOLD);
    pull(EAST, 0);
    __builtin_avr_delay_cycles(400);
}

static void answer(uint8_t late)
{
    while (look(WEST) & 1) {
    }
    __builtin_avr_delay_cycles(FIRST);
    while (late-- != 0) {
        __asm__ volatile("nop");
    }
    pull(WEST, 2);
    __builtin_avr_delay_cycles(150);
    pull(WEST, 0);
    while (look(WEST) != 3) {
    }
}

static void put(uint8_t bit)
{
    const uint8_t wire = bit ? 2 : 1;
    pull(EAST, wire);
    while (look(EAST) & (wire ^ 3)) {
    }
    pull(EAST, 0);
    while (look(EAST) != 3) {
    }
}

static uint8_t take(void)
{
    uint8_t low;
    while ((low = look(WEST) ^ 3) == 0) {
    }
    pull(WEST, low ^ 3);
    while (!(look(WEST) & low)) {
    }
    pull(WEST, 0);
    while (look(WEST) != 3) { /* both ends have let go */
    }
    return low == 2;
}

int main(void)
{
    service_begin();
    for (uint8_t n = 0; n < 16; n++) {
        if (strapped()) {
            ask();
        } else {
            answer(n);
        }
        for (uint8_t i = 0; i < 4; i++) {
            uint8_t byte = (uint8_t)(n * 17 + i * 5);
            if (strapped()) {
                for (uint8_t b = 0; b < 8; b++) {
                    put(byte >> b & 1);
                }
            } else {
                byte = 0;
                for (uint8_t b = 0; b < 8; b++) {
                    byte = (uint8_t)(byte >> 1 | take() << 7);
                }
                service(byte);
            }
        }
    }
    for (;;) {
    }
}
