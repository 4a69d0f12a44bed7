/* How main calls the kernel of cortex_m0plus.S, and how it finds the cell's RAM. */
#ifndef NCA_KERNEL_H
#define NCA_KERNEL_H

#define NCA_KERNEL_STATE 32        /* where in the perception the state is its own perception */
#define NCA_KERNEL_ACCUMULATORS 12 /* words */

/* One wake of `cell`. The kernel keeps no register, so that what main has in registers, which is little, is all that goes to the stack. */
static inline void nca_kernel_call(void)
{
    __asm__ volatile("bl nca_kernel_wake" ::: "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
}

#endif
