/* What a cell needs from the board it runs on. One implementation a family; cell, frames and wires know nothing of it. */
#ifndef NCA_BOARD_H
#define NCA_BOARD_H

#include <stdint.h>

enum board_edge { EDGE_N, EDGE_E, EDGE_S, EDGE_W, EDGES };

/* Clocks, pins, wires released, LED, watchdog. The first alarm is set from here on. */
void board_start(void);

/* Sets the next alarm, so many ticks after the last one. */
void board_alarm(uint32_t ticks);

/* 1 once the alarm's time has come. */
uint8_t board_is_due(void);

/* Rests until a wire or the time may have changed; may return at once. */
void board_idle(void);

/* Tells the watchdog that the cell is well. */
void board_alive(void);

/* A random bit of the chip's own noise. */
uint8_t board_noise(void);

/* 1 if this cell is strapped to be the seed. */
uint8_t board_is_seed(void);

/* One colour of the light, 0 to 255, already limited to what the supply can bear; in the LED's own order, green, red, blue. */
void board_light(uint8_t value);

/* Of a tile: the colours of a whole chain of lights, one after the other, each as above. The next chain comes no sooner than half a millisecond later. */
void board_chain(const uint8_t *values, uint8_t count);

/* Levels of an edge's two wires: bit 0 and bit 1 are 1 where wire 0 and wire 1 are high, which they are unless an end pulls them low. */
uint8_t board_wires(uint8_t edge);

/* Pulls these wires of an edge low, bits as above, and releases the other. A released wire may take some time to rise; this waits for it. */
void board_pull(uint8_t edge, uint8_t wires);

/* One byte out of the service port. */
void board_report(uint8_t byte);

/* CRC-16 of the whole image as it lies in flash (link.h: nca_crc16). */
uint16_t board_image_crc(void);

/* Shows the board's number, if one was written beside the image. Of families that have a place for it. */
void board_number(void);

#endif
