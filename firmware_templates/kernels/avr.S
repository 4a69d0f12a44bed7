/* The integer cell (docs/spec.md, sections 2 to 5) for AVR with a multiplier: nca_cell_wake with all below it, to the bit.
 *
 * Weights lie in flash in the order in which they are read, eight hidden units side by side; one look at an input serves eight products. An input is
 * its magnitude, a byte without sign; a negative one is subtracted. The lower bytes of all magnitudes come first. What they add up to fits 24
 * bits, and the network needs no more of it than the sum >> 8, to which the upper bytes, where there are any, add what fits 24 bits again: so it
 * is exact for every state, though the sums themselves may need 25 bits.
 *
 * Registers are also bytes of data memory, at their own number (ATmega328P datasheet, section 7.4): loops over accumulators use that.
 * Clobbers all registers but r28 and r29: C around it is compiled without r2 to r17. It works on main.c's `cell`, which must lie within 256 bytes
 * that begin at a multiple of 256.
 */
#include "kernel.h"

/* Where things lie in `cell`. */
#define STATE cell
#define SOBEL_X (cell + 16)
#define SOBEL_Y (cell + 32)
#define PERCEPTION_END (cell + 48)
#define NEIGHBOURS (cell + 48)
#define OUTPUT (cell + 176) /* 16 accumulators of 24 bits */
#define HIDDEN (cell + 224) /* 8 hidden units at work */

#define PAGE hi8(nca_page)
#define GPIOR0 0x1e /* general purpose I/O register, section 10.1: where in the perception the inputs with upper bytes end */

    .section .text.nca_cell_wake, "ax", @progbits
    .global nca_cell_wake
    .type nca_cell_wake, @function
nca_cell_wake:
    push r28
    push r29
    ldi r27, hi8(cell)
#if ALIVE
    rcall mask
#endif

/* Perception. r16 is the channel. Sobel x is (d1 + d2) + 2 (E - W), Sobel y is (d1 - d2) + 2 (S - N), d1 = SE - NW, d2 = NE - SW. */
    ldi r16, 0
channel:
    ldi r24, PLACE_SE
    rcall difference
    movw r2, r20
    ldi r24, PLACE_NE
    rcall difference
    movw r4, r20
    ldi r24, PLACE_E
    rcall difference
    movw r18, r2
    add r18, r4
    adc r19, r5
    rcall sobel
    subi r26, lo8(-(SOBEL_X))
    st X, r23
    ldi r24, PLACE_S
    rcall difference
    movw r18, r2
    sub r18, r4
    sbc r19, r5
    rcall sobel
    subi r26, lo8(-(SOBEL_Y))
    st X, r23
    inc r16
    cpi r16, 16
    brne channel

    ldi r26, lo8(STATE)
1:  out GPIOR0, r26
2:  cpi r26, lo8(PERCEPTION_END)
    breq 3f
    ld r23, X+
    sbrc r23, 7
    neg r23
    cpi r23, FIRST_UPPER
    brcc 1b
    rjmp 2b
3:

/* Accumulators of the output to zero. */
    clr r2
    ldi r26, lo8(OUTPUT)
1:  st X+, r2
    cpi r26, lo8(OUTPUT + 48)
    brne 1b
    ldi r30, lo8(nca_stream)
    ldi r31, hi8(nca_stream)

/* Eight hidden units. Their sums are in r2 to r25, but for r22, a weight, and r23, a factor: r28 and r29 stand for these two. */
    .macro gather
    movw r22, r28
    .endm
    .macro scatter
    movw r28, r22
    .endm
    .macro eight how, how_with_carry
    product 2, 3, 4, \how, \how_with_carry
    product 5, 6, 7, \how, \how_with_carry
    product 8, 9, 10, \how, \how_with_carry
    product 11, 12, 13, \how, \how_with_carry
    product 14, 15, 16, \how, \how_with_carry
    product 17, 18, 19, \how, \how_with_carry
    product 20, 21, 28, \how, \how_with_carry
    product 29, 24, 25, \how, \how_with_carry
    .endm
    .macro product low, middle, high, how, how_with_carry
    lpm r22, Z+
    mulsu r22, r23
    sbc r22, r22 /* the product's sign */
    \how \low, r0
    \how_with_carry \middle, r1
    \how_with_carry \high, r22
    .endm

block:
    ldi r27, 0
    ldi r26, 2
1:  lpm r0, Z+
    lpm r1, Z+
    mov r28, r1
    lsl r28
    sbc r28, r28
    st X+, r0
    st X+, r1
    st X+, r28
    cpi r26, 26
    brne 1b
    scatter
    clt
    ldi r27, hi8(cell)
    ldi r26, lo8(PERCEPTION_END)
