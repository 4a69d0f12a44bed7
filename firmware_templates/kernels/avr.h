/* How main calls the kernel of avr.S, and how it finds the cell's RAM. */
#ifndef NCA_AVR_H
#define NCA_AVR_H

#include "kernel.h"

#define NCA_KERNEL_STATE 0         /* where in the perception the state is its own perception */
#define NCA_KERNEL_ACCUMULATORS 14 /* words: 16 accumulators of 24 bits, and 8 hidden units */

/* What is seen of a value ends at 255: the table of lower bytes is enough. */
extern const NCA_ROM uint8_t nca_page[];
#undef NCA_DECODE
#define NCA_DECODE(g, k) ((k) < FIRST_UPPER ? (int16_t)nca_page[k] : 256)

/* One wake of `cell`. The kernel keeps r28 and r29 only, and leaves 0 in r1. */
static inline void nca_kernel_call(void)
{
    __asm__ volatile("rcall nca_cell_wake" ::: "r0", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
                     "r16", "r17", "r18", "r19", "r20", "r21", "r22", "r23", "r24", "r25", "r26", "r27", "r30", "r31", "memory");
}

#endif
