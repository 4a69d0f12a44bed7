/* Frames on links, byte by byte, as in docs/protocol.md. Used unchanged by firmware and host; owns no buffer. */
#ifndef NCA_LINK_H
#define NCA_LINK_H

#include <stdint.h>

#include "genome.h"

#define NCA_LINK_START 0x80u /* the one byte that no state code has, and no other byte of a frame */

/* The second byte: version 1 in the upper bits, and in the lower three the place of the state's owner as the receiver sees it, clockwise from
 * the north. */
#define NCA_LINK_STATE 0x10u
#define NCA_LINK_PLACE 0x07u

/* One end of a link that receives; all zero at the start. */
typedef struct {
    uint16_t crc;
    uint8_t position; /* 0 while waiting for a start */
    uint8_t place;
} nca_link_rx;

/* Takes the next byte. Returns 1 when it ends a sound frame: rx->place and `payload`, C codes, hold it. `payload` is scratch until then. */
uint8_t nca_link_receive(const nca_genome *genome, nca_link_rx *rx, int8_t *payload, uint8_t byte);

/* Sends a frame through `put`: the state of whom the receiver sees at `place`. */
void nca_link_send(const nca_genome *genome, uint8_t place, const int8_t *state, void (*put)(uint8_t byte));

/* CRC-16/XMODEM (polynomial 0x1021, most significant bit first, from 0) of one more byte. */
uint16_t nca_crc16(uint16_t crc, uint8_t byte);

#endif
