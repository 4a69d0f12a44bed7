/* link.h: frames and their CRC, to the same protocol as core/link.c. Registers r2 to r11 are not C's. */

    .section .text.nca_link, "ax", @progbits

/* r24 = head of a sound frame, or 0. r22: head; r21:r20: codes; r19:r18: what moves a byte. */
    .global nca_link_frame
    .type nca_link_frame, @function
nca_link_frame:
    movw r2, r18  /* what moves */
    movw r4, r20  /* where the next code is */
    mov r6, r22   /* head */
    mov r7, r1    /* where in the frame */
    movw r8, r6   /* r8: whether it gives: its head */
    clr r10       /* r11:r10: CRC */
    clr r11
    ldi r24, 0x80
next_byte:
    mov r9, r24   /* what must come, where there is only one right byte */
    ldi r25, 0
    cpse r8, r1
    rjmp 1f
    ldi r25, 0xff
1:  movw r30, r2
    icall
    tst r25
    brmi no_frame
    mov r22, r24
    mov r20, r7
    inc r7
    cpi r20, 18
    brcc 2f
    cpi r20, 0
    breq 2f
    cpi r22, 0x80
    breq no_frame
    movw r26, r4
    cpi r20, 1
    brne 3f
    mov r6, r22
    rjmp 4f
3:  st X+, r22
    movw r4, r26
4:  movw r24, r10
    rcall nca_crc16
    movw r10, r24
    mov r20, r7
    cpi r20, 18
    brcc 5f
    movw r26, r4
    ld r24, X
    rjmp next_byte
2:  cp r22, r9
    brne no_frame
    mov r24, r6
    cpi r20, 0
    breq next_byte
    cpi r20, 20
    breq 6f
5:  mov r24, r10
    lsl r10       /* CRC >> 7 */
    rol r11
    mov r10, r11
    clr r11
    rol r11
    andi r24, 0x7f
    rjmp next_byte
no_frame:
    ldi r24, 0
6:  ret
    .size nca_link_frame, . - nca_link_frame

/* r25:r24 = CRC of one more byte, r22. x << 5 and x >> 3 are the two bytes of 32 x. */
    .global nca_crc16
    .type nca_crc16, @function
nca_crc16:
    eor r25, r22
    mov r22, r25
    swap r22
    andi r22, 15
    eor r25, r22
    mov r22, r25
    swap r22
    andi r22, 0xf0
    eor r22, r24
    ldi r23, 32
    mul r25, r23
    mov r24, r25
    eor r24, r0
    mov r25, r22
    eor r25, r1
    clr r1
    ret
    .size nca_crc16, . - nca_crc16

/* r25:r24 = CRC of the whole image. */
    .global board_image_crc
    .type board_image_crc, @function
board_image_crc:
    ldi r24, 0
    ldi r25, 0
    ldi r30, 0
    ldi r31, 0
1:  lpm r22, Z+
    rcall nca_crc16
    ldi r22, hi8(image_end)
    cpi r30, lo8(image_end)
    cpc r31, r22
    brne 1b
    ret
    .size board_image_crc, . - board_image_crc
