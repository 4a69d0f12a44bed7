/* As talk.c, but who asks lets go by itself after HOLD cycles, and the answers come later from frame to frame: the last ones so
 * late that the asking wire has been let go meanwhile; who answers has looked before that.
 */
#include "talk.h"

#define HOLD 100
#define FIRST 40

static void ask(uint8_t n)
{
    (void)n;
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

int main(void)
{
    talk(ask, answer);
}
