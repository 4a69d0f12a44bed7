/* Frames on links, byte by byte, as in docs/protocol.md. Used unchanged by firmware and host; owns no buffer. */
#ifndef NCA_LINK_H
#define NCA_LINK_H

#include <stdint.h>

#include "genome.h"

#define NCA_LINK_START 0x80u /* the one byte that no state code has, and no other byte of a frame */
#define NCA_LINK_NOTHING (-1)

/* The second byte, the head: version and kind in the upper five bits. In the lower three, of a state the place of its owner as the receiver sees it,
 * clockwise from the north; of a report and of a command, which one. */
#define NCA_LINK_DETAIL 0x07u
#define NCA_LINK_STATE 0x10u
#define NCA_LINK_REPORT_STATE 0x18u
#define NCA_LINK_REPORT_SELF_TEST 0x19u
#define NCA_LINK_REPORT_CELL 0x1au /* of a tile: the next report is of the cell with this number */
#define NCA_LINK_COMMAND_SEED 0x20u
#define NCA_LINK_EDGE 0x28u /* of a tile: a state, its index along the edge in the lower three bits */

/* Moves a byte: gives one that is not negative and returns it, or takes one and returns it. Returns NCA_LINK_NOTHING if the other end is gone. */
typedef int16_t nca_link_move(int16_t byte);

/* Gives a frame with this head and these C codes, or, if the head is 0, takes one into `codes`. Returns the head of a whole and sound frame, and 0 at
 * the first byte that is not as it must be; `codes` are scratch then. */
uint8_t nca_link_frame(const nca_genome *genome, uint8_t head, int8_t *codes, nca_link_move *move);

/* CRC-16/XMODEM (polynomial 0x1021, most significant bit first, from 0) of one more byte. */
uint16_t nca_crc16(uint16_t crc, uint8_t byte);

#endif
