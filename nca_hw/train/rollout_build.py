"""Builds `nca_hw.train._rollout`: the training step in C of native/, which computes with the simulator's kernel (cffi API mode)."""

from __future__ import annotations

import os

from cffi import FFI

TEMPLATES = "firmware_templates"
ENGINE = "sim/fast"
NATIVE = "nca_hw/train/native"

ffibuilder = FFI()
ffibuilder.cdef(
    """
    typedef struct { ...; } nca_genome;
    typedef struct {
        uint32_t steps; uint32_t seed; const float *wakes; const float *lost; const uint8_t *deaf; uint32_t marks;
        const uint32_t *mark;
    } nca_rollout;

    void *nca_rollout_open(uint32_t, uint32_t, uint32_t, uint32_t, int);
    void nca_rollout_close(void *);
    const char *nca_rollout_instructions(const void *);
    void nca_rollout_turn(void *, const float *);
    void nca_rollout_weights(void *, const float *, const float *, const float *, const float *);
    void nca_rollout_integer(void *, const nca_genome *, const float *);
    int nca_rollout_forward(void *, const nca_rollout *, const float *, float *);
    void nca_rollout_backward(void *, const float *, float *, float *, float *, float *, float *);
    uint64_t nca_rollout_updates(const void *);
    uint64_t nca_rollout_perceptions(const void *, uint64_t, uint64_t, float *);
    uint64_t nca_rollout_yardstick(void *, uint64_t);
    """
)
ffibuilder.set_source(
    "nca_hw.train._rollout",
    '#include "rollout.h"\n',
    sources=[f"{NATIVE}/rollout.c", f"{NATIVE}/grid.c", f"{NATIVE}/layers_portable.c", f"{NATIVE}/layers_avx2.c",
             f"{NATIVE}/layers_avx512.c", f"{ENGINE}/kernel.c", f"{ENGINE}/kernel_avx512.c", f"{ENGINE}/processor.c", f"{ENGINE}/pool.c"],
    depends=[f"{NATIVE}/rollout.h", f"{NATIVE}/grid.h", f"{NATIVE}/layers.h", f"{NATIVE}/layers_body.h", f"{ENGINE}/kernel.h",
             f"{ENGINE}/processor.h", f"{ENGINE}/pool.h", f"{TEMPLATES}/core/cell.h", f"{TEMPLATES}/host/genome.h"],
    include_dirs=[NATIVE, ENGINE, f"{TEMPLATES}/core", f"{TEMPLATES}/host"],
    extra_compile_args=["-std=c99", "-O3"] + ([] if os.name == "nt" else ["-pthread", "-ffp-contract=fast"]),
    libraries=[] if os.name == "nt" else ["m"],
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
