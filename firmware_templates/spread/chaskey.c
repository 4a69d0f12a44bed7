/* See chaskey.h. */
#include "chaskey.h"

void nca_chaskey_begin(uint32_t *v, const uint32_t *key)
{
    for (uint8_t k = 0; k < 4; k++) {
        v[k] = key[k];
    }
}

void nca_chaskey_block(uint32_t *v, const uint32_t *key, const uint8_t *block, uint8_t is_last)
{
    uint32_t last[4]; /* the key, doubled in GF(2^128): x^128 = x^7 + x^2 + x + 1 */

    for (uint8_t k = 0; k < 4; k++) {
        const uint8_t *b = block + 4 * k;
        v[k] ^= (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
        last[k] = is_last ? key[k] << 1 | (k != 0 ? key[k - 1] >> 31 : 0) : 0;
    }
    if (is_last && key[3] >> 31) {
        last[0] ^= 0x87u;
    }
    for (uint8_t k = 0; k < 4; k++) {
        v[k] ^= last[k];
    }
    nca_chaskey_rounds(v);
    for (uint8_t k = 0; k < 4; k++) {
        v[k] ^= last[k];
    }
}
