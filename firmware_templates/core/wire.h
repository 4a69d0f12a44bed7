/* Bytes over the two wires of an edge, as in docs/protocol.md: every bit is acknowledged, so that the two ends need no common clock. */
#ifndef NCA_WIRE_H
#define NCA_WIRE_H

#include <stdint.h>

#define NCA_WIRES 3u           /* both: no end pulls */
#define NCA_WIRE_PATIENCE 1536 /* looks at the wires before the other end is given up: longer than a frame that it may be giving elsewhere */
#define NCA_WIRE_YIELD 32      /* looks within which an end that looks at its wires has answered; they tell a consent from a collision */

/* The wire with which a cell asks to give: wire 0 to the east and south, wire 1 to the north and west, so that the two ends of an edge differ. */
#define NCA_WIRE_ASK(edge) ((uint8_t)((edge) == EDGE_E || (edge) == EDGE_S ? 1 : 2))

/* Gives the bit of a wire (1: wire 0, a zero; 2: wire 1, a one), or, if `wire` is 0, takes one. Returns its wire, or 0 if the other end is gone. */
uint8_t nca_wire_bit(uint8_t edge, uint8_t wire);

enum nca_wire_turn { NCA_WIRE_RESTS, NCA_WIRE_GIVES, NCA_WIRE_TAKES };

/* The other end has answered a cell that asks, which lets go of its wire. If that was consent, it gives now. If both have asked at once, it either
 * takes now, or rests, and finds the other end asking as soon as it looks again. */
enum nca_wire_turn nca_wire_turn(uint8_t edge);

/* Gives a byte, least significant bit first, or takes one if it is negative. Returns the byte, or -1 if the other end is gone. */
int16_t nca_wire_byte(uint8_t edge, int16_t byte);

/* Takes nothing for longer than the other end has patience, so that it gives up, and gives the frame once more later. */
void nca_wire_refuse(uint8_t edge);

#endif
