#include "batch.h"

#include "link.h"

void nca_host_wake_many(const nca_genome *genome, uint32_t count, int8_t *states, const int8_t *neighbours,
                        uint8_t *evaluated)
{
    int8_t perception[NCA_PERCEPTION_MAX];
    int32_t output[NCA_CHANNELS_MAX];
    const uint32_t channels = NCA_CHANNELS(genome);

    for (uint32_t i = 0; i < count; i++) {
        evaluated[i] = nca_cell_wake(genome, states + i * channels, neighbours + i * NCA_NEIGHBOURS * channels,
                                     perception, output);
    }
}

static uint8_t *written;

static void put(uint8_t byte)
{
    *written++ = byte;
}

void nca_host_send(const nca_genome *genome, uint8_t place, const int8_t *state, uint8_t *frame)
{
    written = frame;
    nca_link_send(genome, place, state, put);
}
