/* What fuzzing draws, and how it says that something is wrong. */
#ifndef DRAW_H
#define DRAW_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t random_state;
static const uint8_t *given; /* draws that are given: four bytes each */
static size_t given_count;

static uint32_t draw(void)
{
    if (given_count >= 4) {
        const uint32_t drawn = (uint32_t)given[0] | (uint32_t)given[1] << 8 | (uint32_t)given[2] << 16 | (uint32_t)given[3] << 24;
        given += 4;
        given_count -= 4;
        return drawn;
    }
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32);
}

static uint32_t below(uint32_t n)
{
    return draw() % n;
}

static void fail(const char *told)
{
    fprintf(stderr, "%s\n", told);
    abort();
}

#endif
