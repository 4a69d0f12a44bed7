"""Builds `nca_hw.core._cell`: the C core of firmware_templates/, unchanged, with the host's genome.h (cffi API mode)."""

from __future__ import annotations

import os
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = "firmware_templates"
ENGINE = "sim/fast"

ffibuilder = FFI()
ffibuilder.cdef(
    """
    typedef struct {
        const int8_t *units; const int16_t *b2; const int16_t *m2; const int8_t *taps; const int16_t *decode;
        uint16_t hidden; uint8_t kernels; uint8_t channels; uint8_t alpha; int8_t alive; uint8_t s1; uint8_t s2; uint8_t tap_shift;
    } nca_genome;

    uint8_t nca_cell_wake(const nca_genome *, int8_t *, const int8_t *, int8_t *, int32_t *);
    int8_t nca_compress(const nca_genome *, int32_t);
    uint32_t nca_random_next(uint32_t);
    uint32_t nca_random_wait(uint32_t, uint32_t);
    void nca_host_send(const nca_genome *, uint8_t, const int8_t *, uint8_t *);
    uint8_t nca_host_receive(const nca_genome *, uint8_t *, uint32_t, int8_t *);
    void nca_host_wake_many(const nca_genome *, uint32_t, int8_t *, const int8_t *, uint8_t *);

    typedef struct { int instructions; ...; } nca_fast;
    void nca_fast_prepare(nca_fast *, const nca_genome *, int);
    void nca_fast_wake_many(const nca_fast *, uint32_t, int8_t *, const int8_t *, uint8_t *);

    typedef struct { ...; } nca_wake;
    typedef struct {
        int64_t next_wake; int64_t since; int64_t powered_at; uint32_t tick;
        uint32_t random; uint32_t updates; uint32_t number; uint32_t chip; uint32_t sent; uint32_t pace; int32_t after;
        uint8_t quiet; uint8_t settled; uint8_t flags; uint8_t cut; uint8_t frames; uint8_t program; uint8_t links; uint8_t reserved;
    } nca_cell;
    typedef struct { int64_t sent_at; int8_t code[16]; ...; } nca_sent;
    typedef struct { ...; } nca_bucket;
    typedef struct { int64_t told_at[2]; int8_t code[2][16]; } nca_passed;
    typedef struct { int32_t offset; uint8_t slot; uint8_t frame; uint8_t carries; uint8_t used; } nca_wire;
    typedef struct { ...; } nca_update;
    #define NCA_BATCH_MAX ...
    typedef struct {
        const nca_fast *programs; uint32_t seed;
        uint32_t threads; int64_t latency; int64_t shortest_wait; const uint32_t *waits;
        uint8_t plain; uint8_t link[8]; uint8_t carries[8]; uint8_t place[8];
        uint64_t loss_limit; uint64_t loss_spread; uint64_t latency_jitter; int64_t frame_ns; int64_t queue_ns;
        const uint64_t *clean; uint32_t clean_count; const nca_wire *sources; const nca_wire *listeners; const uint16_t *position;
        int64_t *free_at; int64_t *last_at;
        const int64_t *wander; const uint32_t *clock; const int64_t *phase; int64_t segments; int64_t segment_ns;
        nca_cell *cells; int8_t *states; int8_t *inboxes; int64_t *heard_at;
        uint32_t ring; uint64_t all_cells; int64_t stride; uint8_t far;
        nca_sent *sent; uint32_t *sent_count; int64_t *arrival; nca_passed *passed;
        uint32_t buckets; uint32_t bucket_shift; nca_bucket *bucket; nca_wake *order; uint32_t *chip_seen; nca_update *batch;
        uint64_t all_updates; uint64_t evaluated_updates; uint64_t computed_updates;
        uint64_t messages_sent; uint64_t messages_lost; uint64_t messages_dropped; uint64_t messages_corrupted;
        uint64_t messages_undetected; uint64_t heard; int64_t age; ...;
    } nca_engine;
    void nca_engine_power_on(nca_engine *, uint32_t, const uint32_t *, int64_t);
    void nca_engine_power_off(nca_engine *, uint32_t, const uint32_t *);
    void nca_engine_plant(nca_engine *, uint32_t, const int8_t *, uint8_t, int64_t);
    uint64_t nca_engine_run(nca_engine *, int64_t, uint8_t *, uint64_t, uint8_t *);
    void nca_engine_close(nca_engine *);
    """
)
ffibuilder.set_source(
    "nca_hw.core._cell",
    '#include "cell.h"\n#include "link.h"\n#include "batch.h"\n#include "engine.h"\n',
    sources=[f"{TEMPLATES}/core/cell.c", f"{TEMPLATES}/core/random.c", f"{TEMPLATES}/core/link.c",
             f"{TEMPLATES}/host/batch.c", f"{ENGINE}/kernel.c", f"{ENGINE}/kernel_avx512.c", f"{ENGINE}/processor.c", f"{ENGINE}/pool.c",
             f"{ENGINE}/engine.c"],
    depends=[f"{TEMPLATES}/core/cell.h", f"{TEMPLATES}/core/link.h", f"{TEMPLATES}/host/genome.h", f"{TEMPLATES}/host/batch.h",
             f"{ENGINE}/kernel.h", f"{ENGINE}/processor.h", f"{ENGINE}/pool.h", f"{ENGINE}/engine.h"],
    include_dirs=[f"{TEMPLATES}/core", f"{TEMPLATES}/host", ENGINE],
    extra_compile_args=["-std=c99", "-O3"] + ([] if os.name == "nt" else ["-pthread"]),
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
