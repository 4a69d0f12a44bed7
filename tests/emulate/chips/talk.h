/* The handshake of a bit over two wires, and 16 frames of 4 bytes that the strapped chip sends to the east, and the other tells on its service port.
 */
#ifndef TALK_H
#define TALK_H

#include "bench.h"

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

/* Each frame is begun by its number's asking and answer. */
static inline void talk(void (*ask)(uint8_t), void (*answer)(uint8_t))
{
    service_begin();
    for (uint8_t n = 0; n < 16; n++) {
        if (strapped()) {
            ask(n);
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

#endif