input:
    movw r0, r30
    ld r30, -X
    tst r30
    breq skip_input
    brmi negative
    ldi r31, PAGE
    lpm r23, Z
    movw r30, r0
add_eight: /* the way back is by T */
    eight add, adc
    brts back
next_input:
    cpi r26, lo8(STATE)
    brne input
    rjmp inputs_done
skip_input:
    movw r30, r0
    adiw r30, 8
    rjmp next_input
negative:
    neg r30
    ldi r31, PAGE
    lpm r23, Z
    movw r30, r0
subtract_eight:
    eight sub, sbc
    brtc next_input
back:
    cpi r26, lo8(OUTPUT)
    brcs next_upper
    rjmp next_hidden

/* Upper bytes of the inputs, where there are any: sums become sums >> 8, and those of the upper bytes are added. */
inputs_done:
    in r0, GPIOR0
    cp r26, r0
    gather
    breq hidden
    ldi r27, 0
    ldi r26, 3
1:  ld r1, X+
    ld r28, X
    st -X, r28
    st -X, r1
    lsl r28
    sbc r28, r28
    adiw r26, 2
    st X+, r28
    adiw r26, 1
    cpi r26, 27
    brne 1b
    scatter
    ldi r27, hi8(cell)
    mov r26, r0
    subi r26, lo8(STATE) /* back to the weights of the inputs that may have some */
    ldi r23, 8
    mul r26, r23
    sub r30, r0
    sbc r31, r1
    subi r26, lo8(-(STATE))
    set
upper:
    push r30
    push r31
    ld r23, -X
    sbrc r23, 7
    neg r23
    rcall value
    mov r23, r22
    pop r31
    pop r30
    tst r23
    breq 1f
    ld r0, X
    sbrs r0, 7
    rjmp add_eight
    rjmp subtract_eight
1:  adiw r30, 8
next_upper:
    cpi r26, lo8(STATE)
    brne upper
    gather

/* Sums to hidden units, the last one first: (sum >> 8) >> (S1 - 8), 0 to 255. */
hidden:
    ldi r27, 0
    ldi r26, 26
    ldi r28, lo8(HIDDEN + 8)
    ldi r29, hi8(HIDDEN)
unit:
    ld r1, -X
    ld r0, -X
    brts 1f
    sbiw r26, 1
    rjmp 4f
1:  tst r1 /* sums >> 8 of 24 bits: only the sign, and whether they are over 255, is needed of the upper bytes */
    breq 2f
    swap r1
    rjmp 3f
2:  mov r1, r0
    sbrc r1, 7
    lsr r1
3:  ld r0, -X
4:
    .rept S1 - 8
    asr r1
    ror r0
    .endr
    tst r1
    breq 5f
    lsl r1
    sbc r0, r0
    com r0
5:  st -Y, r0
    cpi r26, 2
    brne unit

/* Their part of the outputs, eight outputs at a time. */
    set
    ldi r27, hi8(cell)
    ldi r26, lo8(OUTPUT)
half:
    .irp n, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 28, 29, 24, 25
    ld \n, X+
    .endr
    push r26
    ldi r26, lo8(HIDDEN)
one_hidden:
    ld r23, X+
    tst r23
    breq 1f
    rjmp add_eight
1:  adiw r30, 8
next_hidden:
    cpi r26, lo8(HIDDEN + 8)
    brne one_hidden
    pop r26
    subi r26, 24
    .irp n, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 28, 29, 24, 25
    st X+, \n
    .endr
    cpi r26, lo8(OUTPUT + 48)
    brne half
    ldi r23, hi8(nca_stream_end)
    cpi r30, lo8(nca_stream_end)
    cpc r31, r23
    breq 1f
    rjmp block
1:

/* New codes: of each output, b2 added, times M2, >> 16, rounded, and >> S2 - 16 and 16 times the old value on top. */
    ldi r30, lo8(nca_outputs)
    ldi r31, hi8(nca_outputs)
    ldi r26, lo8(OUTPUT)
    ldi r28, lo8(STATE)
    ldi r29, hi8(STATE)
output:
    lpm r0, Z+
    lpm r1, Z+
    mov r4, r1
    lsl r4
    sbc r4, r4
    lpm r16, Z+
    lpm r17, Z+
    ld r2, X+
    ld r3, X+
    ld r21, X+
    movw r14, r30
    add r2, r0
    adc r3, r1
    adc r21, r4
    clr r4
    ldi r18, 1 << (S2 - 17)
    ldi r19, 0
    mul r2, r16
    mov r5, r1
    mul r2, r17
    add r5, r0
    adc r18, r1
    mul r3, r16
    add r5, r0
    adc r18, r1
    adc r19, r4
    mul r3, r17
    add r18, r0
    adc r19, r1
    mulsu r21, r16
    sbc r20, r20
    add r18, r0
    adc r19, r1
    adc r20, r4
    mulsu r21, r17
    add r19, r0
    adc r20, r1
    .rept S2 - 16
    asr r20
    ror r19
    ror r18
    .endr
    ld r23, Y
    bst r23, 7
    brtc 1f
    neg r23
