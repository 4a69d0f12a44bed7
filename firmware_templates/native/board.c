/* The host as a board: see native.h. */
#include "board.h"

#include <setjmp.h>

#include "cell.h"
#include "link.h"
#include "native.h"

static nca_native *native;
static uint32_t alarm;

int main(void) __attribute__((noreturn));

/* The linker puts these before the functions of cell.c and link.c (--wrap). */
uint8_t __real_nca_cell_wake(const nca_genome *genome, int8_t *state, const int8_t *neighbours, int8_t *perception, int32_t *output);
uint8_t __wrap_nca_cell_wake(const nca_genome *genome, int8_t *state, const int8_t *neighbours, int8_t *perception, int32_t *output);
uint8_t __real_nca_link_frame(const nca_genome *genome, uint8_t head, int8_t *codes, nca_link_move *move);
uint8_t __wrap_nca_link_frame(const nca_genome *genome, uint8_t head, int8_t *codes, nca_link_move *move);

void nca_native_power_on(nca_native *powered)
{
    for (volatile uint8_t *p = nca_ram_start; p < nca_ram_end; p++) {
        *p = 0;
    }
    native = powered;
    main();
}

void nca_native_run(nca_native *powered)
{
    jmp_buf here;

    powered->leave = &here; /* cppcheck-suppress autoVariables; until this function returns */
    powered->stop = 0;
    if (setjmp(here) == 0) {
        nca_native_power_on(powered);
    }
    native->leave = 0;
}

void nca_native_wake(const nca_native_call *call)
{
    __real_nca_cell_wake(0, call->state, call->neighbours, call->perception, call->output);
}

static void leave_if_told(void)
{
    if (native->stop) {
        longjmp(*(jmp_buf *)native->leave, 1);
    }
}

uint8_t __wrap_nca_cell_wake(const nca_genome *genome, int8_t *state, const int8_t *neighbours, int8_t *perception, int32_t *output)
{
    const nca_native_call call = { state, neighbours, perception, output };

    native->wake(native, &call);
    leave_if_told();
    return __real_nca_cell_wake(genome, state, neighbours, perception, output);
}

uint8_t __wrap_nca_link_frame(const nca_genome *genome, uint8_t head, int8_t *codes, nca_link_move *move)
{
    uint8_t ended;

    native->frame(native);
    ended = __real_nca_link_frame(genome, head, codes, move);
    native->framed(native, head, ended, codes);
    leave_if_told();
    return ended;
}

void board_start(void)
{
    alarm = native->now(native);
}

void board_alarm(uint32_t ticks)
{
    alarm += ticks;
}

uint8_t board_is_due(void)
{
    const uint32_t now = native->now(native);

    leave_if_told();
    return (int32_t)(now - alarm) >= 0;
}

void board_idle(void)
{
    native->idle(native, alarm);
    leave_if_told();
}

void board_alive(void)
{
}

uint8_t board_noise(void)
{
    return native->noise(native) & 1u;
}

uint8_t board_is_seed(void)
{
    return native->is_seed;
}

void board_light(uint8_t value)
{
    native->light(native, value);
}

uint8_t board_wires(uint8_t edge)
{
    const uint8_t levels = native->wires(native, edge);

    leave_if_told();
    return levels;
}

void board_pull(uint8_t edge, uint8_t wires)
{
    native->pull(native, edge, wires);
    leave_if_told();
}

void board_report(uint8_t byte)
{
    native->report(native, byte);
    leave_if_told();
}

uint16_t board_image_crc(void)
{
    return native->image_crc;
}
