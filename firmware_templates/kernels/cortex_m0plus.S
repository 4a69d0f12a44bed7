/* The integer cell on a Cortex-M0+ (ARMv6-M, single-cycle multiplier). docs/spec.md says what, docs/kernels.md why.
 *
 * void nca_kernel_wake(void): one wake of `cell`; keeps sp and no other register. `cell` holds, in this order: perception codes (Sobel x, Sobel y,
 * state), neighbours, twelve accumulators.
 *
 * Four sums S0..S3 of products with bytes w0..w3 of a word W take three multiplications, modulo 2^32:
 *     A = S0 + 2^8 S1 + 2^16 S2 + 2^24 S3    of W
 *     C = S2 + 2^8 S3                        of W >> 16
 *     B = S1 + 2^8 S0 + 2^16 S3 + 2^24 S2    of rev16(W)
 * From them every sum of 24 bits can be had again. Weights are offset by 128. */
#include "genome.h"

    .syntax unified
    .cpu cortex-m0plus
    .thumb

#define PERCEPTION 48
#define STATE 32
#define NEIGHBOURS 48
#define ACCUMULATORS 176
#define COUNT 0       /* on the stack: units and channels done, from -H to 16; + slow << 15 + sum of h << 16 */
#define OFFSET 4      /* on the stack: 128 times the sum of what the weights are multiplied by */

/* Apart, so that a linker can put them where there is room. */
    .section .text.nca_kernel_helpers, "ax", %progbits
    .balign 4

#if NCA_ALIVE(0)
/* Flags of the largest alpha around against alive: lt where the cell is dead. */
    .type alive, %function
alive:
    ldr r0, =cell
    adds r0, #STATE + NCA_ALPHA(0)
    movs r1, #128
1:  ldrsb r2, [r0, r1]
    cmp r2, #NCA_ALIVE(0)
    bge 2f
    subs r1, #16
    bpl 1b
2:  bx lr
    .size alive, . - alive
#endif

/* r7: a code of neighbour k. Returns val(k) - val(k + 4), r7 at neighbour k + 1. */
    .type difference, %function
difference:
    mov r9, lr
    movs r0, #64
    bl val_at
    movs r1, r0
    movs r0, #0
    bl val_at
    adds r7, #16
    subs r0, r0, r1
    bx r9
    .size difference, . - difference

/* r0: a code, or where it stands from r7 on. Returns its value, and in r2 the magnitude; keeps r1. */
    .type val, %function
    .type val_at, %function
val_at:
    ldrsb r0, [r7, r0]
val:
    ldr r2, =nca_decode
    lsls r0, #1
    bmi 1f
    ldrh r2, [r2, r0]
    movs r0, r2
    bx lr
1:  rsbs r0, r0, #0
    ldrh r2, [r2, r0]
    rsbs r0, r2, #0
    bx lr
    .size val, . - val

/* r0: v in 1/4096. Returns its code; keeps r4, r6, r7. */
    .type compress, %function
compress:
    asrs r3, r0, #31
    eors r0, r3
    subs r0, r3
    subs r0, #1
    ldr r1, =nca_decode
    movs r2, #128
1:  ldrh r5, [r1, r2]
    lsls r5, #4
    cmp r0, r5
    blt 2f
    adds r1, r2
