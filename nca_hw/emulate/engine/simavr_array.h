/* Many chips on libsimavr, wired edge to edge, each with its own clock: the engine behind `nca-hw emulate`.
 *
 * Chips share nothing but wires, and a change of a wire takes `delay` to be seen at the other end. So nothing that a chip does in a window
 * of time no longer than the delay can matter to another before the window's end, and the order in which chips are run within a window
 * changes nothing: the result is exact and the same on every machine. Between two accesses to its wires a chip is run as far as it comes
 * ("Conservative" synchronisation, Chandy and Misra, 1979). A chip asleep is looked at when its next timer or wire is due.
 *
 * Times are femtoseconds since the array was made, unsigned 64 bits: five hours.
 */
#ifndef NCA_SIMAVR_ARRAY_H
#define NCA_SIMAVR_ARRAY_H

#include <stdint.h>

#define NCA_EDGES 4 /* N, E, S, W */
#define NCA_EVENT_DATA 30
#define NCA_NOBODY (-1)
#define NCA_WATCHES 16
#define NCA_NO_PIN 0xff
#define NCA_FLASH_PAGE 128 /* bytes that a chip erases and writes at a time */

typedef struct nca_array nca_array;

/* A pin is 8 times the letter of its port, from A, plus its number: B3 is 11. */
typedef struct {
    const char *mcu;
    const uint8_t *flash;
    uint32_t flash_bytes;
    uint32_t chips;
    uint32_t clock_hz;        /* nominal; what simavr's peripherals take for true */
    const uint64_t *period;   /* of every chip's clock, femtoseconds */
    const int32_t *neighbour; /* [chips][NCA_EDGES]: chip at the other end, or NCA_NOBODY */
    uint64_t delay;           /* until a wire's change is seen at its other end, femtoseconds */
    uint8_t wire[2 * NCA_EDGES]; /* pin of wire 0 and wire 1 of each edge */
    uint8_t led;              /* pin of the WS2812's data, or NCA_NO_PIN */
    uint8_t strap;            /* pin that tells a seed, or NCA_NO_PIN */
    uint8_t strapped;         /* its level at a seed; at all others it is the opposite */
    uint8_t frame_bytes;      /* that a sender gives once it has the other end's consent, at most NCA_EVENT_DATA */
    uint8_t state_bytes;
    uint8_t reads_itself;     /* the firmware reads its own code before it first looks at a wire: nothing is watched until then */
    uint16_t state;           /* address of the state in RAM */
    uint32_t wake;            /* address in flash of the function that is an update; 0: none is watched */
    uint32_t boot_at;         /* address from which on SPM works; every chip has a flash of its own then. 0: one for all, never written */
    uint32_t seed;            /* of what RAM and registers hold when power comes */
} nca_array_config;

/* What happened. Every chip's events are in order of time, those of different chips are not. */
enum {
    NCA_UPDATE_BEGINS = 1, /* `wake` is called; a: wires that the chip pulls */
    NCA_UPDATE_ENDS,       /* it returns; cycles: what it took; data: the state */
    NCA_FRAME_BEGINS,      /* the first bit of a frame got over an edge; chip: the receiver; a: its edge */
    NCA_FRAME,             /* the last one; cycles: bits; data: bytes */
    NCA_FRAME_BROKEN,      /* it ended before its end; cycles: bits that got over; data: those */
    NCA_LIGHT,             /* data: the 24 bits that an LED was told, first byte first */
    NCA_SERVICE,           /* data: a bytes from the service port; time: of the first */
    NCA_WATCHDOG,          /* the watchdog has reset the chip */
    NCA_CRASHED,           /* it ran into nowhere, or wrote outside its memory; cycles: the program counter */
    NCA_PUSHED,            /* it drives a wire high, which an open-drain wire never is; a: the wires */
    NCA_FLASH              /* it begins to erase (a: 1) or write (2) a page of its flash; cycles: the address */
};

typedef struct {
    uint64_t time;
    uint32_t chip;
    uint32_t cycles;
    uint8_t kind;
    uint8_t a;
    uint8_t data[NCA_EVENT_DATA];
} nca_array_event;

/* Pulse widths that the LED's data line has had, in femtoseconds. */
typedef struct {
    uint64_t zero_least, zero_most, one_least, one_most, gap_least, gap_most;
    uint64_t lights, odd; /* whole 24-bit words; bits left over before a reset */
} nca_array_led;

typedef struct {
    uint64_t visits, windows, cycles, slept; /* cycles of all chips, asleep or not; of them asleep */
    uint64_t vain;                           /* times that an end answered the other, and no bit of a frame followed */
    uint64_t errors;                         /* of the engine itself: 0, or it is wrong */
} nca_array_work;

/* NULL if there is no memory, or no such chip. All chips are without power. */
nca_array *nca_array_open(const nca_array_config *config);
void nca_array_close(nca_array *array);

/* Runs until `until`, or to the end of the window that it lies in. Gives the number of events that wait to be fetched. */
uint64_t nca_array_run(nca_array *array, uint64_t until);
uint64_t nca_array_now(const nca_array *array);
const nca_array_event *nca_array_events(const nca_array *array);
void nca_array_forget_events(nca_array *array);

/* At the time that the array has been run to: */
void nca_array_power_on(nca_array *array, uint32_t chip, int is_seed);
void nca_array_power_off(nca_array *array, uint32_t chip);
void nca_array_cut(nca_array *array, uint32_t chip, uint32_t edge, uint32_t wire, int cut);

/* The service port hears bytes, one after the other, after those that it was to hear before. What a chip without power hears is lost. */
void nca_array_say(nca_array *array, uint32_t chip, const uint8_t *bytes, uint32_t count);

/* Flash, as it is; and a byte of it changed by nobody. */
void nca_array_flash(const nca_array *array, uint32_t chip, uint32_t address, uint32_t size, uint8_t *into);
void nca_array_spoil(nca_array *array, uint32_t chip, uint32_t address, uint8_t value);

int nca_array_has_power(const nca_array *array, uint32_t chip);
void nca_array_peek(const nca_array *array, uint32_t chip, uint32_t address, uint32_t size, uint8_t *into);
void nca_array_poke(nca_array *array, uint32_t chip, uint32_t address, uint32_t size, const uint8_t *from);
/* Bytes from RAM's end down to the lowest that was ever written at or above `floor`: the stack's high water. */
uint32_t nca_array_stack(const nca_array *array, uint32_t chip, uint32_t floor);
uint8_t nca_array_wires(const nca_array *array, uint32_t chip); /* levels at its end: bit 2 edge + wire */
void nca_array_led_timing(const nca_array *array, nca_array_led *into);
void nca_array_work_done(const nca_array *array, nca_array_work *into);
const char *nca_array_complaint(const nca_array *array); /* first warning of simavr itself, or "" */

#endif
