/* What an image that takes new genomes needs from the board beyond board.h. */
#ifndef NCA_FLASH_H
#define NCA_FLASH_H

#include <stdint.h>

/* Erases the first page of the slot at `offset` within nca_slots, so that the slot holds nothing. What comes after it may go, too. */
void board_forget(uint16_t offset);

/* Writes NCA_PAGE bytes of flash at `offset` within nca_slots, erased before if need be: after board_forget, the pages of a slot from the second on in
 * their order, the first one last. If power fails meanwhile, anything may stand there. Wires wait. */
void board_page(uint16_t offset, const uint8_t *page);

/* The chip starts anew, as after power-on. */
void board_restart(void) __attribute__((noreturn));

/* 1 if a byte has come to the service port, or comes within so many microseconds; and that byte. */
uint8_t board_hears(uint16_t microseconds);
uint8_t board_heard(void);

#endif
