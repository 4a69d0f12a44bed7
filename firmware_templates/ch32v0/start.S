/* Reset of a CH32V003. The processor begins at address 0, with interrupts off, and none is ever enabled. A fault enters at the same
 * address, because mtvec is 0 after reset (QingKe V2 manual): it starts the cell anew, from zero. */
    .section .reset, "ax", @progbits
    .globl reset
    .type reset, @function
reset:
    la sp, stack_top
    la a0, ram_start
    la a1, ram_end
1:  sw zero, 0(a0)
    addi a0, a0, 4
    bne a0, a1, 1b
    j main
    .size reset, . - reset
