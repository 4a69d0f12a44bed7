/* Frames on links. See link.h and docs/protocol.md. */
#include "link.h"

uint16_t nca_crc16(uint16_t crc, uint8_t byte)
{
    /* Eight steps of the polynomial at once: x is the byte that leaves, folded with itself. */
    uint16_t x = (uint16_t)((crc >> 8) ^ byte);
    x ^= x >> 4;
    return (uint16_t)((uint16_t)(crc << 8) ^ (uint16_t)(x << 12) ^ (uint16_t)(x << 5) ^ x);
}

uint8_t nca_link_frame(const nca_genome *genome, uint8_t head, int8_t *codes, nca_link_move *move)
{
    const uint8_t body = (uint8_t)(NCA_CHANNELS(genome) + 1); /* bytes under the CRC: the head and C codes */
    const uint8_t gives = head != 0;
    uint16_t crc = 0;
    uint8_t known = NCA_LINK_START; /* what is given, and what must be taken where there is only one right byte */
    (void)genome;

    for (uint8_t at = 0;; at++) {
        const int16_t moved = move(gives ? known : NCA_LINK_NOTHING);
        const uint8_t byte = (uint8_t)moved;

        if (moved < 0) {
            return 0;
        }
        if (at == 0 || at > body) {
            if (byte != known) {
                return 0;
            }
        } else {
            if (byte == NCA_LINK_START) {
                return 0;
            }
            crc = nca_crc16(crc, byte);
            if (at == 1) {
                head = byte;
            } else {
                codes[at - 2] = (int8_t)byte;
            }
        }
        if (at < body) {
            known = at == 0 ? head : (uint8_t)codes[at - 1];
        } else if (at < body + 3) {
            known = crc & 0x7fu;
            crc >>= 7;
        } else {
            return head;
        }
    }
}
