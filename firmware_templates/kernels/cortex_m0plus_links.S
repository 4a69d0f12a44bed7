/* Sessions on the wires of an edge on a Cortex-M0+: what core/wire.c, core/link.c and the links of main.c do, with all that lives longer than a call in
 * registers, so that the deepest stack is 48 bytes. docs/protocol.md says what.
 *
 * r7: number of the pin of the edge's wire 0; negative: the service port. */
#include "genome.h"

    .syntax unified
    .cpu cortex-m0plus
    .thumb

    .include "wires.inc"

#define WIRES 3
#define PATIENCE 1536 /* both as in wire.h; a test compares them */
#define YIELD 32
#define STATE 32      /* in the cell: cortex_m0plus.S */
#define NEIGHBOURS 48
#define FRAME 176     /* shares the accumulators' bytes */
#define BODY 17       /* bytes of a frame that its CRC is of */
#define TODO 0        /* in nca_control */
#define ASKING 1
#define QUIET 2

    .section .text.nca_attend, "ax", %progbits /* one, for the sake of one pool of literals */
    .balign 4

    .macro function name
    .global \name
    .type \name, %function
\name:
    .endm

    .macro end name
    .size \name, . - \name
    .endm

/* A look at the wires in r0; later, that is, a microsecond after whatever was pulled or released, which is the time that a rise takes. */
    .macro look_later
    movs r0, #5
9:  subs r0, #1
    bne 9b
    look
    .endm

    .macro look
    ldr r0, =PORT_IN
    ldr r0, [r0]
    lsrs r0, r7
    .endm

/* Looks until these wires (r2) have these levels (r3). Returns in r1 the looks that are left, 0 if it did not come to that. */
    function nca_wires_await
    ldr r1, =PATIENCE
await_looks:
    look_later
    ands r0, r2
    cmp r0, r3
    beq 1f
    subs r1, #1
    bne await_looks
1:  bx lr
    end nca_wires_await

/* Pulls these wires (r0) of the edge and releases the other; keeps r3. */
    function nca_wires_pull
    pull_wires
    bx lr
    end nca_wires_pull

/* r0: a wire to give, or 0 to take one. Returns the wire, or 0 if the other end is gone. */
    function nca_wires_bit
    push {r5, lr}
    movs r5, r0
    bne 3f
    ldr r1, =PATIENCE
1:  look_later
    movs r5, #WIRES
    bics r5, r0
    bne 2f
    subs r1, #1
    bne 1b
    b none
2:  movs r0, #WIRES
    eors r0, r5
    beq none            /* nobody may pull both */
    bl nca_wires_pull
    movs r2, r5
    movs r3, r5
    b 4f
3:  bl nca_wires_pull
    movs r2, #WIRES
    eors r2, r5
    movs r3, #0x80
    orrs r5, r3         /* gives */
    movs r3, #0
4:  bl nca_wires_await
    movs r3, r1
    movs r0, #0
    bl nca_wires_pull
    cmp r3, #0
    beq none
    movs r2, #WIRES
    movs r3, #WIRES
    ands r3, r5
    lsls r5, #24
    bpl 5f
    movs r5, r3
    movs r3, #WIRES
    bl nca_wires_await
    cmp r1, #0
    beq none
    movs r3, r5
5:  movs r0, r3
    pop {r5, pc}
none:
    movs r0, #0
    pop {r5, pc}
    end nca_wires_bit

/* r0: a byte; r1: negative to give it, else one is taken. Returns it, or -1 if the other end is gone. r4 shifts: what is given leaves below, what is
 * taken enters at bit 15, a mark comes down from bit 24. */
    function nca_wires_byte
    push {r4, lr}
    cmp r7, #0
    bmi 4f
    movs r4, #1
    lsls r4, #24
    orrs r4, r0
    lsrs r1, #31
    lsls r1, #31
    orrs r4, r1
1:  movs r0, #0
    cmp r4, #0
    bpl 2f
    movs r0, #1
    ands r0, r4
    adds r0, #1
2:  bl nca_wires_bit
    subs r0, #1
    bmi 3f
    asrs r4, #1
    lsls r0, #15
    orrs r4, r0
    lsls r0, r4, #15
    bpl 1b
    uxth r0, r4
    lsrs r0, #8
