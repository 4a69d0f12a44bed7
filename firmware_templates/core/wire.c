/* Bytes over the two wires of an edge. See wire.h and docs/protocol.md. */
#include "wire.h"

#include "board.h"

/* Looks until these wires of an edge are low, and none of them is high, or the other way round. Returns 1 if they came to it. */
static uint8_t wait_for(uint8_t edge, uint8_t wires, uint8_t levels, uint16_t looks)
{
    do {
        if ((board_wires(edge) & wires) == levels) {
            return 1;
        }
    } while (--looks != 0);
    return 0;
}

uint8_t nca_wire_bit(uint8_t edge, uint8_t wire)
{
    uint16_t looks = NCA_WIRE_PATIENCE;
    const uint8_t gives = wire;
    uint8_t done;

    while (wire == 0) {
        wire = board_wires(edge) ^ NCA_WIRES;
        if (wire == NCA_WIRES || --looks == 0) { /* nobody may pull both */
            return 0;
        }
    }
    if (gives) {
        board_pull(edge, wire);
        done = wait_for(edge, wire ^ NCA_WIRES, 0, NCA_WIRE_PATIENCE);
    } else {
        board_pull(edge, wire ^ NCA_WIRES);
        done = wait_for(edge, wire, wire, NCA_WIRE_PATIENCE);
    }
    board_pull(edge, 0);
    if (!done || (gives && !wait_for(edge, NCA_WIRES, NCA_WIRES, NCA_WIRE_PATIENCE))) {
        return 0;
    }
    return wire;
}

enum nca_wire_turn nca_wire_turn(uint8_t edge)
{
    /* To the north and west a cell yields: who has asked too lets go of its wire by itself, who consents waits for this one. */
    const uint8_t takes = NCA_WIRE_ASK(edge) == 2 && wait_for(edge, 1, 1, NCA_WIRE_YIELD);

    board_pull(edge, 0);
    if (takes) {
        return NCA_WIRE_TAKES;
    }
    /* Who consents looks, and lets go at once. Who has asked and does not look now goes on asking. */
    return wait_for(edge, NCA_WIRES, NCA_WIRES, NCA_WIRE_YIELD) ? NCA_WIRE_GIVES : NCA_WIRE_RESTS;
}

int16_t nca_wire_byte(uint8_t edge, int16_t byte)
{
    uint8_t bits = (uint8_t)byte;

    for (uint8_t bit = 0; bit < 8; bit++) {
        const uint8_t wire = nca_wire_bit(edge, byte < 0 ? 0 : (uint8_t)((bits & 1u) + 1u));
        if (wire == 0) {
            return -1;
        }
        bits = (uint8_t)(bits >> 1 | (wire & 2u) << 6);
    }
    return bits;
}

void nca_wire_refuse(uint8_t edge)
{
    wait_for(edge, 0, 1, NCA_WIRE_YIELD); /* no levels are like that: time for the next bit to come, if there is one */
    wait_for(edge, NCA_WIRES, NCA_WIRES, 2 * NCA_WIRE_PATIENCE);
}
