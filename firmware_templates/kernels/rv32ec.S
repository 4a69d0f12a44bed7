/* The integer cell (docs/spec.md) for RV32EC: compressed instructions, 16 registers, no multiplier. One function, nca_cell_wake of
 * cell.h. The sums of the two layers come in three kinds, small to fast: rv32ec_loops.inc, and rv32ec_digits.inc with and without a
 * table to look up.
 *
 * Beyond cell.h this function asks that
 * - perception begins at `state`, neighbours follow it, and the accumulators follow them, as in main.c: only `state` is looked at
 * - tables that are marked low in kernel_data.S lie below address 2048, where an offset from the register zero reaches them
 * - nobody else uses gp and tp
 * Interrupts may come at any time. */
#include "kernel.h" /* LAYERS, UNROLLED, LOOKUP, ALPHA, LIVING, S1, S2 */

    .set CHANNELS, 16
    .set PERCEPTION, 48
    .set NEIGHBOURS, 8 * CHANNELS
    .set OUTPUTS, NEIGHBOURS + 4 * CHANNELS /* end of the accumulators, from that of the perception */
    .set UNITS, 8

    /* frame */
    .set CELL, 0 /* state, and all of the perception */
    .set END, 4  /* end of the perception: the neighbours */
    .set SAVED_S1, 8
    .set SAVED_S0, 12
    .set SAVED_RA, 16
#if UNROLLED
    .set HIDDEN, 20 /* h of the eight units of a pass, bytes */
    .set OUT, 28    /* accumulators of this half */
    .set SUM, 32    /* triangles of the inputs, with LOOKUP */
    .set FRAME, 32 + 4 * LOOKUP
#else
    .set FRAME, 20
#endif

    .option norelax /* a linker may not make loads from tables with an index into loads without */
    .section .text.nca_cell_wake, "ax", @progbits
    .balign 2
    .globl nca_cell_wake
    .type nca_cell_wake, @function
nca_cell_wake: /* a1: state */
    addi sp, sp, -FRAME
    sw ra, SAVED_RA(sp)
    sw s0, SAVED_S0(sp)
    sw s1, SAVED_S1(sp)
    sw a1, CELL(sp)
    addi a2, a1, PERCEPTION
    sw a2, END(sp)
    li a0, 0
    c.jal ask

    /* Section 3. s0: code to write, a2: channel of the neighbour to the north, a3: pairs of neighbours whose values are subtracted. */
    addi s0, a1, CHANNELS
    li a3, %lo(nca_pairs)
sobel:
    lw a2, END(sp)
channel:
    li a1, 0
    jal t0, pair /* the middle one counts twice */
    slli a1, a1, 1
    jal t0, pair
    jal t0, pair
    addi a3, a3, -6
    slli a0, a1, 1
    c.jal compress
    sb a0, 0(s0)
    addi s0, s0, 1
    addi a2, a2, 1
    lw a0, END(sp)
    addi a1, a0, CHANNELS
    bne a2, a1, channel
    addi a3, a3, 6
    bne s0, a0, sobel

    /* Section 4: o = b2. */
    addi a0, a0, NEIGHBOURS
#if UNROLLED
    sw a0, OUT(sp)
#endif
    li a3, %lo(nca_b2)
    addi a2, a3, 2 * CHANNELS
1:  lh a1, 0(a3)
    sw a1, 0(a0)
    addi a3, a3, 2
    addi a0, a0, 4
    bne a3, a2, 1b

#include LAYERS /* section 4: the sums of both layers; s1 is the first of them afterwards */

    /* d = (o M2 + 2^(S2-1)) >> S2, the 15 bits of M2 from the lowest on: every sum is halved at once, which rounds down no differently
     * in the end. Bit 15 of the table ends the loop. s1 is o. */
    lw s0, CELL(sp)
    li a3, %lo(nca_m2)
1:  lhu a4, 0(a3)
    lw a5, 0(s1)
    li a2, 1 << (S2 - 1)
2:  andi a0, a4, 1
    beqz a0, 3f
    add a2, a2, a5
3:  srai a2, a2, 1
    srli a4, a4, 1
    addi a0, a4, -1
    bnez a0, 2b
    srai a2, a2, S2 - 15
    lb a0, 0(s0)
    c.jal val
    slli a0, a0, 4
    add a0, a0, a2
    c.jal compress
    sb a0, 0(s0)
    addi s0, s0, 1
    addi s1, s1, 4
    addi a3, a3, 2
    lw a2, END(sp)
    addi a0, a2, OUTPUTS
    bne s1, a0, 1b

    lw a1, CELL(sp)
    li a0, 1
    c.jal ask
leave:
    lw ra, SAVED_RA(sp)
    lw s0, SAVED_S0(sp)
    lw s1, SAVED_S1(sp)
    addi sp, sp, FRAME
    ret

/* Section 5: returns if the cell at a1 or one of its neighbours at a2 lives. Otherwise clears the state and leaves, with a0. */
ask:
    li t0, LIVING
    addi a3, a2, NEIGHBOURS
    lb a5, ALPHA(a1)
1:  bge a5, t0, 4f
    beq a2, a3, 2f
    lb a5, ALPHA(a2)
    addi a2, a2, CHANNELS
    j 1b
2:  addi a3, a1, CHANNELS
3:  sb zero, 0(a1)
    addi a1, a1, 1
    bne a1, a3, 3b
    j leave

/* a1 += the value of one neighbour less that of another. Returns to t0. Clobbers a0, a5. */
pair:
    lbu a0, 0(a3)
    add a0, a0, a2
    lb a0, 0(a0)
    c.jal val
    add a1, a1, a0
    lbu a0, 1(a3)
    add a0, a0, a2
    lb a0, 0(a0)
    c.jal val
    sub a1, a1, a0
    addi a3, a3, 2
    jr t0

/* Section 2: a0 = val(a0). Clobbers a5. */
val:
    srai a5, a0, 31
    xor a0, a0, a5
    sub a0, a0, a5
    slli a0, a0, 1
    lh a0, %lo(nca_decode)(a0)
    xor a0, a0, a5
    sub a0, a0, a5
4:  ret

/* Section 2: a0 = compress(a0), by seven halvings; t1 is twice the code. Clobbers a4, a5, t0 to t2. */
compress:
    srai a5, a0, 31
    xor a0, a0, a5
    sub a0, a0, a5
    addi a0, a0, -1
    srai a0, a0, 3
    li t0, 128
    li t1, 0
1:  add a4, t1, t0
    lh t2, %lo(nca_decode)(a4)
    lh a4, %lo(nca_decode - 2)(a4)
    add a4, a4, t2
    blt a0, a4, 2f
    add t1, t1, t0
2:  srli t0, t0, 1
    addi a4, t0, -1
    bnez a4, 1b
    srli a0, t1, 1
    xor a0, a0, a5
    sub a0, a0, a5
    ret
    .size nca_cell_wake, . - nca_cell_wake
