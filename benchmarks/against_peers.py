"""The asynchronous int8 array against its peers: evaluated cell updates per second, in one go.

    pip install jax cax; python benchmarks/against_peers.py [--grid 40] [--updates 300] [--genome lizard]

CAX: its own classes (ComplexSystem, ConvPerceive with frozen Sobel kernels, NCAUpdate), float32, synchronous, all cores. JAX: a
hand-written step of the same rule, jit-compiled and scanned, all cores. Both are as wide as the genome and evaluate every cell in every
step. Fast engine: one core, independent clocks, messages with latency, a trajectory hash; only updates that evaluate the network are
counted, the time of all others is not taken off. `dense` is a grid whose cells are all alive. The SimPy engine runs the same scenario,
for fewer updates.

The multiply-add limit is measured: the processor's widest instruction on int8 (vpdpbusd) in a loop of its own, one core.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from nca_hw.core.genome import Genome, load
from nca_hw.sim.fast_engine import FastArray
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.scenario import Scenario
from nca_hw.sim.simpy_engine import SimpyArray

REPEATS = 3
PEAK_C = """
#include <immintrin.h>
#define ONE(n) __asm__ volatile("vpdpbusd %1, %1, %0" : "+v"(a##n) : "v"(x));
#define ALL(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define DECLARE(n) __m512i a##n = _mm512_setzero_si512();
__attribute__((target("avx512f,avx512vnni"))) void peak(long long rounds)
{
    const __m512i x = _mm512_set1_epi8(1);
    ALL(DECLARE)
    for (long long i = 0; i < rounds; i++) { ALL(ONE) }
}
"""


def best_time(prepare: Callable[[], Callable[[], object]]) -> float:
    times = []
    for _ in range(REPEATS):
        run = prepare()
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def jax_rate(grid: int, steps: int, hidden: int) -> float:
    """Cell updates per second of a hand-written JAX step."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    rng = np.random.default_rng(0)
    w1 = jnp.asarray(rng.standard_normal((48, hidden)) * 0.1, jnp.float32)
    w2 = jnp.asarray(rng.standard_normal((hidden, 16)) * 0.001, jnp.float32)

    def living(s: jax.Array) -> jax.Array:
        return lax.reduce_window(s[..., 3], -jnp.inf, lax.max, (3, 3), (1, 1), "SAME") > 0.1

    def step(s: jax.Array, _: None) -> tuple[jax.Array, None]:
        before = living(s)
        p = jnp.pad(s, ((1, 1), (1, 1), (0, 0)))

        def at(y: int, x: int) -> jax.Array:
            return p[1 + y : 1 + y + grid, 1 + x : 1 + x + grid]

        sx = (at(-1, 1) - at(-1, -1)) + 2 * (at(0, 1) - at(0, -1)) + (at(1, 1) - at(1, -1))
        sy = (at(1, -1) - at(-1, -1)) + 2 * (at(1, 0) - at(-1, 0)) + (at(1, 1) - at(-1, 1))
        new = s + jax.nn.relu(jnp.concatenate([s, sx / 8, sy / 8], -1) @ w1) @ w2
        return new * (before & living(new))[..., None], None

    run = jax.jit(lambda s: lax.scan(step, s, None, length=steps)[0])
    start_state = jnp.asarray(rng.random((grid, grid, 16)), jnp.float32)
    run(start_state).block_until_ready()
    return grid * grid * steps / best_time(lambda: lambda: run(start_state).block_until_ready())


