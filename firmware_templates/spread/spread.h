/* New genomes, from neighbour to neighbour: who offers a newer one than a cell's own is asked for it, page by page, until it lies whole and proved in
 * the slot that does not run. See docs/spreading.md; frames are those of link.h. */
#ifndef NCA_SPREAD_H
#define NCA_SPREAD_H

#include "board.h"
#include "genome.h"
#include "link.h"

#define NCA_SPREAD 0x30u /* kind of these frames, in the upper five bits of the head */
#define NCA_SPREAD_OFFER 0x30u
#define NCA_SPREAD_WANT 0x31u
#define NCA_SPREAD_PART 0x32u

struct nca_spread {
    const nca_genome *genome; /* the slot that runs; 0 if neither holds a whole genome */
    uint8_t same;             /* edges, a bit each, whose neighbours have told that they run this genome */
};
extern struct nca_spread nca_spread;

/* After a reset: proves what lies in the slots, and takes the newest. */
void nca_spread_start(void);

/* 1 if something other than states is to be given on an edge. */
uint8_t nca_spread_owes(uint8_t edge);

/* Gives a frame; if states are owed too, offers only go before them. Returns 0 if there was nothing to give. `codes` is scratch. */
uint8_t nca_spread_give(uint8_t edge, uint8_t has_states, int8_t *codes, nca_link_move *move);

/* A sound frame of this kind has come from an edge, or (EDGES) from the service port. Returns 1 if the neighbour has told that it runs another genome. */
uint8_t nca_spread_take(uint8_t source, uint8_t what, const int8_t *codes);

/* 1 if a page has come whole. To keep it takes 10 ms, in which all wires must be free: the first one is proved, others are written; after the last
 * one all are proved, and the chip starts anew with the new genome. */
uint8_t nca_spread_is_whole(void);
void nca_spread_keep(void);

/* Once a wake, when all wires are free: decides whom to ask, and serves the service port. */
void nca_spread_wake(int8_t *codes);

#endif
