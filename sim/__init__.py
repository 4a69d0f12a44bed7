"""The asynchronous grid: cells with their own clocks, links with latency and loss, faults, recording, metrics.

    scenario    what is run: grid, clocks, links, faults, duration
    grid        cells, the chips they live on, and the wires between chips
    clocks      how long a cell waits, and how long a tick of its clock is
    faults      what goes wrong; overlap: where faults meet
    regions     which cells a fault strikes
    plan        a scenario with all random choices drawn: what an engine runs
    streams     random numbers that do not depend on the order of execution
    rules       what a cell computes: the integer cell (C core or NumPy), the float model
    simpy_engine  the reference engine: one SimPy process a cell
    fast_engine the same trajectory from C (fast/: the engine and its vectorised kernel)
    recording   what is kept of a run
    metrics     pattern loss and recovery
    run         scenario and rule in, result out
"""
