/* chaskey.h: the rounds, as spread/rounds.c. Words a to d are in r2 to r17, of which r2 to r11 are not C's. A rotation is one by whole bytes, and
 * by single bits to the right: 5 is 8 - 3, 13 is 16 - 3, 7 is 8 - 1. */

    .macro plus x0 x1 x2 x3 y0 y1 y2 y3
    add \x0, \y0
    adc \x1, \y1
    adc \x2, \y2
    adc \x3, \y3
    .endm
    .macro differ x0 x1 x2 x3 y0 y1 y2 y3
    eor \x0, \y0
    eor \x1, \y1
    eor \x2, \y2
    eor \x3, \y3
    .endm
    .macro left8 x0 x1 x2 x3
    mov r0, \x3
    mov \x3, \x2
    mov \x2, \x1
    mov \x1, \x0
    mov \x0, r0
    .endm
    .macro half x0 x2
    movw r0, \x0
    movw \x0, \x2
    movw \x2, r0
    .endm
    .macro right x0 x1 x2 x3
    mov r0, \x0
    lsr r0
    ror \x3
    ror \x2
    ror \x1
    ror \x0
    .endm

    .section .text.nca_chaskey_rounds, "ax", @progbits
    .global nca_chaskey_rounds
    .type nca_chaskey_rounds, @function
nca_chaskey_rounds: /* r25:r24 = v */
    push r12
    push r13
    push r14
    push r15
    push r16
    push r17
    movw r30, r24
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    ldd 2 + \n, Z + \n
    .endr
    ldi r18, 12
1:  plus r2 r3 r4 r5 r6 r7 r8 r9
    left8 r6 r7 r8 r9
    right r6 r7 r8 r9
    right r6 r7 r8 r9
    right r6 r7 r8 r9
    differ r6 r7 r8 r9 r2 r3 r4 r5
    half r2 r4
    plus r10 r11 r12 r13 r14 r15 r16 r17
    left8 r14 r15 r16 r17
    differ r14 r15 r16 r17 r10 r11 r12 r13
    plus r2 r3 r4 r5 r14 r15 r16 r17
    half r14 r16
    right r14 r15 r16 r17
    right r14 r15 r16 r17
    right r14 r15 r16 r17
    differ r14 r15 r16 r17 r2 r3 r4 r5
    plus r10 r11 r12 r13 r6 r7 r8 r9
    left8 r6 r7 r8 r9
    right r6 r7 r8 r9
    differ r6 r7 r8 r9 r10 r11 r12 r13
    half r10 r12
    dec r18
    breq 2f
    rjmp 1b
2:  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    std Z + \n, 2 + \n
    .endr
    clr r1
    pop r17
    pop r16
    pop r15
    pop r14
    pop r13
    pop r12
    ret
    .size nca_chaskey_rounds, . - nca_chaskey_rounds
