/* A cell on the host: the unmodified firmware, whose board asks whoever runs it. Calls come in the order in which the firmware makes them. */
#ifndef NCA_NATIVE_H
#define NCA_NATIVE_H

#include <stdint.h>

#include "genome.h"

#define NCA_EXPORTED __attribute__((visibility("default")))

typedef struct nca_native nca_native;

/* What nca_cell_wake is called with. */
typedef struct {
    int8_t *state;
    const int8_t *neighbours;
    int8_t *perception;
    int32_t *output;
} nca_native_call;

/* The world of a cell, filled in by who runs it. */
struct nca_native {
    uint8_t (*wires)(nca_native *, uint8_t edge);
    void (*pull)(nca_native *, uint8_t edge, uint8_t wires);
    uint32_t (*now)(nca_native *);               /* us */
    void (*idle)(nca_native *, uint32_t alarm);  /* us, as `now` */
    uint8_t (*noise)(nca_native *);
    void (*light)(nca_native *, uint8_t value);
    void (*report)(nca_native *, uint8_t byte);
    void (*wake)(nca_native *, const nca_native_call *); /* before an update */
    void (*frame)(nca_native *); /* before nca_link_frame */
    void (*framed)(nca_native *, uint8_t begun, uint8_t ended, const int8_t *codes); /* after it: its head, what it returned, and the codes */
    void *leave;       /* of nca_native_run */
    uint16_t image_crc; /* the host's memory holds no image to take it from */
    uint8_t is_seed;
    uint8_t stop;      /* set in one of the calls above: nca_native_run returns */
};

/* All RAM of a cell: main's, and this board's. */
extern uint8_t nca_ram_start[], nca_ram_end[];

/* Power-on. Never returns. */
void nca_native_power_on(nca_native *powered) __attribute__((noreturn));

/* Power-on, until `stop` is set. */
NCA_EXPORTED void nca_native_run(nca_native *powered);

/* An update alone. */
NCA_EXPORTED void nca_native_wake(const nca_native_call *call);

#endif