2:  lsrs r2, #1
    cmp r2, #1
    bne 1b
    ldrh r2, [r1]
    ldrh r5, [r1, #2]
    adds r2, r5
    lsls r2, #3
    ldr r5, =nca_decode
    subs r1, r5
    cmp r0, r2
    blt 1f
    adds r1, #2
1:  lsrs r0, r1, #1
    lsrs r1, r1, #8
    subs r0, r1
    eors r0, r3
    subs r0, r3
    bx lr
    .size compress, . - compress

    .pool

    .section .text.nca_kernel_wake, "ax", %progbits
    .balign 4
    .global nca_kernel_wake
    .type nca_kernel_wake, %function
    .thumb_func
nca_kernel_wake:
    push {r0, r1, lr}
#if NCA_ALIVE(0)
    bl alive
    bge 1f
    b dead
1:
#endif

/* Perception. d(k) = val(k) - val(k + 4): x = d1 + 2 d2 + d3, y = d3 - d1 - 2 d0, in 1/256; compress wants 1/4096 of x / 8. */
    movs r4, #15
sobel:
    ldr r7, =cell
    adds r7, #NEIGHBOURS
    adds r7, r4
    bl difference
    lsls r6, r0, #1
    bl difference
    movs r5, r0
    adds r6, r0
    bl difference
    lsls r0, #1
    adds r5, r0
    bl difference
    adds r7, r5, r0
    subs r0, r0, r6
    lsls r0, #1
    bl compress
    ldr r6, =cell
    adds r6, r4
    strb r0, [r6, #16]
    lsls r0, r7, #1
    bl compress
    strb r0, [r6]
    subs r4, #1
    bpl sobel

/* Sum of the inputs, and of their magnitudes: below 2^16 no unit's sum can leave 24 bits. */
    ldr r7, =cell
    movs r4, #PERCEPTION - 1
    movs r5, #0
    movs r6, #1
    lsls r6, #16
    movs r1, r7
    adds r1, #ACCUMULATORS
1:  movs r0, r4
    bl val_at
    adds r5, r0
    adds r6, r2
    movs r2, #0
    strb r2, [r1, r4]
    subs r4, #1
    bpl 1b
    lsls r5, #7
    str r5, [sp, #OFFSET]
    lsrs r6, #17
    lsls r6, #15
    subs r6, #NCA_HIDDEN(0)
    str r6, [sp, #COUNT]
    ldr r7, =nca_units

pass:
    movs r0, #0
    mov r8, r0
    mov r9, r0
    mov r10, r0
    mov r11, r0
    mov r12, r0
    mov lr, r0
    movs r4, #PERCEPTION - 1
    ldr r5, =cell
    ldr r6, =nca_decode
input:
    ldrsb r0, [r5, r4]
    lsls r0, #1
    beq zero
    bmi negative
    ldrh r0, [r6, r0]
multiply:
    ldm r7!, {r2, r3}
    lsrs r1, r2, #16
    muls r1, r0
    add r9, r1
    rev16 r1, r2
    muls r1, r0
    add r10, r1
    muls r2, r0
    add r8, r2
    lsrs r1, r3, #16
    muls r1, r0
    add r12, r1
    rev16 r1, r3
    muls r1, r0
    add lr, r1
    muls r3, r0
    add r11, r3
next:
    subs r4, #1
    bpl input
    mov r0, r8
    mov r1, r9
    mov r2, r10
    b sums
zero:
    adds r7, #8
    b next
negative:
    rsbs r0, r0, #0
    ldrh r0, [r6, r0]
    rsbs r0, r0, #0
    b multiply

/* r0: A, r1: C, r2: B. */
sums:
    ldr r3, [sp, #OFFSET]
    lsls r4, r3, #8
    adds r3, r4
    subs r1, r3
    lsls r4, r3, #16
    adds r3, r4
    subs r0, r3
    subs r2, r3
    lsls r4, r1, #16
    subs r0, r4
    lsls r3, r0, #8
    subs r4, r2, r3
    lsls r4, #16
    subs r3, r4
    asrs r3, #8
    subs r4, r0, r3
    movs r0, r3
    asrs r4, #8
    mov r8, r4
    lsls r3, #8
    subs r2, r3
    subs r2, r4
    lsls r3, r1, #8
    lsls r4, r3, #16
    subs r4, r2, r4
    subs r3, r4
    asrs r3, #8
    mov r9, r3
    subs r4, r1, r3
    asrs r4, #8
    mov r10, r4
    ldr r1, [sp, #COUNT]

/* r0: one sum. */
sum:
    lsls r2, r1, #23
    bpl channel
    lsls r2, r1, #16
    bpl slowly
biased:
    ldr r2, =nca_decode
    lsls r3, r1, #23
    asrs r3, #22
    ldrsh r3, [r2, r3]
    lsls r3, #2
    adds r1, #1
    adds r0, r3
    asrs r0, #NCA_S1(0)
    beq silent
    bmi silent
    cmp r0, #255
    bls 1f
    movs r0, #255
1:  lsls r2, r0, #16
    adds r2, r1
    str r2, [sp, #COUNT]
    ldr r6, =cell
    adds r6, #ACCUMULATORS
1:  ldm r7!, {r1}
    ldm r6!, {r3, r4, r5}
    lsrs r2, r1, #16
    muls r2, r0
    adds r4, r2
    rev16 r2, r1
    muls r2, r0
    adds r5, r2
    muls r1, r0
    adds r3, r1
    subs r6, #12
    stm r6!, {r3, r4, r5}
    lsls r1, r7, #28
    bne 1b
    ldr r1, [sp, #COUNT]
    b summed
silent:
    str r1, [sp, #COUNT]
    adds r7, #16
summed:
    mov r0, r8
    mov r8, r9
    mov r9, r10
    lsls r2, r1, #30
    bne sum
    lsls r2, r1, #23
    bpl last
    lsls r2, r1, #29
    bne 1f
    b pass
1:  mov r0, r11
    mov r1, r12
    mov r2, lr
    b sums

/* Every four channels the next three accumulators. */
last:
    lsls r2, r1, #28
    bne load
    lsls r2, r1, #27
    bpl first
#if NCA_ALIVE(0)
    bl alive
    bge 2f
dead:
    subs r0, #NCA_ALPHA(0)
    movs r1, #0
    movs r2, #12
1:  str r1, [r0, r2]
    subs r2, #4
    bpl 1b
#endif
2:  pop {r0, r1, pc}
first:
    lsrs r2, r1, #16
    lsls r2, #7
    str r2, [sp, #OFFSET]
    ldr r6, =cell
    adds r6, #ACCUMULATORS
    mov r11, r6
load:
    mov r6, r11
    ldm r6!, {r0, r1, r2}
    mov r11, r6
    b sums

/* d = (o M2 + 2^(S2-1)) >> S2 by 8 bits of o at a time. */
channel:
    ldm r7!, {r2}
    sxth r3, r2
    adds r0, r3
    lsrs r2, #16
    asrs r5, r0, #8
    uxtb r0, r0
    muls r0, r2
    lsrs r0, #8
    muls r5, r2
    adds r5, r0
    asrs r5, #NCA_S2(0) - 8
    movs r0, #0
    adcs r5, r0
    lsls r6, r1, #28
    lsrs r6, #28
    adds r1, #1
    str r1, [sp, #COUNT]
    ldr r1, =cell
    adds r6, r1
    adds r6, #STATE
    movs r0, #0
    ldrsb r0, [r6, r0]
    bl val
    lsls r0, #4
    adds r0, r5
    bl compress
    strb r0, [r6]
    ldr r1, [sp, #COUNT]
    b summed

/* One unit's sum where 24 bits may not hold it. */
slowly:
    lsls r0, r1, #29
    lsrs r0, #29
    lsls r2, r0, #4
    subs r2, r2, r0
    subs r4, r7, r2
    ldr r6, [sp, #OFFSET]
    rsbs r6, r6, #0
    movs r5, #0
1:  ldr r0, =cell
    ldrsb r0, [r0, r5]
    bl val
    subs r4, #8
    ldrb r1, [r4]
    muls r0, r1
    adds r6, r0
    adds r5, #1
    cmp r5, #PERCEPTION
    bne 1b
    movs r0, r6
    ldr r1, [sp, #COUNT]
    b biased

    .pool
    .size nca_kernel_wake, . - nca_kernel_wake
