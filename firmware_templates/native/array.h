/* An array of cells on the host, wired edge to edge: each is the whole firmware with RAM, stack, clock and wires of its own. Time is told in ns and
 * passes where a cell looks at its wires, pulls them, reports or updates; who is earliest goes on. */
#ifndef NCA_ARRAY_H
#define NCA_ARRAY_H

#include <stdint.h>

#include "native.h"

typedef struct {
    uint32_t width, height;
    uint32_t seed;        /* of all random numbers, those of the cells included */
    uint32_t seed_cell;   /* whose strap is set; one beyond the last for none */
    uint32_t step_ns;     /* mean time of a look or a pull, with what the firmware does around it */
    uint32_t jitter;      /* uniform, in 1/1024 of it: at most 1024 */
    uint32_t slowest;     /* steps of a cell are longer by up to this, in 1/1024: chips of unlike speed */
    uint32_t spread_ppm;  /* clocks are off by up to this, the same for a cell's life */
    uint32_t stagger_ns;  /* cells get power at random times within this */
    uint32_t update_ns;   /* of an update */
    uint32_t byte_ns;     /* of a byte out of the service port */
    uint32_t same_noise;  /* 1: the noise of all chips is alike, and so are their waits */
    uint32_t glitches;    /* looks, of 2^32, that see other levels than there are */
    uint16_t image_crc;
} nca_array_settings;

enum nca_event_kind { NCA_REPORTED = 1, NCA_TAKEN, NCA_GIVEN, NCA_NOT_TAKEN, NCA_NOT_GIVEN };

/* What has happened, in order. */
typedef struct {
    uint64_t time; /* ns */
    uint32_t cell;
    uint32_t looks;    /* of a frame on a wire: at the wires of this end, in the midst of it */
    uint8_t kind;
    uint8_t edge;      /* where the cell has looked last */
    uint8_t size;      /* bytes: reported: as they went out; taken: head and codes; given: head */
    uint8_t bytes[21];
} nca_event;

typedef struct nca_array nca_array;

/* Returns 0 if there is no memory for it. */
NCA_EXPORTED nca_array *nca_array_new(const nca_array_settings *settings);

/* Goes on until that time or until fewer than four events fit. Returns the number of events. */
NCA_EXPORTED uint64_t nca_array_run(nca_array *array, uint64_t until, nca_event *events, uint64_t room);

NCA_EXPORTED uint64_t nca_array_now(const nca_array *array);

/* Takes a cell's power away, or gives it: it begins anew. */
NCA_EXPORTED void nca_array_power(nca_array *array, uint32_t number, uint8_t on);

/* From now on wires of an edge are low, whatever the cells do: a short to ground. 0 ends it. */
NCA_EXPORTED void nca_array_short(nca_array *array, uint32_t number, uint8_t edge, uint8_t low);

/* The share of 2^32 of looks that see other levels than there are, from now on. */
NCA_EXPORTED void nca_array_glitches(nca_array *array, uint32_t glitches);

/* Looks and pulls of a cell since power-on. */
NCA_EXPORTED uint64_t nca_array_steps(const nca_array *array, uint32_t number);

NCA_EXPORTED void nca_array_close(nca_array *array);

#endif
