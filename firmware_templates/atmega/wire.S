/* Wires of an edge: board_wires and board_pull of board.h, and wire.h, to the same protocol as core/wire.c, which tells why. In assembly because a bit
 * then takes a few microseconds, and for its size and stack.
 *
 * Within: Z is the edge's PIN register, DDR and PORT follow it; r18 and r19 are the masks of wire 0 and wire 1, r0 of both. Registers r2 to r11 are
 * not C's.
 */

#define PATIENCE 12000 /* looks of 9 cycles: 6.75 ms, longer than a frame that the other end may be giving elsewhere */
#define YIELD 100      /* looks: 56 us */
#define RISE 8         /* loops of 3 cycles: 1.5 us, in which a wire of 50 pF rises to 3 V through two pull-ups of 50 kilohm at most */

    .section .text.nca_wire, "ax", @progbits

/* The edge r24. */
edge:
    mov r30, r24
    lsl r30
    ldi r31, 0 /* they stand in the first 256 bytes */
    subi r30, lo8(-(nca_edges))
    lpm r20, Z+
    lpm r18, Z
    mov r30, r20
    ldi r31, 0
    mov r19, r18
    lsl r19
    mov r0, r18
    or r0, r19
    ret

/* Pulls the wires of mask r21 low: no pull-up first, so that they are never driven high. */
pull:
    ldd r20, Z + 2
    or r20, r21
    eor r20, r21
    std Z + 2, r20
    ldd r20, Z + 1
    or r20, r21
    std Z + 1, r20
    ret

/* Lets go of both wires, r21 = r0; keeps the carry. */
let_go:
    mov r21, r0
    ldd r20, Z + 1
    or r20, r21
    eor r20, r21
    std Z + 1, r20
    ldd r20, Z + 2
    or r20, r21
    std Z + 2, r20
    ldi r20, RISE
1:  dec r20
    brne 1b
    ret

/* Carry: the wires of mask r21 came to the levels r25. */
wait:
    ldi r26, lo8(PATIENCE)
    ldi r27, hi8(PATIENCE)
wait_so_long:
    ld r20, Z
    and r20, r21
    cp r20, r25
    breq 1f
    sbiw r26, 1
    brne wait_so_long
    clc
    ret
1:  sec
    ret

    .global board_wires
    .type board_wires, @function
board_wires:
    rcall edge
    ld r20, Z
    ldi r24, 0
    and r18, r20
    breq 1f
    ori r24, 1
1:  and r19, r20
    breq 2f
    ori r24, 2
2:  ret
    .size board_wires, . - board_wires

    .global board_pull
    .type board_pull, @function
board_pull:
    rcall edge
    rcall let_go
    sbrs r22, 0
    eor r21, r18
    sbrs r22, 1
    eor r21, r19
    rjmp pull
    .size board_pull, . - board_pull

    .global nca_wire_bit
    .type nca_wire_bit, @function
nca_wire_bit:
    rcall edge
    mov r24, r22
bit: /* r24: the wire; r22 and r23 are kept, and T */
    tst r24
    brne give
    ldi r26, lo8(PATIENCE)
    ldi r27, hi8(PATIENCE)
1:  ld r20, Z
    com r20
    and r20, r0
    brne 2f
    sbiw r26, 1
    brne 1b
    ret
2:  mov r21, r0
    eor r21, r20
    breq failed /* nobody may pull both */
    ldi r24, 1
    cpse r20, r18
    ldi r24, 2
    mov r25, r20
    rcall pull
    mov r21, r25
    rcall wait
    rcall let_go
    brcc failed
    ret
give:
    mov r21, r18
    sbrc r24, 1
    mov r21, r19
    rcall pull
    eor r21, r0
    ldi r25, 0
    rcall wait
    rcall let_go
    brcc failed
    mov r25, r0
    rcall wait
    brcs 1f
failed:
    ldi r24, 0
1:  ret
    .size nca_wire_bit, . - nca_wire_bit

    .global nca_wire_byte
    .type nca_wire_byte, @function
nca_wire_byte: /* r23:r22 the byte, or negative */
    rcall edge
    bst r23, 7
    ldi r23, 8
1:  ldi r24, 0
    brts 2f
    ldi r24, 1
    sbrc r22, 0
    ldi r24, 2
2:  rcall bit
    lsr r24
    brne 3f /* wire 1 */
    brcs 3f /* wire 0 */
    ldi r24, 0xff
    ldi r25, 0xff
    ret
3:  lsr r24
    ror r22
    dec r23
    brne 1b
    mov r24, r22
    ldi r25, 0
    ret
    .size nca_wire_byte, . - nca_wire_byte

    .global nca_wire_turn
    .type nca_wire_turn, @function
nca_wire_turn: /* r25:r24: 0 rests, 1 gives, 2 takes */
    rcall edge
    inc r24
    mov r23, r24
    mov r21, r18
    mov r25, r18
    rcall answered
    sbrc r23, 1
    clc           /* to the east and south a cell does not yield */
    rcall let_go
    ldi r24, 2
    brcs 1f
    mov r25, r0
    rcall answered
    ldi r24, 1
    brcs 1f
    ldi r24, 0
1:  ldi r25, 0
    ret
answered:
    ldi r26, YIELD
    ldi r27, 0
    rjmp wait_so_long
    .size nca_wire_turn, . - nca_wire_turn

    .global nca_wire_refuse
    .type nca_wire_refuse, @function
nca_wire_refuse:
    rcall edge
    ldi r21, 0
    ldi r25, 1    /* no levels are like that: time for the next bit to come, if there is one */
    rcall answered
    mov r21, r0
    mov r25, r0
    rcall wait
    rjmp wait
    .size nca_wire_refuse, . - nca_wire_refuse
