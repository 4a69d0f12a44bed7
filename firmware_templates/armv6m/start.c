/* Vectors and reset. A fault starts the cell anew, from zero. */
#include <stdint.h>

extern uint32_t ram_start, ram_end, stack_top;
int main(void) __attribute__((noreturn));

void reset(void) __attribute__((noreturn));

/* No interrupt is ever enabled: only reset, NMI and hard fault can happen (ARMv6-M manual, section B1.5.4). */
__attribute__((section(".vectors"), used)) const struct {
    uint32_t *stack;
    void (*handlers[3])(void);
} vector_table = { &stack_top, { reset, reset, reset } };

void reset(void)
{
    for (volatile uint32_t *p = &ram_start; p < &ram_end; p++) {
        *p = 0;
    }
    main();
}
