/* Frames on links. See link.h and docs/protocol.md. */
#include "link.h"

uint16_t nca_crc16(uint16_t crc, uint8_t byte)
{
    /* Eight steps of the polynomial at once: x is the byte that leaves, folded with itself. */
    uint16_t x = (uint16_t)((crc >> 8) ^ byte);
    x ^= x >> 4;
    return (uint16_t)((uint16_t)(crc << 8) ^ (uint16_t)(x << 12) ^ (uint16_t)(x << 5) ^ x);
}

uint8_t nca_link_receive(const nca_genome *genome, nca_link_rx *rx, int8_t *payload, uint8_t byte)
{
    const uint8_t last = (uint8_t)(NCA_CHANNELS(genome) + 4); /* place, C codes, three of CRC */
    (void)genome;

    if (byte == NCA_LINK_START) {
        rx->position = 1;
        rx->crc = 0;
        return 0;
    }
    if (rx->position == 0) {
        return 0;
    }
    if (rx->position == 1) {
        if ((byte & ~NCA_LINK_PLACE) != NCA_LINK_STATE) {
            rx->position = 0; /* another version, or a kind of the future */
            return 0;
        }
        rx->place = byte & NCA_LINK_PLACE;
    }
    if (rx->position <= last - 3) {
        if (rx->position > 1) {
            payload[rx->position - 2] = (int8_t)byte;
        }
        rx->crc = nca_crc16(rx->crc, byte);
    } else {
        if (byte != (rx->crc & 0x7fu)) {
            rx->position = 0;
            return 0;
        }
        rx->crc >>= 7;
        if (rx->position == last) {
            rx->position = 0;
            return 1;
        }
    }
    rx->position++;
    return 0;
}

void nca_link_send(const nca_genome *genome, uint8_t place, const int8_t *state, void (*put)(uint8_t byte))
{
    uint16_t crc = 0;
    uint8_t byte = NCA_LINK_STATE | place;
    (void)genome;

    put(NCA_LINK_START);
    for (uint8_t c = 0;; c++) {
        put(byte);
        crc = nca_crc16(crc, byte);
        if (c == NCA_CHANNELS(genome)) {
            break;
        }
        byte = (uint8_t)state[c];
    }
    for (uint8_t k = 0; k < 3; k++) {
        put((uint8_t)(crc & 0x7fu));
        crc >>= 7;
    }
}
