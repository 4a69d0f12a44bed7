/* A chip that writes its own flash: SPM and its register, with the time that they take and what they leave if power fails meanwhile. In place of
 * simavr's, whose pages are written in no time, into a flash that can be read all the while. See engine.h; section 27 of the data sheet. */
#include "engine.h"

#include <simavr/avr_flash.h>

#define SPMCSR 0x57
#define SELFPRGEN 0x01u
#define PGERS 0x02u
#define PGWRT 0x04u
#define RWWSRE 0x10u
#define RWWSB 0x40u
#define COMMAND 0x3fu
#define IN_TIME 6u              /* cycles from the beginning of the instruction that writes SPMCSR to that of SPM: four, and simavr's counting */
#define BUSY 4500000000000u     /* table 27-9: an erasure or a write takes 3.7 to 4.5 ms */
#define READ_WHILE_WRITE 0x7000 /* table 27-7: from here on flash is read while what lies before is written */

static void put(chip *c, uint32_t address, uint8_t value)
{
    c->plain[address] = value;
    c->trapped[address] = value;
}

static uint32_t page_of(uint32_t address)
{
    return address & ~(uint32_t)(NCA_FLASH_PAGE - 1u);
}

static void forget_buffer(chip *c)
{
    memset(c->flash_buffer, 0xff, sizeof c->flash_buffer);
}

void nca_flash_begin(chip *c)
{
    c->flash_busy = 0;
    c->flash_blocked = 0;
    c->flash_command = 0;
    forget_buffer(c);
}

/* Power has gone: the page that was being erased or written holds anything. */
void nca_flash_break(chip *c, uint64_t now, uint64_t chance)
{
    if (c->own_flash && now < c->flash_busy) {
        for (uint32_t i = 0; i < NCA_FLASH_PAGE; i++) {
            chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            put(c, c->flash_page + i, (uint8_t)(chance >> 56));
        }
    }
    c->flash_busy = 0;
}

/* Nothing before READ_WHILE_WRITE can be read: whoever runs or reads there finds ones. */
static void block(chip *c, uint32_t page, uint8_t what)
{
    nca_array_event *event = nca_tell(c->array, NCA_FLASH, c->number, nca_time(c));
    event->cycles = page;
    event->a = what;
    c->flash_page = page;
    c->flash_busy = nca_time(c) + BUSY;
    if (page < READ_WHILE_WRITE) {
        memcpy(c->unreadable + READ_WHILE_WRITE, c->plain + READ_WHILE_WRITE, c->avr->flashend + 1 - READ_WHILE_WRITE);
        c->flash_blocked = 1;
        c->avr->flash = c->unreadable;
    }
}

static void command(chip *c)
{
    avr_t *avr = c->avr;
    const uint32_t z = (uint32_t)(avr->data[30] | avr->data[31] << 8);
    const uint8_t what = c->flash_command & COMMAND;
    const int in_time = avr->cycle - c->flash_commanded <= IN_TIME;

    c->flash_command = 0;
    if (!in_time || avr->pc < c->array->config.boot_at || nca_time(c) < c->flash_busy || z > avr->flashend) {
        return; /* as if it were not there */
    }
    if (what == SELFPRGEN) {
        c->flash_buffer[z % NCA_FLASH_PAGE & ~1u] &= avr->data[0];
        c->flash_buffer[(z % NCA_FLASH_PAGE) | 1u] &= avr->data[1];
    } else if (what == (PGERS | SELFPRGEN)) {
        for (uint32_t i = 0; i < NCA_FLASH_PAGE; i++) {
            put(c, page_of(z) + i, 0xff);
        }
        block(c, page_of(z), 1);
    } else if (what == (PGWRT | SELFPRGEN)) {
        for (uint32_t i = 0; i < NCA_FLASH_PAGE; i++) { /* what is written makes zeros of ones only */
            put(c, page_of(z) + i, c->plain[page_of(z) + i] & c->flash_buffer[i]);
        }
        block(c, page_of(z), 2);
        forget_buffer(c);
    } else if (what == (RWWSRE | SELFPRGEN)) {
        c->flash_blocked = 0;
        avr->flash = c->trapped;
        forget_buffer(c);
    }
}

static void write_register(struct avr_t *avr, avr_io_addr_t addr, uint8_t value, void *param)
{
    chip *c = param;
    (void)addr;
    c->flash_command = value;
    c->flash_commanded = avr->cycle;
}

static uint8_t read_register(struct avr_t *avr, avr_io_addr_t addr, void *param)
{
    chip *c = param;
    (void)avr;
    (void)addr;
    return (uint8_t)((nca_time(c) < c->flash_busy ? SELFPRGEN : 0) | (c->flash_blocked ? RWWSB : 0));
}

static int spm(struct avr_io_t *io, uint32_t what, void *param)
{
    (void)param;
    if (what != AVR_IOCTL_FLASH_SPM) {
        return -1;
    }
    command(io->avr->custom.data);
    return 0;
}

int nca_flash_take(chip *c)
{
    avr_t *avr = c->avr;
    const nca_array *a = c->array;

    if (a->config.boot_at == 0) { /* all chips run from one */
        c->plain = a->plain;
        c->trapped = a->trapped;
        return 1;
    }
    const size_t size = (size_t)avr->flashend + 5;
    c->own_flash = 1;
    c->plain = malloc(size);
    c->trapped = malloc(size);
    c->unreadable = malloc(size);
    if (c->plain == NULL || c->trapped == NULL || c->unreadable == NULL) {
        return 0;
    }
    memcpy(c->plain, a->plain, size);
    memcpy(c->trapped, a->trapped, size);
    memset(c->unreadable, 0xff, size);
    avr->custom.data = c;
    avr->io[AVR_DATA_TO_IO(SPMCSR)].w.c = write_register;
    avr->io[AVR_DATA_TO_IO(SPMCSR)].w.param = c;
    avr->io[AVR_DATA_TO_IO(SPMCSR)].r.c = read_register;
    avr->io[AVR_DATA_TO_IO(SPMCSR)].r.param = c;
    for (avr_io_t *io = avr->io_port; io != NULL; io = io->next) {
        if (io->kind != NULL && strcmp(io->kind, "flash") == 0) {
            io->ioctl = spm;
            nca_flash_begin(c);
            return 1;
        }
    }
    return 0;
}

void nca_flash_free(chip *c)
{
    if (c->own_flash) {
        free(c->plain);
        free(c->trapped);
        free(c->unreadable);
    }
}

void nca_array_flash(const nca_array *a, uint32_t number, uint32_t address, uint32_t size, uint8_t *into)
{
    memcpy(into, a->chips[number].plain + address, size);
}

void nca_array_spoil(nca_array *a, uint32_t number, uint32_t address, uint8_t value)
{
    if (a->chips[number].own_flash) {
        put(&a->chips[number], address, value);
    }
}
