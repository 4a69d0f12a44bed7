/* flash.h on an STM32G031: pages of 2 KB are erased, double words of 8 bytes written; the processor waits where it stands, code is in the same flash.
 * Register names and sections are those of RM0444. */
#include "flash.h"

#include "board.h"
#include "genome.h"

#define REG(address) (*(volatile uint32_t *)(address))

#define FLASH 0x40022000u  /* 3.7: KEYR 8, SR 10h, CR 14h, ECCR 18h */
#define USART2 0x40004400u /* 33.8: ISR 1Ch, RDR 24h */
#define TIM2 0x40000000u   /* 22.4: CNT 24h */
#define SCB 0xe000ed00u    /* ARMv6-M manual, B3.2: VTOR 8, AIRCR Ch */

#define BSY 0x50000u      /* SR: BSY1, CFGBSY */
#define ERRORS 0x3fbu     /* SR: all that went wrong before, and EOP; a one clears */
#define PG 1u             /* CR */
#define PER 2u
#define STRT (1u << 16)
#define LOCK (1u << 31)
#define ECCD (1u << 31)   /* ECCR */
#define ERASED 2048u      /* 3.3.1 */

void reset(void) __attribute__((noreturn));
extern uint32_t stack_top;
extern const uint8_t image_start;

/* A double word that was being written when power failed may be beyond correction: reading it is an NMI (3.3.2). What was read is not right, and so is no
 * tag; the cell goes on. */
static void nmi(void)
{
    REG(FLASH + 0x18) = ECCD;
}

/* Vectors with that NMI: VTOR wants them at a multiple of 256. */
__attribute__((used, aligned(256))) static const struct {
    uint32_t *stack;
    void (*handlers[3])(void);
} vectors = { &stack_top, { reset, nmi, reset } };

void board_flash_start(void)
{
    REG(SCB + 8) = (uint32_t)&vectors;
}

static void wait(void)
{
    while (REG(FLASH + 0x10) & BSY) {
    }
}

static void unlock(void)
{
    wait();
    REG(FLASH + 0x10) = ERRORS;
    REG(FLASH + 8) = 0x45670123u;
    REG(FLASH + 8) = 0xcdef89abu;
}

static void erase(uint32_t address)
{
    REG(FLASH + 0x14) = PER | (address - (uint32_t)&image_start) / ERASED << 3;
    REG(FLASH + 0x14) |= STRT;
    wait();
    REG(FLASH + 0x14) = 0;
}

void board_forget(uint16_t offset)
{
    unlock();
    erase((uint32_t)nca_slots + offset);
    REG(FLASH + 0x14) = LOCK;
}

void board_page(uint16_t offset, const uint8_t *page)
{
    const uint32_t to = (uint32_t)nca_slots + offset;

    unlock();
    if (to % ERASED == 0 && offset != 0 && offset != NCA_SLOT_STRIDE) {
        erase(to);
    }
    REG(FLASH + 0x14) = PG;
    for (uint8_t at = 0; at < NCA_PAGE; at = (uint8_t)(at + 4)) { /* two words make a double word, which is written with the second */
        REG(to + at) = (uint32_t)page[at] | (uint32_t)page[at + 1] << 8 | (uint32_t)page[at + 2] << 16 | (uint32_t)page[at + 3] << 24;
        if (at & 4u) {
            wait();
        }
    }
    REG(FLASH + 0x14) = LOCK;
}

void board_restart(void)
{
    REG(SCB + 0xc) = 0x05fa0004u; /* SYSRESETREQ */
    for (;;) {
    }
}

uint8_t board_hears(uint16_t microseconds)
{
    uint32_t since = 0;

    for (uint8_t looked = 0; (REG(USART2 + 0x1c) & 1u << 5) == 0; looked = 1) { /* ISR.RXNE */
        const uint32_t now = REG(TIM2 + 0x24);
        if (!looked) {
            since = now;
        }
        if (now - since >= microseconds) {
            return 0;
        }
    }
    return 1;
}

uint8_t board_heard(void)
{
    return (uint8_t)REG(USART2 + 0x24);
}
