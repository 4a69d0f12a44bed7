/* How main calls cortex_m0plus.S and cortex_m0plus_links.S, and what they know of its RAM. */
#ifndef NCA_KERNEL_H
#define NCA_KERNEL_H

#include <stdint.h>

#define NCA_KERNEL_STATE 32        /* where in the perception the state is its own perception */
#define NCA_KERNEL_ACCUMULATORS 12 /* words */

/* One wake of `cell`. The kernel keeps no register, so that what main has in registers, which is little, is all that goes to the stack. */
static inline void nca_kernel_call(void)
{
    __asm__ volatile("bl nca_kernel_wake" ::: "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
}

/* Of the links. */
extern struct nca_control {
    uint8_t todo;   /* frames that are owed to neighbours, a bit for the place that each tells of */
    uint8_t asking; /* edges on which this cell asks to send, a bit an edge */
    uint8_t quiet;  /* wakes that pass without an update */
} __attribute__((aligned(4))) nca_control;

uint8_t nca_attend(uint8_t edge);
void nca_plant(void);
void nca_sessions_end(void);
void nca_report(uint8_t head, int8_t *codes);

#endif
