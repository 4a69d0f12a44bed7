/* A chain of WS2812 on the SPI that board.c has set up. Sections are those of the RP2040 datasheet. */
#include "board.h"

#define REG(address) (*(volatile uint32_t *)(address))
#define SPI0 0x4003c000u /* 4.4.4: SSPDR 8, SSPSR Ch */
#define TNF 2u           /* of SSPSR: the FIFO, of eight words, is not full */

/* A chain takes a pause for its end, so the FIFO may not run dry. A word lasts 64 cycles: 16 bits of 4 cycles. The loop takes some 40 for one, whatever
 * the colours. Nothing waits for the flash: the image is smaller than its cache, and the self-test has read all of it. */
__attribute__((noinline)) void board_chain(const uint8_t *values, uint8_t count)
{
    for (const uint8_t *const end = values + count; values != end; values++) {
        uint32_t bits = *values; /* the upper four are sent first: 1000 for a zero, 1100 for a one */

        for (uint8_t half = 0; half < 2; half++) {
            const uint32_t ones = (bits & 0x80u) << 7 | (bits & 0x40u) << 4 | (bits & 0x20u) << 1 | (bits & 0x10u) >> 2;

            while ((REG(SPI0 + 0xc) & TNF) == 0) {
            }
            REG(SPI0 + 8) = 0x8888u | ones;
            bits <<= 4;
        }
    }
}
