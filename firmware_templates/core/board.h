/* What a cell needs from the board it runs on. One implementation a family; cell and link know nothing of it. */
#ifndef NCA_BOARD_H
#define NCA_BOARD_H

#include <stdint.h>

enum board_port { PORT_E, PORT_W, PORTS };

#define BOARD_NOTHING (-1)

/* Clocks, pins, links, LED. */
void board_start(void);

/* Microseconds, modulo 2^32. */
uint32_t board_now(void);

/* A random bit of the chip's own noise. */
uint8_t board_noise(void);

/* 1 if this cell is strapped to be the seed. */
uint8_t board_is_seed(void);

/* Next byte that a port has received, or BOARD_NOTHING. */
int16_t board_get(uint8_t port);

/* 1 if a port can take a byte to send. */
uint8_t board_can_put(uint8_t port);

/* Sends a byte. */
void board_put(uint8_t port, uint8_t byte);

/* One colour of the light, 0 to 255, already limited to what the supply can bear; in the LED's own order, green, red, blue. */
void board_light(uint8_t value);

#endif