3:  pop {r4, pc}
4:  movs r4, r0
    bl board_report
    movs r0, r4
    pop {r4, pc}
    end nca_wires_byte

/* r0: head of a frame to give, or 0 to take one; r5: its codes. Returns the head, or 0 at the first byte that is not as it must be.
 * r4: place in the frame | gives << 8 | head << 16 | the byte that it must be << 24. r6: CRC. */
    function nca_wires_frame
    push {r4, r5, r6, lr}
    lsls r4, r0, #16
    beq 1f
    movs r1, #1
    lsls r1, #8
    orrs r4, r1
1:  movs r6, #0
    movs r1, #0x80
frame_next:
    lsls r4, #8
    lsrs r4, #8
    lsls r0, r1, #24
    orrs r4, r0
    movs r0, r1
    lsls r1, r4, #23
    bl nca_wires_byte
    cmp r0, #0
    bmi frame_fails
    lsls r2, r4, #24
    beq 3f
    lsrs r2, #24
    cmp r2, #BODY
    bhi 3f
    cmp r0, #0x80
    beq frame_fails
    subs r1, r2, #2
    bmi 2f
    strb r0, [r5, r1]
    b 4f
2:  lsls r1, r0, #16
    orrs r4, r1
    b 4f
3:  lsrs r1, r4, #24
    cmp r0, r1
    bne frame_fails
    b 5f
4:  movs r1, r0
    movs r0, r6
    bl nca_crc16
    movs r6, r0
5:  uxtb r2, r4
    adds r4, #1
    cmp r2, #BODY
    bhs 7f
    subs r1, r2, #1
    bmi 6f
    ldrb r1, [r5, r1]
    b frame_next
6:  lsls r1, r4, #8
    lsrs r1, #24
    b frame_next
7:  movs r1, #0x7f
    ands r1, r6
    lsrs r6, #7
    cmp r2, #BODY + 3
    bne frame_next
    lsls r0, r4, #8
    lsrs r0, #24
    pop {r4, r5, r6, pc}
frame_fails:
    movs r0, #0
    pop {r4, r5, r6, pc}
    end nca_wires_frame

/* uint16_t nca_crc16(uint16_t crc, uint8_t byte): link.c. */
    function nca_crc16
    lsrs r2, r0, #8
    eors r2, r1
    lsrs r1, r2, #4
    eors r2, r1
    lsls r0, #8
    eors r0, r2
    lsls r1, r2, #5
    eors r0, r1
    lsls r1, r2, #12
    eors r0, r1
    uxth r0, r0
    bx lr
    end nca_crc16

/* void nca_report(uint8_t head, int8_t *codes): a frame out of the service port. */
    function nca_report
    push {r4, r5, r7, lr}
    movs r5, r1
    movs r7, #0
    mvns r7, r7
    bl nca_wires_frame
    pop {r4, r5, r7, pc}
    end nca_report

