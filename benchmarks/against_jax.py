"""The asynchronous int8 array against a synchronous float automaton in JAX: evaluated cell updates per second, in one go.

    pip install jax; python benchmarks/against_jax.py [--grid 40] [--updates 300]

JAX: a hand-written step of the article's rule (float32, 16 channels, 48 -> 128 -> 16, alive mask), jit-compiled, scanned over the
steps, on all cores; every cell is evaluated in every step. Fast engine: one core, independent clocks, messages with latency, a trajectory
hash; only updates that evaluate the network are counted, the time of all others is not taken off. `dense` is a grid whose cells are all
alive.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from nca_hw.core.genome import load
from nca_hw.sim.fast_engine import FastArray
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.scenario import Scenario


def jax_rate(grid: int, steps: int) -> float:
    """Cell updates per second of the JAX step."""
    rng = np.random.default_rng(0)
    w1 = jnp.asarray(rng.standard_normal((48, 128)) * 0.1, jnp.float32)
    w2 = jnp.asarray(rng.standard_normal((128, 16)) * 0.001, jnp.float32)

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
    best = min(_timed(lambda: run(start_state).block_until_ready()) for _ in range(3))
    return grid * grid * steps / best


def engine_rate(grid: int, updates: int, *, dense: bool) -> float:
    """Evaluated updates per second of the fast engine."""
    genome = load("lizard")
    if dense:  # without an alive mask every cell evaluates its network at every update
        genome = replace(genome, alive=0)
    scenario = Scenario(grid, grid, seed=1, duration=updates * Scenario.interval, sample_every=updates * Scenario.interval)
    arrays = [FastArray(scenario, IntegerRule(genome)) for _ in range(3)]
    best = min(_timed(array.run) for array in arrays)
    return arrays[0].recording.counters.evaluated_updates / best


def _timed(run: object) -> float:
    start = time.perf_counter()
    run()  # type: ignore[operator]
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", type=int, default=40)
    parser.add_argument("--updates", type=int, default=300)
    options = parser.parse_args()
    rows = {
        "JAX, synchronous float, all cores": jax_rate(options.grid, options.updates),
        "fast engine, the lizard, one core": engine_rate(options.grid, options.updates, dense=False),
        "fast engine, dense, one core": engine_rate(options.grid, options.updates, dense=True),
    }
    print(f"{options.grid}x{options.grid} cells, {options.updates} updates a cell")
    for name, rate in rows.items():
        print(f"  {name:36s}{rate:12,.0f} evaluated updates/s   {rate / rows['JAX, synchronous float, all cores']:5.2f}x JAX")


if __name__ == "__main__":
    main()