def cax_rate(grid: int, steps: int, hidden: int) -> float:
    """Cell updates per second of CAX's neural cellular automaton."""
    import jax.numpy as jnp
    from cax.core import ComplexSystem
    from cax.core.perceive import ConvPerceive, grad_kernel, identity_kernel
    from cax.core.update import NCAUpdate
    from flax import nnx

    class Automaton(ComplexSystem):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.perceive = ConvPerceive(16, 48, feature_group_count=16, rngs=rngs)
            kernel = jnp.concatenate([identity_kernel(2), grad_kernel(2)], -1)
            self.perceive.conv.kernel = nnx.Param(jnp.tile(jnp.expand_dims(kernel, 2).reshape(3, 3, 1, 3), (1, 1, 1, 16)))
            self.update = NCAUpdate(16, 48, (hidden,), rngs=rngs)

        def _step(self, state, input=None, *, sow=False):  # type: ignore[no-untyped-def]
            return self.update(state, self.perceive(state), input)

    automaton = Automaton(nnx.Rngs(0))
    start_state = jnp.asarray(np.random.default_rng(0).random((grid, grid, 16)), jnp.float32)
    automaton(start_state, num_steps=steps).block_until_ready()
    return grid * grid * steps / best_time(lambda: lambda: automaton(start_state, num_steps=steps).block_until_ready())


def engine_rate(engine: type, genome: Genome, grid: int, updates: int, *, dense: bool) -> float:
    """Evaluated updates per second of an engine of ours."""
    if dense:  # without an alive mask every cell evaluates its network at every update
        genome = replace(genome, alive=0)
    scenario = Scenario(grid, grid, seed=1, duration=updates * Scenario.interval, sample_every=updates * Scenario.interval)
    arrays = []

    def prepare() -> Callable[[], object]:
        arrays.append(engine(scenario, IntegerRule(genome)))
        return arrays[-1].run

    best = best_time(prepare)
    return float(arrays[0].recording.counters.evaluated_updates / best)


def peak() -> float | None:
    """int8 multiply-adds per second that one core can do, None where it can't be told."""
    from cffi import FFI

    if "avx512_vnni" not in Path("/proc/cpuinfo").read_text():
        return None
    builder = FFI()
    builder.cdef("void peak(long long);")
    builder.set_source("_peak", PEAK_C, extra_compile_args=["-O2"])
    with tempfile.TemporaryDirectory() as folder:
        spec = importlib.util.spec_from_file_location("_peak", builder.compile(folder))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        rounds = 10_000_000
        return rounds * 12 * 64 / best_time(lambda: lambda: module.lib.peak(rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", type=int, default=40)
    parser.add_argument("--updates", type=int, default=300)
    parser.add_argument("--genome", default="lizard", help="one of 16 channels and 48 inputs; the peers are as wide")
    options = parser.parse_args()
    genome, grid, updates = load(options.genome), options.grid, options.updates
    rows = {
        "fast engine, dense, one core": engine_rate(FastArray, genome, grid, updates, dense=True),
        "fast engine, as it grows, one core": engine_rate(FastArray, genome, grid, updates, dense=False),
        "SimPy engine, dense, one core": engine_rate(SimpyArray, genome, grid, max(1, updates // 10), dense=True),
    }
    for name, module, rate in (("CAX", "cax", cax_rate), ("JAX", "jax", jax_rate)):
        if importlib.util.find_spec(module) is None:
            print(f"{name} is not installed: pip install {module}", file=sys.stderr)
        else:
            rows[f"{name}, synchronous float, {os.cpu_count()} cores"] = rate(grid, updates, genome.hidden)
    ours = rows["fast engine, dense, one core"]
    print(f"{grid}x{grid} cells, {updates} updates a cell, 16 channels, 48 -> {genome.hidden} -> 16")
    for name, rate in rows.items():
        print(f"  {name:36s}{rate:12,.0f} evaluated updates/s   the fast engine is {ours / rate:8.2f}x as fast")
    limit = peak()
    if limit is not None:
        reached = ours * (48 + 16) * genome.hidden
        print(f"  int8 multiply-adds, one core: {reached / 1e9:.0f} G/s of {limit / 1e9:.0f} G/s, {reached / limit:.0%} of the limit")


if __name__ == "__main__":
    main()
