/* What the parts of the engine share. See simavr_array.h. Sections are those of the ATmega48A/PA/88A/PA/168A/PA/328/P data sheet, Microchip
 * DS40002061B. */
#ifndef NCA_ENGINE_H
#define NCA_ENGINE_H

#define _DEFAULT_SOURCE /* _setjmp: without the signal mask */
#include "simavr_array.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <simavr/sim_avr.h>
#include <simavr/avr_ioport.h>

#define NEVER UINT64_MAX
#define SLOTS 4096u /* of the wheel of windows; who is due later is put into the last one and looked at again */
#define PORTS 8     /* letters A to H */
#define INCOMING_MAX 64

/* Why a chip's instruction is given up before it has done anything: it must wait for other chips; it stands in place of a watched one. */
enum { SYNCHRONISE = 1, TRAPPED };

typedef struct {
    uint64_t due;
    uint8_t wire;
    uint8_t low;
} change;

/* What went over one edge, told from the chip to the north or west of it. */
typedef struct {
    uint64_t last, let_go_at, last_pull;
    uint8_t let_go;     /* the last wire that an end let go alone */
    uint8_t let_go_by;  /* that end */
    uint8_t crosses;    /* the other end pulls, maybe because it has seen that wire low before */
    uint8_t pulls[2];   /* by the two ends: bits 0 and 1 */
    uint8_t both;       /* both wires are low, one by each end */
    uint8_t busy;       /* a frame is under way */
    uint8_t sender;     /* end */
    uint16_t bits;
    uint8_t data[NCA_EVENT_DATA];
} edge;

struct chip;

typedef struct {
    struct chip *chip;
    avr_ioport_t *io;
    uint8_t index;
    uint8_t external; /* pins with a level from outside: wires and the strap */
} port;

typedef struct chip {
    avr_t *avr;
    struct nca_array *array;
    uint64_t base;   /* time of cycle 0 */
    uint64_t period;
    uint64_t bound;  /* wires may be looked at and changed before this time only */
    uint64_t due;    /* when to look at this chip again */
    uint64_t horizon_cycle;
    uint64_t entered; /* cycle at which the update under way began */
    uint64_t slept;
    uint64_t led_rose, led_fell, said_at;
    uint64_t fill;   /* what RAM held when power came */
    uint32_t led_bits, led_word, number, powered;
    int32_t next, previous; /* in the wheel's slot */
    uint32_t slot;
    uint32_t passing; /* a watched instruction that has been told already, + 1 */
    uint8_t pulls;   /* wires this chip pulls: bit 2 edge + wire */
    uint8_t heard;   /* wires that it sees the other end pull */
    uint8_t connected;
    uint8_t pushes;
    uint8_t strapped;
    uint8_t updating;
    uint8_t queued;
    uint8_t said, says[NCA_EVENT_DATA];
    uint8_t incoming_count;
    change incoming[INCOMING_MAX];
    port ports[PORTS];
    uint8_t *plain, *trapped; /* flash, and flash with watched instructions replaced */
    uint8_t *unreadable;      /* what is seen of it while it is written */
    uint64_t flash_busy, flash_commanded;
    uint32_t flash_page;
    uint8_t own_flash, flash_blocked, flash_command;
    uint8_t flash_buffer[NCA_FLASH_PAGE];
    uint8_t *heard_bytes;     /* of the service port, from heard_first to heard_last */
    uint32_t heard_first, heard_last, heard_room;
    uint64_t heard_due;       /* the first of them begins */
    uint8_t received[2], received_count;
    avr_io_read_t read_status; /* simavr's, for what is sent */
    void *read_status_of;
    avr_run_t run;
} chip;

typedef struct {
    uint64_t time;
    uint32_t chip;
    uint8_t before, after;
} pull;

struct nca_array {
    nca_array_config config;
    chip *chips;
    edge *edges; /* 2 a chip: to the east, to the south */
    uint8_t *plain, *trapped;
    uint64_t now;
    uint64_t window; /* number of the one under way */
    unsigned shift;  /* a window is 2^shift femtoseconds */
    int32_t slots[SLOTS];
    uint64_t occupied[SLOTS / 64];
    uint8_t to_wires[PORTS][256]; /* bits of a port to wires */
    uint8_t to_pins[PORTS][256];  /* wires to bits of a port */
    uint8_t wire_port[2 * NCA_EDGES];
    uint32_t watch[NCA_WATCHES];
    uint8_t watch_ends[NCA_WATCHES];
    uint32_t watches;
    pull *pulls;
    size_t pull_count, pull_room;
    nca_array_event *events;
    size_t event_count, event_room;
    nca_array_led led;
    nca_array_work work;
    jmp_buf back;
    char complaint[160];
};

static inline uint64_t nca_time(const chip *c)
{
    return c->base + c->avr->cycle * c->period;
}

/* The first cycle that does not begin before a time. */
static inline uint64_t nca_cycle(const chip *c, uint64_t time)
{
    return time <= c->base ? 0 : (time - c->base + c->period - 1) / c->period;
}

/* simavr_array.c: a new event. */
nca_array_event *nca_tell(nca_array *a, uint8_t kind, uint32_t number, uint64_t time);

/* wheel.c: who is due when. A chip is to be looked at again, in no window before `earliest`; or no longer. The first window from that
 * under way on, up to `last`, in which somebody is due. */
void nca_wheel_enter(nca_array *a, chip *c, uint64_t due, uint64_t earliest);
void nca_wheel_leave(nca_array *a, chip *c);
uint64_t nca_wheel_next(const nca_array *a, uint64_t last);

/* wires.c: wires that are low at a chip's end; levels of a port's pins as they are now; changes that have arrived by now; one that a chip
 * will see at `due`; what a chip pulls from now on; what others pull at a chip. */
uint8_t nca_wires_low(const chip *c);
void nca_wires_settle(chip *c, port *p);
void nca_wires_deliver(chip *c, uint64_t now);
void nca_wires_send(nca_array *a, chip *to, uint8_t wire, uint8_t low, uint64_t due);
void nca_wires_pull(chip *c, uint8_t pulls, uint64_t now);
uint8_t nca_wires_others(const nca_array *a, const chip *c);

/* edges.c: reads frames off the wires as far as pulls are known; whatever is under way at a chip's edges ends. */
void nca_edges_read(nca_array *a);
void nca_edges_end(nca_array *a, uint32_t number, uint64_t time);

/* pins.c: puts the engine between a chip and its ports; tells bytes of its service port that were not told yet. */
void nca_pins_take(chip *c);
void nca_pins_told(chip *c);

/* flash.c: gives a chip its flash; after a reset; after its power has gone; frees it. */
int nca_flash_take(chip *c);
void nca_flash_begin(chip *c);
void nca_flash_break(chip *c, uint64_t now, uint64_t chance);
void nca_flash_free(chip *c);

/* service.c: puts the engine in place of the service port's receiver; after a reset. */
void nca_service_take(chip *c);
void nca_service_begin(chip *c, uint64_t now);

/* chip.c: makes a chip; runs it until it has to wait for others, or has nothing to do before `bound`, and gives the time at which it wants
 * to go on; tells of an address in flash when a chip comes there, as the beginning of an update or its end. */
int nca_chip_make(nca_array *a, uint32_t number);
uint64_t nca_chip_run(chip *c, uint64_t bound);
void nca_chip_watch(nca_array *a, uint32_t address, uint8_t ends);

#endif