1:  rcall value
    ldi r23, 16
    mov r2, r0
    mul r22, r23
    movw r4, r0
    mul r2, r23
    or r1, r4
    brts 2f
    add r18, r0
    adc r19, r1
    adc r20, r5
    rjmp 3f
2:  sub r18, r0
    sbc r19, r1
    sbc r20, r5
3:  rcall compress
    st Y+, r23
    movw r30, r14
    cpi r28, lo8(STATE + 16)
    breq 4f
    rjmp output
4:  clr r1
#if ALIVE
    rcall mask
#endif
    pop r29
    pop r28
    ret

#if ALIVE
/* If the cell and all whom it hears are dead, the state becomes zero and nca_cell_wake ends. r1 is 0. */
mask:
    lds r24, STATE + ALPHA
    ldi r26, lo8(NEIGHBOURS + ALPHA)
1:  ld r25, X
    cp r24, r25
    brge 2f
    mov r24, r25
2:  subi r26, -16
    cpi r26, lo8(NEIGHBOURS + 128 + ALPHA)
    brne 1b
    cpi r24, ALIVE
    brge 4f
    ldi r26, lo8(STATE)
3:  st X+, r1
    cpi r26, lo8(STATE + 16)
    brne 3b
    pop r0
    pop r0
    pop r29
    pop r28
4:  ret
#endif

/* r21:r20 = value of the neighbour at r24 less that of its opposite, in the channel r16. Clobbers r0, r1, r22 to r25, r26, r30, r31. */
difference:
    add r24, r16
    ldi r20, 0
    ldi r21, 0
    ldi r25, 64
    rcall 1f
1:  neg r21
    neg r20
    sbci r21, 0
    eor r24, r25
    mov r26, r24
    subi r26, lo8(-(NEIGHBOURS))
    ld r23, X
    sbrc r23, 7
    rjmp 2f
    rcall value
    add r20, r0
    adc r21, r22
    ret
2:  neg r23
    rcall value
    sub r20, r0
    sbc r21, r22
    ret

/* r23 = the code nearest to a Sobel sum, r19:r18 + 2 r21:r20, at most 32768 in magnitude; r26 = the channel. */
sobel:
    lsl r20
    rol r21
    mov r26, r20
    ldi r20, 0
    add r18, r26
    adc r19, r21
    brge 1f /* the sign of the whole sum, even where it is 32768 */
    ldi r20, 255
1:  lsl r18
    rol r19
    rol r20
    mov r26, r16

/* r23 = the code nearest to r20:r19:r18 in 1/4096 (spec, section 2). Clobbers r0, r1, r22, r24, r25, r30, r31, T. */
compress:
    ldi r23, 0
    bst r20, 7
    brtc 1f
    com r18 /* the magnitude less one */
    com r19
    com r20
    rjmp 2f
1:  subi r18, 1
    sbci r19, 0
    sbci r20, 0
    brcs 7f
2:  ldi r24, 3
3:  lsr r20
    ror r19
    ror r18
    dec r24
    brne 3b
    ldi r25, hi8(LAST_BOUNDARY) /* more than the last boundary is as good as that */
    cpi r18, lo8(LAST_BOUNDARY)
    cpc r19, r25
    cpc r20, r24
    brcs 5f
    ldi r18, lo8(LAST_BOUNDARY)
    mov r19, r25
5:  movw r24, r18 /* a code from which to go up: half of it is above that code's value */
    lsr r25
    ror r24
    mov r30, r25
    subi r30, -(COARSE - 1)
    tst r25
    brne 6f
    swap r24
    andi r24, 15
    mov r30, r24
    subi r30, -FINE
6:  ldi r31, PAGE
    lpm r23, Z
    dec r23
    rcall value
climb:
    mov r24, r0
    mov r25, r22
    inc r23
    rcall value
    add r24, r0
    adc r25, r22
    cp r18, r24
    cpc r19, r25
    brcc climb
    dec r23
    brtc 7f
    neg r23
7:  ret

/* r22:r0 = the value of the code r23, 0 to 128. Clobbers r1, r30, r31. */
value:
    ldi r31, PAGE
    mov r30, r23
    lpm r0, Z
    ldi r22, 0
    cpi r23, FIRST_UPPER
    brcs 2f
    ldi r30, COARSE
1:  inc r22
    lpm r1, Z+
    cp r23, r1
    brcc 1b
    dec r22
2:  ret
    .size nca_cell_wake, . - nca_cell_wake
