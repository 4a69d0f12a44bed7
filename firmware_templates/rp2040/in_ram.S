/* What must run from RAM, as the flash can't be read meanwhile: board code copies it there. Position-independent. r0: struct job of flash.c. */
    .syntax unified
    .cpu cortex-m0plus
    .thumb
    .section .rodata.in_ram, "a"
    .balign 4
    .global in_ram
    .type in_ram, %object
in_ram:
    push {r4, r5, lr}
    mov r4, r0
    ldr r5, [r4]          /* connect_internal_flash */
    blx r5
    ldr r5, [r4, #4]      /* flash_exit_xip */
    blx r5
    ldr r0, [r4, #16]
    ldr r1, [r4, #20]
    ldr r2, [r4, #24]
    ldr r3, [r4, #28]
    ldr r5, [r4, #8]      /* flash_range_erase or flash_range_program */
    blx r5
    ldr r5, [r4, #12]     /* flash_flush_cache */
    blx r5
    adds r4, #32
1:  ldr r0, [r4]          /* registers and values, as boot2.S has set them: the flash can be read again */
    ldr r1, [r4, #4]
    adds r4, #8
    cmp r0, #0
    beq 2f
    str r1, [r0]
    b 1b
2:  pop {r4, r5, pc}
    .balign 4
    .size in_ram, . - in_ram
    .global in_ram_end
in_ram_end:
