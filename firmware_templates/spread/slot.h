/* A slot: a genome as it lies in flash, to the byte as nca_hw/core/slot.py packs it (docs/spreading.md). Numbers are little endian. */
#ifndef NCA_SLOT_H
#define NCA_SLOT_H

#include <stdint.h>

#define NCA_SLOT_MAGIC 0x3147434eu /* "NCG1" */
#define NCA_SLOT_FORMAT 1u
#define NCA_SLOT_KERNELS 4
#define NCA_PAGE 128u /* bytes that are moved and written at a time */
#define NCA_TAG 16u

typedef struct {
    uint32_t magic;
    uint32_t version; /* of the genome; never 0 */
    uint16_t hidden;
    uint16_t pages;   /* of the whole slot */
    uint8_t format;
    uint8_t channels;
    uint8_t kernels;  /* how many; bit 7: the state is its own perception */
    uint8_t s1;
    uint8_t s2;
    uint8_t alpha;
    int8_t alive;
    uint8_t tap_shift;
    int8_t about[NCA_SLOT_CHANNELS]; /* what the self-test tells: spec version, three times 0, the genome's hash in groups of 7 bits */
    int8_t seed[NCA_SLOT_CHANNELS];
    int8_t taps[NCA_SLOT_KERNELS * 9];
    uint8_t rest[8];
    uint8_t body_tag[NCA_TAG]; /* of all other pages */
    uint8_t head_tag[NCA_TAG]; /* of all that stands before it: who has the key has made it */
} nca_slot_head;

typedef struct {
    nca_slot_head head;
    int16_t decode[130];
    int16_t b2[NCA_SLOT_CHANNELS];
    int16_t m2[NCA_SLOT_CHANNELS];
    int8_t units[];
} nca_slot;

typedef char nca_slot_head_is_a_page[sizeof(nca_slot_head) == NCA_PAGE ? 1 : -1];

#endif
