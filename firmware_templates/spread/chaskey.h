/* Chaskey-12, a message authentication code made for microcontrollers (N. Mouha and others, 2014; ISO/IEC 29192-6), for messages of whole blocks. */
#ifndef NCA_CHASKEY_H
#define NCA_CHASKEY_H

#include <stdint.h>

#define NCA_CHASKEY_BLOCK 16u

/* The state before the first block: the key, four words, the first byte lowest. */
void nca_chaskey_begin(uint32_t *v, const uint32_t *key);

/* The permutation of four words. */
void nca_chaskey_rounds(uint32_t *v);

/* One more block; after the last one, v is the tag, four words, the first byte lowest. */
void nca_chaskey_block(uint32_t *v, const uint32_t *key, const uint8_t *block, uint8_t is_last);

#endif
