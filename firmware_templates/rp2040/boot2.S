/* Second stage of the RP2040's boot: the boot ROM copies these 256 bytes into SRAM, checks their CRC and runs them (RP2040 datasheet,
 * section 2.8.1.3). It sets the flash up for plain serial reads (command 03h, which every SPI flash knows) and enters the image behind it.
 * The linker fills the rest of the 256 bytes with tables of the genome; the last four, the CRC, are written by the build. */
    .syntax unified
    .cpu cortex-m0plus
    .thumb
    .section .boot2, "ax"
    .global boot2
boot2:
    ldr r0, ssi             /* XIP_SSI, datasheet section 4.10.13 */
    movs r1, #0
    str r1, [r0, #0x08]     /* SSIENR: off while it is configured */
    movs r2, #4
    str r2, [r0, #0x14]     /* BAUDR: clk_sys / 4 */
    ldr r2, ctrlr0
    str r2, [r0, #0x00]     /* CTRLR0: standard SPI, frames of 32 bits, EEPROM read */
    str r1, [r0, #0x04]     /* CTRLR1: one frame */
    ldr r2, spi_ctrlr0
    ldr r3, spi_ctrlr0_offset
    str r2, [r0, r3]        /* SPI_CTRLR0: command 03h, 24 bits of address, no wait cycles */
    movs r2, #1
    str r2, [r0, #0x08]     /* SSIENR: on */
    ldr r0, vectors
    ldr r1, vtor
    str r0, [r1]            /* VTOR */
    ldmia r0!, {r1, r2}
    msr msp, r1
    bx r2
    .align 2
ssi:                .word 0x18000000
ctrlr0:             .word (31 << 16) | (3 << 8)
spi_ctrlr0:         .word (0x03 << 24) | (2 << 8) | (6 << 2)
spi_ctrlr0_offset:  .word 0xf4
vectors:            .word vector_table
vtor:               .word 0xe000ed08
