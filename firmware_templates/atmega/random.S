/* Random numbers of a cell (spec, section 6), as core/random.c. A number << 5 is 32 times the number, byte by byte. */

    .section .text.nca_random, "ax", @progbits

/* r25:r22 = the next one. */
    .global nca_random_next
    .type nca_random_next, @function
nca_random_next:
    ldi r20, 32
    mul r24, r20 /* << 13 */
    eor r25, r0
    mul r23, r20
    eor r25, r1
    eor r24, r0
    mul r22, r20
    eor r24, r1
    eor r23, r0
    movw r18, r24 /* >> 17 */
    lsr r19
    ror r18
    eor r22, r18
    eor r23, r19
    mul r25, r20 /* << 5 */
    eor r25, r0
    mul r24, r20
    eor r25, r1
    eor r24, r0
    mul r23, r20
    eor r24, r1
    eor r23, r0
    mul r22, r20
    eor r23, r1
    eor r22, r0
    clr r1
    ret
    .size nca_random_next, . - nca_random_next

/* r23:r22 = ticks to wait, the lower half of the result, which is all that board_alarm looks at, for the random number r25:r22 and a mean r21:r18 below 2^15. (s >> 20) T >> 12 is the upper half of 16 by 16 bits. */
    .global nca_random_wait
    .type nca_random_wait, @function
nca_random_wait:
    andi r24, 0xf0
    ldi r21, 0
    mul r25, r19
    movw r22, r0
    mul r24, r18
    mov r20, r1
    mul r25, r18
    add r20, r0
    adc r22, r1
    adc r23, r21
    mul r24, r19
    add r20, r0
    adc r22, r1
    adc r23, r21
    add r22, r18
    adc r23, r19
    lsr r19
    ror r18
    sub r22, r18
    sbc r23, r19
    clr r1
    ret
    .size nca_random_wait, . - nca_random_wait
