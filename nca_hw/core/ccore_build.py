"""Builds `nca_hw.core._cell`: the C core of firmware_templates/, unchanged, with the host's genome.h (cffi API mode)."""

from __future__ import annotations

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
        uint16_t hidden; uint8_t kernels; uint8_t channels; uint8_t alpha; int8_t alive; uint8_t s1; uint8_t s2;
    } nca_genome;

    uint8_t nca_cell_wake(const nca_genome *, int8_t *, const int8_t *, int8_t *, int32_t *);
    int8_t nca_compress(const nca_genome *, int32_t);
    uint32_t nca_random_next(uint32_t);
    uint32_t nca_random_wait(uint32_t, uint32_t);
    typedef struct { uint16_t crc; uint8_t position; uint8_t place; } nca_link_rx;
    uint8_t nca_link_receive(const nca_genome *, nca_link_rx *, int8_t *, uint8_t);
    void nca_host_send(const nca_genome *, uint8_t, const int8_t *, uint8_t *);
    void nca_host_wake_many(const nca_genome *, uint32_t, int8_t *, const int8_t *, uint8_t *);

    typedef struct { int instructions; ...; } nca_fast;
    void nca_fast_prepare(nca_fast *, const nca_genome *, int);
    void nca_fast_wake_many(const nca_fast *, uint32_t, int8_t *, const int8_t *, uint8_t *);

    typedef struct { ...; } nca_wake;
    typedef struct {
        const nca_fast *kernel; uint32_t width; uint32_t height; uint32_t seed; int64_t latency; uint64_t loss_limit;
        const uint32_t *waits; const int64_t *tick;
        uint32_t *random; int8_t *states; int8_t *inboxes; int64_t *next_wake; int64_t *heard_until; uint8_t *quiet; uint8_t *settled;
        uint32_t *sent; int64_t *updates;
        uint32_t ring; int64_t *sent_at; uint8_t *lost; int8_t *sent_code;
        uint32_t buckets; int64_t bucket_ns; int64_t bucket_now; int32_t *head; int32_t *after; int32_t *before; nca_wake *order;
        uint64_t all_updates; uint64_t evaluated_updates; uint64_t computed_updates; uint64_t messages_sent; uint64_t messages_lost;
    } nca_engine;
    void nca_engine_power_on(nca_engine *, uint32_t, int64_t);
    void nca_engine_power_off(nca_engine *, uint32_t);
    void nca_engine_plant(nca_engine *, uint32_t, const int8_t *, uint8_t, int64_t);
    uint64_t nca_engine_run(nca_engine *, int64_t, uint8_t *, uint64_t, uint8_t *);
    """
)
ffibuilder.set_source(
    "nca_hw.core._cell",
    '#include "cell.h"\n#include "link.h"\n#include "batch.h"\n#include "engine.h"\n',
    sources=[f"{TEMPLATES}/core/cell.c", f"{TEMPLATES}/core/link.c",
             f"{TEMPLATES}/host/batch.c", f"{ENGINE}/kernel.c", f"{ENGINE}/engine.c"],
    depends=[f"{TEMPLATES}/core/cell.h", f"{TEMPLATES}/core/link.h", f"{TEMPLATES}/host/genome.h", f"{TEMPLATES}/host/batch.h",
             f"{ENGINE}/kernel.h", f"{ENGINE}/engine.h"],
    include_dirs=[f"{TEMPLATES}/core", f"{TEMPLATES}/host", ENGINE],
    extra_compile_args=["-std=c99", "-O3"],
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
