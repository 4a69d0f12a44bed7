/* The integer cell, to the bit as in docs/spec.md.
 *
 * The cell takes states by pointer and owns none: one cell a chip, a tile of NxM cells and a simulator's array call the same function.
 * Its constants come through the macros and accessors of genome.h: generated numbers in firmware, a struct on the host.
 */
#ifndef NCA_CELL_H
#define NCA_CELL_H

#include <stdint.h>

#include "genome.h"

#define NCA_NEIGHBOURS 8 /* clockwise: N, NE, E, SE, S, SW, W, NW */

/* One wake (spec, section 5).
 *
 * state       C codes, replaced by the new state
 * neighbours  8 states of C codes, one after the other, clockwise from the north; absent neighbours are 0
 * perception  scratch, P codes; where the first kernel is the identity and no other looks at the cell itself, it may begin at `state`
 *             and so cost C bytes less
 * output      scratch, C accumulators
 *
 * Returns 1 if the network was evaluated, 0 if the cell is dead among dead neighbours.
 */
uint8_t nca_cell_wake(const nca_genome *genome, int8_t *state, const int8_t *neighbours, int8_t *perception,
                      int32_t *output);

/* The code nearest to v, a value in 1/4096 >> NCA_TAP_SHIFT (spec, section 2). */
int8_t nca_compress(const nca_genome *genome, int32_t v);

/* Network alone: perception codes to the new codes of `state`, in place (spec, section 4). */
void nca_cell_network(const nca_genome *genome, int8_t *state, const int8_t *perception, int32_t *output);

/* The generator's next state, which is also the random number (spec, section 6). `s` is never 0. */
uint32_t nca_random_next(uint32_t s);

/* Ticks until the next wake, half to one and a half of `mean` (spec, section 6). mean <= 2^20. */
uint32_t nca_random_wait(uint32_t s, uint32_t mean);

#endif