/* void nca_plant(void): the cell is the seed from now on. */
    function nca_plant
    push {r4, lr}
    ldr r0, =cell
    adds r0, #STATE
    ldr r1, =nca_seed
    ldm r1!, {r2, r3, r4}
    stm r0!, {r2, r3, r4}
    ldr r2, [r1]
    str r2, [r0]
    ldr r1, =nca_control
    movs r0, #0xff
    strb r0, [r1, #TODO]
    movs r0, #NCA_SEED_QUIET(0)
    strb r0, [r1, #QUIET]
    pop {r4, pc}
    end nca_plant

/* void nca_sessions_end(void): nobody should wait for a cell that computes; then it owes everybody its new state. */
    function nca_sessions_end
    release_all
    ldr r1, =nca_control
    movs r0, #0xff
    strh r0, [r1, #TODO] /* and ASKING */
    bx lr
    end nca_sessions_end

/* Of every edge: number of wire 0's pin | the wire with which this cell asks << 8 | places owed << 16 | the edge's bit << 24. */
    .section .rodata.nca_edges, "a", %progbits
    .balign 4
    .global nca_edges
    .type nca_edges, %object
nca_edges:
    .word PIN_NORTH | 2 << 8 | 0x38 << 16 | 1 << 24
    .word PIN_EAST | 1 << 8 | 0x40 << 16 | 2 << 24
    .word PIN_SOUTH | 1 << 8 | 0x83 << 16 | 4 << 24
    .word PIN_WEST | 2 << 8 | 0x04 << 16 | 8 << 24
    end nca_edges

    .section .text.nca_attend, "ax", %progbits
/* uint8_t nca_attend(uint8_t edge): 1 if something was done on the edge.
 * r5: of nca_edges. r6: nca_control. */
    function nca_attend
    push {r4, r5, r6, r7, lr}
    ldr r1, =nca_edges
    lsls r0, #2
    ldr r5, [r1, r0]
    uxtb r7, r5
    ldr r6, =nca_control
    lsrs r4, r5, #24
    ldrb r3, [r6, #ASKING]
    look
    movs r1, #WIRES
    ands r0, r1
    lsls r2, r5, #16
    lsrs r2, #24
    tst r3, r4
    beq not_asking
    eors r1, r2
    tst r0, r1
    bne nothing
    eors r3, r4
    strb r3, [r6, #ASKING]
/* To the north and west a cell yields: who has asked too lets go of its wire by itself, who consents waits for this one. */
    movs r4, #0
    cmp r2, #2
    bne 1f
    movs r2, #1
    movs r3, #1
    movs r1, #YIELD
    bl await_looks
    movs r4, r1
1:  movs r0, #0
    bl nca_wires_pull
    cmp r4, #0
    bne take
/* Who consents looks, and lets go at once. Who has asked and does not look now goes on asking. */
    movs r2, #WIRES
    movs r3, #WIRES
    movs r1, #YIELD
    bl await_looks
    cmp r1, #0
    beq done
/* One frame of those owed on the edge, the newest state, or that of the neighbour to the east or to the west. */
    ldrb r1, [r6, #TODO]
    lsrs r0, r5, #16
    ands r0, r1
    movs r1, #0x10
2:  lsrs r0, #1
    bcs 3f
    adds r1, #1
    b 2b
3:  ldr r5, =cell
    adds r5, #STATE
    lsrs r2, r1, #1
    bcc 4f
    adds r5, #NEIGHBOURS - STATE + 2 * 16
    cmp r1, #0x14
    blo 4f
    adds r5, #4 * 16
4:  movs r0, r1
    bl nca_wires_frame
    cmp r0, #0
    beq done
    movs r1, #1
    subs r0, #0x10
    lsls r1, r0
    ldrb r0, [r6, #TODO]
    bics r0, r1
    strb r0, [r6, #TODO]
done:
    movs r0, #1
    pop {r4, r5, r6, r7, pc}
not_asking:
    cmp r0, #WIRES
    beq 5f
    movs r0, #0
    bl nca_wires_bit    /* this is the consent */
    cmp r0, #0
    beq done
/* Whoever sends, a frame says where its state belongs: a neighbour speaks for itself and passes on others, a hub speaks for all eight. */
take:
    ldr r5, =cell
    adds r5, #FRAME
    movs r0, #0
    bl nca_wires_frame
    subs r0, #0x10
    cmp r0, #8
    bhs 6f
    lsls r0, #4
    movs r1, r5
    subs r5, #FRAME - NEIGHBOURS
    adds r5, r0
    ldm r1!, {r2, r3, r4}
    stm r5!, {r2, r3, r4}
    ldr r2, [r1]
    str r2, [r5]
    b done
6:  cmp r0, #0x10
    bne 7f
    bl nca_plant
    b done
/* Nothing is taken for longer than the other end has patience, so that it gives up, and gives the frame once more later. */
7:  movs r2, #0
    movs r3, #1
    movs r1, #YIELD
    bl await_looks
    movs r2, #WIRES
    movs r3, #WIRES
    ldr r1, =2 * PATIENCE
    bl await_looks
    b done
5:  lsrs r0, r5, #16
    ldrb r1, [r6, #TODO]
    tst r0, r1
    beq nothing
    orrs r3, r4
    strb r3, [r6, #ASKING]
    movs r0, r2
    bl nca_wires_pull
    b done
nothing:
    movs r0, #0
    pop {r4, r5, r6, r7, pc}
    .pool
    end nca_attend
