/* The cell's self-test on a computer: the C core against what the NumPy reference of nca-hw computed for the same inputs. Any libc will do. */
#include <stdio.h>
#include <string.h>

#include "cell.h"
#include "link.h"
#include "vectors.h"

static unsigned told;
static unsigned failed;

static void tell(const char *what, unsigned wrong, unsigned of)
{
    told++;
    failed += wrong != 0;
    printf("%sok %u - %s: %u of %u equal the reference\n", wrong ? "not " : "", told, what, of - wrong, of);
}

static void wakes(void)
{
    unsigned wrong = 0, wrong_flags = 0;

    for (unsigned i = 0; i < WAKES; i++) {
        int8_t state[CHANNELS], perception[PERCEPTION];
        int32_t output[CHANNELS];

        memcpy(state, wake_state[i], CHANNELS);
        const uint8_t evaluated = nca_cell_wake(0, state, wake_neighbours[i], perception, output);
        wrong += memcmp(state, wake_new[i], CHANNELS) != 0;
        wrong_flags += evaluated != wake_evaluated[i];
    }
    tell("wakes", wrong, WAKES);
    tell("whether the network was evaluated", wrong_flags, WAKES);
}

static void waits(void)
{
    unsigned wrong = 0;
    uint32_t s = WAIT_START;

    for (unsigned i = 0; i < WAITS; i++) {
        s = nca_random_next(s);
        wrong += nca_random_wait(s, WAIT_MEAN) != wait_ticks[i];
    }
    tell("waits", wrong, WAITS);
}

static const uint8_t *take_from;
static uint8_t sent[FRAME_BYTES];
static unsigned sent_bytes;

static int16_t give(int16_t byte)
{
    if (sent_bytes < FRAME_BYTES) {
        sent[sent_bytes] = (uint8_t)byte;
    }
    sent_bytes++;
    return byte;
}

static int16_t take(int16_t byte)
{
    (void)byte;
    return *take_from++;
}

static void frames(void)
{
    unsigned wrong_sent = 0, wrong_taken = 0, wrong_refused = 0;

    for (unsigned i = 0; i < FRAMES; i++) {
        int8_t codes[CHANNELS];
        uint8_t damaged[FRAME_BYTES];

        memcpy(codes, wake_new[i], CHANNELS);
        sent_bytes = 0;
        (void)nca_link_frame(0, frame_head[i], codes, give);
        wrong_sent += sent_bytes != FRAME_BYTES || memcmp(sent, frame_bytes[i], FRAME_BYTES) != 0;

        take_from = frame_bytes[i];
        wrong_taken += nca_link_frame(0, 0, codes, take) != frame_head[i] || memcmp(codes, wake_new[i], CHANNELS) != 0;

        memcpy(damaged, frame_bytes[i], FRAME_BYTES);
        damaged[1 + i % (FRAME_BYTES - 1)] ^= 1u;
        take_from = damaged;
        wrong_refused += nca_link_frame(0, 0, codes, take) != 0;
    }
    tell("frames written", wrong_sent, FRAMES);
    tell("frames read", wrong_taken, FRAMES);
    tell("damaged frames refused", wrong_refused, FRAMES);
}

int main(void)
{
    wakes();
    waits();
    frames();
    printf("1..%u\n", told);
    return failed != 0;
}
