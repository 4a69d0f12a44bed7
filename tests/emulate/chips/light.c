/* Tells its LED 24 bits, 1 for 13 cycles, 0 for 5, thrice: 12 34 56, 00 ff 80, and half a word more than the last. */
#include "bench.h"

static void bits(uint8_t byte, uint8_t count)
{
    for (; count != 0; count--, byte = (uint8_t)(byte << 1)) {
        if (byte & 0x80) { /* sbi and cbi take 2 cycles each */
            __asm__ volatile("sbi 0x0b, 6\n rjmp .\n rjmp .\n rjmp .\n rjmp .\n rjmp .\n nop\n cbi 0x0b, 6");
        } else {
            __asm__ volatile("sbi 0x0b, 6\n rjmp .\n nop\n cbi 0x0b, 6");
        }
    }
}

int main(void)
{
    DDRD = 1 << 6;
    bits(0x12, 8), bits(0x34, 8), bits(0x56, 8);
    __builtin_avr_delay_cycles(16 * 300);
    bits(0x00, 8), bits(0xff, 8), bits(0x80, 8), bits(0xaa, 4);
    __builtin_avr_delay_cycles(16 * 300);
    bits(0x01, 8), bits(0x02, 8), bits(0x03, 8);
    for (;;) {
    }
}
