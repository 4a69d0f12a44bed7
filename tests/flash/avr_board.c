/* An Arduino board for tests: an AVR on libsimavr with a boot loader of its own in flash, its UART on a pseudo-terminal.
 *
 *     avr_board LINK MCU BOOTLOADER.hex [stuck=ADDRESS:VALUE] [gone=BYTES] [start=IMAGE.bin] [mute=OPENINGS]
 *
 * LINK becomes a symbolic link to the terminal. A pseudo-terminal has no DTR: whoever opens it resets the chip, as opening the port of such a
 * board does. Nobody there: the chip stands still. stuck: a byte of flash that never holds anything else. gone: after so many received bytes the
 * plug is pulled. start: what flash holds at first. mute: nothing is heard of it in the first so many openings. Time is never ahead of the
 * host's. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_core.h>

#define CLOCK_HZ 16000000u
#define SLICE (CLOCK_HZ / 1000u)

static int terminal;
static unsigned mute; /* openings that are left in which nothing is heard */
static int full; /* the UART takes no more now */

static void sent(struct avr_irq_t *irq, uint32_t value, void *param)
{
    const uint8_t byte = (uint8_t)value;
    (void)irq, (void)param;
    if (!mute && write(terminal, &byte, 1) != 1 && errno != EIO && errno != EAGAIN) {
        exit(1);
    }
}

static void takes_more(struct avr_irq_t *irq, uint32_t value, void *param)
{
    (void)irq, (void)value, (void)param;
    full = 0;
}

static void takes_none(struct avr_irq_t *irq, uint32_t value, void *param)
{
    (void)irq, (void)value, (void)param;
    full = 1;
}

static void asleep(avr_t *avr, avr_cycle_count_t cycles)
{
    (void)avr, (void)cycles;
}

static int somebody(short *events)
{
    struct pollfd look = { .fd = terminal, .events = POLLIN };
    *events = poll(&look, 1, 0) > 0 ? look.revents : 0;
    return (*events & POLLHUP) == 0;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Intel HEX, records of data only. Gives the lowest address: the fuses of such boards let the chip begin there. */
static uint32_t load(avr_t *avr, const char *hex)
{
    FILE *file = fopen(hex, "r");
    unsigned size, at, type, byte;
    uint32_t lowest = avr->flashend;

    if (file == NULL) {
        fprintf(stderr, "%s can't be read\n", hex);
        exit(1);
    }
    while (fscanf(file, " :%2x%4x%2x", &size, &at, &type) == 3) {
        lowest = type == 0 && size > 0 && at < lowest ? at : lowest;
        for (unsigned i = 0; i <= size; i++) { /* the checksum comes last */
            if (fscanf(file, "%2x", &byte) == 1 && type == 0 && i < size && at + i <= avr->flashend) {
                avr->flash[at + i] = (uint8_t)byte;
            }
        }
    }
    fclose(file);
    return lowest;
}

int main(int count, char **words)
{
    unsigned stuck = 0, value = 0x100, received = 0, gone = 0;
    const char *link = words[1];
    avr_t *avr = avr_make_mcu_by_name(words[2]);
    int slave;
    char name[64];

    if (avr == NULL || count < 4) {
        return 1;
    }
    avr_init(avr);
    memset(avr->flash, 0xff, avr->flashend + 1);
    avr->reset_pc = load(avr, words[3]);
    for (int i = 4; i < count; i++) {
        FILE *file;
        if (sscanf(words[i], "stuck=%u:%u", &stuck, &value) == 2 || sscanf(words[i], "gone=%u", &gone) == 1 ||
            sscanf(words[i], "mute=%u", &mute) == 1) {
            continue;
        }
        if (strncmp(words[i], "start=", 6) != 0 || (file = fopen(words[i] + 6, "rb")) == NULL) {
            return 1;
        }
        if (fread(avr->flash, 1, avr->reset_pc, file) == 0) {
            return 1;
        }
        fclose(file);
    }
    avr->frequency = CLOCK_HZ;
    avr->log = LOG_ERROR;
    avr->sleep = asleep;
    avr->codeend = avr->flashend;
    uint32_t flags = 0;
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), sent, NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XON), takes_more, NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XOFF), takes_none, NULL);
    avr_irq_t *in = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);

    struct termios raw;
    cfmakeraw(memset(&raw, 0, sizeof raw));
    if (openpty(&terminal, &slave, name, &raw, NULL) != 0) {
        return 1;
    }
    fcntl(terminal, F_SETFL, O_NONBLOCK);
    close(slave);
    unlink(link);
    if (symlink(name, link) != 0) {
        return 1;
    }
    puts(name);
    fflush(stdout);

    int open = 0;
    double began = 0;
    avr_cycle_count_t first = 0;
    for (;;) {
        short events;
        if (!somebody(&events)) {
            mute -= (unsigned)(open && mute != 0);
            open = 0;
            usleep(1000);
            continue;
        }
        if (!open) {
            open = 1;
            full = 0;
            avr_reset(avr);
            avr_regbit_set(avr, avr->reset_flags.extrf);
            began = now();
            first = avr->cycle;
        }
        uint8_t byte;
        while ((events & POLLIN) && !full && read(terminal, &byte, 1) == 1) {
            avr_raise_irq(in, byte);
            if (++received == gone) {
                return 0;
            }
            somebody(&events);
        }
        const avr_cycle_count_t until = avr->cycle + SLICE;
        while (avr->cycle < until) {
            avr_run(avr);
            if (value <= 0xff) {
                avr->flash[stuck] = (uint8_t)value;
            }
        }
        const double ahead = (double)(avr->cycle - first) / CLOCK_HZ - (now() - began);
        if (ahead > 0) {
            usleep((useconds_t)(1e6 * ahead));
        } else if (ahead < -0.05) { /* a slow host: time lost is not made up for */
            began -= ahead;
        }
    }
}
