/* flash.h: writing flash, restarting, hearing. Sections are those of the data sheet (Microchip DS40002061B). */

#define SPMCSR 0x37 /* by its I/O address */
#define WDTCSR 0x60
#define UCSR0A 0xc0
#define UDR0 0xc6

#define SELFPRGEN 0x01
#define PGWRT 0x04
#define PGERS 0x02
#define RWWSRE 0x10

/* Section 27: SPM works in the boot section only, which is at 7E00h for the smallest, and holds these 512 bytes for any size of it. While a page
 * below 7000h is erased or written nothing there can be read: this code waits, interrupts are off. A chip whose fuses start it here goes on at 0. */
    .section .boot, "ax", @progbits
boot:
    jmp 0
    .global board_forget
    .type board_forget, @function
board_forget: /* r25:r24 = offset within nca_slots */
    movw r30, r24
    subi r30, lo8(-(nca_slots))
    sbci r31, hi8(-(nca_slots))
    ldi r20, PGERS | SELFPRGEN
    rcall command
    ldi r20, RWWSRE | SELFPRGEN
    rjmp command
    .size board_forget, . - board_forget
    .global board_page
    .type board_page, @function
board_page: /* r25:r24 = offset within nca_slots; r23:r22 = bytes in RAM */
    movw r30, r24
    subi r30, lo8(-(nca_slots))
    sbci r31, hi8(-(nca_slots))
    movw r26, r22
    ldi r20, PGERS | SELFPRGEN
    rcall command
    ldi r20, RWWSRE | SELFPRGEN
    rcall command
    ldi r21, 64 /* words of a page */
1:  ld r0, X+
    ld r1, X+
    ldi r20, SELFPRGEN
    rcall command
    adiw r30, 2
    dec r21
    brne 1b
    subi r30, 128
    sbci r31, 0
    ldi r20, PGWRT | SELFPRGEN
    rcall command
    ldi r20, RWWSRE | SELFPRGEN
    rcall command
    clr r1
    ret
command: /* r20, once the last one is done; SPM within four cycles */
    in r19, SPMCSR
    sbrc r19, 0
    rjmp command
    out SPMCSR, r20
    spm
    ret
    .size board_page, . - board_page

/* The watchdog does it: all registers are as after power-on then. */
    .section .text.board_restart, "ax", @progbits
    .global board_restart
    .type board_restart, @function
board_restart:
    ldi r24, 0x18 /* WDCE, WDE: section 10.9.2 */
    ldi r25, 0x08 /* WDE, 16 ms */
    sts WDTCSR, r24
    sts WDTCSR, r25
    wdr
1:  rjmp 1b
    .size board_restart, . - board_restart

    .section .text.board_hears, "ax", @progbits
    .global board_hears
    .type board_hears, @function
board_hears: /* r25:r24 = microseconds, 16 cycles each */
    movw r26, r24
    adiw r26, 1
1:  lds r24, UCSR0A
    sbrc r24, 7 /* RXC */
    rjmp 2f
    ldi r24, 2
3:  dec r24
    brne 3b
    rjmp .+0
    sbiw r26, 1
    brne 1b
    ldi r24, 0
    ret
2:  ldi r24, 1
    ret
    .size board_hears, . - board_hears

    .section .text.board_heard, "ax", @progbits
    .global board_heard
    .type board_heard, @function
board_heard:
    lds r24, UDR0
    ret
    .size board_heard, . - board_heard
