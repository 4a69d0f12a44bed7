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

static __thread uint8_t *wire, *end; /* of the frame that this thread writes or reads */

static int16_t give(int16_t byte)
{
    *wire++ = (uint8_t)byte;
    return byte;
}

static int16_t take(int16_t byte)
{
    (void)byte;
    return wire == end ? NCA_LINK_NOTHING : *wire++;
}

void nca_host_send(const nca_genome *genome, uint8_t head, const int8_t *codes, uint8_t *frame)
{
    int8_t copy[NCA_CHANNELS_MAX];

    for (uint8_t c = 0; c < NCA_CHANNELS(genome); c++) {
        copy[c] = codes[c];
    }
    wire = frame;
    nca_link_frame(genome, head, copy, give);
}

uint8_t nca_host_receive(const nca_genome *genome, uint8_t *bytes, uint32_t count, int8_t *codes)
{
    wire = bytes;
    end = bytes + count;
    return nca_link_frame(genome, 0, codes, take);
}
