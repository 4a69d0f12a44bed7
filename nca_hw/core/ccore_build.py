"""Builds `nca_hw.core._cell`: the C core of firmware_templates/, unchanged, with the host's genome.h (cffi API mode)."""

from __future__ import annotations

from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = "firmware_templates"

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
    """
)
ffibuilder.set_source(
    "nca_hw.core._cell",
    '#include "cell.h"\n#include "link.h"\n#include "batch.h"\n',
    sources=[f"{TEMPLATES}/core/cell.c", f"{TEMPLATES}/core/link.c", f"{TEMPLATES}/host/batch.c"],
    depends=[f"{TEMPLATES}/core/cell.h", f"{TEMPLATES}/core/link.h", f"{TEMPLATES}/host/genome.h", f"{TEMPLATES}/host/batch.h"],
    include_dirs=[f"{TEMPLATES}/core", f"{TEMPLATES}/host"],
    extra_compile_args=["-std=c99", "-O3"],
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
