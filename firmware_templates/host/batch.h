/* The core on arrays, for tests and analyses on the host. */
#ifndef NCA_BATCH_H
#define NCA_BATCH_H

#include "cell.h"

/* Wakes `count` cells. states [count][C], neighbours [count][8][C], evaluated [count]. */
void nca_host_wake_many(const nca_genome *genome, uint32_t count, int8_t *states, const int8_t *neighbours,
                        uint8_t *evaluated);

/* Writes a frame, C + 5 bytes. */
void nca_host_send(const nca_genome *genome, uint8_t head, const int8_t *codes, uint8_t *frame);

/* Reads a frame from the first of `count` bytes on. Returns its head, or 0 if there is no sound one. */
uint8_t nca_host_receive(const nca_genome *genome, uint8_t *bytes, uint32_t count, int8_t *codes);

#endif
