/* See chaskey.h: additions, rotations and exclusive ors on four words, no tables. A family may have it in assembly. */
#include "chaskey.h"

#define ROUNDS 12

static inline uint32_t turned(uint32_t x, uint8_t by)
{
    return x << by | x >> (32 - by);
}

void nca_chaskey_rounds(uint32_t *v)
{
    for (uint8_t round = 0; round < ROUNDS; round++) {
        v[0] += v[1];
        v[1] = turned(v[1], 5) ^ v[0];
        v[0] = turned(v[0], 16);
        v[2] += v[3];
        v[3] = turned(v[3], 8) ^ v[2];
        v[0] += v[3];
        v[3] = turned(v[3], 13) ^ v[0];
        v[2] += v[1];
        v[1] = turned(v[1], 7) ^ v[2];
        v[2] = turned(v[2], 16);
    }
}
